import { expect, test } from 'vitest';
import { parseFlags } from '../../../src/lab/flags.js';

test('without flags the lab takes 20 seconds and ends', () => {
  expect(parseFlags([])).toEqual({ ok: true, value: { help: false, keep: false, seconds: 20, config: undefined } });
});

test('--keep makes no tour unless --seconds asks for one', () => {
  expect(parseFlags(['--keep'])).toMatchObject({ value: { keep: true, seconds: 0 } });
  expect(parseFlags(['--keep', '--seconds', '5'])).toMatchObject({ value: { keep: true, seconds: 5 } });
});

test('--config names the file of the daemon', () => {
  expect(parseFlags(['--config', 'mgmd.yaml'])).toMatchObject({ value: { config: 'mgmd.yaml' } });
});

test.each([
  [['--sekonds', '3'], "Unknown option '--sekonds'"],
  [['extra'], 'Unexpected argument'],
  [['--seconds'], 'argument missing'],
  [['--seconds', 'ten'], '--seconds ten: not a whole number of seconds'],
  [['--seconds', '3601'], '--seconds 3601: at most 3600'],
  [['--seconds', '0'], '--seconds 0 is a lab without changes'],
  [['--config', ''], '--config needs the name of a file'],
  [['--config', 'a', '--keep'], '--config runs the daemon itself'],
])('%j is refused with what is wrong', (argv, words) => {
  const flags = parseFlags(argv);
  expect(flags.ok).toBe(false);
  expect(!flags.ok && flags.error).toContain(words);
});
