/** There are many entries: no event takes one turn for all of them, and a stop takes one call (A2, A6). */
import { expect, test } from 'vitest';
import { type IpAddress, ipv4 } from '../../../src/base/ip.js';
import { STEPS_PER_SLICE } from '../../../src/mgm/slices.js';
import { type Vif, VIFS } from '../../../src/port/kernel.js';
import { settle } from '../../support/fake-clock.js';
import { ALL, any, Bed, type BedConfig, G1, S2, S3 } from '../../support/manager-bed.js';

const MANY = 4000;
/** System calls of one slice: a few for each step, and what a close or a take makes beside. */
const A_SLICE = 2 * STEPS_PER_SLICE;
const sourceNo = (n: number): IpAddress => ipv4(0x0a000200 + 16 * 65_536 + n);
const groupNo = (n: number): IpAddress => ipv4(0xe8000000 + n);

/** pim owns eth2 and eth1; MANY sources behind eth2 send to G1, which has a member on eth1 if `wanted`. */
async function flowing(wanted: boolean, config: BedConfig = {}) {
  const bed = new Bed({ rpfRoutes: { '10.16.0.0/16': 'eth2' }, ...config });
  const pim = await bed.client('pim', [bed.eth2, bed.eth1]);
  if (wanted) await pim.add(any(G1), bed.eth1);
  for (let n = 0; n < MANY; n++) bed.kernel.packet(sourceNo(n), G1, bed.eth2);
  await bed.clock.run(1000);
  await bed.forget();
  expect(bed.kernel.mroute.size()).toBe(MANY);
  return { bed, pim };
}

const calls = ({ kernel }: Bed) => {
  const { addMfc, delMfc } = kernel.mroute.calls;
  return addMfc + delMfc;
};

/** What an event costs in its own turn; all of it is done a little later. */
async function inItsTurn(bed: Bed, event: () => unknown): Promise<number> {
  const before = calls(bed);
  const done = event();
  await settle(); // the clock stands still: what happened since is one turn
  const cost = calls(bed) - before;
  await done;
  await bed.clock.run(1000);
  return cost;
}

test('the incoming interface of many flows goes: in slices, and nothing of them stays (A2)', async () => {
  const { bed } = await flowing(true);
  expect(await inItsTurn(bed, () => bed.kernel.deleteDevice(bed.eth2))).toBeLessThan(A_SLICE);
  expect(bed.kernel.mroute.size()).toBe(0);
  expect(bed.manager.snapshot().totals()).toEqual({ groups: 1, flows: 0 });
});

test('the outgoing interface of many flows goes: at once nothing leaves by it, the entries follow in slices (A2)', async () => {
  const { bed, pim } = await flowing(true);
  const vif = bed.kernel.mroute.vifOf(bed.eth1)!;
  const cost = await inItsTurn(bed, () => {
    const released = pim.release(bed.eth1);
    expect(bed.kernel.mroute.vifOf(bed.eth1)).toBeUndefined();
    expect(bed.mfeText(sourceNo(MANY - 1), G1)).toBe('eth2 -> ');
    return released;
  });
  expect(cost).toBeLessThan(A_SLICE);
  for (const n of [0, MANY / 2, MANY - 1]) expect(bed.kernel.mroute.rawOutputs(sourceNo(n), G1)).not.toContain(vif);
});

test('the number of a vif comes back only when no entry names it any more (A2, D-LIN-13)', async () => {
  const { bed, pim } = await flowing(true);
  const vif = bed.kernel.mroute.vifOf(bed.eth1)!;
  // given that all other numbers are in use
  const others = Array.from({ length: VIFS - 2 }, (_, n) => bed.kernel.addDevice(`dummy${n}`, `10.99.${n}.1/24`));
  await pim.takes(others[0]!);
  for (const other of others.slice(1)) await pim.takes(other);
  // when the interface is released and another one is taken in the same turn
  void bed.manager.releaseInterface(pim.handle!, bed.eth1);
  void bed.manager.takeInterface(pim.handle!, bed.eth3);
  // then the other one got the number, and not one entry leads there
  expect(bed.kernel.mroute.vifOf(bed.eth3)).toBe(vif);
  for (let n = 0; n < MANY; n++) expect(bed.kernel.mroute.rawOutputs(sourceNo(n), G1)).toEqual([]);
});

test('the route to the sources of many flows changes: they are decided again in slices (A2)', async () => {
  const { bed } = await flowing(true, { rpfRoutes: {} });
  bed.kernel.routes.set('10.16.0.0/16', { ifindex: bed.eth2 });
  await bed.clock.run(1000);
  expect(await inItsTurn(bed, () => bed.kernel.routes.set('10.16.0.0/16', { ifindex: bed.eth1 }))).toBeLessThan(
    A_SLICE,
  );
  expect(bed.mfeText(sourceNo(MANY - 1), G1)).toBe('eth1 -> ');
});

test('a member joins and leaves a group that many send to: in slices (A2)', async () => {
  const { bed, pim } = await flowing(false);
  expect(await inItsTurn(bed, () => pim.add(any(G1), bed.eth1))).toBeLessThan(A_SLICE);
  expect(bed.entry(sourceNo(MANY - 1), G1)).toBe('eth2 -> eth1');
  expect(await inItsTurn(bed, () => pim.remove(any(G1), bed.eth1))).toBeLessThan(A_SLICE);
  expect(bed.entry(sourceNo(0), G1)).toBe('eth2 -> ');
});

test('joins and leaves in one turn end with what was said last, however many entries follow (A2)', async () => {
  const { bed, pim } = await flowing(false);
  const says = {
    joins: () => void bed.manager.addMembership(pim.handle!, any(G1), bed.eth1, 1),
    leaves: () => void bed.manager.deleteMembership(pim.handle!, any(G1), bed.eth1, 1),
  };
  for (const [words, ends] of [
    [['joins', 'leaves'], 'eth2 -> '],
    [['joins', 'leaves', 'joins'], 'eth2 -> eth1'],
    [['leaves', 'joins'], 'eth2 -> eth1'],
    [['leaves', 'joins', 'leaves'], 'eth2 -> '],
  ] as const) {
    for (const word of words) says[word]();
    await bed.clock.run(1000);
    expect([0, MANY / 2, MANY - 1].map((n) => bed.entry(sourceNo(n), G1))).toEqual([ends, ends, ends]);
  }
});

test('a wish for everything opens many entries in slices (A2)', async () => {
  const { bed, pim } = await flowing(false);
  expect(await inItsTurn(bed, () => pim.add(ALL, bed.eth1))).toBeLessThan(A_SLICE);
  expect(bed.entry(sourceNo(MANY - 1), G1)).toBe('eth2 -> eth1');
});

test('flows that nobody served ask again in slices when an interface is taken (A2)', async () => {
  // given flows from a network that lies behind an interface nobody is on
  const bed = new Bed({ rpfRoutes: { '10.16.0.0/16': 'eth3' } });
  const pim = await bed.client('pim', [bed.eth2, bed.eth1]);
  for (let n = 0; n < MANY; n++) bed.kernel.packet(sourceNo(n), G1, bed.eth2);
  await bed.clock.run(1000);
  // when it is taken
  expect(await inItsTurn(bed, () => pim.takes(bed.eth3))).toBeLessThan(A_SLICE);
  expect(bed.kernel.mroute.size()).toBe(0);
});

test('a stop takes one call for all entries, and leaves those that others wrote (A2)', async () => {
  const { bed, pim } = await flowing(true);
  const ttls = new Uint8Array(VIFS);
  bed.kernel.mroute.foreign.addMfc({ source: S2, group: groupNo(1), iif: 0 as Vif, ttls });
  await bed.clock.run(1000);
  for (const ifindex of [bed.eth1, bed.eth2]) await pim.release(ifindex);
  const before = calls(bed);
  await bed.manager.stop();
  expect(calls(bed) - before).toBe(0);
  expect(bed.kernel.mroute.calls.flushOwn).toBe(1);
  expect(bed.kernel.mroute.table().entries.map(({ group }) => group)).toEqual([groupNo(1)]);
  expect(bed.clock.due()).toBe(0);
});

test('an entry of ours that somebody overwrote goes with the stop, though it is static now (A2, K-29)', async () => {
  const { bed } = await flowing(true);
  bed.kernel.mroute.foreign.addMfc({ source: sourceNo(1), group: G1, iif: 0 as Vif, ttls: new Uint8Array(VIFS) });
  await bed.clock.run(1000);
  expect(bed.entry(sourceNo(1), G1)).toBe('eth2 -> eth1');
  await bed.manager.stop();
  expect(bed.kernel.mroute.size()).toBe(0);
});

test('twenty thousand foreign entries cause a few lines, and a bounded list (A6, F54)', async () => {
  const { bed } = await flowing(false);
  const ttls = new Uint8Array(VIFS);
  for (let n = 0; n < 20_000; n++)
    bed.kernel.mroute.foreign.addMfc({ source: S2, group: groupNo(n), iif: 0 as Vif, ttls });
  await bed.clock.run(2000);
  const view = bed.manager.snapshot();
  expect(view.counters()['reconcile.foreign']).toBe(20_000);
  expect(view.mfc().filter(({ state }) => state === 'foreign')).toHaveLength(1000);
  const told = () => bed.log.lines.filter(({ fields }) => fields.evt === 'kernel.foreign-change');
  expect(told()).toHaveLength(10);
  // the comparisons that follow find nothing new
  await bed.clock.run(180_000);
  expect(view.counters()['reconcile.foreign']).toBe(20_000);
  expect(told()).toHaveLength(11);
  expect(told()[10]!.fields).toMatchObject({ heldBack: 20_000 - 10 });
});

test('foreign entries that are to be removed go in slices (A6)', async () => {
  const { bed } = await flowing(false, { foreign: 'remove' });
  const ttls = new Uint8Array(VIFS);
  for (let n = 0; n < MANY; n++)
    bed.kernel.mroute.foreign.addMfc({ source: S3, group: groupNo(n), iif: 0 as Vif, ttls });
  const before = calls(bed);
  await settle();
  void bed.manager.reconcile();
  await settle();
  expect(calls(bed) - before).toBeLessThan(A_SLICE);
  await bed.clock.run(2000);
  expect(bed.kernel.mroute.size()).toBe(MANY);
});

test('somebody empties a large table again and again: few lines, and the table is written again (A6, F47, F54)', async () => {
  const { bed } = await flowing(true);
  for (let round = 0; round < 3; round++) {
    for (let n = 0; n < MANY; n++) bed.kernel.mroute.foreign.delMfc(sourceNo(n), G1);
    await bed.clock.run(30_000);
    expect(bed.kernel.mroute.size()).toBe(MANY);
  }
  expect(bed.log.lines.filter(({ fields }) => fields.evt === 'kernel.repaired').length).toBeLessThan(30);
  expect(bed.manager.snapshot().counters()['reconcile.repaired']).toBe(3 * MANY);
});

test('routes that flap while entries are decided again wait for the end of it (A2)', async () => {
  const { bed } = await flowing(true, { rpfRoutes: {} });
  bed.kernel.routes.set('10.16.0.0/16', { ifindex: bed.eth2 });
  await bed.clock.run(1000);
  const before = calls(bed);
  for (let n = 0; n < 101; n++) {
    bed.kernel.routes.set('10.16.0.0/16', { ifindex: n % 2 === 0 ? bed.eth1 : bed.eth2 });
    await settle();
  }
  await bed.clock.run(1000);
  // each entry was written once or twice, not a hundred times, and as the last route says
  expect(calls(bed) - before).toBeLessThanOrEqual(3 * MANY);
  expect(bed.mfeText(sourceNo(0), G1)).toBe('eth1 -> ');
});
