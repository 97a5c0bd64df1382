/** A stranger makes flows without end: how many entries there may be, and who goes first (A2, D-MFE-7). */
import { expect, test } from 'vitest';
import { type IpAddress, ipv4 } from '../../../src/base/ip.js';
import { settle } from '../../support/fake-clock.js';
import { any, Bed, type BedConfig, G1, G2, S2, S3 } from '../../support/manager-bed.js';

const groupNo = (n: number): IpAddress => ipv4(0xe8000000 + n);
const sourceNo = (n: number): IpAddress => ipv4(0x0a000210 + n);

/** pim owns eth2, where the sources are, and eth1, where G1 has a member. */
async function attacked(config: BedConfig = {}) {
  const bed = new Bed({ maxEntries: 64, ...config });
  const pim = await bed.client('pim', [bed.eth2, bed.eth1]);
  await pim.add(any(G1), bed.eth1);
  await bed.forget();
  return { bed, pim };
}

async function flood(bed: Bed, from: number, to: number): Promise<void> {
  for (let n = from; n < to; n++) await bed.flow(S2, groupNo(n), bed.eth2);
}

const counter = (bed: Bed, name: string) => bed.manager.snapshot().counters()[name] ?? 0;

test('there are never more entries than the budget, in the manager and in the kernel (A2)', async () => {
  const { bed } = await attacked();
  await flood(bed, 0, 300);
  expect(bed.kernel.mroute.size()).toBe(64);
  expect(bed.manager.snapshot().totals().flows).toBe(64);
  expect(counter(bed, 'mfe.evicted')).toBe(300 - 64);
});

test('a full table is told once, with the number held back in the line that follows (A2, F54)', async () => {
  const { bed } = await attacked();
  await flood(bed, 0, 300);
  await bed.clock.run(60_000);
  await flood(bed, 300, 400);
  const told = bed.log.lines.filter(({ fields }) => fields.evt === 'mfe.limit.reached');
  expect(told.map(({ fields }) => fields['heldBack'])).toEqual([0, 235]);
  expect(told[0]!.fields).toMatchObject({ reason: 'evicted', maxEntries: 64, ifname: 'eth2' });
});

test('the oldest unwanted entry goes first, one with receivers stays (A2)', async () => {
  const { bed } = await attacked();
  await bed.flow(S2, G1, bed.eth2);
  await flood(bed, 0, 64);
  expect(bed.entry(S2, G1)).toBe('eth2 -> eth1');
  expect(bed.entry(S2, groupNo(0))).toBeUndefined();
  expect(bed.entry(S2, groupNo(1))).toBe('eth2 -> ');
  await flood(bed, 64, 500);
  expect(bed.entry(S2, G1)).toBe('eth2 -> eth1');
});

test('a wanted flow gets its entry in a table full of unwanted ones, and its first packet passes (A2)', async () => {
  const { bed } = await attacked();
  await flood(bed, 0, 100);
  const id = await bed.flow(S2, G1, bed.eth2);
  expect(bed.entry(S2, G1)).toBe('eth2 -> eth1');
  expect(bed.kernel.timesDelivered(bed.eth1, [id])).toEqual([1]);
});

test('an entry that members make wanted is not among those that go, one that they leave is (A2)', async () => {
  const { bed, pim } = await attacked();
  await bed.flow(S2, groupNo(0), bed.eth2);
  await bed.flow(S2, G1, bed.eth2);
  await pim.add(any(groupNo(0)), bed.eth1);
  await pim.remove(any(G1), bed.eth1);
  await flood(bed, 1, 64);
  expect(bed.entry(S2, groupNo(0))).toBe('eth2 -> eth1');
  expect(bed.entry(S2, G1)).toBeUndefined();
});

test('the owner hears of an entry that had to go (A2, D-MFE-5)', async () => {
  const { bed } = await attacked();
  await flood(bed, 0, 65);
  expect(bed.heard('pim').filter((line) => line.includes('deleted'))).toEqual(['mfe-deleted (10.0.2.9,232.0.0.0)']);
});

test('with all wanted and in use a further wanted flow is silenced for 10 s, told, and asked again (A2)', async () => {
  // given as many wanted flows as may be
  const { bed } = await attacked();
  for (let n = 0; n < 60; n++) await bed.flow(sourceNo(n), G1, bed.eth2);
  // when one more comes
  await bed.flow(S2, G1, bed.eth2);
  // then the kernel has an answer that drops it, and all others are as they were
  expect(bed.entry(S2, G1)).toBe('eth2 -> ');
  expect(bed.entry(sourceNo(0), G1)).toBe('eth2 -> eth1');
  expect(counter(bed, 'mfe.refused')).toBe(1);
  expect(bed.log.lines.filter(({ fields }) => fields['reason'] === 'refused')).toHaveLength(1);
  // when there is room after that
  for (let n = 0; n < 60; n++) bed.kernel.packet(sourceNo(n), G1, bed.eth2);
  await bed.clock.run(10_000);
  expect(bed.entry(S2, G1)).toBeUndefined();
});

test('wanted flows that carry nothing any more end early when there are many of them (A2)', async () => {
  const { bed } = await attacked();
  const send = async (n: number) => void (await bed.flow(sourceNo(n), G1, bed.eth2));
  for (let n = 0; n < 60; n++) await send(n);
  for (let second = 0; second < 90; second += 5) {
    await send(0);
    await bed.clock.run(5_000);
  }
  expect(bed.entry(sourceNo(0), G1)).toBe('eth2 -> eth1');
  expect(bed.kernel.mroute.size()).toBeLessThanOrEqual(48);
  await bed.flow(S2, G1, bed.eth2);
  expect(bed.entry(S2, G1)).toBe('eth2 -> eth1');
});

/** Sources behind eth2 and eth3; eth1 has members of G1 and G2. A stranger on eth2 makes up sources that send to G1. */
async function spoofed(flows: number) {
  const bed = new Bed({ maxEntries: 256 });
  const pim = await bed.client('pim', [bed.eth2, bed.eth3, bed.eth1]);
  for (const group of [G1, G2]) await pim.add(any(group), bed.eth1);
  bed.kernel.routes.set('10.0.0.0/8', { ifindex: bed.eth2 });
  for (let n = 0; n < flows; n++) await bed.flow(ipv4(0x0a500000 + n), G1, bed.eth2);
  return bed;
}

test('a flood of sources to a wanted group locks no new flow of another input out, and ends no flow (A2)', async () => {
  const bed = await spoofed(1000);
  expect(counter(bed, 'mfe.refused')).toBeGreaterThan(700);
  await bed.flow(S3, G1, bed.eth3);
  expect(bed.entry(S3, G1)).toBe('eth3 -> eth1');
  expect(bed.entry(ipv4(0x0a500000), G1)).toBe('eth2 -> eth1');
});

test('a flood of sources to a wanted group leaves room to other groups of the same input (A2)', async () => {
  const bed = await spoofed(1000);
  await bed.flow(S2, G2, bed.eth2);
  expect(bed.entry(S2, G2)).toBe('eth2 -> eth1');
});

test('of unwanted entries those go first that came in where most of them do (A2)', async () => {
  const bed = new Bed({ maxEntries: 256 });
  await bed.client('pim', [bed.eth2, bed.eth3]);
  for (let n = 0; n < 20; n++) await bed.flow(S3, groupNo(n), bed.eth3);
  for (let n = 1000; n < 2000; n++) await bed.flow(S2, groupNo(n), bed.eth2);
  expect(bed.entry(S3, groupNo(0))).toBe('eth3 -> ');
  expect(bed.kernel.mroute.size()).toBe(256);
});

test('an entry counts for the input that it moved to (A2)', async () => {
  const bed = new Bed();
  const pim = await bed.client('pim', [bed.eth2, bed.eth3, bed.eth1]);
  await pim.add(any(G1), bed.eth1);
  await bed.flow(S2, G1, bed.eth2);
  bed.kernel.routes.set('10.0.2.0/24', { ifindex: bed.eth3 });
  await bed.clock.run(5000);
  expect(bed.entry(S2, G1)).toBe('eth3 -> eth1');
  await bed.manager.stop();
  expect(bed.kernel.mroute.size()).toBe(0);
});

test('no upcall stays without an answer of the kernel, even in a table of wanted entries only (A2)', async () => {
  const { bed, pim } = await attacked();
  // given a group whose unwanted flows fill the table, and then become wanted
  for (let n = 0; n < 64; n++) await bed.flow(sourceNo(n), groupNo(0), bed.eth2);
  await pim.add(any(groupNo(0)), bed.eth1);
  // when a flow comes that nobody wants
  await bed.flow(S2, groupNo(1), bed.eth2);
  // then nothing waits in the kernel, and no wanted entry has gone
  expect(bed.kernel.mroute.table().entries.filter(({ unresolved }) => unresolved)).toEqual([]);
  expect(bed.kernel.mroute.size()).toBe(64);
  expect(bed.entry(S2, groupNo(1))).toBeUndefined();
});

test('few unwanted entries live 900 s, many live 10 s (A2)', async () => {
  const { bed } = await attacked({ maxEntries: 128 });
  await flood(bed, 0, 16);
  await bed.clock.run(899_000);
  expect(bed.kernel.mroute.size()).toBe(16);
  await bed.clock.run(1_000);
  await flood(bed, 100, 228);
  await bed.clock.run(9_000);
  expect(bed.kernel.mroute.size()).toBe(128);
  await bed.clock.run(2_000);
  // a half of the budget may live on: then they are many no more
  expect(bed.kernel.mroute.size()).toBeLessThanOrEqual(64);
});

test('in a full table each new entry costs one write and one removal (A2)', async () => {
  const { bed } = await attacked();
  await flood(bed, 0, 64);
  const { addMfc, delMfc } = bed.kernel.mroute.calls;
  await flood(bed, 64, 164);
  expect(bed.kernel.mroute.calls).toMatchObject({ addMfc: addMfc + 100, delMfc: delMfc + 100 });
});

test('a flow with a member is served before a thousand that nobody asked for, in one burst (A2)', async () => {
  // given a burst in which the wanted flow is the oldest, so that it would come last
  const { bed } = await attacked({ maxEntries: 65_536 });
  bed.kernel.packet(S2, G1, bed.eth2);
  for (let n = 0; n < 1000; n++) bed.kernel.packet(S2, groupNo(n), bed.eth2);
  await settle();
  // then it is served in the first turn, before the others, of which only some were
  expect(bed.kernel.mroute.written[0]!.group).toBe(G1);
  expect(bed.kernel.mroute.size()).toBeLessThan(200);
  // and the others follow, all of them
  await bed.clock.run(100);
  expect(bed.kernel.mroute.size()).toBe(1001);
});

test('more unwanted flows than may wait are answered at once, none is forgotten (A2)', async () => {
  const { bed } = await attacked({ maxEntries: 65_536 });
  for (let n = 0; n < 5000; n++) bed.kernel.packet(S2, groupNo(n), bed.eth2);
  await settle();
  expect(bed.kernel.mroute.size()).toBeGreaterThan(3000);
  await bed.clock.run(100);
  expect(bed.kernel.mroute.size()).toBe(5000);
});

test('a stop leaves no timer of the budget and of waiting upcalls (A2)', async () => {
  const { bed } = await attacked({ maxEntries: 4096 });
  for (let n = 0; n < 2000; n++) bed.kernel.packet(S2, groupNo(n), bed.eth2);
  await settle();
  await bed.manager.stop();
  expect(bed.clock.due()).toBe(0);
  expect(bed.kernel.mroute.size()).toBe(0);
});
