/** Which upstream carries a group. */
import { expect, test } from 'vitest';
import { ip } from '../../../src/base/ip.js';
import type { Ifindex } from '../../../src/port/kernel.js';
import { Upstreams } from '../../../src/proxy/upstreams.js';
import { prefix } from '../igmp/bed.js';
import { upstream } from './bed.js';

const [A, B] = [11 as Ifindex, 12 as Ifindex];
const G = ip('239.1.1.1');
const SPORT = ip('239.9.1.1');

function both(onB = [{ action: 'deny' as const, prefix: prefix('239.9.0.0/16') }]) {
  const [a, b] = [upstream('a'), upstream('b', { groups: onB })];
  const upstreams = new Upstreams([a, b]);
  return { upstreams, a, b };
}

test('the first of the list that is up and admits the group carries it, in whatever order they came', () => {
  const { upstreams, a, b } = both();
  expect(upstreams.carrier(G, undefined)).toBeUndefined();
  upstreams.serve(b, B, true);
  expect(upstreams.carrier(G, undefined)).toBe(B);
  upstreams.serve(a, A, true);
  expect(upstreams.carrier(G, B)).toBe(A);
  upstreams.get(A)!.running = false;
  expect(upstreams.carrier(G, A)).toBe(B);
});

test('a group that no other upstream admits stays on the one that is down, and one that none admits is nowhere', () => {
  const { upstreams, a, b } = both();
  upstreams.serve(a, A, false);
  upstreams.serve(b, B, true);
  expect(upstreams.carrier(SPORT, A)).toBe(A);
  upstreams.unserve(A);
  expect(upstreams.carrier(SPORT, A)).toBeUndefined();
  expect(upstreams.admits(B, SPORT)).toBe(false);
  expect(upstreams.admits(A, G)).toBe(false);
});

test('where all are down a group stays where it is', () => {
  const { upstreams, a, b } = both([]);
  upstreams.serve(a, A, false);
  upstreams.serve(b, B, false);
  expect(upstreams.carrier(G, B)).toBe(B);
  expect(upstreams.carrier(G, undefined)).toBe(A);
});
