/** Registration: manager.md sections 2.1 and 2.2. */
import { expect, test } from 'vitest';
import { type Handle, JOIN, PROTOCOL, type Registration } from '../../../src/mgm/client.js';
import { settle } from '../../support/fake-clock.js';
import { any, Bed, G1, now, S2, said } from '../../support/manager-bed.js';

const PIM: Registration = { protocolId: PROTOCOL.pimSm, componentId: 1, name: 'pim', callbacks: {} };

test('a new pair of ids gets NO_ERROR and a handle (MGM-REG-01)', () => {
  const { manager } = new Bed();
  const { code, handle } = manager.register(PIM);
  expect([code, typeof handle]).toEqual(['NO_ERROR', 'number']);
});

test('the same pair again gets ERROR_ALREADY_EXISTS and the first registration is untouched (MGM-REG-02)', () => {
  // given a registered protocol
  const { manager, eth1 } = new Bed();
  const { handle } = manager.register(PIM);
  // when the same pair comes again, under whatever name
  const second = manager.register({ ...PIM, name: 'pim again' });
  // then it is refused and the first one goes on working
  expect([second.code, second.handle]).toEqual(['ERROR_ALREADY_EXISTS', undefined]);
  expect(now(manager.takeInterface(handle!, eth1))).toBe('NO_ERROR');
});

test('the same protocol with another component id is a second instance (MGM-REG-03)', () => {
  const { manager, eth1, eth2 } = new Bed();
  const first = manager.register(PIM);
  const second = manager.register({ ...PIM, componentId: 2, name: 'pim2' });
  expect(second.code).toBe('NO_ERROR');
  expect(second.handle).not.toBe(first.handle);
  expect(now(manager.takeInterface(first.handle!, eth1))).toBe('NO_ERROR');
  expect(now(manager.takeInterface(second.handle!, eth2))).toBe('NO_ERROR');
  expect(manager.getProtocolOnInterface(eth2)).toMatchObject({ protocolId: PROTOCOL.pimSm, componentId: 2 });
});

test('a client that owns nothing can deregister; its handle is dead then and is not given out again (MGM-REG-04)', async () => {
  const { manager, eth1 } = new Bed();
  const { handle } = manager.register(PIM);
  expect(manager.deregister(handle!).code).toBe('NO_ERROR');
  expect(manager.deregister(handle!).code).toBe('ERROR_INVALID_PARAMETER');
  expect(await said(manager.takeInterface(handle!, eth1))).toBe('ERROR_INVALID_PARAMETER badHandle');
  expect(manager.groupEnumerationStart(handle!, 'ALL_SOURCES').code).toBe('ERROR_INVALID_PARAMETER');
  const again = manager.register(PIM);
  expect(again.code).toBe('NO_ERROR');
  expect(again.handle).not.toBe(handle);
});

test('deregistering ends the enumerations of the client (MGM-REG-04)', () => {
  const { manager } = new Bed();
  const { handle } = manager.register(PIM);
  const { enumeration } = manager.groupEnumerationStart(handle!, 'ALL_SOURCES');
  manager.deregister(handle!);
  expect(manager.groupEnumerationGetNext(enumeration!, 10).code).toBe('ERROR_INVALID_PARAMETER');
});

test('a client that owns an interface cannot deregister; handle, interface and entries stay (MGM-REG-05)', async () => {
  // given an owner with a membership
  const bed = new Bed();
  const pim = await bed.client('pim', [bed.eth1]);
  await pim.add(any(G1), bed.eth1);
  // when it deregisters
  const refused = bed.manager.deregister(pim.handle!);
  // then nothing has changed
  expect(refused.code).toBe('ERROR_CAN_NOT_COMPLETE');
  expect(bed.owner(bed.eth1)).toBe('pim');
  expect(bed.memberships()).toEqual(['(*,239.1.1.1) eth1 pim']);
  expect(now(pim.add(any(G1), bed.eth1))).toBe('NO_ERROR');
});

test('a client whose Take is still under way cannot deregister (MGM-REG-05, D-OWN-12)', async () => {
  // given a Take that waits for IGMP
  const bed = new Bed();
  const igmp = await bed.igmp([bed.eth1], { ack: 'when told' });
  const pim = await bed.client('pim');
  const take = pim.take(bed.eth1);
  // when it deregisters meanwhile
  expect(bed.manager.deregister(pim.handle!).code).toBe('ERROR_CAN_NOT_COMPLETE');
  // then the Take goes on
  await igmp.acknowledge(bed.eth1);
  await igmp.acknowledge(bed.eth1);
  expect(await said(take)).toBe('NO_ERROR');
});

test('every function with a handle refuses an unknown one (MGM-REG-06)', async () => {
  const { manager, eth1 } = new Bed();
  const nobody = 4711 as Handle;
  const answers = [
    manager.deregister(nobody),
    await manager.takeInterface(nobody, eth1),
    await manager.releaseInterface(nobody, eth1),
    await manager.addMembership(nobody, any(G1), eth1, JOIN),
    await manager.deleteMembership(nobody, any(G1), eth1, JOIN),
    manager.setMfe(nobody, { source: S2, group: G1 }, {}),
    manager.groupEnumerationStart(nobody, 'ALL_SOURCES'),
  ];
  expect(answers.map(({ code, detail }) => [code, detail])).toEqual(
    answers.map(() => ['ERROR_INVALID_PARAMETER', 'badHandle']),
  );
});

test('IGMP without disable or without enable is refused (MGM-REG-07)', () => {
  const { manager } = new Bed();
  const igmp = { protocolId: PROTOCOL.igmp, componentId: 0, name: 'igmp' };
  const both = { disableIgmp: () => undefined, enableIgmp: () => undefined };
  expect(manager.register({ ...igmp, callbacks: { disableIgmp: both.disableIgmp } }).code).toBe(
    'ERROR_INVALID_PARAMETER',
  );
  expect(manager.register({ ...igmp, callbacks: { enableIgmp: both.enableIgmp } }).code).toBe(
    'ERROR_INVALID_PARAMETER',
  );
  expect(manager.register({ ...igmp, callbacks: both }).code).toBe('NO_ERROR');
});

test('a second IGMP is refused whatever its component id (MGM-REG-08)', () => {
  const { manager } = new Bed();
  const callbacks = { disableIgmp: () => undefined, enableIgmp: () => undefined };
  manager.register({ protocolId: PROTOCOL.igmp, componentId: 0, name: 'igmp', callbacks });
  const second = manager.register({ protocolId: PROTOCOL.igmp, componentId: 7, name: 'igmp7', callbacks });
  expect(second.code).toBe('ERROR_ALREADY_EXISTS');
});

test('a late client gets no join alert for what is joined already, but the prune alert of the last leave (MGM-REG-09)', async () => {
  // given a group joined before the client came
  const bed = new Bed();
  const pim = await bed.client('pim', [bed.eth1]);
  await pim.add(any(G1), bed.eth1);
  await bed.client('late');
  await settle();
  expect(bed.heard('late')).toEqual([]);
  // when the last other client leaves
  await pim.remove(any(G1), bed.eth1);
  await settle();
  // then the late one hears of that
  expect(bed.heard('late')).toEqual(['prune (*,239.1.1.1) TRUE']);
});

test('a client that is not IGMP never gets its disable and enable callbacks (MGM-REG-10)', async () => {
  // given IGMP on the interface and a protocol that brings both callbacks
  const bed = new Bed();
  await bed.igmp([bed.eth1]);
  const pim = await bed.client('pim');
  // when it takes and releases
  await pim.takes(bed.eth1);
  await bed.resync();
  await pim.release(bed.eth1);
  await bed.resync();
  // then only IGMP heard of it
  expect(bed.journal.filter((line) => /able eth/.test(line))).toEqual([
    'igmp disable eth1',
    'igmp enable eth1',
    'igmp disable eth1',
    'igmp enable eth1',
  ]);
});

test('an absent notification callback is skipped without an error (MGM-REG-11)', async () => {
  // given two clients without a single callback, one on the way to the source
  const bed = new Bed();
  const bare = { callbacks: {}, protocolId: 1001 };
  const upstream = bed.manager.register({ ...bare, componentId: 1, name: 'upstream' }).handle!;
  const downstream = bed.manager.register({ ...bare, componentId: 2, name: 'downstream' }).handle!;
  await bed.manager.takeInterface(upstream, bed.eth2);
  await bed.manager.takeInterface(downstream, bed.eth1);
  // when everything happens that would cause a callback
  expect(now(bed.manager.addMembership(downstream, any(G1), bed.eth1, JOIN))).toBe('NO_ERROR');
  await bed.flow(S2, G1, bed.eth2);
  expect(bed.entry(S2, G1)).toBe('eth2 -> eth1');
  expect(now(bed.manager.deleteMembership(downstream, any(G1), bed.eth1, JOIN))).toBe('NO_ERROR');
  await settle();
  // then nobody complained
  expect(bed.entry(S2, G1)).toBe('eth2 -> ');
  expect(bed.log.complaints()).toEqual([]);
});
