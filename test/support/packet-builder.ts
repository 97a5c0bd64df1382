/**
 * IGMP messages for tests, put together from text and lists. Shares no code with src/igmp: one mistake must not hide in both.
 * Addresses are dotted text; times are wire codes as they stand in the packet.
 */

export interface BuiltRecord {
  readonly type: number;
  readonly group: string;
  readonly sources?: readonly string[];
  /** 32-bit words behind the sources. */
  readonly aux?: readonly number[];
}

export interface BuiltQuery {
  readonly code?: number;
  readonly group?: string;
  readonly suppress?: boolean;
  readonly qrv?: number;
  readonly qqic?: number;
  readonly sources?: readonly string[];
}

/** "1100eeff 00000000" and the like. */
export function hex(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text.replaceAll(/\s/g, ''), 'hex'));
}

export function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

/** Replaces bytes 2 and 3 by the right checksum. */
export function withChecksum(bytes: readonly number[]): Uint8Array {
  const out = Buffer.from(bytes);
  out.writeUInt16BE(0, 2);
  const padded = out.length % 2 === 0 ? out : Buffer.concat([out, Buffer.of(0)]);
  let sum = 0n;
  for (let at = 0; at < padded.length; at += 2) sum += BigInt(padded.readUInt16BE(at));
  while (sum >= 65536n) sum = sum / 65536n + (sum % 65536n);
  out.writeUInt16BE(65535 - Number(sum), 2);
  return Uint8Array.from(out);
}

export function queryV1(): Uint8Array {
  return withChecksum([0x11, 0, 0, 0, 0, 0, 0, 0]);
}

export function queryV2(code = 100, group = '0.0.0.0'): Uint8Array {
  return withChecksum([0x11, code, 0, 0, ...octets(group)]);
}

export function queryV3(q: BuiltQuery = {}): Uint8Array {
  const { code = 100, group = '0.0.0.0', suppress = false, qrv = 2, qqic = 125, sources = [] } = q;
  const flags = (suppress ? 8 : 0) + qrv;
  return withChecksum([
    0x11,
    code,
    0,
    0,
    ...octets(group),
    flags,
    qqic,
    ...pair(sources.length),
    ...sources.flatMap(octets),
  ]);
}

export function reportV1(group: string): Uint8Array {
  return withChecksum([0x12, 0, 0, 0, ...octets(group)]);
}

export function reportV2(group: string): Uint8Array {
  return withChecksum([0x16, 0, 0, 0, ...octets(group)]);
}

export function leaveV2(group: string): Uint8Array {
  return withChecksum([0x17, 0, 0, 0, ...octets(group)]);
}

export function reportV3(...records: readonly BuiltRecord[]): Uint8Array {
  return withChecksum([0x22, 0, 0, 0, 0, 0, ...pair(records.length), ...records.flatMap(recordOctets)]);
}

export const isIn = (group: string, ...sources: string[]): BuiltRecord => ({ type: 1, group, sources });
export const isEx = (group: string, ...sources: string[]): BuiltRecord => ({ type: 2, group, sources });
export const toIn = (group: string, ...sources: string[]): BuiltRecord => ({ type: 3, group, sources });
export const toEx = (group: string, ...sources: string[]): BuiltRecord => ({ type: 4, group, sources });
export const allow = (group: string, ...sources: string[]): BuiltRecord => ({ type: 5, group, sources });
export const block = (group: string, ...sources: string[]): BuiltRecord => ({ type: 6, group, sources });

function recordOctets({ type, group, sources = [], aux = [] }: BuiltRecord): number[] {
  const words = aux.flatMap((word) => [...pair(Math.floor(word / 65536)), ...pair(word % 65536)]);
  return [type, aux.length, ...pair(sources.length), ...octets(group), ...sources.flatMap(octets), ...words];
}

function octets(address: string): number[] {
  return address.split('.').map(Number);
}

function pair(value: number): number[] {
  return [Math.floor(value / 256), value % 256];
}
