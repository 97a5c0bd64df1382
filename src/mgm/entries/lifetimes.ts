/**
 * The life of forwarding entries (manager.md section 5.6): a fixed time-out each, checked by one timer armed for the earliest end.
 * At its end an entry that carried traffic is decided anew in place (D-MFE-1), any other is deleted (D-MFE-2).
 */
import type { Timer } from '../../port/clock.js';
import type { Core } from '../core.js';
import { carriedTraffic } from './entry-budget.js';
import type { Entry } from '../state.js';

export const DEFAULT_TIMEOUT_SEC = 900;
/** Bounds of what a client may ask for (D-PA-2). */
const [SHORTEST_SEC, LONGEST_SEC] = [10, 86_400];
/** Ends handled in one turn; each costs a counter reading and perhaps callbacks. */
const PER_TURN = 256;

export function clampedLifetimeSec(asked: number): number {
  return Math.min(Math.max(asked, SHORTEST_SEC), LONGEST_SEC);
}

export class Lifetimes {
  readonly #core: Core;
  readonly #refresh: (entry: Entry) => void;
  readonly #remove: (entry: Entry) => void;
  #timer: Timer | undefined;
  #armedForMs = Infinity;

  constructor(core: Core, actions: { refresh: (entry: Entry) => void; remove: (entry: Entry) => void }) {
    this.#core = core;
    this.#refresh = actions.refresh;
    this.#remove = actions.remove;
  }

  /** A new life of `timeoutSec` seconds begins now. */
  restart(entry: Entry, timeoutSec: number = entry.lifetimeSec): void {
    if (entry.deleted) return;
    const { ages } = this.#core.entries;
    entry.startedAtMs = this.#core.nowMs;
    entry.timeoutSec = timeoutSec;
    ages.rank(entry, this.#core.nowMs);
    ages.deadlines.noLaterThan(entry, entry.deadlineMs);
    this.#armFor(entry.deadlineMs);
  }

  /** It counts for another input. */
  moved(entry: Entry): void {
    if (!entry.deleted) this.#core.entries.ages.rank(entry, this.#core.nowMs);
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#armedForMs = Infinity;
  }

  #armFor(deadlineMs: number): void {
    if (deadlineMs >= this.#armedForMs || this.#core.stopped) return;
    this.#timer?.cancel();
    this.#armedForMs = deadlineMs;
    this.#timer = this.#core.ports.clock.after(Math.max(0, deadlineMs - this.#core.nowMs), () => this.#check());
  }

  #check(): void {
    this.stop();
    const { deadlines } = this.#core.entries.ages;
    const nowMs = this.#core.nowMs;
    for (let left = PER_TURN; left > 0 && deadlines.earliestMs <= nowMs; left--) {
      const entry = deadlines.first!;
      if (entry.deadlineMs > nowMs) deadlines.postpone(entry, entry.deadlineMs);
      else this.#end(entry);
    }
    if (deadlines.size > 0) this.#armFor(Math.max(deadlines.earliestMs, nowMs));
  }

  #end(entry: Entry): void {
    const refreshes =
      this.#core.config.mfeExpiry === 'refresh' && entry.outputs !== 0 && carriedTraffic(this.#core, entry);
    this.#core.count(refreshes ? 'mfe.refreshed' : 'mfe.expired');
    if (!refreshes) return this.#remove(entry);
    this.restart(entry);
    this.#refresh(entry);
  }
}
