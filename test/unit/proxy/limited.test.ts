/** Upstreams that cannot ask as configured: shown, told once, and told when it is over. */
import { expect, test } from 'vitest';
import { isIn, reportV2, reportV3 } from '../../support/packet-builder.js';
import { Bed, G, SSM, upstream } from './bed.js';

const problemOf = (bed: Bed) => bed.proxy.upstreams()[0]?.problem;
const told = (bed: Bed) => bed.log.of('proxy.upstream.limited');

async function serving(version: 'auto' | 2 | 3): Promise<Bed> {
  const bed = new Bed({ upstreams: [upstream('eth0', { version })] });
  bed.hostIgmp.spoken = 3;
  await bed.serve();
  expect(told(bed)).toEqual([]);
  return bed;
}

test.each([3, 'auto'] as const)(
  'version %s of an upstream that conf.all overrides is told once, and its end (C4)',
  async (version) => {
    const bed = await serving(version);
    bed.hostIgmp.spoken = 2;
    bed.hostIgmp.forcedNow = { ...bed.hostIgmp.forcedNow, all: 2 };
    expect(problemOf(bed)).toContain('net.ipv4.conf.all.force_igmp_version is 2');
    await bed.clock.run(1000);
    expect(told(bed)).toHaveLength(1);
    await bed.clock.run(120_000);
    expect(told(bed)).toHaveLength(1);
    expect(told(bed)[0]).toMatchObject({ level: 'warn', fields: { ifname: 'eth0' } });
    bed.hostIgmp.spoken = 3;
    bed.hostIgmp.forcedNow = { ...bed.hostIgmp.forcedNow, all: undefined };
    await bed.clock.run(1000);
    expect(told(bed)[1]).toMatchObject({ level: 'info', fields: { problem: null } });
    expect(problemOf(bed)).toBeNull();
  },
);

test('a version that somebody sets later is set right again within a second, and told (C4)', async () => {
  const bed = await serving(3);
  bed.hostIgmp.forcedNow = { own: 1, all: undefined };
  await bed.clock.run(1000);
  expect(bed.hostIgmp.calls.at(-1)).toBe(`force ${bed.eth0} 3`);
  await bed.clock.run(60_000);
  expect(bed.hostIgmp.calls).toHaveLength(2);
  expect(bed.log.of('proxy.version.restored').map(({ message }) => message)).toEqual([
    'somebody set net.ipv4.conf.eth0.force_igmp_version to 1; mgmd put it back to 3, because "version" of the upstream is 3',
  ]);
});

test('who sets a version again and again makes a few lines (C4, F54)', async () => {
  const bed = await serving('auto');
  for (let n = 0; n < 100; n++) {
    bed.hostIgmp.forcedNow = { own: 2, all: undefined };
    await bed.clock.run(1000);
  }
  expect(bed.hostIgmp.calls.length).toBeGreaterThan(90);
  expect(bed.log.of('proxy.version.restored').length).toBeLessThan(30);
});

test('an older querier is named as the reason where a version is configured, and is fine where none is (C4)', async () => {
  const bed = await serving(3);
  bed.hostIgmp.spoken = 2;
  expect(problemOf(bed)).toContain('an IGMPv2 querier is on the link');
  const auto = await serving('auto');
  auto.hostIgmp.spoken = 2;
  expect(problemOf(auto)).toBeNull();
});

test('sources that version 2 cannot name are a problem only where they are asked for (C4)', async () => {
  const bed = await serving('auto');
  bed.hostIgmp.spoken = 2;
  await bed.hears(bed.eth1, reportV2(G));
  expect(problemOf(bed)).toBeNull();
  await bed.hears(bed.eth1, reportV3(isIn(SSM, '192.0.2.1')));
  expect(problemOf(bed)).toContain('IGMPv2 cannot name sources');
});

test('an upstream without an address reports from 0.0.0.0, which is told (C4)', async () => {
  const bed = await serving('auto');
  bed.kernel.changeDevice(bed.eth0, { addresses: [] });
  await bed.clock.run(30_000);
  expect(problemOf(bed)).toContain('0.0.0.0');
  expect(told(bed)).toHaveLength(1);
});

test('what the kernel does not hold of a group is shown with the reason (C4)', async () => {
  const bed = await serving('auto');
  bed.kernel.membership.problem = () => 'the kernel blocks 10 of 14 sources; raise net.ipv4.igmp_max_msf';
  await bed.hears(bed.eth1, reportV2(G));
  expect(bed.proxy.groups()).toMatchObject([{ group: G, problem: expect.stringContaining('igmp_max_msf') }]);
});
