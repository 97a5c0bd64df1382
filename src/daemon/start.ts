/** Getting hold of the kernel, with what to tell an operator when it does not work (F01, F03, F39, F40). */
import type { Socket } from 'node:net';
import { readFileSync } from 'node:fs';
import type { KernelError } from '../base/errors.js';
import { err, ok, type Result } from '../base/result.js';
import type { Config } from '../config/types.js';
import { loadAddon } from '../kernel/addon.js';
import { type Kernel, openKernel } from '../kernel/system.js';
import { suspects } from '../kernel/table-holder.js';
import type { Clock } from '../port/clock.js';
import type { Fields, Log } from '../port/log.js';
import { type ExitCode, exitCodeOf, isTableInUse } from './exit-codes.js';

const WAIT_MS = 1000;

export interface Opening {
  readonly config: Config;
  readonly clock: Clock;
  readonly log: Log;
  /** Try again while somebody else holds the table. */
  readonly wait: boolean;
  /** Aborts the waiting. */
  readonly stop: AbortSignal;
  /** The real kernel unless a test brings another. */
  readonly open?: typeof openKernel;
}

/** The kernel, or the exit code after the reason has been logged; 'stopped' when the waiting was aborted. */
export async function obtainKernel(opening: Opening): Promise<Result<Kernel, ExitCode | 'stopped'>> {
  const { config, clock, log, wait, stop, open = openKernel } = opening;
  for (let tries = 0; !stop.aborted; tries++) {
    const { table, rpf, pause } = config;
    const options = { table, rpfTable: rpf.table, pauseScope: pause.scope, clock };
    const opened = open({ ...options, log: log.child({ mod: 'kernel' }) });
    if (opened.ok) return ok(opened.value);
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

function explain(error: KernelError, log: Log): void {
  const { op, target, errno, code, message } = error;
  const fields: Fields = { evt: 'daemon.kernel.refused', op, target, errno, code };
  if (!isTableInUse(error)) return log.error(fields, message);
  log.error({ ...fields, suspects: suspects() }, `${message} With --wait mgmd takes over when it is free.`);
}

function sayThatWeWait({ message }: KernelError, log: Log): void {
  log.warn({ evt: 'daemon.table.held', suspects: suspects() }, `${message} mgmd waits until it is free.`);
}

function abortableSleep(clock: Clock, ms: number, stop: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      timer.cancel();
      stop.removeEventListener('abort', done);
      resolve();
    };
    const timer = clock.after(ms, done);
    stop.addEventListener('abort', done);
  });
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
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
