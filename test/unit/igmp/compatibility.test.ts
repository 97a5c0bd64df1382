/** Older hosts and configured versions (igmp.md section 11), fast leave (12.1), limits (17.2). */
import { expect, test } from 'vitest';
import { ipv4 } from '../../../src/base/ip.js';
import { LaterHosts } from '../../../src/igmp/queries/later-hosts.js';
import {
  allow,
  block,
  isEx,
  isIn,
  leaveV2,
  queryV2,
  reportV1,
  reportV2,
  reportV3,
  toEx,
  toIn,
  withChecksum,
} from '../../support/packet-builder.js';
import { Bed, ETH1, link, src } from './bed.js';

const G = '239.1.2.3';
const mode = (bed: Bed) => bed.module.groups().find((g) => g.group === G)!.compatibility;

test('a v2 report puts the group in v2 mode for OHPI and counts as IS_EX({}) (IGMP-120)', () => {
  const bed = new Bed();
  bed.hear(reportV3(isEx(G, src('a')), isIn(G, src('b'))));
  bed.hear(reportV2(G), { to: G });
  expect(bed.state(G)).toBe('EXCLUDE({},{}) 270');
  expect(bed.module.groups()).toMatchObject([{ compatibility: 'v2', v2HostForMs: 260_000 }]);
});

test('in v1 mode leave, TO_IN and BLOCK are ignored and TO_EX loses its sources (IGMP-121)', () => {
  const bed = new Bed();
  bed.hear(reportV1(G), { to: G });
  expect(mode(bed)).toBe('v1');
  bed.goTo(10);
  bed.hear(leaveV2(G), { to: '224.0.0.2' });
  bed.hear(reportV3(toIn(G), block(G, src('a'))));
  expect(bed.state(G)).toBe('EXCLUDE({},{}) 260');
  expect(bed.dropped('olderHostMode')).toBe(3);
  bed.hear(reportV3(toEx(G, src('a'))));
  expect(bed.state(G)).toBe('EXCLUDE({},{}) 270');
  expect(bed.asked()).toEqual([]);
});

test('in v2 mode BLOCK is ignored, TO_EX loses its sources, leave and TO_IN are heard (IGMP-122)', () => {
  const bed = new Bed();
  bed.hear(reportV2(G), { to: G });
  bed.hear(reportV3(block(G, src('a')), toEx(G, src('b'))));
  expect(bed.state(G)).toBe('EXCLUDE({},{}) 270');
  bed.hear(reportV3(toIn(G, src('c'))));
  expect(bed.state(G)).toBe('EXCLUDE({c:270},{}) 2');
  bed.hear(reportV2(G), { to: G });
  bed.hear(leaveV2(G), { to: '224.0.0.2' });
  expect(bed.state(G)).toBe('EXCLUDE({},{}) 2');
});

test('the v1 host leaves v2 mode behind, both leave v3 mode behind (IGMP-123)', () => {
  const bed = new Bed();
  bed.hear(reportV1(G), { to: G });
  bed.goTo(100);
  bed.hear(reportV2(G), { to: G });
  expect(mode(bed)).toBe('v1');
  bed.goTo(260);
  expect(mode(bed)).toBe('v2');
  bed.hear(reportV3(isEx(G)));
  bed.goTo(359.999);
  expect(mode(bed)).toBe('v2');
  bed.goTo(360);
  expect(mode(bed)).toBe('v3');
});

test('modes are per group (IGMP-124, F29)', () => {
  const bed = new Bed();
  bed.hear(reportV1(G), { to: G });
  bed.hear(reportV3(isEx('239.9.9.9', src('a'))));
  bed.hear(reportV3(toEx('239.9.9.9', src('b'))));
  expect(bed.state('239.9.9.9')).toBe('EXCLUDE({b:2},{}) 270');
});

test('a v2 leave from a group that only v3 hosts reported counts as TO_IN({})', () => {
  const bed = new Bed();
  bed.hear(reportV3(toEx(G)));
  bed.hear(leaveV2(G), { to: '224.0.0.2' });
  expect(bed.state(G)).toBe('EXCLUDE({},{}) 2');
});

test('version 1 ignores leaves and v3 reports, and hears v2 reports (IGMP-126)', () => {
  const bed = new Bed({ config: { version: 1 } });
  bed.hear(reportV2(G), { to: G });
  bed.hear(leaveV2(G), { to: '224.0.0.2' });
  bed.hear(reportV3(toIn(G)));
  expect(bed.state(G)).toBe('EXCLUDE({},{}) 270');
  expect(bed.dropped('versionDisabled')).toBe(2);
  expect(bed.wire.sent[0]!.hex.slice(0, 4)).toBe('1100');
});

test('version 2 does not understand v3 reports', () => {
  const bed = new Bed({ config: { version: 2 } });
  bed.hear(reportV3(toEx(G)));
  expect(bed.state(G)).toBe('none');
  expect(bed.dropped('versionDisabled')).toBe(1);
});

test.each([
  ['a v2 leave', reportV2(G), leaveV2(G)],
  ['TO_IN({}) in EXCLUDE', reportV3(toEx(G, src('a'))), reportV3(toIn(G))],
  ['TO_IN({}) in INCLUDE', reportV3(allow(G, src('a'), src('b'))), reportV3(toIn(G))],
  ['BLOCK of every source', reportV3(allow(G, src('a'), src('b'))), reportV3(block(G, src('b'), src('a'), src('c')))],
])('fast leave: %s ends the group at once, nobody is asked (IGMP-130)', (_, join, leave) => {
  const bed = new Bed({ config: { fastLeave: true } });
  bed.hear(join);
  const joined = bed.mgm.drain().filter((call) => call.startsWith('add'));
  bed.hear(leave);
  expect(bed.state(G)).toBe('none');
  expect(bed.mgm.drain()).toEqual(joined.map((call) => call.replace('add', 'delete')));
  bed.goTo(5);
  expect(bed.asked()).toEqual([]);
});

test('fast leave leaves alone what only some leave', () => {
  const bed = new Bed({ config: { fastLeave: true } });
  bed.hear(reportV3(allow(G, src('a'), src('b'))));
  bed.hear(reportV3(block(G, src('a'))));
  expect(bed.state(G)).toBe('INCLUDE(a:2,b:270)');
});

test('fast leave does not act in v1 mode (IGMP-131)', () => {
  const bed = new Bed({ config: { fastLeave: true } });
  bed.hear(reportV1(G), { to: G });
  bed.hear(leaveV2(G), { to: '224.0.0.2' });
  expect(bed.state(G)).toBe('EXCLUDE({},{}) 270');
});

test('one group too many is refused and counted; a slot that is free again is used (IGMP-170)', () => {
  const bed = new Bed({ config: { maxGroups: 2 } });
  bed.hear(reportV3(toEx('239.0.0.1'), toEx('239.0.0.2'), toEx('239.0.0.3')));
  bed.hear(reportV2('239.0.0.4'), { to: '239.0.0.4' });
  expect(bed.module.groups().map((g) => g.group)).toEqual(['239.0.0.1', '239.0.0.2']);
  expect(bed.dropped('groupLimit')).toBe(2);
  expect(bed.log.of('igmp.limit.reached')[0]).toMatchObject({ level: 'warn', fields: { reason: 'groupLimit' } });
  bed.hear(reportV3(toIn('239.0.0.1')));
  bed.goTo(2);
  bed.hear(reportV3(toEx('239.0.0.3')));
  expect(bed.module.groups().map((g) => g.group)).toEqual(['239.0.0.2', '239.0.0.3']);
});

test('sources beyond the limit: INCLUDE drops the new ones, EXCLUDE forwards what it cannot refuse (IGMP-171)', () => {
  const bed = new Bed({ config: { maxSourcesPerGroup: 2 } });
  bed.hear(reportV3(allow(G, src('a'), src('b'), src('c'))));
  expect(bed.state(G)).toBe('INCLUDE(a:270,b:270)');
  bed.hear(reportV3(isEx('239.9.9.9', src('a'), src('b'), src('c'))));
  expect(bed.state('239.9.9.9')).toBe('EXCLUDE({},{a,b}) 270');
  expect(bed.mgm.drain()).not.toContain('refuse (c,239.9.9.9)');
  expect(bed.dropped('sourceLimit')).toBe(2);
  // what a record deletes makes room for what it brings
  bed.hear(reportV3(isEx('239.9.9.9', src('c'), src('d'))));
  expect(bed.state('239.9.9.9')).toBe('EXCLUDE({c:270,d:270},{}) 270');
  expect(bed.dropped('sourceLimit')).toBe(2);
});

test.each([1, 2] as const)(
  'a v3 host that missed the queries of a version %i interface is asked at once, and every such host once in an interval (E5)',
  (version) => {
    const bed = new Bed({ config: { version } });
    bed.goTo(50);
    bed.hear(reportV3(toEx(G)));
    expect(bed.generalQueriesAt()).toEqual([0, 31.25, 50]);
    expect(bed.dropped('versionDisabled')).toBe(1);
    // a host that goes on with version 3 causes no more of them
    for (let sec = 51; sec < 156; sec += 5) {
      bed.goTo(sec);
      bed.hear(reportV3(toEx(G)));
    }
    expect(bed.generalQueriesAt()).toEqual([0, 31.25, 50]);
    // and the regular ones come when they would have come
    bed.goTo(160);
    expect(bed.generalQueriesAt()).toEqual([0, 31.25, 50, 156.25]);
  },
);

test('many v3 hosts on a version 2 interface share one query in five seconds (E5)', () => {
  const bed = new Bed({ config: { version: 2 } });
  for (let n = 10; n < 250; n++) {
    bed.goTo(40 + (n - 10) / 20);
    bed.hear(reportV3(toEx(G)), { from: `10.0.0.${n}` });
  }
  bed.goTo(100);
  expect(bed.generalQueriesAt()).toEqual([0, 31.25, 40, 45, 50, 55]);
});

test('right after a query a v3 host on a version 2 interface waits for five seconds, start-up goes on as it was (E5)', () => {
  const bed = new Bed({ config: { version: 2 } });
  bed.goTo(1);
  bed.hear(reportV3(toEx(G)));
  bed.goTo(60);
  expect(bed.generalQueriesAt()).toEqual([0, 5, 31.25]);
});

test('a regular query serves the v3 hosts that wait for one (E5)', () => {
  const bed = new Bed({ config: { version: 2, startupQueryIntervalMs: 3000 } });
  bed.goTo(1);
  bed.hear(reportV3(toEx(G)));
  bed.goTo(60);
  expect(bed.generalQueriesAt()).toEqual([0, 3]);
});

test('a broken v3 report, and one where another router is querier, cause no query (E5)', () => {
  const bed = new Bed({ config: { version: 2 }, links: [link(ETH1, '10.0.0.5')] });
  bed.goTo(40);
  bed.hear(withChecksum([0x22, 0, 0, 0, 0, 0, 0, 1, 4, 0, 0, 0]));
  expect(bed.dropped('malformed')).toBe(1);
  bed.hear(reportV3(toEx(G)));
  bed.goTo(41);
  bed.hear(reportV3(toEx(G)), { from: '10.0.0.10' });
  bed.hearQuery(queryV2(), '10.0.0.1');
  bed.hear(reportV3(toEx(G)), { from: '10.0.0.11' });
  bed.goTo(100);
  expect(bed.generalQueriesAt()).toEqual([0, 31.25, 40]);
});

test('a thousand hosts of a later version are remembered, and no more (E5)', () => {
  const hosts = new LaterHosts();
  for (let n = 0; n < 2000; n++) expect(hosts.heard(ipv4(0x0a000000 + n), 0, 1000)).toBe(true);
  expect(hosts.heard(ipv4(0x0a000000 + 1999), 999, 1000)).toBe(false);
  expect(hosts.heard(ipv4(0x0a000000 + 1999), 1000, 1000)).toBe(true);
  expect(hosts.heard(ipv4(0x0a000000), 1, 1000)).toBe(true);
});
