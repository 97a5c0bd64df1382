/**
 * The IGMP message formats (igmp.md section 2): RFC 1112 appendix I, RFC 2236 section 2, RFC 9776 section 4.
 * Offsets count from the first byte of the IP payload. Decoders are total: any bytes give a value or an error.
 */
import { internetChecksum, readU16, readU32, writeU16, writeU32 } from '../../base/bytes.js';
import { type IpAddress, ipv4, isAny, isMulticast, isUnicast, toU32 } from '../../base/ip.js';
import { err, ok, type Result } from '../../base/result.js';
import { decodeFloat, encodeFloat } from './float-code.js';

/** The first byte (igmp.md section 2.1). */
export const TYPE = { query: 0x11, reportV1: 0x12, reportV2: 0x16, leaveV2: 0x17, reportV3: 0x22 } as const;

/** Record types of a v3 report (RFC 9776 section 4.2.13). */
export const RECORD = { isIn: 1, isEx: 2, toIn: 3, toEx: 4, allow: 5, block: 6 } as const;
export type RecordType = (typeof RECORD)[keyof typeof RECORD];

export function isRecordType(type: number): type is RecordType {
  return type >= RECORD.isIn && type <= RECORD.block;
}

/** Length of all fixed parts; also of a whole v1 or v2 message. */
export const HEADER_LENGTH = 8;
/** Length of a v3 query without sources. */
export const QUERY_V3_LENGTH = 12;
/** IP header with the Router Alert option. */
export const IP_HEADER_LENGTH = 24;

/** Why bytes are not a message; `kind` is the counter's name. */
export type DecodeError =
  | { readonly kind: 'tooShort'; readonly need: number; readonly have: number }
  | { readonly kind: 'badChecksum' }
  | { readonly kind: 'malformed'; readonly need: number; readonly have: number }
  | { readonly kind: 'badQueryLength'; readonly have: number }
  | { readonly kind: 'badQuery' }
  | { readonly kind: 'badGroup'; readonly group: IpAddress };

export type IgmpVersion = 1 | 2 | 3;

/** A received query. Of a v1 or v2 query `suppress` is false and the fields it lacks are 0. */
export interface Query {
  readonly version: IgmpVersion;
  /** From tenths of a second; a v1 query means 10 s (RFC 2236 section 4). */
  readonly maxRespMs: number;
  /** 0.0.0.0: a General Query. */
  readonly group: IpAddress;
  /** S: routers must not lower timers because of this query. */
  readonly suppress: boolean;
  /** QRV, 0..7; 0 is "not said". */
  readonly robustness: number;
  /** QQI; 0 is "not said". */
  readonly queryIntervalMs: number;
  /** Offset of the sources, to be read in place. */
  readonly sourcesAt: number;
  readonly sourceCount: number;
}

/** Length and checksum, which cover the whole payload whatever the type (igmp.md section 4 steps 1 and 2). */
export function checkMessage(b: Uint8Array): DecodeError | undefined {
  if (b.length < HEADER_LENGTH) return { kind: 'tooShort', need: HEADER_LENGTH, have: b.length };
  if (internetChecksum(b) !== 0) return { kind: 'badChecksum' };
  return undefined;
}

/** Decodes a query of a checked message; the version follows from length and code (RFC 9776 section 7.1). */
export function decodeQuery(b: Uint8Array): Result<Query, DecodeError> {
  if (b.length < HEADER_LENGTH) return err({ kind: 'tooShort', need: HEADER_LENGTH, have: b.length });
  const group = ipv4(readU32(b, 4));
  if (!isAny(group) && !isMulticast(group)) return err({ kind: 'badGroup', group });
  if (b.length === HEADER_LENGTH) return ok(olderQuery(b[1]!, group));
  if (b.length < QUERY_V3_LENGTH) return err({ kind: 'badQueryLength', have: b.length });
  const sourceCount = readU16(b, 10);
  const need = QUERY_V3_LENGTH + 4 * sourceCount;
  if (b.length < need) return err({ kind: 'malformed', need, have: b.length });
  if (isAny(group) && sourceCount > 0) return err({ kind: 'badQuery' });
  return ok({
    version: 3,
    maxRespMs: decodeFloat(b[1]!) * 100,
    group,
    suppress: (b[8]! & 0x08) !== 0,
    robustness: b[8]! & 0x07,
    queryIntervalMs: decodeFloat(b[9]!) * 1000,
    sourcesAt: QUERY_V3_LENGTH,
    sourceCount,
  });
}

function olderQuery(code: number, group: IpAddress): Query {
  return {
    version: code === 0 ? 1 : 2,
    maxRespMs: code === 0 ? 10_000 : code * 100,
    group,
    suppress: false,
    robustness: 0,
    queryIntervalMs: 0,
    sourcesAt: HEADER_LENGTH,
    sourceCount: 0,
  };
}

/** The group of a checked v1 report, v2 report or v2 leave (RFC 2236 section 2.4). */
export function decodeGroupMessage(b: Uint8Array): Result<IpAddress, DecodeError> {
  if (b.length < HEADER_LENGTH) return err({ kind: 'tooShort', need: HEADER_LENGTH, have: b.length });
  const group = ipv4(readU32(b, 4));
  return isMulticast(group) ? ok(group) : err({ kind: 'badGroup', group });
}

export type RecordVisitor = (type: number, group: IpAddress, sourcesAt: number, sourceCount: number) => void;

/**
 * Visits the records of a v3 report in place, in order (RFC 9776 section 4.2.4); builds nothing per record. Auxiliary data
 * counts in words and is skipped. Some records may have been visited before an error: walk once to check, then to apply.
 */
export function walkGroupRecords(b: Uint8Array, visit: RecordVisitor): DecodeError | undefined {
  let at = HEADER_LENGTH;
  if (b.length < at) return { kind: 'tooShort', need: at, have: b.length };
  for (let left = readU16(b, 6); left > 0; left--) {
    if (b.length < at + 8) return { kind: 'malformed', need: at + 8, have: b.length };
    const sourceCount = readU16(b, at + 2);
    const end = at + 8 + 4 * sourceCount + 4 * b[at + 1]!;
    if (b.length < end) return { kind: 'malformed', need: end, have: b.length };
    visit(b[at]!, ipv4(readU32(b, at + 4)), at + 8, sourceCount);
    at = end;
  }
  return undefined;
}

/** The source at `at`, or undefined where no host can send from it: 0/8, 127/8, class D and E (igmp.md section 13.4). */
export function readSource(b: Uint8Array, at: number): IpAddress | undefined {
  const source = ipv4(readU32(b, at));
  return isUnicast(source) ? source : undefined;
}

/** A query to send. */
export interface QueryToSend {
  readonly version: IgmpVersion;
  /** Sent in tenths of a second, rounded down to what the version can carry, at least one tenth. */
  readonly maxRespMs: number;
  /** 0.0.0.0 for a General Query. */
  readonly group: IpAddress;
  readonly suppress: boolean;
  /** Sent as 0 above 7. */
  readonly robustness: number;
  readonly queryIntervalMs: number;
}

/** Writes `query` about `sources[from, to)` to `out`, which must hold 12 bytes and 4 per source. Returns the length. */
export function encodeQuery(
  out: Uint8Array,
  query: QueryToSend,
  sources: readonly IpAddress[] = [],
  from = 0,
  to = sources.length,
): number {
  const tenths = Math.max(1, Math.floor(query.maxRespMs / 100));
  out[0] = TYPE.query;
  writeU32(out, 4, toU32(query.group));
  if (query.version < 3) {
    out[1] = query.version === 1 ? 0 : Math.min(tenths, 255);
    return sealed(out, HEADER_LENGTH);
  }
  out[1] = encodeFloat(tenths);
  out[8] = (query.suppress ? 0x08 : 0) | (query.robustness > 7 ? 0 : query.robustness);
  out[9] = encodeFloat(Math.floor(query.queryIntervalMs / 1000));
  writeU16(out, 10, to - from);
  let at = QUERY_V3_LENGTH;
  for (let n = from; n < to; n++, at += 4) writeU32(out, at, toU32(sources[n]!));
  return sealed(out, at);
}

/** How many sources a query of one packet can name (igmp.md section 2.2). */
export function sourcesPerQuery(mtu: number): number {
  return Math.max(1, Math.floor((mtu - IP_HEADER_LENGTH - QUERY_V3_LENGTH) / 4));
}

export type GroupMessageType = typeof TYPE.reportV1 | typeof TYPE.reportV2 | typeof TYPE.leaveV2;

/** Writes a v1 report, v2 report or v2 leave: 8 bytes. Returns the length. */
export function encodeGroupMessage(out: Uint8Array, type: GroupMessageType, group: IpAddress): number {
  out[0] = type;
  out[1] = 0;
  writeU32(out, 4, toU32(group));
  return sealed(out, HEADER_LENGTH);
}

export interface RecordToSend {
  readonly type: RecordType;
  readonly group: IpAddress;
  readonly sources: readonly IpAddress[];
}

/** Writes a v3 report, 8 bytes and per record 8 and 4 per source; the caller keeps it within the MTU. Returns the length. */
export function encodeReport(out: Uint8Array, records: readonly RecordToSend[]): number {
  out[0] = TYPE.reportV3;
  out[1] = 0;
  writeU16(out, 4, 0);
  writeU16(out, 6, records.length);
  let at = HEADER_LENGTH;
  for (const record of records) {
    out[at] = record.type;
    out[at + 1] = 0;
    writeU16(out, at + 2, record.sources.length);
    writeU32(out, at + 4, toU32(record.group));
    at += 8;
    for (const source of record.sources) {
      writeU32(out, at, toU32(source));
      at += 4;
    }
  }
  return sealed(out, at);
}

function sealed(out: Uint8Array, length: number): number {
  writeU16(out, 2, 0);
  writeU16(out, 2, internetChecksum(out, 0, length));
  return length;
}
