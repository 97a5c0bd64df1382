/**
 * IGMP-063: the group state machine beside a naive model. The model computes with sets exactly as the tables are printed
 * (specification sections 7.1 to 7.3) and counts its timers down second by second.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { queryV3, type BuiltRecord, reportV3 } from '../support/packet-builder.js';
import { Bed, src } from '../unit/igmp/bed.js';

const G = '239.1.2.3';
const GMI = 270;
const LMQT = 2;
const SOURCES = ['a', 'b', 'c', 'd', 'e'];

type Sources = ReadonlySet<string>;
const plus = (a: Sources, b: Sources) => new Set([...a, ...b]);
const both = (a: Sources, b: Sources) => new Set([...a].filter((s) => b.has(s)));
const minus = (a: Sources, b: Sources) => new Set([...a].filter((s) => !b.has(s)));

class NaiveGroup {
  exclude = false;
  /** A in INCLUDE, X in EXCLUDE. */
  x: Sources = new Set();
  y: Sources = new Set();
  readonly left = new Map<string, number>();
  timer = 0;
  readonly querier: boolean;

  constructor(querier: boolean) {
    this.querier = querier;
  }

  record(type: number, b: Sources): void {
    if (this.exclude) this.#inExclude(type, b);
    else this.#inInclude(type, b);
  }

  #inInclude(type: number, b: Sources): void {
    const a = this.x;
    if (type === 1 || type === 5 || type === 3) {
      this.x = plus(a, b);
      this.#set(b, GMI);
      if (type === 3) this.#ask(minus(a, b));
    } else if (type === 6) this.#ask(both(a, b));
    else {
      this.exclude = true;
      this.x = both(a, b);
      this.y = minus(b, a);
      if (type === 4) this.#ask(both(a, b));
      this.timer = GMI;
    }
  }

  #inExclude(type: number, a: Sources): void {
    const { x, y } = this;
    if (type === 1 || type === 5 || type === 3) {
      this.x = plus(x, a);
      this.y = minus(y, a);
      this.#set(a, GMI);
      if (type === 3) {
        this.#ask(minus(x, a));
        if (this.querier) this.timer = Math.min(this.timer, LMQT);
      }
      return;
    }
    const fresh = minus(minus(a, x), y);
    this.#set(fresh, type === 2 ? GMI : this.timer);
    if (type === 6) this.x = plus(x, minus(a, y));
    else {
      this.x = minus(a, y);
      this.y = both(y, a);
    }
    if (type !== 2) this.#ask(minus(a, y));
    if (type !== 6) this.timer = GMI;
  }

  second(): void {
    for (const [s, left] of this.left) this.left.set(s, left - 1);
    const ended = new Set([...this.x].filter((s) => this.left.get(s)! <= 0));
    this.x = minus(this.x, ended);
    if (!this.exclude) return;
    this.y = plus(this.y, ended);
    if (--this.timer > 0) return;
    this.exclude = false;
    this.y = new Set();
  }

  toString(): string {
    const x = [...this.x].sort().map((s) => `${s}:${this.left.get(s)}`);
    if (this.exclude) return `EXCLUDE({${x}},{${[...this.y].sort()}}) ${this.timer}`;
    return x.length > 0 ? `INCLUDE(${x})` : 'none';
  }

  #set(sources: Sources, left: number): void {
    for (const s of sources) this.left.set(s, left);
  }

  #ask(sources: Sources): void {
    if (this.querier) for (const s of sources) this.left.set(s, Math.min(this.left.get(s)!, LMQT));
  }
}

const someSources = fc.subarray(SOURCES);
const event = fc.record({
  type: fc.integer({ min: 1, max: 6 }),
  sources: someSources,
  waitSec: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 4 }), fc.integer({ min: 0, max: 300 })),
});

test.each([true, false])(
  'IGMP-063 any sequence of records gives the states of the naive model (querier: %s)',
  (querier) => {
    fc.assert(
      fc.property(fc.array(event, { maxLength: 30 }), (events) => {
        const bed = new Bed();
        const naive = new NaiveGroup(querier);
        for (const { type, sources, waitSec } of events) {
          if (!querier) bed.hearQuery(queryV3());
          bed.hear(reportV3({ type, group: G, sources: sources.map(src) }));
          naive.record(type, new Set(sources));
          expect(bed.state(G)).toBe(naive.toString());
          for (let sec = 0; sec < waitSec; sec++) {
            bed.clock.advance(1000);
            naive.second();
            // the role must not come back while a non-querier is looked at
            if (!querier && sec % 100 === 99) bed.hearQuery(queryV3());
            expect(bed.state(G)).toBe(naive.toString());
          }
        }
      }),
      { numRuns: 100 },
    );
  },
);

/** What one host wants: EXCLUDE without sources is "everything", INCLUDE without is "nothing". */
interface Wish {
  readonly exclude: boolean;
  readonly sources: Sources;
}

const wants = ({ exclude, sources }: Wish, s: string) => sources.has(s) !== exclude;

/** The records a host sends for a change (specification section 14.2). */
function changeRecords(old: Wish, now: Wish): BuiltRecord[] {
  const built = (type: number, sources: Sources) => ({ type, group: G, sources: [...sources].map(src) });
  if (old.exclude !== now.exclude) return [built(now.exclude ? 4 : 3, now.sources)];
  const more = minus(now.sources, old.sources);
  const fewer = minus(old.sources, now.sources);
  const records = now.exclude ? [built(5, fewer), built(6, more)] : [built(5, more), built(6, fewer)];
  return records.filter((r) => r.sources.length > 0);
}

class Hosts {
  readonly wishes: Wish[] = [0, 1, 2].map(() => ({ exclude: false, sources: new Set<string>() }));
  #answered = 0;

  constructor(readonly bed: Bed) {}

  change(host: number, wish: Wish): void {
    const records = changeRecords(this.wishes[host]!, wish);
    this.wishes[host] = wish;
    if (records.length > 0) this.bed.hear(reportV3(...records), { from: `10.0.0.${100 + host}` });
    this.answer();
  }

  /** Every query is answered at once by every host that has something to say: its whole current state. */
  answer(): void {
    while (this.#answered < this.bed.wire.sent.length) {
      this.#answered++;
      for (const [host, { exclude, sources }] of this.wishes.entries()) {
        if (!exclude && sources.size === 0) continue;
        const state = { type: exclude ? 2 : 1, group: G, sources: [...sources].map(src) };
        this.bed.hear(reportV3(state), { from: `10.0.0.${100 + host}` });
      }
    }
  }

  wait(sec: number): void {
    for (let n = 0; n < sec; n++) {
      this.bed.clock.advance(1000);
      this.answer();
    }
  }

  wanted(s: string): boolean {
    return this.wishes.some((wish) => wants(wish, s));
  }
}

/** The advice of section 7.4. */
function forwarded(bed: Bed, s: string): boolean {
  const row = bed.module.groups().find((g) => g.group === G);
  const source = row?.sources.find((r) => r.source === src(s));
  return source?.wanted ?? row?.mode === 'exclude';
}

const wishChange = fc.record({
  host: fc.integer({ min: 0, max: 2 }),
  exclude: fc.boolean(),
  sources: someSources,
  waitSec: fc.integer({ min: 0, max: 6 }),
});

test('IGMP-063 whatever three hosts do, what one of them wants is forwarded at all times, and in the end nothing else', () => {
  fc.assert(
    fc.property(fc.array(wishChange, { maxLength: 12 }), (changes) => {
      const bed = new Bed();
      const hosts = new Hosts(bed);
      for (const { host, exclude, sources, waitSec } of changes) {
        hosts.change(host, { exclude, sources: new Set(sources) });
        for (let sec = 0; sec <= waitSec; sec++) {
          for (const s of SOURCES) if (hosts.wanted(s)) expect(forwarded(bed, s), s).toBe(true);
          if (sec < waitSec) hosts.wait(1);
        }
      }
      // when all is quiet for longer than two membership intervals
      hosts.wait(2 * GMI + 10);
      for (const s of SOURCES) expect(forwarded(bed, s), s).toBe(hosts.wanted(s));
    }),
    { numRuns: 40 },
  );
});
