/** What is told on which interface, when, and to whom (dvmrp.md sections 6.3, 6.4 and 7.7). */
import { describe, expect, test } from 'vitest';
import { ip } from '../../../src/base/ip.js';
import { A, B, C, INTERFACE, N, prefix, TableBed } from './table-bed.js';

const OWN = { A: '10.100.0.0/24', B: '10.101.0.0/24', C: '10.102.0.0/24' } as const;

/** `count` routes from .2 on A, their flash update sent. */
function bedWith(count: number): TableBed {
  const bed = new TableBed();
  for (let from = 0; from < count; from += 50)
    bed.hear(
      A,
      2,
      Object.fromEntries(
        Array.from({ length: Math.min(50, count - from) }, (_, n) => {
          const at = from + n;
          return [`20.${at >> 8}.${at & 255}.0/24`, 1 + (at % 20)];
        }),
      ),
    );
  bed.advance(0);
  bed.forget();
  return bed;
}

const keepAlive = (bed: TableBed) => {
  // the neighbour repeats what it told
  for (const route of [...bed.table.routes()]) if (route.upstream) bed.table.get(route)!.timerMs = bed.nowMs + 140_000;
};

describe('the metric on an interface, row by row (DVMRP-055)', () => {
  test('a network that is connected there is left out, elsewhere its metric is told', () => {
    expect(new TableBed({ a: { metric: 2 } }).told(OWN.A)).toEqual([0, 2, 2]);
  });

  test('a route that is held down is told as 32, also where it came from', () => {
    const bed = new TableBed();
    bed.hear(A, 3, { [N]: 3 });
    expect(bed.told(N)).toEqual([36, 4, 4]);
    bed.hear(A, 3, { [N]: 32 });
    expect(bed.told(N)).toEqual([32, 32, 32]);
  });

  test('on the upstream interface 32 is added to the metric', () => {
    const bed = new TableBed({ a: { metric: 31 } });
    bed.hear(B, 2, { [N]: 30 });
    expect(bed.told(N)).toEqual([31, 63, 31]);
  });

  test('elsewhere the offset of the interface is added, up to 32', () => {
    const bed = new TableBed({ b: { advertisedOffset: 3 }, c: { advertisedOffset: 31 } });
    bed.hear(A, 3, { [N]: 3 });
    expect(bed.told(N)).toEqual([36, 7, 32]);
  });

  test('what the outbound filter denies is left out; a dependency is told all the same (DVMRP-059)', () => {
    const filterOut = [{ action: 'deny', prefix: prefix(N), match: 'orLonger' }] as const;
    const bed = new TableBed({ a: { filterOut }, b: { filterOut } });
    bed.hear(A, 3, { [N]: 3 });
    expect(bed.told(N)).toEqual([36, 0, 4]);
    bed.hear(A, 3, { [N]: 32 });
    expect(bed.told(N)).toEqual([0, 0, 32]);
  });

  test('what a filter has come to forbid is taken back once, with 32 (DVMRP-059)', () => {
    const bed = new TableBed();
    bed.hear(A, 3, { [N]: 3 });
    bed.advance(5000);
    bed.forget();
    const filterOut = [{ action: 'deny', prefix: prefix(N), match: 'exact' }] as const;
    bed.table.reconfigure(bed.nowMs, B, { ...INTERFACE, filterOut });
    bed.advance(0);
    expect(bed.sent).toEqual([{ atMs: 5000, ifindex: B, to: '224.0.0.4', routes: { [N]: 32 } }]);
    bed.forget();
    bed.advance(60_000);
    expect(bed.reports(B)).not.toHaveProperty(N);
  });
});

describe('full reports', () => {
  test('every route is told once in 60 s, not more than its share per 5 s (DVMRP-056)', () => {
    // given 1003 routes
    const bed = bedWith(1000);
    bed.advance(60_000 - bed.nowMs);
    keepAlive(bed);
    // when a report interval passes
    bed.forget();
    bed.advance(60_000);
    // then each was told once on B
    const onB = bed.sent.filter(({ ifindex }) => ifindex === B);
    const told = onB.flatMap(({ routes }) => Object.keys(routes));
    expect(new Set(told).size).toBe(told.length);
    expect(told.length).toBe(1002);
    // and no slot of 5 s had more than a twelfth
    const slots = new Map<number, number>();
    for (const { atMs, routes } of onB) slots.set(atMs, (slots.get(atMs) ?? 0) + Object.keys(routes).length);
    expect(slots.size).toBe(12);
    expect([...slots.keys()].every((atMs) => atMs % 5000 === 0)).toBe(true);
    for (const count of slots.values()) expect(count).toBeLessThanOrEqual(Math.ceil(1003 / 12) + 1);
  });

  test('a few routes are told once per interval too (DVMRP-056)', () => {
    const bed = bedWith(1);
    bed.advance(65_000);
    keepAlive(bed);
    bed.forget();
    bed.advance(60_000);
    expect(bed.sent.filter(({ ifindex }) => ifindex === B).map(({ routes }) => Object.keys(routes))).toHaveLength(3);
  });

  test('routes that come and go in the middle of a round leave out none of the others', () => {
    const bed = bedWith(240);
    bed.advance(65_000);
    keepAlive(bed);
    bed.forget();
    for (let slot = 0; slot < 12; slot++) {
      bed.hear(A, 3, { [`19.${slot}.0.0/16`]: 1, [`30.${slot}.0.0/16`]: 1 });
      bed.hear(A, 3, { [`19.${slot - 3}.0.0/16`]: 32 });
      bed.advance(5000);
    }
    // then the round has taken a slot longer, because the table has grown
    bed.advance(5000);
    const told = Object.keys(bed.reports(B)).filter((text) => text.startsWith('20.'));
    expect(told).toHaveLength(240);
  });

  test('every message is whole and sorted by mask, then network', () => {
    const bed = bedWith(300);
    bed.hear(A, 2, { '0.0.0.0/0': 1, '9.0.0.0/8': 1, '200.1.1.0/28': 2 });
    bed.table.sendTable(B, ip('10.101.0.8'));
    const sent = bed.sent.filter(({ to }) => to === '10.101.0.8');
    expect(sent.length).toBeGreaterThan(1);
    const order = sent.flatMap(({ routes }) => Object.keys(routes));
    const keys = order.map((text) => {
      const { network, length } = prefix(text);
      return [length, Number(network)] as const;
    });
    expect(keys).toEqual([...keys].sort(([a, x], [b, y]) => a - b || x - y));
  });

  test('an interface without neighbours hears nothing', () => {
    const bed = bedWith(10);
    bed.lose(C, 8);
    bed.forget();
    bed.hear(A, 2, { [N]: 1 });
    bed.advance(120_000);
    expect(bed.sent.some(({ ifindex }) => ifindex === C)).toBe(false);
    expect(bed.sent.some(({ ifindex }) => ifindex === B)).toBe(true);
  });

  test('a new neighbour gets the full table, and nobody else does (DVMRP-013, DVMRP-023)', () => {
    const bed = bedWith(500);
    bed.table.sendTable(B, ip('10.101.0.8'));
    expect(new Set(bed.sent.map(({ to }) => to))).toEqual(new Set(['10.101.0.8']));
    expect(Object.keys(bed.reports(B))).toHaveLength(502);
    expect(bed.sent.length).toBeGreaterThan(3);
  });

  test('on a point-to-point link everything goes to 224.0.0.4', () => {
    const bed = new TableBed({ b: { pointToPoint: true } });
    bed.table.sendTable(B, ip('10.101.0.8'));
    expect(bed.sent.map(({ to }) => to)).toEqual(['224.0.0.4']);
  });
});

describe('flash updates', () => {
  test('the first is sent at once, the next 5 s later, each with the changed routes only (DVMRP-040, DVMRP-057)', () => {
    const bed = bedWith(100);
    bed.advance(57_000);
    bed.forget();
    const changes = () => bed.sent.filter(({ ifindex, atMs }) => ifindex === B && atMs % 5000 !== 0);
    bed.hear(A, 2, { [N]: 1 });
    bed.advance(0);
    expect(changes()).toEqual([{ atMs: 57_000, ifindex: B, to: '224.0.0.4', routes: { [N]: 2 } }]);
    bed.hear(A, 2, { [N]: 2 });
    bed.hear(A, 2, { '10.2.0.0/16': 1 });
    bed.advance(4999);
    expect(changes()).toHaveLength(1);
    bed.advance(1);
    expect(changes().slice(1)).toEqual([
      { atMs: 62_000, ifindex: B, to: '224.0.0.4', routes: { [N]: 3, '10.2.0.0/16': 2 } },
    ]);
  });

  test('a refresh without change is no reason for one (DVMRP-057)', () => {
    const bed = bedWith(3);
    bed.hear(A, 2, { '20.0.0.0/24': 1 });
    expect(bed.table.nextDeadlineMs).toBe(5000);
    bed.advance(4999);
    expect(bed.sent).toEqual([]);
  });

  test('changes all the time give one flash update per 5 s (DVMRP-057)', () => {
    const bed = new TableBed();
    bed.advance(1);
    bed.forget();
    for (let n = 0; n < 600; n++) {
      bed.hear(A, 2, { [N]: 1 + (n % 20) });
      bed.advance(100);
    }
    const flashes = bed.sent.filter(({ ifindex, routes }) => ifindex === B && N in routes);
    expect(flashes.length).toBeGreaterThanOrEqual(12);
    // those of the full table come on top, one per interval
    expect(flashes.length).toBeLessThanOrEqual(15);
  });
});

describe('the end (DVMRP-061)', () => {
  test('everything that was told is told as 32 on all interfaces, poison too, and then there is silence', () => {
    const bed = bedWith(200);
    bed.hear(B, 8, { [N]: 1 });
    bed.table.shutdown();
    for (const ifindex of [A, B, C]) {
      const told = bed.reports(ifindex);
      expect(new Set(Object.values(told))).toEqual(new Set([32]));
      // all but the network of the interface
      expect(Object.keys(told)).toHaveLength(203);
    }
    expect(bed.table.nextDeadlineMs).toBe(Number.POSITIVE_INFINITY);
  });

  test('an interface that DVMRP leaves hears it alone', () => {
    const bed = bedWith(10);
    bed.table.withdraw(B);
    expect(Object.keys(bed.reports(B))).toHaveLength(12);
    expect(bed.sent.every(({ ifindex }) => ifindex === B)).toBe(true);
  });
});

test('a flash update of thousands of routes is told in parts, each route once, and the next is 5 s later (A3)', () => {
  const bed = new TableBed();
  const routes = Object.fromEntries(
    Array.from({ length: 3000 }, (_, n) => [`172.${16 + (n >> 8)}.${n & 255}.0/24`, 1]),
  );
  bed.hear(A, 2, routes);
  bed.sent.length = 0;
  bed.nowMs = 10_000;
  const told: number[] = [];
  for (let left = 10; left > 0 && bed.table.nextDeadlineMs <= bed.nowMs; left--) {
    const before = bed.sent.length;
    bed.table.timeout(bed.nowMs);
    const onB = bed.sent.slice(before).filter(({ ifindex }) => ifindex === B);
    told.push(onB.flatMap((one) => Object.keys(one.routes)).filter((network) => network.startsWith('172.')).length);
  }
  expect(Math.max(...told)).toBeLessThanOrEqual(1024 + 260);
  expect(told.reduce((a, b) => a + b, 0)).toBeGreaterThanOrEqual(3000);
  bed.hear(A, 2, { '172.16.0.0/24': 2 });
  expect(bed.table.nextDeadlineMs).toBe(15_000);
});
