/** Limits beside those of a group table: groups on all interfaces together, and queries that leaves may cause. */
import { TokenBucket } from '../base/token-bucket.js';

/** Shared by all interfaces. `limit` 0: none. */
export class GroupBudget {
  #used = 0;

  constructor(readonly limit: number) {}

  get used(): number {
    return this.#used;
  }

  /** False: all of them are in use. */
  take(): boolean {
    if (this.limit > 0 && this.#used >= this.limit) return false;
    this.#used++;
    return true;
  }

  giveBack(count: number): void {
    this.#used -= count;
  }
}

/**
 * The specific queries of an interface (igmp.md section 17.2: a flood of leaves must not become a storm of queries).
 * What is asked once is asked `transmissions` times, so that many tokens go at once.
 */
export class QueryBudget {
  readonly #cyclesPerSec: number;
  #bucket: TokenBucket | undefined;

  /** `perSec` 0: no limit. */
  constructor(perSec: number, transmissions: number) {
    this.#cyclesPerSec = perSec / transmissions;
  }

  /** False: the leave is not acted on, and timers stay as they are. */
  take(nowMs: number): boolean {
    if (this.#cyclesPerSec === 0) return true;
    this.#bucket ??= new TokenBucket(Math.max(1, this.#cyclesPerSec), this.#cyclesPerSec, nowMs);
    return this.#bucket.take(nowMs) !== undefined;
  }
}
