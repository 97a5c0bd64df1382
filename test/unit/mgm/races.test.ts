/** What happens while an answer is awaited: releases, deaths, queued requests (D-CB-1, D-CB-2, D-OWN-4). */
import { expect, test } from 'vitest';
import { settle } from '../../support/fake-clock.js';
import { ALL, any, Bed, G1, S0, S2, said } from '../../support/manager-bed.js';

test('an interface that is released while its owner still owes an RPF answer becomes nobody’s iif (MGM-OWN-11)', async () => {
  // given a packet whose RPF callback is not answered
  const bed = new Bed();
  const pim = await bed.client('pim', [bed.eth2], { answers: { rpf: () => new Promise(() => undefined) } });
  await bed.flow(S2, G1, bed.eth2);
  // when the owner releases and the answer is given up
  expect(await said(pim.release(bed.eth2))).toBe('NO_ERROR');
  await bed.clock.run(500);
  // then no entry names the vif that is free for others now
  expect(bed.entry(S2, G1)).toBeUndefined();
});

test('nor while a creation alert or the second look at an old entry is unanswered (MGM-OWN-11)', async () => {
  for (const what of ['creation', 'expiry'] as const) {
    const bed = new Bed();
    let silent = what === 'creation';
    const pim = await bed.client('pim', [bed.eth2]);
    const dvmrp = await bed.client('dvmrp', [bed.eth1], {
      answers: { creationAlert: () => (silent ? new Promise(() => undefined) : undefined) },
    });
    await dvmrp.add(any(G1), bed.eth1);
    await bed.flow(S2, G1, bed.eth2);
    silent = true;
    if (what === 'expiry') {
      await bed.flow(S2, G1, bed.eth2);
      await bed.clock.run(900_000);
    }
    await pim.release(bed.eth2);
    await bed.clock.run(500);
    expect(bed.entry(S2, G1)).toBeUndefined();
  }
});

test('when the new owner dies before IGMP has acknowledged, the old one still has the interface or knows that it has not (MGM-OWN-19)', async () => {
  for (const igmpToo of [false, true]) {
    // given a handover that waits for IGMP
    const bed = new Bed();
    const igmp = await bed.igmp([bed.eth1]);
    const pim = await bed.client('pim', [bed.eth1]);
    await bed.resync();
    igmp.ack = 'when told';
    const dvmrp = await bed.client('dvmrp');
    await bed.forget();
    const handover = bed.manager.handover(bed.eth1, 'pim', 'dvmrp', false);
    await settle();
    // when the new owner dies, and IGMP acknowledges or dies too
    dvmrp.die();
    if (igmpToo) igmp.die();
    else {
      await igmp.acknowledge(bed.eth1);
      await igmp.acknowledge(bed.eth1);
    }
    const { done } = await handover;
    await bed.resync();
    // then what pim was told and what the manager says are the same
    expect(done).toBe(false);
    const told = bed.heard('pim').includes('lost eth1');
    expect(bed.interfaceView(bed.eth1)?.owner === pim.name).toBe(!told);
  }
});

test('a hand-over that waited is refused when the new owner has died meanwhile, and the old one keeps the interface (D-OWN-13)', async () => {
  // given a hand-over that waits for IGMP, and the same once more behind it
  const bed = new Bed();
  const igmp = await bed.igmp([bed.eth1]);
  await bed.client('pim', [bed.eth1]);
  await bed.resync();
  igmp.ack = 'never';
  const dvmrp = await bed.client('dvmrp');
  await bed.forget();
  const handovers = [1, 2].map(() => bed.manager.handover(bed.eth1, 'pim', 'dvmrp', false));
  await settle();
  // when the new owner dies, and IGMP is given up
  dvmrp.die();
  await bed.clock.run(10_000);
  // then both are refused with the reason, and pim was told nothing
  for (const handover of handovers)
    expect(await handover).toMatchObject({ done: false, detail: 'noSuchClient', message: 'dvmrp died meanwhile' });
  expect(bed.interfaceView(bed.eth1)?.owner).toBe('pim');
  expect(bed.heard('pim')).not.toContain('lost eth1');
});

test('an Add of everything whose owner has released and taken again meanwhile is refused, as nothing of it is left (D-MEM-2)', async () => {
  // given an entry that the owner of eth2 is asked about, because it wants everything, and does not answer
  const bed = new Bed();
  await bed.igmp([bed.eth0, bed.eth2]);
  const pim = await bed.client('pim', [bed.eth2], { answers: { creationAlert: () => new Promise(() => undefined) } });
  await bed.resync();
  await bed.flow(S0, G1, bed.eth0);
  const added = said(pim.add(ALL, bed.eth2));
  // when it releases the interface and takes it again before the answer is given up
  await pim.release(bed.eth2);
  await pim.take(bed.eth2);
  await bed.clock.run(10_000);
  // then the answer says what is
  expect(await added).toBe('ERROR_INVALID_PARAMETER notOwner');
  expect(bed.memberships()).toEqual([]);
});

test('a client whose Take was queued hears that it has the interface before it hears that it lost it (D-CB-2)', async () => {
  // given a Release that waits for IGMP, and behind it a Take and a handover to somebody else
  const bed = new Bed();
  const igmp = await bed.igmp([bed.eth1]);
  const [pim, dvmrp] = [await bed.client('pim'), await bed.client('dvmrp', [bed.eth1])];
  await bed.resync();
  await bed.forget();
  igmp.ack = 'never';
  const note = async (line: string, answer: ReturnType<typeof pim.take>) => bed.note(`${line} ${await said(answer)}`);
  void note('dvmrp released', dvmrp.release(bed.eth1));
  void note('dvmrp took', dvmrp.take(bed.eth1));
  void bed.manager.handover(bed.eth1, 'dvmrp', pim.name, false);
  // when IGMP is given up and everything goes on
  await bed.clock.run(2_000);
  // then dvmrp heard of it in this order
  expect(bed.heard('dvmrp')).toEqual(['released NO_ERROR', 'took NO_ERROR', 'lost eth1']);
  expect(bed.owner(bed.eth1)).toBe('pim');
});
