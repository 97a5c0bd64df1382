/** Time as pure code sees it. */
export interface Timer {
  /** Cancelling twice, or after firing, is harmless. */
  cancel(): void;
}

export interface Clock {
  /** Monotonic milliseconds since an arbitrary start. Never the wall clock. */
  nowMs(): number;
  /** Calls `fire` once, never early, always in a later turn. */
  after(delayMs: number, fire: () => void): Timer;
}
