/** Opens what `pause.scope` asks for, with what to tell an operator when the kernel does not give it. */
import { KernelError } from '../../base/errors.js';
import type { Log } from '../../port/log.js';
import type { Addon, NativePauseGate } from '../addon.js';
import { errnoName } from '../errno.js';

/** As the configuration has it: whose membership calls wait while an interface is paused. */
export type PauseScope = 'agent' | 'host' | 'host-best-effort';

/** KernelError.op of a refusal; the exit code depends on it. */
export const OPENING_THE_GATE = 'opening the gate of pause.scope: host';

const INSTEAD =
  'Or set pause.scope to host-best-effort, which does without (other programs can then join groups in a pause), or to agent, which holds back nothing but what mgmd itself does.';
const NO_PRIVILEGE = `The process may not load BPF programs: give it CAP_BPF and CAP_NET_ADMIN, or CAP_SYS_ADMIN, of the host itself (a user namespace cannot have them), and see that no lockdown forbids it. ${INSTEAD}`;
const NO_SUPPORT = `It takes Linux 5.18 or newer with CONFIG_CGROUP_BPF and CONFIG_BPF_SYSCALL, and a cgroup2 hierarchy whose root is mounted ("mount -t cgroup2 none /sys/fs/cgroup/unified"). ${INSTEAD}`;
const PRIVILEGE = ['EPERM', 'EACCES'];

/** Undefined: nothing but mgmd itself is to be kept still. */
export function openPauseGate(addon: Addon, scope: PauseScope): NativePauseGate | KernelError | undefined {
  if (scope === 'agent') return undefined;
  const opened = addon.openPauseGate();
  if (!('step' in opened)) return opened;
  const { step, errno, detail } = opened;
  const code = errnoName(errno);
  const target = detail === '' ? step : `${step} ("${detail}")`;
  const advice = PRIVILEGE.includes(code) ? NO_PRIVILEGE : NO_SUPPORT;
  return new KernelError(OPENING_THE_GATE, target, errno, code, advice);
}

/** Logs that `host-best-effort` starts without the gate. */
export function sayThatThereIsNoGate({ target, code }: KernelError, log: Log): void {
  log.warn(
    { evt: 'pause.gate.refused', target, code },
    `pauses are kept by pins alone: the kernel refused the gate (${target}: ${code}), so other programs can join groups in a pause`,
  );
}
