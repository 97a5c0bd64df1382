/** Who owns an interface: manager.md sections 2.3 to 2.5 and 4. */
import { expect, test } from 'vitest';
import { ip } from '../../../src/base/ip.js';
import type { Ifindex } from '../../../src/port/kernel.js';
import { settle } from '../../support/fake-clock.js';
import { any, Bed, G1, G2, now, S0, S2, said } from '../../support/manager-bed.js';

test('taking a free interface gives NO_ERROR and state P, and calls nobody (MGM-OWN-01)', async () => {
  const bed = new Bed();
  await bed.igmp();
  await bed.client('dvmrp');
  const pim = await bed.client('pim');
  expect(now(pim.take(bed.eth1))).toBe('NO_ERROR');
  await settle();
  expect([bed.state(bed.eth1), bed.owner(bed.eth1), bed.journal]).toEqual(['P', 'pim', []]);
});

test('a second protocol is refused; the owner stays and IGMP sees no disable (MGM-OWN-02, INT-001)', async () => {
  const bed = new Bed();
  await bed.client('pim', [bed.eth1]);
  await bed.igmp([bed.eth1]);
  const dvmrp = await bed.client('dvmrp');
  expect(await said(dvmrp.take(bed.eth1))).toBe('ERROR_ALREADY_EXISTS ownedByOther');
  expect([bed.owner(bed.eth1), bed.heard('igmp')]).toEqual(['pim', []]);
});

test('IGMP takes an owned interface and both are on it (MGM-OWN-03, INT-001)', async () => {
  const bed = new Bed();
  await bed.client('pim', [bed.eth1]);
  const igmp = await bed.igmp();
  expect(now(igmp.take(bed.eth1))).toBe('NO_ERROR');
  expect([bed.state(bed.eth1), bed.owner(bed.eth1)]).toEqual(['PG', 'pim']);
});

test('taking what one has already is refused without callbacks (MGM-OWN-04)', async () => {
  const bed = new Bed();
  const pim = await bed.client('pim', [bed.eth1]);
  const igmp = await bed.igmp([bed.eth1]);
  expect(await said(pim.take(bed.eth1))).toBe('ERROR_ALREADY_EXISTS alreadyTaken');
  expect(await said(igmp.take(bed.eth1))).toBe('ERROR_ALREADY_EXISTS alreadyTaken');
  await settle();
  expect(bed.journal).toEqual([]);
});

test('with an owner and IGMP on it, the owner is the protocol on the interface (MGM-OWN-05)', async () => {
  const bed = new Bed();
  await bed.client('pim', [bed.eth1]);
  await bed.igmp([bed.eth1]);
  expect(bed.manager.getProtocolOnInterface(bed.eth1)).toMatchObject({ code: 'NO_ERROR', name: 'pim', igmp: true });
});

test("with IGMP alone on it, IGMP's ids are answered (MGM-OWN-06)", async () => {
  const bed = new Bed();
  await bed.igmp([bed.eth1]);
  const answer = bed.manager.getProtocolOnInterface(bed.eth1);
  expect(answer).toMatchObject({ code: 'NO_ERROR', protocolId: 10, componentId: 0, igmp: true });
});

test('when nobody is on an interface, the answer is ERROR_NOT_FOUND (MGM-OWN-07)', () => {
  const { manager, eth1 } = new Bed();
  expect(manager.getProtocolOnInterface(eth1).code).toBe('ERROR_NOT_FOUND');
  expect(manager.getProtocolOnInterface(999 as Ifindex).code).toBe('ERROR_NOT_FOUND');
});

test('asking for the protocol on an interface needs no registration (MGM-OWN-08)', async () => {
  const bed = new Bed();
  expect(bed.manager.getProtocolOnInterface(bed.eth1).code).toBe('ERROR_NOT_FOUND');
  await bed.client('pim', [bed.eth1]);
  expect(bed.manager.getProtocolOnInterface(bed.eth1).name).toBe('pim');
});

test('after a release another protocol can take the interface (MGM-OWN-09)', async () => {
  const bed = new Bed();
  const [pim, dvmrp] = [await bed.client('pim', [bed.eth1]), await bed.client('dvmrp')];
  expect(now(pim.release(bed.eth1))).toBe('NO_ERROR');
  expect(bed.state(bed.eth1)).toBe('U');
  expect(now(dvmrp.take(bed.eth1))).toBe('NO_ERROR');
  expect(bed.owner(bed.eth1)).toBe('dvmrp');
});

test('releasing what one does not have is refused and changes nothing (MGM-OWN-10)', async () => {
  const bed = new Bed();
  const pim = await bed.client('pim', [bed.eth1]);
  const dvmrp = await bed.client('dvmrp');
  await bed.igmp([bed.eth2]);
  expect(now(dvmrp.release(bed.eth1))).toBe('ERROR_INVALID_PARAMETER'); // another's
  expect(now(dvmrp.release(bed.eth2))).toBe('ERROR_INVALID_PARAMETER'); // IGMP only
  expect(now(dvmrp.release(bed.eth3))).toBe('ERROR_INVALID_PARAMETER'); // nobody's
  expect(now(pim.release(999 as Ifindex))).toBe('ERROR_INVALID_PARAMETER');
  expect([bed.owner(bed.eth1), bed.owner(bed.eth2)]).toEqual(['pim', 'igmp']);
});

test('after the release of an iif without IGMP no entry with that iif is left (MGM-OWN-11)', async () => {
  // given a flow that pim decided
  const bed = new Bed();
  const pim = await bed.client('pim', [bed.eth2]);
  const dvmrp = await bed.client('dvmrp', [bed.eth1]);
  await dvmrp.add(any(G1), bed.eth1);
  await bed.flow(S2, G1, bed.eth2);
  expect(bed.entry(S2, G1)).toBe('eth2 -> eth1');
  // when pim releases the interface towards the source
  expect(await said(pim.release(bed.eth2))).toBe('NO_ERROR');
  await bed.resync();
  // then the entry is gone from the manager and from the kernel
  expect(bed.entry(S2, G1)).toBeUndefined();
});

test('after the release of an iif with IGMP its entries were decided anew, without a packet lost (MGM-OWN-11)', async () => {
  // given the same with IGMP on the interface
  const bed = new Bed();
  const igmp = await bed.igmp([bed.eth2], { ack: 'when told' });
  const pim = await bed.client('pim');
  const take = pim.take(bed.eth2);
  await igmp.acknowledge(bed.eth2);
  await igmp.acknowledge(bed.eth2);
  await take;
  await bed.resync();
  const dvmrp = await bed.client('dvmrp', [bed.eth1]);
  await dvmrp.add(any(G1), bed.eth1);
  const ids = [await bed.flow(S2, G1, bed.eth2)];
  expect(bed.mfe(S2, G1)?.iifProtocol).toBe('pim');
  // when pim releases, with a packet at each step
  const release = pim.release(bed.eth2);
  ids.push(await bed.flow(S2, G1, bed.eth2));
  await igmp.acknowledge(bed.eth2);
  ids.push(await bed.flow(S2, G1, bed.eth2));
  await igmp.acknowledge(bed.eth2);
  await release;
  ids.push(await bed.flow(S2, G1, bed.eth2));
  await bed.resync();
  ids.push(await bed.flow(S2, G1, bed.eth2));
  // then nothing decided by pim is left, and every packet arrived once
  expect(bed.mfe(S2, G1)?.iifProtocol).not.toBe('pim');
  expect(bed.entry(S2, G1)).toBe('eth2 -> eth1');
  expect(bed.kernel.timesDelivered(bed.eth1, ids)).toEqual(ids.map(() => 1));
});

test('after a release without IGMP the interface is in no outgoing list (MGM-OWN-12)', async () => {
  // given two flows that leave by the same interface, one of them by two
  const bed = new Bed();
  await bed.client('pim', [bed.eth2]);
  const dvmrp = await bed.client('dvmrp', [bed.eth1, bed.eth3]);
  for (const group of [G1, G2]) await dvmrp.add(any(group), bed.eth1);
  await dvmrp.add(any(G2), bed.eth3);
  for (const group of [G1, G2]) await bed.flow(S2, group, bed.eth2);
  // when it is released
  await dvmrp.release(bed.eth1);
  await settle();
  // then it is in neither list
  expect([bed.entry(S2, G1), bed.entry(S2, G2)]).toEqual(['eth2 -> ', 'eth2 -> eth3']);
});

test('after a release with IGMP the interface stays in exactly the lists whose keys IGMP re-adds, without a gap (MGM-OWN-12)', async () => {
  // given one group that a host wants, one that only the owner wants
  const bed = new Bed();
  await bed.client('pim', [bed.eth2]);
  const igmp = await bed.igmp([bed.eth1]);
  await igmp.hostJoins(any(G1), bed.eth1);
  const dvmrp = await bed.client('dvmrp', [bed.eth1]);
  await bed.resync();
  await dvmrp.add(any(G2), bed.eth1);
  const ids = [await bed.flow(S2, G1, bed.eth2)];
  await bed.flow(S2, G2, bed.eth2);
  // when the owner releases, with packets before and after the re-adds
  igmp.ack = 'when told';
  const release = dvmrp.release(bed.eth1);
  for (let step = 0; step < 2; step++) {
    ids.push(await bed.flow(S2, G1, bed.eth2));
    await igmp.acknowledge(bed.eth1);
  }
  await release;
  ids.push(await bed.flow(S2, G1, bed.eth2));
  await bed.resync();
  ids.push(await bed.flow(S2, G1, bed.eth2));
  // then the host's group never stopped and the owner's did
  expect(bed.kernel.timesDelivered(bed.eth1, ids)).toEqual(ids.map(() => 1));
  expect([bed.entry(S2, G1), bed.entry(S2, G2)]).toEqual(['eth2 -> eth1', 'eth2 -> ']);
});

test('a release takes the entries of that interface only (MGM-OWN-13)', async () => {
  const bed = new Bed();
  const pim = await bed.client('pim', [bed.eth1, bed.eth3]);
  await pim.add(any(G1), bed.eth1);
  await pim.add(any(G1), bed.eth3);
  await pim.add(any(G2), bed.eth3);
  await pim.release(bed.eth1);
  expect(bed.memberships()).toEqual(['(*,239.1.1.1) eth3 pim', '(*,239.1.1.2) eth3 pim']);
});

test('of two Takes that race exactly one wins, with one disable and one enable (MGM-OWN-14)', async () => {
  // given IGMP on the interface, slow to answer
  const bed = new Bed();
  const igmp = await bed.igmp([bed.eth1], { ack: 'when told' });
  const [pim, dvmrp] = [await bed.client('pim'), await bed.client('dvmrp')];
  // when two protocols take it
  const answers = [pim.take(bed.eth1), dvmrp.take(bed.eth1)];
  await igmp.acknowledge(bed.eth1);
  await igmp.acknowledge(bed.eth1);
  // then the first has it
  expect(await Promise.all(answers.map(said))).toEqual(['NO_ERROR', 'ERROR_ALREADY_EXISTS ownedByOther']);
  expect(bed.heard('igmp')).toEqual(['disable eth1', 'enable eth1']);
});

test('when the owner dies its interfaces are released as by Release and its ids are free again (MGM-OWN-15, INT-021)', async () => {
  // given an owner of two interfaces, IGMP on both, dying out of order of its takes
  const bed = new Bed();
  await bed.igmp([bed.eth1, bed.eth3]);
  const pim = await bed.client('pim', [bed.eth3, bed.eth1]);
  await bed.resync();
  await pim.add(any(G1), bed.eth1);
  await bed.forget();
  // when its connection drops
  pim.die();
  await bed.resync();
  // then both are released in ascending order, with disable and enable, and it can come back
  expect(bed.heard('igmp')).toEqual(['disable eth1', 'enable eth1', 'disable eth3', 'enable eth3']);
  expect([bed.state(bed.eth1), bed.state(bed.eth3), bed.memberships()]).toEqual(['G', 'G', []]);
  expect(await said(pim.take(bed.eth1))).toBe('ERROR_INVALID_PARAMETER badHandle');
  expect(pim.register().code).toBe('NO_ERROR');
});

test('when the interface vanishes its entries and mentions are gone and both clients hear of it (MGM-OWN-16, INT-018)', async () => {
  // given an interface that is an output of one flow and the input of another
  const bed = new Bed();
  const igmp = await bed.igmp([bed.eth1]);
  const pim = await bed.client('pim', [bed.eth1]);
  await bed.resync();
  await igmp.hostJoins(any(G1), bed.eth1);
  const dvmrp = await bed.client('dvmrp', [bed.eth2, bed.eth0]);
  await dvmrp.add(any(G2), bed.eth2);
  await bed.flow(S2, G1, bed.eth2);
  await bed.flow(ip('10.0.1.9'), G2, bed.eth1);
  expect([bed.entry(S2, G1), bed.entry(ip('10.0.1.9'), G2)]).toEqual(['eth2 -> eth1', 'eth1 -> eth2']);
  const vif = bed.kernel.mroute.vifOf(bed.eth1)!;
  await bed.forget();
  // when the kernel removes it
  bed.kernel.deleteDevice(bed.eth1);
  await settle();
  // then nothing names it any more, not even by the bare number in the kernel
  expect(bed.memberships()).toEqual(['(*,239.1.1.2) eth2 dvmrp']);
  expect([bed.entry(S2, G1), bed.entry(ip('10.0.1.9'), G2)]).toEqual(['eth2 -> ', undefined]);
  expect(bed.kernel.mroute.rawOutputs(S2, G1)).not.toContain(vif);
  // and both were told, without disable or enable
  expect(bed.heard('igmp')).toEqual(['gone eth1']);
  expect(bed.heard('pim')).toContain('gone eth1');
  expect(now(pim.release(bed.eth1))).toBe('ERROR_INVALID_PARAMETER');
  expect(now(igmp.release(bed.eth1))).toBe('ERROR_INVALID_PARAMETER');
});

test('a vif number that is used again carries nothing of the interface that had it before (MGM-OWN-16)', async () => {
  // given a flow to an interface that vanished
  const bed = new Bed();
  const pim = await bed.client('pim', [bed.eth2, bed.eth1]);
  await pim.add(any(G1), bed.eth1);
  await bed.flow(S2, G1, bed.eth2);
  bed.kernel.deleteDevice(bed.eth1);
  await settle();
  // when new interfaces come until every slot has been used
  for (let n = 0; n < 30; n++) await pim.takes(bed.kernel.addDevice(`veth${n}`, `10.1.${n}.1/24`));
  const id = await bed.flow(S2, G1, bed.eth2);
  // then the flow leaves by none of them
  const outputs = bed.kernel.links.links().map((link) => link.ifindex);
  expect(outputs.flatMap((ifindex) => bed.kernel.timesDelivered(ifindex, [id]))).toEqual(outputs.map(() => 0));
});

test('link down is not removal: ownership, membership and entries stay (MGM-OWN-16)', async () => {
  const bed = new Bed();
  const pim = await bed.client('pim', [bed.eth1, bed.eth2]);
  await pim.add(any(G1), bed.eth1);
  await bed.flow(S2, G1, bed.eth2);
  bed.kernel.changeDevice(bed.eth1, { up: false, running: false });
  await settle();
  expect([bed.owner(bed.eth1), bed.entry(S2, G1)]).toEqual(['pim', 'eth2 -> eth1']);
  bed.kernel.changeDevice(bed.eth1, { up: true, running: true });
  const id = await bed.flow(S2, G1, bed.eth2);
  expect(bed.kernel.timesDelivered(bed.eth1, [id])).toEqual([1]);
});

test('a next hop other than 0 is refused (MGM-OWN-17)', async () => {
  const bed = new Bed();
  const pim = await bed.client('pim');
  const answer = bed.manager.takeInterface(pim.handle!, bed.eth1, ip('10.0.1.7'));
  expect(await said(answer)).toBe('ERROR_INVALID_PARAMETER nextHopUnsupported');
  expect(bed.state(bed.eth1)).toBe('U');
});

test('an unknown interface and the 33rd one cannot be taken, and that harms nobody (D-TAKE-2, F14)', async () => {
  // given 32 owned interfaces
  const bed = new Bed();
  const pim = await bed.client('pim', [bed.eth0, bed.eth1, bed.eth2, bed.eth3]);
  for (let n = 4; n < 32; n++) await pim.takes(bed.kernel.addDevice(`eth${n}`));
  // when one more is taken, or one that does not exist
  const oneMore = bed.kernel.addDevice('eth32');
  expect(await said(pim.take(oneMore))).toBe('ERROR_CAN_NOT_COMPLETE noVif');
  expect(await said(pim.take(999 as Ifindex))).toBe('ERROR_CAN_NOT_COMPLETE noSuchInterface');
  // then the others work, and a slot that becomes free is used
  expect(bed.owner(bed.eth0)).toBe('pim');
  await pim.release(bed.eth3);
  await pim.takes(oneMore);
});

test('the receive direction counts too: a packet that comes in on an interface nobody took raises nothing', async () => {
  const bed = new Bed();
  await bed.client('pim', [bed.eth1]);
  await bed.flow(S0, G1, bed.eth0);
  expect([bed.entry(S0, G1), bed.journal]).toEqual([undefined, []]);
});
