import { expect, test } from 'vitest';
import { StateSaver } from '../../../src/daemon/state-saver.js';
import { FakeClock } from '../../support/fake-clock.js';

function given(tookMs = 0) {
  const clock = new FakeClock();
  let value = 0;
  const saved: number[] = [];
  const saver = new StateSaver({
    clock,
    save: () => {
      saved.push(value);
      clock.advance(tookMs);
    },
  });
  const change = () => {
    value++;
    saver.changed();
  };
  return { clock, saver, saved, change };
}

test('the first change is saved at once, five thousand more of the same second once (A5)', () => {
  const { clock, saved, change } = given();
  for (let i = 0; i < 5000; i++) change();
  expect(saved).toEqual([1]);
  clock.advance(1000);
  expect(saved).toEqual([1, 5000]);
  clock.advance(10_000);
  expect(saved).toHaveLength(2);
  expect(clock.due()).toBe(0);
});

test('after a quiet second a change is saved at once again (A5)', () => {
  const { clock, saved, change } = given();
  change();
  clock.advance(1000);
  change();
  expect(saved).toEqual([1, 2]);
});

test('what waits is saved at the end, and nothing after it (A5)', () => {
  const { clock, saver, saved, change } = given();
  change();
  change();
  saver.stop();
  expect(saved).toEqual([1, 2]);
  saver.stop();
  clock.advance(5000);
  expect(saved).toEqual([1, 2]);
});

test('a save that takes long is made less often: a twentieth of the time at most (A5)', () => {
  const { clock, saved, change } = given(200);
  change();
  for (let i = 0; i < 100; i++) {
    change();
    clock.advance(100);
  }
  expect(saved.length).toBeLessThanOrEqual(4);
});
