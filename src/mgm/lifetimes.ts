/**
 * The life of forwarding entries (section 5.6): a fixed time-out each, checked by one timer armed for the earliest end.
 * At its end an entry that carried traffic is decided anew in place (D-MFE-1), any other is deleted (D-MFE-2).
 */
import { KernelError } from '../base/errors.js';
import type { Timer } from '../port/clock.js';
import type { Core } from './core.js';
import type { Entry } from './state.js';

export const DEFAULT_TIMEOUT_SEC = 900;
/** Ends handled in one turn; each costs a counter reading and perhaps callbacks. */
/** D-PA-2: bounds of what a client may ask for. */
const [SHORTEST_SEC, LONGEST_SEC] = [10, 86_400];
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
    entry.startedAtMs = this.#core.nowMs;
    entry.timeoutSec = timeoutSec;
    this.#armFor(entry.deadlineMs);
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
    const nowMs = this.#core.nowMs;
    const due: Entry[] = [];
    for (const entry of this.#core.entries) if (entry.deadlineMs <= nowMs) due.push(entry);
    for (const entry of due.slice(0, PER_TURN)) this.#end(entry);
    let next = Infinity;
    for (const entry of this.#core.entries) next = Math.min(next, entry.deadlineMs);
    if (next !== Infinity) this.#armFor(Math.max(next, nowMs));
  }

  #end(entry: Entry): void {
    const refreshes = this.#core.config.mfeExpiry === 'refresh' && entry.outputs !== 0 && this.#carriedTraffic(entry);
    this.#core.count(refreshes ? 'mfe.refreshed' : 'mfe.expired');
    if (!refreshes) return this.#remove(entry);
    this.restart(entry);
    this.#refresh(entry);
  }

  /** Packets on the right interface since the last check; the kernel's count includes the wrong ones (K-16). */
  #carriedTraffic(entry: Entry): boolean {
    const counters = this.#core.ports.mroute.mfcCounters(entry.source, entry.group);
    if (counters instanceof KernelError) return false;
    const right = counters.packets - counters.wrongIf;
    const carried = right > entry.seenPackets;
    entry.seenPackets = right;
    return carried;
  }
}
