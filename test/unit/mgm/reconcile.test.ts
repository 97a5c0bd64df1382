/** Somebody else writes the table: D-LIN-2 and the failure modes F02, F03 and F47, on the fake kernel. */
import { expect, test } from 'vitest';
import { KernelError } from '../../../src/base/errors.js';
import { type Mfc, type Vif, VIFS } from '../../../src/port/kernel.js';
import { settle } from '../../support/fake-clock.js';
import { any, Bed, type BedConfig, G1, G2, S2 } from '../../support/manager-bed.js';

/** pim owns eth2 and eth1; (S2,G1) flows to eth1. */
async function flowing(config: BedConfig = {}) {
  const bed = new Bed(config);
  const pim = await bed.client('pim', [bed.eth2, bed.eth1]);
  await pim.add(any(G1), bed.eth1);
  await bed.flow(S2, G1, bed.eth2);
  const [iif, oif] = [bed.kernel.mroute.vifOf(bed.eth2)!, bed.kernel.mroute.vifOf(bed.eth1)!];
  const entry = (group: typeof G1, oifs: readonly Vif[]): Mfc => {
    const ttls = new Uint8Array(VIFS);
    for (const vif of oifs) ttls[vif] = 1;
    return { source: S2, group, iif, ttls };
  };
  await bed.forget();
  return { bed, pim, oif, entry };
}

test('an entry that somebody deletes is restored within a second, without waiting for a packet (F47, INT-027)', async () => {
  const { bed } = await flowing();
  bed.kernel.mroute.foreign.delMfc(S2, G1);
  await bed.clock.run(1_000);
  expect(bed.entry(S2, G1)).toBe('eth2 -> eth1');
  expect(bed.journal).toEqual([]);
});

test('an entry that somebody overwrites is written as it was within a second (F47)', async () => {
  const { bed, entry } = await flowing();
  bed.kernel.mroute.foreign.addMfc(entry(G1, []));
  await bed.clock.run(1_000);
  expect(bed.entry(S2, G1)).toBe('eth2 -> eth1');
});

test('what changed while notifications were lost is found by a dump (F47)', async () => {
  // given a kernel that tells nobody
  const { bed } = await flowing();
  bed.kernel.mroute.onChange(() => undefined);
  bed.kernel.mroute.foreign.delMfc(S2, G1);
  await settle();
  expect(bed.kernelText(S2, G1)).toBeUndefined();
  // when the time of the regular comparison has come
  await bed.clock.run(60_000);
  // then it is repaired
  expect(bed.entry(S2, G1)).toBe('eth2 -> eth1');
});

test('a notice that notifications were lost causes a dump at once (F47)', async () => {
  const { bed } = await flowing();
  let dumps = 0;
  const dump = bed.kernel.mroute.dump.bind(bed.kernel.mroute);
  bed.kernel.mroute.dump = () => {
    dumps++;
    return dump();
  };
  bed.kernel.mroute.loseNotifications();
  await bed.clock.run(1_000);
  expect(dumps).toBeGreaterThan(0);
});

test('a foreign entry is left, shown as foreign and logged once (F02)', async () => {
  const { bed, entry, oif } = await flowing();
  bed.kernel.mroute.foreign.addMfc(entry(G2, [oif]));
  await bed.clock.run(120_000);
  expect(bed.kernelText(S2, G2)).toBe('eth2 -> eth1');
  const shown = bed.manager
    .snapshot()
    .mfc()
    .filter((view) => view.state === 'foreign');
  expect(shown.map(({ group, iif, oifs }) => [group, iif, oifs])).toEqual([['239.1.1.2', 'eth2', ['eth1']]]);
  expect(bed.log.complaints()).toHaveLength(1);
});

test('a foreign entry is removed when the configuration says so (F02)', async () => {
  const { bed, entry, oif } = await flowing({ foreign: 'remove' });
  bed.kernel.mroute.foreign.addMfc(entry(G2, [oif]));
  await bed.clock.run(1_000);
  expect(bed.kernelText(S2, G2)).toBeUndefined();
  expect(bed.entry(S2, G1)).toBe('eth2 -> eth1');
});

test('an entry of ours that goes while the kernel is being read is not taken for a foreign one (F02)', async () => {
  // given a kernel whose answer was made before the entry went
  const { bed, pim } = await flowing();
  const dump = bed.kernel.mroute.dump.bind(bed.kernel.mroute);
  bed.kernel.mroute.dump = async () => {
    const seen = await dump();
    await pim.release(bed.eth2);
    await pim.release(bed.eth1);
    return seen;
  };
  // when the tables are compared
  await bed.manager.reconcile();
  // then
  expect(bed.entry(S2, G1)).toBeUndefined();
  expect(bed.manager.snapshot().counters()['reconcile.foreign']).toBeUndefined();
  expect(bed.log.complaints()).toEqual([]);
});

test('a quiet table is compared without a write', async () => {
  const { bed } = await flowing();
  const calls = { ...bed.kernel.mroute.calls };
  await bed.clock.run(600_000);
  expect(bed.kernel.mroute.calls).toEqual(calls);
  expect(bed.log.complaints()).toEqual([]);
});

test('a dump that the kernel refuses is reported, and the next one repairs', async () => {
  const { bed } = await flowing();
  const dump = bed.kernel.mroute.dump.bind(bed.kernel.mroute);
  bed.kernel.mroute.dump = () =>
    Promise.resolve(new KernelError('RTM_GETROUTE', 'the multicast routes', 12, 'ENOMEM', 'Free memory.'));
  await bed.clock.run(60_000);
  expect(bed.log.complaints().length).toBeGreaterThan(0);
  bed.kernel.mroute.dump = dump;
  bed.kernel.mroute.onChange(() => undefined);
  bed.kernel.mroute.foreign.delMfc(S2, G1);
  await bed.clock.run(60_000);
  expect(bed.entry(S2, G1)).toBe('eth2 -> eth1');
});

/** Runs for so long and counts what the manager writes. */
async function writesIn(bed: Bed, ms: number): Promise<number> {
  const before = bed.kernel.mroute.calls.addMfc;
  await bed.clock.run(ms);
  return bed.kernel.mroute.calls.addMfc - before;
}

test('a kernel that never shows what was written is not written over and over (D2)', async () => {
  const { bed } = await flowing();
  const { mroute } = bed.kernel;
  const add = mroute.addMfc.bind(mroute);
  mroute.addMfc = (entry) => add({ ...entry, ttls: new Uint8Array(VIFS) });
  mroute.foreign.delMfc(S2, G1);
  expect(await writesIn(bed, 10_000)).toBeLessThan(8);
  expect(await writesIn(bed, 600_000)).toBeLessThan(12);
  expect(bed.log.complaints().length).toBeLessThan(20);
});

test('somebody who overwrites an entry ten times a second gets it repaired at once, then ever less often (D2)', async () => {
  const { bed, entry } = await flowing();
  const { mroute } = bed.kernel;
  const before = mroute.calls.addMfc;
  for (let n = 0; n < 600; n++) {
    mroute.foreign.addMfc(entry(G1, []));
    await bed.clock.run(100);
    if (n === 1) expect(mroute.calls.addMfc).toBe(before + 1);
  }
  expect(mroute.calls.addMfc - before).toBeLessThan(10);
  // and when that ends, it is as it was
  await bed.clock.run(120_000);
  expect(bed.entry(S2, G1)).toBe('eth2 -> eth1');
});

test('a stranger who makes the kernel tell of something all the time does not have the table read all the time (D2)', async () => {
  const { bed, entry, oif } = await flowing({ foreign: 'remove' });
  let dumps = 0;
  const dump = bed.kernel.mroute.dump.bind(bed.kernel.mroute);
  bed.kernel.mroute.dump = () => {
    dumps++;
    return dump();
  };
  for (let n = 0; n < 600; n++) {
    bed.kernel.mroute.foreign.addMfc(entry(G2, [oif]));
    await bed.clock.run(100);
  }
  expect(dumps).toBeGreaterThan(3);
  expect(dumps).toBeLessThan(20);
  // and when that ends, the entry goes
  await bed.clock.run(120_000);
  expect(bed.entry(S2, G2)).toBeUndefined();
});

test('a threshold of 255 lets nothing out, so there is nothing to repair (D2)', async () => {
  const bed = new Bed({ thresholds: { eth1: 255 } });
  const pim = await bed.client('pim', [bed.eth2, bed.eth1]);
  await pim.add(any(G1), bed.eth1);
  await bed.flow(S2, G1, bed.eth2);
  expect(await writesIn(bed, 120_000)).toBe(0);
  expect(bed.entry(S2, G1)).toBe('eth2 -> ');
});
