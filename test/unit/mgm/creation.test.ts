/** What a packet without an entry sets in motion: manager.md sections 3.1, 3.2, 3.6, 5.1 and 5.5. */
import { expect, test } from 'vitest';
import { ANY4, formatIp, ip } from '../../../src/base/ip.js';
import type { CreationRequest, RpfRequest } from '../../../src/mgm/client.js';
import type { Ifindex } from '../../../src/port/kernel.js';
import { settle } from '../../support/fake-clock.js';
import type { ClientOptions } from '../../support/fake-clients.js';
import { ALL, any, Bed, G1, S0, S2, sg } from '../../support/manager-bed.js';

/** pim owns eth2 (towards S2) and eth0, dvmrp owns eth1 and eth3. */
async function ground(pimOptions: ClientOptions = {}, dvmrpOptions: ClientOptions = {}) {
  const bed = new Bed();
  const pim = await bed.client('pim', [bed.eth2, bed.eth0], pimOptions);
  const dvmrp = await bed.client('dvmrp', [bed.eth1, bed.eth3], dvmrpOptions);
  return { bed, pim, dvmrp };
}

test('the owner of the interface towards S gets one RPF callback, before any creation alert (MGM-CRE-01)', async () => {
  const { bed, dvmrp } = await ground();
  await dvmrp.add(any(G1), bed.eth1);
  await bed.forget();
  await bed.flow(S2, G1, bed.eth2);
  expect(bed.journal).toEqual([
    'pim rpf (10.0.2.9,239.1.1.1) eth2',
    'dvmrp creation (10.0.2.9,239.1.1.1) eth1',
    'pim join (10.0.2.9,239.1.1.1) FALSE',
  ]);
  expect(bed.entry(S2, G1)).toBe('eth2 -> eth1');
});

test('the callback carries the route, the neighbour, the arrival interface and the header of the packet (MGM-CRE-01)', async () => {
  // given a source behind another router
  const asked: RpfRequest[] = [];
  const { bed } = await ground({ answers: { rpf: (request) => void asked.push(request) as undefined } });
  bed.kernel.routes.set('172.16.0.0/12', { ifindex: bed.eth2, gateway: '10.0.2.77', protocol: 186 });
  const far = ip('172.16.5.5');
  // when it sends
  await bed.flow(far, G1, bed.eth2);
  // then this is what the owner is asked, and what the entry tells
  expect(asked).toHaveLength(1);
  const { ifindex, arrival, upstreamNeighbor, route, packet } = asked[0]!;
  expect([ifindex, arrival, formatIp(upstreamNeighbor!)]).toEqual([bed.eth2, bed.eth2, '10.0.2.77']);
  expect([formatIp(route!.network), formatIp(route!.mask), route!.protocol]).toEqual([
    '172.16.0.0',
    '255.240.0.0',
    186,
  ]);
  expect([packet.length, packet[12], packet[16]]).toEqual([20, 172, 239]);
  expect(bed.mfe(far, G1)).toMatchObject({ upstreamNeighbor: ip('10.0.2.77'), iifProtocol: 'pim' });
});

test('the owner of the looked-up interface is asked, wherever the packet came in (MGM-CRE-02)', async () => {
  const asked: RpfRequest[] = [];
  const { bed } = await ground({ answers: { rpf: (request) => void asked.push(request) as undefined } });
  await bed.flow(S2, G1, bed.eth3);
  expect(asked.map(({ ifindex, arrival }) => [ifindex, arrival])).toEqual([[bed.eth2, bed.eth3]]);
  expect(bed.heard('dvmrp')).toEqual([]);
  expect(bed.entry(S2, G1)).toBe('eth2 -> ');
});

test('without a route the arrival interface is taken as the looked-up one (MGM-CRE-02, D-RPF-1)', async () => {
  const { bed } = await ground();
  await bed.flow(ip('198.51.100.1'), G1, bed.eth1);
  expect(bed.journal[0]).toBe('dvmrp rpf (198.51.100.1,239.1.1.1) eth1');
  expect(bed.entry(ip('198.51.100.1'), G1)).toBe('eth1 -> ');
});

test('an RPF reply that names another interface of the same client sets the iif (MGM-CRE-03, INT-003)', async () => {
  const reply = { answers: { rpf: () => ({ ifindex: other(), upstreamNeighbor: ip('10.0.0.77') }) } };
  const at = await ground(reply);
  function other(): Ifindex {
    return at.bed.eth0;
  }
  await at.bed.flow(S2, G1, at.bed.eth2);
  expect(at.bed.entry(S2, G1)).toBe('eth0 -> ');
  expect(at.bed.mfe(S2, G1)).toMatchObject({ upstreamNeighbor: ip('10.0.0.77'), iifProtocol: 'pim' });
});

test("an RPF reply that names somebody else's interface, or nobody's, is ignored (MGM-CRE-04)", async () => {
  for (const named of ['eth1', 'unknown'] as const) {
    const at = await ground({
      answers: { rpf: () => ({ ifindex: named === 'eth1' ? at.bed.eth1 : (999 as Ifindex) }) },
    });
    await at.bed.flow(S2, G1, at.bed.eth2);
    expect(at.bed.entry(S2, G1)).toBe('eth2 -> ');
  }
});

test('each protocol with a candidate gets one creation alert with exactly its own, preset to forward (MGM-CRE-05, INT-004, INT-005)', async () => {
  // given candidates of two protocols, and a third protocol without one
  const asked: CreationRequest[] = [];
  const record = { answers: { creationAlert: (request: CreationRequest) => void asked.push(request) as undefined } };
  const { bed, pim, dvmrp } = await ground(record, record);
  await bed.client('third');
  await pim.add(any(G1), bed.eth0);
  await dvmrp.add(any(G1), bed.eth3);
  await dvmrp.add(any(G1), bed.eth1);
  await bed.forget();
  // when the flow starts
  await bed.flow(S2, G1, bed.eth2);
  // then each was asked about its own
  expect(bed.journal.filter((line) => line.includes('creation')).sort()).toEqual([
    'dvmrp creation (10.0.2.9,239.1.1.1) eth1 eth3',
    'pim creation (10.0.2.9,239.1.1.1) eth0',
  ]);
  expect(asked.flatMap(({ oifs }) => oifs.map(({ enabled, nextHop }) => [enabled, nextHop]))).toEqual([
    [true, ANY4],
    [true, ANY4],
    [true, ANY4],
  ]);
  expect(asked.map(({ iif }) => iif)).toEqual([bed.eth2, bed.eth2]);
  expect(bed.entry(S2, G1)).toBe('eth2 -> eth0,eth1,eth3');
});

test('what the reply switches off is neither in the list nor in the kernel (MGM-CRE-06, INT-006)', async () => {
  const at = await ground({}, { answers: { creationAlert: () => ({ disabled: [at.bed.eth1, at.bed.eth0] }) } });
  const { bed, pim, dvmrp } = at;
  await pim.add(any(G1), bed.eth0);
  await dvmrp.add(any(G1), bed.eth1);
  await dvmrp.add(any(G1), bed.eth3);
  const id = await bed.flow(S2, G1, bed.eth2);
  // then eth1 is off; eth0 is pim's, dvmrp has no say in it (D-CRE-1)
  expect(bed.entry(S2, G1)).toBe('eth2 -> eth0,eth3');
  expect(bed.kernel.timesDelivered(bed.eth1, [id])).toEqual([0]);
});

test('a protocol that changes nothing forwards on all its candidates (MGM-CRE-07)', async () => {
  for (const creationAlert of [() => undefined, () => ({ disabled: [] }), async () => undefined]) {
    const { bed, dvmrp } = await ground({}, { answers: { creationAlert } });
    await dvmrp.add(any(G1), bed.eth1);
    await dvmrp.add(any(G1), bed.eth3);
    await bed.flow(S2, G1, bed.eth2);
    expect(bed.entry(S2, G1)).toBe('eth2 -> eth1,eth3');
  }
});

test('a protocol that does not answer forwards on all its candidates after 500 ms (MGM-CRE-07)', async () => {
  const { bed, dvmrp } = await ground({}, { answers: { creationAlert: () => new Promise(() => undefined) } });
  await dvmrp.add(any(G1), bed.eth1);
  const id = await bed.flow(S2, G1, bed.eth2);
  await bed.clock.run(499);
  expect(bed.entry(S2, G1)).toBeUndefined();
  // other interfaces and clients are served meanwhile
  expect(await dvmrp.add(any(G1), bed.eth3)).toMatchObject({ code: 'NO_ERROR' });
  await bed.clock.run(1);
  expect(bed.entry(S2, G1)).toBe('eth2 -> eth1,eth3');
  expect(bed.kernel.timesDelivered(bed.eth1, [id])).toEqual([1]);
});

test('an RPF owner that does not answer costs 500 ms and the look-up stands (MGM-CRE-07)', async () => {
  const { bed } = await ground({ answers: { rpf: () => new Promise(() => undefined) } });
  await bed.flow(S2, G1, bed.eth2);
  await bed.clock.run(500);
  expect(bed.entry(S2, G1)).toBe('eth2 -> ');
});

test('a candidate says whether IGMP is enabled on it (MGM-CRE-08)', async () => {
  const { bed, dvmrp } = await ground();
  const igmp = await bed.igmp([bed.eth3]);
  await igmp.hostJoins(any(G1), bed.eth3);
  await dvmrp.add(any(G1), bed.eth1);
  await bed.forget();
  await bed.flow(S2, G1, bed.eth2);
  expect(bed.heard('dvmrp')).toEqual(['creation (10.0.2.9,239.1.1.1) eth1 eth3+igmp']);
});

test('fifty packets of a new flow are one RPF and one creation, also while the answers are under way (MGM-CRE-09)', async () => {
  // given protocols that take 100 ms for each answer
  const later = (bed: () => Bed) => () =>
    new Promise<undefined>((resolve) => bed().clock.after(100, () => resolve(undefined)));
  const at = await ground(
    { answers: { rpf: later(() => at.bed) } },
    { answers: { creationAlert: later(() => at.bed) } },
  );
  const { bed, dvmrp } = at;
  await dvmrp.add(any(G1), bed.eth1);
  await bed.forget();
  // when fifty packets come within 250 ms
  for (let n = 0; n < 50; n++) {
    await bed.flow(S2, G1, bed.eth2);
    await bed.clock.run(5);
  }
  // then nobody was asked twice
  expect(bed.journal.filter((line) => /rpf|creation/.test(line))).toEqual([
    'pim rpf (10.0.2.9,239.1.1.1) eth2',
    'dvmrp creation (10.0.2.9,239.1.1.1) eth1',
  ]);
  expect(bed.entry(S2, G1)).toBe('eth2 -> eth1');
});

test('without a candidate the entry is negative and the iif owner gets the FALSE prune alert (MGM-CRE-10, INT-007)', async () => {
  const { bed } = await ground();
  await bed.flow(S2, G1, bed.eth2);
  expect(bed.entry(S2, G1)).toBe('eth2 -> ');
  expect(bed.journal).toEqual(['pim rpf (10.0.2.9,239.1.1.1) eth2', 'pim prune (10.0.2.9,239.1.1.1) FALSE']);
});

test('a source towards an interface nobody took gives a negative entry at the arrival for 60 s, and no callback (MGM-CRE-10, D-RPF-3)', async () => {
  const bed = new Bed();
  const dvmrp = await bed.client('dvmrp', [bed.eth1, bed.eth3]);
  await dvmrp.add(any(G1), bed.eth3);
  await bed.flow(S2, G1, bed.eth1); // the way to S2 is eth2, which nobody has
  expect([bed.entry(S2, G1), bed.journal]).toEqual(['eth1 -> ', []]);
  expect(bed.mfe(S2, G1)).toMatchObject({ timeout: 60, iifProtocol: 'dvmrp' });
});

test('whoever decides where the packet arrives may expect it there when nobody serves the way to its source (G)', async () => {
  // given a client that lets the flow in by an interface of its own, other than the routes say
  const bed = new Bed();
  let expected = true;
  const expects = () => (expected ? { ifindex: bed.eth1, outputs: [bed.eth3] } : undefined);
  await bed.client('dvmrp', [bed.eth1, bed.eth3], { answers: { expects } });
  await bed.flow(S2, G1, bed.eth1); // the way to S2 is eth2, which nobody has
  expect(bed.entry(S2, G1)).toBe('eth1 -> eth3');
  // when somebody takes the way to the source, then that one decides
  const pim = await bed.client('pim', [bed.eth2]);
  const other = ip('10.0.2.10');
  await bed.flow(other, G1, bed.eth2);
  expect(bed.entry(other, G1)).toBe('eth2 -> ');
  expect(pim.name).toBe('pim');
  // and who expects nothing leaves it silenced
  await pim.release(bed.eth2);
  expected = false;
  const third = ip('10.0.2.11');
  await bed.flow(third, G1, bed.eth1);
  expect(bed.entry(third, G1)).toBe('eth1 -> ');
});

test('membership on the iif does not bring the iif into the list (MGM-CRE-11)', async () => {
  const { bed, pim, dvmrp } = await ground();
  await pim.add(any(G1), bed.eth2);
  await dvmrp.add(any(G1), bed.eth1);
  await bed.forget();
  await bed.flow(S2, G1, bed.eth2);
  expect(bed.entry(S2, G1)).toBe('eth2 -> eth1');
  expect(bed.heard('pim').filter((line) => line.startsWith('creation'))).toEqual([]);
});

test('(S,G), (*,G) and (*,*) entries on three interfaces are three candidates (MGM-CRE-12)', async () => {
  const { bed, pim, dvmrp } = await ground();
  await pim.add(ALL, bed.eth0);
  await dvmrp.add(any(G1), bed.eth1);
  await dvmrp.add(sg(S2, G1), bed.eth3);
  await bed.flow(S2, G1, bed.eth2);
  expect(bed.entry(S2, G1)).toBe('eth2 -> eth0,eth1,eth3');
  // and another source of the group does not leave by the (S,G) one
  await bed.flow(ip('10.0.2.10'), G1, bed.eth2);
  expect(bed.entry(ip('10.0.2.10'), G1)).toBe('eth2 -> eth0,eth1');
});

test('a packet on the wrong interface is told to the owner of the arrival interface and changes nothing (MGM-CRE-13, INT-024)', async () => {
  const { bed, dvmrp } = await ground();
  await dvmrp.add(any(G1), bed.eth1);
  await bed.flow(S2, G1, bed.eth2);
  await bed.forget();
  // when the flow also comes in by an interface it leaves by
  const id = await bed.flow(S2, G1, bed.eth1);
  // then that one's owner hears of it
  expect(bed.journal).toEqual(['dvmrp wrong-if (10.0.2.9,239.1.1.1) eth1']);
  expect(bed.entry(S2, G1)).toBe('eth2 -> eth1');
  expect(bed.kernel.timesDelivered(bed.eth1, [id])).toEqual([0]);
});

test('a source that its RPF owner refuses leaves by no interface, whoever joins while the entry silences it (D-RPF-3)', async () => {
  // given a refused flow, silenced by a negative entry
  let refuse = true;
  const { bed, dvmrp } = await ground({ answers: { rpf: () => ({ refuse }) } });
  await bed.flow(S2, G1, bed.eth2);
  // when others join the group, then it stays as it is
  await dvmrp.add(any(G1), bed.eth1);
  await dvmrp.add(any(G1), bed.eth3);
  const id = await bed.flow(S2, G1, bed.eth2);
  expect(bed.entry(S2, G1)).toBe('eth2 -> ');
  expect(bed.kernel.timesDelivered(bed.eth1, [id])).toEqual([0]);
  // when the entry has ended and the owner thinks better of it
  refuse = false;
  await bed.clock.run(61_000);
  await bed.flow(S2, G1, bed.eth2);
  expect(bed.entry(S2, G1)).toBe('eth2 -> eth1,eth3');
});

test('packets of 224.0.0.0/24 never lead to an entry (INT-026, D-FWD-3)', async () => {
  // given a kernel that tells of them, which Linux does not
  const { bed, dvmrp } = await ground();
  await dvmrp.add(ALL, bed.eth1);
  bed.kernel.mroute.linkLocalToo = true;
  await bed.forget();
  await bed.flow(S2, ip('224.0.0.251'), bed.eth2);
  expect([bed.kernel.mroute.size(), bed.journal]).toEqual([0, []]);
  // the first group behind that block is one like any other
  await bed.flow(S2, ip('224.0.1.0'), bed.eth2);
  expect(bed.entry(S2, ip('224.0.1.0'))).toBe('eth2 -> eth1');
});

test('an upcall for a flow that has an entry already pushes the entry again (5.1 step 2)', async () => {
  // given an entry that somebody deleted behind the manager's back
  const { bed, dvmrp } = await ground();
  await dvmrp.add(any(G1), bed.eth1);
  await bed.flow(S2, G1, bed.eth2);
  bed.kernel.mroute.foreign.delMfc(S2, G1);
  await bed.forget();
  // when the next packet comes
  const id = await bed.flow(S2, G1, bed.eth2);
  // then it is forwarded without asking anybody
  expect(bed.entry(S2, G1)).toBe('eth2 -> eth1');
  expect(bed.kernel.timesDelivered(bed.eth1, [id])).toEqual([1]);
  expect(bed.journal).toEqual([]);
});

test('membership that comes or goes while a creation waits for its answers is in the result', async () => {
  // given an RPF owner that answers when told
  let answer: () => void = () => undefined;
  const { bed, dvmrp } = await ground({
    answers: { rpf: () => new Promise((resolve) => (answer = () => resolve(undefined))) },
  });
  await dvmrp.add(any(G1), bed.eth1);
  await bed.flow(S2, G1, bed.eth2);
  // when one interface leaves and another joins meanwhile
  await dvmrp.remove(any(G1), bed.eth1);
  await dvmrp.add(any(G1), bed.eth3);
  answer();
  await settle();
  // then the entry is what the memberships say
  expect(bed.entry(S2, G1)).toBe('eth2 -> eth3');
});

test('a protocol that dies while its answer is awaited counts as its default (6.11)', async () => {
  const { bed, dvmrp } = await ground({}, { answers: { creationAlert: () => new Promise(() => undefined) } });
  await dvmrp.add(any(G1), bed.eth1);
  await bed.flow(S2, G1, bed.eth2);
  dvmrp.die();
  await settle();
  expect(bed.entry(S2, G1)).toBe('eth2 -> ');
});

test('an incoming interface that the routes move is moved in the kernel, and both owners are told (6.16)', async () => {
  // given a source behind a router on eth2 (pim), receivers on eth3 (dvmrp) and eth2
  const { bed, pim, dvmrp } = await ground();
  const far = ip('172.16.5.5');
  bed.kernel.routes.set('172.16.0.0/12', { ifindex: bed.eth2, gateway: '10.0.2.77' });
  const other = await bed.client('other');
  await dvmrp.add(sg(far, G1), bed.eth3);
  await pim.add(any(G1), bed.eth2);
  await dvmrp.add(any(G1), bed.eth1);
  await bed.flow(far, G1, bed.eth2);
  expect(bed.entry(far, G1)).toBe('eth2 -> eth1,eth3');
  await bed.forget();
  // when the route moves to eth1 (dvmrp)
  bed.kernel.routes.set('172.16.0.0/12', { ifindex: bed.eth1, gateway: '10.0.1.77' });
  await settle();
  // then the entry follows, the new owner was asked, the old one hears that nobody wants it from there any more
  expect(bed.entry(far, G1)).toBe('eth1 -> eth2,eth3');
  expect(bed.heard('dvmrp')[0]).toBe('rpf (172.16.5.5,239.1.1.1) eth1');
  expect(bed.heard('pim')).toContain('prune (172.16.5.5,239.1.1.1) TRUE');
  expect(bed.heard('dvmrp')).toContain('join (172.16.5.5,239.1.1.1) FALSE');
  expect(bed.heard(other.name)).toEqual([]);
  // and packets that wait nowhere: the next one is forwarded
  const id = await bed.flow(far, G1, bed.eth1);
  expect(bed.kernel.timesDelivered(bed.eth3, [id])).toEqual([1]);
});

test('a source on the router itself is looked up like a connected one (8.1, locally sent multicast)', async () => {
  const { bed, dvmrp } = await ground();
  await dvmrp.add(any(G1), bed.eth1);
  await bed.flow(ip('10.0.2.1'), G1, bed.eth2);
  expect(bed.entry(ip('10.0.2.1'), G1)).toBe('eth2 -> eth1');
  await bed.flow(S0, G1, bed.eth0);
  expect(bed.entry(S0, G1)).toBe('eth0 -> eth1');
});
