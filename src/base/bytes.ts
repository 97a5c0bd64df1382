/** Network-order reading and writing on byte arrays. Callers check the length first; nothing here throws or allocates. */

export function readU16(b: Uint8Array, at: number): number {
  return (b[at]! << 8) | b[at + 1]!;
}

/** Unsigned: 0..4294967295. */
export function readU32(b: Uint8Array, at: number): number {
  return ((b[at]! << 24) | (b[at + 1]! << 16) | (b[at + 2]! << 8) | b[at + 3]!) >>> 0;
}

export function writeU16(b: Uint8Array, at: number, value: number): void {
  b[at] = value >>> 8;
  b[at + 1] = value;
}

export function writeU32(b: Uint8Array, at: number, value: number): void {
  b[at] = value >>> 24;
  b[at + 1] = value >>> 16;
  b[at + 2] = value >>> 8;
  b[at + 3] = value;
}

/**
 * The Internet checksum (RFC 1071): the one's complement of the one's complement sum of all 16-bit words of
 * `b[from, to)`; an odd last byte counts as the high half of a word. 0 means a message with its checksum in place is intact.
 */
export function internetChecksum(b: Uint8Array, from = 0, to = b.length): number {
  let sum = 0;
  for (let at = from; at + 1 < to; at += 2) sum += (b[at]! << 8) | b[at + 1]!;
  if ((to - from) & 1) sum += b[to - 1]! << 8;
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x10000);
  return ~sum & 0xffff;
}
