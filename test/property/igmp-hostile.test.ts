/** 100,000 packets of somebody who means no good: the module lives, its state stays within the configured bounds, and all of it ends. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { reportV3, toIn, withChecksum } from '../support/packet-builder.js';
import { FUZZ_TIMEOUT_MS, runs } from '../support/runs.js';
import { Bed } from '../unit/igmp/bed.js';

const PACKETS = 100_000;
const BOUNDS = { maxGroups: 200, maxSourcesPerGroup: 16, maxTrackedHosts: 300, maxGroupsPerHost: 40 };

/** A stream of numbers that a seed repeats (xorshift32); fast-check would keep a tree for each packet. */
class Dice {
  #state: number;

  constructor(seed: number) {
    this.#state = seed | 1;
  }

  /** 0 to below `sides`. */
  roll(sides: number): number {
    let x = this.#state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#state = x;
    return (x >>> 0) % sides;
  }

  bytes(count: number): number[] {
    return Array.from({ length: count }, () => this.roll(256));
  }

  /** Few enough to meet again, and some of every kind that is refused. */
  group(): string {
    const odd = ['224.0.0.22', '232.1.1.1', '10.1.1.1', '0.0.0.0', '255.255.255.255'];
    return this.roll(10) === 0 ? odd[this.roll(odd.length)]! : `239.0.${this.roll(2)}.${this.roll(256)}`;
  }

  source(): string {
    return this.roll(20) === 0 ? `${this.roll(256)}.0.0.1` : `198.18.0.${this.roll(64)}`;
  }
}

const TYPES = [0x11, 0x12, 0x16, 0x17, 0x22];
const octets = (address: string) => address.split('.').map(Number);

function report(dice: Dice): Uint8Array {
  const record = () => ({
    type: 1 + dice.roll(7),
    group: dice.group(),
    sources: Array.from({ length: dice.roll(4) === 0 ? dice.roll(100) : dice.roll(4) }, () => dice.source()),
    aux: dice.bytes(dice.roll(5) === 0 ? 3 : 0),
  });
  return reportV3(...Array.from({ length: 1 + dice.roll(dice.roll(20) === 0 ? 60 : 3) }, record));
}

function valid(dice: Dice): Uint8Array {
  const type = TYPES[dice.roll(TYPES.length)]!;
  if (type === 0x22) return report(dice);
  const group = octets(type === 0x11 && dice.roll(2) === 0 ? '0.0.0.0' : dice.group());
  const rest =
    type === 0x11 && dice.roll(2) === 0 ? [dice.roll(16), dice.roll(256), 0, 1, ...octets(dice.source())] : [];
  return withChecksum([type, dice.roll(256), 0, 0, ...group, ...rest]);
}

/** Well-formed, spoilt and sealed again, spoilt, or noise with one of the types in front. */
function hostile(dice: Dice): Uint8Array {
  const kind = dice.roll(8);
  if (kind === 0) return withChecksum([TYPES[dice.roll(TYPES.length)]!, ...dice.bytes(7 + dice.roll(kind + 200))]);
  if (kind === 1) return Uint8Array.from(dice.bytes(dice.roll(40)));
  const message = valid(dice);
  if (kind > 3) return message;
  for (let flips = 1 + dice.roll(4); flips > 0; flips--) message[dice.roll(message.length)]! ^= 1 << dice.roll(8);
  return kind === 2 ? message : withChecksum([...message.subarray(0, Math.max(8, message.length - dice.roll(9)))]);
}

function expectBounded(bed: Bed): void {
  const groups = bed.module.groups();
  expect(groups.length).toBeLessThanOrEqual(BOUNDS.maxGroups);
  expect(Math.max(0, ...groups.map((row) => row.sources.length))).toBeLessThanOrEqual(BOUNDS.maxSourcesPerGroup);
  const hosts = bed.module.hosts();
  expect(hosts.length).toBe(bed.module.interfaces()[0]!.trackedHosts);
  expect(hosts.length).toBeLessThanOrEqual(BOUNDS.maxTrackedHosts);
  expect(Math.max(0, ...hosts.map((row) => row.sources.length))).toBeLessThanOrEqual(BOUNDS.maxSourcesPerGroup);
  expect(bed.clock.due()).toBeLessThanOrEqual(1);
}

/** What the manager was told to hold, without what it was told to delete. */
function heldAfter(calls: readonly string[], held: Set<string>): Set<string> {
  for (const call of calls) {
    const [verb, key] = call.split(' ') as [string, string];
    if (verb === 'add') held.add(key);
    if (verb === 'delete') held.delete(key);
  }
  return held;
}

test(
  '100,000 hostile packets leave groups, sources and hosts within their bounds, and nothing when they end (IGMP-173, F26)',
  () => {
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        const bed = new Bed({ config: { ...BOUNDS, explicitTracking: true, maxQueriesPerSec: 100 } });
        const dice = new Dice(seed);
        const held = new Set<string>();
        for (let sent = 0; sent < PACKETS; sent++) {
          const from = dice.roll(50) === 0 ? '0.0.0.0' : `10.0.0.${dice.roll(256)}`;
          bed.hear(hostile(dice), { from, to: dice.roll(2) === 0 ? '224.0.0.22' : '224.0.0.1' });
          if (dice.roll(100) === 0) bed.clock.advance(dice.roll(5000));
          if (sent % 2000 !== 0) continue;
          expectBounded(bed);
          heldAfter(bed.mgm.drain(), held);
          bed.wire.sent.length = 0;
        }
        expectBounded(bed);
        const { received, dropped } = bed.module.counters()[0]!;
        expect(Object.values(received).every((count) => count > 1000)).toBe(true);
        for (const reason of ['groupLimit', 'sourceLimit', 'hostTableFull', 'badChecksum', 'malformed'] as const)
          expect(dropped[reason], reason).toBeGreaterThan(0);
        // a well-behaved host is still served
        bed.hear(reportV3(toIn('239.99.99.99')), { from: '10.0.0.9' });
        // and when nobody says anything any more, nothing is left: the longest timers are those of a forged querier's variables
        bed.clock.advance(60 * 86_400_000);
        expect(bed.module.groups()).toEqual([]);
        expect(bed.module.hosts()).toEqual([]);
        expect([...heldAfter(bed.mgm.drain(), held)]).toEqual([]);
      }),
      { numRuns: Math.ceil(runs(1) / 100) },
    );
  },
  FUZZ_TIMEOUT_MS,
);
