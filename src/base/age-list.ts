/**
 * Items in the order in which they were put there, the oldest first. The links are fields of the items, so that putting, moving
 * and taking out cost the same however many there are, and nothing is allocated.
 */

/** What an item carries; only the list writes it. */
export interface Aged<T> {
  older: T | undefined;
  younger: T | undefined;
}

export class AgeList<T extends Aged<T>> {
  #oldest: T | undefined;
  #youngest: T | undefined;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get oldest(): T | undefined {
    return this.#oldest;
  }

  /** `item` must not be in a list. */
  put(item: T): void {
    item.older = this.#youngest;
    if (this.#youngest) this.#youngest.younger = item;
    else this.#oldest = item;
    this.#youngest = item;
    this.#size++;
  }

  /** `item` must be in this list. */
  take(item: T): void {
    const { older, younger } = item;
    if (older) older.younger = younger;
    else this.#oldest = younger;
    if (younger) younger.older = older;
    else this.#youngest = older;
    item.older = undefined;
    item.younger = undefined;
    this.#size--;
  }
}
