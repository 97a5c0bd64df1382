/**
 * Membership keys in order: by group, then by source, both unsigned. Blocks of a bounded length, so that adding, deleting
 * and finding the key behind another one take logarithmic time and a short copy, however long the table is.
 */
import type { MembershipKey } from './client.js';
import { compareKeys } from './keys.js';

/** Longer blocks are halved. */
const BLOCK = 512;

export class OrderedKeys<T extends MembershipKey> {
  /** Never empty ones. */
  readonly #blocks: T[][] = [];

  /** Replaces one with an equal key. */
  set(value: T): void {
    const at = this.#blockOf(value);
    const block = this.#blocks[at];
    if (!block) {
      this.#blocks.push([value]);
      return;
    }
    const place = firstNotBefore(block, value);
    const found = block[place];
    const replaced = found && compareKeys(found, value) === 0 ? 1 : 0;
    block.splice(place, replaced, value);
    if (block.length > BLOCK) this.#blocks.splice(at + 1, 0, block.splice(BLOCK / 2));
  }

  delete(key: MembershipKey): void {
    const at = this.#blockOf(key);
    const block = this.#blocks[at];
    const place = block ? firstNotBefore(block, key) : 0;
    if (!block?.[place] || compareKeys(block[place], key) !== 0) return;
    block.splice(place, 1);
    if (block.length === 0) this.#blocks.splice(at, 1);
  }

  /** The first one behind `key`, which need not be there (any more); without a key the first of all. */
  after(key?: MembershipKey): T | undefined {
    if (!key) return this.#blocks[0]?.[0];
    const at = this.#blockOf(key);
    const block: readonly T[] = this.#blocks[at] ?? [];
    const place = firstNotBefore(block, key);
    const found = block[place];
    const next = found && compareKeys(found, key) === 0 ? block[place + 1] : found;
    return next ?? this.#blocks[at + 1]?.[0];
  }

  /** In order. A cursor: what is there from first to last comes once, whatever is added and deleted meanwhile. */
  *all(): Generator<T, void> {
    for (let value = this.after(); value !== undefined; value = this.after(value)) yield value;
  }

  /** The block that holds the key or should: the last one that begins at it or before it. */
  #blockOf(key: MembershipKey): number {
    let low = 0;
    let high = this.#blocks.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (compareKeys(this.#blocks[middle]![0]!, key) > 0) high = middle;
      else low = middle + 1;
    }
    return Math.max(0, low - 1);
  }
}

function firstNotBefore(block: readonly MembershipKey[], key: MembershipKey): number {
  let low = 0;
  let high = block.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compareKeys(block[middle]!, key) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}
