import { expect, test } from 'vitest';
import { StateSaver } from '../../../src/daemon/state/state-saver.js';
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

test('a few changes in a row are each saved at once, thousands of the same second once (A5)', () => {
  const { clock, saved, change } = given();
  for (let i = 0; i < 5000; i++) change();
  expect(saved).toEqual(Array.from({ length: 16 }, (_, n) => n + 1));
  clock.advance(1001);
  expect(saved.slice(16)).toEqual([5000]);
  clock.advance(10_000);
  expect(saved).toHaveLength(17);
  expect(clock.due()).toBe(0);
});

test('changes that go on and on are saved once a second (A5)', () => {
  const { clock, saved, change } = given();
  for (let i = 0; i < 60_000; i++) {
    change();
    clock.advance(1);
  }
  expect(saved.length).toBeLessThanOrEqual(16 + 60);
  expect(saved.at(-1)).toBeGreaterThan(58_000);
});

test('what waits is saved at the end, and nothing after it (A5)', () => {
  const { clock, saver, saved, change } = given();
  for (let i = 0; i < 100; i++) change();
  saver.stop();
  expect(saved.at(-1)).toBe(100);
  saver.stop();
  clock.advance(5000);
  expect(saved).toHaveLength(17);
});

test('a save that takes long is made less often: a twentieth of the time in the long run (A5)', () => {
  const { clock, saver, saved, change } = given(200);
  for (let i = 0; i < 1000; i++) {
    change();
    clock.advance(100);
  }
  expect(saved.length).toBeGreaterThanOrEqual(100_000 / 4000);
  expect(saved.length).toBeLessThanOrEqual(4 + 120_000 / 4000);
  saver.stop();
  expect(saved.at(-1)).toBe(1000);
});
