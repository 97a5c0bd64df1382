/** The multicast view of the routing table with several feeders: coexistence.md section 7. */
import { expect, test } from 'vitest';
import { ip } from '../../../src/base/ip.js';
import { FORWARD, PROTOCOL, type RpfRequest } from '../../../src/mgm/client.js';
import { settle } from '../../support/fake-clock.js';
import { ALL, any, Bed, G1, said, sg } from '../../support/manager-bed.js';

/** Behind no interface of the bed: only routes say where it is. */
const FAR = ip('172.16.5.9');

/** dense on eth0 and eth1 with preference 10, sparse on eth2 and eth3 with 20; the kernel's route leads to eth3. */
async function two(options: ConstructorParameters<typeof Bed>[0] = {}) {
  const bed = new Bed(options);
  bed.kernel.routes.set('172.16.0.0/12', { ifindex: bed.eth3, gateway: '10.0.3.7' });
  const dense = await bed.client('dense', [bed.eth0, bed.eth1], { ribPreference: 10 });
  const sparse = await bed.client('sparse', [bed.eth2, bed.eth3], { ribPreference: 20 });
  return { bed, dense, sparse };
}

test('a route that a protocol feeds comes before the one of the kernel, the longest first, and names its feeder', async () => {
  // given a short and a long route of one protocol, and a longer one in the kernel
  const asked: RpfRequest[] = [];
  const bed = new Bed();
  bed.kernel.routes.set('172.16.5.0/24', { ifindex: bed.eth3, gateway: '10.0.3.7' });
  const dense = await bed.client('dense', [bed.eth0, bed.eth1], {
    ribPreference: 10,
    answers: { rpf: (request) => void asked.push(request) },
  });
  await bed.client('other', [bed.eth3]);
  expect(await said(dense.feeds('172.16.0.0/12', bed.eth0, '10.0.0.7'))).toBe('NO_ERROR');
  expect(await said(dense.feeds('172.16.0.0/16', bed.eth1, '10.0.1.7'))).toBe('NO_ERROR');
  // when a packet comes
  await bed.flow(FAR, G1, bed.eth1);
  // then the protocol's longest route was the look-up
  expect(asked).toEqual([expect.objectContaining({ ifindex: bed.eth1, upstreamNeighbor: ip('10.0.1.7') })]);
  expect(bed.entry(FAR, G1)).toBe('eth1 -> ');
  expect(bed.manager.snapshot().rib()).toContainEqual({
    prefix: '172.16.0.0/16',
    interface: 'eth1',
    neighbor: '10.0.1.7',
    metric: 1,
    feeder: 'dense',
    preference: 10,
  });
});

test('static overrides come first, then protocols by preference; one behind the kernel counts where the kernel has no route', async () => {
  const { bed, dense, sparse } = await two({ rpfRoutes: { '172.16.5.0/24': 'eth0' } });
  const last = await bed.client('last', [], { ribPreference: 201 });
  await dense.release(bed.eth1);
  await last.takes(bed.eth1);
  // given all of them
  await dense.feeds('172.16.0.0/16', bed.eth0, '10.0.0.7');
  await sparse.feeds('172.16.0.0/12', bed.eth2, '10.0.2.7');
  await last.feeds('172.0.0.0/8', bed.eth1, '10.0.1.7');
  const iifOf = async (source: string) => {
    await bed.flow(ip(source), G1, bed.eth3);
    return bed.entry(ip(source), G1);
  };
  expect(await iifOf('172.16.5.1')).toBe('eth0 -> '); // override
  expect(await iifOf('172.16.6.1')).toBe('eth0 -> '); // dense
  expect(await iifOf('172.17.0.1')).toBe('eth2 -> '); // sparse, the kernel has one as long
  expect(await iifOf('172.40.0.1')).toBe('eth1 -> '); // last, the kernel has none
  await sparse.feeds('172.16.0.0/12');
  expect(await iifOf('172.18.0.1')).toBe('eth3 -> '); // the kernel's comes before last's
});

test('a change of the view moves the iif to another component: one hears a prune, the other RPF and a join; nothing is doubled (INT-016)', async () => {
  const { bed, dense, sparse } = await two();
  // given a flow that comes in on dense's eth0 and leaves by sparse's eth2 and dense's eth1
  await dense.feeds('172.16.0.0/12', bed.eth0, '10.0.0.7');
  for (const ifindex of [bed.eth0, bed.eth1]) await dense.add(ALL, ifindex);
  await sparse.add(any(G1), bed.eth2);
  await bed.flow(FAR, G1, bed.eth0);
  expect(bed.entry(FAR, G1)).toBe('eth0 -> eth1,eth2');
  await bed.forget();
  // when dense withdraws its route, so that the kernel's counts, and a packet comes in on either interface
  await dense.feeds('172.16.0.0/12');
  await settle();
  const ids = [await bed.flow(FAR, G1, bed.eth0), await bed.flow(FAR, G1, bed.eth3)];
  // then the old owner is told that nobody wants it there, the new one is asked and told to join
  expect(bed.journal.filter((line) => !line.includes('(*,'))).toEqual([
    'sparse rpf (172.16.5.9,239.1.1.1) eth3',
    'dense creation (172.16.5.9,239.1.1.1) eth0',
    'dense prune (172.16.5.9,239.1.1.1) FALSE',
    'sparse join (172.16.5.9,239.1.1.1) FALSE',
    'dense wrong-if (172.16.5.9,239.1.1.1) eth0',
  ]);
  expect(bed.entry(FAR, G1)).toBe('eth3 -> eth0,eth1,eth2');
  expect(bed.kernel.timesDelivered(bed.eth2, ids)).toEqual([0, 1]);
});

test('a change inside one component is an RPF question and nothing else (INT-017)', async () => {
  const { bed, dense, sparse } = await two();
  await dense.feeds('172.16.0.0/12', bed.eth0, '10.0.0.7');
  await sparse.add(any(G1), bed.eth2);
  await bed.flow(FAR, G1, bed.eth0);
  await bed.forget();
  await dense.feeds('172.16.0.0/12', bed.eth1, '10.0.1.7');
  await settle();
  expect(bed.journal).toEqual(['dense rpf (172.16.5.9,239.1.1.1) eth1']);
  expect(bed.entry(FAR, G1)).toBe('eth1 -> eth2');
});

test('a route does not count while its feeder does not own the interface, and goes with the feeder', async () => {
  const { bed, dense } = await two();
  expect(await said(dense.feeds('172.16.0.0/12', bed.eth2))).toBe('ERROR_INVALID_PARAMETER notOwner');
  await dense.feeds('172.16.0.0/12', bed.eth0, '10.0.0.7');
  await bed.flow(FAR, G1, bed.eth0);
  expect(bed.entry(FAR, G1)).toBe('eth0 -> ');
  // when it releases the interface, the next flow goes by the kernel's route; what is known is decided again
  await dense.release(bed.eth0);
  await settle();
  expect(bed.entry(FAR, G1)).toBe('eth3 -> ');
  // and when it dies nothing of it is left
  await dense.feeds('172.16.0.0/16', bed.eth1);
  expect(bed.entry(FAR, G1)).toBe('eth1 -> ');
  dense.die();
  await settle();
  expect(bed.entry(FAR, G1)).toBe('eth3 -> ');
  expect(bed.manager.snapshot().rib()).toEqual([]);
});

test('who registered without a preference cannot feed', async () => {
  const bed = new Bed();
  const client = await bed.client('plain', [bed.eth0]);
  expect(await said(client.feeds('172.16.0.0/12', bed.eth0))).toBe('ERROR_INVALID_PARAMETER noRibPreference');
});

test('a source that its owner refuses is silenced for a minute, and asked for again when a route to it is fed', async () => {
  // given a dense protocol that refuses what it has no route to
  const bed = new Bed();
  bed.kernel.routes.set('172.16.0.0/12', { ifindex: bed.eth0, gateway: '10.0.0.7' });
  let known = false;
  const dense = await bed.client('dense', [bed.eth0, bed.eth1], {
    ribPreference: 10,
    answers: { rpf: () => (known ? undefined : { refuse: true }) },
  });
  await dense.add(ALL, bed.eth1);
  await bed.flow(FAR, G1, bed.eth0);
  await bed.flow(FAR, G1, bed.eth0);
  expect(bed.entry(FAR, G1)).toBe('eth0 -> ');
  expect(bed.heard('dense')).toEqual(['rpf (172.16.5.9,239.1.1.1) eth0']);
  // when it learns a route
  known = true;
  await dense.feeds('172.16.0.0/12', bed.eth0, '10.0.0.7');
  await bed.flow(FAR, G1, bed.eth0);
  // then the next packet passes
  expect(bed.entry(FAR, G1)).toBe('eth0 -> eth1');
  // and when it forgets it again, the entry goes at once
  known = false;
  await dense.feeds('172.16.0.0/12');
  expect(bed.entry(FAR, G1)).toBeUndefined();
});

test("a narrower key of an owner's own does not open what its (*,*) and a veto have decided", async () => {
  const { bed, dense } = await two();
  await dense.add(ALL, bed.eth1);
  await bed.flow(FAR, G1, bed.eth3);
  await dense.remove(sg(FAR, G1), bed.eth1, FORWARD);
  expect(bed.entry(FAR, G1)).toBe('eth3 -> ');
  const writes = bed.manager.snapshot().counters()['kernel.mfc-writes'];
  await dense.add(any(G1), bed.eth1);
  expect(bed.entry(FAR, G1)).toBe('eth3 -> ');
  expect(bed.manager.snapshot().counters()['kernel.mfc-writes']).toBe(writes);
});

test('RPF questions carry the protocol of the feeder', async () => {
  const asked: RpfRequest[] = [];
  const bed = new Bed();
  const dense = await bed.client('dense', [bed.eth0], {
    ribPreference: 10,
    answers: { rpf: (request) => void asked.push(request) },
  });
  await dense.feeds('172.16.0.0/12', bed.eth0, '10.0.0.7');
  await bed.flow(FAR, G1, bed.eth0);
  expect(asked[0]?.route).toEqual({ network: ip('172.16.0.0'), mask: ip('255.240.0.0'), protocol: 17 });
  expect(PROTOCOL.dvmrp).toBe(4);
});
