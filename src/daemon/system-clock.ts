/** The clock of this machine: CLOCK_MONOTONIC, which no administrator sets and which stands still in suspend (F51). */
import type { Clock, Timer } from '../port/clock.js';

/** Beyond this Node fires at once instead of late. */
const LONGEST_TIMEOUT_MS = 0x7fff_ffff;

export class SystemClock implements Clock {
  nowMs(): number {
    return performance.now();
  }

  after(delayMs: number, fire: () => void): Timer {
    const dueMs = this.nowMs() + delayMs;
    let timeout: NodeJS.Timeout;
    // Node counts in whole milliseconds and may be early by a part of one.
    const arm = (waitMs: number) => {
      timeout = setTimeout(
        () => {
          const leftMs = dueMs - this.nowMs();
          if (leftMs > 0) arm(leftMs);
          else fire();
        },
        Math.min(Math.ceil(waitMs), LONGEST_TIMEOUT_MS),
      );
    };
    arm(delayMs);
    return { cancel: () => clearTimeout(timeout) };
  }
}
