/** Several routers in memory: routes settle, links and routers are lost, every packet goes onto every link once. */
import { describe, expect, test } from 'vitest';
import { copies, type LinkPlan, Network, type SimRouter } from '../../support/dvmrp-network.js';

const CHAIN: readonly LinkPlan[] = [
  { name: 's', routers: { r1: 1 } },
  { name: 'l12', routers: { r1: 1, r2: 1 } },
  { name: 'l23', routers: { r2: 1, r3: 1 } },
  { name: 'h', routers: { r3: 1 } },
];

const RING: readonly LinkPlan[] = [
  { name: 's', routers: { r1: 1 } },
  { name: 'l12', routers: { r1: 1, r2: 1 } },
  { name: 'l23', routers: { r2: 1, r3: 1 } },
  { name: 'l31', routers: { r3: 1, r1: 1 } },
];

/** r1 and r2 both lead from s to the LAN; r3 and r4 are behind it. */
const TWO_ON_A_LAN: readonly LinkPlan[] = [
  { name: 's', routers: { r1: 1, r2: 1 } },
  { name: 'lan', routers: { r1: 1, r2: 1, r3: 1, r4: 1 } },
  { name: 'h3', routers: { r3: 1 } },
  { name: 'h4', routers: { r4: 1 } },
];

const all = (network: Network): SimRouter[] => [...network.routers.values()];
const dependentsOf = (network: Network, router: string, source: string): number =>
  network.router(router).table.dependents(network.router(router).route(source)!).length;

test('a chain: routes reach the end at once, and every router has its dependents', () => {
  const network = new Network(CHAIN);
  network.advance(10_000);
  expect(all(network).map((router) => router.way('s'))).toEqual(['connected', 'l12 r1 2', 'l23 r2 3']);
  expect(all(network).map((router) => router.way('h'))).toEqual(['l12 r2 3', 'l23 r3 2', 'connected']);
  expect(['r1', 'r2', 'r3'].map((router) => dependentsOf(network, router, 's'))).toEqual([1, 1, 0]);
});

test('a chain stays as it is for an hour: refreshed in time, nothing announced as changed', () => {
  const network = new Network(CHAIN);
  network.advance(10_000);
  for (const router of all(network)) router.events.length = 0;
  network.advance(3_600_000);
  expect(all(network).flatMap(({ events }) => events)).toEqual([]);
  expect(network.router('r3').way('s')).toBe('l23 r2 3');
  expect(dependentsOf(network, 'r2', 's')).toBe(1);
});

test('a chain: the source network goes; all forget it within the hold-down, and it never comes back', () => {
  const network = new Network(CHAIN);
  network.advance(10_000);
  network.unplug(network.router('r1'), 's');
  network.advance(5000);
  expect(all(network).map((router) => router.way('s'))).toEqual(['hold', 'hold', 'hold']);
  network.advance(130_000);
  expect(all(network).map((router) => router.way('s'))).toEqual(['none', 'none', 'none']);
  network.advance(600_000);
  expect(network.router('r2').events.at(-1)).toMatch(/gone$/);
});

test('a chain: a router that dies is noticed after 35 s; one that comes back within the hold-down is taken at once', () => {
  const network = new Network(CHAIN);
  network.advance(10_000);
  network.cut('l12');
  network.advance(34_999);
  expect(network.router('r3').way('s')).toBe('l23 r2 3');
  network.advance(6000);
  expect([network.router('r2').way('s'), network.router('r3').way('s')]).toEqual(['hold', 'hold']);
  network.mend('l12');
  network.advance(6000);
  expect(network.router('r3').way('s')).toBe('l23 r2 3');
  expect(dependentsOf(network, 'r1', 's')).toBe(1);
});

test('a ring: both ways around are used, with the lower address where they are equal', () => {
  const network = new Network(RING);
  network.advance(10_000);
  expect(all(network).map((router) => router.way('s'))).toEqual(['connected', 'l12 r1 2', 'l31 r1 2']);
  // r2 and r3 hear each other as well: one of them would forward onto l23
  const forwards = ['r2', 'r3'].map((name) => {
    const router = network.router(name);
    return router.table.isForwarder(router.route('s')!, router.port('l23').ifindex);
  });
  expect(forwards).toEqual([true, false]);
});

test('a ring: after the loss of a link the other way is used within expiry and hold-down (DVMRP-058)', () => {
  const network = new Network(RING);
  network.advance(10_000);
  network.cut('l31');
  network.advance(35_000 + 120_000 + 10_000);
  expect(network.router('r3').way('s')).toBe('l23 r2 3');
  expect(network.router('r2').way('s')).toBe('l12 r1 2');
  expect(dependentsOf(network, 'r2', 's')).toBe(1);
  expect([...copies(network, 's', true).values()]).toEqual([1, 1, 1, 0]);
  // and back
  network.mend('l31');
  network.advance(10_000);
  expect(network.router('r3').way('s')).toBe('l31 r1 2');
});

test('a ring whose source is cut off: no metric above 32 plus 31 is told, and all forget it (DVMRP-058)', () => {
  // given a ring that a source hangs on by a router of its own
  const network = new Network([
    { name: 's', routers: { r0: 1 } },
    { name: 'l01', routers: { r0: 1, r1: 1 } },
    ...RING.slice(1),
  ]);
  network.advance(10_000);
  expect(network.router('r3').way('s')).toBe('l31 r1 3');
  // when that router dies
  network.kill(network.router('r0'));
  network.advance(140_000 + 120_000 + 10_000);
  // then nobody has counted to infinity, and nobody has the route any more
  const ring = ['r1', 'r2', 'r3'].map((name) => network.router(name));
  expect(ring.map((router) => router.way('s'))).toEqual(['none', 'none', 'none']);
  for (const router of ring) {
    expect(router.events.filter((event) => event.startsWith('10.1.0.0/24')).length).toBeLessThanOrEqual(4);
    expect(router.worstTold.get('10.1.0.0/24')).toBeLessThan(64);
  }
  network.advance(600_000);
  expect(ring.map((router) => router.way('s'))).toEqual(['none', 'none', 'none']);
});

describe('two routers lead onto a LAN (DVMRP-073)', () => {
  const forwardersOn = (network: Network, link: string): string[] =>
    [...network.link(link).ports.keys()]
      .filter((router) => {
        const route = router.isAlive ? router.route('s') : undefined;
        const { ifindex } = router.port(link);
        return route?.isUp && route.iif !== ifindex && router.table.isForwarder(route, ifindex);
      })
      .map(({ name }) => name);

  test('the one with the lower address forwards, and is the upstream of those behind', () => {
    const network = new Network(TWO_ON_A_LAN);
    network.advance(10_000);
    expect(forwardersOn(network, 'lan')).toEqual(['r1']);
    expect(network.router('r3').way('s')).toBe('lan r1 2');
    expect([...copies(network, 's', true).values()]).toEqual([1, 1, 1, 1]);
    expect([...copies(network, 's', false).values()]).toEqual([1, 1, 0, 0]);
  });

  test('the one with the lower metric forwards', () => {
    const network = new Network([{ name: 's', routers: { r1: 2, r2: 1 } }, ...TWO_ON_A_LAN.slice(1)]);
    network.advance(10_000);
    expect(forwardersOn(network, 'lan')).toEqual(['r2']);
    expect(network.router('r3').way('s')).toBe('lan r2 2');
  });

  test('dependents tell the whole LAN, so that without the election each packet would be there twice', () => {
    const network = new Network(TWO_ON_A_LAN);
    network.advance(10_000);
    expect(['r1', 'r2'].map((router) => dependentsOf(network, router, 's'))).toEqual([2, 2]);
    expect(copies(network, 's', false, true).get('lan')).toBe(1);
    expect(copies(network, 's', false, false).get('lan')).toBe(2);
  });

  test('when it dies the other one takes over when that is noticed', () => {
    const network = new Network(TWO_ON_A_LAN);
    network.advance(10_000);
    network.kill(network.router('r1'));
    network.advance(35_000);
    expect(forwardersOn(network, 'lan')).toEqual(['r2']);
    network.advance(130_000);
    expect(network.router('r3').way('s')).toBe('lan r2 2');
    expect([...copies(network, 's', true).values()]).toEqual([1, 1, 1, 1]);
  });

  test('when its metric worsens, they change places at once', () => {
    const network = new Network([
      { name: 't', routers: { r0: 1 } },
      { name: 's', routers: { r0: 1, r1: 1, r2: 2 } },
      ...TWO_ON_A_LAN.slice(1),
    ]);
    network.advance(10_000);
    const plain = { advertisedOffset: 0, filterIn: [], filterOut: [], pointToPoint: false };
    const r1 = network.router('r1');
    expect(forwardersOn(network, 'lan')).toEqual(['r1']);
    r1.table.reconfigure(network.nowMs, r1.port('s').ifindex, { ...plain, metric: 5 });
    network.advance(1000);
    expect(forwardersOn(network, 'lan')).toEqual(['r2']);
    network.advance(60_000);
    expect([...copies(network, 's', true).values()]).toEqual([1, 1, 1, 1, 1]);
  });
});
