import { expect, test } from 'vitest';
import { announced } from '../../../src/lab/traffic/reports.js';

const GROUP = [239, 9, 0, 1];
const NAME = '239.9.0.1';

test.each([
  [0x12, 'join'],
  [0x16, 'join'],
  [0x17, 'leave'],
])('a version 1 or 2 message of type %i announces a %s', (type, change) => {
  expect(announced(Uint8Array.of(type, 0, 0, 0, ...GROUP))).toEqual([{ group: NAME, change }]);
});

test('the records of a version 3 report tell changes from answers to a query', () => {
  const record = (type: number, sources: number) => [type, 0, 0, sources, ...GROUP, ...Array(4 * sources).fill(1)];
  const types = [1, 2, 3, 4, 5, 6];
  const report = [0x22, 0, 0, 0, 0, 0, 0, types.length, ...types.flatMap((type) => record(type, type % 3))];
  expect(announced(Uint8Array.from(report)).map(({ change }) => change)).toEqual([
    'state',
    'state',
    'leave',
    'join',
    'join',
    'leave',
  ]);
});

test('queries, short messages and a report that is cut off announce nothing more', () => {
  expect(announced(Uint8Array.of(0x11, 0, 0, 0, ...GROUP))).toEqual([]);
  expect(announced(Uint8Array.of(0x16, 0, 0))).toEqual([]);
  expect(announced(Uint8Array.of(0x22, 0, 0, 0, 0, 0, 0, 9, 4, 0, 0, 0, ...GROUP))).toHaveLength(1);
});
