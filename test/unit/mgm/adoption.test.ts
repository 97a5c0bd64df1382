/** A manager that begins with the table of a dead predecessor (D-RST-1), on the fake kernel. */
import { expect, test } from 'vitest';
import { ipv4 } from '../../../src/base/ip.js';
import type { AdoptionResult } from '../../../src/mgm/entries/adoption.js';
import { FORWARD } from '../../../src/mgm/client.js';
import { type Vif, VIFS } from '../../../src/port/kernel.js';
import { settle } from '../../support/fake-clock.js';
import { any, Bed, G1, G2, S0, S2, sg } from '../../support/manager-bed.js';

/** pim on eth2, eth1 and eth3; (S2,G1) flows to eth1 and eth3, (S2,G2) is not wanted; then the manager dies. */
async function predecessor() {
  const bed = new Bed();
  const pim = await bed.client('pim', [bed.eth2, bed.eth1, bed.eth3]);
  await pim.add(any(G1), bed.eth1);
  await pim.add(any(G1), bed.eth3);
  await bed.flow(S2, G1, bed.eth2);
  await bed.flow(S2, G2, bed.eth2);
  return bed;
}

/** Where the kernel sends a packet of (S2,G1) now. */
async function passes(bed: Bed): Promise<string | undefined> {
  await bed.flow(S2, G1, bed.eth2);
  return bed.kernelText(S2, G1);
}

test('what the predecessor forwarded goes on before, while and after everybody is back (F04)', async () => {
  const ended: AdoptionResult[] = [];
  const bed = await (await predecessor()).succeeded((result) => ended.push(result));
  expect(await passes(bed)).toBe('eth2 -> eth1,eth3');
  const pim = await bed.client('pim', [bed.eth2, bed.eth1, bed.eth3]);
  expect(await passes(bed)).toBe('eth2 -> eth1,eth3');
  await bed.manager.takeUp();
  expect(bed.entry(S2, G1)).toBe('eth2 -> eth1,eth3');
  // when one of the two receivers speaks again within the window
  await bed.clock.run(10_000);
  await pim.add(any(G1), bed.eth1);
  expect(await passes(bed)).toBe('eth2 -> eth1,eth3');
  // then the other one goes at its end, and not before
  await bed.clock.run(19_000);
  expect(await passes(bed)).toBe('eth2 -> eth1,eth3');
  await bed.clock.run(2_000);
  expect(bed.entry(S2, G1)).toBe('eth2 -> eth1');
  expect(ended).toEqual([{ adopted: 1, kept: 1, swept: 0 }]);
});

test('interfaces get the vifs they had, also when they are taken in another order', async () => {
  const old = await predecessor();
  const vifs = [old.eth1, old.eth2, old.eth3].map((ifindex) => old.kernel.mroute.vifOf(ifindex));
  const bed = await old.succeeded();
  const added = bed.kernel.mroute.calls.addVif;
  await bed.client('pim', [bed.eth3, bed.eth1, bed.eth2]);
  expect([bed.eth1, bed.eth2, bed.eth3].map((ifindex) => bed.kernel.mroute.vifOf(ifindex))).toEqual(vifs);
  expect(bed.kernel.mroute.calls.addVif).toBe(added);
});

test('a new interface never gets a vif of the predecessor within the window', async () => {
  const bed = await (await predecessor()).succeeded();
  const pim = await bed.client('pim', [bed.eth0]);
  expect([bed.eth1, bed.eth2, bed.eth3].map((ifindex) => bed.kernel.mroute.vifOf(ifindex))).not.toContain(
    bed.kernel.mroute.vifOf(bed.eth0),
  );
  await pim.add(any(G1), bed.eth0);
  expect(await passes(bed)).toBe('eth2 -> eth1,eth3');
});

test('what nobody takes up in the window goes at its end, entries before the vifs they name', async () => {
  const ended: AdoptionResult[] = [];
  const bed = await (await predecessor()).succeeded((result) => ended.push(result));
  await bed.manager.takeUp();
  await bed.clock.run(31_000);
  expect(bed.kernel.mroute.table()).toEqual({ entries: [], vifs: [] });
  expect(ended).toEqual([{ adopted: 0, kept: 0, swept: 2 + 3 }]);
});

test('an interface that is taken late in the window still finds its flows', async () => {
  const bed = await (await predecessor()).succeeded();
  await bed.manager.takeUp();
  await bed.clock.run(20_000);
  const pim = await bed.client('pim', [bed.eth1, bed.eth2]);
  expect(bed.mfeText(S2, G1)).toBe('eth2 -> eth1');
  expect(bed.kernelText(S2, G1)).toBe('eth2 -> eth1,eth3');
  await pim.add(any(G1), bed.eth1);
  await bed.clock.run(11_000);
  expect(bed.entry(S2, G1)).toBe('eth2 -> eth1');
});

test('who takes back what was forwarded is believed at once, also within the window', async () => {
  const bed = await (await predecessor()).succeeded();
  const pim = await bed.client('pim', [bed.eth2, bed.eth1, bed.eth3]);
  await bed.manager.takeUp();
  await pim.add(any(G1), bed.eth1);
  await pim.remove(any(G1), bed.eth1);
  expect(bed.entry(S2, G1)).toBe('eth2 -> eth3');
  await pim.remove(sg(S2, G1), bed.eth3, FORWARD);
  expect(bed.entry(S2, G1)).toBe('eth2 -> ');
});

test('while the routes are not back, the way in stays as it was', async () => {
  const bed = await (await predecessor()).succeeded();
  let known = false;
  const answers = { rpf: () => (known ? {} : { refuse: true as const }) };
  const pim = await bed.client('pim', [bed.eth2, bed.eth1, bed.eth3], { answers });
  await bed.manager.takeUp();
  await pim.add(any(G1), bed.eth1);
  // when a change of routes makes the manager ask
  bed.kernel.routes.set('10.0.2.0/24', { ifindex: bed.eth2 });
  await settle();
  expect(bed.entry(S2, G1)).toBe('eth2 -> eth1,eth3');
  known = true;
  await bed.clock.run(31_000);
  expect(bed.entry(S2, G1)).toBe('eth2 -> eth1');
});

test('what an owner forbids is kept for the window when the predecessor forwarded it, and only then', async () => {
  const bed = await (await predecessor()).succeeded();
  const answers = { creationAlert: () => ({ disabled: [bed.eth1, bed.eth3, bed.eth0] }) };
  const dense = await bed.client('dense', [bed.eth2, bed.eth1, bed.eth3, bed.eth0], { answers });
  for (const ifindex of [bed.eth0, bed.eth1, bed.eth3]) await dense.add(any(G1), ifindex);
  await bed.manager.takeUp();
  expect(bed.entry(S2, G1)).toBe('eth2 -> eth1,eth3');
  await bed.clock.run(31_000);
  expect(bed.entry(S2, G1)).toBe('eth2 -> ');
});

test('J4: outputs by interfaces that went meanwhile do not lead to whoever gets their vif', async () => {
  const old = await predecessor();
  const vif = old.kernel.mroute.vifOf(old.eth3)!;
  old.clock.forgetTimers();
  old.kernel.links.forgetHandlers();
  old.kernel.deleteDevice(old.eth3);
  const bed = await old.succeeded();
  expect(bed.kernel.mroute.rawOutputs(S2, G1)).not.toContain(vif);
  await bed.client('pim', [bed.eth2, bed.eth1]);
  expect(await passes(bed)).toBe('eth2 -> eth1');
});

test('a static entry of a stranger is not taken for a predecessor’s (F02)', async () => {
  const old = await predecessor();
  const ttls = new Uint8Array(VIFS);
  old.kernel.mroute.foreign.addMfc({ source: S0, group: G1, iif: 0 as Vif, ttls });
  const ended: AdoptionResult[] = [];
  const bed = await old.succeeded((result) => ended.push(result));
  await bed.client('pim', [bed.eth2, bed.eth1, bed.eth3]);
  await bed.manager.takeUp();
  await bed.manager.reconcile();
  const foreign = bed.manager
    .snapshot()
    .mfc()
    .filter(({ state }) => state === 'foreign');
  expect(foreign.map(({ group }) => group)).toEqual(['239.1.1.1']);
  await bed.clock.run(31_000);
  expect(ended[0]?.adopted).toBe(1);
});

test('entries of the predecessor that wait for their interface are not shown as foreign (F03)', async () => {
  const bed = await (await predecessor()).succeeded();
  await bed.manager.takeUp();
  await bed.manager.reconcile();
  expect(bed.manager.snapshot().mfc()).toEqual([]);
  expect(bed.log.complaints()).toEqual([]);
});

test('an output by an interface that nobody takes is no difference to be repaired (D2)', async () => {
  const bed = await (await predecessor()).succeeded();
  await bed.client('pim', [bed.eth2, bed.eth1]);
  await bed.manager.takeUp();
  const writes = bed.kernel.mroute.calls.addMfc;
  await bed.manager.reconcile();
  await bed.clock.run(13_000);
  expect(bed.kernelText(S2, G1)).toBe('eth2 -> eth1,eth3');
  expect(bed.kernel.mroute.calls.addMfc).toBe(writes);
  expect(bed.log.complaints()).toEqual([]);
});

test('a flow whose first packets waited for the dead manager is answered from the dump', async () => {
  const old = await predecessor();
  old.kernel.mroute.onUpcalls(() => undefined);
  await old.flow(S0, G1, old.eth2);
  const bed = await old.succeeded();
  const pim = await bed.client('pim', [bed.eth2, bed.eth1, bed.eth3, bed.eth0]);
  await pim.add(any(G1), bed.eth1);
  await bed.manager.takeUp();
  await bed.manager.reconcile();
  await settle();
  expect(bed.mfeText(S0, G1)).toBe('eth0 -> eth1');
});

test('a second restart within the window carries over what the first one kept', async () => {
  const once = await (await predecessor()).succeeded();
  await once.client('pim', [once.eth2, once.eth1, once.eth3]);
  await once.manager.takeUp();
  await once.clock.run(5_000);
  const twice = await once.succeeded();
  const pim = await twice.client('pim', [twice.eth2, twice.eth1, twice.eth3]);
  await twice.manager.takeUp();
  await pim.add(any(G1), twice.eth1);
  await pim.add(any(G1), twice.eth3);
  await twice.clock.run(31_000);
  expect(twice.entry(S2, G1)).toBe('eth2 -> eth1,eth3');
});

test('of more flows than the budget allows as many are taken up as may have receivers, the others ask again (A2)', async () => {
  const old = await predecessor();
  for (let n = 0; n < 100; n++) await old.flow(ipv4(0x0a000210 + n), G1, old.eth2);
  const bed = await old.succeeded(undefined, 30_000, { maxEntries: 64 });
  const pim = await bed.client('pim', [bed.eth2, bed.eth1, bed.eth3]);
  await pim.add(any(G1), bed.eth1);
  await bed.manager.takeUp();
  expect(bed.manager.snapshot().totals().flows).toBe(60);
  expect(bed.kernel.mroute.size()).toBe(60);
  expect(bed.manager.snapshot().counters()['mfe.unkept']).toBe(41);
  for (let n = 0; n < 100; n++) await bed.flow(ipv4(0x0a000210 + n), G1, bed.eth2);
  expect(bed.kernel.mroute.size()).toBe(64);
});
