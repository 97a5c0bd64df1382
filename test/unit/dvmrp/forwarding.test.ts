/** Outgoing interfaces: dvmrp.md section 8, against tables of routes and dependents. */
import { expect, test } from 'vitest';
import { ip } from '../../../src/base/ip.js';
import { D1, D2, FOREIGN, ForwardingBed, G, LAN, OTHER, pruneable, S, UP, UPLINK } from './forwarding-bed.js';

/** One row: what is so on the LAN, and whether the flow leaves there. */
const ROWS: readonly (readonly [string, (bed: ForwardingBed) => void, boolean])[] = [
  ['a dependent that has not pruned', (bed) => pruneable(bed, D1), true],
  [
    'two dependents of which one has pruned',
    (bed) => {
      pruneable(bed, D1, D2);
      bed.data();
      bed.prune(D1, 100);
    },
    true,
  ],
  [
    'two dependents that have both pruned',
    (bed) => {
      pruneable(bed, D1, D2);
      bed.data();
      bed.prune(D1, 100);
      bed.prune(D2, 100);
    },
    false,
  ],
  [
    'members where we are the forwarder',
    (bed) => {
      pruneable(bed);
      bed.joins(LAN);
    },
    true,
  ],
  [
    'members where another router forwards',
    (bed) => {
      pruneable(bed).notDesignated.add(LAN);
      bed.joins(LAN);
    },
    false,
  ],
  ['a leaf without members', (bed) => pruneable(bed), false],
  [
    'a boundary',
    (bed) => {
      pruneable(bed, D1);
      bed.joins(LAN);
      bed.closed.add(`${LAN} 239.5.5.5`);
    },
    false,
  ],
  [
    'an interface that is down, or whose point-to-point link has nobody (DVMRP-087)',
    (bed) => {
      pruneable(bed, D1);
      bed.joins(LAN);
      bed.closed.add(`${LAN} *`);
    },
    false,
  ],
];

test.each(ROWS)('with %s the flow leaves there or not (DVMRP-081)', (_what, arrange, leaves) => {
  const bed = new ForwardingBed();
  arrange(bed);
  bed.data();
  expect(bed.oifs()).toEqual(leaves ? [LAN] : []);
});

test('members of other sources, and sources that all of them refuse, do not open an interface (DVMRP-081)', () => {
  const bed = new ForwardingBed();
  pruneable(bed);
  bed.joins(LAN, G, ip('10.1.0.11'));
  bed.data();
  expect(bed.oifs()).toEqual([]);
  bed.joins(LAN);
  expect(bed.oifs()).toEqual([LAN]);
  bed.forwarding.memberRefuses(bed.nowMs, LAN, { source: S, group: G }, true);
  expect(bed.oifs()).toEqual([]);
  bed.forwarding.memberRefuses(bed.nowMs, LAN, { source: S, group: G }, false);
  expect(bed.oifs()).toEqual([LAN]);
});

test('a source that another protocol reaches leaves by dependents of a route told for it, and to members', () => {
  const bed = new ForwardingBed();
  const route = bed.addRoute('0.0.0.0/0');
  bed.depends(route, LAN, D1);
  bed.joins(OTHER);
  bed.data();
  expect(bed.entries.values().next().value?.iif).toBe(FOREIGN);
  expect(bed.oifs()).toEqual([LAN, OTHER]);
  // and there is nobody to prune
  bed.prune(D1, 100);
  bed.leaves(OTHER);
  expect(bed.heard()).toEqual([`close ${LAN}`, `close ${OTHER}`]);
});

test('a boundary on the incoming interface leaves nothing to want (DVMRP-083, DVMRP-090)', () => {
  const bed = new ForwardingBed();
  pruneable(bed);
  bed.closed.add(`${UPLINK} 239.5.5.5`);
  bed.joins(LAN);
  bed.data();
  // The manager empties the list (INT-025); forwarding asks for nothing then, and prunes.
  bed.entries.values().next().value!.oifs.clear();
  bed.forwarding.entryUnwanted(bed.nowMs, { source: S, group: G });
  expect(bed.heard()).toEqual(['prune 10.1.0.10 7200 s to 10.9.0.1']);
});

test('member, dependent, prune and route changes reach the entry in the same step (DVMRP-084)', () => {
  const bed = new ForwardingBed();
  const route = pruneable(bed);
  bed.data();
  bed.heard();
  // members
  bed.joins(LAN);
  expect(bed.oifs()).toEqual([LAN]);
  bed.leaves(LAN);
  expect(bed.oifs()).toEqual([]);
  // dependents
  bed.depends(route, OTHER, D1);
  expect(bed.oifs()).toEqual([OTHER]);
  // prunes
  bed.prune(D1, 100, { ifindex: OTHER });
  expect(bed.oifs()).toEqual([]);
  bed.graft(D1, { ifindex: OTHER });
  expect(bed.oifs()).toEqual([OTHER]);
  // dependents that go
  route.dependents.clear();
  bed.changed(route);
  expect(bed.oifs()).toEqual([]);
  // forwarders
  bed.joins(LAN);
  route.notDesignated.add(LAN);
  bed.changed(route);
  expect(bed.oifs()).toEqual([]);
  route.notDesignated.delete(LAN);
  bed.changed(route);
  expect(bed.oifs()).toEqual([LAN]);
});

test('a more specific route takes over its sources, and gives them back when it goes (DVMRP-085)', () => {
  const bed = new ForwardingBed();
  pruneable(bed, D1);
  bed.data();
  expect(bed.oifs()).toEqual([LAN]);
  const specific = bed.addRoute('10.1.0.0/24', UPLINK, UP);
  bed.depends(specific, OTHER, D2);
  expect(bed.oifs()).toEqual([OTHER]);
  bed.withdraw(specific);
  expect(bed.oifs()).toEqual([LAN]);
});

test('where the route came in before, we are forwarder and the flow goes to members at once (DVMRP-074)', () => {
  const bed = new ForwardingBed();
  const route = pruneable(bed);
  bed.joins(UPLINK);
  bed.data();
  expect(bed.oifs()).toEqual([]);
  route.iif = OTHER;
  // the manager decides the entry anew: RPF, then the old incoming interface is a candidate
  bed.forwarding.incoming(bed.nowMs, { source: S, group: G }, OTHER, false);
  expect(bed.forwarding.vetoes(bed.nowMs, { source: S, group: G }, OTHER, [UPLINK])).toEqual([]);
});

test('an entry that ends leaves the record of its prune, so that a member can graft (DVMRP-086)', () => {
  const bed = new ForwardingBed();
  pruneable(bed);
  bed.data();
  bed.expires();
  expect(bed.heard()).toEqual(['prune 10.1.0.10 7200 s to 10.9.0.1']);
  bed.joins(LAN);
  expect(bed.heard()).toEqual(['graft 10.1.0.10 to 10.9.0.1']);
});

test('the first sender inside asks for its group outside, the last one that ends lets it go (INT-029)', () => {
  const bed = new ForwardingBed({ membersAreSenders: true });
  pruneable(bed, D1);
  const other = ip('10.1.0.11');
  bed.data();
  bed.data(other);
  expect(bed.heard()).toEqual([`pull 239.5.5.5 on ${UPLINK}`]);
  bed.expires();
  expect(bed.heard()).toEqual([]);
  bed.expires(other);
  expect(bed.heard()).toEqual([`let go 239.5.5.5 on ${UPLINK}`]);
  // source-specific groups cannot be asked for without a source, and what comes from outside asks for nothing
  bed.data(S, ip('232.1.1.1'));
  bed.addRoute('172.16.0.0/12');
  bed.data(ip('172.16.0.1'));
  expect(bed.heard()).toEqual([]);
});

test('after an interface is gone nothing of it is left, and what came in by it is forgotten', () => {
  const bed = new ForwardingBed({ membersAreSenders: true });
  pruneable(bed, D1);
  bed.data();
  bed.closed.add(`${UPLINK} *`);
  bed.heard();
  bed.forwarding.interfaceGone(bed.nowMs, UPLINK);
  bed.withdraw(bed.routes[0]!);
  expect([...bed.forwarding.branches()]).toEqual([]);
  expect(bed.forwarding.nextDeadlineMs).toBe(Number.POSITIVE_INFINITY);
});
