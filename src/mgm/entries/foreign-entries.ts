/** Entries that somebody else wrote into the table: a bounded number of them to show, the others only counted. */
import { formatIp } from '../../base/ip.js';
import type { DumpedMfc } from '../../port/kernel.js';

/** Entries that are kept to be shown. */
export const MOST_SHOWN = 1000;

export class ForeignEntries {
  readonly #shown = new Map<string, DumpedMfc>();
  #others = 0;
  readonly #before: ReadonlyMap<string, DumpedMfc>;
  readonly #othersBefore: number;

  /** `before`: as an earlier look found them. */
  constructor(before?: ForeignEntries) {
    this.#before = before ? before.#shown : new Map();
    this.#othersBefore = before ? before.#others : 0;
  }

  /** How many there are. */
  get size(): number {
    return this.#shown.size + this.#others;
  }

  /** Entries that are shown. */
  values(): Iterable<DumpedMfc> {
    return this.#shown.values();
  }

  /** True: it was not there before, as far as is known: of those that are not shown only the number is. */
  add(seen: DumpedMfc): boolean {
    const name = nameOf(seen);
    const isKnown = this.#before.has(name);
    if (isKnown || this.#shown.size < MOST_SHOWN) {
      this.#shown.set(name, seen);
      return !isKnown;
    }
    return ++this.#others > this.#othersBefore;
  }

  drop(seen: DumpedMfc): void {
    if (!this.#shown.delete(nameOf(seen))) this.#others--;
  }
}

function nameOf({ source, group }: DumpedMfc): string {
  return `${formatIp(source)} ${formatIp(group)}`;
}
