/**
 * Long work in small steps: what a step of one message touches may be twenty thousand flows. So many steps at once, then the rest
 * a few milliseconds later, between other work. What waits already is not put twice: it is done once more from its start.
 */

/** Each may cost a write into the kernel. */
const STEPS_PER_WINDOW = 256;
const WINDOW_MS = 5;

export class Work {
  /** In the order it came. */
  readonly #jobs = new Map<unknown, Iterator<void>>();
  /** Asked for again while it ran. */
  readonly #again = new Map<unknown, () => Iterator<void>>();
  #left = STEPS_PER_WINDOW;
  #windowMs = Number.NEGATIVE_INFINITY;
  #isRunning = false;
  nowMs = 0;

  /** Infinity when nothing waits. */
  get nextDeadlineMs(): number {
    return this.#jobs.size === 0 ? Number.POSITIVE_INFINITY : this.#windowMs + WINDOW_MS;
  }

  /** Begins at once where there is time. `subject` names what the work is about. */
  add(nowMs: number, subject: unknown, make: () => Iterator<void>): void {
    if (this.#jobs.has(subject)) {
      this.#again.set(subject, make);
      return;
    }
    this.#jobs.set(subject, make());
    this.run(nowMs);
  }

  run(nowMs: number): void {
    if (this.#isRunning) return;
    this.#isRunning = true;
    this.nowMs = nowMs;
    if (nowMs >= this.#windowMs + WINDOW_MS) {
      this.#windowMs = nowMs;
      this.#left = STEPS_PER_WINDOW;
    }
    while (this.#left > 0 && this.#jobs.size > 0) this.#runFirst();
    this.#isRunning = false;
  }

  clear(): void {
    this.#jobs.clear();
    this.#again.clear();
  }

  #runFirst(): void {
    const [subject, job] = this.#jobs.entries().next().value!;
    for (; this.#left > 0; this.#left--) {
      if (!job.next().done) continue;
      this.#end(subject);
      return;
    }
  }

  /** Once more only after the others. */
  #end(subject: unknown): void {
    this.#jobs.delete(subject);
    const again = this.#again.get(subject);
    this.#again.delete(subject);
    if (again) this.#jobs.set(subject, again());
  }
}
