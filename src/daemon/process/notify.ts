/**
 * The service manager (sd_notify(3)): what it is told, and what it keeps for a successor. Only file that knows libsystemd;
 * without NOTIFY_SOCKET or without the library there is no systemd, and nobody minds.
 */
import { closeSync } from 'node:fs';
import type { Log } from '../../port/log.js';
import type { Environment } from '../state/descriptors.js';

const LIBRARY = 'libsystemd.so.0';

export interface ServiceManager {
  /** It keeps descriptors over a restart. */
  readonly keepsDescriptors: boolean;
  /** How often it wants to be told that we are well; undefined: it does not. */
  readonly watchdogMs: number | undefined;
  ready(): void;
  /** The line that `systemctl status` shows. */
  status(text: string): void;
  reloading(): void;
  stopping(): void;
  isWell(): void;
  /** Stores a descriptor under this name and closes ours. */
  keep(name: string, fd: number): void;
  /** Gives up what is stored under this name. */
  letGo(name: string): void;
}

const NOBODY: ServiceManager = {
  keepsDescriptors: false,
  watchdogMs: undefined,
  ready: () => undefined,
  status: () => undefined,
  reloading: () => undefined,
  stopping: () => undefined,
  isWell: () => undefined,
  keep: (_name, fd) => closeSync(fd),
  letGo: () => undefined,
};

/** Sends a state, with descriptors or without; the result is that of libsystemd, negative when it was not heard. */
type Notify = (state: string, fds?: readonly number[]) => number;

/** Loads the library only when there is somebody to talk to. */
export async function openServiceManager(env: Environment, log: Log): Promise<ServiceManager> {
  if (!env['NOTIFY_SOCKET']) return NOBODY;
  try {
    return speaking(await openLibrary(), watchdogOf(env), log);
  } catch (error) {
    unheard(log, error instanceof Error ? error.message : String(error));
    return NOBODY;
  }
}

async function openLibrary(): Promise<Notify> {
  const { DataType, load, open } = await import('ffi-rs');
  open({ library: 'systemd', path: LIBRARY });
  const { I32, U32, String: Text, I32Array } = DataType;
  return (state, fds = []) =>
    load({
      library: 'systemd',
      funcName: 'sd_pid_notify_with_fds',
      retType: I32,
      paramsType: [I32, I32, Text, I32Array, U32],
      paramsValue: [0, 0, state, [...fds], fds.length],
    });
}

function speaking(notify: Notify, watchdogMs: number | undefined, log: Log): ServiceManager {
  const tell: Notify = (state, fds) => {
    const result = notify(state, fds);
    if (result < 0) unheard(log, `it was told ${state.split('\n')[0]}, and libsystemd answered ${result}`);
    return result;
  };
  return {
    keepsDescriptors: true,
    watchdogMs,
    ready: () => tell('READY=1'),
    status: (text) => tell(`STATUS=${text}`),
    reloading: () => tell(`RELOADING=1\nMONOTONIC_USEC=${process.hrtime.bigint() / 1000n}`),
    stopping: () => tell('STOPPING=1'),
    isWell: () => tell('WATCHDOG=1'),
    keep: (name, fd) => {
      tell(`FDSTORE=1\nFDNAME=${name}`, [fd]);
      closeSync(fd);
    },
    letGo: (name) => tell(`FDSTOREREMOVE=1\nFDNAME=${name}`),
  };
}

/** sd_watchdog_enabled(3): the variable may be meant for another process. */
function watchdogOf(env: Environment): number | undefined {
  const pid = env['WATCHDOG_PID'];
  const usec = Number(env['WATCHDOG_USEC']);
  return usec > 0 && (pid === undefined || Number(pid) === process.pid) ? usec / 1000 : undefined;
}

function unheard(log: Log, why: string): void {
  log.warn(
    { evt: 'daemon.service-manager.unreachable', why },
    `the service manager does not hear mgmd: ${why}; install libsystemd0, or use Type=exec in the service file`,
  );
}
