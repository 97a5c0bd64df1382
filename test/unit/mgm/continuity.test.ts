/** No packet lost or duplicated while an interface changes hands: D-OWN-9, D-OWN-10 and D-OWN-13. */
import { expect, test } from 'vitest';
import { type IpAddress, ipv4, toU32 } from '../../../src/base/ip.js';
import type { Ifindex } from '../../../src/port/kernel.js';
import { settle } from '../../support/fake-clock.js';
import type { TestIgmp } from '../../support/fake-clients.js';
import { any, Bed, G1, S2 } from '../../support/manager-bed.js';

/** A packet of every group at each step, and where each of them must come out exactly once. */
class Stream {
  readonly ids: number[] = [];

  constructor(
    readonly bed: Bed,
    readonly groups: readonly IpAddress[],
  ) {}

  send(): void {
    for (const group of this.groups) this.ids.push(this.bed.kernel.packet(S2, group, this.bed.eth2));
  }

  /** How many of the packets came out of eth1 other than once. */
  wrong(): number {
    return this.bed.kernel.timesDelivered(this.bed.eth1, this.ids).filter((times) => times !== 1).length;
  }
}

interface Ground {
  readonly bed: Bed;
  readonly igmp: TestIgmp;
  readonly stream: Stream;
}

/** Groups wanted by hosts on eth1, streams from eth2; IGMP on both; the interface that stays put has a fixed owner. */
async function ground(groupCount: number, moving: 'iif' | 'oif'): Promise<Ground> {
  const bed = new Bed();
  let stream: Stream | undefined;
  const packets = () => stream?.send();
  const every = Math.ceil(groupCount / 2);
  const igmp = await bed.igmp([bed.eth1, bed.eth2], {
    onDisable: packets,
    onEnable: packets,
    onReAdded: (_, count) => void (count % every === 0 && packets()),
  });
  await bed.client('fixed', [moving === 'iif' ? bed.eth1 : bed.eth2]);
  await bed.resync();
  const groups = Array.from({ length: groupCount }, (_, n) => ipv4(toU32(G1) + n));
  for (const group of groups) await igmp.hostJoins(any(group), bed.eth1);
  for (const group of groups) bed.kernel.packet(S2, group, bed.eth2);
  await settle();
  stream = new Stream(bed, groups);
  return { bed, igmp, stream };
}

/** Take, handover, handover back, release, with packets between and inside all steps. */
async function changeHands({ bed, igmp, stream }: Ground, ifindex: Ifindex): Promise<void> {
  const [a, b] = [await bed.client('a'), await bed.client('b')];
  const finished = async (client?: typeof a) => {
    stream.send();
    await bed.resync();
    if (client) bed.manager.resyncDone(client.handle!, ifindex);
    stream.send();
    await settle();
    stream.send();
  };
  igmp.ack = 'when told';
  const told = async (action: Promise<unknown>) => {
    for (const _ of ['disable', 'enable']) {
      await settle();
      stream.send();
      await igmp.acknowledge(ifindex);
      stream.send();
    }
    await action;
  };
  await told(Promise.resolve(a.take(ifindex)));
  await finished();
  await told(Promise.resolve(bed.manager.handover(ifindex, 'a', 'b', false)));
  await finished(b);
  igmp.ack = 'at once';
  await bed.manager.handover(ifindex, 'b', 'a', false);
  await finished(a);
  await a.release(ifindex);
  await finished();
}

for (const groups of [1, 10_000])
  for (const moving of ['oif', 'iif'] as const)
    test(`an ${moving} that changes owner under ${groups} streams loses and duplicates nothing (MGM-OWN-18, INT-020)`, async () => {
      // given streams that hosts want before, during and after
      const at = await ground(groups, moving);
      const writes = at.bed.kernel.mroute.calls.addMfc;
      // when the interface is taken, handed over twice and released
      await changeHands(at, moving === 'iif' ? at.bed.eth2 : at.bed.eth1);
      // then every packet came out exactly once, and no entry that stayed the same was written
      expect(at.stream.ids.length).toBeGreaterThan(20 * groups);
      expect(at.stream.wrong()).toBe(0);
      expect(at.igmp.refused).toEqual([]);
      expect(at.bed.kernel.mroute.calls.addMfc).toBe(writes);
    });

/** pim owns eth1 beside IGMP with a joined group; dvmrp is registered. */
async function ownedByPim(offer?: () => boolean | Promise<boolean>) {
  const bed = new Bed();
  const igmp = await bed.igmp([bed.eth1]);
  await igmp.hostJoins(any(G1), bed.eth1);
  const pim = await bed.client('pim', [bed.eth1]);
  const dvmrp = await bed.client('dvmrp', [], offer ? { answers: { interfaceOffered: offer } } : {});
  await bed.resync();
  await bed.forget();
  return { bed, igmp, pim, dvmrp };
}

test('a handover is one disable and one enable; the old owner is told that it lost the interface (MGM-OWN-19)', async () => {
  const { bed, dvmrp } = await ownedByPim();
  // when an operator hands eth1 over
  const view = await bed.manager.handover(bed.eth1, 'pim', 'dvmrp', false);
  bed.manager.resyncDone(dvmrp.handle!, bed.eth1);
  await bed.resync();
  // then dvmrp was asked before IGMP was disabled, and has it
  expect(view).toMatchObject({ done: true, code: 'NO_ERROR', interface: 'eth1', from: 'pim', to: 'dvmrp', igmp: true });
  expect([bed.owner(bed.eth1), bed.state(bed.eth1)]).toEqual(['dvmrp', 'PG']);
  expect(bed.heard('igmp')).toEqual(['disable eth1', 'enable eth1']);
  expect(bed.heard('pim')[0]).toBe('lost eth1');
  expect(bed.heard('dvmrp').slice(0, 3)).toEqual(['offered eth1', 'granted eth1', 'local-join (*,239.1.1.1) eth1']);
  expect(bed.journal.indexOf('dvmrp offered eth1')).toBeLessThan(bed.journal.indexOf('igmp disable eth1'));
});

test('a new owner that refuses leaves everything as it was (MGM-OWN-19)', async () => {
  for (const offer of [() => false, () => Promise.resolve(false)]) {
    const { bed } = await ownedByPim(offer);
    const view = await bed.manager.handover(bed.eth1, 'pim', 'dvmrp', false);
    await bed.resync();
    expect(view).toMatchObject({ done: false, detail: 'refusedByNewOwner' });
    expect([bed.owner(bed.eth1), bed.memberships()]).toEqual(['pim', ['(*,239.1.1.1) eth1 igmp']]);
    expect(bed.journal).toEqual(['dvmrp offered eth1']);
  }
});

test('a dry run says what would change and changes nothing (MGM-OWN-19)', async () => {
  const { bed } = await ownedByPim();
  const view = await bed.manager.handover(bed.eth1, 'pim', 'dvmrp', true);
  await bed.resync();
  expect(view).toMatchObject({ done: false, code: 'NO_ERROR', memberships: 1, igmp: true });
  expect([bed.owner(bed.eth1), bed.journal]).toEqual(['pim', []]);
});

test('a handover from somebody who is not the owner, or to somebody unknown, is refused (MGM-OWN-19)', async () => {
  const { bed } = await ownedByPim();
  for (const [from, to] of [
    ['dvmrp', 'pim'],
    ['pim', 'nobody'],
    ['nobody', 'dvmrp'],
  ] as const) {
    const view = await bed.manager.handover(bed.eth1, from, to, false);
    expect(view.done).toBe(false);
    expect(view.code).not.toBe('NO_ERROR');
  }
  expect([bed.owner(bed.eth1), bed.journal]).toEqual(['pim', []]);
});

test('a handover needs no IGMP: without it nobody is disabled and the new owner adds what it wants', async () => {
  const bed = new Bed();
  const upstream = await bed.client('upstream', [bed.eth2]);
  const pim = await bed.client('pim', [bed.eth1]);
  const dvmrp = await bed.client('dvmrp', [], {
    answers: {
      interfaceGranted: (ifindex) => {
        void dvmrp.add(any(G1), ifindex);
        bed.manager.resyncDone(dvmrp.handle!, ifindex);
      },
    },
  });
  await pim.add(any(G1), bed.eth1);
  const ids = [await bed.flow(S2, G1, bed.eth2)];
  await bed.forget();
  // when it is handed over under traffic
  await bed.manager.handover(bed.eth1, 'pim', 'dvmrp', false);
  ids.push(bed.kernel.packet(S2, G1, bed.eth2));
  await settle();
  ids.push(await bed.flow(S2, G1, bed.eth2));
  // then the membership is the new owner's, no packet is missing, and upstream heard nothing
  expect(bed.memberships()).toEqual(['(*,239.1.1.1) eth1 dvmrp']);
  expect(bed.kernel.timesDelivered(bed.eth1, ids)).toEqual([1, 1, 1]);
  expect(bed.heard(upstream.name)).toEqual([]);
});
