/** The payload of the laboratory's packets: a mark, the stream, the sequence number; the rest is zero. */
import { readU32, writeU32 } from '../../base/bytes.js';
import { PAYLOAD_BYTES } from '../machines/plan.js';

/** "mgmd" */
const MARK = 0x6d676d64;

/** `sequence`: a uint32. */
export function encodePacket(stream: number, sequence: number): Uint8Array {
  const bytes = new Uint8Array(PAYLOAD_BYTES);
  writeU32(bytes, 0, MARK);
  writeU32(bytes, 4, stream);
  writeU32(bytes, 8, sequence);
  return bytes;
}

/** Undefined when it is not a packet of that stream. */
export function sequenceOf(stream: number, bytes: Uint8Array): number | undefined {
  if (bytes.length < PAYLOAD_BYTES || readU32(bytes, 0) !== MARK || readU32(bytes, 4) !== stream) return undefined;
  return readU32(bytes, 8);
}
