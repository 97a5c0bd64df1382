/**
 * IGMP-063: what the router tells routing, beside what its hosts want. The model is one of hosts (igmp-host-model.ts); the
 * advice is read from the calls to the manager alone, so that neither side knows the other's tables.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Bed, type BedOptions, ETH1, link, src } from '../unit/igmp/bed.js';
import { HostLink, type Version } from './igmp-host-model.js';
import { Neighbors } from './igmp-querier-model.js';
import { FUZZ_TIMEOUT_MS, runs } from '../support/runs.js';

const GROUPS = ['239.1.2.3', '239.4.5.6'];
const LETTERS = ['a', 'b', 'c'];
const SOURCES = LETTERS.map(src);
const GMI_SEC = 270;
const LMQT_MS = 2000;
const TICK_MS = 250;

/** What routing was told: joins, leaves and refusals, as they came (igmp.md section 7.4 of the specification). */
class Advice {
  readonly #held = new Set<string>();
  readonly #refused = new Set<string>();

  constructor(readonly bed: Bed) {}

  read(): void {
    for (const call of this.bed.mgm.drain()) {
      const [verb, key] = call.split(' ') as [string, string];
      if (verb === 'add') this.#held.add(key);
      else if (verb === 'delete') this.#delete(key);
      else if (verb === 'refuse') this.#refused.add(key);
      else if (verb === 'allow') this.#refused.delete(key);
      else throw new Error(`an unexpected call: ${call}`);
    }
  }

  forwards(group: string, letter: string): boolean {
    const flow = `(${letter},${group})`;
    return this.#held.has(flow) || (this.#held.has(`(*,${group})`) && !this.#refused.has(flow));
  }

  /** Refusals belong to (*,G): with it they end. */
  #delete(key: string): void {
    this.#held.delete(key);
    if (key.startsWith('(*,'))
      for (const flow of this.#refused) if (flow.endsWith(key.slice(2))) this.#refused.delete(flow);
  }
}

class World {
  readonly bed: Bed;
  readonly link: HostLink;
  readonly advice: Advice;
  readonly neighbors: Neighbors;
  /** When somebody last wanted the flow. */
  readonly #wantedAtMs = new Map<string, number>();

  constructor(explicitTracking: boolean, maxQueriesPerSec = 0, more: BedOptions['config'] = {}) {
    const config = { explicitTracking, maxQueriesPerSec, ...more };
    this.bed = new Bed({ config, links: [link(ETH1, '10.0.0.5')] });
    this.link = new HostLink(this.bed);
    this.neighbors = new Neighbors(this.link);
    this.advice = new Advice(this.bed);
    // the hosts that were there before have been heard
    if (explicitTracking) this.bed.goTo(10);
    this.#note();
  }

  /** Time passes, and at every tick `check` looks. */
  wait(ms: number, check: () => void): void {
    for (let passed = 0; passed < ms; passed += TICK_MS) {
      this.bed.clock.advance(TICK_MS);
      this.neighbors.turn(this.bed.clock.nowMs());
      this.advice.read();
      check();
      this.#note();
    }
  }

  /** Before what is wanted changes: leaves count from here. */
  change(act: () => void): void {
    this.#note();
    act();
    this.advice.read();
  }

  everythingWantedIsForwarded(): void {
    this.#each((group, letter, wanted) => {
      if (wanted) expect(this.advice.forwards(group, letter), `${letter},${group} is wanted`).toBe(true);
    });
  }

  nothingElseIsForwardedAfterLmqt(): void {
    const nowMs = this.bed.clock.nowMs();
    this.#each((group, letter, wanted) => {
      const untilMs = (this.#wantedAtMs.get(`${letter},${group}`) ?? Number.NEGATIVE_INFINITY) + LMQT_MS;
      if (!wanted && nowMs > untilMs)
        expect(this.advice.forwards(group, letter), `${letter},${group} is unwanted since ${untilMs}`).toBe(false);
    });
  }

  forwardedIsWanted(): void {
    this.#each((group, letter, wanted) =>
      expect(this.advice.forwards(group, letter), `${letter},${group}`).toBe(wanted),
    );
  }

  #note(): void {
    const nowMs = this.bed.clock.nowMs();
    this.#each((group, letter, wanted) => wanted && this.#wantedAtMs.set(`${letter},${group}`, nowMs));
  }

  #each(look: (group: string, letter: string, wanted: boolean) => void): void {
    for (const group of GROUPS)
      for (const [n, letter] of LETTERS.entries()) look(group, letter, this.link.wanted(group, SOURCES[n]!));
  }
}

const delay = fc.integer({ min: 0, max: 9 }).map((tenths) => tenths / 10);
const wait = fc.oneof(
  { weight: 3, arbitrary: fc.integer({ min: 0, max: 8 }).map((ticks) => ticks * TICK_MS) },
  { weight: 2, arbitrary: fc.integer({ min: 2, max: 12 }).map((sec) => sec * 1000) },
  { weight: 1, arbitrary: fc.integer({ min: 60, max: 280 }).map((sec) => sec * 1000) },
);
const wish = fc.record({
  // mostly one group, so that hosts meet there
  group: fc.constantFrom(GROUPS[0]!, GROUPS[0]!, GROUPS[0]!, GROUPS[1]!),
  exclude: fc.boolean(),
  sources: fc.subarray(SOURCES).map((sources) => new Set(sources)),
});
const version = fc.constantFrom<Version>(1, 2, 3, 3, 3, 3);
/** Seldom: a host of another version from now on. */
const become = fc.oneof({ weight: 9, arbitrary: fc.constant(null) }, { weight: 1, arbitrary: version });

test.each<[Version, boolean]>([
  [3, false],
  [3, true],
  [2, false],
])(
  'of a single host of version %i the advice is the truth at all times, within LMQT after leaves (tracking: %s) (IGMP-063)',
  (of, tracking) => {
    const step = fc.record({ wish, waitMs: wait });
    fc.assert(
      fc.property(delay, fc.array(step, { maxLength: 15 }), (delayed, steps) => {
        const world = new World(tracking);
        const host = world.link.add(of, delayed);
        const check = () => {
          world.everythingWantedIsForwarded();
          world.nothingElseIsForwardedAfterLmqt();
        };
        for (const {
          wish: { group, ...wanted },
          waitMs,
        } of steps) {
          world.change(() => host.want(group, wanted));
          check();
          world.wait(waitMs, check);
        }
      }),
      { numRuns: runs(30) },
    );
  },
  FUZZ_TIMEOUT_MS,
);

test.each([
  [false, 0],
  [true, 0],
  [false, 2],
])(
  'whatever several hosts of all versions do, what one of them wants is forwarded at all times, and in the end nothing else (tracking: %s, queries a second: %i) (IGMP-063, F29)',
  (tracking, maxQueriesPerSec) => {
    const hosts = fc.array(fc.record({ version, delay }), { minLength: 2, maxLength: 4 });
    const step = fc.record({ host: fc.nat(), wish, become, waitMs: wait });
    fc.assert(
      fc.property(hosts, fc.array(step, { minLength: 5, maxLength: 25 }), (some, steps) => {
        const world = new World(tracking, maxQueriesPerSec);
        for (const one of some) world.link.add(one.version, one.delay);
        const check = () => world.everythingWantedIsForwarded();
        for (const {
          host: n,
          wish: { group, ...wanted },
          become: next,
          waitMs,
        } of steps) {
          const host = world.link.hosts[n % some.length]!;
          world.change(() => (next === null ? host.want(group, wanted) : host.become(next)));
          check();
          world.wait(waitMs, check);
        }
        // when all is quiet for longer than two membership intervals
        world.wait((2 * GMI_SEC + 10) * 1000, check);
        world.forwardedIsWanted();
      }),
      { numRuns: runs(30) },
    );
  },
  FUZZ_TIMEOUT_MS,
);

test('a v2 host that would answer a General Query in three seconds answers a specific one in time (E10) (F29)', () => {
  // given a v3 and a v2 member of one group, and the last startup query in the moment in which the v3 member leaves
  const world = new World(true);
  const [leaver, stayer] = [world.link.add(3, 0), world.link.add(2, 0.3)];
  const everything = { exclude: true, sources: new Set<string>() };
  const check = () => world.everythingWantedIsForwarded();
  world.wait(15_000, check);
  world.change(() => stayer.want(GROUPS[0]!, everything));
  world.wait(1250, check);
  world.change(() => leaver.want(GROUPS[0]!, everything));
  world.wait(5000, check);
  world.change(() => leaver.want(GROUPS[0]!, { exclude: false, sources: new Set() }));
  // then the v2 member keeps its stream: the shorter response time of the second query counts (RFC 2236 section 3)
  world.wait((2 * GMI_SEC + 10) * 1000, check);
  world.forwardedIsWanted();
});

test(
  'with tracking and hosts of version 3 alone the advice is the truth at all times, also right after a leave (E9) (IGMP-063)',
  () => {
    const step = fc.record({ host: fc.nat(), wish, waitMs: wait });
    fc.assert(
      fc.property(fc.array(delay, { minLength: 2, maxLength: 4 }), fc.array(step, { maxLength: 20 }), (some, steps) => {
        const world = new World(true);
        for (const one of some) world.link.add(3, one);
        const check = () => world.forwardedIsWanted();
        for (const {
          host: n,
          wish: { group, ...wanted },
          waitMs,
        } of steps) {
          world.change(() => world.link.hosts[n % some.length]!.want(group, wanted));
          check();
          world.wait(waitMs, check);
        }
      }),
      { numRuns: runs(30) },
    );
  },
  FUZZ_TIMEOUT_MS,
);

test(
  'whoever of three routers asks, and however they come and go, what a host wants is forwarded at all times (E2, E4) (IGMP-063)',
  () => {
    const hosts = fc.array(fc.record({ version, delay }), { minLength: 2, maxLength: 4 });
    const times = fc.record({ qrv: fc.constantFrom(1, 2, 3), qqic: fc.constantFrom(60, 100, 125) });
    const toggle = fc.oneof({ weight: 2, arbitrary: fc.constant(null) }, { weight: 1, arbitrary: times });
    const step = fc.record({ host: fc.nat(), wish, toggle, n: fc.nat(1), waitMs: wait });
    const counts = fc.record({
      robustness: fc.constantFrom(1, 2, 3),
      lastMemberQueryCount: fc.constantFrom(1, 2, 7),
      tracking: fc.boolean(),
    });
    fc.assert(
      fc.property(counts, hosts, fc.array(step, { maxLength: 20 }), ({ tracking, ...config }, some, steps) => {
        const world = new World(tracking, 0, config);
        for (const one of some) world.link.add(one.version, one.delay);
        const check = () => world.everythingWantedIsForwarded();
        for (const {
          host,
          wish: { group, ...wanted },
          toggle: next,
          n,
          waitMs,
        } of steps) {
          if (next !== null) world.neighbors.toggle(n, next);
          world.change(() => world.link.hosts[host % some.length]!.want(group, wanted));
          check();
          world.wait(waitMs, check);
        }
        // when all is quiet for longer than two membership intervals, the longest there are
        world.wait(800_000, check);
        world.forwardedIsWanted();
      }),
      { numRuns: runs(20) },
    );
  },
  FUZZ_TIMEOUT_MS,
);
