/** The test ground itself: a clock that lies would let everything pass. */
import { expect, test } from 'vitest';
import { eventually } from '../support/eventually.js';
import { FakeClock } from '../support/fake-clock.js';
import { RecordingLog } from '../support/recording-log.js';

test('the fake clock fires in order of time, then of arming, including what is armed on the way', () => {
  // given timers in no order, one of which arms another
  const clock = new FakeClock(0);
  const fired: string[] = [];
  const note = (name: string) => () => fired.push(`${name}@${clock.nowMs()}`);
  clock.after(20, note('late'));
  clock.after(10, () => {
    note('early')();
    clock.after(5, note('chained'));
  });
  clock.after(20, note('late too'));
  const cancelled = clock.after(15, note('never'));
  cancelled.cancel();
  // when time passes up to just before, then up to the last one
  clock.advance(9);
  expect(fired).toEqual([]);
  clock.advance(11);
  // then all fired at their times and nothing is due
  expect(fired).toEqual(['early@10', 'chained@15', 'late@20', 'late too@20']);
  expect([clock.nowMs(), clock.due()]).toEqual([20, 0]);
});

test('a timer of zero delay fires in a later turn, never inside the call that armed it', () => {
  const clock = new FakeClock();
  let fired = false;
  clock.after(0, () => {
    fired = true;
  });
  expect(fired).toBe(false);
  clock.advance(0);
  expect(fired).toBe(true);
});

test('run() lets promises continue between two timers', async () => {
  const clock = new FakeClock(0);
  const order: string[] = [];
  clock.after(1, () => void Promise.resolve().then(() => clock.after(1, () => order.push('armed by a promise'))));
  clock.after(5, () => order.push('last'));
  await clock.run(5);
  expect(order).toEqual(['armed by a promise', 'last']);
});

test('eventually returns the first truthy answer and says what it waited for when there is none', async () => {
  let asked = 0;
  await expect(eventually('three questions', () => ++asked === 3 && asked, { everyMs: 1 })).resolves.toBe(3);
  await expect(eventually('a miracle', () => false, { withinMs: 5, everyMs: 1 })).rejects.toThrow('a miracle');
});

test('children of the recording log write into the same list with their bindings', () => {
  const log = new RecordingLog();
  log.child({ mod: 'igmp' }).child({ vif: 3 }).warn({ evt: 'igmp.querier.lost' }, 'another router is querier');
  expect(log.of('igmp.querier.lost').map((line) => line.fields)).toEqual([
    { evt: 'igmp.querier.lost', mod: 'igmp', vif: 3 },
  ]);
  expect(log.complaints()).toHaveLength(1);
});
