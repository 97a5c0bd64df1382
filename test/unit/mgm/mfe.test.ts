/** The life of a forwarding entry: manager.md sections 2.8 and 5.6. */
import { expect, test } from 'vitest';
import { ip } from '../../../src/base/ip.js';
import { settle } from '../../support/fake-clock.js';
import { any, Bed, type BedConfig, G1, G2, S2, sg } from '../../support/manager-bed.js';

/** pim owns eth2 (towards S2) and eth0, dvmrp owns eth1; a flow (S2,G1) goes to eth1. */
async function flowing(config: BedConfig = {}) {
  const bed = new Bed(config);
  const pim = await bed.client('pim', [bed.eth2, bed.eth0]);
  const dvmrp = await bed.client('dvmrp', [bed.eth1]);
  await dvmrp.add(any(G1), bed.eth1);
  await bed.flow(S2, G1, bed.eth2);
  await bed.forget();
  return { bed, pim, dvmrp };
}

test('an entry that has been idle for its whole time-out is gone from manager and kernel (MGM-MFE-01)', async () => {
  const { bed } = await flowing();
  // the packet that made the entry passed in the first 900 s, so those are followed by 900 idle ones
  await bed.clock.run(1_799_999);
  expect(bed.entry(S2, G1)).toBe('eth2 -> eth1');
  await bed.clock.run(1);
  expect(bed.entry(S2, G1)).toBeUndefined();
  expect(bed.manager.getMfe(sg(S2, G1)).code).toBe('ERROR_NOT_FOUND');
});

test('a negative entry is gone at its end even when packets keep coming (MGM-MFE-01, D-MFE-2)', async () => {
  const { bed } = await flowing();
  await bed.flow(S2, G2, bed.eth2);
  for (let n = 0; n < 9; n++) {
    await bed.flow(S2, G2, bed.eth2);
    await bed.clock.run(99_999);
  }
  expect(bed.entry(S2, G2)).toBe('eth2 -> ');
  await bed.clock.run(9);
  expect(bed.entry(S2, G2)).toBeUndefined();
});

test('when a deleted entry’s flow continues, the callbacks of creation run again (MGM-MFE-02)', async () => {
  const { bed } = await flowing({ mfeExpiry: 'strict' });
  await bed.clock.run(900_000);
  expect(bed.entry(S2, G1)).toBeUndefined();
  await bed.forget();
  await bed.flow(S2, G1, bed.eth2);
  expect(bed.journal).toEqual([
    'pim rpf (10.0.2.9,239.1.1.1) eth2',
    'dvmrp creation (10.0.2.9,239.1.1.1) eth1',
    'pim join (10.0.2.9,239.1.1.1) FALSE',
  ]);
});

test('a positive entry with traffic is refreshed in place, its decisions taken anew, without loss (MGM-MFE-03)', async () => {
  // given a flow that goes on
  const { bed } = await flowing();
  const ids: number[] = [];
  // when its time-out passes
  for (let second = 0; second < 1000; second += 100) {
    ids.push(await bed.flow(S2, G1, bed.eth2));
    await bed.clock.run(100_000);
    ids.push(await bed.flow(S2, G1, bed.eth2));
  }
  // then the owners were asked again, the clock was restarted, and nothing was lost
  expect(bed.journal).toContain('pim rpf (10.0.2.9,239.1.1.1) eth2');
  expect(bed.journal).toContain('dvmrp creation (10.0.2.9,239.1.1.1) eth1');
  expect(bed.entry(S2, G1)).toBe('eth2 -> eth1');
  expect(bed.mfe(S2, G1)!.expiresIn).toBeGreaterThan(700);
  expect(bed.kernel.timesDelivered(bed.eth1, ids)).toEqual(ids.map(() => 1));
});

test('packets on the wrong interface do not keep an entry (K-16) (MGM-MFE-03)', async () => {
  const { bed } = await flowing();
  await bed.clock.run(900_000); // refreshed once: the packet that made it counts
  for (let n = 0; n < 9; n++) {
    await bed.flow(S2, G1, bed.eth1);
    await bed.clock.run(100_000);
  }
  expect(bed.entry(S2, G1)).toBeUndefined();
});

test('in strict mode the entry is deleted at its end whatever passed (MGM-MFE-03)', async () => {
  const { bed } = await flowing({ mfeExpiry: 'strict' });
  await bed.clock.run(899_999);
  await bed.flow(S2, G1, bed.eth2);
  expect(bed.entry(S2, G1)).toBe('eth2 -> eth1');
  await bed.clock.run(1);
  expect(bed.entry(S2, G1)).toBeUndefined();
});

test('upTime and expiresIn add up to timeout at any time (MGM-MFE-04)', async () => {
  const { bed, dvmrp } = await flowing();
  const check = () => {
    const { upTime, expiresIn, timeout } = bed.mfe(S2, G1)!;
    expect(Math.abs(upTime + expiresIn! - timeout)).toBeLessThanOrEqual(1);
  };
  for (const stepMs of [0, 1, 499, 500, 10_000, 333_333]) {
    await bed.clock.run(stepMs);
    check();
  }
  // also after it turned negative, and positive again (D-MFE-3)
  await dvmrp.remove(any(G1), bed.eth1);
  await bed.clock.run(5_000);
  check();
  await dvmrp.add(any(G1), bed.eth1);
  await bed.clock.run(5_000);
  check();
});

test('a negative entry that turns positive starts again with 900 s (D-MFE-3)', async () => {
  const { bed, dvmrp } = await flowing();
  await bed.flow(S2, G2, bed.eth2);
  await bed.clock.run(800_000);
  await dvmrp.add(any(G2), bed.eth1);
  expect(bed.mfe(S2, G2)).toMatchObject({ timeout: 900, expiresIn: 900 });
});

test('the neighbour that the iif owner sets is what GetMfe shows (MGM-MFE-05)', async () => {
  const { bed, pim } = await flowing();
  const status = bed.manager.setMfe(pim.handle!, sg(S2, G1), { upstreamNeighbor: ip('10.0.2.77') });
  expect(status.code).toBe('NO_ERROR');
  expect(bed.mfe(S2, G1)?.upstreamNeighbor).toBe(ip('10.0.2.77'));
});

test('a different iif of the same owner is written, and the lists follow (MGM-MFE-05, D-SET-1)', async () => {
  // given membership on both interfaces of the iif owner
  const { bed, pim } = await flowing();
  await pim.add(any(G1), bed.eth2);
  await pim.add(any(G1), bed.eth0);
  expect(bed.entry(S2, G1)).toBe('eth2 -> eth0,eth1');
  // when it moves the flow
  expect(bed.manager.setMfe(pim.handle!, sg(S2, G1), { iif: bed.eth0 }).code).toBe('NO_ERROR');
  // then the new iif is out of the list and the old one in it
  expect(bed.entry(S2, G1)).toBe('eth0 -> eth1,eth2');
  // and an iif of somebody else is refused
  expect(bed.manager.setMfe(pim.handle!, sg(S2, G1), { iif: bed.eth1 }).code).toBe('ERROR_INVALID_PARAMETER');
  expect(bed.entry(S2, G1)).toBe('eth0 -> eth1,eth2');
});

test('setting what does not exist is ERROR_NOT_FOUND (MGM-MFE-06)', async () => {
  const { bed, pim } = await flowing();
  expect(bed.manager.setMfe(pim.handle!, sg(S2, G2), { upstreamNeighbor: ip('10.0.2.77') }).code).toBe(
    'ERROR_NOT_FOUND',
  );
});

test('setting by anybody but the iif owner is refused (MGM-MFE-07)', async () => {
  const { bed, dvmrp } = await flowing();
  const answer = bed.manager.setMfe(dvmrp.handle!, sg(S2, G1), { upstreamNeighbor: ip('10.0.2.77') });
  expect([answer.code, answer.detail]).toEqual(['ERROR_INVALID_PARAMETER', 'notIifOwner']);
  expect(bed.mfe(S2, G1)?.upstreamNeighbor).not.toBe(ip('10.0.2.77'));
});

test('stopping the manager leaves no timer, no entry and no vif', async () => {
  // given timers of all kinds: entries, a resync, an answer that does not come
  const { bed, pim } = await flowing();
  await bed.igmp([bed.eth3], { saysResyncDone: false });
  await pim.takes(bed.eth3);
  await bed.client('slow', [], { answers: { creationAlert: () => new Promise(() => undefined) } });
  expect(bed.clock.due()).toBeGreaterThan(0);
  // when it stops
  expect(await bed.manager.stop()).toMatchObject({ code: 'NO_ERROR' });
  await settle();
  // then nothing is left but IGMP's own turn
  await bed.clock.run(0);
  expect(bed.clock.due()).toBe(0);
  expect(bed.kernel.mroute.table()).toEqual({ entries: [], vifs: [] });
});
