/** Much of everything: what one message or one turn of the event loop costs, counted in work and not in time. */
import { expect, test, vi } from 'vitest';
import { type IpAddress, ip, ipv4 } from '../../../src/base/ip.js';
import { compareRoutes } from '../../../src/dvmrp/wire/report.js';
import { RouteStore } from '../../../src/dvmrp/routes/route-store.js';
import { Wishes } from '../../../src/dvmrp/trees/wishes.js';
import * as built from '../../support/dvmrp-builder.js';
import { chain } from '../../support/dvmrp-routers.js';
import { D1, D2, ForwardingBed, G, LAN, S, UP, UPLINK } from './forwarding-bed.js';

const FLOWS = 20_000;
const host = (n: number): IpAddress => ipv4(0x0a01_0001 + n);

/** A bed that counts what is asked of the manager and of the route table. */
class CountingBed extends ForwardingBed {
  asked = 0;

  override forward(...call: Parameters<ForwardingBed['forward']>): void {
    this.asked++;
    super.forward(...call);
  }

  override hasOutputs(...call: Parameters<ForwardingBed['hasOutputs']>): boolean | undefined {
    this.asked++;
    return super.hasOutputs(...call);
  }

  override packets(...call: Parameters<ForwardingBed['packets']>): number | undefined {
    this.asked++;
    return super.packets(...call);
  }

  override routeFor(...call: Parameters<ForwardingBed['routeFor']>) {
    this.asked++;
    return super.routeFor(...call);
  }

  override route(...call: Parameters<ForwardingBed['route']>) {
    this.asked++;
    return super.route(...call);
  }

  cost(work: () => void): number {
    const before = this.asked;
    work();
    return this.asked - before;
  }

  /** The cost of each call of the timer, until nothing is due at once any more. */
  turns(): readonly number[] {
    const costs: number[] = [];
    for (let left = 10_000; left > 0 && this.forwarding.nextDeadlineMs <= this.nowMs + 20; left--) {
      this.nowMs = Math.max(this.nowMs, this.forwarding.nextDeadlineMs);
      costs.push(this.cost(() => this.forwarding.timeout(this.nowMs)));
    }
    return costs;
  }

  largestTurn(): number {
    return Math.max(0, ...this.turns());
  }
}

function crowd(config: ConstructorParameters<typeof ForwardingBed>[0] = {}): CountingBed {
  const bed = new CountingBed(config);
  const route = bed.addRoute('10.1.0.0/16', UPLINK, UP);
  bed.depends(route, LAN, D1, D2);
  for (let n = 0; n < FLOWS; n++) bed.data(host(n));
  return bed;
}

function flowsOf(bed: CountingBed): number {
  return [...bed.forwarding.branches()].reduce((sum, { flows }) => sum + flows.size, 0);
}

/** Of a slice: 256 flows with some questions about each, or sixteen times as many of one question. */
const SLICE = 256 * 17;

test('a prune of one host costs the same whether its network has one sender or twenty thousand (A3)', () => {
  const bed = crowd();
  const costs = Array.from({ length: 50 }, (_, n) => {
    const cost = bed.cost(() => void bed.prune(D1, 7200, { source: host(n), mask: 32 }));
    return cost + bed.cost(() => void bed.prune(D2, 7200, { source: host(n), mask: 32 }));
  });
  expect(Math.max(...costs)).toBeLessThan(40);
  expect(bed.oifs(host(0))).toEqual([]);
  expect(bed.oifs(host(50))).toEqual([LAN]);
  // neither does a repetition, a Graft, or the end of one prune of very many
  expect(bed.cost(() => void bed.prune(D1, 7200, { source: host(7), mask: 32 }))).toBeLessThan(20);
  expect(bed.cost(() => bed.graft(D1, { source: host(7), mask: 32 }))).toBeLessThan(20);
  expect(bed.oifs(host(7))).toEqual([LAN]);
});

test('thousands of host prunes that end together are followed in slices (A3)', () => {
  const bed = crowd();
  for (let n = 0; n < 5000; n++) for (const from of [D1, D2]) bed.prune(from, 3600, { source: host(n), mask: 32 });
  bed.run(3599.99);
  expect(bed.largestTurn()).toBeLessThan(SLICE);
  expect([0, 4999, 5000].map((n) => bed.oifs(host(n)))).toEqual([[LAN], [LAN], [LAN]]);
});

test('a prune of the network and its Graft change twenty thousand flows in slices, and however often, once at a time (A3)', () => {
  const bed = crowd();
  const first = bed.cost(() => {
    for (let n = 0; n < 100; n++) {
      for (const from of [D1, D2]) bed.prune(from, 7200);
      for (const from of [D1, D2]) bed.graft(from);
    }
    for (const from of [D1, D2]) bed.prune(from, 7200);
  });
  expect(first).toBeLessThan(SLICE + 100 * 40);
  expect(bed.largestTurn()).toBeLessThan(SLICE);
  expect([0, FLOWS - 1].map((n) => bed.oifs(host(n)))).toEqual([[], []]);
});

test('a route whose metric flaps costs what its own flows cost, not all flows there are (A3)', () => {
  const bed = crowd();
  const other = bed.addRoute('10.7.0.0/16', UPLINK, UP);
  bed.depends(other, LAN, D1);
  bed.data(ip('10.7.0.1'));
  expect(bed.cost(() => bed.changed(other))).toBeLessThan(20);
  // and one that has twenty thousand flows is followed in slices
  expect(bed.cost(() => bed.changed(bed.routes[0]!))).toBeLessThan(SLICE);
  for (let n = 0; n < 280; n++) bed.changed(...bed.routes);
  expect(bed.largestTurn()).toBeLessThan(SLICE);
});

test('members, interfaces, restarts and the look at the counters take twenty thousand flows in slices (A3)', () => {
  const bed = crowd();
  const works: readonly (() => void)[] = [
    () => bed.forwarding.memberLeft(bed.nowMs, LAN, { source: ip('0.0.0.0'), group: G }),
    () => bed.forwarding.keyWanted(bed.nowMs, { source: ip('0.0.0.0'), group: G }),
    () => bed.forwarding.keyUnwanted(bed.nowMs, { source: ip('0.0.0.0'), group: G }),
    () => bed.forwarding.interfaceChanged(bed.nowMs),
    () => bed.forwarding.sweep(bed.nowMs),
    () => [D1, D2].forEach((from) => void bed.prune(from, 7200)),
    () => bed.forwarding.neighborRestarted(bed.nowMs, { ifindex: LAN, neighbor: D1 }),
  ];
  for (const work of works) {
    const costs = [bed.cost(work), ...bed.turns()];
    expect(Math.max(...costs)).toBeLessThan(SLICE);
    expect(costs.reduce((sum, cost) => sum + cost)).toBeGreaterThanOrEqual(FLOWS);
  }
});

test('flows that nobody wants are pruned as one, and each more costs the same (A3)', () => {
  const bed = new CountingBed();
  bed.addRoute('10.1.0.0/16', UPLINK, UP);
  const costs = Array.from({ length: 5000 }, (_, n) => bed.cost(() => bed.data(host(n))));
  expect(Math.max(...costs)).toBeLessThan(20);
  expect(bed.heard().filter((word) => word.startsWith('prune'))).toHaveLength(1);
  // the prune is repeated while data comes, from whichever of them
  bed.more(1, host(4000));
  bed.run(60);
  expect(bed.heard().filter((word) => word.startsWith('prune')).length).toBeGreaterThan(0);
});

test('the prunes of a neighbour and of all have a limit; what is not kept goes on getting the data (A3)', () => {
  const bed = crowd({ maxPrunes: 12, maxPrunesPerNeighbor: 10 });
  const prunes = (from: IpAddress, count: number, at = 0) =>
    Array.from({ length: count }, (_, n) => bed.prune(from, 7200, { source: host(at + n), mask: 32 }));
  expect(prunes(D1, 11)).toEqual([...Array.from({ length: 10 }, () => undefined), 'pruneLimit']);
  // one that is there may be set anew, and another neighbour has places of its own
  expect(prunes(D1, 1)).toEqual([undefined]);
  expect(prunes(D2, 3)).toEqual([undefined, undefined, 'pruneLimit']);
  expect([host(0), host(2), host(10)].map((source) => bed.oifs(source))).toEqual([[], [LAN], [LAN]]);
  // the places come back
  bed.graft(D1, { source: host(5), mask: 32 });
  expect(prunes(D1, 1, 10)).toEqual([undefined]);
  bed.run(7201);
  expect(prunes(D1, 10, 20)).toEqual(Array.from({ length: 10 }, () => undefined));
});

test('an acknowledgement counts for the network of its source alone (A3)', () => {
  const bed = new CountingBed();
  for (let n = 0; n < 100; n++) bed.addRoute(`10.${n}.0.0/16`, UPLINK, UP);
  bed.data(S);
  bed.joins(LAN);
  expect(bed.heard().filter((word) => word.startsWith('graft'))).toEqual(['graft 10.1.0.10 to 10.9.0.1']);
  expect(bed.ack(UP, ip('10.99.0.1'))).toBe(false);
  expect(bed.ack()).toBe(true);
});

const networks = (from: number, count: number): readonly string[] =>
  Array.from({ length: count }, (_, n) => `172.${16 + ((from + n) >> 8)}.${(from + n) & 255}.0/24`);

test('thousands of routes of one neighbour reach the manager and the others in slices, and go in slices (A3)', async () => {
  const { world, r1, r2 } = await chain();
  const feed = vi.spyOn(r2.manager, 'feedRoutes');
  const source = ip('10.9.0.1');
  const says = (metric: number) => {
    for (let from = 0; from < 3000; from += 100) {
      const payload = built.report(networks(from, 100).map((network) => [network, metric] as const));
      r2.kernel.igmp.receive({ ifindex: [...r2.ports.keys()][0]!, source, destination: ip('224.0.0.4'), payload });
    }
  };
  says(1);
  await world.run(1);
  const sizes = () => feed.mock.calls.map(([, changes]) => changes.length);
  expect(sizes().reduce((a, b) => a + b, 0)).toBe(3000);
  expect(Math.max(...sizes())).toBeLessThanOrEqual(512);
  expect(r2.dvmrp.router.table.size).toBe(3003);
  // a metric that flaps changes nothing for the manager
  feed.mockClear();
  for (let n = 0; n < 20; n++) says(1 + (n % 2));
  await world.run(1);
  expect(feed).not.toHaveBeenCalled();
  // the neighbour is lost, and all its routes at once
  r1.vanish();
  await world.run(40);
  expect(sizes().reduce((a, b) => a + b, 0)).toBe(3001);
  expect(Math.max(...sizes())).toBeLessThanOrEqual(512);
});

test('the order in which routes are told is kept while they come and go (A3)', () => {
  const store = new RouteStore();
  const there: ReturnType<RouteStore['create']>[] = [];
  for (let n = 0; n < 500; n++) {
    there.push(store.create(ipv4(0x0a00_0000 + ((n * 7919) % 503) * 256), 24));
    if (n % 3 === 0) store.delete(there.splice((n * 31) % there.length, 1)[0]!);
    if (n % 5 === 0) expect(store.sorted()).toEqual([...there].sort(compareRoutes));
  }
});

test('twenty thousand sources that another component wants cost a branch one question, as one does (A3)', () => {
  const wishes = new Wishes();
  const at = (n: number) => ({ source: ipv4(0x0b00_0000 + n * 256 + 1), group: G });
  for (let n = 0; n < FLOWS; n++) wishes.add(at(n), false);
  const looks = vi.spyOn(Set.prototype, Symbol.iterator);
  try {
    expect(wishes.waitsFor({ network: ipv4(0x0a00_0000), length: 8 }, G)).toBe(false);
    expect(wishes.waitsFor({ network: ipv4(0x0b00_0000), length: 8 }, G)).toBe(true);
    expect(looks).not.toHaveBeenCalled();
  } finally {
    looks.mockRestore();
  }
  for (let n = 0; n < FLOWS; n++) wishes.flowCame(at(n));
  expect(wishes.waitsFor({ network: ipv4(0x0b00_0000), length: 8 }, G)).toBe(false);
  wishes.flowWent(at(7));
  expect(wishes.waitsFor({ network: ipv4(0x0b00_0700), length: 24 }, G)).toBe(true);
  wishes.delete(at(7));
  expect(wishes.waitsFor({ network: ipv4(0x0b00_0700), length: 24 }, G)).toBe(false);
  for (let n = 0; n < FLOWS; n++) wishes.delete(at(n));
  expect([...wishes.groups()]).toEqual([]);
});

test('an interface that is ours no more takes its flows with it in slices (A3)', () => {
  // given twenty thousand flows that come in by one interface
  const bed = crowd();
  expect(flowsOf(bed)).toBe(FLOWS);
  // when it is given up
  bed.forwarding.interfaceGone(bed.nowMs, UPLINK);
  // then a part of them has gone at once, and the rest in the turns after it
  expect(flowsOf(bed)).toBeLessThan(FLOWS);
  expect(flowsOf(bed)).toBeGreaterThan(FLOWS / 2);
  bed.turns();
  expect(flowsOf(bed)).toBe(0);
});

test('an interface that comes back at once finds nothing of the flows it had, and keeps those that come now (A3)', () => {
  const bed = crowd();
  bed.forwarding.interfaceGone(bed.nowMs, UPLINK);
  // when it is ours again before all have gone, and a source sends again
  bed.forwarding.interfaceCame(UPLINK);
  expect(flowsOf(bed)).toBe(0);
  bed.forwarding.incoming(bed.nowMs, { source: host(FLOWS - 1), group: G }, UPLINK, true);
  bed.turns();
  // then that flow stays
  expect(flowsOf(bed)).toBe(1);
});

test('a stop forgets all flows without a look at each (A3)', () => {
  const bed = crowd();
  expect(bed.cost(() => bed.forwarding.clear())).toBe(0);
  expect(flowsOf(bed)).toBe(0);
  expect(bed.largestTurn()).toBe(0);
});
