/** Hosts that only a route puts on a link: few look-ups, bounded memory, and those known go before strangers. */
import { expect, test } from 'vitest';
import { ip, type IpAddress, ipv4 } from '../../../src/base/ip.js';
import { leadsTo, RoutedHosts } from '../../../src/base/routed-hosts.js';

const HOST = ip('10.8.0.5');

function bed() {
  const state = { nowMs: 0, lookups: 0, hosts: new Set<IpAddress>([HOST]) };
  const leads = (address: IpAddress) => {
    state.lookups++;
    return state.hosts.has(address);
  };
  return { state, routed: new RoutedHosts(leads, () => state.nowMs) };
}

test('an answer is kept for ten seconds, then the route counts as it is now (C3)', () => {
  const { state, routed } = bed();
  for (let n = 0; n < 1000; n++) expect(routed.has(HOST)).toBe(true);
  expect(state.lookups).toBe(1);
  state.hosts.clear();
  state.nowMs = 10_000;
  expect(routed.has(HOST)).toBe(false);
  state.hosts.add(HOST);
  routed.forget();
  expect(routed.has(HOST)).toBe(true);
});

test('50,000 spoofed sources cost 64 look-ups a second, and a known host is still known (C3)', () => {
  const { state, routed } = bed();
  routed.has(HOST);
  for (let n = 0; n < 50_000; n++) {
    state.nowMs = n;
    routed.has(ipv4(0x20000000 + n));
    if (n % 1000 === 999) expect(routed.has(HOST)).toBe(true);
  }
  expect(state.lookups).toBeLessThanOrEqual(64 + 64 * 50);
});

test('a route counts when it leaves by this interface and has no gateway (C3)', () => {
  expect(leadsTo({ ifindex: 3, gateway: undefined }, 3)).toBe(true);
  expect(leadsTo({ ifindex: 4, gateway: undefined }, 3)).toBe(false);
  expect(leadsTo({ ifindex: 3, gateway: ip('10.0.0.1') }, 3)).toBe(false);
  expect(leadsTo('local', 3)).toBe(false);
  expect(leadsTo(undefined, 3)).toBe(false);
  expect(leadsTo({ ifindex: 3, gateway: undefined, byIpv6: true }, 3)).toBe(false);
  const hops = [
    { ifindex: 4, gateway: undefined },
    { ifindex: 3, gateway: undefined },
    { ifindex: 5, gateway: ip('10.0.0.1') },
  ];
  expect([3, 4, 5, 6].map((to) => leadsTo({ ...hops[0]!, hops }, to))).toEqual([true, true, false, false]);
});
