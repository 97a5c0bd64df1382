/** The Neighbors2 message (dvmrp.md section 14): interfaces and neighbours of a router, for tools such as mrinfo. */
import { readU32, writeU32 } from '../../base/bytes.js';
import { ANY4, type IpAddress, ipv4, toU32 } from '../../base/ip.js';
import {
  BODY_LIMIT,
  CODE,
  type DecodeError,
  HEADER_LENGTH,
  OWN_CAPABILITIES,
  sealed,
  tooShort,
  writeHeader,
} from './header.js';

export const NEIGHBORS2_FLAG = {
  tunnel: 0x01,
  sourceRouted: 0x02,
  pim: 0x04,
  down: 0x10,
  disabled: 0x20,
  querier: 0x40,
  leaf: 0x80,
} as const;

const BLOCK_LENGTH = 8;
/** The count of a block is one octet. */
const NEIGHBORS_PER_BLOCK = 255;

/** What an answer says: Probe's capabilities without the masks, as mrouted's tools know them. */
const CAPABILITIES = OWN_CAPABILITIES & 0x0f;

export interface InterfaceBlock {
  readonly local: IpAddress;
  /** 0..255. */
  readonly metric: number;
  /** TTL threshold, 0..255. */
  readonly threshold: number;
  /** Bits of NEIGHBORS2_FLAG. */
  readonly flags: number;
  /** Nobody is written as one neighbour 0.0.0.0: mrinfo wants that. Of a tunnel, the remote end. */
  readonly neighbors: readonly IpAddress[];
}

const NOBODY: readonly IpAddress[] = [ANY4];

/**
 * Writes the answer as one message or several, each with at most `bodyLimit` octets behind its header; a block that does
 * not fit goes on in the next message under the same block header. `emit` gets the length of each message in `out`.
 */
export function encodeNeighbors2(
  out: Uint8Array,
  blocks: readonly InterfaceBlock[],
  emit: (length: number) => void,
  bodyLimit = BODY_LIMIT,
): void {
  const end = HEADER_LENGTH + bodyLimit;
  let at = HEADER_LENGTH;
  const flush = () => {
    writeHeader(out, CODE.neighbors2, CAPABILITIES);
    emit(sealed(out, at));
    at = HEADER_LENGTH;
  };
  for (const block of blocks) {
    const neighbors = block.neighbors.length === 0 ? NOBODY : block.neighbors;
    for (let from = 0; from < neighbors.length; ) {
      if (at + BLOCK_LENGTH + 4 > end) flush();
      const room = Math.floor((end - at - BLOCK_LENGTH) / 4);
      const to = Math.min(neighbors.length, from + room, from + NEIGHBORS_PER_BLOCK);
      at = writeBlock(out, at, block, neighbors, from, to);
      from = to;
    }
  }
  flush();
}

function writeBlock(
  out: Uint8Array,
  at: number,
  block: InterfaceBlock,
  neighbors: readonly IpAddress[],
  from: number,
  to: number,
): number {
  writeU32(out, at, toU32(block.local));
  out[at + 4] = block.metric;
  out[at + 5] = block.threshold;
  out[at + 6] = block.flags;
  out[at + 7] = to - from;
  let next = at + BLOCK_LENGTH;
  for (let n = from; n < to; n++, next += 4) writeU32(out, next, toU32(neighbors[n]!));
  return next;
}

export type BlockVisitor = (block: Omit<InterfaceBlock, 'neighbors'>, neighborsAt: number, count: number) => void;

/** Visits the blocks of a checked Neighbors2 in order; some may have been visited before an error. */
export function walkNeighbors2(b: Uint8Array, visit: BlockVisitor): DecodeError | undefined {
  for (let at = HEADER_LENGTH; at < b.length; ) {
    if (b.length < at + BLOCK_LENGTH) return tooShort(b, at + BLOCK_LENGTH);
    const count = b[at + 7]!;
    const end = at + BLOCK_LENGTH + 4 * count;
    if (b.length < end) return { kind: 'malformed', at };
    const local = ipv4(readU32(b, at));
    visit({ local, metric: b[at + 4]!, threshold: b[at + 5]!, flags: b[at + 6]! }, at + BLOCK_LENGTH, count);
    at = end;
  }
  return undefined;
}
