/** Somebody else touches the vifs and modes of the table: noticed within a second, and streams resume (C5). */
import { expect, test } from 'vitest';
import type { Vif } from '../../../src/port/kernel.js';
import { any, Bed, G1, S2 } from '../../support/manager-bed.js';

/** pim owns eth2 and eth1; (S2,G1) flows to eth1. */
async function flowing() {
  const bed = new Bed();
  const pim = await bed.client('pim', [bed.eth2, bed.eth1]);
  await pim.add(any(G1), bed.eth1);
  await bed.flow(S2, G1, bed.eth2);
  await bed.forget();
  const delivers = async () => bed.kernel.timesDelivered(bed.eth1, [await bed.flow(S2, G1, bed.eth2)])[0];
  return { bed, pim, delivers };
}

const told = (bed: Bed) => bed.log.lines.filter(({ fields }) => fields.evt === 'kernel.repaired');

test('a stream resumes within a second after somebody deleted the vif it leaves or comes in by (C5)', async () => {
  const { bed, delivers } = await flowing();
  for (const ifindex of [bed.eth1, bed.eth2]) {
    bed.kernel.mroute.foreign.delVif(bed.kernel.mroute.vifOf(ifindex)!);
    expect(await delivers()).toBe(0);
    await bed.clock.run(1000);
    expect(await delivers()).toBe(1);
  }
  expect(told(bed).map(({ fields }) => fields['ifname'])).toEqual(['eth1', 'eth2']);
});

test('a vif is back within a second even if nobody tells that it went (C5)', async () => {
  const { bed, delivers } = await flowing();
  bed.kernel.mroute.onVifChange(() => undefined);
  bed.kernel.mroute.foreign.delVif(bed.kernel.mroute.vifOf(bed.eth1)!);
  await bed.clock.run(1000);
  expect(await delivers()).toBe(1);
});

test('a vif number that somebody gave to another device leads to ours again (C5)', async () => {
  const { bed, delivers } = await flowing();
  const vif = bed.kernel.mroute.vifOf(bed.eth1)!;
  bed.kernel.mroute.foreign.delVif(vif);
  bed.kernel.mroute.foreign.addVif(vif, bed.eth3);
  await bed.clock.run(1000);
  expect(await delivers()).toBe(1);
});

test('a second vif on a device of ours, which takes its input, is removed (C5)', async () => {
  const { bed } = await flowing();
  const vif = bed.kernel.mroute.vifOf(bed.eth2)!;
  bed.kernel.mroute.foreign.addVif(31 as Vif, bed.eth2);
  expect(bed.kernel.mroute.vifOf(bed.eth2)).toBe(31);
  await bed.clock.run(1000);
  expect(bed.kernel.mroute.vifOf(bed.eth2)).toBe(vif);
});

test('MRT_ASSERT and MRT_PIM are set again within a second when somebody switches them (C5)', async () => {
  const { bed } = await flowing();
  bed.kernel.mroute.foreign.setAssert(false);
  await bed.clock.run(1000);
  expect(bed.kernel.mroute.asserts).toBe(true);
  bed.kernel.mroute.pim = true;
  await bed.clock.run(1000);
  expect(bed.kernel.mroute.pim).toBe(false);
  expect(bed.manager.snapshot().counters()['reconcile.modes']).toBe(2);
});

test('a table that a holder of the same socket gave up is taken back with its vifs and entries (C5)', async () => {
  const { bed, delivers } = await flowing();
  bed.kernel.mroute.foreign.giveUp();
  await bed.clock.run(1000);
  expect(bed.entry(S2, G1)).toBe('eth2 -> eth1');
  expect(await delivers()).toBe(1);
  expect(told(bed).map(({ fields }) => fields['why'])).toContain('table');
});

test('somebody who deletes a vif over and over causes a few lines (C5, A6, F54)', async () => {
  const { bed } = await flowing();
  for (let n = 0; n < 60; n++) {
    bed.kernel.mroute.foreign.delVif(bed.kernel.mroute.vifOf(bed.eth1)!);
    await bed.clock.run(1000);
  }
  expect(bed.manager.snapshot().counters()['reconcile.vifs']).toBe(60);
  expect(told(bed).length).toBeLessThanOrEqual(9);
});

test('interfaces that are taken and released all the time are no work of others (C5)', async () => {
  const { bed, pim } = await flowing();
  for (let n = 0; n < 20; n++) {
    await pim.takes(bed.eth3);
    await bed.clock.run(490 + n);
    await pim.release(bed.eth3);
    await bed.clock.run(10);
  }
  expect(told(bed)).toEqual([]);
});

test('somebody deletes a vif again and again: some lines, and at the end how many more there were (C5, A6)', async () => {
  const { bed } = await flowing();
  for (let n = 0; n < 10; n++) {
    bed.kernel.mroute.foreign.delVif(bed.kernel.mroute.vifOf(bed.eth1)!);
    await bed.clock.run(100);
  }
  expect(told(bed)).toHaveLength(3);
  await bed.clock.run(60_000);
  expect(told(bed)).toHaveLength(4);
  expect(told(bed)[3]).toMatchObject({ fields: { why: 'vif', heldBack: 7 } });
  await bed.manager.stop();
  expect(bed.clock.due()).toBe(0);
});
