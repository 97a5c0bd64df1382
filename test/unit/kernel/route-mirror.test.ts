import { expect, test } from 'vitest';
import { formatIp, ip, parsePrefix } from '../../../src/base/ip.js';
import type { KernelRoute, NextHop } from '../../../src/kernel/netlink/route-messages.js';
import { RouteMirror } from '../../../src/kernel/host/route-mirror.js';
import type { Ifindex } from '../../../src/port/kernel.js';

function route(prefixText: string, gateway: string, more: Partial<KernelRoute> = {}): KernelRoute {
  const prefix = parsePrefix(prefixText);
  if (!prefix.ok) throw new Error(prefix.error);
  const hops = [hop(3, gateway)];
  const base = { table: 200, tos: 0, priority: 0, type: 1, protocol: 4, hops, nextHopId: undefined };
  return { ...base, prefix: prefix.value, ...more };
}

function hop(ifindex: number, gateway: string, state: NextHop['state'] = 'usable'): NextHop {
  return { ifindex: ifindex as Ifindex, gateway: ip(gateway), state };
}

const ownHops = ({ hops }: KernelRoute) => hops;

function gatewayOf(mirror: RouteMirror, destination: string): string {
  const found = mirror.lookup(ip(destination), ownHops);
  if (found === undefined || found === 'local') return found ?? 'none';
  return found.gateway === undefined ? 'direct' : formatIp(found.gateway);
}

function mirrorOf(...routes: readonly KernelRoute[]): RouteMirror {
  const mirror = new RouteMirror(200);
  for (const one of routes) mirror.add(one, 'append');
  return mirror;
}

test('the longest prefix wins, /0 and /32 included', () => {
  const mirror = mirrorOf(
    route('0.0.0.0/0', '10.0.0.1'),
    route('10.2.0.0/16', '10.0.0.2'),
    route('10.2.3.4/32', '10.0.0.3'),
    route('200.0.0.0/8', '10.0.0.4'),
  );
  expect(['192.0.2.1', '10.2.9.9', '10.2.3.4', '200.1.1.1'].map((to) => gatewayOf(mirror, to))).toEqual([
    '10.0.0.1',
    '10.0.0.2',
    '10.0.0.3',
    '10.0.0.4',
  ]);
});

test('of rivals the lowest priority number wins; when it goes the next one does', () => {
  const low = route('10.2.0.0/16', '10.0.0.2', { priority: 5 });
  const mirror = mirrorOf(route('10.2.0.0/16', '10.0.0.1', { priority: 10 }), low);
  expect(gatewayOf(mirror, '10.2.0.1')).toBe('10.0.0.2');
  mirror.remove(low);
  expect(gatewayOf(mirror, '10.2.0.1')).toBe('10.0.0.1');
  mirror.remove(low);
  expect(gatewayOf(mirror, '10.2.0.1')).toBe('10.0.0.1');
});

test('a replacement takes the place of the route of its rank, an appended one does not', () => {
  const mirror = mirrorOf(route('10.2.0.0/16', '10.0.0.1'));
  mirror.add(route('10.2.0.0/16', '10.0.0.2'), 'append');
  expect(gatewayOf(mirror, '10.2.0.1')).toBe('10.0.0.1');
  mirror.add(route('10.2.0.0/16', '10.0.0.3'), 'replace');
  expect(gatewayOf(mirror, '10.2.0.1')).toBe('10.0.0.3');
});

test('of one rank the first counts, a prepended one is before it, and routes for a class of service are for others (C1)', () => {
  const mirror = mirrorOf(route('10.2.0.0/16', '10.0.0.1', { priority: 5 }));
  mirror.add(route('10.2.0.0/16', '10.0.0.2', { priority: 5 }), 'prepend');
  expect(gatewayOf(mirror, '10.2.0.1')).toBe('10.0.0.2');
  mirror.add(route('10.2.0.0/16', '10.0.0.3', { priority: 9 }), 'prepend');
  mirror.add(route('10.2.0.0/16', '10.0.0.4', { tos: 16 }), 'prepend');
  expect(gatewayOf(mirror, '10.2.0.1')).toBe('10.0.0.2');
  mirror.remove(route('10.2.0.0/16', '10.0.0.2', { priority: 5 }));
  expect(gatewayOf(mirror, '10.2.0.1')).toBe('10.0.0.1');
});

test('a route that refuses packets hides the wider ones and leads nowhere', () => {
  const refusing = route('10.2.0.0/16', '0.0.0.0', { type: 7, hops: [] });
  expect(gatewayOf(mirrorOf(route('0.0.0.0/0', '10.0.0.1'), refusing), '10.2.0.1')).toBe('none');
});

test('the machine’s own addresses come from the local table, everything else of other tables is ignored', () => {
  const own = route('10.1.0.1/32', '0.0.0.0', { table: 255, type: 2 });
  const mirror = mirrorOf(own, route('10.9.0.0/16', '10.0.0.1', { table: 254 }));
  expect(gatewayOf(mirror, '10.1.0.1')).toBe('local');
  expect(gatewayOf(mirror, '10.9.0.1')).toBe('none');
  mirror.remove(own);
  expect(gatewayOf(mirror, '10.1.0.1')).toBe('none');
});

test('every next hop with a carrier is given, the others only where there is nothing better, dead ones never (C1)', () => {
  const hopsOf = (...hops: readonly NextHop[]) => {
    const found = mirrorOf(route('10.2.0.0/16', '10.0.0.1', { hops })).lookup(ip('10.2.0.1'), ownHops);
    return found === undefined || found === 'local' ? found : (found.hops ?? [found]).map(({ ifindex }) => ifindex);
  };
  expect(hopsOf(hop(3, '10.0.0.1'), hop(4, '10.0.1.1', 'dead'), hop(5, '10.0.2.1'))).toEqual([3, 5]);
  expect(hopsOf(hop(3, '10.0.0.1', 'linkDown'), hop(4, '10.0.1.1'))).toEqual([4]);
  expect(hopsOf(hop(3, '10.0.0.1', 'linkDown'), hop(4, '10.0.1.1', 'dead'))).toEqual([3]);
  expect(hopsOf(hop(3, '10.0.0.1', 'dead'))).toBeUndefined();
});

test('a route whose next hops are all dead gives way to the next one and to a wider one, as in the kernel (C1)', () => {
  const dead = { hops: [hop(3, '10.0.0.3', 'dead')] };
  const mirror = mirrorOf(route('10.0.0.0/8', '10.0.0.1'), route('10.2.0.0/16', '10.0.0.2', dead));
  expect(gatewayOf(mirror, '10.2.0.1')).toBe('10.0.0.1');
  mirror.add(route('10.2.0.0/16', '10.0.0.9', { priority: 5 }), 'append');
  expect(gatewayOf(mirror, '10.2.0.1')).toBe('10.0.0.9');
});

test('a route that refers to a next hop object leads where that leads now, and is known by its number when it goes (C1)', () => {
  const mirror = mirrorOf(route('10.2.0.0/16', '10.0.0.1', { hops: [], nextHopId: 7 }));
  const found = mirror.lookup(ip('10.2.0.1'), ({ nextHopId }) => (nextHopId === 7 ? [hop(8, '10.0.0.8')] : []));
  expect(found).toMatchObject({ ifindex: 8 });
  mirror.remove(route('10.2.0.0/16', '10.0.0.1', { hops: [hop(9, '10.0.0.9')], nextHopId: 7 }));
  expect(gatewayOf(mirror, '10.2.0.1')).toBe('none');
});
