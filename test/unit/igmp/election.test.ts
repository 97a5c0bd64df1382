/** Querier election and what a non-querier does (igmp.md sections 8.3, 10 and 11.1). */
import { expect, test } from 'vitest';
import { ip } from '../../../src/base/ip.js';
import {
  allow,
  isEx,
  leaveV2,
  queryV1,
  queryV2,
  queryV3,
  reportV2,
  reportV3,
  toEx,
} from '../../support/packet-builder.js';
import { Bed, ETH1, link, src } from './bed.js';

const G = '239.1.2.3';
/** Own address 10.0.0.5, so that there is room below. */
const middle = () => new Bed({ links: [link(ETH1, '10.0.0.5')] });
const row = (bed: Bed) => bed.module.interfaces()[0]!;

test('a lower address takes the role, and its silence gives it back after OQPI (IGMP-100, IGMP-103, F21)', () => {
  const bed = middle();
  bed.goTo(1);
  bed.hearQuery(queryV3(), '10.0.0.1');
  expect(row(bed)).toMatchObject({ role: 'non-querier', querier: '10.0.0.1', otherQuerierExpiresInMs: 255_000 });
  expect(bed.log.of('igmp.querier.lost')).toHaveLength(1);
  bed.goTo(255.9);
  expect(bed.generalQueriesAt()).toEqual([0]);
  // regained, with a General Query at once and one every QI
  bed.goTo(400);
  expect(bed.generalQueriesAt()).toEqual([0, 256, 381]);
  expect(row(bed)).toMatchObject({ role: 'querier', querier: '10.0.0.5', otherQuerierExpiresInMs: null });
  expect(bed.log.of('igmp.querier.gained')).toHaveLength(1);
});

test('a higher address changes nothing (IGMP-101)', () => {
  const bed = middle();
  bed.hearQuery(queryV3({ qrv: 7 }), '10.0.0.6');
  expect(row(bed)).toMatchObject({ role: 'querier', robustness: 2 });
});

test('a specific query from a lower address takes no role (IGMP-102)', () => {
  const bed = middle();
  bed.hearQuery(queryV3({ group: G, code: 10 }), '10.0.0.1', G);
  expect(bed.role()).toBe('querier');
});

test('of three routers the lowest dies and the middle one asks: no gap, no second querier, and it is shown (IGMP-104, F22, E2)', () => {
  const bed = middle();
  bed.hearQuery(queryV3({ qrv: 3, qqic: 85 }), '10.0.0.1');
  for (let sec = 100; sec <= 200; sec += 50) {
    bed.goTo(sec);
    bed.hearQuery(queryV3(), '10.0.0.3');
  }
  bed.goTo(259.9);
  // the lowest one heard within its OQPI is the querier, the timer that of whoever was heard last
  expect(row(bed)).toMatchObject({ querier: '10.0.0.1', robustness: 3, queryIntervalMs: 85_000 });
  expect(row(bed).otherQuerierExpiresInMs).toBeCloseTo(195_100);
  bed.goTo(260);
  expect(row(bed)).toMatchObject({ role: 'non-querier', querier: '10.0.0.3', robustness: 2, queryIntervalMs: 125_000 });
  bed.goTo(454.9);
  expect(bed.role()).toBe('non-querier');
  bed.goTo(455);
  expect(bed.role()).toBe('querier');
  expect(bed.generalQueriesAt()).toEqual([0, 455]);
  expect(bed.log.of('igmp.querier.lost')).toHaveLength(1);
  expect(bed.log.of('igmp.querier.gained')).toHaveLength(1);
  expect(bed.events.filter(({ evt }) => evt === 'igmp.querier.changed').map(({ querier }) => querier)).toEqual([
    '10.0.0.5',
    '10.0.0.1',
    '10.0.0.3',
    '10.0.0.5',
  ]);
});

test('the lowest router comes back and is the querier again at once (E2)', () => {
  const bed = middle();
  bed.hearQuery(queryV3(), '10.0.0.3');
  bed.hearQuery(queryV3({ qqic: 60 }), '10.0.0.1');
  expect(row(bed)).toMatchObject({ querier: '10.0.0.1', queryIntervalMs: 60_000 });
  bed.hearQuery(queryV3(), '10.0.0.3');
  expect(row(bed)).toMatchObject({ querier: '10.0.0.1', queryIntervalMs: 60_000 });
});

test('the lowest router has an own OQPI, so a middle one that asks more often is silent first (E2)', () => {
  const bed = middle();
  bed.hearQuery(queryV3(), '10.0.0.1');
  bed.hearQuery(queryV3({ qrv: 2, qqic: 10 }), '10.0.0.3');
  bed.goTo(254.9);
  expect(row(bed)).toMatchObject({ querier: '10.0.0.1', otherQuerierExpiresInMs: 100 });
  bed.goTo(255);
  expect(bed.role()).toBe('querier');
});

test('a router that yields to a lower one has asked when that one is silent, or is gone too: members are asked in time (E2, E4)', () => {
  const bed = middle();
  bed.hearQuery(queryV3(), '10.0.0.3');
  bed.goTo(20);
  bed.hearQuery(queryV3({ qrv: 2, qqic: 60 }), '10.0.0.1');
  bed.hear(reportV3(isEx(G)));
  // its OQPI is 125 s, the membership by its times 140 s
  bed.goTo(145);
  expect(row(bed)).toMatchObject({ role: 'non-querier', querier: '10.0.0.3' });
  bed.goTo(149.9);
  expect(bed.role()).toBe('non-querier');
  bed.goTo(150);
  expect(bed.role()).toBe('querier');
  expect(bed.generalQueriesAt()).toEqual([0, 150]);
  expect(bed.state(G)).toBe('EXCLUDE({},{}) 10');
  // the same when a slow one starts after the last query of a fast one
  const late = middle();
  late.hearQuery(queryV3({ qrv: 1, qqic: 60 }), '10.0.0.1');
  late.goTo(10);
  late.hearQuery(queryV3(), '10.0.0.3');
  late.goTo(90);
  expect(late.generalQueriesAt()).toEqual([0, 80]);
  // and one that is alive keeps us silent as before
  const another = middle();
  another.hearQuery(queryV3(), '10.0.0.3');
  another.hearQuery(queryV3({ qrv: 2, qqic: 60 }), '10.0.0.1');
  another.goTo(126);
  another.hearQuery(queryV3(), '10.0.0.3');
  another.goTo(380);
  expect(another.generalQueriesAt()).toEqual([0]);
});

test('a new address starts the election without the routers that were known (E2)', () => {
  const bed = middle();
  bed.hearQuery(queryV3(), '10.0.0.1');
  bed.hearQuery(queryV3(), '10.0.0.3');
  bed.goTo(10);
  bed.links.change(link(ETH1, '10.0.0.7'));
  expect(row(bed)).toMatchObject({ role: 'querier', otherQuerierExpiresInMs: null });
  bed.hearQuery(queryV3(), '10.0.0.6');
  expect(row(bed)).toMatchObject({ querier: '10.0.0.6' });
});

test('eight routers below us are known; of more, the one that would be silent first goes, never the querier (E2)', () => {
  const bed = new Bed({ links: [link(ETH1, '10.0.0.200')] });
  const seen: string[] = [];
  for (let n = 1; n <= 100; n++) {
    bed.goTo(n);
    bed.hearQuery(queryV3(), `10.0.0.${n}`);
  }
  expect((bed.module.saveState(false) as { queriers: unknown[] }).queriers).toHaveLength(8);
  for (let sec = 256; sec <= 356; sec++) {
    bed.goTo(sec);
    const { querier } = row(bed);
    if (seen.at(-1) !== querier) seen.push(querier!);
  }
  expect(seen).toEqual([94, 95, 96, 97, 98, 99, 100, 200].map((n) => `10.0.0.${n}`));
});

test('RV and QI of the querier are adopted, used for OQPI, and given back with the role (IGMP-105, IGMP-106)', () => {
  const bed = middle();
  bed.hearQuery(queryV3({ qrv: 3, qqic: 20 }), '10.0.0.1');
  expect(row(bed)).toMatchObject({
    robustness: 3,
    queryIntervalMs: 20_000,
    configuredRobustness: 2,
    configuredQueryIntervalMs: 125_000,
    otherQuerierExpiresInMs: 65_000,
  });
  bed.goTo(65);
  expect(row(bed)).toMatchObject({ role: 'querier', robustness: 2, queryIntervalMs: 125_000 });
});

test.each([
  ['QRV 0 and QQIC 0', queryV3({ qrv: 0, qqic: 0 })],
  ['a v2 query', queryV2()],
])('%s say nothing, the configured values count (IGMP-106)', (_, query) => {
  const bed = middle();
  bed.hearQuery(query, '10.0.0.1');
  expect(row(bed)).toMatchObject({ role: 'non-querier', robustness: 2, queryIntervalMs: 125_000 });
});

test('addresses compare unsigned (IGMP-107)', () => {
  const wide = (address: string) =>
    new Bed({
      links: [
        link(ETH1, address, {
          addresses: [{ address: ip(address), prefixLength: 0, secondary: false, scope: 'global', peer: undefined }],
        }),
      ],
    });
  const high = wide('223.0.0.1');
  high.hearQuery(queryV3(), '192.0.0.1');
  expect(high.role()).toBe('non-querier');
  const low = wide('10.0.0.1');
  low.hearQuery(queryV3(), '192.0.0.1');
  expect(low.role()).toBe('querier');
});

test('a heard Q(G) with S=0 lowers the timer to its own code times QRV, with S=1 it does not (IGMP-108, IGMP-109)', () => {
  const bed = middle();
  bed.hearQuery(queryV3(), '10.0.0.1');
  bed.hear(reportV3(toEx(G)));
  bed.hearQuery(queryV3({ group: G, code: 20, qrv: 3, suppress: true }), '10.0.0.1', G);
  expect(bed.state(G)).toBe('EXCLUDE({},{}) 270');
  bed.hearQuery(queryV3({ group: G, code: 20, qrv: 3 }), '10.0.0.1', G);
  expect(bed.state(G)).toBe('EXCLUDE({},{}) 6');
  // never raised
  bed.hearQuery(queryV3({ group: G, code: 100 }), '10.0.0.1', G);
  expect(bed.state(G)).toBe('EXCLUDE({},{}) 6');
  bed.goTo(6);
  expect(bed.state(G)).toBe('none');
});

test('the same for the sources of Q(G,A) (IGMP-108)', () => {
  const bed = middle();
  bed.hearQuery(queryV3(), '10.0.0.1');
  bed.hear(reportV3(allow(G, src('a'), src('b'))));
  bed.hearQuery(queryV3({ group: G, code: 10, sources: [src('a'), src('c')] }), '10.0.0.1', G);
  expect(bed.state(G)).toBe('INCLUDE(a:2,b:270)');
  bed.goTo(2);
  expect(bed.state(G)).toBe('INCLUDE(b:268)');
});

test('a v2 specific query has no QRV: the own count is taken (IGMP-109)', () => {
  const bed = middle();
  bed.hearQuery(queryV3(), '10.0.0.1');
  bed.hear(reportV2(G), { to: G });
  bed.hearQuery(queryV2(15, G), '10.0.0.1', G);
  expect(bed.state(G)).toBe('EXCLUDE({},{}) 3');
});

test('a specific query with code 0 lowers to the own LMQT instead of ending the group', () => {
  const bed = middle();
  bed.hearQuery(queryV3(), '10.0.0.1');
  bed.hear(reportV3(toEx(G)));
  bed.hearQuery(queryV3({ group: G, code: 0 }), '10.0.0.1', G);
  expect(bed.state(G)).toBe('EXCLUDE({},{}) 2');
});

test('a non-querier ignores v2 leaves (IGMP-110)', () => {
  const bed = middle();
  bed.hear(reportV2(G), { to: G });
  bed.hearQuery(queryV3(), '10.0.0.1');
  bed.hear(leaveV2(G), { to: '224.0.0.2' });
  expect(bed.state(G)).toBe('EXCLUDE({},{}) 270');
  expect(bed.dropped('notQuerier')).toBe(1);
});

test('own queries that come back are ignored (IGMP-111)', () => {
  const bed = middle();
  bed.hear(reportV3(toEx(G)));
  bed.hearQuery(queryV3({ group: G, code: 10 }), '10.0.0.5', G);
  bed.hearQuery(queryV3(), '10.0.0.5');
  expect(bed.state(G)).toBe('EXCLUDE({},{}) 270');
  expect(bed.role()).toBe('querier');
  expect(bed.dropped('ownMessage')).toBe(2);
});

test('a new primary address runs the election again and is the source of queries (IGMP-113, F09)', () => {
  const bed = middle();
  bed.hear(reportV3(toEx(G)));
  bed.hearQuery(queryV3(), '10.0.0.1');
  bed.goTo(10);
  bed.links.change(link(ETH1, '10.0.0.7'));
  expect(row(bed)).toMatchObject({ role: 'querier', address: '10.0.0.7' });
  expect(bed.wire.sent.at(-1)).toMatchObject({ text: 'general', source: '10.0.0.7', atMs: 10_000 });
  bed.goTo(50);
  expect(bed.generalQueriesAt()).toEqual([0, 10, 41.25]);
  // members stay
  expect(bed.state(G)).toBe('EXCLUDE({},{}) 220');
});

test('an interface without an address waits for one, says so once, and hears its hosts (F10)', () => {
  const bed = new Bed({ links: [link(ETH1)], config: { verifySourceSubnet: false } });
  bed.links.change(link(ETH1, undefined, { mtu: 1400 }));
  bed.hear(reportV3(toEx(G)));
  bed.goTo(60);
  expect(bed.wire.sent).toEqual([]);
  expect(row(bed)).toMatchObject({ role: 'down', address: null, groups: 1 });
  expect(bed.log.of('igmp.address.missed')).toHaveLength(1);
  // when it gets one
  bed.links.change(link(ETH1, '10.0.0.5'));
  expect(bed.generalQueriesAt()).toEqual([60]);
});

test('a query from 0.0.0.0 changes neither role nor timers (F24, IGMP-026)', () => {
  const bed = middle();
  bed.hear(reportV3(toEx(G)));
  bed.hearQuery(queryV3(), '0.0.0.0');
  bed.hearQuery(queryV3({ group: G, code: 10 }), '0.0.0.0', G);
  expect(bed.role()).toBe('querier');
  expect(bed.state(G)).toBe('EXCLUDE({},{}) 270');
  expect(bed.dropped('zeroSource')).toBe(2);
});

test('a query of another version is warned about, not for every packet (IGMP-127)', () => {
  const bed = middle();
  for (let n = 0; n < 50; n++) bed.hearQuery(queryV2(), '10.0.0.6');
  expect(bed.log.of('igmp.version.differed').length).toBeLessThanOrEqual(3);
  expect(bed.log.of('igmp.version.differed')[0]).toMatchObject({
    level: 'warn',
    fields: { version: 2, configured: 3 },
  });
});

test('losing the role to an older router is an error: source filters end there', () => {
  const bed = middle();
  bed.hearQuery(queryV1(), '10.0.0.1');
  expect(bed.log.of('igmp.querier.lost')).toMatchObject([{ level: 'error', fields: { to: '10.0.0.1', version: 1 } }]);
});

test('one query with QRV 7 and QQIC 255 silences us for ten times the own OQPI, and is warned about once (E4)', () => {
  const bed = middle();
  for (let n = 0; n < 20; n++) bed.hearQuery(queryV3({ qrv: 7, qqic: 255 }), '10.0.0.1');
  expect(row(bed)).toMatchObject({ robustness: 7, queryIntervalMs: 363_571 });
  expect(row(bed).otherQuerierExpiresInMs).toBeLessThanOrEqual(2_550_000);
  expect(row(bed).otherQuerierExpiresInMs).toBeGreaterThan(2_549_900);
  const [line, ...more] = bed.log.of('igmp.querier.bounded');
  expect(more).toEqual([]);
  expect(line).toMatchObject({
    level: 'warn',
    fields: { from: '10.0.0.1', robustness: 7, queryIntervalMs: 31_744_000, heldBack: 0 },
  });
  // memberships as well
  bed.hear(reportV3(toEx(G)));
  bed.goTo(2565);
  expect(bed.role()).toBe('querier');
  expect(bed.state(G)).toBe('none');
});

test('times that add up to ten times the own OQPI are believed as they are (E4)', () => {
  const bed = new Bed({ links: [link(ETH1, '10.0.0.5')], config: { queryIntervalMs: 20_000 } });
  bed.hearQuery(queryV3({ qrv: 3, qqic: 120 }), '10.0.0.1');
  expect(row(bed)).toMatchObject({ robustness: 3, queryIntervalMs: 120_000, otherQuerierExpiresInMs: 365_000 });
  expect(bed.log.of('igmp.querier.bounded')).toEqual([]);
});

test('a querier below a bounded one is adopted from at once (E4)', () => {
  const bed = middle();
  bed.hearQuery(queryV3({ qrv: 7, qqic: 255 }), '10.0.0.3');
  bed.hearQuery(queryV3(), '10.0.0.1');
  expect(row(bed)).toMatchObject({ querier: '10.0.0.1', robustness: 2, queryIntervalMs: 125_000 });
});
