/**
 * Shares the event loop between the connections and everything else: work is done in small steps, for a few milliseconds a
 * turn. Users take turns, and so do the connections of a user: whoever asks for much waits for nobody but himself.
 */

/** How long one turn may hold the event loop. */
const SLICE_MS = 5;

export interface Worker {
  /** Who it works for. */
  readonly who: string;
  /** Does one small piece of work. True: there is more. */
  step(): boolean;
}

export class Turns {
  readonly #nowMs: () => number;
  readonly #later: (run: () => void) => void;
  /** Connections with work, by user; users and connections in the order of their turns. */
  readonly #waiting = new Map<string, Set<Worker>>();
  #planned = false;

  /** `later` runs something in a later turn of the event loop, after what is there to be received. */
  constructor(nowMs: () => number, later: (run: () => void) => void = (run) => void setImmediate(run)) {
    this.#nowMs = nowMs;
    this.#later = later;
  }

  /** Harmless for one that waits already. */
  add(worker: Worker): void {
    const mine = this.#waiting.get(worker.who);
    if (mine) mine.add(worker);
    else this.#waiting.set(worker.who, new Set([worker]));
    this.#plan();
  }

  #plan(): void {
    if (this.#planned || this.#waiting.size === 0) return;
    this.#planned = true;
    this.#later(() => {
      this.#planned = false;
      const untilMs = this.#nowMs() + SLICE_MS;
      do {
        const next = this.#take();
        if (next?.step()) this.add(next);
      } while (this.#waiting.size > 0 && this.#nowMs() < untilMs);
      this.#plan();
    });
  }

  #take(): Worker | undefined {
    for (const [who, workers] of this.#waiting) {
      this.#waiting.delete(who);
      for (const worker of workers) {
        workers.delete(worker);
        if (workers.size > 0) this.#waiting.set(who, workers);
        return worker;
      }
    }
    return undefined;
  }
}
