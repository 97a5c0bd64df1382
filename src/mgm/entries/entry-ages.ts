/**
 * The forwarding entries by when their life ends, and by how long they have been what they are: negative (without outputs) or
 * wanted. Pure bookkeeping; `lifetimes.ts` and `entry-budget.ts` say who goes.
 */
import { AgeList } from '../../base/age-list.js';
import { DeadlineHeap } from '../../base/deadline-heap.js';
import type { Entry, Interface } from '../state.js';

/** Entries by age for each incoming interface. There are no more of these than vifs, so that looking at all of them is cheap. */
export class AgesByInput {
  readonly #lists = new Map<Interface, AgeList<Entry>>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  countOf(input: Interface): number {
    return this.#lists.get(input)?.size ?? 0;
  }

  get oldest(): Entry | undefined {
    let oldest: Entry | undefined;
    for (const { oldest: entry } of this.#lists.values())
      if (entry && (!oldest || entry.rankedAtMs < oldest.rankedAtMs)) oldest = entry;
    return oldest;
  }

  /** The oldest of those that come in where most of them do. */
  get oldestOfMost(): Entry | undefined {
    let most: AgeList<Entry> | undefined;
    for (const list of this.#lists.values()) if (!most || list.size > most.size) most = list;
    return most?.oldest;
  }

  /** The entry keeps its place when its input changes, until it is taken out. */
  put(entry: Entry): void {
    entry.rankedInput = entry.iif;
    let list = this.#lists.get(entry.iif);
    if (!list) this.#lists.set(entry.iif, (list = new AgeList()));
    list.put(entry);
    this.#size++;
  }

  /** `entry` must be here. */
  take(entry: Entry): void {
    const input = entry.rankedInput!;
    const list = this.#lists.get(input)!;
    list.take(entry);
    if (list.size === 0) this.#lists.delete(input);
    entry.rankedInput = undefined;
    this.#size--;
  }
}

export class EntryAges {
  readonly deadlines = new DeadlineHeap<Entry>();
  readonly negative = new AgesByInput();
  /** Entries with outputs, in the order of when their traffic was last looked at. */
  readonly wanted = new AgesByInput();

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

  #listOf({ rank }: Entry): AgesByInput | undefined {
    if (rank === 'none') return undefined;
    return rank === 'negative' ? this.negative : this.wanted;
  }
}
