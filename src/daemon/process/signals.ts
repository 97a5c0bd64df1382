/**
 * What signals mean to mgmd. Loads nothing, so that it is in force a few milliseconds after the runtime has started. What
 * comes before somebody listens is not lost: a stop is remembered, and so is a reload.
 */
import inspector from 'node:inspector';

/** What the daemon does when it is told to end. */
export type StopListener = (signal: string) => void;

/** Without them, timers, terminals and power supplies that mgmd knows nothing about would end it. */
const IGNORED = ['SIGUSR2', 'SIGALRM', 'SIGVTALRM', 'SIGIO', 'SIGPWR'] as const;
const ENDING = ['SIGTERM', 'SIGINT'] as const;

export class Signals {
  readonly #stop = new AbortController();
  #stopSignal: string | undefined;
  #stopListener: StopListener | undefined;
  #reloadListener: (() => void) | undefined;
  #reloadIsDue = false;

  constructor() {
    // The runtime's own answer to SIGUSR1 is a debugger, through which every user of the machine could become root.
    process.on('SIGUSR1', closeDebugger);
    closeDebugger();
    for (const signal of IGNORED) process.on(signal, () => undefined);
    for (const signal of ENDING) process.on(signal, () => this.#end(signal));
    process.on('SIGHUP', () => this.#reload());
  }

  /** Aborted when the daemon is told to end. */
  get stop(): AbortSignal {
    return this.#stop.signal;
  }

  /** Restores the default actions of signals, for --help, --version and --check. */
  leaveToTheSystem(): void {
    for (const signal of [...ENDING, 'SIGHUP'] as const) process.removeAllListeners(signal);
    if (this.#stopSignal !== undefined) process.kill(process.pid, this.#stopSignal);
  }

  /** Called at once when it was told to end before. */
  onStop(listener: StopListener): void {
    this.#stopListener = listener;
    if (this.#stopSignal !== undefined) listener(this.#stopSignal);
  }

  /** Calls once, when it is told to read its configuration again: at once if it was told since the last call. */
  onceReload(listener: () => void): void {
    this.#reloadListener = listener;
    if (this.#reloadIsDue) this.#reload();
  }

  /** The first one counts; whoever is impatient does not end it in the middle of what it gives back. */
  #end(signal: string): void {
    if (this.#stopSignal !== undefined) return;
    this.#stopSignal = signal;
    this.#stopListener?.(signal);
    this.#stop.abort();
  }

  #reload(): void {
    const listener = this.#reloadListener;
    this.#reloadIsDue = listener === undefined;
    this.#reloadListener = undefined;
    listener?.();
  }
}

/** Also the one that came with --inspect, or by a signal before this program ran. */
export function closeDebugger(): void {
  if (inspector.url() !== undefined) inspector.close();
}
