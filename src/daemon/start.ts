/** Getting hold of the kernel, with what to tell an operator when it does not work (F01, F03, F39, F40). */
import type { Socket } from 'node:net';
import type { KernelError } from '../base/errors.js';
import { err, ok, type Result } from '../base/result.js';
import type { Config } from '../config/types.js';
import { loadAddon } from '../kernel/addon.js';
import { type Kernel, type KernelOptions, openKernel } from '../kernel/system.js';
import { suspects } from '../kernel/table-holder.js';
import type { Clock } from '../port/clock.js';
import type { Fields, Log } from '../port/log.js';
import { discard, type Predecessor } from './state/descriptors.js';
import { type ExitCode, exitCodeOf, isTableInUse } from './process/exit-codes.js';
import { readRegular } from './state/files.js';
import { abortableSleep } from './process/sleep.js';

const WAIT_MS = 1000;
const GROUPS_MAX_BYTES = 16 * 1024 * 1024;

export interface Opening {
  readonly config: Config;
  readonly clock: Clock;
  readonly log: Log;
  /** Try again while somebody else holds the table. */
  readonly wait: boolean;
  /** Aborts the waiting. */
  readonly stop: AbortSignal;
  /** Whose sockets are to be taken over. */
  readonly predecessor: Predecessor | undefined;
  readonly poolOpened: KernelOptions['poolOpened'];
  /** The real kernel unless a test brings another. */
  readonly open?: typeof openKernel;
}

export interface Obtained {
  readonly kernel: Kernel;
  /** The table is a predecessor's, and full. */
  readonly inherited: boolean;
}

/** The kernel, or the exit code after the reason has been logged; 'stopped' when the waiting was aborted. */
export async function obtainKernel(opening: Opening): Promise<Result<Obtained, ExitCode | 'stopped'>> {
  const { config, clock, log, wait, stop, predecessor, poolOpened, open = openKernel } = opening;
  const { table, rpf, pause } = config;
  const options: KernelOptions = {
    table,
    rpfTable: rpf.table,
    pauseScope: pause.scope,
    clock,
    log: log.child({ mod: 'kernel' }),
    ...(poolOpened && { poolOpened }),
  };
  if (predecessor) {
    const succeeded = open({ ...options, ...inheritedFrom(predecessor) });
    if (succeeded.ok) return ok({ kernel: succeeded.value, inherited: true });
    discard(predecessor);
    sayThatWeDoNotInherit(succeeded.error, log);
  }
  for (let tries = 0; !stop.aborted; tries++) {
    const opened = open(options);
    if (opened.ok) return ok({ kernel: opened.value, inherited: false });
    if (!wait || !isTableInUse(opened.error)) {
      explain(opened.error, log);
      return err(exitCodeOf(opened.error));
    }
    if (tries === 0) sayThatWeWait(opened.error, log);
    else log.debug({ evt: 'daemon.waited', tries }, 'the table is still held');
    await abortableSleep(clock, WAIT_MS, stop);
  }
  return err('stopped');
}

function inheritedFrom({ routing, memberships }: Predecessor) {
  return { inheritedFd: routing, inheritedMembershipFds: memberships.map(({ fd }) => fd) };
}

function sayThatWeDoNotInherit({ message }: KernelError, log: Log): void {
  log.warn(
    { evt: 'daemon.predecessor.refused' },
    `the sockets of a predecessor cannot be used: ${message} mgmd starts without them, and streams pause until hosts answer`,
  );
}

function explain(error: KernelError, log: Log): void {
  const { op, target, errno, code, message } = error;
  const fields: Fields = { evt: 'daemon.kernel.refused', op, target, errno, code };
  if (!isTableInUse(error)) return log.error(fields, message);
  log.error({ ...fields, suspects: suspects() }, `${message} With --wait mgmd takes over when it is free.`);
}

function sayThatWeWait({ message }: KernelError, log: Log): void {
  log.warn({ evt: 'daemon.table.held', suspects: suspects() }, `${message} mgmd waits until it is free.`);
}

/** F03, F04: what was found in the table, and that streams pause until hosts answer. */
export function reportLeftovers({ leftovers }: Pick<Kernel, 'leftovers'>, log: Log): void {
  const { entries, vifs } = leftovers;
  if (entries + vifs > 0)
    log.warn(
      { evt: 'kernel.leftovers.removed', entries, vifs },
      `${entries} entries and ${vifs} interfaces left in the table from an earlier life were removed`,
    );
  log.info(
    { evt: 'daemon.cold-start' },
    'cold start without sockets of a predecessor: streams pass as soon as hosts have answered the first query',
  );
}

/** Who is at the other end of a control connection. `_handle.fd` is not public, so it may be absent: then nobody is known. */
export function peerUidReader(): (socket: Socket) => number | undefined {
  const addon = loadAddon();
  return (socket) => {
    const fd = (socket as unknown as { readonly _handle?: { readonly fd?: unknown } | null })._handle?.fd;
    if (typeof fd !== 'number' || fd < 0) return undefined;
    const peer = addon.peerCredentials(fd);
    return typeof peer === 'number' ? undefined : peer.uid;
  };
}

/** The group that may read the control socket, by name; undefined when there is none of that name. */
export function groupIdOf(name: string, groups = readOrNothing('/etc/group')): number | undefined {
  const fields = groups.split('\n').map((line) => line.split(':'));
  const id = Number(fields.find(([word]) => word === name)?.[2]);
  return Number.isInteger(id) ? id : undefined;
}

function readOrNothing(file: string): string {
  const read = readRegular(file, GROUPS_MAX_BYTES);
  return read.ok ? read.value.toString('utf8') : '';
}
