/** There are many memberships: IGMP that leaves an interface does not stop everything else, and views keep counts (A1, A4). */
import { expect, test } from 'vitest';
import { type IpAddress, ipv4 } from '../../../src/base/ip.js';
import { STEPS_PER_SLICE } from '../../../src/mgm/slices.js';
import { settle } from '../../support/fake-clock.js';
import { any, Bed, G1, S2 } from '../../support/manager-bed.js';

const MANY = 4000;
const groupNo = (n: number): IpAddress => ipv4(0xe8000000 + n);

/** pim owns eth1, where hosts want MANY groups, joined from the last to the first; `wanted` flows from eth2. */
async function owned(wanted: IpAddress) {
  const bed = new Bed();
  const pim = await bed.client('pim', [bed.eth1, bed.eth2]);
  const igmp = await bed.igmp([bed.eth1]);
  for (let n = MANY - 1; n >= 0; n--) await igmp.hostJoins(any(groupNo(n)), bed.eth1);
  await bed.flow(S2, wanted, bed.eth2);
  expect(bed.entry(S2, wanted)).toBe('eth2 -> eth1');
  await bed.forget();
  return { bed, pim, igmp };
}

const view = (bed: Bed) => bed.manager.snapshot();
const left = (bed: Bed) => bed.heard('pim').filter((line) => line.startsWith('local-leave'));

test('IGMP leaves an interface with many groups: at once none counts, and the owner hears of each in slices and in order (A1, D-OWN-2)', async () => {
  const { bed, igmp } = await owned(groupNo(MANY - 1));
  // when it leaves
  expect(await igmp.release(bed.eth1)).toMatchObject({ code: 'NO_ERROR' });
  await settle(); // the clock stands still: what happened since is one turn
  // then the views say so at once, while a part has been done
  expect(bed.interfaceView(bed.eth1)).toMatchObject({ state: 'P', memberships: 0 });
  expect(left(bed).length).toBeLessThanOrEqual(STEPS_PER_SLICE);
  // and later all of it, each once
  await bed.clock.run(1000);
  const expected = Array.from({ length: MANY }, (_, n) => `local-leave (*,232.0.${n >> 8}.${n & 255}) eth1`);
  expect(left(bed)).toEqual(expected);
  expect(bed.interfaceView(bed.eth1)).toMatchObject({ memberships: 0, stale: 0 });
  expect(view(bed).memberships()).toEqual([]);
  expect(bed.entry(S2, groupNo(MANY - 1))).toBe('eth2 -> ');
});

test('IGMP comes back while what it held is on its way out: what it wants again stays, the rest goes (A1)', async () => {
  const { bed, igmp } = await owned(groupNo(MANY - 1));
  // when it leaves, takes the interface again in the same turn and says again what it wants of the last groups
  void igmp.release(bed.eth1);
  void igmp.take(bed.eth1);
  for (let n = MANY / 2; n < MANY; n++) await igmp.add(any(groupNo(n)), bed.eth1);
  await bed.clock.run(1000);
  // then that is what counts, also for the stream, and the others have gone
  expect(bed.interfaceView(bed.eth1)).toMatchObject({ state: 'PG', memberships: MANY / 2, stale: 0 });
  expect(view(bed).memberships()).toHaveLength(MANY / 2);
  expect(bed.entry(S2, groupNo(MANY - 1))).toBe('eth2 -> eth1');
  expect(left(bed)).toHaveLength(MANY / 2);
});

test('the owner keeps its own memberships when IGMP leaves with many (A1, D-MEM-4)', async () => {
  const { bed, pim, igmp } = await owned(groupNo(7));
  for (const group of [groupNo(7), G1]) await pim.add(any(group), bed.eth1);
  await igmp.release(bed.eth1);
  await bed.clock.run(1000);
  expect(bed.memberships()).toEqual(['(*,232.0.0.7) eth1 pim', '(*,239.1.1.1) eth1 pim']);
  expect(bed.entry(S2, groupNo(7))).toBe('eth2 -> eth1');
});

test('the interface goes while what IGMP held is on its way out: nothing of it stays (A1)', async () => {
  const { bed, igmp } = await owned(groupNo(0));
  void igmp.release(bed.eth1);
  bed.kernel.deleteDevice(bed.eth1);
  await bed.clock.run(1000);
  expect(view(bed).memberships()).toEqual([]);
  expect(view(bed).totals().groups).toBe(0);
  expect(
    view(bed)
      .clients()
      .map(({ memberships }) => memberships),
  ).toEqual([0, 0]);
});

test('the owner changes while what IGMP held is on its way out: the new one hears nothing of it (A1, D-OWN-9)', async () => {
  const { bed, pim, igmp } = await owned(groupNo(0));
  const other = await bed.client('other');
  void igmp.release(bed.eth1);
  void bed.manager.handover(bed.eth1, pim.name, other.name, false);
  await bed.clock.run(10_000);
  expect(bed.owner(bed.eth1)).toBe('other');
  expect(view(bed).memberships()).toEqual([]);
  expect(bed.heard('other').filter((line) => line.startsWith('local-'))).toEqual([]);
});

test('interfaces and clients are shown with counts that follow every change (A4)', async () => {
  const { bed, pim } = await owned(groupNo(0));
  await pim.add(any(G1), bed.eth1);
  expect(bed.interfaceView(bed.eth1)).toMatchObject({ memberships: MANY + 1, stale: 0 });
  expect(view(bed).clients()).toMatchObject([
    { name: 'pim', memberships: 1 },
    { name: 'igmp', memberships: MANY },
  ]);
  // when the owner changes, all are stale until they are said again
  void pim.release(bed.eth1);
  await settle();
  expect(bed.interfaceView(bed.eth1)).toMatchObject({ state: 'G', memberships: 0, stale: MANY + 1 });
  await bed.clock.run(10_000);
  expect(bed.interfaceView(bed.eth1)).toMatchObject({ memberships: MANY, stale: 0 });
});

test('another change of owner, while others still hear of the last one, leaves no alert out (D-OWN-5)', async () => {
  // given an owner with many groups of its own, of which pim has heard; and whoever hears that one is gone takes it back
  const bed = new Bed();
  let heard = 0;
  const pruneAlert = () => {
    if (heard++ === 0) void owner.take(bed.eth1);
    return undefined;
  };
  await bed.client('pim', [bed.eth2], { answers: { pruneAlert } });
  const owner = await bed.client('dvmrp', [bed.eth1]);
  await bed.igmp([bed.eth1]);
  for (let n = 0; n < MANY; n++) await owner.add(any(groupNo(n)), bed.eth1);
  await bed.clock.run(100);
  // when it releases the interface, and takes it again after the first alert of many
  void owner.release(bed.eth1);
  await bed.clock.run(10_000);
  // then pim has heard of every group once
  expect(bed.interfaceView(bed.eth1)).toMatchObject({ owner: 'dvmrp', memberships: 0 });
  expect(heard).toBe(MANY);
});
