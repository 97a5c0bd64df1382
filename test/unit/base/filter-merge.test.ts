import { describe, expect, test } from 'vitest';
import { filterOf, mergedFilter, sameFilter, type SourceFilter } from '../../../src/base/filter-merge.js';
import { type IpAddress, ip } from '../../../src/base/ip.js';

const LETTERS = 'abcdef';
const address = (letter: string): IpAddress => ip(`192.0.2.${LETTERS.indexOf(letter) + 1}`);
/** "EX abc", "IN d", "EX". */
function filter(text: string): SourceFilter {
  const [mode, letters = ''] = text.split(' ');
  return { mode: mode === 'EX' ? 'exclude' : 'include', sources: [...letters].map(address) };
}
const merge = (wishes: readonly string[]) => mergedFilter(wishes.map(filter));

describe('the merge table of igmp.md section 14.1 (RFC 3376 section 3.2) (IGMP-140)', () => {
  for (const { wishes, result } of [
    { wishes: ['EX abcd', 'EX bcde', 'IN def'], result: 'EX bc' },
    { wishes: ['EX abcd', 'EX bcde', 'IN def', 'EX'], result: 'EX' },
    { wishes: ['IN abc', 'IN bcd', 'IN ef'], result: 'IN abcdef' },
    { wishes: ['IN'], result: undefined },
    { wishes: [], result: undefined },
  ])
    test(`${wishes.join(', ') || 'nothing'} gives ${result ?? 'no state'}`, () => {
      expect(merge(wishes)).toEqual(result && filter(result));
    });
});

test('the merge lets a source through exactly when one of the wishes does, for every pair and triple (IGMP-140)', () => {
  const lists = ['', 'a', 'b', 'ab', 'c', 'abc'];
  const all = lists.flatMap((list) => [filter(`EX ${list}`), filter(`IN ${list}`)]);
  const passes = (one: SourceFilter | undefined, source: IpAddress) =>
    one !== undefined && (one.mode === 'include') === one.sources.includes(source);
  const tried = all.flatMap((a) => all.flatMap((b) => [[a, b], ...all.map((c) => [a, b, c])]));
  for (const wishes of tried) {
    const merged = mergedFilter(wishes);
    for (const source of [...'abcd'].map(address))
      expect(passes(merged, source)).toBe(wishes.some((one) => passes(one, source)));
  }
});

test('filters are compared sorted, and nothing is only like nothing', () => {
  const sorted = filterOf('include', [address('b'), address('a')]);
  expect(sorted).toEqual(filter('IN ab'));
  expect(sameFilter(sorted, filter('IN ab'))).toBe(true);
  expect(sameFilter(sorted, filter('EX ab'))).toBe(false);
  expect(sameFilter(sorted, filter('IN ac'))).toBe(false);
  expect(sameFilter(sorted, filter('IN a'))).toBe(false);
  expect(sameFilter(sorted, undefined)).toBe(false);
  expect(sameFilter(undefined, undefined)).toBe(true);
});
