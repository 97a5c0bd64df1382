/** What the owner hears of IGMP: manager.md sections 3.5, 5.2 and 5.4. */
import { expect, test } from 'vitest';
import { ip } from '../../../src/base/ip.js';
import { FORWARD, type LocalJoin } from '../../../src/mgm/client.js';
import { settle } from '../../support/fake-clock.js';
import { any, Bed, G1, G2, now, S2, sg } from '../../support/manager-bed.js';

async function ownedWithIgmp() {
  const bed = new Bed();
  const pim = await bed.client('pim', [bed.eth1]);
  const igmp = await bed.igmp([bed.eth1]);
  const other = await bed.client('other', [bed.eth2]);
  await bed.forget();
  return { bed, pim, igmp, other };
}

test('an Add by IGMP on an owned interface is a local join with that key and interface (MGM-LOC-01)', async () => {
  const { bed, igmp } = await ownedWithIgmp();
  await igmp.hostJoins(any(G1), bed.eth1);
  await igmp.hostJoins(sg(S2, G2), bed.eth1);
  await igmp.hostJoins(any(G1), bed.eth1); // a repeat is no event
  await settle();
  expect(bed.heard('pim')).toEqual(['local-join (*,239.1.1.1) eth1', 'local-join (10.0.2.9,239.1.1.2) eth1']);
});

test('a Delete by IGMP on an owned interface is a local leave (MGM-LOC-02)', async () => {
  const { bed, igmp } = await ownedWithIgmp();
  await igmp.hostJoins(any(G1), bed.eth1);
  await bed.forget();
  await igmp.hostLeaves(any(G1), bed.eth1);
  await settle();
  expect(bed.heard('pim')).toEqual(['local-leave (*,239.1.1.1) eth1']);
});

test('an Add by IGMP where it is alone is nobody’s local join, and alerts the others by rule (MGM-LOC-03)', async () => {
  const { bed, igmp } = await ownedWithIgmp();
  await igmp.takes(bed.eth3);
  await igmp.hostJoins(any(G1), bed.eth3);
  await settle();
  expect(bed.journal).toEqual(['pim join (*,239.1.1.1) TRUE', 'other join (*,239.1.1.1) TRUE']);
});

test('an Add by the owner is no local join (MGM-LOC-04)', async () => {
  const { bed, pim } = await ownedWithIgmp();
  await pim.add(any(G1), bed.eth1);
  await settle();
  expect(bed.journal).toEqual(['other join (*,239.1.1.1) TRUE']);
});

test('when IGMP releases, the owner gets one local leave per entry, by group, then source (MGM-LOC-05)', async () => {
  // given entries in no order, and one of the owner itself
  const { bed, pim, igmp } = await ownedWithIgmp();
  for (const key of [any(G2), sg(ip('10.0.2.10'), G1), sg(S2, G1), any(G1)]) await igmp.hostJoins(key, bed.eth1);
  await pim.add(any(G1), bed.eth1);
  await bed.forget();
  // when IGMP releases
  expect(now(igmp.release(bed.eth1))).toBe('NO_ERROR');
  await settle();
  // then its entries are gone and the owner's stays
  expect(bed.heard('pim')).toEqual([
    'local-leave (*,239.1.1.1) eth1',
    'local-leave (10.0.2.9,239.1.1.1) eth1',
    'local-leave (10.0.2.10,239.1.1.1) eth1',
    'local-leave (*,239.1.1.2) eth1',
  ]);
  expect(bed.memberships()).toEqual(['(*,239.1.1.1) eth1 pim']);
});

/** As ownedWithIgmp, with a running flow from eth2 that nobody wants; pim answers local joins with `localJoin`. */
async function flowAndOwner(localJoin: (join: LocalJoin) => unknown) {
  const bed = new Bed();
  const pim = await bed.client('pim', [bed.eth1], {
    answers: { localJoin: (join) => localJoin(join) as undefined },
  });
  const igmp = await bed.igmp([bed.eth1]);
  await bed.client('upstream', [bed.eth2]);
  await bed.flow(S2, G1, bed.eth2);
  return { bed, pim, igmp };
}

test('an owner that is not the forwarder keeps an existing flow off the interface, not one packet leaves (INT-034, D-LJ-2)', async () => {
  // given an owner that refuses every existing entry
  const asked: LocalJoin[] = [];
  const { bed, pim, igmp } = await flowAndOwner((join) => {
    asked.push(join);
    return { refuse: join.entries };
  });
  const writes = bed.kernel.mroute.calls.addMfc;
  // when a host joins
  await igmp.hostJoins(any(G1), bed.eth1);
  const id = await bed.flow(S2, G1, bed.eth2);
  // then the kernel entry was never touched
  expect(asked.map(({ ifindex, entries }) => [ifindex, entries.length])).toEqual([[bed.eth1, 1]]);
  expect(bed.kernel.mroute.calls.addMfc).toBe(writes);
  expect([bed.entry(S2, G1), bed.kernel.timesDelivered(bed.eth1, [id])]).toEqual(['eth2 -> ', [0]]);
  // and the owner can change its mind later
  await pim.add(sg(S2, G1), bed.eth1, FORWARD);
  expect(bed.entry(S2, G1)).toBe('eth2 -> eth1');
});

test('an owner that answers the local join later holds the Add back, one that never does for 500 ms (D-LJ-2)', async () => {
  for (const [answer, waitsMs] of [
    [Promise.resolve(undefined), 0],
    [new Promise(() => undefined), 500],
  ] as const) {
    const { bed, igmp } = await flowAndOwner(() => answer);
    let code = '';
    void (async () => {
      code = (await igmp.add(any(G1), bed.eth1)).code;
    })();
    if (waitsMs > 0) {
      await bed.clock.run(waitsMs - 1);
      expect([code, bed.kernelText(S2, G1)]).toEqual(['', 'eth2 -> ']);
    }
    await bed.clock.run(1);
    expect([code, bed.entry(S2, G1)]).toEqual(['NO_ERROR', 'eth2 -> eth1']);
  }
});

test('a local join that throws counts as an answer without a wish, and is counted (INT-023)', async () => {
  const { bed, igmp } = await flowAndOwner(() => {
    throw new Error('a mistake in the protocol');
  });
  await igmp.hostJoins(any(G1), bed.eth1);
  await settle();
  expect(bed.entry(S2, G1)).toBe('eth2 -> eth1');
  const view = bed.manager
    .snapshot()
    .clients()
    .find((client) => client.name === 'pim');
  expect(view?.failures).toBe(1);
});
