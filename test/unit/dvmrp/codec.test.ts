/** The codecs against the byte vectors of the specification (dvmrp.md section 20) and against bytes built by other code. */
import { expect, test } from 'vitest';
import { formatIp, formatPrefix, ip, ipv4, type Prefix } from '../../../src/base/ip.js';
import { decodeGraft, encodeGraft } from '../../../src/dvmrp/wire/graft.js';
import { CODE, decodeHeader, encodeAskNeighbors2, OWN_CAPABILITIES } from '../../../src/dvmrp/wire/header.js';
import { encodeNeighbors2, type InterfaceBlock, walkNeighbors2 } from '../../../src/dvmrp/wire/neighbors2.js';
import { decodeProbe, encodeProbe, listsNeighbor, probeNeighbor } from '../../../src/dvmrp/wire/probe.js';
import { acceptedLifetimeMs, decodePrune, encodePrune } from '../../../src/dvmrp/wire/prune.js';
import { compareRoutes, decodeReport, ReportEntries, ReportWriter } from '../../../src/dvmrp/wire/report.js';
import * as built from '../../support/dvmrp-builder.js';
import { hex, toHex, withChecksum } from '../../support/packet-builder.js';

const VECTORS = {
  D1: '13018520 002eff03 12345678',
  D2: '13017b16 002eff03 12345678 0a090001',
  D3: '13023d28 0000ff03 00000000 84000000 0a81ff00 00ac1003 ac11a3ff ff00c0a8 0182ffff f0c00002 10a0',
  D4: '1307d3be 0000ff03 0a01000a ef050505 00001c20',
  D5: '1307d4bd 0000ff03 0a01000a ef050505 00001c20 ffffff00',
  D6: '1308efdd 0000ff03 0a01000a ef050505',
  D7: '1309efdc 0000ff03 0a01000a ef050505',
  D8: '1305edf6 0000ff03',
  D9: '1306cdcb 000eff03 0a090001 01014001 0a090002 0a010001 0101c001 00000000',
  D10: '1301b6e8 000eff03 37040000',
} as const;
type Vector = keyof typeof VECTORS;

const bytesOf = (id: Vector) => hex(VECTORS[id]);
const out = new Uint8Array(2000);
const written = (length: number) => toHex(out.subarray(0, length));
const asText = (id: Vector) => toHex(bytesOf(id));

function entriesOf(b: Uint8Array): readonly string[] {
  const entries = new ReportEntries();
  const error = decodeReport(b, entries);
  if (error) return [error.kind];
  return Array.from(
    { length: entries.count },
    (_, n) => `${formatPrefix({ network: entries.networks[n]!, length: entries.lengths[n]! })} ${entries.metrics[n]}`,
  );
}

function skippedOf(b: Uint8Array): Record<string, number> {
  const entries = new ReportEntries();
  expect(decodeReport(b, entries)).toBeUndefined();
  return entries.skipped;
}

function prefix(text: string): Prefix {
  const [network = '', length = ''] = text.split('/');
  return { network: ip(network), length: Number(length) };
}

function packed(routes: readonly (readonly [string, number])[], bodyLimit?: number): Uint8Array[] {
  const messages: Uint8Array[] = [];
  const writer = new ReportWriter((message) => messages.push(message.slice()), bodyLimit);
  for (const [text, metric] of routes) {
    const { network, length } = prefix(text);
    writer.add(network, length, metric);
  }
  writer.flush();
  return messages;
}

const D3_ROUTES = [
  ['0.0.0.0/0', 4],
  ['10.0.0.0/8', 1],
  ['172.16.0.0/16', 3],
  ['172.17.0.0/16', 35],
  ['192.168.1.0/24', 2],
  ['192.0.2.16/28', 32],
] as const;

test.each(Object.keys(VECTORS) as Vector[])('vector %s has a header that is accepted (DVMRP-001)', (id) => {
  expect(decodeHeader(bytesOf(id))).toMatchObject({ ok: true, value: { major: 3, minor: 255 } });
});

test.each([
  ['D1', []],
  ['D2', ['10.9.0.1']],
] as const)('%s, a Probe, is read, and written byte for byte (DVMRP-001)', (id, heard) => {
  const b = bytesOf(id);
  const header = decodeHeader(b);
  expect(header.ok && header.value).toMatchObject({ code: CODE.probe, capabilities: OWN_CAPABILITIES });
  const probe = decodeProbe(b);
  if (!probe.ok) throw new Error(probe.error.kind);
  expect(probe.value).toMatchObject({ generationId: 0x12345678, neighborCount: heard.length });
  expect(heard.map((_, n) => formatIp(probeNeighbor(b, probe.value, n)))).toEqual(heard);
  expect(listsNeighbor(b, probe.value, ip('10.9.0.1'))).toBe(heard.length === 1);
  expect(listsNeighbor(b, probe.value, ip('10.9.0.2'))).toBe(false);
  expect(written(encodeProbe(out, 0x12345678, heard.map(ip)))).toBe(asText(id));
});

test('D10, a Probe of mrouted, has its generation id in the byte order of its machine (DVMRP-001, DVMRP-122)', () => {
  const probe = decodeProbe(bytesOf('D10'));
  expect(probe.ok && probe.value).toMatchObject({ generationId: 0x37040000, neighborCount: 0 });
});

test('D3, a Report with all widths, is read, and written byte for byte (DVMRP-001, DVMRP-006)', () => {
  expect(entriesOf(bytesOf('D3'))).toEqual(D3_ROUTES.map(([text, metric]) => `${text} ${metric}`));
  expect(packed(D3_ROUTES).map(toHex)).toEqual([asText('D3')]);
});

test.each([
  ['D4', undefined],
  ['D5', '255.255.255.0'],
] as const)('%s, a Prune, is read, and written byte for byte (DVMRP-001, DVMRP-014)', (id, mask) => {
  const prune = decodePrune(bytesOf(id));
  if (!prune.ok) throw new Error(prune.error.kind);
  expect(prune.value).toEqual({
    source: ip('10.1.0.10'),
    group: ip('239.5.5.5'),
    lifetimeMs: 7_200_000,
    mask: mask && ip(mask),
  });
  expect(written(encodePrune(out, prune.value))).toBe(asText(id));
});

test.each([
  ['D6', CODE.graft],
  ['D7', CODE.graftAck],
] as const)('%s, a Graft or its acknowledgement, is read, and written byte for byte (DVMRP-001)', (id, code) => {
  expect(bytesOf(id)[1]).toBe(code);
  const graft = decodeGraft(bytesOf(id));
  if (!graft.ok) throw new Error(graft.error.kind);
  expect(graft.value).toEqual({ source: ip('10.1.0.10'), group: ip('239.5.5.5'), mask: undefined });
  expect(written(encodeGraft(out, code, graft.value))).toBe(asText(id));
});

test('D8, Ask-Neighbors2, is written byte for byte (DVMRP-001)', () => {
  expect(written(encodeAskNeighbors2(out))).toBe(asText('D8'));
});

interface ReadBlock extends Omit<InterfaceBlock, 'neighbors'> {
  readonly neighbors: readonly string[];
}

function blocksOf(b: Uint8Array): readonly ReadBlock[] {
  const blocks: ReadBlock[] = [];
  const error = walkNeighbors2(b, (block, at, count) => {
    const neighbors = Array.from({ length: count }, (_, n) => [...b.subarray(at + 4 * n, at + 4 * n + 4)].join('.'));
    blocks.push({ ...block, neighbors });
  });
  expect(error).toBeUndefined();
  return blocks;
}

const D9_BLOCKS: readonly InterfaceBlock[] = [
  { local: ip('10.9.0.1'), metric: 1, threshold: 1, flags: 0x40, neighbors: [ip('10.9.0.2')] },
  { local: ip('10.1.0.1'), metric: 1, threshold: 1, flags: 0xc0, neighbors: [] },
];

test('D9, Neighbors2, is read, and written byte for byte (DVMRP-001)', () => {
  expect(blocksOf(bytesOf('D9')).map(({ neighbors, flags }) => [neighbors, flags])).toEqual([
    [['10.9.0.2'], 0x40],
    [['0.0.0.0'], 0xc0],
  ]);
  const messages: string[] = [];
  encodeNeighbors2(out, D9_BLOCKS, (length) => messages.push(written(length)));
  expect(messages).toEqual([asText('D9')]);
});

test('a long Neighbors2 answer is split, and the block header is repeated', () => {
  // given an interface with 300 neighbours and one with none
  const neighbors = Array.from({ length: 300 }, (_, n) => ipv4(0x0a090001 + n));
  const blocks = [{ ...D9_BLOCKS[0]!, neighbors }, D9_BLOCKS[1]!];
  // when it is written
  const messages: Uint8Array[] = [];
  encodeNeighbors2(out, blocks, (length) => messages.push(out.slice(0, length)));
  // then every message is whole and none is too long
  const read = messages.flatMap((message) => {
    expect(message.length).toBeLessThanOrEqual(8 + 508);
    expect(decodeHeader(message).ok).toBe(true);
    return blocksOf(message);
  });
  expect(messages.length).toBe(3);
  expect(new Set(read.map(({ local }) => formatIp(local)))).toEqual(new Set(['10.9.0.1', '10.1.0.1']));
  expect(read.flatMap((block) => block.neighbors)).toEqual([...neighbors.map(formatIp), '0.0.0.0']);
});

test('a Neighbors2 that is cut is an error', () => {
  for (let length = 9; length < 40; length++) {
    const cut = bytesOf('D9').subarray(0, length);
    const whole = length === 20 || length === 32;
    if (length < 32) expect(walkNeighbors2(cut, () => undefined) === undefined).toBe(whole);
  }
});

test('a message with a wrong checksum is refused, whatever bit is wrong (DVMRP-002)', () => {
  for (let bit = 0; bit < 8 * 20; bit++) {
    const b = bytesOf('D4');
    b[bit >> 3]! ^= 1 << (bit & 7);
    const header = decodeHeader(b);
    expect(!header.ok && ['badChecksum', 'badType'].includes(header.error.kind)).toBe(true);
  }
});

test('a payload under 8 octets is refused (DVMRP-003)', () => {
  for (let length = 0; length < 8; length++)
    expect(decodeHeader(bytesOf('D8').subarray(0, length))).toEqual({
      ok: false,
      error: { kind: 'tooShort', need: 8, have: length },
    });
});

test('a message of another IGMP type is refused', () => {
  expect(decodeHeader(withChecksum([0x16, 0, 0, 0, 239, 1, 1, 1]))).toMatchObject({ error: { kind: 'badType' } });
});

test('a Probe whose length is not 12 and a multiple of 4 is refused (DVMRP-005)', () => {
  for (let length = 8; length < 12; length++)
    expect(decodeProbe(bytesOf('D2').subarray(0, length))).toMatchObject({ error: { kind: 'tooShort' } });
  for (let length = 13; length < 16; length++)
    expect(decodeProbe(bytesOf('D2').subarray(0, length))).toMatchObject({ error: { kind: 'malformed' } });
});

test('the default route is read in a list of its own and in that of 10/8, and is written back (DVMRP-007)', () => {
  expect(entriesOf(built.dvmrp(2, [0, 0, 0, 0, 0x84]))).toEqual(['0.0.0.0/0 4']);
  expect(entriesOf(built.dvmrp(2, [0, 0, 0, 0, 4, 10, 0x81]))).toEqual(['0.0.0.0/0 4', '10.0.0.0/8 1']);
  expect(packed([['0.0.0.0/0', 4]]).map(entriesOf)).toEqual([['0.0.0.0/0 4']]);
});

test('lists and networks are accepted in any order (DVMRP-008)', () => {
  const routes = [
    ['10.3.1.0/24', 1],
    ['0.0.0.0/0', 2],
    ['192.0.2.16/28', 3],
    ['10.1.1.0/24', 4],
    ['10.2.0.0/16', 5],
  ] as const;
  expect(entriesOf(built.report(routes))).toEqual(routes.map(([text, metric]) => `${text} ${metric}`));
});

test.each([
  ['two octets where a mask is due', [0xff, 0xff]],
  ['a mask without a network', [0xff, 0xff, 0]],
  ['a pair without its metric', [0xff, 0xff, 0, 10, 1, 1]],
  ['a second pair cut short', [0xff, 0xff, 0, 10, 1, 1, 1, 10, 1]],
  ['a mask with a gap', [0xff, 0, 0xff, 10, 1, 1, 1, 0x81]],
  ['a mask with a gap inside an octet', [0xfa, 0, 0, 10, 1, 0x81]],
  ['a second list cut short', [0, 0, 0, 10, 0x81, 0xff]],
])('a Report with %s is refused whole (DVMRP-009)', (_what, body) => {
  expect(entriesOf(built.dvmrp(2, body))).toEqual(['malformed']);
});

test('entries with metric 0 or 64 and above are skipped, the others stay (DVMRP-010)', () => {
  const body = [0xff, 0, 0, 10, 1, 0, 10, 2, 63, 10, 3, 64, 10, 4, 127, 10, 5, 0x81];
  expect(entriesOf(built.dvmrp(2, body))).toEqual(['10.2.0.0/16 63', '10.5.0.0/16 1']);
  expect(skippedOf(built.dvmrp(2, body))).toMatchObject({ badMetric: 3 });
});

test.each(['127.0.0.0/8', '127.1.0.0/16', '0.1.0.0/16', '224.0.0.0/4', '239.0.0.0/8', '240.1.0.0/16', '10.1.1.0/23'])(
  'network %s is skipped, the others stay (DVMRP-011)',
  (bad) => {
    const [network = '', length = ''] = bad.split('/');
    const body = Number(length) < 8 ? [0, 0, 0, 224, 0x81] : undefined;
    const message = body
      ? built.dvmrp(2, [...body, 0, 0, 0, 10, 0x81])
      : built.report([
          [`${network}/${length}`, 1],
          ['10.0.0.0/8', 1],
        ]);
    expect(entriesOf(message)).toEqual(['10.0.0.0/8 1']);
    expect(skippedOf(message)).toMatchObject({ badNetwork: 1 });
  },
);

test('of a prefix that comes twice in one Report the first entry counts', () => {
  const message = built.report([
    ['10.1.0.0/16', 3],
    ['10.0.0.0/8', 1],
    ['10.1.0.0/16', 5],
    ['0.0.0.0/0', 2],
  ]);
  expect(entriesOf(message)).toEqual(['10.1.0.0/16 3', '10.0.0.0/8 1', '0.0.0.0/0 2']);
  expect(skippedOf(message)).toMatchObject({ duplicate: 1 });
});

test('a Report that ends without a "last" bit is accepted up to its end (DVMRP-012)', () => {
  expect(entriesOf(built.dvmrp(2, [0xff, 0, 0, 10, 1, 1, 10, 2, 2]))).toEqual(['10.1.0.0/16 1', '10.2.0.0/16 2']);
  expect(entriesOf(built.dvmrp(2, []))).toEqual([]);
});

test('entries of an earlier message do not stay', () => {
  const entries = new ReportEntries();
  decodeReport(bytesOf('D3'), entries);
  expect(decodeReport(built.report([['10.0.0.0/8', 1]]), entries)).toBeUndefined();
  expect(entries.count).toBe(1);
});

test('a large table is split into messages within the limit, each of them whole (DVMRP-013)', () => {
  // given 3000 routes of three lengths
  const routes = Array.from({ length: 3000 }, (_, n) => {
    const length = [16, 24, 30][n % 3]!;
    return [`10.${(n >> 8) & 255}.${length === 16 ? 0 : n & 255}.0/${length}`, 1 + (n % 63)] as const;
  });
  const unique = [...new Map(routes.map((route) => [route[0], route])).values()];
  const sorted = unique.sort(([a], [b]) => compareRoutes(prefix(a), prefix(b)));
  for (const bodyLimit of [508, 1400]) {
    // when they are packed
    const messages = packed(sorted, bodyLimit);
    // then each message decodes by itself, is nearly full, and together they say all
    for (const message of messages) expect(message.length).toBeLessThanOrEqual(8 + bodyLimit);
    for (const message of messages.slice(0, -1)) expect(message.length).toBeGreaterThan(8 + bodyLimit - 8);
    expect(messages.flatMap(entriesOf)).toEqual(sorted.map(([text, metric]) => `${text} ${metric}`));
  }
});

test('a network of 1 to 7 bits cannot be expressed and is left out', () => {
  expect(
    packed([
      ['64.0.0.0/7', 1],
      ['10.0.0.0/8', 1],
    ]).flatMap(entriesOf),
  ).toEqual(['10.0.0.0/8 1']);
  expect(packed([])).toEqual([]);
});

test('a Prune has 20 or 24 octets; shorter ones are refused, what follows the mask is ignored (DVMRP-014)', () => {
  for (let length = 8; length < 20; length++)
    expect(decodePrune(bytesOf('D4').subarray(0, length))).toMatchObject({ error: { kind: 'tooShort' } });
  const longer = withChecksum([...bytesOf('D5'), 1, 2, 3, 4]);
  expect(decodePrune(longer)).toEqual(decodePrune(bytesOf('D5')));
});

test('a Graft has 16 or 20 octets; shorter ones are refused (DVMRP-014)', () => {
  for (let length = 8; length < 16; length++)
    expect(decodeGraft(bytesOf('D6').subarray(0, length))).toMatchObject({ error: { kind: 'tooShort' } });
  const masked = decodeGraft(built.graft('10.1.0.10', '239.5.5.5', '255.255.255.0'));
  if (!masked.ok) throw new Error(masked.error.kind);
  expect(masked.value.mask).toBe(ip('255.255.255.0'));
  expect(written(encodeGraft(out, CODE.graft, masked.value))).toBe(
    toHex(built.graft('10.1.0.10', '239.5.5.5', '255.255.255.0')),
  );
});

test('a Prune or Graft whose group is no group is refused', () => {
  expect(decodePrune(built.prune('10.1.0.10', '10.1.1.1', 60))).toMatchObject({ error: { kind: 'badGroup' } });
  expect(decodeGraft(built.graft('10.1.0.10', '0.0.0.0'))).toMatchObject({ error: { kind: 'badGroup' } });
});

test('lifetimes up to 5 s are not kept, long ones are clamped (DVMRP-100)', () => {
  const lifetime = (sec: number) => {
    const prune = decodePrune(built.prune('10.1.0.0', '239.5.5.5', sec));
    return prune.ok ? acceptedLifetimeMs(prune.value.lifetimeMs, 10_800_000) : undefined;
  };
  expect([0, 1, 5].map(lifetime)).toEqual([undefined, undefined, undefined]);
  expect([6, 7200, 10_801, 0xffff_ffff].map(lifetime)).toEqual([6000, 7_200_000, 10_800_000, 10_800_000]);
});
