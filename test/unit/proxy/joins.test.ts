/** What is asked upstream, and when: without a clock and without a kernel. */
import { expect, test } from 'vitest';
import { filterOf, type SourceFilter } from '../../../src/base/filter-merge.js';
import { formatIp, type IpAddress, ip, ipv4 } from '../../../src/base/ip.js';
import type { Ifindex } from '../../../src/port/kernel.js';
import { Joins, JOINS_SLICE } from '../../../src/proxy/joins.js';

const ANY = filterOf('exclude', []);
const G = ip('239.1.1.1');
const [A, B] = [11 as Ifindex, 12 as Ifindex];

function given(leaveDelayMs = 500, maxJoins = 8192) {
  const wanted = new Map<IpAddress, SourceFilter>();
  const calls: string[] = [];
  const world: { carrier: Ifindex | undefined; refuse: boolean; full: boolean; mostSources: number } = {
    mostSources: 10,
    carrier: A,
    refuse: false,
    full: false,
  };
  const over: string[] = [];
  const joins = new Joins({
    leaveDelayMs,
    maxJoins,
    overBudget: (group) => void over.push(formatIp(group)),
    membershipsFor: ({ mode, sources }) => (mode === 'exclude' ? 1 : Math.ceil(sources.length / world.mostSources)),
    wanted: (group) => wanted.get(group),
    carrier: () => world.carrier,
    join: (group, { on, filter }) => {
      calls.push(`join ${on} ${formatIp(group)} ${filter.mode} ${filter.sources.length}`);
      return world.full ? 'noRoom' : !world.refuse;
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
  return { joins, world, want, run, over };
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

test('on a change of upstream everything is joined before anything is left (IGMP-150)', () => {
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

test('a group is left after the delay, counted from the last wish, and at once when its upstream goes (F20)', () => {
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

test('a list of sources counts for the memberships that the kernel needs, as long as it is asked (A5)', () => {
  const { want, run, world, joins } = given(0);
  world.mostSources = 2;
  want(
    filterOf(
      'include',
      [1, 2, 3, 4, 5].map((n) => ip(`10.0.0.${n}`)),
    ),
    G,
  );
  run(0);
  expect(joins.used).toBe(3);
  // when the kernel's limit is raised, and then the group is left
  world.mostSources = 10;
  want(undefined, G);
  run(1);
  expect(joins.used).toBe(0);
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

const groupsFrom = (first: number, count: number) =>
  Array.from({ length: count }, (_, n) => ipv4(0xef01_0000 + first + n));
const sources = (count: number) =>
  filterOf(
    'include',
    Array.from({ length: count }, (_, n) => ipv4(0x0a000001 + n)),
  );

test('what exceeds the budget waits, is told once, and is asked as soon as others are left, in order (A5)', () => {
  const { want, run, joins, over } = given(0, 100);
  want(ANY, ...groupsFrom(0, 5000));
  let calls = 0;
  while (joins.dueMs(0) !== undefined) calls += run(0).length;
  expect(calls).toBe(100);
  expect([joins.used, joins.waiting, over.length]).toEqual([100, 4900, 4900]);
  want(undefined, ...groupsFrom(10, 2));
  expect(run(0)).toEqual(['leave 11 239.1.0.10', 'leave 11 239.1.0.11']);
  expect(run(0)).toEqual(['join 11 239.1.0.100 exclude 0', 'join 11 239.1.0.101 exclude 0']);
  expect(joins.dueMs(0)).toBeUndefined();
  expect(over).toHaveLength(4900);
  want(undefined, ...groupsFrom(102, 4898));
  while (joins.dueMs(0) !== undefined) run(0);
  expect(joins.waiting).toBe(0);
});

test('a long list of sources counts for the memberships it takes, and does not keep short ones behind it waiting (A5)', () => {
  const { want, run, joins } = given(0, 10);
  want(ANY, ...groupsFrom(0, 9));
  want(sources(25), ...groupsFrom(100, 1));
  want(ANY, ...groupsFrom(200, 3));
  run(0);
  expect([joins.used, joins.waiting]).toEqual([10, 3]);
  want(undefined, ...groupsFrom(0, 2));
  run(0);
  expect(run(0)).toEqual(['join 11 239.1.0.201 exclude 0', 'join 11 239.1.0.202 exclude 0']);
  expect([joins.used, joins.waiting]).toEqual([10, 1]);
  want(undefined, ...groupsFrom(2, 7));
  run(0);
  expect(run(0)).toEqual(['join 11 239.1.0.100 include 25']);
  // a list that grows keeps what it has; one that shrinks gives room
  want(sources(95), ...groupsFrom(100, 1));
  expect(run(0)).toEqual([]);
  expect(joins.asked().get(ipv4(0xef010064))?.filter.sources).toHaveLength(25);
  want(sources(10), ...groupsFrom(100, 1));
  expect(run(0)).toEqual(['join 11 239.1.0.100 include 10']);
  expect([joins.used, joins.waiting]).toEqual([4, 0]);
});

test('when the kernel has no room it is asked once, not for every group, until something is left or time has passed (A5)', () => {
  const { want, run, world, joins } = given(0);
  want(ANY, ...groupsFrom(0, 50));
  run(0);
  world.full = true;
  want(ANY, ...groupsFrom(100, 200));
  expect(run(0)).toHaveLength(1);
  expect(joins.waiting).toBe(200);
  joins.markRefused();
  expect(run(0)).toHaveLength(1);
  expect(joins.dueMs(0)).toBeUndefined();
  world.full = false;
  want(undefined, ...groupsFrom(0, 1));
  expect(run(0)).toEqual(['leave 11 239.1.0.0']);
  expect(run(0)).toHaveLength(200); // where there was room for one there may be for the next
  expect(joins.waiting).toBe(0);
  world.full = true;
  want(ANY, ...groupsFrom(400, 100));
  run(0);
  world.full = false;
  joins.markRefused();
  expect(run(0)).toHaveLength(100);
});
