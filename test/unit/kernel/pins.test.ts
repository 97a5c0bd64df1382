/** The pins of a pause, over pools that remember: which groups get which, and what is corrected. */
import { expect, test } from 'vitest';
import { type IpAddress, ip, ipv4, toU32 } from '../../../src/base/ip.js';
import type { HostMembership, SourceUse } from '../../../src/kernel/membership/host-memberships.js';
import { pinFor, Pins } from '../../../src/kernel/membership/pins.js';
import { ANY_SOURCE_FILTER, type Ifindex, type MembershipFilter } from '../../../src/port/kernel.js';
import { FakeMembershipPool } from './fake-membership-pool.js';

const ETH1 = 3 as Ifindex;
const G1 = ip('239.1.1.1');
const G2 = ip('239.1.1.2');
const G3 = ip('239.1.1.3');
const source = (last: number): IpAddress => ipv4(0x0a000000 + last);
const nobodyOfOurs = () => [];

function joined(group: IpAddress, users: number, ...sources: readonly SourceUse[]): HostMembership {
  return { group, users, sources };
}

const including = (last: number, count = 1): SourceUse => ({ source: source(last), included: count, excluded: 0 });
const excluding = (last: number, count = 1): SourceUse => ({ source: source(last), included: 0, excluded: count });

function bed() {
  const pools: FakeMembershipPool[] = [];
  const pins = new Pins(ETH1, () => {
    const pool = new FakeMembershipPool();
    pools.push(pool);
    return pool;
  });
  const takeCalls = () => pools.flatMap((pool) => pool.calls.splice(0));
  const held = (group: IpAddress) => pools.map((pool) => pool.held.get(`${ETH1} ${toU32(group)}`)).filter(Boolean);
  return { pins, pools, takeCalls, held };
}

/** Answers one after the other, the last one for ever. */
function reading(...answers: readonly (readonly HostMembership[] | undefined)[]) {
  let at = -1;
  return () => answers[Math.min(++at, answers.length - 1)];
}

/** As the kernel counts when the pins have been added. */
const and = (one: HostMembership, sources: readonly SourceUse[] = one.sources): HostMembership => ({
  ...one,
  users: one.users + 1,
  sources,
});

test('each group of others is joined once more with its filter, and left again in the order of the list', () => {
  const { pins, takeCalls, held } = bed();
  const before = [joined(G3, 1), joined(G1, 2, including(1, 2)), joined(G2, 1, excluding(1), excluding(2))];
  const after = [
    and(before[0]!),
    and(before[1]!, [including(1, 3)]),
    and(before[2]!, [excluding(1, 2), excluding(2, 2)]),
  ];
  expect(pins.place(reading(before, after), nobodyOfOurs)).toBeUndefined();
  expect(takeCalls()).toEqual(['join 3 3', 'joinSource 3 1', 'joinSource 3 2', 'setFilter 3 2']);
  expect(held(G1)).toEqual([{ include: true, sources: [toU32(source(1))] }]);
  expect(held(G2)).toEqual([{ include: false, sources: [toU32(source(1)), toU32(source(2))] }]);
  pins.release();
  expect(takeCalls()).toEqual(['leave 3 3', 'leave 3 1', 'leave 3 2']);
});

test('an exclude list is not begun with one of its own sources, which would let that through for a moment', () => {
  const begun: number[] = [];
  const group = joined(G1, 1, excluding(1));
  const pins = new Pins(ETH1, () => {
    const pool = new FakeMembershipPool();
    const joinSource = pool.joinSource.bind(pool);
    pool.joinSource = (ifindex, to, from) => {
      begun.push(from);
      return joinSource(ifindex, to, from);
    };
    return pool;
  });
  pins.place(reading([group], [and(group, [excluding(1, 2)])]), nobodyOfOurs);
  expect(begun).toEqual([toU32(ip('127.0.0.1'))]);
});

test('an include list longer than one membership takes is spread over several pools', () => {
  const { pins, pools } = bed();
  const many = Array.from({ length: 25 }, (_, i) => i + 1);
  const before = joined(G1, 3, ...many.map((last) => including(last)));
  const after = { ...before, users: 6, sources: many.map((last) => including(last, 2)) };
  expect(pins.place(reading([before], [after]), nobodyOfOurs)).toBeUndefined();
  expect(pools.map((pool) => pool.held.get(`3 ${toU32(G1)}`)?.sources.length)).toEqual([10, 10, 5]);
  pins.release();
  expect(pools.every((pool) => pool.closed)).toBe(true);
});

test('the pools of a long include list are as many as net.ipv4.igmp_max_msf says (A5)', () => {
  const pools: FakeMembershipPool[] = [];
  const open = () => {
    const pool = new FakeMembershipPool();
    pools.push(pool);
    return pool;
  };
  const before = joined(G1, 3, including(1), including(2), including(3));
  const after = { ...before, users: 6, sources: [1, 2, 3].map((last) => including(last, 2)) };
  new Pins(ETH1, open, 1).place(reading([before], [after]), nobodyOfOurs);
  expect(pools.map((pool) => pool.held.get(`3 ${toU32(G1)}`)?.sources.length)).toEqual([1, 1, 1]);
});

test('a group that was left before it was pinned is left again at once', () => {
  const { pins, takeCalls, held } = bed();
  const after = [joined(G1, 1), and(joined(G2, 1))];
  pins.place(reading([joined(G1, 1), joined(G2, 1)], after, after.slice(1)), nobodyOfOurs);
  expect(takeCalls()).toEqual(['join 3 1', 'join 3 2', 'leave 3 1']);
  expect([held(G1), held(G2).length]).toEqual([[], 1]);
});

test('a pin is narrowed to what others still want, and widened to what the list had not shown', () => {
  const { pins, held } = bed();
  const before = [joined(G1, 2, including(1), including(2))];
  // the member that wanted source 2 died; G2 had been hidden by a change while the list was read
  const after = [joined(G1, 2, including(1, 2), including(2)), joined(G2, 1)];
  const settled = [joined(G1, 2, including(1, 2)), joined(G2, 2)];
  expect(pins.place(reading(before, after, settled), nobodyOfOurs)).toBeUndefined();
  expect(held(G1)).toEqual([{ include: true, sources: [toU32(source(1))] }]);
  expect(held(G2)).toHaveLength(1);
});

test('groups that cannot be pinned are counted once with the first errno, and keep no half of a pin', () => {
  const { pins, pools, held } = bed();
  const eleven = Array.from({ length: 11 }, (_, i) => excluding(i + 1));
  expect(pins.place(reading([joined(G1, 1, ...eleven)]), nobodyOfOurs)).toEqual({ groups: 1, errno: 105 });
  expect(held(G1)).toEqual([]);
  expect(pools[0]?.calls.filter((call) => call.startsWith('joinSource'))).toHaveLength(1);
  const refused = new Pins(ETH1, () => 24);
  expect(refused.place(reading([joined(G1, 1), joined(G2, 1)]), nobodyOfOurs)).toEqual({ groups: 2, errno: 24 });
});

test('a list that cannot be read pins nothing and says so', () => {
  const { pins, pools } = bed();
  expect(pins.place(reading(undefined), nobodyOfOurs)).toEqual({ groups: undefined, errno: 11 });
  expect(pools).toEqual([]);
});

test.each<[string, HostMembership, readonly MembershipFilter[], MembershipFilter | undefined]>([
  ['the group of all hosts', joined(ip('224.0.0.1'), 1), [], undefined],
  ["mgmd's own, which it does not change", joined(G1, 1), [ANY_SOURCE_FILTER], undefined],
  ['one of which mgmd wants everything', joined(G1, 5, including(1)), [ANY_SOURCE_FILTER], undefined],
  [
    'one of which mgmd wants a source and another everything',
    joined(G1, 2, including(1)),
    [{ mode: 'include', sources: [source(1)] }],
    ANY_SOURCE_FILTER,
  ],
])('the pin for %s', (_what, membership, own, filter) => {
  expect(pinFor(membership, own)).toEqual(filter);
});
