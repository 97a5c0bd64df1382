/** A predecessor left many entries: beginning with them, taking them up and a late owner take slices (A2, D-RST-1). */
import { expect, test } from 'vitest';
import { type IpAddress, ipv4 } from '../../../src/base/ip.js';
import type { AdoptionResult } from '../../../src/mgm/entries/adoption.js';
import { STEPS_PER_SLICE } from '../../../src/mgm/slices.js';
import { settle } from '../../support/fake-clock.js';
import { any, Bed, G1, S0, S2 } from '../../support/manager-bed.js';

const MANY = 4000;
const groupNo = (n: number): IpAddress => ipv4(0xe8000000 + n);
const LAST = groupNo(MANY - 1);

/** pim forwarded MANY groups from eth2 to eth1; then the manager died. */
async function predecessor() {
  const bed = new Bed();
  const pim = await bed.client('pim', [bed.eth2, bed.eth1, bed.eth3]);
  for (let n = 0; n < MANY; n++) {
    await pim.add(any(groupNo(n)), bed.eth1);
    bed.kernel.packet(S2, groupNo(n), bed.eth2);
  }
  await bed.clock.run(1000);
  expect(bed.kernel.mroute.size()).toBe(MANY);
  return bed;
}

/** The manager after it, which has begun with the table. */
async function succeeded(ended: (result: AdoptionResult) => void = () => undefined) {
  const bed = await (await predecessor()).succeeded(ended);
  await bed.clock.run(100);
  return bed;
}

/** System calls and entries taken up in the turn of an event; the clock stands still in one. */
async function inItsTurn(bed: Bed, event: () => unknown): Promise<{ calls: number; taken: number }> {
  const now = () => {
    const { addMfc, delMfc } = bed.kernel.mroute.calls;
    return { calls: addMfc + delMfc, taken: bed.manager.snapshot().totals().flows };
  };
  const before = now();
  void event();
  await settle();
  const after = now();
  return { calls: after.calls - before.calls, taken: after.taken - before.taken };
}

test('a manager begins with a large table in slices, and says when interfaces may be taken (A2)', async () => {
  const old = await predecessor();
  await settle();
  const before = old.kernel.mroute.calls.addMfc;
  const bed = await old.succeeded();
  // then a part was written in the turn of the call, and the rest follows
  expect(bed.kernel.mroute.calls.addMfc - before).toBeLessThanOrEqual(STEPS_PER_SLICE);
  await bed.clock.run(100);
  expect(bed.kernel.mroute.calls.addMfc - before).toBe(MANY);
});

test('a large table is taken up in slices, and the answer comes when it has been (A2)', async () => {
  const bed = await succeeded();
  await bed.client('pim', [bed.eth2, bed.eth1, bed.eth3]);
  let answered = false;
  const { taken } = await inItsTurn(bed, () => Promise.resolve(bed.manager.takeUp()).then(() => (answered = true)));
  expect([taken <= STEPS_PER_SLICE, taken > 0, answered]).toEqual([true, true, false]);
  await bed.clock.run(1000);
  expect(answered).toBe(true);
  expect(bed.manager.snapshot().totals().flows).toBe(MANY);
  expect(bed.entry(S2, LAST)).toBe('eth2 -> eth1');
});

test('a late owner gets its flows in slices, while other flows are served (A2)', async () => {
  const bed = await succeeded();
  await bed.client('other', [bed.eth0, bed.eth3]);
  void bed.manager.takeUp();
  await bed.clock.run(1000);
  const pim = await bed.client('pim', [bed.eth1]);
  const { taken } = await inItsTurn(bed, () => pim.take(bed.eth2));
  expect(taken).toBeLessThanOrEqual(STEPS_PER_SLICE);
  await bed.flow(S0, G1, bed.eth0);
  expect(bed.entry(S0, G1)).toBe('eth0 -> ');
  await bed.clock.run(1000);
  expect(bed.manager.snapshot().totals().flows).toBe(MANY + 1);
  expect(bed.entry(S2, LAST)).toBe('eth2 -> eth1');
});

test('an owner that comes late and leaves at once leaves no entry behind that names its vif (A2, D-LIN-13)', async () => {
  const bed = await succeeded();
  void bed.manager.takeUp();
  await bed.clock.run(1000);
  const pim = await bed.client('pim', [bed.eth1]);
  const vif = bed.kernel.mroute.vifOf(bed.eth1)!;
  // when the interface that all flows leave by is released while none has been taken up, and the one they come in by is taken
  await pim.release(bed.eth1);
  await pim.takes(bed.eth2);
  void pim.release(bed.eth2);
  await bed.clock.run(1000);
  // then the numbers are free, and no entry leads there
  for (const group of [groupNo(0), LAST]) expect(bed.kernel.mroute.rawOutputs(S2, group)).not.toContain(vif);
  expect(bed.kernel.mroute.size()).toBe(0);
});

test('a window that ends while a large table is being taken up takes nothing away (A2)', async () => {
  const ended: AdoptionResult[] = [];
  const bed = await succeeded((result) => ended.push(result));
  const pim = await bed.client('pim', [bed.eth2, bed.eth1]);
  for (let n = 0; n < MANY; n++) await pim.add(any(groupNo(n)), bed.eth1);
  void bed.manager.takeUp();
  bed.manager.endWindowWithin(0);
  await bed.clock.run(1000);
  expect(ended).toMatchObject([{ adopted: MANY, kept: MANY }]);
  expect(bed.entry(S2, LAST)).toBe('eth2 -> eth1');
});
