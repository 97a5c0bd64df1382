/** A token bucket for whatever a stranger can trigger: log lines, queries, upcalls. Time comes from the caller, in milliseconds. */
export class TokenBucket {
  #tokens: number;
  #filledAtMs: number;
  #heldBack = 0;

  constructor(
    readonly burst: number,
    readonly perSecond: number,
    nowMs: number,
  ) {
    this.#tokens = burst;
    this.#filledAtMs = nowMs;
  }

  /** The whole burst may pass again. */
  isFull(nowMs: number): boolean {
    return this.#refilled(nowMs) >= this.burst;
  }

  get heldBack(): number {
    return this.#heldBack;
  }

  /** The number held back since the last success (0 or more) when one more may pass now, otherwise undefined. */
  take(nowMs: number): number | undefined {
    this.#tokens = this.#refilled(nowMs);
    this.#filledAtMs = nowMs;
    if (this.#tokens < 1) {
      this.#heldBack++;
      return undefined;
    }
    this.#tokens--;
    const heldBack = this.#heldBack;
    this.#heldBack = 0;
    return heldBack;
  }

  #refilled(nowMs: number): number {
    return Math.min(this.burst, this.#tokens + ((nowMs - this.#filledAtMs) * this.perSecond) / 1000);
  }
}
