/** Time for tests: stands still until a test moves it. */
import type { Clock, Timer } from '../../src/port/clock.js';

interface Armed {
  readonly atMs: number;
  readonly order: number;
  readonly fire: () => void;
}

export class FakeClock implements Clock {
  #nowMs: number;
  #armed = new Set<Armed>();
  #order = 0;

  constructor(startMs = 1_000_000) {
    this.#nowMs = startMs;
  }

  nowMs(): number {
    return this.#nowMs;
  }

  after(delayMs: number, fire: () => void): Timer {
    const armed = { atMs: this.#nowMs + Math.max(0, delayMs), order: this.#order++, fire };
    this.#armed.add(armed);
    return { cancel: () => void this.#armed.delete(armed) };
  }

  /** The process that armed them is dead. */
  forgetTimers(): void {
    this.#armed.clear();
  }

  /** The number of timers that have neither fired nor been cancelled. */
  due(): number {
    return this.#armed.size;
  }

  /** Milliseconds until the next timer, or undefined. */
  nextMs(): number | undefined {
    const next = this.#next(Number.POSITIVE_INFINITY);
    return next && next.atMs - this.#nowMs;
  }

  /** Moves time on and fires what comes due, in order, including what is armed on the way. */
  advance(ms: number): void {
    const untilMs = this.#nowMs + ms;
    for (let next = this.#next(untilMs); next; next = this.#next(untilMs)) this.#fire(next);
    this.#nowMs = untilMs;
  }

  /** Like `advance`, but lets promises and microtasks run before, between and after the timers. */
  async run(ms: number): Promise<void> {
    const untilMs = this.#nowMs + ms;
    await settle();
    for (let next = this.#next(untilMs); next; next = this.#next(untilMs)) {
      this.#fire(next);
      await settle();
    }
    this.#nowMs = untilMs;
  }

  #next(untilMs: number): Armed | undefined {
    let first: Armed | undefined;
    for (const armed of this.#armed) if (armed.atMs <= untilMs && (!first || armed.atMs < first.atMs)) first = armed;
    return first; // a Set keeps the order of arming, so equal times fire in that order
  }

  #fire(armed: Armed): void {
    this.#armed.delete(armed);
    this.#nowMs = Math.max(this.#nowMs, armed.atMs);
    armed.fire();
  }
}

/** Lets every microtask run, also those that microtasks start: a full turn of the event loop. */
export function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
