/** What became of a stream of numbered packets: received, lost, duplicated, reordered. Pure. */

/** Raw counts of one stream at one receiver; what was lost follows from what was sent (`lostOf`). */
export interface StreamCounts {
  /** The first number that counts; what came before is warm-up. */
  readonly base: number;
  /** The highest number seen plus one. */
  readonly next: number;
  /** Different numbers from `base` on. */
  readonly received: number;
  /** Packets whose number had been seen before. */
  readonly duplicated: number;
  /** Packets that came after one with a higher number. */
  readonly reordered: number;
}

/** `sent` is the number of packets the sender numbered from 0; without it, what the highest number seen tells. */
export function lostOf(counts: StreamCounts, sent = counts.next): number {
  return Math.max(0, Math.max(sent, counts.next) - counts.base - counts.received);
}

/** How far back a late packet is told from a duplicate, in packets; a multiple of 8. */
const WINDOW = 65_536;

export class SequenceTracker {
  readonly #seen = new Uint8Array(WINDOW / 8);
  #base = 0;
  #next = 0;
  #received = 0;
  #duplicated = 0;
  #reordered = 0;

  /** Counting starts with the number after the highest one seen so far. */
  begin(): void {
    this.#base = this.#next;
    this.#received = 0;
    this.#duplicated = 0;
    this.#reordered = 0;
  }

  /** `sequence`: a uint32. A packet from before `begin` does not count, however late it comes. */
  accept(sequence: number): void {
    if (sequence < this.#base) return;
    if (sequence >= this.#next) this.#advance(sequence + 1);
    else if (sequence < this.#next - WINDOW || this.#marked(sequence)) return void this.#duplicated++;
    else this.#reordered++;
    this.#mark(sequence);
    this.#received++;
  }

  counts(): StreamCounts {
    return {
      base: this.#base,
      next: this.#next,
      received: this.#received,
      duplicated: this.#duplicated,
      reordered: this.#reordered,
    };
  }

  /** Forgets the marks of the numbers that enter the window. */
  #advance(next: number): void {
    if (next - this.#next >= WINDOW) this.#seen.fill(0);
    else for (let sequence = this.#next; sequence < next; sequence++) this.#unmark(sequence);
    this.#next = next;
  }

  #marked(sequence: number): boolean {
    return ((this.#seen[(sequence % WINDOW) >>> 3]! >>> (sequence & 7)) & 1) === 1;
  }

  #mark(sequence: number): void {
    this.#seen[(sequence % WINDOW) >>> 3]! |= 1 << (sequence & 7);
  }

  #unmark(sequence: number): void {
    this.#seen[(sequence % WINDOW) >>> 3]! &= ~(1 << (sequence & 7));
  }
}
