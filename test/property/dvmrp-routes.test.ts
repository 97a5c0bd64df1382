/** Random networks of DVMRP routers in memory, before and after losses; and whatever Reports come, the table stays bounded. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ip, ipv4, maskOf, toU32 } from '../../src/base/ip.js';
import { ReportEntries } from '../../src/dvmrp/wire/report.js';
import { RouteTable, type RouteTableOutput } from '../../src/dvmrp/routes/route-table.js';
import type { Ifindex } from '../../src/port/kernel.js';
import { copies, type LinkPlan, Network, type SimRouter } from '../support/dvmrp-network.js';
import { runs } from '../support/runs.js';

const NAMES = ['r1', 'r2', 'r3', 'r4', 'r5', 'r6'] as const;
const metric = fc.integer({ min: 1, max: 4 });

/** Two to four routers on a link, each with a metric of its own there. */
const members = fc
  .uniqueArray(fc.constantFrom(...NAMES), { minLength: 2, maxLength: 4 })
  .chain((names) =>
    fc
      .tuple(...names.map(() => metric))
      .map((metrics) => Object.fromEntries(names.map((name, n) => [name, metrics[n]!]))),
  );

/** A tree, so that all hang together, and some links more. */
const plans: fc.Arbitrary<LinkPlan[]> = fc
  .tuple(
    fc.tuple(...NAMES.slice(1).map((_, n) => fc.tuple(fc.nat(n), metric, metric))),
    fc.array(members, { minLength: 1, maxLength: 4 }),
  )
  .map(([tree, more]) => [
    ...tree.map(([above, mine, theirs], n) => ({
      name: `t${n}`,
      routers: { [NAMES[n + 1]!]: mine, [NAMES[above]!]: theirs },
    })),
    ...more.map((routers, n) => ({ name: `m${n}`, routers })),
  ]);

/** What every router's metric to the network of `source` should be; a connected one stays whatever others offer. */
function distances(network: Network, source: string): Map<SimRouter, number> {
  const best = new Map<SimRouter, number>();
  const cost = (router: SimRouter, link: string): number => {
    const port = router.ports.find((one) => one.link.name === link)!;
    return router.table.get(port.link.prefix)!.metric;
  };
  const alive = [...network.routers.values()].filter(({ isAlive }) => isAlive);
  for (const router of alive) if (network.link(source).ports.has(router)) best.set(router, cost(router, source));
  for (let round = 0; round < alive.length; round++)
    for (const link of network.links.filter(({ isCut }) => !isCut))
      for (const router of link.ports.keys())
        for (const other of link.ports.keys()) {
          const through = best.get(other);
          if (
            router === other ||
            network.link(source).ports.has(router) ||
            through === undefined ||
            !router.isAlive ||
            !other.isAlive
          )
            continue;
          const metricHere = through + cost(router, link.name);
          if (metricHere < (best.get(router) ?? 32)) best.set(router, metricHere);
        }
  return best;
}

/** A network on a cut link is two of them; those are left out. */
function expectShortest(network: Network): void {
  const whole = network.links.filter(({ isCut }) => !isCut).map(({ name }) => name);
  for (const name of whole) {
    const expected = distances(network, name);
    for (const router of network.routers.values()) {
      const route = router.route(name);
      const metricThere = route?.isUp ? route.metric : 'none';
      if (router.isAlive)
        expect([router.name, name, metricThere]).toEqual([router.name, name, expected.get(router) ?? 'none']);
    }
  }
}

function expectOneCopy(network: Network): void {
  for (const { name, isCut } of network.links) {
    if (isCut) continue;
    for (const members of [false, true])
      for (const count of copies(network, name, members).values()) expect(count).toBeLessThanOrEqual(1);
    // dependents alone bring it to every router
    const pulled = copies(network, name, false);
    for (const router of network.routers.values()) {
      const route = router.isAlive ? router.route(name) : undefined;
      const port = router.ports.find(({ ifindex }) => route?.isUp && ifindex === route.iif);
      if (port !== undefined) expect([router.name, name, pulled.get(port.link.name)]).toEqual([router.name, name, 1]);
    }
    const flooded = copies(network, name, true);
    for (const link of network.links) {
      const reached = [...link.ports.keys()].some((router) => router.isAlive && router.route(name)?.isUp);
      if (reached && !link.isCut) expect([name, link.name, flooded.get(link.name)]).toEqual([name, link.name, 1]);
    }
  }
}

/** A Report that is lost, or a change while one is under way, is made good within this time. */
const SETTLED_MS = 2 * 60_000;

test('any network settles on the shortest ways, and again after losses (DVMRP-058)', () => {
  fc.assert(
    fc.property(plans, fc.array(fc.nat(), { maxLength: 2 }), fc.option(fc.nat(5)), (list, cuts, killed) => {
      const network = new Network(list);
      network.advance(SETTLED_MS);
      expectShortest(network);
      for (const cut of cuts) network.cut(list[cut % list.length]!.name);
      if (killed !== null) network.kill(network.router(NAMES[killed]!));
      // then those in doubt hold routes down one after the other, at most: expiry, hold-down, and time to settle
      network.advance(2 * (140_000 + 120_000) + SETTLED_MS);
      expectShortest(network);
    }),
    { numRuns: runs(60) },
  );
});

test('in any network a packet is on every link at most once, and with members everywhere exactly once (DVMRP-073)', () => {
  fc.assert(
    fc.property(plans, fc.array(fc.nat(), { maxLength: 2 }), (list, cuts) => {
      const network = new Network(list);
      network.advance(SETTLED_MS);
      expectOneCopy(network);
      for (const cut of cuts) network.cut(list[cut % list.length]!.name);
      network.advance(2 * (140_000 + 120_000) + SETTLED_MS);
      expectOneCopy(network);
    }),
    { numRuns: runs(60) },
  );
});

const entry = fc.tuple(fc.nat(40), fc.constantFrom(0, 8, 16, 24), fc.integer({ min: 1, max: 63 }));
const step = fc.record({
  ifindex: fc.integer({ min: 1, max: 3 }),
  last: fc.integer({ min: 2, max: 4 }),
  entries: fc.array(entry, { maxLength: 20 }),
  waitMs: fc.nat(100_000),
  verb: fc.constantFrom('report', 'report', 'report', 'report', 'lose', 'flap'),
});

test('whatever Reports come: limits are kept, counts are right, all of it ends (DVMRP-016, DVMRP-060)', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const ignore = () => undefined;
      const sizes: number[] = [];
      const output: RouteTableOutput = {
        sendReport: (_ifindex, _to, message) => void sizes.push(message.length),
        dependentAdded: ignore,
        dependentRemoved: ignore,
        dfChanged: ignore,
        routeChanged: ignore,
        upstreamChanged: ignore,
        lost: ignore,
        ignored: ignore,
      };
      const config = { reportIntervalMs: 60_000, bodyLimit: 508, maxRoutes: 30, maxRoutesPerNeighbor: 9 };
      const table = new RouteTable(config, output);
      const address = (ifindex: number, last: number) => ip(`10.200.${ifindex}.${last}`);
      const up = (nowMs: number, ifindex: number) => {
        const lan = { network: ip(`10.200.${ifindex}.0`), length: 24 };
        const settings = { metric: ifindex, advertisedOffset: 0, filterIn: [], filterOut: [], pointToPoint: false };
        table.interfaceUp(nowMs, ifindex as Ifindex, address(ifindex, 1), [lan], settings);
        for (const last of [2, 3, 4]) table.peerUp(ifindex as Ifindex, address(ifindex, last));
      };
      const lose = (nowMs: number, ifindex: Ifindex, last: number) => {
        table.loseRoutes(nowMs, ifindex, address(ifindex, last));
        table.reelectWithout(ifindex, address(ifindex, last));
        table.dropDependencies(ifindex, address(ifindex, last));
        table.peerDown(ifindex, address(ifindex, last));
      };
      let nowMs = 0;
      const advance = (ms: number) => {
        const untilMs = nowMs + ms;
        for (let next = table.nextDeadlineMs; next <= untilMs; next = table.nextDeadlineMs) {
          nowMs = Math.max(nowMs, next);
          table.timeout(nowMs);
        }
        nowMs = untilMs;
      };
      table.start(0);
      for (const ifindex of [1, 2, 3]) up(0, ifindex);
      const entries = new ReportEntries();
      for (const { ifindex: n, last, entries: told, waitMs, verb } of steps) {
        const ifindex = n as Ifindex;
        entries.clear();
        for (const [high, length, value] of told)
          entries.add(ipv4((0x0a000000 + high * 0x10100) & toU32(maskOf(length))), length, value);
        if (verb === 'report') table.heardReport(nowMs, ifindex, address(n, last), entries);
        else lose(nowMs, ifindex, last);
        if (verb === 'lose') table.peerUp(ifindex, address(n, last));
        if (verb === 'flap') {
          for (const other of [2, 3, 4]) lose(nowMs, ifindex, other);
          table.interfaceDown(nowMs, ifindex);
          up(nowMs, n);
        }
        advance(waitMs);
        expect(table.size).toBeLessThanOrEqual(33);
        for (const one of [1, 2, 3])
          for (const last of [2, 3, 4]) {
            const mine = table
              .routes()
              .filter(({ upstream }) => upstream?.ifindex === one && upstream.address === address(one, last));
            const counted = table.routesFrom(one as Ifindex, address(one, last));
            expect(counted).toBeGreaterThanOrEqual(0);
            expect(counted).toBeLessThanOrEqual(mine.length);
          }
        for (const route of table.routes()) {
          for (const { peer } of table.dependents(route)) expect(peer.ifindex).not.toBe(route.iif);
          for (const offer of route.offers ?? []) expect(offer.ifindex).not.toBe(route.iif);
          expect(route.metric >= 1 && route.metric <= 31).toBe(true);
        }
      }
      for (const size of sizes) expect(size).toBeLessThanOrEqual(516);
      advance(140_000 + 2 * 120_000 + 20_000);
      expect(table.routes().map(({ origin }) => origin)).toEqual(['connected', 'connected', 'connected']);
      expect(table.routes().every(({ dependents }) => dependents === undefined)).toBe(true);
      table.shutdown();
      expect(table.nextDeadlineMs).toBe(Number.POSITIVE_INFINITY);
    }),
    { numRuns: runs(100) },
  );
});
