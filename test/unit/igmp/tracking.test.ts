/** Explicit tracking (igmp.md section 12.2): a leave that is safe ends things at once, any other is asked about. */
import { expect, test } from 'vitest';
import {
  allow,
  block,
  isEx,
  isIn,
  leaveV2,
  queryV3,
  reportV2,
  reportV3,
  toEx,
  toIn,
} from '../../support/packet-builder.js';
import { Bed, type BedOptions, src } from './bed.js';

const G = '239.1.2.3';
const S = '232.1.1.1';
const [one, two] = [{ from: '10.0.0.21' }, { from: '10.0.0.22' }];

/** After the first response interval: all hosts have been heard. */
function tracked(config: BedOptions['config'] = {}): Bed {
  const bed = new Bed({ config: { explicitTracking: true, ...config } });
  bed.goTo(10);
  bed.asked();
  return bed;
}

test('the leave of one of two hosts changes nothing and asks nobody, that of the last ends the group at once (IGMP-132)', () => {
  const bed = tracked();
  for (const host of [one, two]) bed.hear(reportV3(toEx(G)), host);
  bed.mgm.drain();
  bed.hear(reportV3(toIn(G)), one);
  expect(bed.state(G)).toBe('EXCLUDE({},{}) 270');
  // hosts say it twice
  bed.goTo(10.5);
  bed.hear(reportV3(toIn(G)), one);
  expect(bed.mgm.drain()).toEqual([]);
  bed.hear(reportV3(toIn(G)), two);
  expect(bed.state(G)).toBe('none');
  expect(bed.mgm.drain()).toEqual([`delete (*,${G})`]);
  expect(bed.asked()).toEqual([]);
  expect(bed.module.hosts()).toEqual([]);
  bed.goTo(300);
  expect(bed.asked()).toEqual([]);
});

test('the same for each source of an INCLUDE group (IGMP-132, F19)', () => {
  const bed = tracked();
  bed.hear(reportV3(allow(S, src('a'), src('b'))), one);
  bed.hear(reportV3(allow(S, src('b'), src('c'))), two);
  bed.mgm.drain();
  bed.hear(reportV3(block(S, src('a'), src('b'))), one);
  expect(bed.state(S)).toBe('INCLUDE(b:270,c:270)');
  expect(bed.mgm.drain()).toEqual([`delete (a,${S})`]);
  bed.hear(reportV3(toIn(S)), two);
  expect(bed.state(S)).toBe('none');
  expect(bed.mgm.drain()).toEqual([`delete (b,${S})`, `delete (c,${S})`]);
  expect(bed.asked()).toEqual([]);
});

test('a source that the last host blocks is refused at once, one that another wants goes on (IGMP-132)', () => {
  const bed = tracked();
  bed.hear(reportV3(toEx(G, src('a'))), one);
  bed.hear(reportV3(toEx(G, src('a'), src('b'))), two);
  bed.mgm.drain();
  bed.hear(reportV3(block(G, src('c'))), one);
  expect(bed.mgm.drain()).toEqual([]);
  bed.hear(reportV3(block(G, src('c'))), two);
  expect(bed.mgm.drain()).toEqual([`refuse (c,${G})`]);
  // b is refused by two only
  expect(bed.module.sources().filter((row) => !row.wanted)).toHaveLength(2);
  bed.hear(reportV3(toIn(G)), one);
  expect(bed.state(G)).toMatch(/^EXCLUDE/);
  bed.hear(reportV3(toIn(G, src('d'))), two);
  expect(bed.state(G)).toBe('INCLUDE(d:270)');
  expect(bed.asked()).toEqual([]);
});

test('when the last EXCLUDE host leaves, what INCLUDE hosts want stays without a gap (IGMP-132)', () => {
  const bed = tracked();
  bed.hear(reportV3(toEx(G)), one);
  bed.hear(reportV3(allow(G, src('a'))), two);
  bed.mgm.drain();
  bed.hear(reportV3(toIn(G)), one);
  expect(bed.state(G)).toBe('INCLUDE(a:270)');
  expect(bed.mgm.drain()).toEqual([`add (a,${G})`, `delete (*,${G})`]);
});

test('sources that an EXCLUDE host made the group forget are there when it leaves: nobody is asked to name them (IGMP-132)', () => {
  const bed = tracked();
  bed.hear(reportV3(allow(G, src('a'))), one);
  bed.hear(reportV3(toEx(G)), two);
  expect(bed.state(G)).toBe('EXCLUDE({},{}) 270');
  bed.mgm.drain();
  bed.hear(reportV3(toIn(G)), two);
  expect(bed.state(G)).toBe('INCLUDE(a:270)');
  expect(bed.mgm.drain()).toEqual([`add (a,${G})`, `delete (*,${G})`]);
});

test('while a report of 0.0.0.0 counts, leaves are asked about (IGMP-133)', () => {
  const bed = tracked();
  bed.hear(reportV3(toEx(G)), { from: '0.0.0.0' });
  bed.hear(reportV3(toEx(G)), one);
  bed.hear(reportV3(toIn(G)), one);
  expect(bed.asked()).toEqual([`10 Q(${G}) S=0`]);
  expect(bed.state(G)).toBe('EXCLUDE({},{}) 2');
  // and no longer when it has run out
  bed.hear(reportV3(isEx(G)), { from: '0.0.0.0' });
  bed.goTo(200);
  bed.hear(reportV3(isEx(G)), one);
  bed.goTo(281);
  bed.asked();
  bed.hear(reportV3(toIn(G)), one);
  expect(bed.state(G)).toBe('none');
  expect(bed.asked()).toEqual([]);
});

test('a host of version 2 in the group suppresses its reports, so leaves are asked about', () => {
  const bed = tracked();
  bed.hear(reportV2(G), { ...one, to: G });
  bed.hear(reportV3(toEx(G)), two);
  bed.hear(reportV3(toIn(G)), two);
  bed.hear(leaveV2(G), { ...one, to: '224.0.0.2' });
  expect(bed.asked()).toEqual([`10 Q(${G}) S=0`]);
  // another group of the link is not concerned
  bed.hear(reportV3(toEx('239.9.9.9')), two);
  bed.hear(reportV3(toIn('239.9.9.9')), two);
  expect(bed.state('239.9.9.9')).toBe('none');
});

test('a host beyond maxTrackedHosts makes the group one that is asked about, and is counted', () => {
  const bed = tracked({ maxTrackedHosts: 2 });
  const hosts = [21, 22, 23].map((n) => ({ from: `10.0.0.${n}` }));
  for (const host of hosts) bed.hear(reportV3(toEx(G)), host);
  expect(bed.dropped('hostTableFull')).toBe(1);
  expect(bed.module.interfaces()[0]!.trackedHosts).toBe(2);
  for (const host of hosts) bed.hear(reportV3(toIn(G)), host);
  expect(bed.asked()).toEqual([`10 Q(${G}) S=0`]);
  bed.hear(reportV3(toEx('239.2.2.2')), hosts[0]!);
  expect(bed.module.hosts()).toHaveLength(1);
});

test('before all hosts can have answered the first query, leaves are asked about', () => {
  const bed = new Bed({ config: { explicitTracking: true } });
  bed.hear(reportV3(isEx(G)), one);
  bed.hear(reportV3(toIn(G)), one);
  expect(bed.asked()).toEqual([`0 Q(${G}) S=0`]);
});

test('a non-querier decides nothing by itself', () => {
  const bed = tracked();
  bed.hear(reportV3(toEx(G)), one);
  bed.hearQuery(queryV3(), '10.0.0.1');
  bed.hear(reportV3(toIn(G)), one);
  expect(bed.state(G)).toBe('EXCLUDE({},{}) 270');
});

test('a host that goes without a word is forgotten after GMI, and the others can leave safely', () => {
  const bed = tracked();
  bed.hear(reportV3(toEx(G)), one);
  bed.goTo(250);
  bed.hear(reportV3(isEx(G)), two);
  bed.goTo(281);
  bed.asked();
  expect(bed.module.hosts().map((row) => row.host)).toEqual([two.from]);
  bed.hear(reportV3(toIn(G)), two);
  expect(bed.state(G)).toBe('none');
});

test('an answer about some sources takes nothing from a host', () => {
  const bed = tracked();
  bed.hear(reportV3(allow(S, src('a'), src('b'))), one);
  bed.hear(reportV3(isIn(S, src('a'))), one);
  bed.hear(reportV3(allow(S, src('b'))), two);
  bed.hear(reportV3(block(S, src('b'))), two);
  expect(bed.state(S)).toBe('INCLUDE(a:270,b:270)');
  expect(bed.module.hosts()).toEqual([
    expect.objectContaining({ host: one.from, group: S, mode: 'include', sources: [src('a'), src('b')] }),
  ]);
});

test('fast leave beside tracking waits for the last host', () => {
  const bed = tracked({ fastLeave: true });
  for (const host of [one, two]) bed.hear(reportV3(toEx(G)), host);
  bed.hear(reportV3(toIn(G)), one);
  expect(bed.state(G)).toBe('EXCLUDE({},{}) 270');
});

test('link down forgets the hosts', () => {
  const bed = tracked();
  bed.hear(reportV3(toEx(G), allow(S, src('a'))), one);
  const [there] = bed.links.links();
  bed.links.change({ ...there!, running: false });
  expect(bed.module.interfaces()[0]!.trackedHosts).toBe(0);
});

test.each<[string, (bed: Bed) => void]>([
  ['the only one that wants it leaves', (bed) => bed.hear(reportV3(toIn(G)), two)],
  ['the only one that wants it asks for another source instead', (bed) => bed.hear(reportV3(toIn(G, src('d'))), two)],
  ['the only one that wants it refuses it by TO_EX', (bed) => bed.hear(reportV3(toEx(G, src('a'))), two)],
  ['the only one that wants it is heard to refuse it by IS_EX', (bed) => bed.hear(reportV3(isEx(G, src('a'))), two)],
  ['the only one that wants it blocks it', (bed) => bed.hear(reportV3(block(G, src('a'))), two)],
  ['the only one that wants it leaves by a leave of version 2', (bed) => bed.hear(leaveV2(G), { ...two, to: G })],
])('a source that one host refuses ends at once when %s (E9)', (_, act) => {
  const bed = tracked();
  bed.hear(reportV3(toEx(G, src('a'))), one);
  // its report deletes the source's record: the group knows nothing of the refusal any more
  bed.hear(reportV3(isEx(G)), two);
  bed.mgm.drain();
  act(bed);
  expect(bed.mgm.drain().filter((call) => call.startsWith('refuse'))).toEqual([`refuse (a,${G})`]);
  expect(bed.asked()).toEqual([]);
});

test('a source that only a host wanted which went without a word ends when that host does (E9)', () => {
  const bed = tracked();
  bed.hear(reportV3(toEx(G)), two);
  bed.goTo(100);
  bed.hear(reportV3(isEx(G, src('a'))), one);
  bed.goTo(200);
  bed.hear(reportV3(isEx(G, src('a'))), one);
  bed.mgm.drain();
  bed.goTo(280);
  expect(bed.mgm.drain()).toEqual([`refuse (a,${G})`]);
});

test('a source that another host names goes on when all others refuse it (E9)', () => {
  const bed = tracked();
  bed.hear(reportV3(isIn(G, src('a'))), one);
  bed.hear(reportV3(toEx(G, src('a'))), two);
  bed.hear(reportV3(isEx(G, src('a'))), two);
  expect(bed.mgm.drain().filter((call) => call.startsWith('refuse'))).toEqual([]);
  bed.hear(reportV3(block(G, src('a'))), one);
  expect(bed.mgm.drain()).toContain(`refuse (a,${G})`);
});
