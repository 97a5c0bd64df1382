/** F51: nothing of mgmd goes by the wall clock, which administrators and time servers set. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test, vi } from 'vitest';
import { SystemClock } from '../../../src/daemon/process/system-clock.js';
import { eventually } from '../../support/eventually.js';

const SRC = fileURLToPath(new URL('../../../src', import.meta.url));

test('a wall clock that jumps by a day moves neither the time nor a timer (F51)', async () => {
  const clock = new SystemClock();
  const fired: string[] = [];
  const before = clock.nowMs();
  const wall = vi.spyOn(Date, 'now').mockReturnValue(Date.now() + 86_400_000);
  try {
    clock.after(3_600_000, () => fired.push('in an hour')).cancel();
    const late = clock.after(3_600_000, () => fired.push('too early'));
    clock.after(20, () => fired.push('in 20 ms'));
    expect(clock.nowMs() - before).toBeLessThan(60_000);
    await eventually('the near timer', () => fired.length > 0);
    late.cancel();
  } finally {
    wall.mockRestore();
  }
  expect(fired).toEqual(['in 20 ms']);
});

test('the wall clock is read only for what people and other machines read (F51)', () => {
  const readers = readdirSync(SRC, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts') && !file.startsWith('lab/'))
    .filter((file) => /\bDate\.now\(|new Date\(\)/.test(readFileSync(join(SRC, file), 'utf8')));
  // The time of monitored events (pino tells that of log lines).
  expect(readers.sort()).toEqual(['control/server.ts']);
});
