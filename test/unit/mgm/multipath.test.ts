/** Sources that may come in by several interfaces: every usable next hop of their route is a legal input. */
import { expect, test } from 'vitest';
import { type IpAddress, ip, ipv4, toU32 } from '../../../src/base/ip.js';
import type { Ifindex } from '../../../src/port/kernel.js';
import { settle } from '../../support/fake-clock.js';
import { any, Bed, type BedConfig, G1 } from '../../support/manager-bed.js';

const FAR = ip('172.16.5.9');
const far = (n: number): IpAddress => ipv4(toU32(FAR) + n);

function spread(bed: Bed, ...over: readonly Ifindex[]): void {
  const hops = over.map((ifindex, n) => ({ ifindex, gateway: ip(`10.0.${n}.7`) }));
  bed.kernel.routes.set('172.16.0.0/12', { ifindex: over[0]!, gateway: '10.0.0.7', hops });
}

/** Two next hops, eth0 and eth1; receivers behind eth2. */
async function ground(config: BedConfig = {}) {
  const bed = new Bed(config);
  spread(bed, bed.eth0, bed.eth1);
  const up = await bed.client('up', [bed.eth0, bed.eth1]);
  const lan = await bed.client('lan', [bed.eth2]);
  await lan.add(any(G1), bed.eth2);
  return { bed, up };
}

async function seconds(bed: Bed, count: number, each: () => void): Promise<void> {
  for (let n = 0; n < count; n++) {
    each();
    await bed.clock.run(1000);
  }
}

test('sixteen sources by two next hops: each is taken where its packets arrive (C1)', async () => {
  const { bed } = await ground();
  for (let n = 0; n < 16; n++) await bed.flow(far(n), G1, n % 2 === 0 ? bed.eth0 : bed.eth1);
  const entries = Array.from({ length: 16 }, (_, n) => bed.entry(far(n), G1));
  expect(entries).toEqual(Array.from({ length: 16 }, (_, n) => `eth${n % 2} -> eth2`));
  expect(bed.mfe(far(1), G1)?.upstreamNeighbor).toBe(ip('10.0.1.7'));
});

test('an entry whose input is still a next hop does not move when the route changes; it does when the hop goes (C1)', async () => {
  const { bed } = await ground();
  await bed.flow(FAR, G1, bed.eth1);
  const writes = bed.kernel.mroute.calls.addMfc;
  spread(bed, bed.eth0, bed.eth1, bed.eth3);
  await settle();
  expect(bed.entry(FAR, G1)).toBe('eth1 -> eth2');
  expect(bed.kernel.mroute.calls.addMfc).toBe(writes);
  spread(bed, bed.eth0, bed.eth3);
  await settle();
  expect(bed.entry(FAR, G1)).toBe('eth0 -> eth2');
});

test('packets that come by another next hop, and no more by the own one, move the entry within two seconds (C1)', async () => {
  const { bed } = await ground();
  await bed.flow(FAR, G1, bed.eth0);
  await seconds(bed, 3, () => {
    for (let n = 0; n < 5; n++) bed.kernel.packet(FAR, G1, bed.eth1);
  });
  expect(bed.entry(FAR, G1)).toBe('eth1 -> eth2');
});

test('packets that come by both next hops leave the entry where it is (C1)', async () => {
  const { bed } = await ground();
  await bed.flow(FAR, G1, bed.eth1);
  const writes = bed.kernel.mroute.calls.addMfc;
  await seconds(bed, 20, () => {
    bed.kernel.packet(FAR, G1, bed.eth0);
    bed.kernel.packet(FAR, G1, bed.eth1);
  });
  expect(bed.entry(FAR, G1)).toBe('eth1 -> eth2');
  expect(bed.kernel.mroute.calls.addMfc).toBe(writes);
});

test('one packet astray does not move a slow stream (C1)', async () => {
  const { bed } = await ground();
  await bed.flow(FAR, G1, bed.eth1);
  bed.kernel.packet(FAR, G1, bed.eth0);
  await seconds(bed, 5, () => undefined);
  await bed.flow(FAR, G1, bed.eth1);
  await seconds(bed, 15, () => undefined);
  expect(bed.entry(FAR, G1)).toBe('eth1 -> eth2');
});

test('a slow stream moves as well: one packet in two seconds (C1)', async () => {
  const { bed } = await ground();
  await bed.flow(FAR, G1, bed.eth0);
  for (let n = 0; n < 4; n++) {
    await bed.flow(FAR, G1, bed.eth1);
    await bed.clock.run(2000);
  }
  expect(bed.entry(FAR, G1)).toBe('eth1 -> eth2');
});

test('an interface that is no next hop is never taken, and its owner is not told more often than before (C1)', async () => {
  const { bed } = await ground();
  const other = await bed.client('other', [bed.eth3]);
  await bed.flow(FAR, G1, bed.eth0);
  await seconds(bed, 8, () => bed.kernel.packet(FAR, G1, bed.eth3));
  expect(bed.entry(FAR, G1)).toBe('eth0 -> eth2');
  expect(bed.heard(other.name).filter((line) => line.startsWith('wrong'))).toEqual([]);
});

test('a next hop that nobody serves is no input: the served one is expected (C1)', async () => {
  const { bed, up } = await ground();
  await up.release(bed.eth0);
  await bed.flow(FAR, G1, bed.eth1);
  expect(bed.entry(FAR, G1)).toBe('eth1 -> eth2');
});

test('several overrides for one prefix are next hops as well; one without carrier is none (C1)', async () => {
  const { bed } = await ground({ rpfRoutes: { '172.16.5.0/24': 'eth1 eth0' } });
  await bed.flow(far(1), G1, bed.eth0);
  await bed.flow(far(2), G1, bed.eth1);
  expect([bed.entry(far(1), G1), bed.entry(far(2), G1)]).toEqual(['eth0 -> eth2', 'eth1 -> eth2']);
  bed.kernel.changeDevice(bed.eth1, { running: false });
  spread(bed, bed.eth0);
  await settle();
  expect(bed.entry(far(2), G1)).toBe('eth0 -> eth2');
});

test('an unresolved flow of a dump is answered for a next hop that somebody serves (C1)', async () => {
  const { bed, up } = await ground();
  await up.release(bed.eth0);
  bed.kernel.mroute.onUpcalls(() => undefined);
  bed.kernel.packet(FAR, G1, bed.eth1);
  await settle();
  await bed.manager.reconcile();
  await settle();
  expect(bed.entry(FAR, G1)).toBe('eth1 -> eth2');
});
