/** Tens of thousands of routes: what one turn of the event loop does with them, counted in routes and not in time. */
import { expect, test, vi } from 'vitest';
import { ip, ipv4 } from '../../../src/base/ip.js';
import { RouteStore } from '../../../src/dvmrp/routes/route-store.js';
import { decodeReport, ReportEntries } from '../../../src/dvmrp/wire/report.js';
import * as built from '../../support/dvmrp-builder.js';
import { chain } from '../../support/dvmrp-routers.js';
import { A, B, TableBed } from './table-bed.js';

const MANY = 10_000;
/** Of the slices, with something over for what each route does. */
const LOST_PER_TURN = 512;
const TOLD_PER_TURN = 2048;
const LIMITS = { maxRoutes: 100_000, maxRoutesPerNeighbor: 100_000 };

const network = (n: number) => `${11 + (n >> 16)}.${(n >> 8) & 255}.${n & 255}.0/24`;

function tells(bed: TableBed, on: typeof A, last: number, metric: number, from = 0, to = MANY): void {
  const entries = new ReportEntries();
  for (let n = from; n < to; n++) entries.add(ipv4(((11 + (n >> 16)) << 24) + ((n & 0xffff) << 8)), 24, metric);
  bed.table.heardReport(bed.nowMs, on, ip(on === A ? `10.100.0.${last}` : `10.101.0.${last}`), entries);
}

/** What each turn did, until nothing is due now. */
function turns<T>(bed: TableBed, seen: () => T): T[] {
  const all: T[] = [];
  for (let left = 1000; left > 0 && bed.table.nextDeadlineMs <= bed.nowMs; left--) {
    bed.forget();
    bed.table.timeout(bed.nowMs);
    all.push(seen());
  }
  return all;
}

const told = (bed: TableBed) => () => bed.sent.reduce((sum, { routes }) => sum + Object.keys(routes).length, 0);
const sum = (all: readonly number[]) => all.reduce((a, b) => a + b, 0);

function full(): TableBed {
  const bed = new TableBed({ table: LIMITS });
  tells(bed, A, 3, 3);
  tells(bed, B, 2, 36);
  turns(bed, () => 0);
  bed.forget();
  return bed;
}

test('fifty thousand routes that changed are put in order and told in parts, each once (A3)', () => {
  const bed = new TableBed({ table: LIMITS });
  bed.advance(7000);
  const inOrder = vi.spyOn(RouteStore.prototype, 'inOrder');
  tells(bed, A, 3, 3, 0, 50_000);
  const seen: string[] = [];
  const note = () => seen.push(...Object.keys(bed.reports(B)));
  bed.forget();
  bed.table.timeout(bed.nowMs);
  note();
  // when some change again while the flash update goes on
  tells(bed, A, 3, 4, 0, 3);
  turns(bed, note);
  const sizes = inOrder.mock.calls.map(([routes]) => routes.length);
  inOrder.mockRestore();
  // then no turn sorts more than a part, and each is told once
  expect(Math.max(...sizes)).toBeLessThanOrEqual(8192);
  expect(seen).toHaveLength(50_000);
  expect(new Set(seen).size).toBe(50_000);
  // and what changed meanwhile is told again in the flash update after this one
  bed.forget();
  bed.advance(4999);
  expect(bed.sent.filter(({ atMs }) => atMs % 5000 !== 0)).toEqual([]);
  bed.nowMs += 1;
  bed.table.timeout(bed.nowMs);
  const last = bed.sent.filter(({ atMs, ifindex }) => atMs === 12_000 && ifindex === B);
  expect(last.map(({ routes }) => routes)).toEqual([{ [network(0)]: 5, [network(1)]: 5, [network(2)]: 5 }]);
});

test('a lost neighbour loses ten thousand routes in slices, the first at once, each once (A3)', () => {
  const bed = full();
  const lost = () => bed.events.filter((event) => event.endsWith('lost')).length;
  bed.lose(A, 3);
  const first = lost();
  expect(first).toBeGreaterThan(0);
  expect(first).toBeLessThanOrEqual(LOST_PER_TURN);
  const rest = turns(bed, lost);
  expect(Math.max(...rest)).toBeLessThanOrEqual(LOST_PER_TURN);
  expect(first + sum(rest)).toBe(MANY);
  expect(bed.table.routes().filter(({ isUp }) => isUp)).toHaveLength(3);
});

test('whoever asks for a route before its turn finds it lost already (A3)', () => {
  const bed = full();
  const last = network(MANY - 1);
  bed.lose(A, 3);
  expect(bed.events).not.toContain(`${last} lost`);
  expect(bed.table.lookup(ip('11.39.15.1'))).toBeUndefined();
  expect(bed.way(last)).toBe('hold');
  expect(bed.told(last)).toEqual([32, 32, 32]);
});

test('a neighbour that is back before all of its routes are gone has those that it tells again, and only those (A3)', () => {
  const bed = full();
  bed.lose(A, 3);
  bed.neighbor(A, 3);
  tells(bed, A, 3, 3, MANY - 50);
  turns(bed, () => 0);
  expect(bed.way(network(MANY - 1))).toBe('A .3 metric 4');
  expect(bed.way(network(0))).toBe('hold');
  expect(bed.table.routes().filter(({ isUp }) => isUp)).toHaveLength(3 + 50);
});

test('an offer and a dependency that come while the loss of an earlier life goes on stay (A3)', () => {
  const bed = full();
  tells(bed, B, 8, 3, MANY - 2, MANY);
  turns(bed, () => 0);
  bed.lose(B, 8);
  bed.lose(B, 2);
  bed.neighbor(B, 2);
  tells(bed, B, 2, 36, MANY - 1, MANY);
  tells(bed, B, 2, 3, MANY - 2, MANY - 1);
  turns(bed, () => 0);
  expect(bed.dependents(network(MANY - 1))).toEqual(['10.101.0.2']);
  expect(bed.dependents(network(0))).toEqual([]);
  expect([MANY - 2, MANY - 1].map((n) => bed.isForwarder(network(n), B))).toEqual([false, true]);
});

test('neighbours that come and go while their losses go on leave nothing behind (A3)', () => {
  const bed = full();
  for (let n = 0; n < 200; n++) {
    bed.lose(A, 3);
    bed.neighbor(A, 3);
    bed.table.timeout(bed.nowMs);
  }
  // A loss goes once round the table, whatever comes after it.
  expect(turns(bed, () => 0).length).toBeLessThan((2 * 3 * MANY) / LOST_PER_TURN);
  expect(bed.table.routes().filter(({ isUp }) => isUp)).toHaveLength(3);
});

test('an interface with ten thousand routes goes in slices, and may be back before the end (A3)', () => {
  const bed = full();
  const changed = () => bed.events.length;
  bed.lose(A, 3);
  bed.down(A);
  bed.up(A);
  expect(bed.way('10.100.0.0/24')).toBe('A connected metric 1');
  const each = turns(bed, changed);
  expect(Math.max(...each)).toBeLessThanOrEqual(4 * LOST_PER_TURN);
  expect(bed.table.routes().filter(({ isUp }) => isUp)).toHaveLength(3);
  expect(bed.way('10.100.0.0/24')).toBe('A connected metric 1');
});

test('a new neighbour hears the table in parts: every route once, in order; who starts again hears it anew (A3)', () => {
  const bed = full();
  bed.table.sendTable(B, ip('10.101.0.8'));
  const first = told(bed)();
  expect(first).toBeLessThanOrEqual(TOLD_PER_TURN);
  bed.table.sendTable(B, ip('10.101.0.8'));
  const rest = turns(bed, told(bed));
  expect(Math.max(...rest)).toBeLessThanOrEqual(TOLD_PER_TURN);
  // Its own network is not told there.
  expect(sum(rest)).toBe(MANY + 2);
});

test('a table for somebody who has gone ends (A3)', () => {
  const bed = full();
  bed.table.sendTable(B, ip('10.101.0.8'));
  bed.table.sendTable(A, ip('10.100.0.8'));
  bed.lose(B, 8);
  const to: string[] = [];
  turns(bed, () => to.push(...bed.sent.map((one) => one.to)));
  expect(new Set(to)).toEqual(new Set(['10.100.0.8']));
});

test('the part of a full Report that is due goes out before tables (A3)', () => {
  const bed = full();
  bed.nowMs = 4999;
  bed.table.sendTable(B, ip('10.101.0.8'));
  bed.nowMs = 5000;
  bed.forget();
  bed.table.timeout(5000);
  expect(bed.sent.filter(({ to }) => to === '224.0.0.4').length).toBeGreaterThan(0);
});

test('a shutdown tells every neighbour 32 for everything, in parts, and nothing after that (A3)', () => {
  const bed = full();
  bed.table.shutdown();
  const first = bed.sent.splice(0);
  const all = [...first];
  const each = turns(bed, () => {
    all.push(...bed.sent);
    return told(bed)();
  });
  expect(Math.max(...each)).toBeLessThanOrEqual(TOLD_PER_TURN);
  expect(sum(all.map(({ routes }) => Object.keys(routes).length))).toBe(3 * (MANY + 2));
  expect(new Set(all.flatMap(({ routes }) => Object.values(routes)))).toEqual(new Set([32]));
  expect(bed.table.nextDeadlineMs).toBe(Number.POSITIVE_INFINITY);
});

test('a stop waits until neighbours have heard the end of every route (A3)', async () => {
  const { world, r2, middle } = await chain();
  const [left] = [...r2.ports.keys()];
  for (let from = 0; from < 6000; from += 100) {
    const routes = Array.from({ length: 100 }, (_, n) => [network(from + n), 1] as const);
    const destination = ip('224.0.0.4');
    r2.kernel.igmp.receive({ ifindex: left!, source: ip('10.9.0.1'), destination, payload: built.report(routes) });
  }
  await world.run(10);
  expect(r2.dvmrp.router.table.size).toBeGreaterThan(6000);
  const reports = () => middle.messages.filter(({ payload }) => payload[1] === 2).length;
  const before = reports();
  const stopped = Promise.resolve(r2.dvmrp.stop());
  await world.run(1);
  expect(await stopped).toEqual({ code: 'NO_ERROR' });
  // At 508 octets, a /24 and its metric are four.
  expect(reports() - before).toBeGreaterThanOrEqual(6000 / 127);
  expect(r2.dvmrp.router.isLeaving).toBe(false);
});

test('a link that is released is told the end of every route although it is no link of ours any more (A3)', async () => {
  const { world, r2, r2Middle, middle } = await chain();
  for (let from = 0; from < 6000; from += 100) {
    const routes = Array.from({ length: 100 }, (_, n) => [network(from + n), 1] as const);
    const destination = ip('224.0.0.4');
    r2.kernel.igmp.receive({ ifindex: r2Middle, source: ip('10.9.0.1'), destination, payload: built.report(routes) });
  }
  await world.run(10);
  const before = middle.messages.length;
  await r2.dvmrp.release(r2Middle);
  await world.run(1);
  const told = middle.messages.slice(before).filter(({ payload }) => payload[1] === 2);
  const entries = new ReportEntries();
  const seen = new Set<unknown>();
  for (const { payload } of told) {
    expect(decodeReport(payload, entries)).toBeUndefined();
    for (let n = 0; n < entries.count; n++) {
      expect(entries.metrics[n]).toBe(32);
      seen.add(entries.networks[n]);
    }
  }
  expect(seen.size).toBeGreaterThanOrEqual(6000);
});
