/** The codec against the byte vectors of the specification (igmp.md section 19) and against bytes built by other code. */
import { expect, test } from 'vitest';
import { formatIp, ip, ipv4 } from '../../../src/base/ip.js';
import { decodeFloat, encodeFloat } from '../../../src/igmp/wire/float-code.js';
import {
  checkMessage,
  decodeGroupMessage,
  decodeQuery,
  encodeGroupMessage,
  encodeQuery,
  encodeReport,
  type IgmpVersion,
  readSource,
  sourcesPerQuery,
  TYPE,
  walkGroupRecords,
} from '../../../src/igmp/wire/packet.js';
import * as built from '../../support/packet-builder.js';
import { hex, toHex } from '../../support/packet-builder.js';

const out = new Uint8Array(1500);
const G = '239.1.2.3';

interface QueryVector {
  readonly id: string;
  readonly bytes: string;
  readonly version: IgmpVersion;
  readonly maxRespMs: number;
  readonly group?: string;
  readonly suppress?: boolean;
  readonly robustness?: number;
  readonly queryIntervalMs?: number;
  readonly sources?: readonly string[];
}

const QUERIES: readonly QueryVector[] = [
  { id: 'V1', bytes: '1100eeff00000000', version: 1, maxRespMs: 10_000 },
  { id: 'V2', bytes: '1164ee9b00000000', version: 2, maxRespMs: 10_000 },
  { id: 'V3', bytes: '110afdf0ef010203', version: 2, maxRespMs: 1000, group: G },
  {
    id: 'V4',
    bytes: '1164ec1e00000000027d0000',
    version: 3,
    maxRespMs: 10_000,
    robustness: 2,
    queryIntervalMs: 125_000,
  },
  {
    id: 'V5',
    bytes: '110af367ef0102030a890000',
    version: 3,
    maxRespMs: 1000,
    group: G,
    suppress: true,
    robustness: 2,
    queryIntervalMs: 200_000,
  },
  {
    id: 'V6',
    bytes: '110a7e66e8010203027d0002c0000201c0000209',
    version: 3,
    maxRespMs: 1000,
    group: '232.1.2.3',
    robustness: 2,
    queryIntervalMs: 125_000,
    sources: ['192.0.2.1', '192.0.2.9'],
  },
];

test.each(QUERIES)('query $id is read, and written byte for byte (IGMP-001)', (v) => {
  const { bytes, version, maxRespMs, group = '0.0.0.0', suppress = false, robustness = 0, queryIntervalMs = 0 } = v;
  const b = hex(bytes);
  // when read
  expect(checkMessage(b)).toBeUndefined();
  const decoded = decodeQuery(b);
  expect(decoded.ok && decoded.value).toMatchObject({ version, maxRespMs, suppress, robustness, queryIntervalMs });
  if (!decoded.ok) throw new Error(decoded.error.kind);
  const { sourcesAt, sourceCount } = decoded.value;
  const sources = Array.from({ length: sourceCount }, (_, n) => readSource(b, sourcesAt + 4 * n)!);
  expect(formatIp(decoded.value.group)).toBe(group);
  expect(sources.map(formatIp)).toEqual(v.sources ?? []);
  // and when written
  const length = encodeQuery(out, decoded.value, sources);
  expect(toHex(out.subarray(0, length))).toBe(bytes);
});

test.each([
  ['V7', '1200fcfaef010203', TYPE.reportV1],
  ['V8', '1600f8faef010203', TYPE.reportV2],
  ['V9', '1700f7faef010203', TYPE.leaveV2],
] as const)('older message %s is read, and written byte for byte (IGMP-001)', (_, bytes, type) => {
  const b = hex(bytes);
  expect(checkMessage(b)).toBeUndefined();
  expect(b[0]).toBe(type);
  expect(decodeGroupMessage(b)).toEqual({ ok: true, value: ip(G) });
  expect(toHex(out.subarray(0, encodeGroupMessage(out, type, ip(G))))).toBe(bytes);
});

interface ReadRecord {
  readonly type: number;
  readonly group: string;
  readonly sources: readonly string[];
}

function recordsOf(b: Uint8Array): ReadRecord[] | string {
  const records: ReadRecord[] = [];
  const error = walkGroupRecords(b, (type, group, at, count) => {
    const sources = Array.from({ length: count }, (_, n) => formatIp(ipv4(readU32(b, at + 4 * n))));
    records.push({ type, group: formatIp(group), sources });
  });
  return error?.kind ?? records;
}

function readU32(b: Uint8Array, at: number): number {
  return new DataView(b.buffer, b.byteOffset).getUint32(at);
}

const REPORTS: readonly (readonly [string, string, readonly ReadRecord[]])[] = [
  ['V10', '2200e8f90000000104000000ef010203', [{ type: 4, group: G, sources: [] }]],
  ['V11', '2200e9f90000000103000000ef010203', [{ type: 3, group: G, sources: [] }]],
  [
    'V12',
    '22007ae60000000205000001e8010203c000020106000001e8010203c0000209',
    [
      { type: 5, group: '232.1.2.3', sources: ['192.0.2.1'] },
      { type: 6, group: '232.1.2.3', sources: ['192.0.2.9'] },
    ],
  ],
];

test.each(REPORTS)('report %s is read, and written byte for byte (IGMP-001)', (_, bytes, records) => {
  const b = hex(bytes);
  expect(checkMessage(b)).toBeUndefined();
  expect(recordsOf(b)).toEqual(records);
  const toSend = records.map((r) => ({ type: r.type as 3, group: ip(r.group), sources: r.sources.map(ip) }));
  expect(toHex(out.subarray(0, encodeReport(out, toSend)))).toBe(bytes);
});

test('report V13: auxiliary data counts in words and is skipped, the record behind it is read (IGMP-001, IGMP-010)', () => {
  const b = hex('2200de490000000201010001e8010203c0000201deadbeef02000001ef010203c0000207');
  expect(checkMessage(b)).toBeUndefined();
  expect(recordsOf(b)).toEqual([
    { type: 1, group: '232.1.2.3', sources: ['192.0.2.1'] },
    { type: 2, group: G, sources: ['192.0.2.7'] },
  ]);
});

test.each([
  [0, 0x00],
  [100, 0x64],
  [125, 0x7d],
  [127, 0x7f],
  [128, 0x80],
  [135, 0x80],
  [136, 0x81],
  [200, 0x89],
  [255, 0x8f],
  [256, 0x90],
  [260, 0x90],
  [500, 0x9f],
  [1000, 0xaf],
  [3175, 0xc8],
  [31743, 0xfe],
  [31744, 0xff],
  [65535, 0xff],
])('the float code of %i is %i (IGMP-002)', (value, code) => {
  expect(encodeFloat(value)).toBe(code);
});

test('every code decodes by the formula and encodes to itself (IGMP-002)', () => {
  for (let code = 0; code < 256; code++) {
    const expected = code < 128 ? code : ((code % 16) + 16) * 2 ** (Math.floor((code % 128) / 16) + 3);
    expect(decodeFloat(code)).toBe(expected);
    expect(encodeFloat(decodeFloat(code))).toBe(code);
  }
});

test.each([
  [8, 0, 1],
  [8, 1, 2],
  [12, 0, 3],
  [13, 100, 3],
])('a query of %i bytes with code %i is version %i (IGMP-005, IGMP-006)', (length, code, version) => {
  const b = new Uint8Array(length);
  b.set([0x11, code]);
  const decoded = decodeQuery(b);
  expect(decoded.ok && decoded.value.version).toBe(version);
});

test.each([9, 10, 11])('a query of %i bytes is nothing (IGMP-005)', (length) => {
  expect(decodeQuery(new Uint8Array(length).fill(0x11, 0, 1))).toMatchObject({
    ok: false,
    error: { kind: 'badQueryLength' },
  });
});

test('a query that promises more sources than it has is malformed (IGMP-007)', () => {
  const b = built.queryV3({ group: G, sources: ['192.0.2.1'] });
  b[11] = 2;
  expect(decodeQuery(b)).toEqual({ ok: false, error: { kind: 'malformed', need: 20, have: 16 } });
});

test('what follows the sources of a query is ignored (IGMP-008)', () => {
  const decoded = decodeQuery(built.withChecksum([...built.queryV3({ group: G, sources: ['192.0.2.1'] }), 1, 2, 3]));
  expect(decoded.ok && decoded.value.sourceCount).toBe(1);
});

test('a General Query with sources, and a query for a unicast address, are nothing', () => {
  expect(decodeQuery(built.queryV3({ sources: ['192.0.2.1'] }))).toEqual({ ok: false, error: { kind: 'badQuery' } });
  expect(decodeQuery(built.queryV2(10, '10.1.1.1'))).toMatchObject({ ok: false, error: { kind: 'badGroup' } });
});

test('reserved bits of a query are ignored when read (IGMP-016)', () => {
  const b = built.queryV3({ suppress: true });
  b[8]! |= 0xf0;
  const decoded = decodeQuery(b);
  expect(decoded.ok && decoded.value).toMatchObject({ suppress: true, robustness: 2 });
});

test('reserved bytes are sent as zero whatever the buffer held (IGMP-016)', () => {
  const dirty = new Uint8Array(64).fill(0xff);
  encodeReport(dirty, []);
  expect([...dirty.subarray(0, 8)]).toEqual([...built.reportV3()]);
  encodeQuery(dirty.fill(0xff), {
    version: 3,
    maxRespMs: 1000,
    group: ip(G),
    suppress: false,
    robustness: 2,
    queryIntervalMs: 125_000,
  });
  expect([...dirty.subarray(0, 12)]).toEqual([...built.queryV3({ code: 10, group: G })]);
});

test('a robustness above 7 is sent as 0, a specific query never has code 0', () => {
  const query = { maxRespMs: 50, group: ip(G), suppress: false, robustness: 9, queryIntervalMs: 125_000 };
  encodeQuery(out, { version: 3, ...query });
  expect([out[1], out[8]]).toEqual([1, 0]);
  expect(encodeQuery(out, { version: 2, ...query })).toBe(8);
  expect(out[1]).toBe(1);
});

test('a report without records is fine (IGMP-009)', () => {
  expect(recordsOf(built.reportV3())).toEqual([]);
});

test.each([
  ['cut inside a record header', 12],
  ['cut inside the sources', 18],
])('a report %s is malformed (IGMP-012)', (_, length) => {
  const b = built.reportV3(built.allow('232.1.2.3', '192.0.2.1', '192.0.2.2'));
  expect(recordsOf(b.subarray(0, length))).toBe('malformed');
});

test('counts far beyond the packet end the walk at once (IGMP-013)', () => {
  const b = built.reportV3(built.allow('232.1.2.3', '192.0.2.1'));
  b.set([0xff, 0xff], 10);
  expect(recordsOf(b)).toBe('malformed');
  const many = built.reportV3();
  many.set([0xff, 0xff], 6);
  expect(recordsOf(many)).toBe('malformed');
});

test('the checksum covers bytes behind the last field (IGMP-003)', () => {
  const short = built.reportV2(G);
  const padded = new Uint8Array(12).fill(7);
  padded.set(short);
  expect(checkMessage(padded)).toEqual({ kind: 'badChecksum' });
  expect(checkMessage(built.withChecksum([...padded]))).toBeUndefined();
});

test('a message shorter than 8 bytes is too short', () => {
  expect(checkMessage(new Uint8Array(7))).toEqual({ kind: 'tooShort', need: 8, have: 7 });
  expect(decodeGroupMessage(new Uint8Array(3))).toMatchObject({ error: { kind: 'tooShort' } });
  expect(decodeQuery(new Uint8Array(3))).toMatchObject({ error: { kind: 'tooShort' } });
  expect(recordsOf(new Uint8Array(3))).toBe('tooShort');
});

test('a query of MTU 1500 names 366 sources', () => {
  expect(sourcesPerQuery(1500)).toBe(366);
  expect(sourcesPerQuery(0)).toBe(1);
});
