/**
 * Longest-prefix match over IPv4 prefixes, from prefix to a number that the caller chooses. A path-compressed bit trie in one
 * typed array: a node is four integers, so that a look-up among 100,000 prefixes touches some twenty cache lines and
 * allocates nothing.
 */
import { type IpAddress, type Prefix, toU32 } from './ip.js';

/** Offsets within a node; the first two are also the children by the next bit of the address. */
const RIGHT = 1;
const NETWORK = 2;
/** The identity plus one (0: none; the node only branches), shifted left, and the prefix length. */
const TAG = 3;
const NODE = 4;
const LENGTH_BITS = 6;
const LENGTH_MASK = (1 << LENGTH_BITS) - 1;
const ID_MASK = ~LENGTH_MASK;

/** No node, as a child; the first node's place stays empty. */
const NONE = 0;

/** What `lookup` and `find` answer when there is nothing. */
export const NO_MATCH = -1;

/** Identities are 0..MAX_ID. */
export const MAX_ID = 2 ** (31 - LENGTH_BITS) - 2;

export class Lpm {
  #nodes = new Int32Array(64 * NODE);
  #root = NONE;
  #end = NODE;
  /** Freed nodes, chained by their first integer. */
  #free = NONE;
  #size = 0;

  /** How many prefixes are in it. */
  get size(): number {
    return this.#size;
  }

  /** The identity of the longest prefix that contains `address`, or NO_MATCH. */
  lookup(address: IpAddress): number {
    const nodes = this.#nodes;
    const bits = toU32(address) | 0;
    let best = 0;
    for (let node = this.#root; node !== NONE; ) {
      const tag = nodes[node + TAG]!;
      const length = tag & LENGTH_MASK;
      if (Math.clz32(bits ^ nodes[node + NETWORK]!) < length) break;
      if (tag > LENGTH_MASK) best = tag;
      if (length === 32) break;
      node = nodes[node + ((bits >>> (31 - length)) & 1)]!;
    }
    return (best >>> LENGTH_BITS) - 1;
  }

  /** The identity of exactly this prefix, or NO_MATCH. */
  find({ network, length }: Prefix): number {
    const nodes = this.#nodes;
    const bits = toU32(network) | 0;
    let node = this.#root;
    while (node !== NONE) {
      const tag = nodes[node + TAG]!;
      const have = tag & LENGTH_MASK;
      if (have >= length)
        return have === length && nodes[node + NETWORK] === bits ? (tag >>> LENGTH_BITS) - 1 : NO_MATCH;
      node = nodes[node + ((bits >>> (31 - have)) & 1)]!;
    }
    return NO_MATCH;
  }

  /** Whether some prefix is inside of this one, or is this one. */
  hasWithin({ network, length }: Prefix): boolean {
    const nodes = this.#nodes;
    const bits = toU32(network) | 0;
    let node = this.#root;
    while (node !== NONE) {
      const have = nodes[node + TAG]! & LENGTH_MASK;
      const common = Math.clz32(bits ^ nodes[node + NETWORK]!);
      // A node that is none of the prefixes has two of them below it.
      if (have >= length) return common >= length;
      if (common < have) return false;
      node = nodes[node + ((bits >>> (31 - have)) & 1)]!;
    }
    return false;
  }

  /** Puts a prefix without host bits in, or gives it another identity. */
  insert({ network, length }: Prefix, id: number): void {
    const bits = toU32(network) | 0;
    const tag = ((id + 1) << LENGTH_BITS) | length;
    let parent = NONE;
    let side = 0;
    let node = this.#root;
    while (node !== NONE) {
      const have = this.#nodes[node + TAG]! & LENGTH_MASK;
      const common = Math.min(Math.clz32(bits ^ this.#nodes[node + NETWORK]!), have, length);
      if (common < have) return this.#insertAbove(parent, side, node, common, bits, tag);
      if (have === length) return this.#name(node, tag);
      parent = node;
      side = (bits >>> (31 - have)) & 1;
      node = this.#nodes[node + side]!;
    }
    this.#size++;
    this.#link(parent, side, this.#take(bits, tag));
  }

  /** Takes a prefix out. False: it was not there. */
  remove({ network, length }: Prefix): boolean {
    const bits = toU32(network) | 0;
    let above = NONE;
    let aboveSide = 0;
    let parent = NONE;
    let side = 0;
    let node = this.#root;
    for (;;) {
      if (node === NONE) return false;
      const have = this.#nodes[node + TAG]! & LENGTH_MASK;
      if (have > length) return false;
      if (have === length) break;
      above = parent;
      aboveSide = side;
      parent = node;
      side = (bits >>> (31 - have)) & 1;
      node = this.#nodes[node + side]!;
    }
    if (this.#nodes[node + NETWORK] !== bits || !this.#isNamed(node)) return false;
    this.#size--;
    this.#nodes[node + TAG]! &= LENGTH_MASK;
    this.#shorten(parent, side, node);
    if (parent !== NONE && !this.#isNamed(parent)) this.#shorten(above, aboveSide, parent);
    return true;
  }

  clear(): void {
    this.#root = NONE;
    this.#end = NODE;
    this.#free = NONE;
    this.#size = 0;
  }

  /** `node` does not contain the new prefix: they go below a branch at their first difference, or the new one above it. */
  #insertAbove(parent: number, side: number, node: number, common: number, bits: number, tag: number): void {
    this.#size++;
    const added = this.#take(bits, tag);
    const network = this.#nodes[node + NETWORK]!;
    if ((tag & LENGTH_MASK) === common) {
      this.#link(added, (network >>> (31 - common)) & 1, node);
      return this.#link(parent, side, added);
    }
    const branch = this.#take(common === 0 ? 0 : bits & (-1 << (32 - common)), common);
    this.#link(branch, (network >>> (31 - common)) & 1, node);
    this.#link(branch, (bits >>> (31 - common)) & 1, added);
    this.#link(parent, side, branch);
  }

  #name(node: number, tag: number): void {
    if (!this.#isNamed(node)) this.#size++;
    this.#nodes[node + TAG] = tag;
  }

  #isNamed(node: number): boolean {
    return (this.#nodes[node + TAG]! & ID_MASK) !== 0;
  }

  /** Takes out a node without identity that does not branch. */
  #shorten(parent: number, side: number, node: number): void {
    const left = this.#nodes[node]!;
    const right = this.#nodes[node + RIGHT]!;
    if (left !== NONE && right !== NONE) return;
    this.#link(parent, side, left === NONE ? right : left);
    this.#nodes[node] = this.#free;
    this.#free = node;
  }

  #link(parent: number, side: number, node: number): void {
    if (parent === NONE) this.#root = node;
    else this.#nodes[parent + side] = node;
  }

  #take(network: number, tag: number): number {
    let node = this.#free;
    if (node !== NONE) this.#free = this.#nodes[node]!;
    else {
      node = this.#end;
      this.#end += NODE;
      if (this.#end > this.#nodes.length) this.#grow();
    }
    this.#nodes[node] = NONE;
    this.#nodes[node + RIGHT] = NONE;
    this.#nodes[node + NETWORK] = network;
    this.#nodes[node + TAG] = tag;
    return node;
  }

  #grow(): void {
    const larger = new Int32Array(this.#nodes.length * 2);
    larger.set(this.#nodes);
    this.#nodes = larger;
  }
}
