/** Who forwards onto an interface (dvmrp.md section 7.3), as the table tells it. */
import { expect, test } from 'vitest';
import { ip } from '../../../src/base/ip.js';
import { A, B, C, INTERFACE, N, TableBed } from './table-bed.js';

/** N comes from .3 on A with metric 4; our address on B is .5, neighbours there are .2 and .8. */
function bedWithRoute(options: ConstructorParameters<typeof TableBed>[0] = {}): TableBed {
  const bed = new TableBed(options);
  bed.hear(A, 3, { [N]: 3 });
  bed.forget();
  return bed;
}

test('a router that hears nobody else forwards everywhere (DVMRP-070)', () => {
  const bed = bedWithRoute();
  expect([B, C].map((ifindex) => bed.isForwarder(N, ifindex))).toEqual([true, true]);
  expect(bed.table.otherForwarder(bed.route(N)!, B)).toBeUndefined();
});

test.each([
  [8, 3, false],
  [8, 4, true],
  [2, 4, false],
  [8, 5, true],
  [2, 5, true],
  [2, 31, true],
])('we tell 4 as .5; .%i tells %i: we forward: %s (DVMRP-071)', (last, metric, self) => {
  const bed = bedWithRoute();
  bed.hear(B, last, { [N]: metric });
  expect(bed.isForwarder(N, B)).toBe(self);
  expect(bed.heard()).toEqual(self ? [] : [`${N} not DF on B`]);
  expect(bed.isForwarder(N, C)).toBe(true);
});

test('metrics are compared as told: the cost of the interface does not count (DVMRP-071)', () => {
  const bed = bedWithRoute({ b: { metric: 10 } });
  bed.hear(B, 8, { [N]: 3 });
  expect(bed.isForwarder(N, B)).toBe(false);
  expect(bed.way(N)).toBe('A .3 metric 4');
});

test('what we add to the metric on an interface counts there (DVMRP-071)', () => {
  const bed = bedWithRoute({ b: { advertisedOffset: 2 } });
  bed.hear(B, 8, { [N]: 5 });
  bed.hear(C, 8, { [N]: 5 });
  expect([B, C].map((ifindex) => bed.isForwarder(N, ifindex))).toEqual([false, true]);
});

test('of two others the better one forwards (DVMRP-071)', () => {
  const bed = bedWithRoute({ b: { advertisedOffset: 20 } });
  bed.hear(B, 8, { [N]: 7 });
  bed.hear(B, 2, { [N]: 7 });
  expect(bed.table.otherForwarder(bed.route(N)!, B)).toBe(ip('10.101.0.2'));
  bed.hear(B, 8, { [N]: 6 });
  expect(bed.table.otherForwarder(bed.route(N)!, B)).toBe(ip('10.101.0.8'));
});

test.each([
  ['is lost', (bed: TableBed) => bed.lose(B, 8)],
  ['tells 32', (bed: TableBed) => bed.hear(B, 8, { [N]: 32 })],
  ['worsens', (bed: TableBed) => bed.hear(B, 8, { [N]: 5 })],
  ['depends on us', (bed: TableBed) => bed.hear(B, 8, { [N]: 36 })],
])('when the forwarder %s, we take over (DVMRP-072)', (_how, change) => {
  const bed = bedWithRoute();
  bed.hear(B, 8, { [N]: 3 });
  bed.forget();
  change(bed);
  expect(bed.isForwarder(N, B)).toBe(true);
  expect(bed.heard()).toContain(`${N} DF on B`);
});

test('when our metric improves we compare again', () => {
  const bed = bedWithRoute();
  bed.hear(B, 8, { [N]: 3 });
  bed.forget();
  bed.hear(A, 3, { [N]: 1 });
  expect(bed.heard()).toEqual([`${N} DF on B`, `${N} A .3 metric 2`]);
});

test('when our metric worsens the other one forwards at once, as it does from its side', () => {
  const bed = bedWithRoute();
  bed.hear(B, 8, { [N]: 5 });
  bed.forget();
  bed.hear(A, 3, { [N]: 5 });
  expect(bed.heard()).toEqual([`${N} not DF on B`, `${N} A .3 metric 6`]);
});

test('when our offset on the interface changes we compare again', () => {
  const bed = bedWithRoute();
  bed.hear(B, 8, { [N]: 5 });
  bed.forget();
  bed.table.reconfigure(0, B, { ...INTERFACE, advertisedOffset: 3 });
  expect(bed.isForwarder(N, B)).toBe(false);
});

test('a connected network has a forwarder on the other interfaces', () => {
  const bed = new TableBed({ a: { metric: 3 } });
  bed.hear(B, 8, { '10.100.0.0/24': 2 });
  expect(bed.isForwarder('10.100.0.0/24', B)).toBe(false);
});

test('the route moves from A to B: on A we forward, and who forwarded on B is forgotten (DVMRP-074)', () => {
  const bed = bedWithRoute();
  bed.hear(B, 8, { [N]: 3 });
  expect(bed.isForwarder(N, B)).toBe(false);
  bed.hear(B, 2, { [N]: 2 });
  expect(bed.way(N)).toBe('B .2 metric 3');
  // .3 on A tells 3 as well and is lower than we are; without it we forward
  expect(bed.isForwarder(N, A)).toBe(false);
  bed.hear(A, 3, { [N]: 35 });
  expect(bed.isForwarder(N, A)).toBe(true);
  // back on A, nothing of B is remembered
  bed.hear(A, 8, { [N]: 1 });
  expect(bed.isForwarder(N, B)).toBe(false);
  expect(bed.table.otherForwarder(bed.route(N)!, B)).toBe(ip('10.101.0.2'));
});

test('after a move because the old upstream was lost we forward on the old interface (DVMRP-074)', () => {
  const bed = bedWithRoute();
  bed.lose(A, 3);
  bed.hear(B, 2, { [N]: 7 });
  bed.advance(120_000);
  expect(bed.way(N)).toBe('B .2 metric 8');
  expect(bed.isForwarder(N, A)).toBe(true);
});
