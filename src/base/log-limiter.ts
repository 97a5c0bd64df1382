/**
 * Bounds the log lines that strangers can cause (F54): per reason a burst, then a slow rate. The line that passes says how
 * many of its kind were held back.
 */
import { TokenBucket } from './token-bucket.js';

/** A reason may hold the name of an interface or a client, and these come and go. */
const MAX_REASONS = 256;

export class LogLimiter {
  /** By reason, the one used last at the end. */
  readonly #buckets = new Map<string, TokenBucket>();
  /** Shared by new reasons while 256 others are in use. */
  readonly #others: TokenBucket;

  constructor(
    readonly burst: number,
    readonly perSecond: number,
  ) {
    this.#others = new TokenBucket(burst, perSecond, 0);
  }

  /**
   * The number of lines held back for this reason since the last one that passed, when one more may pass now; otherwise
   * undefined. `burst` counts for a reason that is new.
   */
  take(reason: string, nowMs: number, burst: number = this.burst): number | undefined {
    const known = this.#buckets.get(reason);
    if (known) this.#buckets.delete(reason);
    else if (!this.#hasRoom(nowMs)) return this.#others.take(nowMs);
    const bucket = known ?? new TokenBucket(burst, this.perSecond, nowMs);
    this.#buckets.set(reason, bucket);
    return bucket.take(nowMs);
  }

  /** Forgets the reason that was used longest ago, when it has its whole burst again. */
  #hasRoom(nowMs: number): boolean {
    if (this.#buckets.size < MAX_REASONS) return true;
    const [oldest] = this.#buckets;
    return oldest !== undefined && oldest[1].isFull(nowMs) && this.#buckets.delete(oldest[0]);
  }
}
