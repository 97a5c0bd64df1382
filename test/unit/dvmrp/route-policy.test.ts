/** What the configuration has to say about routes: filters, limits, the default route, networks that are told as ours. */
import { describe, expect, test } from 'vitest';
import { ip } from '../../../src/base/ip.js';
import { admitsRoute, type RouteRule } from '../../../src/dvmrp/routes/route-filter.js';
import { A, B, C, learned, N, prefix, TableBed } from './table-bed.js';

describe('filters and limits', () => {
  const within: RouteRule = { action: 'deny', prefix: prefix('10.1.0.0/16'), match: 'orLonger' };

  test.each([
    [[], '10.1.0.0/16', true],
    [[within], '10.1.0.0/16', false],
    [[within], '10.1.3.0/24', false],
    [[within], '10.0.0.0/8', true],
    [[{ ...within, match: 'exact' }], '10.1.3.0/24', true],
    [[{ ...within, match: 'exact' }], '10.1.0.0/16', false],
    [[{ ...within, action: 'allow' }], '10.1.3.0/24', true],
    [[{ ...within, action: 'allow' }], '10.2.0.0/16', false],
    [[{ ...within, action: 'allow', match: 'exact' }, within], '10.1.0.0/16', true],
  ] as const)('the rules %j admit %s: %s (DVMRP-059)', (rules, text, admitted) => {
    const { network, length } = prefix(text);
    expect(admitsRoute(rules, network, length)).toBe(admitted);
  });

  test('what the inbound filter denies is as if it had never been said (DVMRP-059)', () => {
    const bed = new TableBed({ a: { filterIn: [within] } });
    bed.hear(A, 2, { [N]: 1, '10.2.0.0/16': 1 });
    expect([bed.way(N), bed.way('10.2.0.0/16')]).toEqual(['none', 'A .2 metric 2']);
    expect(bed.heard()[0]).toBe(`ignored filtered ${N} of 10.100.0.2`);
    // but others may depend on us for it
    bed.hear(B, 8, { [N]: 1 });
    bed.hear(A, 2, { [N]: 34 });
    expect(bed.dependents(N)).toEqual(['10.100.0.2']);
  });

  test('a filter that comes later ends what came in before (DVMRP-059)', () => {
    const bed = learned();
    bed.table.reconfigure(0, A, {
      metric: 1,
      advertisedOffset: 0,
      filterIn: [within],
      filterOut: [],
      pointToPoint: false,
    });
    expect(bed.way(N)).toBe('hold');
  });

  test('routes beyond the limit of the table are ignored, with a reason (DVMRP-060)', () => {
    const bed = new TableBed({ table: { maxRoutes: 5 } });
    bed.hear(A, 2, { '10.1.0.0/16': 1, '10.2.0.0/16': 1, '10.3.0.0/16': 1 });
    expect(bed.table.size).toBe(5);
    expect(bed.heard().at(-1)).toBe('ignored routeLimit 10.3.0.0/16 of 10.100.0.2');
  });

  test('routes beyond the limit of a neighbour are ignored; others are not touched (DVMRP-060)', () => {
    const bed = new TableBed({ table: { maxRoutesPerNeighbor: 1 } });
    bed.hear(A, 2, { '10.1.0.0/16': 1, '10.2.0.0/16': 1 });
    expect(bed.heard().at(-1)).toBe('ignored neighborRouteLimit 10.2.0.0/16 of 10.100.0.2');
    bed.hear(A, 3, { '10.2.0.0/16': 1 });
    expect(bed.way('10.2.0.0/16')).toBe('A .3 metric 2');
    // a route that is gone makes room
    bed.hear(A, 2, { '10.1.0.0/16': 32 });
    bed.advance(120_000);
    bed.hear(A, 2, { '10.4.0.0/16': 1 });
    expect(bed.way('10.4.0.0/16')).toBe('A .2 metric 2');
  });

  test('a Report of somebody who is no neighbour changes nothing (DVMRP-032)', () => {
    const bed = new TableBed();
    expect(bed.hear(C, 2, { [N]: 1 })).toBe(false);
    expect(bed.way(N)).toBe('none');
  });
});

describe('the default route and look-ups', () => {
  test('the default route serves sources without a better match (DVMRP-062)', () => {
    const bed = learned();
    bed.hear(B, 8, { '0.0.0.0/0': 1 });
    expect(bed.table.lookup(ip('10.1.2.3'))?.iif).toBe(A);
    expect(bed.table.lookup(ip('192.0.2.1'))?.iif).toBe(B);
    expect(bed.table.lookup(ip('10.102.0.77'))?.iif).toBe(C);
  });

  test('a route that is held down leaves its sources to a less specific one', () => {
    const bed = learned();
    bed.hear(B, 8, { '10.0.0.0/8': 1 });
    expect(bed.table.lookup(ip('10.1.2.3'))?.iif).toBe(A);
    bed.hear(A, 3, { [N]: 32 });
    expect(bed.table.lookup(ip('10.1.2.3'))?.iif).toBe(B);
  });

  test('a default that we originate is told everywhere, has dependents, and is reached through no interface', () => {
    const bed = new TableBed();
    bed.originate({ '0.0.0.0/0': 3 });
    expect(bed.told('0.0.0.0/0')).toEqual([3, 3, 3]);
    bed.hear(A, 2, { '0.0.0.0/0': 36 });
    expect(bed.dependents('0.0.0.0/0')).toEqual(['10.100.0.2']);
    expect(bed.table.lookup(ip('192.0.2.1'))).toMatchObject({ origin: 'originated', iif: undefined });
    // a neighbour's does not take its place, and it can be taken back
    bed.hear(B, 8, { '0.0.0.0/0': 1 });
    expect(bed.way('0.0.0.0/0')).toBe('- originated metric 3');
    bed.originate({});
    expect(bed.told('0.0.0.0/0')).toEqual([32, 32, 32]);
    bed.hear(B, 8, { '0.0.0.0/0': 1 });
    bed.advance(120_000);
    expect(bed.way('0.0.0.0/0')).toBe('B .8 metric 2');
  });
});
