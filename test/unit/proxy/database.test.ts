/** The membership database: igmp.md section 15.2, each row. */
import { describe, expect, test } from 'vitest';
import { formatIp, ip } from '../../../src/base/ip.js';
import { Database, Others, Wishes } from '../../../src/proxy/database.js';
import { ALL, any, sg } from '../../support/manager-bed.js';

const G = ip('239.1.1.1');
const SSM = ip('232.1.1.1');
const [a, b, c] = [ip('192.0.2.1'), ip('192.0.2.2'), ip('192.0.2.3')];
const LETTER = new Map([
  [a, 'a'],
  [b, 'b'],
  [c, 'c'],
]);

/** What IGMP says of a group: "v2", "IN ab", "EX a/bc" (X is a, which the downstream wants; Y is b and c). */
function downstream(state: string, group = G): Wishes {
  const wishes = new Wishes(state);
  const [mode, lists = ''] = state.split(' ');
  const of = (letters: string) =>
    [...LETTER].filter(([, letter]) => letters.includes(letter)).map(([source]) => source);
  if (mode === 'v2' || mode === 'EX') wishes.join(any(group));
  if (mode === 'IN') for (const source of of(lists)) wishes.join(sg(source, group));
  if (mode === 'EX') for (const source of of(lists.split('/')[1] ?? '')) wishes.refuse(sg(source, group), true);
  return wishes;
}

function record(database: Database, group = G): string {
  const merged = database.merged(group);
  if (!merged) return 'none';
  const letters = merged.sources.map((source) => LETTER.get(source) ?? formatIp(source)).join('');
  return `${merged.mode === 'exclude' ? 'EX' : 'IN'} ${letters}`.trim();
}

function databaseOf(...states: readonly string[]): Database {
  const database = new Database((group) => group === SSM);
  for (const state of states) database.add(downstream(state));
  return database;
}

describe('the table of igmp.md section 15.2 (IGMP-140)', () => {
  for (const { states, merged } of [
    { states: ['v2', 'IN ab'], merged: 'EX' },
    { states: ['IN a', 'IN b'], merged: 'IN ab' },
    { states: ['EX a/bc', 'IN c'], merged: 'EX b' },
    { states: ['EX /a', 'EX /ab'], merged: 'EX a' },
    { states: [], merged: 'none' },
  ])
    test(`${states.join(' and ') || 'nothing'} gives ${merged}`, () => {
      expect(record(databaseOf(...states))).toBe(merged);
    });
});

test('an EXCLUDE that turns into INCLUDE keeps its sources and forgets whom it refused', () => {
  const wishes = downstream('EX /a');
  wishes.join(sg(b, G));
  wishes.leave(any(G));
  expect(wishes.filter(G, false)).toEqual({ mode: 'include', sources: [b] });
  wishes.join(any(G));
  expect(wishes.refuses(a, G)).toBe(false);
});

test('a group that nothing is said about any more is forgotten, in whatever order it ends', () => {
  const wishes = downstream('EX /a');
  wishes.leave(any(G));
  expect(wishes.isEmpty).toBe(true);
  wishes.join(any(G));
  wishes.refuse(sg(a, G), true);
  wishes.refuse(sg(a, G), false);
  wishes.leave(any(G));
  wishes.leave(sg(a, G));
  wishes.refuse(sg(a, G), false);
  expect(wishes.isEmpty).toBe(true);
});

test('a source that is both wanted and refused is wanted', () => {
  const wishes = downstream('EX /a');
  wishes.join(sg(a, G));
  expect(wishes.refuses(a, G)).toBe(false);
  expect(wishes.wants(a, G, false)).toBe(true);
});

test('any source of a source-specific group is no wish, its named sources are (IGMP-151)', () => {
  const database = databaseOf();
  const wishes = downstream('v2', SSM);
  database.add(wishes);
  expect(record(database, SSM)).toBe('none');
  expect(database.wantedBy(SSM)).toEqual([]);
  wishes.join(sg(a, SSM));
  expect(record(database, SSM)).toBe('IN a');
  expect(wishes.wants(b, SSM, true)).toBe(false);
});

test('what other protocols want is one more downstream, and (*,*) is the configured groups', () => {
  const database = databaseOf('IN a');
  const others = new Others(database, [G]);
  expect(others.join(ALL)).toEqual([G]);
  expect(record(database)).toBe('EX');
  expect(others.join(any(G))).toEqual([G]);
  expect(others.leave(ALL)).toEqual([G]);
  expect(record(database)).toBe('EX');
  expect(database.wantedBy(G)).toEqual(['IN a', 'others']);
  others.leave(any(G));
  expect(record(database)).toBe('IN a');
});
