import fc from 'fast-check';
import { expect, test } from 'vitest';
import { lostOf, SequenceTracker } from '../../../src/lab/traffic/sequence.js';

function counted(sequences: readonly number[], tracker = new SequenceTracker()) {
  for (const sequence of sequences) tracker.accept(sequence);
  return tracker.counts();
}

test('a gap is lost until it is filled, and what fills it is reordered', () => {
  const tracker = new SequenceTracker();
  expect(lostOf(counted([0, 1, 4], tracker))).toBe(2);
  expect(counted([3, 2], tracker)).toMatchObject({ received: 5, reordered: 2, duplicated: 0 });
  expect(lostOf(tracker.counts())).toBe(0);
});

test('a number seen before is a duplicate and nothing else', () => {
  expect(counted([0, 1, 1, 0, 2])).toMatchObject({ received: 3, duplicated: 2, reordered: 0 });
});

test('what is missing at the end is told by what was sent', () => {
  const counts = counted([0, 1, 2]);
  expect(lostOf(counts)).toBe(0);
  expect(lostOf(counts, 5)).toBe(2);
});

test('counting begins after the highest number seen; stragglers from before do not count', () => {
  const tracker = new SequenceTracker();
  counted([0, 5], tracker);
  tracker.begin();
  expect(counted([4, 6, 7], tracker)).toEqual({ base: 6, next: 8, received: 2, duplicated: 0, reordered: 0 });
});

test('a jump wider than the window loses what it skipped and takes no new number for an old one', () => {
  const counts = counted([0, 200_000, 200_000 - 65_535]);
  expect(counts).toMatchObject({ received: 3, duplicated: 0, reordered: 1 });
  expect(lostOf(counts)).toBe(200_001 - 3);
});

test('whatever the order, received + lost is what was numbered, and each extra copy is one duplicate', () => {
  const packets = fc.array(fc.nat({ max: 300 }), { minLength: 1, maxLength: 400 });
  fc.assert(
    fc.property(packets, (sequences) => {
      const counts = counted(sequences);
      const different = new Set(sequences).size;
      expect(counts.received).toBe(different);
      expect(counts.duplicated).toBe(sequences.length - different);
      expect(lostOf(counts, 301)).toBe(301 - different);
    }),
  );
});
