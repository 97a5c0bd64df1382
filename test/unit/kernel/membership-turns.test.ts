/** A resume with very many due calls makes them in several turns of the event loop, in the order it always has (A5). */
import { expect, test } from 'vitest';
import { type IpAddress, ipv4, toU32 } from '../../../src/base/ip.js';
import type { HostPause } from '../../../src/kernel/membership/host-pause.js';
import { CALLS_PER_TURN, MembershipGate } from '../../../src/kernel/membership/membership.js';
import { ANY_SOURCE_FILTER, type Ifindex } from '../../../src/port/kernel.js';
import { FakeClock } from '../../support/fake-clock.js';
import { FakeMembershipPool } from './fake-membership-pool.js';

const ETH1 = 3 as Ifindex;
const MANY = 4000;
const groupNo = (n: number): IpAddress => ipv4(0xef000000 + n);

/** MANY groups are joined, a pause begins, and all of them are left in it for as many others. */
function paused() {
  const [clock, pool, hostCalls] = [new FakeClock(), new FakeMembershipPool(), [] as string[]];
  const note = (what: string) => () => void hostCalls.push(`${what} after ${pool.calls.length}`);
  const host = {
    begin: note('begin'),
    openGate: note('open'),
    end: note('end'),
    gone: note('gone'),
    close: note('close'),
  };
  const gate = new MembershipGate(() => pool, [], { clock, host: host as unknown as HostPause });
  for (let n = 0; n < MANY; n++) gate.set('proxy', ETH1, groupNo(n), ANY_SOURCE_FILTER);
  gate.pause(ETH1);
  pool.calls.length = hostCalls.length = 0;
  for (let n = 0; n < MANY; n++) {
    gate.set('proxy', ETH1, groupNo(n), undefined);
    gate.set('proxy', ETH1, groupNo(MANY + n), ANY_SOURCE_FILTER);
  }
  return { clock, pool, hostCalls, gate };
}

/** One turn of the event loop. */
function turn(clock: FakeClock, pool: FakeMembershipPool): number {
  const before = pool.calls.length;
  const { after } = clock;
  clock.after = (ms, fire) => after.call(clock, ms + 1, fire);
  clock.advance(1);
  clock.after = after;
  return pool.calls.length - before;
}

const kinds = (calls: readonly string[]) => calls.map((call) => call.split(' ')[0]);

test('all joins come before all leaves, a bounded number a turn, and pins are let go after the last (A5)', () => {
  const { clock, pool, hostCalls, gate } = paused();
  expect(pool.calls).toEqual([]);
  expect(gate.resume(ETH1)).toEqual([]);
  const turns = [pool.calls.length];
  while (clock.due() > 0) turns.push(turn(clock, pool));
  expect(Math.max(...turns)).toBeLessThanOrEqual(CALLS_PER_TURN);
  expect(kinds(pool.calls)).toEqual([...Array<string>(MANY).fill('join'), ...Array<string>(MANY).fill('leave')]);
  expect(hostCalls).toEqual(['open after 0', `end after ${2 * MANY}`]);
  expect(pool.held.size).toBe(MANY);
  expect(gate.list().every(({ held }) => held)).toBe(true);
});

test('a pause in the middle stops the calls, and the next resume makes those that are left (A5)', () => {
  const { clock, pool, hostCalls, gate } = paused();
  gate.resume(ETH1);
  while (pool.calls.length === 0) turn(clock, pool);
  gate.pause(ETH1);
  const made = pool.calls.length;
  expect(made).toBeLessThan(MANY);
  gate.set('proxy', ETH1, groupNo(2 * MANY), ANY_SOURCE_FILTER);
  clock.advance(1000);
  expect(pool.calls).toHaveLength(made);
  expect(hostCalls).toEqual(['open after 0', `end after ${made}`, `begin after ${made}`]);
  gate.resume(ETH1);
  clock.advance(1000);
  expect(pool.calls).toHaveLength(2 * MANY + 1);
  expect(pool.held.size).toBe(MANY + 1);
});

test('what is wished anew in the meantime is done at once, and not undone by what was planned (A5)', () => {
  const { clock, pool, gate } = paused();
  gate.resume(ETH1);
  // one that is about to be joined is not wanted any more, one that is about to be left is wanted again
  gate.set('proxy', ETH1, groupNo(2 * MANY - 1), undefined);
  gate.set('proxy', ETH1, groupNo(0), ANY_SOURCE_FILTER);
  clock.advance(1000);
  expect(pool.held.has(`3 ${toU32(groupNo(0))}`)).toBe(true);
  expect(pool.held.has(`3 ${toU32(groupNo(2 * MANY - 1))}`)).toBe(false);
  expect(pool.held.size).toBe(MANY);
});

test('what the kernel refuses in a later turn is told, and tried again by the next resume (A5)', () => {
  const { clock, pool, gate } = paused();
  const refused: string[] = [];
  gate.resume(ETH1, ({ code }) => refused.push(code));
  pool.refusals.push(105, 105);
  clock.advance(1000);
  expect(refused).toEqual(['ENOBUFS', 'ENOBUFS']);
  expect(gate.list().filter(({ held }) => !held)).toHaveLength(2);
  gate.pause(ETH1);
  expect(gate.resume(ETH1)).toEqual([]);
  expect(gate.list().every(({ held }) => held)).toBe(true);
});

test('an interface that is gone with many groups is left in turns; a new one of its number keeps what it joins (A5, linux.md J)', () => {
  const { clock, pool, gate } = paused();
  gate.resume(ETH1);
  clock.advance(1000);
  pool.calls.length = 0;
  gate.interfaceGone(ETH1);
  expect(pool.calls.length).toBeLessThanOrEqual(CALLS_PER_TURN);
  expect(gate.set('proxy', ETH1, groupNo(MANY), ANY_SOURCE_FILTER)).toBeUndefined();
  clock.advance(1000);
  expect([...pool.held.keys()]).toEqual([`3 ${toU32(groupNo(MANY))}`]);
  expect(clock.due()).toBe(0);
});
