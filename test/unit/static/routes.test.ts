import { expect, test } from 'vitest';
import { ANY4, ip } from '../../../src/base/ip.js';
import type { StaticRoute } from '../../../src/config/types.js';
import { Routes } from '../../../src/static/routes.js';
import { route } from './fakes.js';

function flow(source: string, group: string) {
  return { source: ip(source), group: ip(group) };
}

/** `to` of the route that the flow follows. */
function follows(routes: readonly StaticRoute[], source: string, group: string, ...arrivals: string[]) {
  return new Routes(routes).find(flow(source, group), arrivals)?.oifs.join();
}

test('a route without a source is a (*,G) key, one with a source an (S,G) key', () => {
  const routes = new Routes([route({ group: '239.1.1.1' }), route({ source: '10.1.0.2', group: '232.1.1.1' })]);
  expect(routes.keysLeavingBy('recv')).toEqual([
    { source: ANY4, group: ip('239.1.1.1') },
    { source: ip('10.1.0.2'), group: ip('232.1.1.1') },
  ]);
  expect(routes.keysLeavingBy('send')).toEqual([]);
});

test('two routes with one key give one key per outgoing interface', () => {
  const routes = new Routes([route({ group: '239.1.1.1' }), route({ group: '239.1.1.1', from: ['wan'] })]);
  expect(routes.keysLeavingBy('recv')).toEqual([{ source: ANY4, group: ip('239.1.1.1') }]);
});

test('ranges of groups or sources, and blocks, are no memberships (G)', () => {
  const routes = new Routes([
    route({ group: '239.1.0.0/16' }),
    route({ source: '10.0.0.0/8', group: '239.1.1.1' }),
    route({ group: '239.1.1.2', to: [] }),
  ]);
  expect(routes.keysLeavingBy('recv')).toEqual([]);
});

test('a flow follows its (S,G) route before the (*,G) route of its group', () => {
  const routes = [route({ group: '239.1.1.1' }), route({ source: '10.9.0.1', group: '239.1.1.1', to: ['b'] })];
  expect(follows(routes, '10.9.0.1', '239.1.1.1', 'send')).toBe('b');
  expect(follows(routes, '10.9.0.2', '239.1.1.1', 'send')).toBe('recv');
  expect(follows(routes, '10.9.0.2', '232.1.1.1', 'send')).toBeUndefined();
});

test('of overlapping ranges the longest group counts, then the longest source, then the first of the file (G)', () => {
  const routes = [
    route({ group: '239.0.0.0/8', to: ['a'] }),
    route({ group: '239.1.0.0/16', to: ['b'] }),
    route({ source: '10.0.0.0/8', group: '239.1.0.0/16', to: ['c'] }),
    route({ source: '10.1.0.0/16', group: '239.1.0.0/16', to: ['d'] }),
    route({ group: '239.1.0.0/16', to: ['e'] }),
    route({ group: '239.1.1.1', to: [] }),
  ];
  expect(follows(routes, '10.1.0.2', '239.9.0.1', 'send')).toBe('a');
  expect(follows(routes, '192.0.2.1', '239.1.0.1', 'send')).toBe('b');
  expect(follows(routes, '10.2.0.2', '239.1.0.1', 'send')).toBe('c');
  expect(follows(routes, '10.1.0.2', '239.1.0.1', 'send')).toBe('d');
  expect(follows(routes, '10.1.0.2', '239.1.1.1', 'send')).toBe('');
});

test('with both directions of one group the arrival decides, also before a longer range (G)', () => {
  const routes = [
    route({ group: '239.1.1.1', from: ['a'], to: ['b'] }),
    route({ group: '239.1.1.1', from: ['b'], to: ['c'] }),
    route({ group: '239.1.0.0/16', from: ['c'], to: ['a'] }),
  ];
  expect(follows(routes, '10.1.0.2', '239.1.1.1', 'a')).toBe('b');
  expect(follows(routes, '10.1.0.2', '239.1.1.1', 'b')).toBe('c');
  expect(follows(routes, '10.1.0.2', '239.1.1.1', 'c')).toBe('a');
});

test('what arrives elsewhere is expected on the input of the route for exactly its group; ranges and blocks leave it alone (G)', () => {
  const routes = [
    route({ group: '239.1.1.1' }),
    route({ group: '239.2.0.0/16' }),
    route({ group: '239.3.0.1', to: [] }),
  ];
  expect(follows(routes, '10.1.0.2', '239.1.1.1', 'wan', 'lan')).toBe('recv');
  expect(follows(routes, '10.1.0.2', '239.2.0.1', 'wan', 'lan')).toBeUndefined();
  expect(follows(routes, '10.1.0.2', '239.3.0.1', 'wan', 'lan')).toBeUndefined();
  expect(follows(routes, '10.1.0.2', '239.2.0.1', 'wan', 'send')).toBe('recv');
});
