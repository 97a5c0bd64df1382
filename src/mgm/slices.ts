/** Long work in small steps, so that ten thousand entries do not stop the event loop. */
import type { Core } from './core.js';
import type { Courier } from './courier.js';

/** How long one slice may hold the event loop. */
const SLICE_MS = 5;
/** Steps between two looks at the clock. */
const STEPS_PER_LOOK = 64;

/** Runs the steps of `work`, as many a turn as fit; `waits` gets the way to stop before each further turn, and undefined at the end. */
export function inSlices(
  core: Core,
  courier: Courier,
  work: Iterator<void>,
  waits: (cancel: (() => void) | undefined) => void,
): void {
  const startedMs = core.nowMs;
  for (let step = 1; !work.next().done; step++) {
    if (step % STEPS_PER_LOOK !== 0 || core.nowMs - startedMs < SLICE_MS) continue;
    const timer = core.ports.clock.after(0, () => courier.enter(() => inSlices(core, courier, work, waits)));
    return waits(() => timer.cancel());
  }
  waits(undefined);
}
