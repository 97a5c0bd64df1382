/**
 * The header that every DVMRP message begins with (dvmrp.md section 3), and what is checked before any of them is read.
 * Offsets count from the first byte of the IP payload. Decoders are total: any bytes give a value or an error.
 */
import { internetChecksum, readU32, writeU16 } from '../../base/bytes.js';
import type { IpAddress } from '../../base/ip.js';
import { err, ok, type Result } from '../../base/result.js';

/** The IGMP type that all DVMRP messages share. */
export const DVMRP_TYPE = 0x13;
/** Also the length of an Ask-Neighbors2. */
export const HEADER_LENGTH = 8;
/** What mrouted puts behind the header at most; with the IP header and options below 576 octets. */
export const BODY_LIMIT = 508;

/** The second byte. Codes that are not here are obsolete or mrouted's own: counted, ignored. */
export const CODE = {
  probe: 1,
  report: 2,
  askNeighbors2: 5,
  neighbors2: 6,
  prune: 7,
  graft: 8,
  graftAck: 9,
} as const;
export type Code = (typeof CODE)[keyof typeof CODE];

export const CAPABILITY = {
  leaf: 0x01,
  prune: 0x02,
  generationId: 0x04,
  mtrace: 0x08,
  snmp: 0x10,
  netmask: 0x20,
} as const;

/** What our Probes announce: prunes, generation ids, traces, and masks in prunes and grafts. */
export const OWN_CAPABILITIES = CAPABILITY.prune | CAPABILITY.generationId | CAPABILITY.mtrace | CAPABILITY.netmask;

export const OWN_MAJOR = 3;
export const OWN_MINOR = 255;

/** Why bytes are not a message; `kind` is the counter's name. */
export type DecodeError =
  | { readonly kind: 'tooShort'; readonly need: number; readonly have: number }
  | { readonly kind: 'badChecksum' }
  | { readonly kind: 'badType'; readonly type: number }
  | { readonly kind: 'malformed'; readonly at: number }
  | { readonly kind: 'badGroup'; readonly group: IpAddress };

export interface Header {
  readonly code: number;
  /** Of meaning in Probe and Neighbors2 only. */
  readonly capabilities: number;
  readonly minor: number;
  readonly major: number;
}

/** Length, type and checksum, which covers the whole payload whatever the code. */
export function decodeHeader(b: Uint8Array): Result<Header, DecodeError> {
  if (b.length < HEADER_LENGTH) return err(tooShort(b, HEADER_LENGTH));
  if (b[0] !== DVMRP_TYPE) return err({ kind: 'badType', type: b[0]! });
  if (internetChecksum(b) !== 0) return err({ kind: 'badChecksum' });
  return ok({ code: b[1]!, capabilities: b[5]!, minor: b[6]!, major: b[7]! });
}

export function tooShort(b: Uint8Array, need: number): DecodeError {
  return { kind: 'tooShort', need, have: b.length };
}

/** The first eight bytes of a message of ours; the checksum comes with `sealed`. */
export function writeHeader(out: Uint8Array, code: Code, capabilities = 0): void {
  out[0] = DVMRP_TYPE;
  out[1] = code;
  out[4] = 0;
  out[5] = capabilities;
  out[6] = OWN_MINOR;
  out[7] = OWN_MAJOR;
}

/** Puts the checksum in, last of all. Returns the length. */
export function sealed(out: Uint8Array, length: number): number {
  writeU16(out, 2, 0);
  writeU16(out, 2, internetChecksum(out, 0, length));
  return length;
}

/** A question for our neighbours (dvmrp.md section 14). Returns the length. */
export function encodeAskNeighbors2(out: Uint8Array): number {
  writeHeader(out, CODE.askNeighbors2);
  return sealed(out, HEADER_LENGTH);
}

/** The optional mask at `at`, as a host-order number; undefined where the message ends before it. */
export function optionalMask(b: Uint8Array, at: number): number | undefined {
  return b.length < at + 4 ? undefined : readU32(b, at);
}
