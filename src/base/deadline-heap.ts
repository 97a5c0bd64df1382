/**
 * The deadlines of many items: a binary heap in which every item knows its place, so that one clock timer serves them all. A
 * deadline that moves later costs nothing: the item keeps its early place and is looked at again when that comes.
 */

/** What an item carries; only the heap writes it. */
export interface Queued {
  /** When the item is to be looked at, milliseconds of the clock; not later than its earliest timer. */
  queuedMs: number;
  /** -1: not in the heap. */
  heapIndex: number;
}

export class DeadlineHeap<T extends Queued> {
  readonly #items: T[] = [];

  get size(): number {
    return this.#items.length;
  }

  get first(): T | undefined {
    return this.#items[0];
  }

  /** Infinity when empty. */
  get earliestMs(): number {
    return this.#items[0]?.queuedMs ?? Number.POSITIVE_INFINITY;
  }

  /** Looks at the item at `ms` or before; free when it is queued for an earlier time already. */
  noLaterThan(item: T, ms: number): void {
    if (item.heapIndex < 0) {
      item.heapIndex = this.#items.length;
      this.#items.push(item);
    } else if (item.queuedMs <= ms) {
      return;
    }
    item.queuedMs = ms;
    this.#rise(item);
  }

  /** Moves a queued item to a later time. */
  postpone(item: T, ms: number): void {
    item.queuedMs = ms;
    this.#sink(item);
  }

  /** Harmless when the item is not queued. */
  remove(item: T): void {
    const at = item.heapIndex;
    if (at < 0) return;
    item.heapIndex = -1;
    const last = this.#items.pop()!;
    if (last === item) return;
    this.#put(last, at);
    this.#rise(last);
    this.#sink(last);
  }

  clear(): void {
    for (const item of this.#items) item.heapIndex = -1;
    this.#items.length = 0;
  }

  #put(item: T, at: number): void {
    this.#items[at] = item;
    item.heapIndex = at;
  }

  #rise(item: T): void {
    let at = item.heapIndex;
    while (at > 0) {
      const parentAt = (at - 1) >> 1;
      const parent = this.#items[parentAt]!;
      if (parent.queuedMs <= item.queuedMs) break;
      this.#put(parent, at);
      at = parentAt;
    }
    this.#put(item, at);
  }

  #sink(item: T): void {
    const items = this.#items;
    let at = item.heapIndex;
    for (;;) {
      let childAt = 2 * at + 1;
      if (childAt >= items.length) break;
      if (childAt + 1 < items.length && items[childAt + 1]!.queuedMs < items[childAt]!.queuedMs) childAt++;
      const child = items[childAt]!;
      if (child.queuedMs >= item.queuedMs) break;
      this.#put(child, at);
      at = childAt;
    }
    this.#put(item, at);
  }
}
