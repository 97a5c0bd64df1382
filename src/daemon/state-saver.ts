/**
 * When the state is saved: at once after the first change, then at most once a second, however many changes come. So a
 * crash loses the changes of the last second at most; whoever lets go or stops saves what waits.
 */
import type { Clock, Timer } from '../port/clock.js';

/** The least time between two saves for changes. */
const PAUSE_MS = 1000;
/** And so many times what the save itself took. */
const PAUSE_SHARE = 20;

export interface StateSaverParts {
  readonly clock: Clock;
  /** Writes the state as it is now. */
  readonly save: () => void;
}

export class StateSaver {
  readonly #parts: StateSaverParts;
  #pause: Timer | undefined;
  #changed = false;

  constructor(parts: StateSaverParts) {
    this.#parts = parts;
  }

  /** Something is different from what was saved. */
  changed(): void {
    this.#changed = true;
    if (!this.#pause) this.#save();
  }

  /** Saves what waits, and no more by itself. */
  stop(): void {
    this.#pause?.cancel();
    this.#pause = undefined;
    if (this.#changed) this.#parts.save();
    this.#changed = false;
  }

  #save(): void {
    const { clock, save } = this.#parts;
    this.#changed = false;
    const startedMs = clock.nowMs();
    save();
    const tookMs = clock.nowMs() - startedMs;
    this.#pause = clock.after(Math.max(PAUSE_MS, PAUSE_SHARE * tookMs), () => {
      this.#pause = undefined;
      if (this.#changed) this.#save();
    });
  }
}
