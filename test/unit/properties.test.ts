/** Random tests say how to see a failure again, and are bounded in time (test/support/property-setup.ts). */
import fc from 'fast-check';
import { afterEach, expect, test, vi } from 'vitest';
import { seedAndPath } from '../support/property-report.js';
import { FUZZ_TIMEOUT_MS } from '../support/runs.js';

afterEach(() => vi.restoreAllMocks());

test('a property that fails names its seed, its path and the command that tries it again (E10)', () => {
  const written: string[] = [];
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => written.push(String(text)) > 0);
  const failing = fc.property(fc.nat(), (n) => n < 10);
  const again = /MGMD_FUZZ_SEED=7 MGMD_FUZZ_PATH=([\d:]+) npm test -- test\/unit\/properties\.test\.ts -t '.*E10.*'/;
  expect(() => fc.assert(failing, { seed: 7 })).toThrow(again);
  expect(written.join('')).toMatch(again);
  // and the path leads to the smallest failure
  const path = again.exec(written.join(''))![1]!;
  expect(fc.check(failing, { ...seedAndPath({ MGMD_FUZZ_SEED: '7', MGMD_FUZZ_PATH: path }) })).toMatchObject({
    failed: true,
    numRuns: 1,
    counterexample: [10],
  });
});

test('no property runs or shrinks until its test times out and its seed is lost (E10)', () => {
  expect(fc.readConfigureGlobal().interruptAfterTimeLimit).toBeLessThanOrEqual(FUZZ_TIMEOUT_MS / 4);
  // when there is no time left at the first failure, then that one is told, without shrinking
  vi.spyOn(process.stderr, 'write').mockReturnValue(true);
  let tries = 0;
  const slow = fc.property(fc.array(fc.nat(), { minLength: 9 }), () => {
    for (const until = performance.now() + 500; performance.now() < until; ) tries += 0;
    tries++;
    return false;
  });
  expect(() => fc.assert(slow, { interruptAfterTimeLimit: 400 })).toThrow(/MGMD_FUZZ_SEED/);
  expect(tries).toBe(1);
});
