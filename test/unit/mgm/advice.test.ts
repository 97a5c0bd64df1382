/** Advice of IGMP beside membership (ADR 6): refused sources, and who is querier. */
import { expect, test } from 'vitest';
import { settle } from '../../support/fake-clock.js';
import { any, Bed, G1, now, S0, sg } from '../../support/manager-bed.js';

async function given() {
  const bed = new Bed();
  const igmp = await bed.igmp([bed.eth0, bed.eth1]);
  const proxy = await bed.client('proxy');
  const advise = (refused: boolean, ifindex = bed.eth1) =>
    bed.manager.adviseSource(igmp.handle!, sg(S0, G1), ifindex, refused);
  return { bed, igmp, proxy, advise };
}

test('where IGMP is alone, a refused source leaves the entry at once, and comes back when it is allowed (INT-032)', async () => {
  const { bed, igmp, advise } = await given();
  await igmp.add(any(G1), bed.eth1);
  await bed.flow(S0, G1, bed.eth0);
  expect(bed.entry(S0, G1)).toBe('eth0 -> eth1');
  expect(now(advise(true))).toBe('NO_ERROR');
  expect(bed.entry(S0, G1)).toBe('eth0 -> ');
  expect(now(advise(false))).toBe('NO_ERROR');
  expect(bed.entry(S0, G1)).toBe('eth0 -> eth1');
});

test('on an owned interface the owner hears of a refused source, and the entry is its business (INT-032)', async () => {
  const { bed, igmp, proxy, advise } = await given();
  await proxy.takes(bed.eth1);
  await bed.resync();
  await igmp.add(any(G1), bed.eth1);
  await bed.flow(S0, G1, bed.eth0);
  expect(now(advise(true))).toBe('NO_ERROR');
  await settle();
  expect(bed.heard('proxy')).toContain('local-refuse (10.0.0.9,239.1.1.1) eth1');
  expect(bed.entry(S0, G1)).toBe('eth0 -> eth1');
});

test('only IGMP advises, about interfaces it is on, and not in a pause', async () => {
  const { bed, proxy, advise } = await given();
  expect(now(bed.manager.adviseSource(proxy.handle!, sg(S0, G1), bed.eth1, true))).toBe('ERROR_INVALID_PARAMETER');
  expect(now(advise(true, bed.eth2))).toBe('ERROR_INVALID_PARAMETER');
  expect(bed.manager.adviseQuerier(proxy.handle!, bed.eth1, true).code).toBe('ERROR_INVALID_PARAMETER');
});

test('an owner hears who is querier when it takes an interface, and whenever that changes', async () => {
  const { bed, igmp, proxy } = await given();
  bed.manager.adviseQuerier(igmp.handle!, bed.eth1, true);
  await settle();
  expect(bed.heard('proxy')).toEqual([]);
  await proxy.takes(bed.eth1);
  await settle();
  expect(bed.heard('proxy')).toEqual(['querier eth1']);
  bed.manager.adviseQuerier(igmp.handle!, bed.eth1, false);
  await settle();
  expect(bed.heard('proxy')).toEqual(['querier eth1', 'non-querier eth1']);
});

test('a boundary keeps a scoped group from entering and from leaving, and other groups pass (IGMP-047, INT-025)', async () => {
  const bed = new Bed({ boundaries: { eth1: ['239.1.1.1/32'] } });
  const igmp = await bed.igmp([bed.eth0, bed.eth1, bed.eth2]);
  for (const ifindex of [bed.eth0, bed.eth1, bed.eth2]) await igmp.add(any(G1), ifindex);
  await bed.flow(S0, G1, bed.eth0);
  expect(bed.entry(S0, G1)).toBe('eth0 -> eth2');
});
