/** What is listened to, and what is counted when it is not (igmp.md sections 4, 13 and 17.1). */
import { expect, test } from 'vitest';
import { ip } from '../../../src/base/ip.js';
import {
  allow,
  block,
  isEx,
  isIn,
  leaveV2,
  queryV1,
  queryV2,
  queryV3,
  reportV1,
  reportV2,
  reportV3,
  toEx,
  toIn,
  withChecksum,
} from '../../support/packet-builder.js';
import { Bed, type Delivery, ETH1, ETH2, link, prefix, src } from './bed.js';

const G = '239.1.2.3';

function unchanged(bed: Bed, reason: string, times = 1): void {
  expect(bed.dropped(reason)).toBe(times);
  expect(bed.module.groups()).toEqual([]);
  expect(bed.mgm.drain()).toEqual([]);
  expect(bed.role()).toBe('querier');
}

test('a v2 report of 12 bytes with a checksum over 8 of them is dropped, over 12 it counts (IGMP-003)', () => {
  const bed = new Bed();
  bed.hear(Uint8Array.from([...reportV2(G), 1, 2, 3, 4]));
  unchanged(bed, 'badChecksum');
  bed.hear(withChecksum([...reportV2(G), 1, 2, 3, 4]));
  expect(bed.state(G)).toBe('EXCLUDE({},{}) 270');
});

test('messages of every type with a wrong checksum leave nothing but a count (IGMP-004)', () => {
  const bed = new Bed();
  const all = [queryV1(), queryV2(), queryV3(), reportV1(G), reportV2(G), leaveV2(G), reportV3(toEx(G))];
  for (const message of all) {
    message[3]! ^= 1;
    bed.hear(message, { from: '10.0.0.1' });
  }
  unchanged(bed, 'badChecksum', 7);
});

test('a message of 7 bytes is too short', () => {
  const bed = new Bed();
  bed.hear(reportV2(G).subarray(0, 7));
  unchanged(bed, 'tooShort');
});

test('a query with more sources than bytes changes no timer (IGMP-007)', () => {
  const bed = new Bed();
  bed.hear(reportV3(allow(G, src('a'))));
  bed.hearQuery(withChecksum([...queryV3({ group: G, sources: [src('a')] }).subarray(0, 15)]), '10.0.0.1', G);
  expect(bed.dropped('malformed')).toBe(1);
  expect(bed.state(G)).toBe('INCLUDE(a:270)');
});

test('a report without records has no effect (IGMP-009)', () => {
  const bed = new Bed();
  bed.hear(reportV3());
  expect(bed.module.groups()).toEqual([]);
  expect(bed.module.counters()[0]!.received.reportsV3).toBe(1);
});

test('the record behind auxiliary data, and behind an unknown type, is applied (IGMP-010, IGMP-011)', () => {
  const bed = new Bed();
  const aux = { type: 1, group: '232.1.2.3', sources: [src('a')], aux: [0xdeadbeef, 7] };
  const unknown = { type: 7, group: '239.7.7.7', sources: [src('b')] };
  bed.hear(reportV3(aux, unknown, { ...unknown, type: 255 }, isEx(G, src('c'))));
  expect(bed.state('232.1.2.3')).toBe('INCLUDE(a:270)');
  expect(bed.state('239.7.7.7')).toBe('none');
  expect(bed.state(G)).toBe('EXCLUDE({},{c}) 270');
  expect(bed.dropped('unknownRecord')).toBe(2);
});

test('a report whose last record is cut has no effect at all (IGMP-012, F26)', () => {
  const bed = new Bed();
  const whole = reportV3(toEx(G), allow('232.1.2.3', src('a'), src('b')));
  bed.hear(withChecksum([...whole.subarray(0, whole.length - 4)]));
  unchanged(bed, 'malformed');
});

test('a record of 65535 sources in a short packet (IGMP-013)', () => {
  const bed = new Bed();
  const whole = reportV3(allow('232.1.2.3', src('a')));
  whole.set([0xff, 0xff], 10);
  bed.hear(withChecksum([...whole]));
  unchanged(bed, 'malformed');
});

test('unknown types are counted and ignored (IGMP-014)', () => {
  const bed = new Bed();
  for (const type of [0x00, 0x01, 0x14, 0x1e, 0x1f, 0xff]) bed.hear(withChecksum([type, 0, 0, 0, 239, 1, 2, 3]));
  unchanged(bed, 'unknownType', 6);
});

test('reserved bytes of a report are ignored (IGMP-016)', () => {
  const bed = new Bed();
  const b = reportV3(toEx(G));
  b.set([9], 1);
  b.set([9, 9], 4);
  bed.hear(withChecksum([...b]));
  expect(bed.state(G)).toBe('EXCLUDE({},{}) 270');
});

test('TTL 2 is dropped, unless the knob is off (IGMP-020)', () => {
  const bed = new Bed();
  bed.hear(reportV2(G), { ttl: 2 });
  unchanged(bed, 'badTtl');
  const lax = new Bed({ config: { requireTtl1: false } });
  lax.hear(reportV2(G), { ttl: 64 });
  expect(lax.state(G)).not.toBe('none');
});

test('a missing Router Alert matters only when required, and never for v1 (IGMP-021)', () => {
  const lax = new Bed();
  lax.hear(reportV2(G), { routerAlert: false });
  expect(lax.state(G)).not.toBe('none');
  const strict = new Bed({ config: { requireRouterAlert: true } });
  strict.hear(reportV2(G), { routerAlert: false });
  unchanged(strict, 'noRouterAlert');
  strict.hear(reportV1(G), { routerAlert: false });
  expect(strict.state(G)).not.toBe('none');
  strict.hear(queryV1(), { routerAlert: false, from: '10.0.0.1', to: '224.0.0.1' });
  expect(strict.role()).toBe('non-querier');
});

test('a report from 0.0.0.0 makes a member (IGMP-022)', () => {
  const bed = new Bed();
  bed.hear(reportV3(toEx(G)), { from: '0.0.0.0' });
  expect(bed.module.groups()).toMatchObject([{ group: G, lastReporter: null }]);
});

test('a report from off the subnet is dropped, unless the knob is off (IGMP-023)', () => {
  const bed = new Bed();
  bed.hear(reportV2(G), { from: '10.9.0.1' });
  unchanged(bed, 'offSubnet');
  const lax = new Bed({ config: { verifySourceSubnet: false } });
  lax.hear(reportV2(G), { from: '10.9.0.1' });
  expect(lax.state(G)).not.toBe('none');
});

test('a report from a secondary subnet, and from the peer of a point-to-point link, counts (IGMP-024)', () => {
  const first = {
    address: ip('10.0.0.2'),
    prefixLength: 24,
    secondary: false,
    scope: 'global' as const,
    peer: undefined,
  };
  const second = {
    address: ip('10.7.0.2'),
    prefixLength: 16,
    secondary: true,
    scope: 'global' as const,
    peer: undefined,
  };
  const peer = {
    address: ip('10.8.0.1'),
    prefixLength: 32,
    secondary: false,
    scope: 'global' as const,
    peer: ip('10.8.0.2'),
  };
  const bed = new Bed({ links: [link(ETH1, undefined, { addresses: [second, first, peer] })] });
  bed.hear(reportV3(toEx(G)), { from: '10.7.200.1' });
  bed.hear(reportV3(toEx('239.9.9.9')), { from: '10.8.0.2' });
  expect(bed.module.groups()).toHaveLength(2);
  expect(bed.module.interfaces()[0]!.address).toBe('10.0.0.2');
});

test('a query from off the subnet is ignored whatever the knob (IGMP-025)', () => {
  const bed = new Bed({ config: { verifySourceSubnet: false } });
  bed.hearQuery(queryV3(), '1.0.0.1');
  unchanged(bed, 'offSubnet');
});

test.each<[string, Delivery]>([
  ['a multicast address', { from: '224.0.0.9' }],
  ['loopback', { from: '127.0.0.1' }],
  ['the broadcast address of the subnet', { from: '10.0.0.255' }],
  ['255.255.255.255', { from: '255.255.255.255' }],
])('a message from %s is dropped', (_, delivery) => {
  const bed = new Bed({ config: { verifySourceSubnet: false } });
  bed.hear(reportV2(G), delivery);
  unchanged(bed, 'badSource');
});

test('a report of our own kernel makes no member: own joins are not receivers behind the interface', () => {
  const bed = new Bed();
  bed.hear(reportV3(toEx(G)), { from: '10.0.0.2' });
  unchanged(bed, 'ownMessage');
});

test.each(['224.0.0.2', G, '10.0.0.2'])('a v2 leave to %s is heard (IGMP-027)', (to) => {
  const bed = new Bed();
  bed.hear(reportV2(G), { to: G });
  bed.hear(leaveV2(G), { to });
  expect(bed.state(G)).toBe('EXCLUDE({},{}) 2');
});

test('a General Query to another group is ignored, to our own address it counts (IGMP-028)', () => {
  const bed = new Bed();
  bed.hearQuery(queryV3(), '10.0.0.1', '224.0.0.5');
  unchanged(bed, 'badDestination');
  bed.hearQuery(queryV3(), '10.0.0.1', '10.0.0.2');
  expect(bed.role()).toBe('non-querier');
});

test('interfaces do not mix: the ingress of the packet decides (IGMP-031, IGMP-032)', () => {
  const bed = new Bed({ links: [link(ETH1, '10.0.0.2'), link(ETH2, '10.0.0.3')] });
  void bed.module.release(ETH2);
  bed.mgm.drain();
  bed.hear(reportV2(G), { on: ETH2 });
  expect(bed.module.groups()).toEqual([]);
  void bed.module.take(ETH2);
  bed.hear(reportV2(G), { on: ETH2 });
  expect(bed.module.groups().map((g) => g.name)).toEqual(['eth2']);
  expect(bed.mgm.drain()).toEqual(['eth2 take', `eth2 add (*,${G})`]);
});

test('records for 224.0.0.0/24 are passed over, the next one counts (IGMP-040, F31)', () => {
  const bed = new Bed();
  bed.hear(reportV3(toEx('224.0.0.251'), isIn('224.0.0.22', src('a')), toEx(G)));
  bed.hear(reportV2('224.0.0.251'));
  bed.hear(leaveV2('224.0.0.251'));
  expect(bed.module.groups().map((g) => g.group)).toEqual([G]);
  // the manager hears nothing of it
  expect(bed.mgm.drain()).toEqual([`add (*,${G})`]);
});

test('records for unicast and class E groups are skipped (IGMP-042)', () => {
  const bed = new Bed();
  bed.hear(reportV3(toEx('10.1.1.1'), toEx('240.0.0.1'), toEx(G)));
  bed.hear(reportV2('10.1.1.1'));
  expect(bed.module.groups().map((g) => g.group)).toEqual([G]);
  expect(bed.dropped('badGroup')).toBe(3);
});

test('v1 and v2 messages for an SSM group are ignored and start no host timer (IGMP-043, IGMP-045)', () => {
  const bed = new Bed();
  const channel = '232.1.2.3';
  bed.hear(reportV3(allow(channel, src('a'))));
  for (const message of [reportV1(channel), reportV2(channel), leaveV2(channel)]) bed.hear(message);
  expect(bed.dropped('ssmGroup')).toBe(3);
  expect(bed.module.groups()).toMatchObject([{ compatibility: 'v3', v1HostForMs: null, v2HostForMs: null }]);
  expect(bed.state(channel)).toBe('INCLUDE(a:270)');
});

test('IS_EX and TO_EX for an SSM group are ignored, other records count (IGMP-044, IGMP-045)', () => {
  const bed = new Bed();
  const channel = '232.1.2.3';
  bed.hear(reportV3(toEx(channel), isEx(channel, src('b')), allow(channel, src('a'), src('b')), isIn(G, src('c'))));
  expect(bed.state(channel)).toBe('INCLUDE(a:270,b:270)');
  expect(bed.state(G)).toBe('INCLUDE(c:270)');
  bed.hear(reportV3(block(channel, src('a'))));
  expect(bed.state(channel)).toBe('INCLUDE(a:2,b:270)');
  bed.hear(reportV3(toIn(channel)));
  expect(bed.state(channel)).toBe('INCLUDE(a:2,b:2)');
});

test('a configured SSM range behaves alike, 232/8 only by default (IGMP-046)', () => {
  const bed = new Bed({ config: { ssmRanges: [prefix('232.0.0.0/8'), prefix('239.232.0.0/16')] } });
  bed.hear(reportV3(toEx('239.232.1.1'), toEx('239.233.1.1')));
  expect(bed.module.groups().map((g) => g.group)).toEqual(['239.233.1.1']);
});

test('sources nobody can send from are skipped; a record emptied by that is none (IGMP-048)', () => {
  const bed = new Bed();
  const bad = ['0.0.0.0', '127.0.0.1', '224.1.1.1', '255.255.255.255'];
  bed.hear(reportV3(allow(G, ...bad, src('a'))));
  expect(bed.state(G)).toBe('INCLUDE(a:270)');
  bed.hear(reportV3(toIn(G, ...bad), isEx(G, ...bad)));
  expect(bed.state(G)).toBe('INCLUDE(a:270)');
  expect(bed.dropped('badSources')).toBe(2);
});

test('drops are told at debug, some and then no more', () => {
  const bed = new Bed();
  for (let n = 0; n < 1000; n++) bed.hear(reportV2(G), { from: '127.0.0.1' });
  const lines = bed.log.of('igmp.message.ignored');
  expect(lines.length).toBeLessThanOrEqual(3);
  expect(lines[0]).toMatchObject({ level: 'debug', fields: { reason: 'badSource', from: '127.0.0.1' } });
  bed.clock.advance(10_000);
  bed.hear(reportV2(G), { from: '127.0.0.1' });
  expect(bed.log.of('igmp.message.ignored').at(-1)!.fields.heldBack).toBe(997);
});
