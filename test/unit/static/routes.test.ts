import { expect, test } from 'vitest';
import { ANY4, ip } from '../../../src/base/ip.js';
import type { StaticRoute } from '../../../src/config/types.js';
import { filtersOn, keysLeavingBy, routeOf } from '../../../src/static/wishes.js';

const asm: StaticRoute = { source: undefined, group: ip('239.1.1.1'), iif: 'send', oifs: ['recv', 'other'] };
const ssm: StaticRoute = { source: ip('10.1.0.2'), group: ip('232.1.1.1'), iif: 'send', oifs: ['recv'] };

test('a route without a source is a (*,G) key, one with a source an (S,G) key', () => {
  expect(keysLeavingBy([asm, ssm], 'recv')).toEqual([
    { source: ANY4, group: ip('239.1.1.1') },
    { source: ip('10.1.0.2'), group: ip('232.1.1.1') },
  ]);
});

test('two routes with one key give one key per outgoing interface', () => {
  expect(keysLeavingBy([asm, { ...asm, iif: 'wan' }], 'other')).toEqual([{ source: ANY4, group: ip('239.1.1.1') }]);
  expect(keysLeavingBy([asm, ssm], 'send')).toEqual([]);
});

test('a flow follows its (S,G) route before the (*,G) route of its group', () => {
  const special: StaticRoute = { ...asm, source: ip('10.9.0.1'), iif: 'wan' };
  const routes = [asm, special, ssm];
  expect(routeOf(routes, { source: ip('10.9.0.1'), group: ip('239.1.1.1') })?.iif).toBe('wan');
  expect(routeOf(routes, { source: ip('10.9.0.2'), group: ip('239.1.1.1') })?.iif).toBe('send');
  expect(routeOf(routes, { source: ip('10.9.0.2'), group: ip('232.1.1.1') })).toBeUndefined();
});

test('joins of one group become one filter, and one join for every source covers the others', () => {
  const g = ip('232.1.1.1');
  const from = (source: string | undefined, name = 'recv') => ({
    interface: name,
    group: g,
    source: source === undefined ? undefined : ip(source),
  });
  const two = filtersOn([from('10.0.0.1'), from('10.0.0.2'), from('10.0.0.1'), from('10.0.0.3', 'wan')], 'recv');
  expect(two.get(g)).toEqual({ mode: 'include', sources: [ip('10.0.0.1'), ip('10.0.0.2')] });
  const all = filtersOn([from('10.0.0.1'), from(undefined), from('10.0.0.2')], 'recv');
  expect(all.get(g)).toEqual({ mode: 'exclude', sources: [] });
});
