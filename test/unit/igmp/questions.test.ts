/** Each question has its own due time, and what the budget of queries has no room for is asked later (specification 8.2, 17.2). */
import { expect, test } from 'vitest';
import {
  allow,
  block,
  isEx,
  isIn,
  queryV3,
  reportV1,
  reportV2,
  reportV3,
  toEx,
  toIn,
} from '../../support/packet-builder.js';
import { Bed, ETH1, link, src } from './bed.js';

const G = '239.1.2.3';
const MANY = Array.from({ length: 10 }, (_, n) => `239.3.0.${n + 1}`);
const waiting = (bed: Bed) => bed.module.interfaces()[0]!.waitingLeaves;

/** Two groups a second are asked about, two queries each. */
function busy(groups: readonly string[] = MANY): Bed {
  const bed = new Bed({ config: { maxQueriesPerSec: 4 } });
  bed.hear(reportV3(...groups.map((group) => toEx(group))));
  bed.asked();
  return bed;
}

test('Q(G) is repeated an LMQI after it was sent, not with the Q(G,S) that was pending (E1)', () => {
  const bed = new Bed();
  bed.hear(reportV3(toEx(G), allow(G, src('a'))));
  bed.goTo(10);
  bed.hear(reportV3(block(G, src('a'))));
  bed.goTo(10.9);
  bed.hear(reportV3(toIn(G)));
  bed.goTo(20);
  expect(bed.asked()).toEqual([`10 Q(${G},{a}) S=0`, `10.9 Q(${G}) S=0`, `11 Q(${G},{a}) S=0`, `11.9 Q(${G}) S=0`]);
});

test('a Q(G,S) after a pending Q(G), and one of a third source, keep their own times too (E1)', () => {
  const bed = new Bed({ config: { lastMemberQueryCount: 3 } });
  bed.hear(reportV3(toEx(G), allow(G, src('a'), src('b'))));
  bed.goTo(10);
  bed.hear(reportV3(toIn(G, src('a'), src('b'))));
  bed.goTo(10.25);
  bed.hear(reportV3(block(G, src('a'))));
  bed.goTo(10.5);
  bed.hear(reportV3(block(G, src('b'))));
  bed.goTo(20);
  const times = (what: string) => bed.wire.sent.filter((s) => s.text === what).map((s) => s.atMs / 1000);
  expect(times(`Q(${G}) S=0`)).toEqual([10, 11, 12]);
  expect(times(`Q(${G},{a}) S=0`)).toEqual([10.25, 11.25, 12.25]);
  expect(times(`Q(${G},{b}) S=0`)).toEqual([10.5, 11.5, 12.5]);
});

test('questions that are due in the same tick go out together (E1)', () => {
  const bed = new Bed();
  bed.hear(reportV3(toEx(G), allow(G, src('a'), src('b'))));
  bed.goTo(10);
  bed.hear(reportV3(block(G, src('a'))));
  bed.goTo(11);
  bed.hear(reportV3(block(G, src('b'))));
  bed.goTo(20);
  expect(bed.asked()).toEqual([`10 Q(${G},{a}) S=0`, `11 Q(${G},{a}) S=0`, `11 Q(${G},{b}) S=0`, `12 Q(${G},{b}) S=0`]);
});

test('leaves beyond maxQueriesPerSec wait and are asked about later, each with all its queries (E8)', () => {
  const bed = busy();
  bed.goTo(10);
  bed.hear(reportV3(...MANY.map((group) => toIn(group))));
  expect(waiting(bed)).toBe(8);
  expect(bed.state(MANY[2]!)).toBe('EXCLUDE({},{}) 260');
  expect(bed.dropped('queryLimit')).toBe(8);
  expect(bed.log.of('igmp.limit.reached').length).toBeGreaterThan(0);
  bed.goTo(20);
  expect(waiting(bed)).toBe(0);
  for (const group of MANY) expect(bed.wire.sent.filter((s) => s.destination === group)).toHaveLength(2);
  const first = MANY.map((group) => bed.wire.sent.find((s) => s.destination === group)!.atMs);
  expect(first).toEqual([...first].sort((a, b) => a - b));
  // a budget of four a second, of which one second was saved up
  expect(first.at(-1)).toBeGreaterThanOrEqual(14_000);
  expect(first.at(-1)).toBeLessThanOrEqual(14_500);
  expect(bed.module.groups()).toEqual([]);
});

test('a burst of 4,000 leaves ends all 4,000 groups within seconds at the default budget (E8)', () => {
  const bed = new Bed({ config: { maxQueriesPerSec: 5000 } });
  const groups = Array.from({ length: 4000 }, (_, n) => `239.4.${n >> 8}.${n & 255}`);
  for (let n = 0; n < groups.length; n += 100) bed.hear(reportV3(...groups.slice(n, n + 100).map((g) => toEx(g))));
  for (let n = 0; n < groups.length; n += 100) bed.hear(reportV3(...groups.slice(n, n + 100).map((g) => toIn(g))));
  expect(waiting(bed)).toBe(1500);
  bed.goTo(4);
  expect(bed.module.groups()).toEqual([]);
});

test('a repeated leave does not wait twice, and waits no longer (E8)', () => {
  const bed = busy();
  bed.hear(reportV3(...MANY.map((group) => toIn(group))));
  bed.hear(reportV3(...MANY.map((group) => toIn(group))));
  expect(waiting(bed)).toBe(8);
  expect(bed.dropped('queryLimit')).toBe(8);
});

test.each([
  ['an IS_EX', (group: string) => reportV3(isEx(group))],
  ['a TO_EX', (group: string) => reportV3(toEx(group))],
  ['a v2 report', (group: string) => reportV2(group)],
  ['a v1 report', (group: string) => reportV1(group)],
])('%s takes its group out of the queue, nobody is asked about it (E8)', (_, report) => {
  const bed = busy();
  bed.hear(reportV3(...MANY.map((group) => toIn(group))));
  bed.hear(report(MANY[5]!), { from: '10.0.0.8', to: MANY[5]! });
  expect(waiting(bed)).toBe(7);
  bed.goTo(20);
  expect(bed.asked().filter((text) => text.includes(`${MANY[5]})`))).toEqual([]);
  expect(bed.module.groups().map(({ group }) => group)).toEqual([MANY[5]]);
});

test('sources wait like groups, and a report of one of them leaves the other waiting (E8)', () => {
  const bed = busy();
  bed.hear(reportV3(allow('232.1.1.1', src('a'), src('b'))));
  bed.hear(reportV3(...MANY.map((group) => toIn(group))));
  bed.hear(reportV3(block('232.1.1.1', src('a'), src('b'))));
  bed.hear(reportV3(isIn('232.1.1.1', src('a'))), { from: '10.0.0.8' });
  bed.goTo(20);
  const asked = bed.asked().filter((text) => text.includes('232.1.1.1'));
  expect(asked.map((text) => text.replace(/^\S+ /, ''))).toEqual(
    Array.from({ length: 2 }, () => 'Q(232.1.1.1,{b}) S=0'),
  );
  expect(bed.state('232.1.1.1')).toBe('INCLUDE(a:250)');
});

test('one leave of a host is not behind the thousand of another one (E8)', () => {
  const bed = busy([...MANY, G]);
  bed.hear(reportV3(...MANY.map((group) => toIn(group))), { from: '10.0.0.66' });
  bed.hear(reportV3(toIn(G)), { from: '10.0.0.8' });
  bed.goTo(1);
  expect(bed.asked().some((text) => text.endsWith(`Q(${G}) S=0`))).toBe(true);
  expect(waiting(bed)).toBeGreaterThan(5);
});

test('leaves that wait when the role is lost are asked about to the end; without a link or an address nothing waits (E8)', () => {
  const bed = busy();
  bed.hear(reportV3(...MANY.map((group) => toIn(group))));
  bed.hearQuery(queryV3());
  bed.goTo(8);
  expect(bed.module.groups()).toEqual([]);
  const another = busy();
  another.hear(reportV3(...MANY.map((group) => toIn(group))));
  another.links.change(link(ETH1));
  expect(waiting(another)).toBe(0);
  another.goTo(20);
  expect(another.state(MANY[9]!)).toBe('EXCLUDE({},{}) 250');
  another.links.change(link(ETH1, undefined, { running: false }));
  another.goTo(40);
  expect(another.module.groups()).toEqual([]);
});
