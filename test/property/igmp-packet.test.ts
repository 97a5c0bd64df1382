/** Whatever bytes come: decoders return, what is encoded decodes to itself, and a module stays bounded and alive. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type IpAddress, ipv4 } from '../../src/base/ip.js';
import {
  checkMessage,
  decodeGroupMessage,
  decodeQuery,
  encodeGroupMessage,
  encodeQuery,
  encodeReport,
  type GroupMessageType,
  type IgmpVersion,
  type RecordToSend,
  type RecordType,
  readSource,
  TYPE,
  walkGroupRecords,
} from '../../src/igmp/wire/packet.js';
import { reportV3, toIn, withChecksum } from '../support/packet-builder.js';
import { Bed, src } from '../unit/igmp/bed.js';
import { FUZZ_TIMEOUT_MS, runs } from '../support/runs.js';

const unicast = fc.integer({ min: 0x0a000001, max: 0x7effffff }).map(ipv4);
const group = fc.integer({ min: 0xe0000100, max: 0xefffffff }).map(ipv4);
const types: readonly GroupMessageType[] = [TYPE.reportV1, TYPE.reportV2, TYPE.leaveV2];
const record: fc.Arbitrary<RecordToSend> = fc.record({
  type: fc.integer({ min: 1, max: 6 }).map((type) => type as RecordType),
  group,
  sources: fc.array(unicast, { maxLength: 20 }),
});

function decodeAll(b: Uint8Array): void {
  checkMessage(b);
  decodeGroupMessage(b);
  decodeQuery(b);
  let visited = 0;
  walkGroupRecords(b, (_type, _group, at, count) => {
    visited++;
    expect(at + 4 * count).toBeLessThanOrEqual(b.length);
  });
  expect(visited).toBeLessThanOrEqual(b.length / 8);
}

test(
  'decoders return for random bytes and never point outside of them',
  () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 1500 }), decodeAll), { numRuns: runs(500) });
  },
  FUZZ_TIMEOUT_MS,
);

test(
  'decoders return for messages with flipped bits and cut ends',
  () => {
    fc.assert(
      fc.property(
        fc.array(record, { maxLength: 12 }),
        fc.array(fc.nat(), { maxLength: 8 }),
        fc.nat(),
        (records, flips, cut) => {
          const out = new Uint8Array(4000);
          const message = out.slice(0, encodeReport(out, records));
          for (const flip of flips) message[(flip >> 3) % message.length]! ^= 1 << (flip & 7);
          decodeAll(message.subarray(0, message.length - (cut % message.length)));
        },
      ),
      { numRuns: runs(300) },
    );
  },
  FUZZ_TIMEOUT_MS,
);

test(
  'what is encoded decodes to itself: reports',
  () => {
    fc.assert(
      fc.property(fc.array(record, { maxLength: 12 }), (records) => {
        const out = new Uint8Array(4000);
        const message = out.subarray(0, encodeReport(out, records));
        const read: RecordToSend[] = [];
        expect(checkMessage(message)).toBeUndefined();
        walkGroupRecords(message, (type, address, at, count) => {
          const sources = Array.from({ length: count }, (_, n) => readSource(message, at + 4 * n)!);
          read.push({ type: type as RecordType, group: address, sources });
        });
        expect(read).toEqual(records);
      }),
    );
  },
  FUZZ_TIMEOUT_MS,
);

test(
  'what is encoded decodes to itself: older messages',
  () => {
    fc.assert(
      fc.property(fc.constantFrom(...types), group, (type, address) => {
        const out = new Uint8Array(8);
        expect(encodeGroupMessage(out, type, address)).toBe(8);
        expect(checkMessage(out)).toBeUndefined();
        expect(out[0]).toBe(type);
        expect(decodeGroupMessage(out)).toEqual({ ok: true, value: address });
      }),
    );
  },
  FUZZ_TIMEOUT_MS,
);

const query = fc.record({
  version: fc.constantFrom<IgmpVersion>(2, 3),
  // values every version can carry exactly
  maxRespMs: fc.integer({ min: 1, max: 127 }).map((ds) => ds * 100),
  group,
  suppress: fc.boolean(),
  robustness: fc.integer({ min: 0, max: 7 }),
  queryIntervalMs: fc.integer({ min: 0, max: 127 }).map((sec) => sec * 1000),
});

test(
  'what is encoded decodes to itself: queries',
  () => {
    fc.assert(
      fc.property(query, fc.array(unicast, { maxLength: 30 }), (sent, wanted) => {
        const out = new Uint8Array(200);
        const sources: readonly IpAddress[] = sent.version === 3 ? wanted : [];
        const message = out.subarray(0, encodeQuery(out, sent, sources));
        const decoded = decodeQuery(message);
        if (!decoded.ok) throw new Error(decoded.error.kind);
        const older = { version: 2, maxRespMs: sent.maxRespMs, group: sent.group, robustness: 0, queryIntervalMs: 0 };
        expect(decoded.value).toMatchObject(sent.version === 3 ? sent : older);
        const { sourcesAt, sourceCount } = decoded.value;
        expect(Array.from({ length: sourceCount }, (_, n) => readSource(message, sourcesAt + 4 * n))).toEqual(sources);
      }),
    );
  },
  FUZZ_TIMEOUT_MS,
);

test(
  'random payloads of 0 to 1500 bytes with a right checksum: no crash, state within its limits, all of it ends (IGMP-173)',
  () => {
    const payload = fc.tuple(
      fc.constantFrom(0x11, 0x12, 0x16, 0x17, 0x22, 0x22, 0x22, 0x00),
      fc.uint8Array({ maxLength: 1499 }),
    );
    fc.assert(
      fc.property(fc.array(payload, { maxLength: 20 }), fc.nat({ max: 300 }), (payloads, sec) => {
        const bed = new Bed({ config: { maxGroups: 5, maxSourcesPerGroup: 4 } });
        for (const [type, rest] of payloads) {
          const bytes = [type, ...rest];
          // a report says how many records it has: few, or most would be cut
          if (type === 0x22 && bytes.length > 8) bytes.splice(6, 2, 0, rest[5]! % 3);
          bed.hear(bytes.length < 4 ? Uint8Array.from(bytes) : withChecksum(bytes), { from: '10.0.0.1' });
          bed.clock.advance(sec);
        }
        const groups = bed.module.groups();
        expect(groups.length).toBeLessThanOrEqual(5);
        for (const g of groups) expect(g.sources.length).toBeLessThanOrEqual(4);
        bed.hear(reportV3(toIn('239.1.1.1', src('a'))));
        // longer than any GMI a forged query can bring: 7 * 31744 s
        bed.clock.advance(7 * 31_744_000 + 60_000);
        expect(bed.module.groups()).toEqual([]);
        void bed.module.stop();
        expect(bed.clock.due()).toBe(0);
      }),
      { numRuns: runs(60) },
    );
  },
  FUZZ_TIMEOUT_MS,
);
