/**
 * When the state is saved: at once after each of a few changes in a row, as a person makes them, and once a second when a
 * program makes many. Then a crash loses the changes of the last second; whoever lets go or stops saves what waits.
 */
import type { Clock, Timer } from '../../port/clock.js';

/** What a save costs, and so many times as long as it took if that is more: in the long run a save a second. */
const COST_MS = 1000;
const COST_SHARE = 20;
/** Cost that may accumulate before saves are delayed. */
const BURST_MS = 16 * COST_MS;

export interface StateSaverParts {
  readonly clock: Clock;
  /** Writes the state as it is now. */
  readonly save: () => void;
}

export class StateSaver {
  readonly #parts: StateSaverParts;
  #timer: Timer | undefined;
  #changed = false;
  /** What has been spent, less what time has given back since. */
  #spentMs = 0;
  #spentAtMs = 0;

  constructor(parts: StateSaverParts) {
    this.#parts = parts;
  }

  /** Something is different from what was saved. */
  changed(): void {
    this.#changed = true;
    if (!this.#timer) this.#saveOrWait();
  }

  /** Saves what waits, and no more by itself. */
  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    if (this.#changed) this.#parts.save();
    this.#changed = false;
  }

  #saveOrWait(): void {
    const { clock } = this.#parts;
    const nowMs = clock.nowMs();
    this.#spentMs = Math.max(0, this.#spentMs - (nowMs - this.#spentAtMs));
    this.#spentAtMs = nowMs;
    if (this.#spentMs < BURST_MS) return this.#save();
    this.#timer = clock.after(this.#spentMs - BURST_MS + 1, () => {
      this.#timer = undefined;
      if (this.#changed) this.#saveOrWait();
    });
  }

  #save(): void {
    const { clock, save } = this.#parts;
    this.#changed = false;
    save();
    this.#spentMs += Math.max(COST_MS, COST_SHARE * (clock.nowMs() - this.#spentAtMs));
  }
}
