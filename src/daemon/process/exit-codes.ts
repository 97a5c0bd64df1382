/** How the daemon ends, by sysexits.h, so that scripts and service files can tell the cases apart. */
import type { KernelError } from '../../base/errors.js';
import { OPENING_THE_GATE } from '../../kernel/membership/pause-gate.js';

export const EXIT = {
  done: 0,
  usage: 64,
  /** Somebody else holds the table or the control socket. */
  unavailable: 69,
  /** A mistake in mgmd itself. */
  software: 70,
  osError: 71,
  /** The kernel cannot route multicast, or not keep the host still while an interface changes its owner. */
  protocol: 76,
  noPermission: 77,
  config: 78,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

const BY_ERRNO: Readonly<Record<string, ExitCode>> = {
  EPERM: EXIT.noPermission,
  EACCES: EXIT.noPermission,
  EPROTONOSUPPORT: EXIT.protocol,
  EAFNOSUPPORT: EXIT.protocol,
  ENOPROTOOPT: EXIT.protocol,
};

/** What a kernel without BPF for cgroups, one that is too old, and one without cgroup2 answer to the opening of the gate. */
const NO_GATE: readonly string[] = ['ENOSYS', 'EINVAL', 'EOPNOTSUPP', 'ENOENT', 'ENODEV', 'ENOPROTOOPT', 'E524'];

/** F01, F39, F40: what a kernel that could not be opened means for whoever started the daemon. */
export function exitCodeOf(error: KernelError): ExitCode {
  if (isTableInUse(error)) return EXIT.unavailable;
  if (error.op === OPENING_THE_GATE && NO_GATE.includes(error.code)) return EXIT.protocol;
  return BY_ERRNO[error.code] ?? EXIT.osError;
}

/** F01: another process has the table; waiting can help. */
export function isTableInUse(error: KernelError): boolean {
  return error.op === 'MRT_INIT' && error.code === 'EADDRINUSE';
}
