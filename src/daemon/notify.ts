/**
 * What the service manager is told (sd_notify(3)): ready, status, stopping. Only file that knows libsystemd; without
 * NOTIFY_SOCKET or without the library there is no systemd, and nobody minds.
 */
import type { Log } from '../port/log.js';

const LIBRARY = 'libsystemd.so.0';

export interface ServiceManager {
  /** `status` is the line that `systemctl status` shows. */
  ready(status: string): void;
  stopping(): void;
}

const NOBODY: ServiceManager = { ready: () => undefined, stopping: () => undefined };

/** Loads the library only when there is somebody to talk to. */
export async function openServiceManager(notifySocket: string | undefined, log: Log): Promise<ServiceManager> {
  if (!notifySocket) return NOBODY;
  try {
    const { DataType, load, open } = await import('ffi-rs');
    open({ library: 'systemd', path: LIBRARY });
    const notify = (state: string) => {
      const result = load({
        library: 'systemd',
        funcName: 'sd_notify',
        retType: DataType.I32,
        paramsType: [DataType.I32, DataType.String],
        paramsValue: [0, state],
      });
      if (result < 0) unheard(log, `sd_notify answered ${result}`);
    };
    return {
      ready: (status) => notify(`READY=1\nSTATUS=${status}`),
      stopping: () => notify('STOPPING=1'),
    };
  } catch (error) {
    unheard(log, error instanceof Error ? error.message : String(error));
    return NOBODY;
  }
}

function unheard(log: Log, why: string): void {
  log.warn(
    { evt: 'daemon.service-manager.unreachable', why },
    `the service manager cannot be told that mgmd is ready: ${why}; install libsystemd0, or use Type=exec in the service file`,
  );
}
