/**
 * The forwarding entries by when their life ends, and by how long they have been what they are: negative (without outputs) or
 * wanted. Pure bookkeeping; `lifetimes.ts` and `entry-budget.ts` say who goes.
 */
import { AgeList } from '../base/age-list.js';
import { DeadlineHeap } from '../base/deadline-heap.js';
import type { Entry } from './state.js';

export class EntryAges {
  readonly deadlines = new DeadlineHeap<Entry>();
  readonly negative = new AgeList<Entry>();
  /** Entries with outputs, in the order of when their traffic was last looked at. */
  readonly wanted = new AgeList<Entry>();

  /** The entry becomes the youngest of its kind. */
  rank(entry: Entry, nowMs: number): void {
    this.#unrank(entry);
    entry.rank = entry.outputs === 0 ? 'negative' : 'wanted';
    entry.rankedAtMs = nowMs;
    this.#listOf(entry)?.put(entry);
  }

  /** Harmless when the entry is not there. */
  remove(entry: Entry): void {
    this.#unrank(entry);
    this.deadlines.remove(entry);
  }

  #unrank(entry: Entry): void {
    this.#listOf(entry)?.take(entry);
    entry.rank = 'none';
  }

  #listOf({ rank }: Entry): AgeList<Entry> | undefined {
    if (rank === 'none') return undefined;
    return rank === 'negative' ? this.negative : this.wanted;
  }
}
