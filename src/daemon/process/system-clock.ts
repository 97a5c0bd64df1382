/** The clock of this machine: CLOCK_MONOTONIC, which no administrator sets and which stands still in suspend (F51). */
import type { Clock, Timer } from '../../port/clock.js';

/** Beyond this Node fires at once instead of late. */
const LONGEST_TIMEOUT_MS = 0x7fff_ffff;

export class SystemClock implements Clock {
  readonly #armed = new Set<NodeJS.Timeout>();

  nowMs(): number {
    return performance.now();
  }

  after(delayMs: number, fire: () => void): Timer {
    const dueMs = this.nowMs() + delayMs;
    let timeout: NodeJS.Timeout;
    const armed = this.#armed;
    // Node counts in whole milliseconds and may be early by a part of one.
    const arm = (waitMs: number) => {
      timeout = setTimeout(
        () => {
          armed.delete(timeout);
          const leftMs = dueMs - this.nowMs();
          if (leftMs > 0) arm(leftMs);
          else fire();
        },
        Math.min(Math.ceil(waitMs), LONGEST_TIMEOUT_MS),
      );
      armed.add(timeout);
    };
    arm(delayMs);
    const cancel = () => {
      armed.delete(timeout);
      clearTimeout(timeout);
    };
    return { cancel };
  }

  /** Nothing that waits fires any more: whoever set it has ended. */
  close(): void {
    for (const timeout of this.#armed) clearTimeout(timeout);
    this.#armed.clear();
  }
}
