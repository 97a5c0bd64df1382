import fc from 'fast-check';
import { expect, test } from 'vitest';
import { formatDuration, parseDuration } from '../../../src/config/durations.js';
import { parseConfig } from '../../../src/config/parse.js';
import { nearest } from '../../../src/config/suggest.js';
import { runs } from '../../support/runs.js';

test.each([
  ['125s', 125_000],
  ['100ms', 100],
  ['2m', 120_000],
  ['1h', 3_600_000],
  ['0.5s', 500],
  ['7', 7000],
  [7, 7000],
  [0.1, 100],
])('%j is %d milliseconds', (text, ms) => {
  expect(parseDuration(text)).toBe(ms);
});

test.each(['', 's', '-1s', '1 s s', '1e3', '1d', null, true, [], Number.NaN, -1])('%j is no time', (raw) => {
  expect(parseDuration(raw)).toBeUndefined();
});

test('what is formatted parses to the same time', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 31_744_000 }), (ms) => {
      expect(parseDuration(formatDuration(ms))).toBe(ms);
    }),
  );
});

test('a word one slip away is suggested, a different word is not', () => {
  expect(nearest('interface', ['interfaces', 'igmp'])).toBe('interfaces');
  expect(nearest('qureyInterval', ['queryInterval', 'queryResponseInterval'])).toBe('queryInterval');
  expect(nearest('ETH1', ['eth0', 'eth1'])).toBe('eth1');
  expect(nearest('banana', ['interfaces', 'igmp'])).toBeUndefined();
});

test('no text whatever makes the parser throw', () => {
  const scrap = fc.constantFrom('interfaces', 'static', ':', '\n', ' ', '-', '{', '}', '[', ']', '&a', '*a', '"', '1s');
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.array(scrap).map((parts) => parts.join('')),
      ),
      (text) => {
        const result = parseConfig(text, 'f');
        expect(result.ok || result.error.length > 0).toBe(true);
      },
    ),
    { numRuns: runs(2000) },
  );
});
