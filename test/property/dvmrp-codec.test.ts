/** Whatever bytes come, the DVMRP decoders return; what is encoded decodes to itself. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ipv4, type IpAddress, maskOf, toU32 } from '../../src/base/ip.js';
import { decodeGraft, encodeGraft } from '../../src/dvmrp/wire/graft.js';
import { CODE, decodeHeader } from '../../src/dvmrp/wire/header.js';
import { encodeNeighbors2, type InterfaceBlock, walkNeighbors2 } from '../../src/dvmrp/wire/neighbors2.js';
import { decodeProbe, encodeProbe, listsNeighbor, probeNeighbor } from '../../src/dvmrp/wire/probe.js';
import { decodePrune, encodePrune } from '../../src/dvmrp/wire/prune.js';
import { compareRoutes, decodeReport, isRoutable, ReportEntries, ReportWriter } from '../../src/dvmrp/wire/report.js';
import { runs } from '../support/runs.js';

const unicast = fc.integer({ min: 0x0a000001, max: 0x7effffff }).map(ipv4);
const group = fc.integer({ min: 0xe0000100, max: 0xefffffff }).map(ipv4);
const mask = fc.option(fc.integer({ min: 0, max: 32 }).map(maskOf), { nil: undefined });

interface SentRoute {
  readonly network: IpAddress;
  readonly length: number;
  readonly metric: number;
}

const route: fc.Arbitrary<SentRoute> = fc
  .record({
    address: fc.integer({ min: 0x01000000, max: 0xdfffffff }).filter((address) => address >>> 24 !== 127),
    length: fc.oneof(fc.constant(0), fc.integer({ min: 8, max: 32 })),
    metric: fc.integer({ min: 1, max: 63 }),
  })
  .map(({ address, length, metric }) => ({ network: ipv4(address & toU32(maskOf(length))), length, metric }));

const routes = fc.uniqueArray(route, { maxLength: 300, selector: (one) => `${String(one.network)}/${one.length}` });

function messagesOf(sent: readonly SentRoute[], bodyLimit?: number): Uint8Array[] {
  const messages: Uint8Array[] = [];
  const writer = new ReportWriter((message) => messages.push(message.slice()), bodyLimit);
  for (const { network, length, metric } of sent) writer.add(network, length, metric);
  writer.flush();
  return messages;
}

function decodeAll(b: Uint8Array): void {
  decodeHeader(b);
  decodePrune(b);
  decodeGraft(b);
  const probe = decodeProbe(b);
  if (probe.ok) {
    expect(probe.value.neighborsAt + 4 * probe.value.neighborCount).toBe(b.length);
    listsNeighbor(b, probe.value, ipv4(0));
  }
  const entries = new ReportEntries();
  decodeReport(b, entries);
  expect(entries.count).toBeLessThanOrEqual(b.length / 2);
  for (let n = 0; n < entries.count; n++) {
    expect(isRoutable(entries.networks[n]!, entries.lengths[n]!)).toBe(true);
    expect(entries.metrics[n]! > 0 && entries.metrics[n]! < 64).toBe(true);
  }
  walkNeighbors2(b, (_block, at, count) => expect(at + 4 * count).toBeLessThanOrEqual(b.length));
}

test('decoders return for random bytes and never point outside of them (DVMRP-016)', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 1500 }), decodeAll), { numRuns: runs(1000) });
});

test('decoders return for Reports with flipped bits and cut ends (DVMRP-016)', () => {
  fc.assert(
    fc.property(routes, fc.array(fc.nat(), { maxLength: 8 }), fc.nat(), (sent, flips, cut) => {
      for (const message of messagesOf(sent)) {
        for (const flip of flips) message[(flip >> 3) % message.length]! ^= 1 << (flip & 7);
        decodeAll(message.subarray(0, message.length - (cut % message.length)));
      }
    }),
    { numRuns: runs(300) },
  );
});

test('what is packed decodes to itself, in any order and at any size of message (DVMRP-006, DVMRP-013)', () => {
  fc.assert(
    fc.property(routes, fc.boolean(), fc.integer({ min: 20, max: 1400 }), (given, sorts, bodyLimit) => {
      const sent = sorts ? [...given].sort(compareRoutes) : given;
      const entries = new ReportEntries();
      const read = messagesOf(sent, bodyLimit).flatMap((message) => {
        expect(message.length).toBeLessThanOrEqual(8 + bodyLimit);
        expect(decodeHeader(message).ok).toBe(true);
        expect(decodeReport(message, entries)).toBeUndefined();
        return Array.from({ length: entries.count }, (_, n) => ({
          network: entries.networks[n]!,
          length: entries.lengths[n]!,
          metric: entries.metrics[n]!,
        }));
      });
      expect(read).toEqual(sent);
    }),
  );
});

test('what is encoded decodes to itself: Probes', () => {
  fc.assert(
    fc.property(fc.nat(0xffff_ffff), fc.array(unicast, { maxLength: 64 }), (generationId, heard) => {
      const out = new Uint8Array(300);
      const message = out.subarray(0, encodeProbe(out, generationId, heard));
      const probe = decodeProbe(message);
      if (!probe.ok) throw new Error(probe.error.kind);
      expect(probe.value.generationId).toBe(generationId);
      expect(heard.every((address) => listsNeighbor(message, probe.value, address))).toBe(true);
      expect(heard.map((_, n) => probeNeighbor(message, probe.value, n))).toEqual(heard);
    }),
  );
});

test('what is encoded decodes to itself: Prunes and Grafts', () => {
  fc.assert(
    fc.property(unicast, group, fc.nat(0xffff_ffff), mask, (source, address, sec, masked) => {
      const out = new Uint8Array(24);
      const prune = { source, group: address, lifetimeMs: sec * 1000, mask: masked };
      expect(decodePrune(out.subarray(0, encodePrune(out, prune)))).toEqual({ ok: true, value: prune });
      const graft = { source, group: address, mask: masked };
      expect(decodeGraft(out.subarray(0, encodeGraft(out, CODE.graftAck, graft)))).toEqual({ ok: true, value: graft });
    }),
  );
});

const block: fc.Arbitrary<InterfaceBlock> = fc.record({
  local: unicast,
  metric: fc.nat(255),
  threshold: fc.nat(255),
  flags: fc.nat(255),
  neighbors: fc.array(unicast, { minLength: 1, maxLength: 300 }),
});

test('what is encoded decodes to itself: Neighbors2, however it is split', () => {
  fc.assert(
    fc.property(fc.array(block, { maxLength: 6 }), fc.integer({ min: 12, max: 1400 }), (blocks, bodyLimit) => {
      const out = new Uint8Array(8 + bodyLimit);
      const read: unknown[] = [];
      const emit = (length: number) => {
        expect(length).toBeLessThanOrEqual(8 + bodyLimit);
        const message = out.slice(0, length);
        const view = new DataView(message.buffer);
        const error = walkNeighbors2(message, ({ local, flags }, at, count) => {
          for (let n = 0; n < count; n++) read.push([local, flags, ipv4(view.getUint32(at + 4 * n))]);
        });
        expect(error).toBeUndefined();
      };
      encodeNeighbors2(out, blocks, emit, bodyLimit);
      expect(read).toEqual(
        blocks.flatMap(({ local, flags, neighbors }) => neighbors.map((one) => [local, flags, one])),
      );
    }),
  );
});
