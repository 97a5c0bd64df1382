import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type IpAddress, ip, ipv4, toU32 } from '../../../src/base/ip.js';
import { MembershipGate } from '../../../src/kernel/membership/membership.js';
import { ANY_SOURCE_FILTER, type Ifindex, type MembershipFilter } from '../../../src/port/kernel.js';
import { plan } from '../../../src/kernel/membership/membership-plan.js';
import { FakeClock } from '../../support/fake-clock.js';
import { FakeMembershipPool } from './fake-membership-pool.js';
import { runs } from '../../support/runs.js';

const ETH1 = 3 as Ifindex;
const ETH2 = 4 as Ifindex;
const G1 = ip('239.1.1.1');
const G2 = ip('239.1.1.2');
const G3 = ip('239.1.1.3');

function include(...sources: readonly number[]): MembershipFilter {
  return { mode: 'include', sources: sources.map((last) => ipv4(0x0a000000 + last)) };
}

function exclude(...sources: readonly number[]): MembershipFilter {
  return { mode: 'exclude', sources: sources.map((last) => ipv4(0x0a000000 + last)) };
}

function range(from: number, count: number): number[] {
  return Array.from({ length: count }, (_, i) => from + i);
}

/** A gate over pools that remember; `pools[0]` is the one that ordinary groups use. */
function bed(missing: readonly number[] = []) {
  const pools: FakeMembershipPool[] = [];
  const gate = new MembershipGate(() => {
    const pool = new FakeMembershipPool(new Set(missing));
    pools.push(pool);
    return pool;
  });
  const takeCalls = () => pools.flatMap((pool) => pool.calls.splice(0));
  /** The last bytes of the sources the kernel would let through, over all pools. */
  const includedOn = (group: IpAddress, ifindex = ETH1) =>
    pools.flatMap((pool) => pool.held.get(`${ifindex} ${toU32(group)}`)?.sources.map((s) => s & 0xff) ?? []);
  return { gate, pools, takeCalls, includedOn };
}

test('a wish for every source is one join, stating it again costs nothing, taking it back is one leave', () => {
  const { gate, takeCalls } = bed();
  gate.set('proxy', ETH1, G1, ANY_SOURCE_FILTER);
  gate.set('proxy', ETH1, G1, ANY_SOURCE_FILTER);
  expect(takeCalls()).toEqual(['join 3 1']);
  gate.set('proxy', ETH1, G1, undefined);
  gate.set('proxy', ETH1, G1, undefined);
  expect(takeCalls()).toEqual(['leave 3 1']);
  expect(gate.list()).toEqual([]);
});

test('a wish of one source is one call, of several sources two', () => {
  const { gate, takeCalls, includedOn } = bed();
  gate.set('proxy', ETH1, G1, include(1));
  expect(takeCalls()).toEqual(['joinSource 3 1']);
  gate.set('proxy', ETH1, G2, include(3, 2, 1));
  expect(takeCalls()).toEqual(['joinSource 3 2', 'setFilter 3 2']);
  expect(includedOn(G2)).toEqual([1, 2, 3]);
});

test('an exclude list is set over one of its sources, so that none of them comes through first', () => {
  const { gate, pools, takeCalls } = bed();
  gate.set('proxy', ETH1, G1, exclude(1, 2));
  expect(takeCalls()).toEqual(['joinSource 3 1', 'setFilter 3 1']);
  expect(pools[0]!.held.get(`3 ${toU32(G1)}`)).toMatchObject({ include: false });
});

test('a change of mode replaces the filter in one call and leaves nothing', () => {
  const { gate, takeCalls } = bed();
  gate.set('proxy', ETH1, G1, include(1));
  takeCalls();
  gate.set('proxy', ETH1, G1, ANY_SOURCE_FILTER);
  gate.set('proxy', ETH1, G1, include(2));
  expect(takeCalls()).toEqual(['setFilter 3 1', 'setFilter 3 1']);
});

test('two holders of a group cost one membership; the filter serves both, and one teardown leaves the other (F27)', () => {
  const { gate, takeCalls, includedOn } = bed();
  gate.set('static', ETH1, G1, include(1));
  gate.set('proxy', ETH1, G1, include(2));
  expect(includedOn(G1)).toEqual([1, 2]);
  gate.set('proxy', ETH1, G1, ANY_SOURCE_FILTER);
  expect(includedOn(G1)).toEqual([]);
  takeCalls();
  gate.set('proxy', ETH1, G1, undefined);
  expect(takeCalls()).toEqual(['setFilter 3 1']);
  expect(includedOn(G1)).toEqual([1]);
});

test('exclude lists of two holders are intersected and what somebody includes is not excluded', () => {
  const { gate, pools } = bed();
  gate.set('a', ETH1, G1, exclude(1, 2, 3));
  gate.set('b', ETH1, G1, exclude(2, 3, 4));
  gate.set('c', ETH1, G1, include(3));
  const held = pools[0]!.held.get(`3 ${toU32(G1)}`);
  expect(held).toEqual({ include: false, sources: [toU32(ip('10.0.0.2'))] });
});

test('an include list longer than a membership takes is spread over lanes, and sources stay where they are', () => {
  const { gate, pools, takeCalls, includedOn } = bed();
  // given 25 sources in three lanes
  expect(gate.set('proxy', ETH1, G1, include(...range(1, 25)))).toBeUndefined();
  expect(pools.map((pool) => pool.held.size)).toEqual([1, 1, 1]);
  expect(includedOn(G1).sort((a, b) => a - b)).toEqual(range(1, 25));
  takeCalls();
  // when one of the first lane goes
  gate.set('proxy', ETH1, G1, include(...range(2, 24)));
  // then nothing else is touched
  expect(takeCalls()).toEqual(['setFilter 3 1']);
});

test('from many sources to every source: the wide membership is there before the others go', () => {
  const { gate, pools } = bed();
  gate.set('proxy', ETH1, G1, include(...range(1, 25)));
  const order: string[] = [];
  for (const [lane, pool] of pools.entries()) {
    pool.calls.length = 0;
    const push = pool.calls.push.bind(pool.calls);
    pool.calls.push = (...calls) => (order.push(`${lane} ${calls.join()}`), push(...calls));
  }
  gate.set('proxy', ETH1, G1, ANY_SOURCE_FILTER);
  expect(order).toEqual(['0 setFilter 3 1', '1 leave 3 1', '2 leave 3 1']);
});

test('an exclude list that is too long is cut, not refused', () => {
  const { gate, pools } = bed();
  expect(gate.set('proxy', ETH1, G1, exclude(...range(1, 12)))).toBeUndefined();
  expect(pools[0]!.held.get(`3 ${toU32(G1)}`)?.sources.length).toBe(10);
  expect(gate.list()[0]?.held).toBe(true);
});

test('a paused interface makes no call, another one does', () => {
  const { gate, takeCalls } = bed();
  gate.set('proxy', ETH1, G1, ANY_SOURCE_FILTER);
  takeCalls();
  gate.pause(ETH1);
  gate.set('proxy', ETH1, G1, undefined);
  gate.set('proxy', ETH1, G2, include(1, 2));
  gate.set('proxy', ETH2, G2, ANY_SOURCE_FILTER);
  expect(takeCalls()).toEqual(['join 4 2']);
});

test('a join and a leave inside a pause cost no call, and neither do a leave and a join', () => {
  const { gate, takeCalls } = bed();
  gate.set('proxy', ETH1, G1, include(1));
  takeCalls();
  gate.pause(ETH1);
  gate.set('proxy', ETH1, G2, ANY_SOURCE_FILTER);
  gate.set('proxy', ETH1, G2, undefined);
  gate.set('proxy', ETH1, G1, undefined);
  gate.set('proxy', ETH1, G1, ANY_SOURCE_FILTER);
  gate.set('proxy', ETH1, G1, include(1));
  expect(gate.resume(ETH1)).toEqual([]);
  expect(takeCalls()).toEqual([]);
  expect(gate.list().map((wish) => wish.group)).toEqual([G1]);
});

test('a resume makes each due call once, joins before leaves, and leaves the newest first', () => {
  const { gate, takeCalls } = bed();
  gate.set('proxy', ETH1, G1, ANY_SOURCE_FILTER);
  gate.set('proxy', ETH1, G2, ANY_SOURCE_FILTER);
  takeCalls();
  gate.pause(ETH1);
  gate.set('proxy', ETH1, G1, undefined);
  gate.set('proxy', ETH1, G2, undefined);
  gate.set('proxy', ETH1, G3, ANY_SOURCE_FILTER);
  gate.resume(ETH1);
  expect(takeCalls()).toEqual(['join 3 3', 'leave 3 2', 'leave 3 1']);
  expect(gate.resume(ETH1)).toEqual([]);
  expect(takeCalls()).toEqual([]);
});

test('a group that passes from one holder to another in a pause costs no call', () => {
  const { gate, takeCalls } = bed();
  gate.set('a', ETH1, G1, ANY_SOURCE_FILTER);
  takeCalls();
  gate.pause(ETH1);
  gate.set('a', ETH1, G1, undefined);
  gate.set('b', ETH1, G1, ANY_SOURCE_FILTER);
  gate.resume(ETH1);
  expect(takeCalls()).toEqual([]);
  expect(gate.list()).toEqual([{ holder: 'b', ifindex: ETH1, group: G1, filter: ANY_SOURCE_FILTER, held: true }]);
});

test('pausing twice needs one resume; a resume without a pause does nothing', () => {
  const { gate, takeCalls } = bed();
  expect(gate.resume(ETH1)).toEqual([]);
  gate.pause(ETH1);
  gate.pause(ETH1);
  gate.set('proxy', ETH1, G1, ANY_SOURCE_FILTER);
  gate.resume(ETH1);
  expect(takeCalls()).toEqual(['join 3 1']);
});

test('a refused wish stays as not held, and stating it again tries again', () => {
  const { gate, pools } = bed();
  gate.set('proxy', ETH1, G2, ANY_SOURCE_FILTER);
  pools[0]!.refusals.push(105);
  const error = gate.set('proxy', ETH1, G1, ANY_SOURCE_FILTER);
  expect(error).toMatchObject({ code: 'ENOBUFS', op: 'joining a group' });
  expect(error?.message).toMatch(/^joining a group on [^(]+ \([0-9.]+\) failed/);
  expect(error?.message).toContain('igmp_max_memberships');
  expect(gate.list().find((wish) => wish.group === G1)?.held).toBe(false);
  expect(gate.set('proxy', ETH1, G1, ANY_SOURCE_FILTER)).toBeUndefined();
  expect(gate.list().every((wish) => wish.held)).toBe(true);
});

test('a resume returns every refusal and carries out the rest', () => {
  const { gate, pools } = bed();
  gate.set('proxy', ETH1, G3, ANY_SOURCE_FILTER);
  gate.pause(ETH1);
  gate.set('proxy', ETH1, G1, ANY_SOURCE_FILTER);
  gate.set('proxy', ETH1, G2, ANY_SOURCE_FILTER);
  pools[0]!.refusals.push(105);
  expect(gate.resume(ETH1).map((error) => error.code)).toEqual(['ENOBUFS']);
  expect(gate.list().filter((wish) => wish.held)).toHaveLength(2);
});

test('an unknown interface is ENODEV, a group that is none EINVAL', () => {
  const { gate } = bed([9]);
  expect(gate.set('proxy', 9 as Ifindex, G1, ANY_SOURCE_FILTER)?.code).toBe('ENODEV');
  expect(gate.set('proxy', ETH1, ip('10.0.0.1'), ANY_SOURCE_FILTER)?.code).toBe('EINVAL');
});

test('when a pool cannot be opened the error says what is short', () => {
  const gate = new MembershipGate(() => 24);
  const error = gate.set('proxy', ETH1, G1, ANY_SOURCE_FILTER);
  expect(error?.code).toBe('EMFILE');
  expect(error?.message).toContain('LimitNOFILE');
});

test('an interface that is gone has its dead slots dropped, its wishes and its pause forgotten (linux.md J)', () => {
  const { gate, pools, takeCalls } = bed();
  gate.set('proxy', ETH1, G1, ANY_SOURCE_FILTER);
  gate.set('proxy', ETH1, G2, include(1));
  gate.set('proxy', ETH2, G1, ANY_SOURCE_FILTER);
  gate.pause(ETH1);
  takeCalls();
  gate.interfaceGone(ETH1);
  expect(takeCalls()).toEqual(['leave 3 2', 'leave 3 1']);
  expect(gate.list().map((wish) => wish.ifindex)).toEqual([ETH2]);
  // and a new interface with the same ifindex starts from nothing
  expect(gate.set('proxy', ETH1, G1, ANY_SOURCE_FILTER)).toBeUndefined();
  expect(pools[0]!.held.size).toBe(2);
});

test('a dead slot that nobody announced is dropped before the join is tried again', () => {
  const { gate, pools, takeCalls } = bed();
  gate.set('proxy', ETH1, G2, ANY_SOURCE_FILTER);
  pools[0]!.held.set(`3 ${toU32(G1)}`, { include: false, sources: [] });
  takeCalls();
  expect(gate.set('proxy', ETH1, G1, ANY_SOURCE_FILTER)).toBeUndefined();
  expect(takeCalls()).toEqual(['join 3 1', 'leave 3 1', 'join 3 1']);
});

test('the counters count what strace would see', () => {
  const { gate } = bed();
  gate.set('proxy', ETH1, G1, include(1, 2));
  gate.set('proxy', ETH1, G1, ANY_SOURCE_FILTER);
  gate.set('proxy', ETH1, G1, undefined);
  expect(gate.counters()).toEqual({ joins: 1, leaves: 1, filters: 2 });
});

test('memberships of a predecessor stay until they are released', () => {
  const inherited = new FakeMembershipPool();
  const gate = new MembershipGate(() => new FakeMembershipPool(), [inherited]);
  gate.set('proxy', ETH1, G1, ANY_SOURCE_FILTER);
  expect(inherited.closed).toBe(false);
  gate.releaseInherited();
  expect(inherited.closed).toBe(true);
});

// The model: what is wished, and which interfaces are paused.

const filters = fc.option(
  fc.record({
    mode: fc.constantFrom('include' as const, 'exclude' as const),
    sources: fc.uniqueArray(
      fc.integer({ min: 1, max: 30 }).map((n) => ipv4(0x0a000000 + n)),
      { maxLength: 14 },
    ),
  }),
  { nil: undefined },
);
const interfaces = fc.constantFrom(ETH1, ETH2);
const commands = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('set' as const),
      ifindex: interfaces,
      holder: fc.constantFrom('a', 'b'),
      group: fc.constantFrom(G1, G2, G3),
      filter: filters,
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constantFrom('pause' as const, 'resume' as const), ifindex: interfaces }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('gone' as const), ifindex: interfaces }) },
);

/** Does the wish of any holder let the source through? */
function admits(wishes: readonly MembershipFilter[], source: IpAddress): boolean {
  return wishes.some(({ mode, sources }) => (mode === 'include') === sources.includes(source));
}

test('after any sequence no call was made while paused, and what is held serves exactly the wishes', () => {
  fc.assert(
    fc.property(fc.array(commands, { maxLength: 60 }), (sequence) => {
      const { gate, pools, takeCalls } = bed();
      const wishes = new Map<string, { ifindex: Ifindex; group: IpAddress; filter: MembershipFilter }>();
      const paused = new Set<Ifindex>();
      for (const command of sequence) {
        const { ifindex } = command;
        if (command.do === 'set') {
          const key = `${command.holder} ${ifindex} ${command.group}`;
          const { filter, group } = command;
          if (filter && (filter.mode === 'exclude' || filter.sources.length > 0))
            wishes.set(key, { ifindex, group, filter });
          else wishes.delete(key);
          gate.set(command.holder, ifindex, command.group, command.filter);
        } else if (command.do === 'pause') {
          gate.pause(ifindex);
          paused.add(ifindex);
        } else if (command.do === 'resume') {
          paused.delete(ifindex);
          expect(gate.resume(ifindex)).toEqual([]);
        } else {
          paused.delete(ifindex);
          for (const [key, wish] of wishes) if (wish.ifindex === ifindex) wishes.delete(key);
          gate.interfaceGone(ifindex);
        }
        const allowed = command.do === 'gone' ? [ifindex] : [];
        for (const call of takeCalls()) {
          const on = Number(call.split(' ')[1]) as Ifindex;
          expect(paused.has(on) && !allowed.includes(on)).toBe(false);
        }
      }
      for (const ifindex of paused) gate.resume(ifindex);
      for (const ifindex of [ETH1, ETH2])
        for (const group of [G1, G2, G3]) {
          const wished = [...wishes.values()].filter((w) => w.ifindex === ifindex && w.group === group);
          const held = pools.flatMap((pool) => pool.held.get(`${ifindex} ${toU32(group)}`) ?? []);
          expect(held.length > 0).toBe(wished.length > 0);
          for (let n = 1; n <= 31; n++) {
            const source = 0x0a000000 + n;
            const through = held.some((filter) => filter.include === filter.sources.includes(source));
            const wanted = admits(
              wished.map((w) => w.filter),
              ipv4(source),
            );
            // A cut exclude list lets more through than wanted, never less.
            if (wanted) expect(through).toBe(true);
            else if (wished.every((w) => w.filter.sources.length <= 10)) expect(through).toBe(false);
          }
        }
      expect(gate.list()).toHaveLength(wishes.size);
      expect(gate.list().every((wish) => wish.held)).toBe(true);
    }),
    { numRuns: runs(300) },
  );
});

test('the limit of sources is that of the kernel, and what does not fit is said (C4)', () => {
  let most = 4;
  const pool = new FakeMembershipPool();
  const gate = new MembershipGate(() => pool, [], { mostSources: () => most });
  const sources = Array.from({ length: 6 }, (_, n) => ip(`10.0.0.${n + 1}`));
  gate.set('proxy', ETH1, G1, { mode: 'exclude', sources });
  expect(pool.held.get(`${ETH1} ${toU32(G1)}`)?.sources).toHaveLength(4);
  expect(gate.problem(ETH1, G1)).toBe('the kernel blocks 4 of 6 sources; raise net.ipv4.igmp_max_msf');
  expect(gate.list()[0]?.problem).toBe(gate.problem(ETH1, G1));
  most = 64;
  gate.set('proxy', ETH1, G1, { mode: 'exclude', sources });
  expect(pool.held.get(`${ETH1} ${toU32(G1)}`)?.sources).toHaveLength(6);
  expect(gate.problem(ETH1, G1)).toBeUndefined();
});

test('an include list is spread so that each membership fits, one source each if need be (C4)', () => {
  for (const [most, lanes] of [
    [0, 6],
    [1, 6],
    [4, 2],
    [64, 1],
  ] as const) {
    const wanted = { mode: 'include', sources: Array.from({ length: 6 }, (_, n) => ip(`10.0.0.${n + 1}`)) } as const;
    const steps = plan([], wanted, most);
    expect(steps).toHaveLength(lanes);
    expect(steps.flatMap(({ filter }) => filter?.sources ?? [])).toHaveLength(6);
  }
});

test('why a join is refused is kept until it is granted (C4)', () => {
  const gate = new MembershipGate(() => 24);
  gate.set('proxy', ETH1, G1, ANY_SOURCE_FILTER);
  expect(gate.problem(ETH1, G1)).toContain('EMFILE');
  expect(gate.list()[0]).toMatchObject({ held: false, problem: expect.stringContaining('EMFILE') });
});

test('a group of the link that the kernel refuses is joined as soon as there is room again, another waits for its holder (A5)', () => {
  const clock = new FakeClock();
  const pool = new FakeMembershipPool();
  const gate = new MembershipGate(() => pool, [], { clock });
  const reports = ip('224.0.0.22');
  pool.refusals.push(24, 24, 24);
  expect(gate.set('igmp-control', ETH1, reports, ANY_SOURCE_FILTER)?.code).toBe('EMFILE');
  expect(gate.set('proxy', ETH1, G1, ANY_SOURCE_FILTER)?.code).toBe('EMFILE');
  clock.advance(1000);
  expect(gate.holds('igmp-control', ETH1, reports)).toBe(false);
  clock.advance(1000);
  expect(gate.holds('igmp-control', ETH1, reports)).toBe(true);
  expect(gate.holds('proxy', ETH1, G1)).toBe(false);
  // and nothing goes on in vain, nor after the end
  expect(clock.due()).toBe(0);
  pool.refusals.push(24);
  gate.set('igmp-control', ETH2, reports, ANY_SOURCE_FILTER);
  gate.close();
  expect(clock.due()).toBe(0);
});
