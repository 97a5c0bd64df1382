/** Prunes, received (dvmrp.md section 10.2) and sent (10.3, 10.4). */
import { describe, expect, test } from 'vitest';
import { ip } from '../../../src/base/ip.js';
import { D1, D2, ForwardingBed, G, LAN, OTHER, pruneable, S, UP, UPLINK } from './forwarding-bed.js';

const PRUNE = 'prune 10.1.0.10 7200 s to 10.9.0.1';

describe('sent', () => {
  test('data that leaves nowhere is pruned; not data of a source on the link, nor towards who cannot prune (DVMRP-090)', () => {
    const bed = new ForwardingBed();
    pruneable(bed);
    bed.data();
    expect(bed.heard()).toEqual([PRUNE]);
    const direct = new ForwardingBed();
    direct.addRoute('10.1.0.0/16', UPLINK);
    direct.data();
    expect(direct.heard()).toEqual([]);
    const old = new ForwardingBed();
    pruneable(old);
    old.nonPruners.add(UP);
    old.data();
    expect(old.heard()).toEqual([]);
  });

  test('a list that empties while data comes is pruned at once, one without data when data comes (DVMRP-090)', () => {
    const bed = new ForwardingBed();
    pruneable(bed);
    bed.joins(LAN);
    bed.data();
    bed.leaves(LAN);
    expect(bed.heard()).toEqual([`close ${LAN}`, PRUNE]);
    // given a flow that was silent for more than half a minute
    const silent = new ForwardingBed();
    pruneable(silent);
    silent.joins(LAN);
    silent.data();
    silent.run(31);
    silent.leaves(LAN);
    expect(silent.heard()).toEqual([`close ${LAN}`]);
    // when data comes again, which the next look at the counters shows
    silent.forwarding.sweep(silent.nowMs);
    silent.more();
    silent.forwarding.sweep(silent.nowMs + 10_000);
    expect(silent.heard()).toEqual([PRUNE]);
  });

  test('the lifetime is 0.5 to 1.0 of the configured one, and no more than what is left of received prunes (DVMRP-091)', () => {
    const bed = new ForwardingBed();
    bed.chance = 0;
    pruneable(bed);
    bed.data();
    expect(bed.heard()).toEqual(['prune 10.1.0.10 3600 s to 10.9.0.1']);
    const limited = new ForwardingBed();
    pruneable(limited, D1, D2);
    limited.data();
    limited.prune(D1, 600);
    limited.run(10);
    limited.prune(D2, 7000);
    expect(limited.heard()).toEqual([`close ${LAN}`, 'prune 10.1.0.10 590 s to 10.9.0.1']);
  });

  test('a prune of five seconds or less is not worth sending (DVMRP-091)', () => {
    const bed = new ForwardingBed();
    pruneable(bed, D1, D2);
    bed.data();
    bed.prune(D1, 14);
    bed.run(10);
    bed.prune(D2, 100);
    expect(bed.heard()).toEqual([`close ${LAN}`]);
  });

  test('the entry may be forgotten when the prune is over', () => {
    const bed = new ForwardingBed();
    pruneable(bed);
    bed.data();
    bed.run(100);
    expect(bed.forwarding.entryUnwanted(bed.nowMs, { source: S, group: G })).toBe(7_100_000);
  });

  test('while data comes it is repeated after about 3, 6 and 12 s with what is left; not when data stopped (DVMRP-099)', () => {
    const bed = new ForwardingBed();
    bed.chance = 0.5; // no jitter
    pruneable(bed);
    bed.data();
    bed.heard();
    for (const [sec, left] of [
      [3, 5397],
      [6, 5391],
      [12, 5379],
    ] as const) {
      bed.more();
      bed.run(sec);
      expect(bed.heard()).toEqual([`prune 10.1.0.10 ${left} s to 10.9.0.1`]);
    }
    bed.run(1000);
    expect(bed.heard()).toEqual([]);
    // and when it goes on, it is repeated again
    bed.more();
    bed.run(24);
    expect(bed.heard()).toHaveLength(1);
  });

  test('the times are jittered by a tenth (DVMRP-099)', () => {
    for (const [chance, fromMs, toMs] of [
      [0, 2700, 2700],
      [0.999, 3299, 3300],
    ] as const) {
      const bed = new ForwardingBed();
      bed.chance = chance;
      pruneable(bed);
      bed.data();
      const waitMs = bed.forwarding.nextDeadlineMs - bed.nowMs;
      expect(waitMs).toBeGreaterThanOrEqual(fromMs);
      expect(waitMs).toBeLessThanOrEqual(toMs);
    }
  });

  test('without pruneRetransmit nothing is repeated', () => {
    const bed = new ForwardingBed({ pruneRetransmit: false });
    pruneable(bed);
    bed.data();
    bed.heard();
    bed.more();
    bed.run(100);
    expect(bed.heard()).toEqual([]);
  });

  test('another source of the network that is wanted keeps the branch; when it is not, one prune is for both', () => {
    const bed = new ForwardingBed();
    const other = ip('10.1.0.11');
    pruneable(bed);
    bed.joins(LAN, G, other);
    bed.data(other);
    bed.data();
    expect(bed.heard()).toEqual([]);
    bed.leaves(LAN, G, other);
    expect(bed.heard()).toHaveLength(2);
    expect(bed.oifs(other)).toEqual([]);
  });

  test('a source that another component wants keeps the branch although it does not send yet', () => {
    const bed = new ForwardingBed();
    const other = ip('10.1.0.11');
    pruneable(bed);
    bed.forwarding.keyWanted(bed.nowMs, { source: other, group: G });
    bed.data();
    expect(bed.heard()).toEqual([]);
    bed.forwarding.keyUnwanted(bed.nowMs, { source: other, group: G });
    expect(bed.heard()).toEqual([PRUNE]);
  });

  test('when the prune is over and data comes again, it is pruned anew', () => {
    const bed = new ForwardingBed();
    pruneable(bed);
    bed.data();
    bed.heard();
    bed.run(7201);
    bed.expires();
    bed.data();
    expect(bed.heard()).toEqual([PRUNE]);
  });
});

describe('received', () => {
  test('step 3: the route is the longest match, or what exactly the mask names (DVMRP-092)', () => {
    const bed = new ForwardingBed();
    pruneable(bed, D1);
    bed.data();
    expect(bed.prune(D1, 100, { source: ip('172.16.0.1') })).toBe('noRoute');
    expect(bed.prune(D1, 100, { mask: 24 })).toBe('wrongMask');
    expect(bed.prune(D1, 100, { mask: 16 })).toBeUndefined();
    expect(bed.oifs()).toEqual([]);
  });

  test('step 4: without a flow of the branch there is nothing to prune (DVMRP-092)', () => {
    const bed = new ForwardingBed();
    pruneable(bed, D1);
    expect(bed.prune(D1, 100)).toBe('noState');
  });

  test('step 5: only a dependent prunes, on its own interface and within the scope (DVMRP-092)', () => {
    const bed = new ForwardingBed();
    pruneable(bed, D1);
    bed.data();
    expect(bed.prune(D2, 100)).toBe('notDependent');
    expect(bed.prune(D1, 100, { ifindex: OTHER })).toBe('notDependent');
    expect(bed.prune(UP, 100, { ifindex: UPLINK })).toBe('onIncoming');
    bed.closed.add(`${LAN} 239.5.5.5`);
    expect(bed.prune(D1, 100)).toBe('outOfScope');
  });

  test('steps 7 and 8, DVMRP-093: the interface stays until both dependents have pruned, then we prune (DVMRP-092)', () => {
    const bed = new ForwardingBed();
    pruneable(bed, D1, D2);
    bed.data();
    expect(bed.prune(D1, 1000)).toBeUndefined();
    expect(bed.oifs()).toEqual([LAN]);
    bed.prune(D2, 2000);
    expect(bed.oifs()).toEqual([]);
    expect(bed.heard()).toEqual([`close ${LAN}`, 'prune 10.1.0.10 1000 s to 10.9.0.1']);
  });

  test('with members where we are the forwarder the interface stays (DVMRP-094)', () => {
    const bed = new ForwardingBed();
    pruneable(bed, D1);
    bed.joins(LAN);
    bed.data();
    bed.prune(D1, 1000);
    expect(bed.oifs()).toEqual([LAN]);
    bed.leaves(LAN);
    expect(bed.oifs()).toEqual([]);
  });

  test('the address of the network in the source field is as good as that of a host (DVMRP-095)', () => {
    const bed = new ForwardingBed();
    pruneable(bed, D1);
    bed.data();
    expect(bed.prune(D1, 100, { source: ip('10.1.0.0') })).toBeUndefined();
    expect(bed.oifs()).toEqual([]);
  });

  test('a host mask prunes that host alone, and nothing when the host does not send (DVMRP-096)', () => {
    const bed = new ForwardingBed();
    const other = ip('10.1.0.11');
    pruneable(bed, D1);
    bed.data();
    bed.data(other);
    expect(bed.prune(D1, 100, { mask: 32, source: ip('10.1.0.12') })).toBe('noState');
    expect(bed.prune(D1, 100, { mask: 32 })).toBeUndefined();
    expect(bed.oifs()).toEqual([]);
    expect(bed.oifs(other)).toEqual([LAN]);
    // nor is the network pruned upstream when each of its hosts is pruned
    bed.prune(D1, 100, { mask: 32, source: other });
    expect(bed.heard().filter((line) => line.startsWith('prune'))).toEqual([]);
  });

  test.each([
    [1000, 50],
    [50, 1000],
  ])(
    'step 6, DVMRP-097: a prune of %d s that is repeated with %d s ends by the second (DVMRP-092)',
    (first, second) => {
      const bed = new ForwardingBed();
      pruneable(bed, D1);
      bed.data();
      bed.prune(D1, first);
      bed.prune(D1, second);
      bed.run(second - 1);
      expect(bed.oifs()).toEqual([]);
      bed.run(1);
      expect(bed.oifs()).toEqual([LAN]);
    },
  );

  test('at its end we forward again, and graft what we had pruned for longer (DVMRP-098)', () => {
    const bed = new ForwardingBed();
    pruneable(bed, D1, D2);
    bed.data();
    bed.prune(D1, 100);
    bed.prune(D2, 1000);
    bed.heard();
    // given that our own prune was for 100 s: the first end of theirs is the end of ours
    bed.run(100);
    expect(bed.heard()).toEqual([`open ${LAN}`]);
    // and with one that outlives theirs: repeated by D1 for longer, shortened afterwards, while data comes
    bed.more();
    bed.forwarding.sweep(bed.nowMs);
    bed.prune(D1, 1000);
    expect(bed.heard()).toEqual([`close ${LAN}`, 'prune 10.1.0.10 900 s to 10.9.0.1']);
    bed.prune(D1, 50);
    bed.run(50);
    expect(bed.heard()).toEqual([`open ${LAN}`, 'graft 10.1.0.10 to 10.9.0.1']);
  });

  test('up to five seconds are ignored, and what is beyond the limit is clamped (DVMRP-100)', () => {
    const bed = new ForwardingBed();
    pruneable(bed, D1);
    bed.data();
    for (const sec of [0, 1, 5]) expect(bed.prune(D1, sec)).toBe('shortLifetime');
    expect(bed.prune(D1, 0xffff_ffff)).toBeUndefined();
    bed.run(10_799);
    expect(bed.oifs()).toEqual([]);
    bed.run(1);
    expect(bed.oifs()).toEqual([LAN]);
  });

  test('with the dependency the prune goes, so that a new one begins unpruned (DVMRP-102)', () => {
    const bed = new ForwardingBed();
    const route = pruneable(bed, D1);
    bed.data();
    bed.prune(D1, 1000);
    route.dependents.clear();
    bed.changed(route);
    bed.depends(route, LAN, D1);
    expect(bed.oifs()).toEqual([LAN]);
  });
});
