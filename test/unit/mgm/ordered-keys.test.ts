/** The order of keys, compared with a sorted array. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ipv4 } from '../../../src/base/ip.js';
import { compareKeys } from '../../../src/mgm/keys.js';
import { OrderedKeys } from '../../../src/mgm/ordered-keys.js';

const keyOf = (n: number) => ({ source: ipv4(n % 7), group: ipv4(0xe1000000 + Math.floor(n / 7)) });

test('keys come in order and the one behind any key is found, whatever is added and deleted (A4)', () => {
  const steps = fc.array(fc.tuple(fc.boolean(), fc.nat({ max: 4000 })), { maxLength: 3000, size: 'max' });
  fc.assert(
    fc.property(steps, fc.nat({ max: 4000 }), (list, asked) => {
      const keys = new OrderedKeys();
      const model = new Map<number, ReturnType<typeof keyOf>>();
      for (const [add, n] of list) {
        if (add) keys.set(keyOf(n));
        else keys.delete(keyOf(n));
        if (add) model.set(n, keyOf(n));
        else model.delete(n);
      }
      const sorted = [...model.values()].sort(compareKeys);
      expect([...keys.all()]).toEqual(sorted);
      expect(keys.after(keyOf(asked))).toEqual(sorted.find((one) => compareKeys(one, keyOf(asked)) > 0));
    }),
    { numRuns: 30 },
  );
});

test('a cursor shows what stays exactly once while half of the table is deleted and added again (A4)', () => {
  const keys = new OrderedKeys();
  for (let n = 0; n < 5000; n++) keys.set(keyOf(n));
  const seen = new Map<string, number>();
  let step = 0;
  for (const { source, group } of keys.all()) {
    seen.set(`${source} ${group}`, (seen.get(`${source} ${group}`) ?? 0) + 1);
    const n = ((step++ * 17) % 5000) | 1;
    keys.delete(keyOf(n));
    if (step % 2) keys.set(keyOf(n));
  }
  for (let n = 0; n < 5000; n += 2) expect(seen.get(`${keyOf(n).source} ${keyOf(n).group}`)).toBe(1);
});
