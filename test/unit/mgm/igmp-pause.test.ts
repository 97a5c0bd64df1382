/** Disable and enable around an ownership change: manager.md sections 3.7, 3.8 and 4. */
import { expect, test } from 'vitest';
import { ip } from '../../../src/base/ip.js';
import { settle } from '../../support/fake-clock.js';
import { any, Bed, G1, G2, now, S2, said } from '../../support/manager-bed.js';

const DISABLED = 'ERROR_CAN_NOT_COMPLETE igmpDisabled';

test('a Take with IGMP on the interface disables and enables IGMP there once (MGM-IGM-01)', async () => {
  const bed = new Bed();
  await bed.igmp([bed.eth1, bed.eth3]);
  await bed.client('pim', [bed.eth1]);
  await bed.resync();
  expect(bed.journal).toEqual(['igmp disable eth1', 'igmp enable eth1']);
});

test('a Release with IGMP on the interface disables and enables IGMP there once (MGM-IGM-02)', async () => {
  const bed = new Bed();
  const pim = await bed.client('pim', [bed.eth1]);
  await bed.igmp([bed.eth1]);
  expect(now(pim.release(bed.eth1))).toBe('NO_ERROR');
  await bed.resync();
  expect(bed.journal).toEqual(['igmp disable eth1', 'igmp enable eth1']);
  expect(bed.state(bed.eth1)).toBe('G');
});

/** IGMP alone on eth1 with a joined group that is forwarded from eth2; a protocol that is about to take eth1. */
async function forwardingByIgmp() {
  const bed = new Bed();
  await bed.client('upstream', [bed.eth2]);
  const igmp = await bed.igmp([bed.eth1]);
  await igmp.hostJoins(any(G1), bed.eth1);
  await bed.flow(S2, G1, bed.eth2);
  const pim = await bed.client('pim');
  igmp.ack = 'when told';
  await bed.forget();
  const look = () => ({
    owner: bed.owner(bed.eth1),
    state: bed.state(bed.eth1),
    memberships: bed.memberships(),
    mfe: bed.mfeText(S2, G1),
  });
  return { bed, igmp, pim, look };
}

test('between disable and its acknowledgement nothing of the interface has changed (MGM-IGM-03)', async () => {
  const { bed, igmp, pim, look } = await forwardingByIgmp();
  const [before, calls] = [look(), { ...bed.kernel.mroute.calls }];
  // when disable has been sent and IGMP is silent
  const take = pim.take(bed.eth1);
  await settle();
  expect(bed.journal).toEqual(['igmp disable eth1']);
  // then everything is as it was
  expect(look()).toEqual(before);
  expect(bed.kernel.mroute.calls).toEqual(calls);
  await igmp.acknowledge(bed.eth1);
  await igmp.acknowledge(bed.eth1);
  expect(await said(take)).toBe('NO_ERROR');
});

test('when enable is sent all data changes are complete (MGM-IGM-04, INT-019)', async () => {
  const { bed, igmp, pim, look } = await forwardingByIgmp();
  const take = pim.take(bed.eth1);
  await igmp.acknowledge(bed.eth1);
  // when enable has been sent and IGMP is silent
  expect(bed.journal).toEqual(['igmp disable eth1', 'igmp enable eth1']);
  // then pim is the owner, and what IGMP had there is stale: nobody who looks sees it
  expect(look()).toEqual({ owner: 'pim', state: 'PG', memberships: [], mfe: 'eth2 -> eth1' });
  const { enumeration } = bed.manager.groupEnumerationStart(pim.handle!, 'ALL_SOURCES');
  expect(bed.manager.groupEnumerationGetNext(enumeration!, 10).items).toEqual([]);
  // and the kernel goes on forwarding
  expect(bed.kernelText(S2, G1)).toBe('eth2 -> eth1');
  await igmp.acknowledge(bed.eth1);
  await take;
});

test('from disable to the acknowledgement of enable IGMP can neither add nor delete there (MGM-IGM-05)', async () => {
  const { bed, igmp, pim } = await forwardingByIgmp();
  const take = pim.take(bed.eth1);
  // when IGMP breaks the rule before its first and before its second acknowledgement
  for (const _ of ['disable', 'enable']) {
    expect(await said(igmp.add(any(G2), bed.eth1))).toBe(DISABLED);
    expect(await said(igmp.remove(any(G1), bed.eth1))).toBe(DISABLED);
    expect(bed.memberships().join()).not.toContain('239.1.1.2');
    await igmp.acknowledge(bed.eth1);
  }
  // then it may again, and the re-adds find the group that it could not delete
  await take;
  await bed.resync();
  expect(bed.memberships()).toEqual(['(*,239.1.1.1) eth1 igmp']);
  expect(now(igmp.add(any(G2), bed.eth1))).toBe('NO_ERROR');
});

test('while IGMP is disabled on one interface its Adds on another one work (MGM-IGM-06)', async () => {
  const { bed, igmp, pim } = await forwardingByIgmp();
  igmp.ack = 'at once';
  await igmp.takes(bed.eth3);
  igmp.ack = 'when told';
  const take = pim.take(bed.eth1);
  await igmp.hostJoins(any(G1), bed.eth3);
  expect(igmp.refused).toEqual([]);
  expect(bed.entry(S2, G1)).toBe('eth2 -> eth1,eth3');
  await igmp.acknowledge(bed.eth1);
  await igmp.acknowledge(bed.eth1);
  expect(await said(take)).toBe('NO_ERROR');
});

test('an Add from inside the enable callback fails at once and nobody hangs (MGM-IGM-07)', async () => {
  // given an IGMP that adds inside the callback
  const bed = new Bed();
  const answers: unknown[] = [];
  const igmp = await bed.igmp([bed.eth1], {
    onEnable: (ifindex) => answers.push(igmp.add(any(G1), ifindex)),
  });
  const pim = await bed.client('pim');
  // when a protocol takes the interface
  expect(now(pim.take(bed.eth1))).toBe('NO_ERROR');
  // then the call failed in the same turn and the transition is over
  expect(answers).toEqual([expect.objectContaining({ code: 'ERROR_CAN_NOT_COMPLETE', detail: 'igmpDisabled' })]);
  await bed.resync();
  expect([bed.state(bed.eth1), bed.interfaceView(bed.eth1)?.phase]).toEqual(['PG', 'steady']);
});

test('n groups re-added on an owned interface are n local joins to the owner (MGM-IGM-08)', async () => {
  const bed = new Bed();
  const igmp = await bed.igmp([bed.eth1]);
  for (const n of [1, 2, 3, 4, 5]) await igmp.hostJoins(any(ip(`239.1.1.${n}`)), bed.eth1);
  await bed.client('pim', [bed.eth1]);
  await bed.resync();
  const joins = bed.heard('pim').filter((line) => line.startsWith('local-join'));
  expect(joins).toEqual([1, 2, 3, 4, 5].map((n) => `local-join (*,239.1.1.${n}) eth1`));
});

test('what IGMP re-adds after a release is no local join to anybody (MGM-IGM-09)', async () => {
  const bed = new Bed();
  const igmp = await bed.igmp([bed.eth1]);
  await igmp.hostJoins(any(G1), bed.eth1);
  const pim = await bed.client('pim', [bed.eth1]);
  await bed.resync();
  await bed.forget();
  await pim.release(bed.eth1);
  await bed.resync();
  expect(bed.journal.filter((line) => line.includes('local-'))).toEqual([]);
  expect(bed.memberships()).toEqual(['(*,239.1.1.1) eth1 igmp']);
});

test('a host that joins while IGMP is disabled appears after the re-add and not before (MGM-IGM-10)', async () => {
  const { bed, igmp, pim } = await forwardingByIgmp();
  const take = pim.take(bed.eth1);
  await igmp.hostJoins(any(G2), bed.eth1);
  await igmp.acknowledge(bed.eth1);
  await igmp.acknowledge(bed.eth1);
  await take;
  expect(bed.memberships()).toEqual([]);
  await bed.resync();
  expect(bed.memberships()).toEqual(['(*,239.1.1.1) eth1 igmp', '(*,239.1.1.2) eth1 igmp']);
});

test('a host that leaves while IGMP is disabled is not in the manager after the resync (MGM-IGM-11)', async () => {
  const { bed, igmp, pim } = await forwardingByIgmp();
  const take = pim.take(bed.eth1);
  await igmp.hostLeaves(any(G1), bed.eth1);
  await igmp.acknowledge(bed.eth1);
  await igmp.acknowledge(bed.eth1);
  await take;
  await bed.resync();
  expect([bed.memberships(), bed.entry(S2, G1)]).toEqual([[], 'eth2 -> ']);
  expect(bed.heard('pim').filter((line) => line.startsWith('local-'))).toEqual([]);
});

test('IGMP itself taking or releasing causes no disable and no enable (MGM-IGM-12)', async () => {
  const bed = new Bed();
  await bed.client('pim', [bed.eth1]);
  const igmp = await bed.igmp([bed.eth1]);
  expect(bed.state(bed.eth1)).toBe('PG');
  await igmp.release(bed.eth1);
  expect(bed.state(bed.eth1)).toBe('P');
  await igmp.takes(bed.eth3);
  await igmp.release(bed.eth3);
  await settle();
  expect([bed.state(bed.eth3), bed.heard('igmp')]).toEqual(['U', []]);
});

test('without IGMP on the interface Take and Release send it nothing (MGM-IGM-13)', async () => {
  const bed = new Bed();
  await bed.igmp([bed.eth3]);
  const pim = await bed.client('pim', [bed.eth1]);
  await pim.release(bed.eth1);
  await settle();
  expect(bed.heard('igmp')).toEqual([]);
});

test('a Take and at once a Release are two pairs, also when IGMP takes its time (MGM-IGM-13)', async () => {
  for (const ack of ['at once', 'by promise'] as const) {
    const bed = new Bed();
    const igmp = await bed.igmp([bed.eth1], { ack });
    await igmp.hostJoins(any(G1), bed.eth1);
    const pim = await bed.client('pim');
    const answers = [pim.take(bed.eth1), pim.release(bed.eth1)];
    expect(await Promise.all(answers.map(said))).toEqual(['NO_ERROR', 'NO_ERROR']);
    await bed.resync();
    expect(bed.heard('igmp')).toEqual(['disable eth1', 'enable eth1', 'disable eth1', 'enable eth1']);
    expect([bed.state(bed.eth1), bed.memberships()]).toEqual(['G', ['(*,239.1.1.1) eth1 igmp']]);
  }
});

test('Take is answered after enable was acknowledged and before any local join (MGM-IGM-14)', async () => {
  for (const ack of ['at once', 'by promise', 'when told'] as const) {
    const bed = new Bed();
    const igmp = await bed.igmp([bed.eth1]);
    await igmp.hostJoins(any(G1), bed.eth1);
    const pim = await bed.client('pim');
    await bed.forget();
    igmp.ack = ack;
    // when it takes
    const answered = (async () => bed.note(`pim answered ${(await pim.take(bed.eth1)).code}`))();
    if (ack === 'when told') {
      await igmp.acknowledge(bed.eth1);
      bed.note('igmp acknowledges enable');
      await igmp.acknowledge(bed.eth1);
    }
    await answered;
    await bed.resync();
    // then this is the order
    const expected = ['igmp disable eth1', 'igmp enable eth1'];
    if (ack === 'when told') expected.push('igmp acknowledges enable');
    expected.push('pim answered NO_ERROR', 'pim local-join (*,239.1.1.1) eth1');
    expect(bed.journal.slice(0, expected.length)).toEqual(expected);
  }
});

test('an IGMP that does not acknowledge within 2 s is dead, and the Take succeeds (MGM-IGM-15)', async () => {
  // given an IGMP that hangs
  const bed = new Bed();
  const igmp = await bed.igmp([bed.eth1, bed.eth3]);
  await igmp.hostJoins(any(G1), bed.eth3);
  igmp.ack = 'never';
  const pim = await bed.client('pim');
  let answer = '';
  void (async () => {
    answer = await said(pim.take(bed.eth1));
  })();
  // when 2 s are over, and not before
  await bed.clock.run(1_999);
  expect([answer, bed.owner(bed.eth1)]).toEqual(['', 'igmp']);
  await bed.clock.run(1);
  // then pim has the interface, IGMP is nowhere and no enable was sent
  expect([answer, bed.state(bed.eth1), bed.state(bed.eth3)]).toEqual(['NO_ERROR', 'P', 'U']);
  expect(bed.heard('igmp')).toEqual(['disable eth1']);
  expect(bed.memberships()).toEqual([]);
  expect(await said(igmp.take(bed.eth3))).toBe('ERROR_INVALID_PARAMETER badHandle');
});

test('an IGMP that dies between disable and its acknowledgement counts as acknowledged (6.12) (MGM-IGM-15)', async () => {
  const { bed, igmp, pim } = await forwardingByIgmp();
  const take = pim.take(bed.eth1);
  await settle();
  igmp.die();
  await settle();
  expect(await said(take)).toBe('NO_ERROR');
  expect([bed.state(bed.eth1), bed.heard('igmp')]).toEqual(['P', ['disable eth1']]);
  // and a new instance can come
  igmp.register();
  expect(now(igmp.take(bed.eth1))).toBe('NO_ERROR');
  expect(bed.state(bed.eth1)).toBe('PG');
});

test('two interfaces can be in transition at once, each with its own acknowledgement (MGM-IGM-16)', async () => {
  // given two Takes that wait for IGMP
  const bed = new Bed();
  const igmp = await bed.igmp([bed.eth1, bed.eth3], { ack: 'when told' });
  const [pim, dvmrp] = [await bed.client('pim'), await bed.client('dvmrp')];
  const takes = [pim.take(bed.eth1), dvmrp.take(bed.eth3)];
  await settle();
  expect(bed.heard('igmp')).toEqual(['disable eth1', 'disable eth3']);
  // when the second one is acknowledged first
  await igmp.acknowledge(bed.eth3);
  await igmp.acknowledge(bed.eth3);
  // then that one is done and the other one is not
  expect(await said(takes[1]!)).toBe('NO_ERROR');
  expect([bed.owner(bed.eth1), bed.owner(bed.eth3)]).toEqual(['igmp', 'dvmrp']);
  await igmp.acknowledge(bed.eth1);
  await igmp.acknowledge(bed.eth1);
  expect(await said(takes[0]!)).toBe('NO_ERROR');
});

test('a transition that leaves membership the same sends third protocols nothing (MGM-IGM-17)', async () => {
  // given a third protocol that knows of the group, on whose interface the stream comes in
  const bed = new Bed();
  const igmp = await bed.igmp([bed.eth1]);
  await bed.client('third', [bed.eth2]);
  await igmp.hostJoins(any(G1), bed.eth1);
  await bed.flow(S2, G1, bed.eth2);
  const [pim, dvmrp] = [await bed.client('pim'), await bed.client('dvmrp')];
  await bed.forget();
  // when the receivers' interface is taken, handed over and released
  await pim.take(bed.eth1);
  await bed.resync();
  await bed.manager.handover(bed.eth1, 'pim', 'dvmrp', false);
  bed.manager.resyncDone(dvmrp.handle!, bed.eth1);
  await bed.resync();
  await dvmrp.release(bed.eth1);
  await bed.resync();
  // then the third heard nothing
  expect(bed.heard('third')).toEqual([]);
});

test('only net differences are told, at the end of the resync: 6.8, step 7 (MGM-IGM-17)', async () => {
  // given IGMP with .1 on eth1, pim on the way to the source and alerted, dvmrp fresh
  const bed = new Bed();
  const igmp = await bed.igmp([bed.eth1]);
  await bed.client('pim', [bed.eth2]);
  await igmp.hostJoins(any(G1), bed.eth1);
  const dvmrp = await bed.client('dvmrp');
  igmp.ack = 'when told';
  await bed.forget();
  // when dvmrp takes eth1 and a host joins .2 meanwhile
  const take = dvmrp.take(bed.eth1);
  await igmp.hostJoins(any(G2), bed.eth1);
  await igmp.acknowledge(bed.eth1);
  await igmp.acknowledge(bed.eth1);
  expect(await said(take)).toBe('NO_ERROR');
  await bed.resync();
  // then pim hears of .2 only, dvmrp of both locally and that nobody else wants .1
  expect(bed.heard('pim')).toEqual(['join (*,239.1.1.2) TRUE']);
  expect(bed.heard('dvmrp')).toEqual([
    'local-join (*,239.1.1.1) eth1',
    'local-join (*,239.1.1.2) eth1',
    'prune (*,239.1.1.1) TRUE',
  ]);
  // when the host leaves .2 again, and dvmrp releases
  igmp.ack = 'at once';
  await bed.forget();
  await igmp.hostLeaves(any(G2), bed.eth1);
  await settle();
  expect(bed.heard('dvmrp')).toEqual(['local-leave (*,239.1.1.2) eth1']);
  expect(bed.heard('pim')).toEqual(['prune (*,239.1.1.2) TRUE']);
  await bed.forget();
  await dvmrp.release(bed.eth1);
  await bed.resync();
  // then pim sees no net change and dvmrp learns that .1 is wanted elsewhere now
  expect([bed.heard('pim'), bed.heard('dvmrp')]).toEqual([[], ['join (*,239.1.1.1) TRUE']]);
});

test('without resyncDone the resync ends 5 s after enable and the net alerts go out (MGM-IGM-18)', async () => {
  // given an IGMP that never says that it is done, and lost a group in the pause
  const bed = new Bed();
  const igmp = await bed.igmp([bed.eth1], { saysResyncDone: false, ack: 'when told' });
  await bed.client('third', [bed.eth2]);
  for (const group of [G1, G2]) await igmp.hostJoins(any(group), bed.eth1);
  await bed.flow(S2, G1, bed.eth2);
  await bed.flow(S2, G2, bed.eth2);
  const pim = await bed.client('pim');
  const take = pim.take(bed.eth1);
  await igmp.hostLeaves(any(G2), bed.eth1);
  await igmp.acknowledge(bed.eth1);
  await igmp.acknowledge(bed.eth1);
  await take;
  await bed.forget();
  // when 5 s pass
  await bed.clock.run(4_999);
  expect([bed.heard('third'), bed.kernelText(S2, G2)]).toEqual([[], 'eth2 -> eth1']);
  await bed.clock.run(1);
  // then what was not added again is gone, and the third protocol hears of that alone
  expect([bed.entry(S2, G1), bed.entry(S2, G2)]).toEqual(['eth2 -> eth1', 'eth2 -> ']);
  expect(bed.heard('third')).toEqual(['prune (*,239.1.1.2) TRUE', 'prune (10.0.2.9,239.1.1.2) FALSE']);
  expect(bed.interfaceView(bed.eth1)?.phase).toBe('steady');
});

test('the gate of host memberships is closed exactly from disable to the acknowledgement of enable', async () => {
  // given a host membership that somebody wishes for in the pause
  const { bed, igmp, pim } = await forwardingByIgmp();
  const take = pim.take(bed.eth1);
  await settle();
  expect([bed.kernel.membership.paused(bed.eth1), bed.interfaceView(bed.eth1)?.paused]).toEqual([true, true]);
  await igmp.acknowledge(bed.eth1);
  expect(bed.kernel.membership.paused(bed.eth1)).toBe(true);
  await igmp.acknowledge(bed.eth1);
  await take;
  expect([bed.kernel.membership.paused(bed.eth1), bed.interfaceView(bed.eth1)?.paused]).toEqual([false, false]);
});
