/** What strangers can create has a budget (A1): per interface, per host, for the whole daemon; and much of it takes no long turn. */
import { expect, test } from 'vitest';
import { allow, block, isEx, isIn, reportV2, reportV3, toEx, toIn } from '../../support/packet-builder.js';
import { Bed, ETH1, ETH2, link } from './bed.js';

const group = (n: number) => `239.${1 + (n >> 16)}.${(n >> 8) & 255}.${n & 255}`;
const source = (n: number) => `198.18.${n >> 8}.${n & 255}`;
const host = (n: number) => `10.0.0.${100 + n}`;
const numbers = (count: number) => Array.from({ length: count }, (_, n) => n);

/** The groups from `first` on, any source of each. */
function joins(bed: Bed, first: number, count: number, from: string, on = ETH1): void {
  for (let n = 0; n < count; n += 150)
    bed.hear(reportV3(...numbers(Math.min(150, count - n)).map((k) => toEx(group(first + n + k)))), { from, on });
}

/** Sources of one group, wanted by name. */
function names(bed: Bed, of: string, count: number, from: string, first = 0): void {
  for (let n = 0; n < count; n += 300)
    bed.hear(reportV3(allow(of, ...numbers(Math.min(300, count - n)).map((k) => source(first + n + k)))), { from });
}

const sources = (bed: Bed) => bed.module.groups().reduce((sum, row) => sum + row.sources.length, 0);

/** Calls to the manager in each turn of the event loop that `act` and the clock's next `ms` cause. */
function turnsOf(bed: Bed, act: () => void, ms = 0): number[] {
  bed.mgm.drain();
  const turns: number[] = [];
  const later = bed.clock.after.bind(bed.clock);
  const noted = (fire: () => void) => {
    fire();
    turns.push(bed.mgm.drain().length);
  };
  bed.clock.after = (delayMs, fire) => later(delayMs, () => noted(fire));
  noted(act);
  bed.clock.advance(ms);
  bed.clock.after = later;
  return turns.filter((calls) => calls > 0);
}

test('one host takes seven eighths of the groups at most; others still find room, and what is there stays (A1)', () => {
  const bed = new Bed({ config: { maxGroups: 1024 } });
  joins(bed, 0, 2000, host(1));
  expect(bed.module.groups()).toHaveLength(896);
  expect(bed.dropped('hostShare')).toBe(2000 - 896);
  joins(bed, 5000, 20, host(2));
  bed.hear(reportV2(group(6000)), { to: group(6000), from: host(3) });
  expect(bed.module.groups()).toHaveLength(917);
  // a second one that takes what it can gets half of the rest
  joins(bed, 7000, 2000, host(4));
  expect(bed.module.groups()).toHaveLength(971);
  expect(bed.module.groups().filter((row) => row.lastReporter === host(2))).toHaveLength(20);
  // and with ever more addresses the interface is full, and no more
  for (let n = 5; n < 60; n++) joins(bed, 10_000 + 1000 * n, 100, host(n));
  expect(bed.module.groups()).toHaveLength(1024);
  expect(bed.dropped('groupLimit')).toBeGreaterThan(0);
  expect(bed.log.of('igmp.limit.reached').map(({ fields }) => fields['reason'])).toContain('hostShare');
  expect(bed.log.of('igmp.limit.reached').length).toBeLessThanOrEqual(8);
});

test('what a host has left counts for it no more, and nothing is remembered of a host that has nothing (A1)', () => {
  const bed = new Bed({ config: { maxGroups: 1024, fastLeave: true } });
  for (let round = 0; round < 3; round++) {
    joins(bed, 0, 896, host(1));
    expect(bed.module.groups()).toHaveLength(896);
    bed.hear(reportV3(...numbers(896).map((n) => toIn(group(n)))), { from: host(1) });
    bed.clock.advance(0);
    expect(bed.module.groups()).toHaveLength(0);
  }
  expect(bed.dropped('hostShare')).toBe(0);
});

test('sources of all groups of an interface together have a limit, wanted and refused ones, with the same shares (A1)', () => {
  const bed = new Bed({ config: { maxSources: 1024, maxSourcesPerGroup: 600 } });
  names(bed, group(1), 600, host(1));
  names(bed, group(2), 600, host(1));
  expect(sources(bed)).toBe(896);
  // others still find room
  bed.hear(reportV3(isIn(group(3), source(1)), isEx(group(4), source(1), source(2))), { from: host(2) });
  expect(sources(bed)).toBe(899);
  // a refused source without room is forwarded, a wanted one is not, and a group of nothing is not made
  bed.mgm.drain();
  bed.hear(reportV3(isEx(group(5), source(9)), isIn(group(6), source(9))), { from: host(1) });
  expect(bed.mgm.drain()).toEqual([`add (*,${group(5)})`]);
  expect(bed.state(group(6))).toBe('none');
  expect(bed.dropped('hostShare')).toBe(4);
  // what ends makes room
  bed.goTo(600);
  expect(sources(bed)).toBe(0);
  names(bed, group(1), 600, host(1));
  expect(sources(bed)).toBe(600);
});

test('groups and sources of all interfaces together have a limit; an interface with much is refused before one with little (A1)', () => {
  const links = [link(ETH1, '10.0.0.2'), link(ETH2, '10.1.0.2')];
  const bed = new Bed({ links, maxGroups: 400, maxSources: 400 });
  joins(bed, 0, 500, host(1));
  expect(bed.module.groups()).toHaveLength(350);
  expect(bed.dropped('allGroupsLimit')).toBe(150);
  joins(bed, 0, 20, '10.1.0.9', ETH2);
  expect(bed.module.groups()).toHaveLength(370);
  names(bed, group(1), 250, host(1));
  names(bed, group(2), 250, host(1));
  expect(sources(bed)).toBe(350);
  expect(bed.dropped('allSourcesLimit')).toBe(1);
  // an interface that is released gives its part back
  void bed.module.release(ETH1);
  joins(bed, 0, 400, '10.1.0.9', ETH2);
  expect(bed.module.groups()).toHaveLength(350);
});

test('a link that goes down with 20,000 groups takes them back in slices, and hosts that are faster keep theirs (A1)', () => {
  const bed = new Bed();
  joins(bed, 0, 20_000, host(1));
  const down = () => bed.links.change(link(ETH1, '10.0.0.2', { running: false }));
  const up = () => {
    bed.links.change(link(ETH1, '10.0.0.2'));
    joins(bed, 19_990, 10, host(1));
  };
  const turns = turnsOf(bed, () => (down(), up()));
  expect(Math.max(...turns)).toBeLessThanOrEqual(1024 + 10);
  // those that hosts joined again before their turn came are added and never deleted
  expect(turns.reduce((sum, calls) => sum + calls)).toBe(19_990 + 10);
  expect(bed.module.groups()).toHaveLength(10);
});

test('a link that goes down twice with sources of many groups: each leave is told, none of what is back (A1)', () => {
  const bed = new Bed();
  const flap = () => {
    bed.links.change(link(ETH1, '10.0.0.2', { running: false }));
    bed.links.change(link(ETH1, '10.0.0.2'));
  };
  for (const n of numbers(20)) names(bed, group(n), 200, host(1));
  const turns = turnsOf(bed, () => {
    flap();
    names(bed, group(19), 200, host(1));
    flap();
    names(bed, group(19), 100, host(1));
  });
  expect(Math.max(...turns)).toBeLessThanOrEqual(1024 + 300);
  // 19 groups and half of the last one have gone; what was there in between was added, and half of it left
  expect(turns.reduce((sum, calls) => sum + calls)).toBe(19 * 200 + 200 + 100 + 2 * 100);
  expect(sources(bed)).toBe(100);
});

test('a resync in the meantime adds what there is, and what waited before is not told any more (A1)', () => {
  const bed = new Bed();
  joins(bed, 0, 5000, host(1));
  bed.links.change(link(ETH1, '10.0.0.2', { running: false }));
  bed.links.change(link(ETH1, '10.0.0.2'));
  joins(bed, 0, 3, host(1));
  bed.mgm.drain();
  void bed.mgm.callbacks.disableIgmp?.(ETH1);
  void bed.mgm.callbacks.enableIgmp?.(ETH1);
  bed.clock.advance(0);
  expect(bed.mgm.drain()).toEqual([0, 1, 2].map((n) => `add (*,${group(n)})`).concat('resyncDone'));
});

test.each([
  ['groups', (bed: Bed) => joins(bed, 0, 20_000, host(1))],
  ['sources of one group', (bed: Bed) => names(bed, group(1), 20_000, host(1))],
  ['sources of many groups', (bed: Bed) => numbers(100).forEach((n) => names(bed, group(n), 200, host(1)))],
])('20,000 %s that run out in the same millisecond end in slices (A1)', (_, arrange) => {
  const bed = new Bed({ config: { maxSourcesPerGroup: 65_535 } });
  arrange(bed);
  const turns = turnsOf(bed, () => undefined, 270_000);
  expect(Math.max(...turns)).toBeLessThanOrEqual(1024);
  expect(turns.reduce((sum, calls) => sum + calls)).toBe(20_000);
  expect(bed.module.groups()).toEqual([]);
});

test('a group of 20,000 sources that becomes one of all, and back, is told in slices and in order (A1)', () => {
  const bed = new Bed({ config: { maxSourcesPerGroup: 65_535 } });
  names(bed, group(1), 20_000, host(1));
  const flip = turnsOf(bed, () => bed.hear(reportV3(toEx(group(1), source(20_001)))));
  expect(Math.max(...flip)).toBeLessThanOrEqual(1024);
  expect(flip.reduce((sum, calls) => sum + calls)).toBe(2 + 20_000);
  // what is decided after it is told after it
  const first = source(0);
  bed.hear(reportV3(block(group(1), first)), { from: host(1) });
  names(bed, group(1), 20_000, host(1));
  bed.clock.advance(0);
  bed.hear(reportV3(toIn(group(1))), { from: host(1) });
  const back = turnsOf(bed, () => undefined, 3000);
  expect(Math.max(...back)).toBeLessThanOrEqual(1024);
});
