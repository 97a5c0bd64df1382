/** Long work in small steps, so that whatever there is much of does not stop the event loop. */
import type { Answer } from '../base/answer.js';
import type { Timer } from '../port/clock.js';
import type { Core } from './core.js';
import type { Courier } from './clients/courier.js';

/** How long one slice may hold the event loop, and how many steps it has at most. */
const SLICE_MS = 5;
export const STEPS_PER_SLICE = 1024;
/** Steps between two looks at the clock. */
const STEPS_PER_LOOK = 32;

/** Runs the steps of `work`, as many a turn as fit; `waits` gets the way to stop before each further turn, and undefined at the end. */
export function inSlices(
  core: Core,
  courier: Courier,
  work: Iterator<void>,
  waits: (cancel: (() => void) | undefined) => void,
): void {
  const startedMs = core.nowMs;
  for (let step = 1; !work.next().done; step++) {
    if (!isSliceOver(core, step, startedMs)) continue;
    const timer = core.ports.clock.after(0, () => courier.enter(() => inSlices(core, courier, work, waits)));
    return waits(() => timer.cancel());
  }
  waits(undefined);
}

/** One piece of long work after the other. What is small and finds nothing before it is done at once. */
export class Slices {
  readonly #core: Core;
  readonly #courier: Courier;
  readonly #works: { readonly steps: Iterator<void>; readonly ended: () => void }[] = [];
  #timer: Timer | undefined;

  constructor(core: Core, courier: Courier) {
    this.#core = core;
    this.#courier = courier;
  }

  /** At once when nothing else is under way, else after it; `ended` is called when it is done, or stopped. */
  run(steps: Iterator<void>, ended: () => void = () => {}): void {
    if (this.#works.push({ steps, ended }) === 1) this.#slice();
  }

  /** The answer comes when the work is done, or stopped. */
  done(steps: Iterator<void>): Answer<void> {
    let answer = (): void => void (isDone = true);
    let isDone = false;
    this.run(steps, () => answer());
    return isDone ? undefined : new Promise((resolve) => (answer = resolve));
  }

  /** Ends all work now, for who cannot go on before. Not from inside a step. */
  finish(): void {
    while (this.#works.length > 0) this.#step();
    this.stop();
  }

  /** What is not done yet stays undone. */
  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    for (const { ended } of this.#works.splice(0)) ended();
  }

  #slice(): void {
    const startedMs = this.#core.nowMs;
    for (let step = 1; this.#works.length > 0; step++) {
      this.#step();
      if (!isSliceOver(this.#core, step, startedMs)) continue;
      this.#timer = this.#core.ports.clock.after(0, () => this.#courier.enter(() => this.#slice()));
      return;
    }
    this.#timer = undefined;
  }

  #step(): void {
    const { steps, ended } = this.#works[0]!;
    if (!steps.next().done) return;
    this.#works.shift();
    ended();
  }
}

function isSliceOver(core: Core, step: number, startedMs: number): boolean {
  if (step >= STEPS_PER_SLICE) return true;
  return step % STEPS_PER_LOOK === 0 && core.nowMs - startedMs >= SLICE_MS;
}
