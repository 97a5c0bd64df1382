/** The heap of deadlines beside a sorted list. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { DeadlineHeap, type Queued } from '../../src/base/deadline-heap.js';
import { FUZZ_TIMEOUT_MS, runs } from '../support/runs.js';

const operation = fc.record({
  kind: fc.constantFrom('noLaterThan', 'noLaterThan', 'postpone', 'remove', 'takeFirst'),
  item: fc.integer({ min: 0, max: 30 }),
  ms: fc.integer({ min: 0, max: 1000 }),
});

test(
  'whatever is queued, moved and removed, the first is always the earliest',
  () => {
    fc.assert(
      fc.property(fc.array(operation, { minLength: 40, maxLength: 200 }), (operations) => {
        const heap = new DeadlineHeap<Queued>();
        const items: Queued[] = Array.from({ length: 31 }, () => ({ queuedMs: 0, heapIndex: -1 }));
        const model = new Map<Queued, number>();
        for (const { kind, item: n, ms } of operations) {
          const item = kind === 'takeFirst' ? heap.first : items[n]!;
          if (item === undefined) continue;
          const queuedMs = model.get(item);
          if (kind === 'noLaterThan') {
            heap.noLaterThan(item, ms);
            model.set(item, Math.min(ms, queuedMs ?? ms));
          } else if (kind === 'postpone') {
            if (queuedMs === undefined) continue;
            heap.postpone(item, queuedMs + ms);
            model.set(item, queuedMs + ms);
          } else {
            heap.remove(item);
            model.delete(item);
          }
          expect(heap.size).toBe(model.size);
          expect(heap.earliestMs).toBe(Math.min(...model.values()));
        }
        // and all of it comes out in order
        const order: number[] = [];
        for (let first = heap.first; first !== undefined; first = heap.first) {
          order.push(first.queuedMs);
          heap.remove(first);
        }
        expect(order).toEqual([...model.values()].sort((a, b) => a - b));
      }),
      { numRuns: runs(1000) },
    );
  },
  FUZZ_TIMEOUT_MS,
);
