/** What is asked upstream, and when: without a clock and without a kernel. */
import { expect, test } from 'vitest';
import { filterOf, type SourceFilter } from '../../../src/base/filter-merge.js';
import { formatIp, type IpAddress, ip, ipv4 } from '../../../src/base/ip.js';
import type { Ifindex } from '../../../src/port/kernel.js';
import { Joins, JOINS_SLICE } from '../../../src/proxy/joins.js';

const ANY = filterOf('exclude', []);
const G = ip('239.1.1.1');
const [A, B] = [11 as Ifindex, 12 as Ifindex];

function given(leaveDelayMs = 500) {
  const wanted = new Map<IpAddress, SourceFilter>();
  const calls: string[] = [];
  const world: { carrier: Ifindex | undefined; refuse: boolean } = { carrier: A, refuse: false };
  const joins = new Joins({
    leaveDelayMs,
    wanted: (group) => wanted.get(group),
    carrier: () => world.carrier,
    join: (group, { on, filter }) => {
      calls.push(`join ${on} ${formatIp(group)} ${filter.mode} ${filter.sources.length}`);
      return !world.refuse;
    },
    leave: (group, { on }) => void calls.push(`leave ${on} ${formatIp(group)}`),
  });
  const want = (filter: SourceFilter | undefined, ...groups: readonly IpAddress[]) => {
    for (const group of groups) {
      if (filter) wanted.set(group, filter);
      else wanted.delete(group);
      joins.mark(group);
    }
  };
  const run = (nowMs: number) => {
    joins.run(nowMs);
    return calls.splice(0);
  };
  return { joins, world, want, run };
}

test('changes of one turn are one call, and those that cancel out are none', () => {
  const { want, run, joins } = given();
  want(filterOf('include', [ip('10.0.0.1')]), G);
  want(ANY, G);
  expect(run(0)).toEqual([`join 11 239.1.1.1 exclude 0`]);
  want(undefined, G);
  want(ANY, G);
  expect(run(1)).toEqual([]);
  expect(joins.dueMs(1)).toBeUndefined();
});

test('IGMP-150 on a change of upstream everything is joined before anything is left', () => {
  const { want, run, world, joins } = given();
  const groups = [G, ip('239.1.1.2')];
  want(ANY, ...groups);
  run(0);
  world.carrier = B;
  joins.markAllAsked();
  expect(run(1)).toEqual([
    'join 12 239.1.1.1 exclude 0',
    'join 12 239.1.1.2 exclude 0',
    'leave 11 239.1.1.1',
    'leave 11 239.1.1.2',
  ]);
});

test('F20 a group is left after the delay, counted from the last wish, and at once when its upstream goes', () => {
  const { want, run, world, joins } = given();
  want(ANY, G);
  run(0);
  want(undefined, G);
  expect(run(100)).toEqual([]);
  expect(joins.dueMs(100)).toBe(600);
  want(ANY, G);
  run(300);
  want(undefined, G);
  run(400);
  expect(joins.dueMs(400)).toBe(900);
  joins.mark(G); // looked at again: the delay is not counted anew
  run(500);
  expect(run(899)).toEqual([]);
  expect(run(900)).toEqual(['leave 11 239.1.1.1']);
  want(ANY, G);
  run(1000);
  want(undefined, G);
  run(1001);
  world.carrier = undefined;
  joins.markAllAsked();
  expect(run(1002)).toEqual(['leave 11 239.1.1.1']);
  expect(joins.dueMs(1002)).toBeUndefined();
});

test('a wish that the kernel refused is stated again when told so, and as soon as it changes', () => {
  const { want, run, world, joins } = given();
  world.refuse = true;
  want(ANY, G);
  expect(run(0)).toHaveLength(1);
  expect(joins.anyRefused).toBe(true);
  world.refuse = false;
  joins.markRefused();
  expect(run(1)).toEqual(['join 11 239.1.1.1 exclude 0']);
  joins.markRefused();
  expect(run(2)).toEqual([]);
});

test('a burst is worked off in slices, joins and leaves alike', () => {
  const { want, run, joins } = given(0);
  const groups = Array.from({ length: JOINS_SLICE + 10 }, (_, n) => ipv4(0xef01_0000 + n));
  want(ANY, ...groups);
  expect(run(0)).toHaveLength(JOINS_SLICE);
  expect(joins.dueMs(0)).toBe(0);
  expect(run(0)).toHaveLength(10);
  want(undefined, ...groups);
  expect(run(0)).toHaveLength(JOINS_SLICE);
  joins.stop();
  expect(joins.asked().size).toBe(0);
});
