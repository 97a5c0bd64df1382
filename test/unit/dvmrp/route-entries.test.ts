/** What received entries do to the table: dvmrp.md section 7.2, row by row, with hold-down, expiry and change of the upstream. */
import { describe, expect, test } from 'vitest';
import { ip } from '../../../src/base/ip.js';
import { A, B, C, learned, N, TableBed } from './table-bed.js';

describe('metric 1 to 31', () => {
  test('a new route is created with the adjusted metric, and told within 5 s (DVMRP-040)', () => {
    const bed = new TableBed({ a: { metric: 4 } });
    bed.advance(20_000);
    bed.forget();
    bed.hear(A, 2, { [N]: 3 });
    expect(bed.way(N)).toBe('A .2 metric 7');
    expect(bed.heard()).toEqual([`${N} A .2 metric 7`]);
    bed.advance(5000);
    expect(bed.sent.some(({ ifindex, routes }) => ifindex === B && routes[N] === 7)).toBe(true);
  });

  test.each([
    [31, 1],
    [30, 2],
    [1, 31],
  ])('metric %i over an interface of %i creates nothing (DVMRP-041)', (metric, cost) => {
    const bed = new TableBed({ a: { metric: cost } });
    bed.hear(A, 2, { [N]: metric });
    expect(bed.way(N)).toBe('none');
    bed.hear(A, 2, { [N]: metric - 1 || 32 });
    expect(bed.way(N)).toBe(metric === 1 ? 'none' : 'A .2 metric 31');
  });

  test('a worse metric from the upstream is taken and told (DVMRP-042)', () => {
    const bed = learned();
    bed.advance(5000);
    bed.forget();
    bed.hear(A, 3, { [N]: 9 });
    expect(bed.way(N)).toBe('A .3 metric 10');
    bed.advance(0);
    expect([bed.reports(A)[N], bed.reports(B)[N], bed.reports(C)[N]]).toEqual([42, 10, 10]);
  });

  test('a better metric from the upstream is taken and told', () => {
    const bed = learned();
    bed.hear(A, 3, { [N]: 1 });
    expect(bed.heard()).toEqual([`${N} A .3 metric 2`]);
  });

  test('a metric from the upstream that comes to 32 is as 32', () => {
    const bed = learned();
    bed.hear(A, 3, { [N]: 31 });
    expect(bed.heard()).toEqual([`${N} lost`, `${N} no way`]);
  });

  test('a better metric from another: switched, poison to the new upstream, the normal metric to the old (DVMRP-043)', () => {
    const bed = learned();
    bed.advance(5000);
    bed.forget();
    bed.hear(B, 8, { [N]: 2 });
    expect(bed.way(N)).toBe('B .8 metric 3');
    // the old upstream offers the same as we do from now on, and its address is lower: it forwards onto A
    expect(bed.heard()).toEqual([`${N} not DF on A`, `${N} moved from A`, `${N} B .8 metric 3`]);
    bed.advance(0);
    expect([bed.reports(A)[N], bed.reports(B)[N], bed.reports(C)[N]]).toEqual([3, 35, 3]);
  });

  test('a better one on the same interface: the poison there is for the new upstream (DVMRP-043)', () => {
    const bed = learned();
    bed.hear(A, 8, { [N]: 2 });
    expect(bed.heard()).toEqual([`${N} moved from A`, `${N} A .8 metric 3`]);
    expect(bed.told(N)).toEqual([35, 3, 3]);
  });

  test('with an equal metric the lower address is taken, the higher is not (DVMRP-044)', () => {
    const bed = learned();
    bed.hear(A, 8, { [N]: 3 });
    expect(bed.way(N)).toBe('A .3 metric 4');
    bed.hear(A, 2, { [N]: 3 });
    expect(bed.way(N)).toBe('A .2 metric 4');
    bed.hear(A, 3, { [N]: 3 });
    expect(bed.way(N)).toBe('A .2 metric 4');
  });

  test('a worse one from another is ignored and refreshes nothing (DVMRP-045)', () => {
    const bed = learned();
    for (let n = 0; n < 13; n++) {
      bed.advance(10_000);
      bed.hear(A, 8, { [N]: 5 });
    }
    expect(bed.way(N)).toBe('A .3 metric 4');
    bed.advance(10_000);
    expect(bed.way(N)).toBe('hold');
  });

  test('a normal metric from a dependent cancels the dependency (DVMRP-050)', () => {
    const bed = learned();
    bed.hear(B, 8, { [N]: 36 });
    bed.forget();
    bed.hear(B, 8, { [N]: 6 });
    expect(bed.heard()).toEqual([`${N} no dependent 10.101.0.8 on B`]);
    expect(bed.dependents(N)).toEqual([]);
  });

  test('a dependent that becomes the upstream is none any more, nor is anybody else on its interface (DVMRP-050)', () => {
    const bed = learned();
    bed.hear(B, 8, { [N]: 36 });
    bed.hear(B, 2, { [N]: 36 });
    bed.hear(C, 8, { [N]: 36 });
    bed.forget();
    bed.hear(B, 8, { [N]: 1 });
    expect(bed.dependents(N)).toEqual(['10.102.0.8']);
    expect(bed.heard()).toEqual([
      `${N} no dependent 10.101.0.8 on B`,
      `${N} no dependent 10.101.0.2 on B`,
      `${N} moved from A`,
      `${N} B .8 metric 2`,
    ]);
  });
});

describe('metric 32', () => {
  test('an unknown route stays unknown', () => {
    const bed = new TableBed();
    bed.hear(A, 2, { [N]: 32 });
    expect(bed.heard()).toEqual([]);
  });

  test('from the upstream: held down, 32 is told for 120 s, then the route is deleted (DVMRP-046)', () => {
    const bed = learned();
    bed.advance(5000);
    bed.hear(A, 3, { [N]: 32 });
    expect(bed.heard()).toEqual([`${N} lost`, `${N} no way`]);
    expect(bed.table.lookup(ip('10.1.2.3'))).toBeUndefined();
    bed.forget();
    for (const ms of [0, 119_999]) {
      bed.advance(ms);
      expect(bed.told(N)).toEqual([32, 32, 32]);
      expect(bed.reports(A)[N]).toBe(32);
      expect(bed.reports(B)[N]).toBe(32);
    }
    bed.advance(1);
    expect(bed.way(N)).toBe('none');
    expect(bed.heard()).toEqual([]);
  });

  test('from another: only its dependency and its forwarding end (DVMRP-047)', () => {
    const bed = learned();
    bed.hear(B, 8, { [N]: 36 });
    bed.hear(B, 2, { [N]: 3 });
    expect(bed.isForwarder(N, B)).toBe(false);
    bed.forget();
    bed.hear(B, 8, { [N]: 32 });
    bed.hear(B, 2, { [N]: 32 });
    expect(bed.heard()).toEqual([`${N} no dependent 10.101.0.8 on B`, `${N} DF on B`]);
    expect(bed.way(N)).toBe('A .3 metric 4');
  });
});

describe('metric 33 to 63', () => {
  test('an unknown route stays unknown', () => {
    const bed = new TableBed();
    bed.hear(A, 2, { [N]: 33 });
    expect(bed.heard()).toEqual([]);
    expect(bed.table.size).toBe(3);
  });

  test.each([33, 37, 63])('%i on a downstream interface registers the sender as dependent (DVMRP-048)', (metric) => {
    const bed = learned();
    bed.hear(B, 8, { [N]: metric });
    expect(bed.dependents(N)).toEqual(['10.101.0.8']);
    bed.hear(B, 8, { [N]: metric });
    expect(bed.heard()).toEqual([`${N} dependent 10.101.0.8 on B`]);
  });

  test('a connected network has dependents too (DVMRP-048)', () => {
    const bed = new TableBed();
    bed.hear(B, 8, { '10.100.0.0/24': 34 });
    expect(bed.dependents('10.100.0.0/24')).toEqual(['10.101.0.8']);
  });

  test('from the upstream, both of us think the other is nearer: the route is lost (DVMRP-049)', () => {
    const bed = learned();
    bed.hear(A, 3, { [N]: 36 });
    expect(bed.way(N)).toBe('hold');
    expect(bed.dependents(N)).toEqual([]);
  });

  test('from another one on the way to the source: no dependent, nothing is lost (DVMRP-049)', () => {
    const bed = learned();
    bed.hear(A, 8, { [N]: 36 });
    expect(bed.heard()).toEqual([]);
  });
});

describe('expiry and hold-down', () => {
  test('a route that is not refreshed is lost after 140 s (DVMRP-051)', () => {
    const bed = learned();
    bed.advance(60_000);
    bed.hear(A, 3, { [N]: 3 });
    bed.advance(139_999);
    expect(bed.way(N)).toBe('A .3 metric 4');
    bed.advance(1);
    expect(bed.way(N)).toBe('hold');
    expect(bed.heard()).toEqual([`${N} lost`, `${N} no way`]);
  });

  test('the same router with the same metric ends the hold-down at once (DVMRP-052)', () => {
    const bed = learned();
    bed.hear(A, 3, { [N]: 32 });
    bed.advance(10_000);
    bed.forget();
    bed.hear(A, 3, { [N]: 3 });
    expect(bed.heard()).toEqual([`${N} A .3 metric 4`]);
    bed.advance(0);
    expect(bed.reports(B)[N]).toBe(4);
  });

  test('the same router ends it even when it was lost and has come back (DVMRP-052)', () => {
    const bed = learned();
    bed.lose(A, 3);
    expect(bed.way(N)).toBe('hold');
    bed.neighbor(A, 3);
    bed.hear(A, 3, { [N]: 3 });
    expect(bed.way(N)).toBe('A .3 metric 4');
    expect(bed.table.routesFrom(A, ip('10.100.0.3'))).toBe(1);
  });

  test.each([
    ['the same router with a worse metric', A, 3, 4],
    ['the same router with a better metric', A, 3, 2],
    ['another one on the same interface', A, 2, 3],
    ['another one elsewhere', B, 8, 1],
  ] as const)('%s waits for the end of the hold-down (DVMRP-052, DVMRP-053)', (_who, ifindex, last, metric) => {
    const bed = learned();
    bed.hear(A, 3, { [N]: 32 });
    bed.advance(60_000);
    bed.hear(ifindex, last, { [N]: metric });
    expect(bed.way(N)).toBe('hold');
    expect(bed.told(N)).toEqual([32, 32, 32]);
    bed.advance(59_999);
    expect(bed.way(N)).toBe('hold');
    bed.forget();
    bed.advance(1);
    expect(bed.way(N)).toBe(`${ifindex === A ? 'A' : 'B'} .${last} metric ${metric + 1}`);
    expect(bed.reports(C)[N]).toBe(metric + 1);
  });

  test('the best of several candidates takes over; one that took its offer back, or is lost, does not (DVMRP-053)', () => {
    const bed = learned();
    bed.hear(A, 3, { [N]: 32 });
    bed.hear(B, 8, { [N]: 5 });
    bed.hear(B, 2, { [N]: 5 });
    bed.hear(C, 8, { [N]: 7 });
    expect(bed.route(N)?.candidate?.peer.address).toBe(ip('10.101.0.2'));
    bed.hear(B, 2, { [N]: 32 });
    bed.hear(C, 8, { [N]: 7 });
    expect(bed.route(N)?.candidate?.metric).toBe(8);
    bed.hear(C, 8, { [N]: 39 });
    expect(bed.route(N)?.candidate).toBeUndefined();
    bed.hear(B, 8, { [N]: 5 });
    bed.lose(B, 8);
    bed.advance(120_000);
    expect(bed.way(N)).toBe('none');
  });
});

describe('connected networks', () => {
  const OWN = '10.100.0.0/24';

  test('a connected route is never beaten, and who offers as good a one is noticed (DVMRP-054)', () => {
    const bed = new TableBed({ a: { metric: 3 } });
    bed.hear(B, 8, { [OWN]: 1 });
    expect(bed.way(OWN)).toBe('A connected metric 3');
    expect(bed.heard()).toContain(`ignored connectedNetwork ${OWN} of 10.101.0.8`);
    bed.hear(B, 8, { [OWN]: 5 });
    expect(bed.heard().filter((event) => event.startsWith('ignored'))).toEqual([]);
  });

  test('a connected route is not told on its own interface (DVMRP-054)', () => {
    expect(new TableBed().told(OWN)).toEqual([0, 1, 1]);
  });

  test('several subnets of an interface are routes, and a learned one gives way', () => {
    const bed = new TableBed();
    bed.hear(B, 8, { [N]: 1 });
    bed.down(A);
    bed.forget();
    bed.up(A, {}, [N]);
    expect(bed.way(N)).toBe('A connected metric 1');
    expect(bed.told(N)).toEqual([0, 1, 1]);
    expect(bed.heard()).toContain(`${N} moved from B`);
  });

  test('an interface that goes down takes its own network and all that came through it along', () => {
    const bed = learned();
    bed.hear(B, 8, { [N]: 36 });
    bed.hear(A, 3, { '10.2.0.0/16': 1 });
    for (const last of [2, 3, 8]) bed.lose(A, last);
    bed.down(A);
    expect([OWN, N, '10.2.0.0/16'].map((text) => bed.way(text))).toEqual(['hold', 'hold', 'hold']);
    expect(bed.told(OWN)).toEqual([0, 32, 32]);
    bed.advance(120_000);
    expect(bed.way(OWN)).toBe('none');
    // and the interface comes back with its network
    bed.up(A);
    expect(bed.way(OWN)).toBe('A connected metric 1');
  });

  test('while a connected network is gone a neighbour may offer it', () => {
    const bed = new TableBed();
    bed.down(A);
    bed.hear(B, 8, { [OWN]: 2 });
    bed.advance(120_000);
    expect(bed.way(OWN)).toBe('B .8 metric 3');
  });

  test('a network that two interfaces are on stays when one of them goes', () => {
    const bed = new TableBed();
    bed.down(C);
    bed.up(C, { metric: 2 }, [OWN]);
    expect(bed.way(OWN)).toBe('A connected metric 1');
    bed.down(A);
    expect(bed.way(OWN)).toBe('C connected metric 2');
  });

  test('a change of the metric is told', () => {
    const bed = new TableBed();
    bed.table.reconfigure(0, A, { metric: 5, advertisedOffset: 0, filterIn: [], filterOut: [], pointToPoint: false });
    expect(bed.way(OWN)).toBe('A connected metric 5');
    bed.advance(0);
    expect(bed.reports(B)[OWN]).toBe(5);
  });
});

test('a dependent that does not repeat itself for 140 s is dropped (DVMRP-063)', () => {
  const bed = learned();
  bed.hear(B, 8, { [N]: 36 });
  for (let n = 0; n < 2; n++) {
    bed.advance(60_000);
    bed.hear(A, 3, { [N]: 3 });
  }
  bed.advance(19_999);
  expect(bed.dependents(N)).toEqual(['10.101.0.8']);
  bed.forget();
  bed.advance(1);
  expect(bed.heard()).toEqual([`${N} no dependent 10.101.0.8 on B`]);
});

test('a dependent of a connected network ages too (DVMRP-063)', () => {
  const bed = new TableBed();
  bed.hear(B, 8, { '10.100.0.0/24': 34 });
  bed.advance(140_000);
  expect(bed.dependents('10.100.0.0/24')).toEqual([]);
});

describe('the loss of a neighbour (DVMRP-036)', () => {
  test("step 1: its routes are held down, and nobody else's are", () => {
    const bed = learned();
    bed.hear(A, 8, { '10.2.0.0/16': 1 });
    bed.lose(A, 3);
    expect([bed.way(N), bed.way('10.2.0.0/16')]).toEqual(['hold', 'A .8 metric 2']);
  });

  test('step 2: where it forwarded, we do', () => {
    const bed = learned();
    bed.hear(B, 8, { [N]: 3 });
    expect(bed.isForwarder(N, B)).toBe(false);
    bed.forget();
    bed.lose(B, 8);
    expect(bed.heard()).toEqual([`${N} DF on B`]);
  });

  test('step 5: it depends on us no more', () => {
    const bed = learned();
    bed.hear(B, 8, { [N]: 36 });
    bed.hear(B, 2, { [N]: 36 });
    bed.lose(B, 8);
    expect(bed.dependents(N)).toEqual(['10.101.0.2']);
  });
});

test('ten thousand routes that run out together are looked at in portions', () => {
  const bed = new TableBed();
  for (let n = 0; n < 40; n++)
    bed.hear(A, 2, Object.fromEntries(Array.from({ length: 50 }, (_, m) => [`10.${n}.${m}.0/24`, 1])));
  bed.nowMs = 140_000;
  bed.table.timeout(140_000);
  const held = () => bed.table.routes().filter(({ isUp }) => !isUp).length;
  expect(held()).toBe(512);
  expect(bed.table.nextDeadlineMs).toBeLessThanOrEqual(140_000);
  bed.advance(0);
  expect(held()).toBe(2000);
});
