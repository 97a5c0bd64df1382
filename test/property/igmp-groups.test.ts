/**
 * The group state machine beside a naive model of its tables; igmp-hosts.test.ts has the model of the hosts (IGMP-063). The model computes with sets exactly as the tables are printed
 * (igmp.md sections 7.1 to 7.3) and counts its timers down second by second.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { queryV3, reportV3 } from '../support/packet-builder.js';
import { Bed, src } from '../unit/igmp/bed.js';
import { FUZZ_TIMEOUT_MS, runs } from '../support/runs.js';

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
  'to IGMP-067 any sequence of records gives the states of the naive model (querier: %s) (IGMP-050)',
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
      { numRuns: runs(100) },
    );
  },
  FUZZ_TIMEOUT_MS,
);
