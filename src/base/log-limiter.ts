/**
 * Bounds the log lines that strangers can cause (F54): per reason a burst, then a slow rate. The line that passes says how
 * many of its kind were held back.
 */
import { TokenBucket } from './token-bucket.js';

/** Reasons are words of our own; should one ever hold a stranger's text, the rest share one bucket. */
const MAX_REASONS = 256;

export class LogLimiter {
  readonly #buckets = new Map<string, TokenBucket>();

  constructor(
    readonly burst: number,
    readonly perSecond: number,
  ) {}

  /**
   * The number of lines held back for this reason since the last one that passed, when one more may pass now; otherwise
   * undefined. `burst` counts for a reason that is new.
   */
  take(reason: string, nowMs: number, burst: number = this.burst): number | undefined {
    const key = this.#buckets.has(reason) || this.#buckets.size < MAX_REASONS ? reason : '';
    let bucket = this.#buckets.get(key);
    if (bucket === undefined) this.#buckets.set(key, (bucket = new TokenBucket(burst, this.perSecond, nowMs)));
    return bucket.take(nowMs);
  }
}
