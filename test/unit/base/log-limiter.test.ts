import { expect, test } from 'vitest';
import { LogLimiter } from '../../../src/base/log-limiter.js';
import { FakeClock } from '../../support/fake-clock.js';

test('a reason has its burst, then the rate, and the next line says how many were held back (F54)', () => {
  // given two lines at once and one every ten seconds
  const lines = new LogLimiter(2, 0.1);
  expect([lines.take('short', 0), lines.take('short', 0)]).toEqual([0, 0]);
  // when three more come at once
  expect([1, 2, 3].map((ms) => lines.take('short', ms))).toEqual([undefined, undefined, undefined]);
  // then the next that passes counts them, and other reasons were never affected
  expect(lines.take('checksum', 3)).toBe(0);
  expect(lines.take('short', 10_000)).toBe(3);
});

test('a reason that is quiet gives its place, so that interfaces that come and go do not silence others (A6, F54)', () => {
  // given 1,000 interfaces that appeared once, one after the other
  const lines = new LogLimiter(2, 0.1);
  for (let n = 0; n < 1000; n++) expect(lines.take(`ppp${n}`, n * 20_000)).toBe(0);
  // when two more flap
  const flaps = Array.from({ length: 10 }, () => ['eth0', 'eth1'].map((name) => lines.take(name, 20_000_000)));
  // then each has its own burst
  expect(flaps.flat().filter((heldBack) => heldBack !== undefined)).toEqual([0, 0, 0, 0]);
});

test('a reason that is still limited keeps its place (F54)', () => {
  const lines = new LogLimiter(1, 0.001);
  for (let n = 0; n < 256; n++) lines.take(`reason ${n}`, 0);
  lines.take('further', 1000);
  expect(lines.take('reason 0', 1000)).toBe(undefined);
});

test('reasons beyond 256 share one bucket, so that a name of a stranger makes nothing grow (F54)', () => {
  const lines = new LogLimiter(1, 0.1);
  for (let n = 0; n < 256; n++) expect(lines.take(`reason ${n}`, 0)).toBe(0);
  const further = Array.from({ length: 100 }, (_, n) => lines.take(`further ${n}`, 0));
  expect(further.filter((heldBack) => heldBack !== undefined)).toEqual([0]);
});

/** Two lines at once and one every ten seconds, with summaries. */
function summarized() {
  const [clock, told] = [new FakeClock(), [] as string[]];
  const tell = (reason: string, heldBack: number) => void told.push(`${heldBack} ${reason}`);
  const lines = new LogLimiter(2, 0.1, { clock, tell });
  const say = (reason: string, count = 1) =>
    Array.from({ length: count }, () => lines.take(reason, clock.nowMs())).filter((heldBack) => heldBack !== undefined);
  return { clock, told, lines, say };
}

test('what was held back at the end of a burst is told when no line follows, once (A6, F54)', () => {
  const { clock, told, say } = summarized();
  expect(say('short', 100)).toEqual([0, 0]);
  expect(say('checksum', 3)).toEqual([0, 0]);
  clock.advance(20_000);
  expect(told).toEqual(['98 short', '1 checksum']);
  clock.advance(100_000);
  expect(told).toHaveLength(2);
  expect(clock.due()).toBe(0);
});

test('while a burst goes on its own lines say how many there were, and the summary is what is left (A6, F54)', () => {
  const { clock, told, say } = summarized();
  const passed = Array.from({ length: 100 }, () => (clock.advance(1000), say('short'))).flat();
  expect(passed.length).toBeLessThanOrEqual(2 + 10);
  clock.advance(30_000);
  const counted = passed.reduce((sum, heldBack) => sum + heldBack + 1, 0);
  expect(told).toEqual([`${100 - counted} short`]);
});

test('nothing is told, and no timer stays, after a stop (A6)', () => {
  const { clock, told, lines, say } = summarized();
  say('short', 100);
  lines.stop();
  clock.advance(100_000);
  expect(told).toEqual([]);
});
