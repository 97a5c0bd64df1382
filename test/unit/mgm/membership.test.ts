/** Adding and deleting membership: manager.md sections 1.2, 1.3, 2.6, 2.7 and 5.2. */
import { describe, expect, test } from 'vitest';
import { ANY4, ip, ipv4 } from '../../../src/base/ip.js';
import { FORWARD, JOIN, type MaskedKey } from '../../../src/mgm/client.js';
import type { Ifindex } from '../../../src/port/kernel.js';
import { settle } from '../../support/fake-clock.js';
import { ALL, any, Bed, G1, G2, now, S2, S3, said, sg } from '../../support/manager-bed.js';

const ONES = ipv4(0xffffffff);

/** pim owns eth2 (towards S2), dvmrp owns eth1 and eth3; a flow (S2,G1) goes to eth1. */
async function flowing() {
  const bed = new Bed();
  const pim = await bed.client('pim', [bed.eth2]);
  const dvmrp = await bed.client('dvmrp', [bed.eth1, bed.eth3]);
  await dvmrp.add(any(G1), bed.eth1);
  await bed.flow(S2, G1, bed.eth2);
  await bed.forget();
  return { bed, pim, dvmrp };
}

test('adding before taking the interface is refused (MGM-MEM-01)', async () => {
  const bed = new Bed();
  const pim = await bed.client('pim');
  await bed.igmp([bed.eth1]);
  await bed.client('dvmrp', [bed.eth2]);
  for (const ifindex of [bed.eth0, bed.eth1, bed.eth2])
    expect(now(pim.add(any(G1), ifindex))).toBe('ERROR_INVALID_PARAMETER');
  expect(bed.memberships()).toEqual([]);
});

test('deleting on an interface owned by another is refused (MGM-MEM-02)', async () => {
  const { bed, pim } = await flowing();
  expect(await said(pim.remove(any(G1), bed.eth1))).toBe('ERROR_INVALID_PARAMETER notOwner');
  expect(bed.entry(S2, G1)).toBe('eth2 -> eth1');
});

test('deleting on an unknown interface is ERROR_NOT_FOUND (MGM-MEM-03)', async () => {
  const { pim } = await flowing();
  expect(now(pim.remove(any(G1), 999 as Ifindex))).toBe('ERROR_NOT_FOUND');
});

test('source 0 mask 0 is (*,G), with group and mask 0 too it is (*,*) (MGM-MEM-04)', async () => {
  const bed = new Bed();
  const pim = await bed.client('pim', [bed.eth1]);
  await pim.add({ source: ANY4, sourceMask: ANY4, group: G1, groupMask: ONES }, bed.eth1);
  await pim.add({ source: ANY4, sourceMask: ANY4, group: ANY4, groupMask: ANY4 }, bed.eth1);
  await pim.add({ source: S2, sourceMask: ONES, group: G1, groupMask: ONES }, bed.eth1);
  expect(bed.memberships()).toEqual(['(*,*) eth1 pim', '(*,239.1.1.1) eth1 pim', '(10.0.2.9,239.1.1.1) eth1 pim']);
  // masks or not, it is the same entry
  expect(now(pim.remove(ALL, bed.eth1))).toBe('NO_ERROR');
  expect(now(pim.remove(sg(S2, G1), bed.eth1))).toBe('NO_ERROR');
  expect(bed.memberships()).toEqual(['(*,239.1.1.1) eth1 pim']);
});

describe('and MGM-MEM-06 keys that are refused, by Add and by Delete (MGM-MEM-05)', () => {
  const refused: readonly (readonly [string, MaskedKey])[] = [
    ['a range of sources (MGM-MEM-05)', { source: ip('10.0.2.0'), sourceMask: ip('255.255.255.0'), group: G1 }],
    ['a range of groups (MGM-MEM-05)', { source: ANY4, group: ip('239.1.0.0'), groupMask: ip('255.255.0.0') }],
    ['source 0 with a mask (MGM-MEM-05)', { source: ANY4, sourceMask: ONES, group: G1 }],
    ['group 0 with a mask (MGM-MEM-05)', { source: ANY4, group: ANY4, groupMask: ONES }],
    ['a source with mask 0 (MGM-MEM-05)', { source: S2, sourceMask: ANY4, group: G1 }],
    ['a group with mask 0 (MGM-MEM-05)', { source: ANY4, group: G1, groupMask: ANY4 }],
    ['(s,*), which does not exist (MGM-MEM-05)', { source: S2, group: ANY4 }],
    ['a unicast group (MGM-MEM-06)', any(ip('10.1.1.1'))],
    ['a group above 239 (MGM-MEM-06)', any(ip('240.0.0.1'))],
    ['the first link-local group (MGM-MEM-06)', any(ip('224.0.0.0'))],
    ['the last link-local group (MGM-MEM-06)', any(ip('224.0.0.255'))],
    ['a multicast source (MGM-MEM-06)', sg(ip('239.1.1.1'), G1)],
  ];
  test.each(refused)('%s', async (_, key) => {
    const bed = new Bed();
    const pim = await bed.client('pim', [bed.eth1]);
    expect(now(pim.add(key, bed.eth1))).toBe('ERROR_INVALID_PARAMETER');
    expect(now(pim.remove(key, bed.eth1))).toBe('ERROR_INVALID_PARAMETER');
    expect(bed.memberships()).toEqual([]);
  });

  test('the first and the last group that can be forwarded are accepted (MGM-MEM-06)', async () => {
    const bed = new Bed();
    const pim = await bed.client('pim', [bed.eth1]);
    for (const group of ['224.0.1.0', '239.255.255.255'])
      expect(now(pim.add(any(ip(group)), bed.eth1))).toBe('NO_ERROR');
  });
});

test('flags of 0 or with an unknown bit are refused (MGM-MEM-07)', async () => {
  const { bed, dvmrp } = await flowing();
  for (const flags of [0, 4, JOIN | 8, -1]) {
    expect(await said(dvmrp.add(sg(S2, G1), bed.eth1, flags))).toBe('ERROR_INVALID_PARAMETER badFlags');
    expect(await said(dvmrp.remove(sg(S2, G1), bed.eth1, flags))).toBe('ERROR_INVALID_PARAMETER badFlags');
  }
});

test('before Add answers, the interface is in the list of every matching entry and in the kernel (MGM-MEM-08)', async () => {
  for (const key of [sg(S2, G1), any(G1), ALL]) {
    const { bed, dvmrp } = await flowing();
    expect(now(dvmrp.add(key, bed.eth3))).toBe('NO_ERROR');
    expect(bed.entry(S2, G1)).toBe('eth2 -> eth1,eth3');
  }
});

test('before Delete of the last match answers, the interface has left the list and the kernel (MGM-MEM-09)', async () => {
  const { bed, dvmrp } = await flowing();
  await dvmrp.add(sg(S2, G1), bed.eth1);
  expect(now(dvmrp.remove(any(G1), bed.eth1))).toBe('NO_ERROR');
  expect(bed.entry(S2, G1)).toBe('eth2 -> eth1');
  expect(now(dvmrp.remove(sg(S2, G1), bed.eth1))).toBe('NO_ERROR');
  expect(bed.entry(S2, G1)).toBe('eth2 -> ');
});

test('FORWARD-Delete takes the interface from one entry; membership and alerts stay (MGM-MEM-10)', async () => {
  // given two flows of one group, each going to two interfaces
  const { bed, dvmrp } = await flowing();
  const other = ip('10.0.2.10');
  await bed.flow(other, G1, bed.eth2);
  await dvmrp.add(any(G1), bed.eth3);
  await bed.forget();
  // when one is taken off one interface
  expect(now(dvmrp.remove(sg(S2, G1), bed.eth1, FORWARD))).toBe('NO_ERROR');
  await settle();
  // then nothing else happened
  expect([bed.entry(S2, G1), bed.entry(other, G1)]).toEqual(['eth2 -> eth3', 'eth2 -> eth1,eth3']);
  expect(bed.memberships()).toEqual(['(*,239.1.1.1) eth1 dvmrp', '(*,239.1.1.1) eth3 dvmrp']);
  expect(bed.journal).toEqual([]);
});

test('FORWARD-Add puts the interface into one entry; no alert is sent (MGM-MEM-11)', async () => {
  const { bed, dvmrp } = await flowing();
  const other = ip('10.0.2.10');
  await bed.flow(other, G1, bed.eth2);
  await bed.forget();
  expect(now(dvmrp.add(sg(S2, G1), bed.eth3, FORWARD))).toBe('NO_ERROR');
  await settle();
  expect([bed.entry(S2, G1), bed.entry(other, G1)]).toEqual(['eth2 -> eth1,eth3', 'eth2 -> eth1']);
  expect([bed.memberships(), bed.journal]).toEqual([['(*,239.1.1.1) eth1 dvmrp'], []]);
});

test('FORWARD with a wildcard is refused (MGM-MEM-12)', async () => {
  const { bed, dvmrp } = await flowing();
  for (const key of [any(G1), ALL]) {
    expect(await said(dvmrp.add(key, bed.eth3, FORWARD))).toBe('ERROR_INVALID_PARAMETER wildcardForward');
    expect(await said(dvmrp.remove(key, bed.eth3, FORWARD))).toBe('ERROR_INVALID_PARAMETER wildcardForward');
    expect(now(dvmrp.add(key, bed.eth3, JOIN | FORWARD))).toBe('ERROR_INVALID_PARAMETER');
  }
  expect(bed.entry(S2, G1)).toBe('eth2 -> eth1');
});

test('FORWARD without an entry: Delete finds nothing, Add cannot complete, nothing is remembered (MGM-MEM-13)', async () => {
  const { bed, dvmrp } = await flowing();
  expect(await said(dvmrp.remove(sg(S2, G2), bed.eth1, FORWARD))).toBe('ERROR_NOT_FOUND noSuchMfe');
  expect(await said(dvmrp.add(sg(S2, G2), bed.eth1, FORWARD))).toBe('ERROR_CAN_NOT_COMPLETE noSuchMfe');
  await bed.flow(S2, G2, bed.eth2);
  expect(bed.entry(S2, G2)).toBe('eth2 -> ');
});

test('JOIN and FORWARD together work without an entry (MGM-MEM-13, D-FLAG-2)', async () => {
  const { bed, dvmrp } = await flowing();
  expect(now(dvmrp.add(sg(S2, G2), bed.eth1, JOIN | FORWARD))).toBe('NO_ERROR');
  expect(bed.memberships()).toContain('(10.0.2.9,239.1.1.2) eth1 dvmrp');
  expect(now(dvmrp.remove(sg(S2, G2), bed.eth1, JOIN | FORWARD))).toBe('NO_ERROR');
});

test('an override lasts until a JOIN of a matching key, and dies with the entry (D-FLAG-3)', async () => {
  // given a flow kept off eth1
  const { bed, dvmrp } = await flowing();
  await dvmrp.remove(sg(S2, G1), bed.eth1, FORWARD);
  expect(bed.entry(S2, G1)).toBe('eth2 -> ');
  // when a matching key is joined
  await dvmrp.add(sg(S2, G1), bed.eth1);
  expect(bed.entry(S2, G1)).toBe('eth2 -> eth1');
  // and an interface switched on by FORWARD leaves with a matching Delete
  await dvmrp.add(sg(S2, G1), bed.eth3, FORWARD);
  expect(bed.entry(S2, G1)).toBe('eth2 -> eth1,eth3');
  await dvmrp.add(any(G1), bed.eth3);
  await dvmrp.remove(any(G1), bed.eth3);
  expect(bed.entry(S2, G1)).toBe('eth2 -> eth1');
});

test('the same Add twice is one entry, one alert, one Delete (MGM-MEM-14)', async () => {
  const { bed, dvmrp } = await flowing();
  expect(now(dvmrp.add(any(G2), bed.eth1))).toBe('NO_ERROR');
  expect(now(dvmrp.add(any(G2), bed.eth1))).toBe('NO_ERROR');
  await settle();
  expect(bed.journal).toEqual(['pim join (*,239.1.1.2) TRUE']);
  expect(now(dvmrp.remove(any(G2), bed.eth1))).toBe('NO_ERROR');
  expect(bed.memberships()).not.toContain('(*,239.1.1.2) eth1 dvmrp');
});

test('deleting what is not there is ERROR_NOT_FOUND and alerts nobody (MGM-MEM-15)', async () => {
  const { bed, dvmrp } = await flowing();
  expect(await said(dvmrp.remove(any(G2), bed.eth1))).toBe('ERROR_NOT_FOUND noSuchEntry');
  expect(await said(dvmrp.remove(any(G1), bed.eth3))).toBe('ERROR_NOT_FOUND noSuchEntry');
  await settle();
  expect(bed.journal).toEqual([]);
});

test('IGMP and the owner hold the same key: forwarding ends with the second Delete (MGM-MEM-16)', async () => {
  for (const first of ['igmp', 'owner'] as const) {
    const { bed, dvmrp } = await flowing();
    const igmp = await bed.igmp([bed.eth1]);
    await igmp.hostJoins(any(G1), bed.eth1);
    const [one, two] = first === 'igmp' ? [igmp, dvmrp] : [dvmrp, igmp];
    await one.remove(any(G1), bed.eth1);
    expect(bed.entry(S2, G1)).toBe('eth2 -> eth1');
    await two.remove(any(G1), bed.eth1);
    expect(bed.entry(S2, G1)).toBe('eth2 -> ');
  }
});

test('deleting (*,G) leaves (S,G) alone, and the reverse (MGM-MEM-17)', async () => {
  const { bed, dvmrp } = await flowing();
  await dvmrp.add(sg(S3, G1), bed.eth1);
  await dvmrp.remove(any(G1), bed.eth1);
  expect(bed.memberships()).toEqual(['(10.0.3.9,239.1.1.1) eth1 dvmrp']);
  await dvmrp.add(any(G1), bed.eth1);
  await dvmrp.remove(sg(S3, G1), bed.eth1);
  expect(bed.memberships()).toEqual(['(*,239.1.1.1) eth1 dvmrp']);
});

test('a change that leaves an entry as it is costs no kernel call', async () => {
  const { bed, dvmrp } = await flowing();
  const calls = bed.kernel.mroute.calls.addMfc;
  await dvmrp.add(sg(S2, G1), bed.eth1); // matched already
  await dvmrp.add(ALL, bed.eth1); // likewise
  await dvmrp.remove(any(G1), bed.eth1); // two others still match
  await dvmrp.add(any(G2), bed.eth3); // no entry
  expect(bed.kernel.mroute.calls.addMfc).toBe(calls);
});

test('when the kernel refuses an entry, Add says so and the manager does not pretend (D-ERR-1)', async () => {
  const { bed, dvmrp } = await flowing();
  bed.kernel.mroute.refuse('addMfc', 'ENOBUFS');
  expect(await said(dvmrp.add(any(G1), bed.eth3))).toBe('ERROR_CAN_NOT_COMPLETE kernelRefused');
});

test('only the owner of an interface changes what an entry says about it (INT-002)', async () => {
  // given a stream that leaves by eth1, which pim owns beside IGMP
  const bed = new Bed();
  const pim = await bed.client('pim', [bed.eth1]);
  const other = await bed.client('other', [bed.eth2]);
  const igmp = await bed.igmp([bed.eth1]);
  await bed.resync();
  await pim.add(any(G1), bed.eth1);
  await bed.flow(S2, G1, bed.eth2);
  // when others touch the entry there
  for (const client of [igmp, other])
    expect(await said(client.remove(sg(S2, G1), bed.eth1, FORWARD))).toBe('ERROR_INVALID_PARAMETER notOwner');
  // then nothing has changed, and the owner's own word counts
  expect(bed.entry(S2, G1)).toBe('eth2 -> eth1');
  expect(await said(pim.remove(sg(S2, G1), bed.eth1, FORWARD))).toBe('NO_ERROR');
  expect(bed.entry(S2, G1)).toBe('eth2 -> ');
});

test('an output that comes and goes while another stays alerts nobody (INT-009)', async () => {
  const bed = new Bed();
  const pim = await bed.client('pim', [bed.eth1, bed.eth3]);
  await bed.client('dvmrp', [bed.eth2]);
  await pim.add(any(G1), bed.eth1);
  await bed.flow(S2, G1, bed.eth2);
  await bed.forget();
  for (let round = 0; round < 3; round++) {
    await pim.add(any(G1), bed.eth3);
    expect(bed.entry(S2, G1)).toBe('eth2 -> eth1,eth3');
    await pim.remove(any(G1), bed.eth3);
  }
  await bed.resync();
  expect(bed.entry(S2, G1)).toBe('eth2 -> eth1');
  expect(bed.journal).toEqual([]);
});
