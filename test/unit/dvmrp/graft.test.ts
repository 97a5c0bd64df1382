/** Grafts: dvmrp.md section 11, and what ends them. */
import { describe, expect, test } from 'vitest';
import { ip } from '../../../src/base/ip.js';
import { D1, D2, ForwardingBed, G, LAN, OTHER, pruneable, S, type TestRoute, UP, UPLINK } from './forwarding-bed.js';

const GRAFT = 'graft 10.1.0.10 to 10.9.0.1';

/** A branch that we have pruned because D1 did. */
function pruned(): { readonly bed: ForwardingBed; readonly route: TestRoute } {
  const bed = new ForwardingBed();
  const route = pruneable(bed, D1);
  bed.data();
  bed.prune(D1, 3000);
  bed.heard();
  return { bed, route };
}

const grafts = (bed: ForwardingBed) => bed.heard().filter((line) => line.startsWith('graft'));

describe('what is wanted again is grafted: (DVMRP-110)', () => {
  test('a member where we are the forwarder', () => {
    const { bed } = pruned();
    bed.joins(OTHER);
    expect(grafts(bed)).toEqual([GRAFT]);
    expect(bed.oifs()).toEqual([OTHER]);
  });

  test('not a member where another router forwards', () => {
    const { bed, route } = pruned();
    route.notDesignated.add(OTHER);
    bed.changed(route);
    bed.joins(OTHER);
    expect(grafts(bed)).toEqual([]);
  });

  test('becoming the forwarder where members are (DVMRP-072)', () => {
    const { bed, route } = pruned();
    route.notDesignated.add(OTHER);
    bed.changed(route);
    bed.joins(OTHER);
    route.notDesignated.delete(OTHER);
    bed.changed(route);
    expect(grafts(bed)).toEqual([GRAFT]);
  });

  test('a new dependent', () => {
    const { bed, route } = pruned();
    bed.depends(route, LAN, D2);
    expect(grafts(bed)).toEqual([GRAFT]);
  });

  test('a graft of a dependent (DVMRP-114)', () => {
    const { bed } = pruned();
    bed.graft(D1);
    expect(grafts(bed)).toEqual([GRAFT]);
    expect(bed.oifs()).toEqual([LAN]);
  });

  test('a dependent with a prune that restarts (DVMRP-026)', () => {
    const { bed } = pruned();
    bed.forwarding.neighborRestarted(bed.nowMs, { ifindex: LAN, neighbor: D1 });
    expect(grafts(bed)).toEqual([GRAFT]);
  });

  test('a dependent that was lost and comes back', () => {
    const { bed, route } = pruned();
    route.dependents.clear();
    bed.changed(route);
    expect(grafts(bed)).toEqual([]);
    bed.depends(route, LAN, D1);
    expect(grafts(bed)).toEqual([GRAFT]);
  });

  test('a scope that ends there no more', () => {
    const bed = new ForwardingBed();
    bed.closed.add(`${LAN} 239.5.5.5`);
    pruneable(bed);
    bed.joins(LAN);
    bed.data();
    bed.heard();
    bed.closed.clear();
    bed.forwarding.interfaceChanged(bed.nowMs);
    expect(grafts(bed)).toEqual([GRAFT]);
  });

  test('another component: its entry, its membership, and its membership without an entry (DVMRP-127)', () => {
    const entry = pruned().bed;
    entry.forwarding.entryWanted(entry.nowMs, { source: S, group: G });
    expect(grafts(entry)).toEqual([GRAFT]);
    const membership = pruned().bed;
    membership.entries.values().next().value!.oifs.add(OTHER);
    membership.forwarding.keyWanted(membership.nowMs, { source: ip('0.0.0.0'), group: G });
    expect(grafts(membership)).toEqual([GRAFT]);
    const without = pruned().bed;
    without.expires();
    without.forwarding.keyWanted(without.nowMs, { source: ip('0.0.0.0'), group: ip('0.0.0.0') });
    expect(grafts(without)).toEqual([GRAFT]);
  });
});

test('it is repeated after 5, 10, 20 ... at most 300 s until the upstream acknowledges it (DVMRP-111)', () => {
  const { bed } = pruned();
  bed.joins(OTHER);
  bed.heard();
  for (const sec of [5, 10, 20, 40, 80, 160, 300, 300]) {
    bed.run(sec - 1);
    expect(bed.heard()).toEqual([]);
    bed.run(1);
    expect(bed.heard()).toEqual([GRAFT]);
  }
  // an acknowledgement of somebody else, for another source, or from another interface is none
  expect(bed.ack(D1)).toBe(false);
  expect(bed.ack(UP, ip('10.1.0.11'))).toBe(false);
  expect(bed.ack(UP, S, LAN)).toBe(false);
  expect(bed.ack()).toBe(true);
  bed.run(1000);
  expect(bed.heard()).toEqual([]);
});

test('an acknowledgement that nothing waits for, or that comes twice, changes nothing (DVMRP-116)', () => {
  const { bed } = pruned();
  expect(bed.ack()).toBe(false);
  bed.joins(OTHER);
  expect(bed.ack()).toBe(true);
  expect(bed.ack()).toBe(false);
  expect(bed.oifs()).toEqual([OTHER]);
});

test('a new prune ends a graft that waits (DVMRP-115)', () => {
  const { bed } = pruned();
  bed.joins(OTHER);
  bed.more();
  bed.heard();
  bed.leaves(OTHER);
  expect(bed.heard()).toEqual([`close ${OTHER}`, 'prune 10.1.0.10 3000 s to 10.9.0.1']);
  bed.run(60);
  expect(grafts(bed)).toEqual([]);
  expect(bed.ack()).toBe(false);
});

test('with the upstream a graft that waits goes: it is another one, it is lost, its route is (DVMRP-117)', () => {
  const NEXT = ip('10.9.0.9');
  const changed = pruned();
  changed.bed.joins(OTHER);
  changed.route.upstream = NEXT;
  changed.bed.changed(changed.route);
  changed.bed.heard();
  changed.bed.run(100);
  expect(changed.bed.heard()).toEqual([]);

  const lost = pruned();
  lost.bed.joins(OTHER);
  lost.bed.heard();
  lost.bed.forwarding.upstreamLost({ ifindex: UPLINK, neighbor: UP });
  lost.bed.run(100);
  expect(lost.bed.heard()).toEqual([]);

  const routeless = pruned();
  routeless.bed.joins(OTHER);
  routeless.bed.withdraw(routeless.route);
  routeless.bed.heard();
  routeless.bed.run(100);
  expect(grafts(routeless.bed)).toEqual([]);
});

test('a new upstream is pruned for itself: what was asked of the old one counts no more', () => {
  const { bed, route } = pruned();
  route.upstream = ip('10.9.0.9');
  bed.changed(route);
  expect(bed.heard()).toEqual(['prune 10.1.0.10 3000 s to 10.9.0.9']);
});

test('an upstream that restarts knows of no prune: none is in force, and the next data brings a new one (DVMRP-026)', () => {
  const { bed } = pruned();
  bed.run(31);
  bed.forwarding.neighborRestarted(bed.nowMs, { ifindex: UPLINK, neighbor: UP });
  bed.joins(OTHER);
  expect(grafts(bed)).toEqual([]);
});

test('prunes that we do not know of are grafted once per network that members may want, few at a time (F)', () => {
  const bed = new ForwardingBed();
  bed.doubtful.add(UP);
  for (let n = 0; n < 100; n++) bed.addRoute(`10.${n}.0.0/16`, UPLINK, UP);
  bed.joins(LAN);
  bed.run(0.1);
  expect(bed.heard()).toHaveLength(32);
  bed.run(1);
  expect(bed.heard()).toHaveLength(68);
  // nobody answers: each is repeated after 5, 15 and 35 s, then given up
  bed.run(120);
  expect(bed.heard()).toHaveLength(300);
  expect([...bed.forwarding.branches()]).toEqual([]);
});

test('what has data, a known prune or an upstream that has started anew is not grafted on suspicion (F)', () => {
  const bed = new ForwardingBed();
  bed.addRoute('10.1.0.0/16', UPLINK, UP);
  bed.joins(LAN);
  bed.run(1);
  expect(bed.heard()).toEqual([]);
  // with data
  bed.doubtful.add(UP);
  bed.data();
  bed.joins(OTHER);
  bed.run(1);
  expect(bed.heard()).toEqual([]);
});

test('a Graft of a router below is handed on although no prune of ours is known (F)', () => {
  const bed = new ForwardingBed();
  bed.doubtful.add(UP);
  const route = bed.addRoute('10.1.0.0/16', UPLINK, UP);
  bed.depends(route, LAN, D1);
  bed.graft(D1);
  bed.run(0.1);
  expect(bed.heard()).toEqual(['graft 10.1.0.10 to 10.9.0.1']);
  expect(bed.ack()).toBe(true);
  bed.run(200);
  expect(bed.heard()).toEqual([]);
});
