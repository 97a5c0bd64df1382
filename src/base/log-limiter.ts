/**
 * Bounds the log lines that strangers can cause (F54): per reason a burst, then a slow rate. The line that passes says how
 * many of its kind were held back. Where the last ones of a burst are followed by none, a summary says so.
 */
import { TokenBucket } from './token-bucket.js';

/** A reason may hold the name of an interface or a client, and these come and go. */
const MAX_REASONS = 256;

export interface Summaries {
  readonly clock: {
    nowMs(): number;
    after(delayMs: number, fire: () => void): { cancel(): void };
  };
  /** Writes a line about so many that were held back for the reason; '' stands for all beyond 256. */
  readonly tell: (reason: string, heldBack: number) => void;
}

export class LogLimiter {
  /** By reason, the one used last at the end. */
  readonly #buckets = new Map<string, TokenBucket>();
  /** Shared by new reasons while 256 others are in use. */
  readonly #others: TokenBucket;
  readonly #summaries: Summaries | undefined;
  #timer: { cancel(): void } | undefined;

  constructor(
    readonly burst: number,
    readonly perSecond: number,
    summaries?: Summaries,
  ) {
    this.#others = new TokenBucket(burst, perSecond, 0);
    this.#summaries = summaries;
  }

  /**
   * The number of lines held back for this reason since the last one that passed, when one more may pass now; otherwise
   * undefined. `burst` counts for a reason that is new.
   */
  take(reason: string, nowMs: number, burst: number = this.burst): number | undefined {
    const heldBack = this.#bucketOf(reason, nowMs, burst).take(nowMs);
    if (heldBack === undefined) this.#summarizeLater();
    return heldBack;
  }

  #bucketOf(reason: string, nowMs: number, burst: number): TokenBucket {
    const known = this.#buckets.get(reason);
    if (known) this.#buckets.delete(reason);
    else if (!this.#hasRoom(nowMs)) return this.#others;
    const bucket = known ?? new TokenBucket(burst, this.perSecond, nowMs);
    this.#buckets.set(reason, bucket);
    return bucket;
  }

  /** Leaves no timer behind. */
  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  /** After twice the time that a line takes to pass: whatever goes on has been told by lines of its own until then. */
  #summarizeLater(): void {
    if (this.#summaries === undefined || this.#timer !== undefined) return;
    this.#timer = this.#summaries.clock.after(2000 / this.perSecond, () => this.#summarize(this.#summaries!));
  }

  #summarize({ clock, tell }: Summaries): void {
    this.#timer = undefined;
    for (const [reason, bucket] of [...this.#buckets, ['', this.#others] as const]) {
      if (bucket.heldBack === 0) continue;
      const heldBack = bucket.take(clock.nowMs());
      if (heldBack === undefined) this.#summarizeLater();
      else tell(reason, heldBack);
    }
  }

  /** Forgets the reason that was used longest ago, when it has its whole burst again. */
  #hasRoom(nowMs: number): boolean {
    if (this.#buckets.size < MAX_REASONS) return true;
    const [oldest] = this.#buckets;
    return oldest !== undefined && oldest[1].isFull(nowMs) && this.#buckets.delete(oldest[0]);
  }
}
