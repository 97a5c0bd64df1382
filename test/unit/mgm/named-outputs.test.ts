/** A client that decides for a flow may name the outputs itself, among the interfaces that it owns (ADR 11). */
import { expect, test } from 'vitest';
import type { Ifindex } from '../../../src/port/kernel.js';
import { any, Bed, G1, S0 } from '../../support/manager-bed.js';

async function named(bed: Bed, takes: readonly Ifindex[], outputs: readonly Ifindex[]) {
  return bed.client('sparse', takes, { answers: { rpf: () => ({ outputs }) } });
}

test('the first packet leaves by the named outputs, without any membership (G)', async () => {
  // given a client that names eth1 for what comes in on eth0
  const bed = new Bed();
  await named(bed, [bed.eth0, bed.eth1, bed.eth2], [bed.eth1]);
  // when a flow begins
  await bed.flow(S0, G1, bed.eth0);
  // then one write has made the whole entry
  expect(bed.entry(S0, G1)).toBe('eth0 -> eth1');
  expect(bed.manager.snapshot().counters()['kernel.mfc-writes']).toBe(1);
});

test("memberships of the client itself do not count beside the outputs it named, other clients' do (G)", async () => {
  const bed = new Bed();
  const igmp = await bed.igmp([bed.eth2, bed.eth3]);
  const sparse = await named(bed, [bed.eth0, bed.eth1, bed.eth2], [bed.eth1]);
  await bed.resync();
  await sparse.add(any(G1), bed.eth2);
  await bed.flow(S0, G1, bed.eth0);
  expect(bed.entry(S0, G1)).toBe('eth0 -> eth1');
  // when hosts ask on an interface of its own and on one of nobody
  await igmp.hostJoins(any(G1), bed.eth2);
  await igmp.hostJoins(any(G1), bed.eth3);
  // then they get it, and lose it again
  expect(bed.entry(S0, G1)).toBe('eth0 -> eth1,eth2,eth3');
  await igmp.hostLeaves(any(G1), bed.eth2);
  expect(bed.entry(S0, G1)).toBe('eth0 -> eth1,eth3');
});

test('a named output counts from when the client owns it, and no longer than that (G)', async () => {
  const bed = new Bed();
  const sparse = await named(bed, [bed.eth0, bed.eth1], [bed.eth1, bed.eth2]);
  await bed.client('other', []);
  await bed.flow(S0, G1, bed.eth0);
  expect(bed.entry(S0, G1)).toBe('eth0 -> eth1');
  await sparse.takes(bed.eth2);
  expect(bed.entry(S0, G1)).toBe('eth0 -> eth1,eth2');
  await sparse.release(bed.eth1);
  expect(bed.entry(S0, G1)).toBe('eth0 -> eth2');
  await bed.manager.handover(bed.eth2, 'sparse', 'other', false);
  await bed.clock.run(5000);
  expect(bed.entry(S0, G1)).toBe('eth0 -> ');
});

test('a named output stays until the end of the resync, so that its next owner loses nothing (G)', async () => {
  // given a stream by a named output where IGMP is on as well, without members
  const bed = new Bed();
  await bed.igmp([bed.eth1]);
  await named(bed, [bed.eth0, bed.eth1], [bed.eth1]);
  const other = await bed.client('other', []);
  await bed.flow(S0, G1, bed.eth0);
  // when the output changes hands, and the next owner wants the stream as well
  await bed.manager.handover(bed.eth1, 'sparse', 'other', false);
  expect(bed.entry(S0, G1)).toBe('eth0 -> eth1');
  await other.add(any(G1), bed.eth1);
  await bed.clock.run(5000);
  // then the kernel was never written
  expect(bed.entry(S0, G1)).toBe('eth0 -> eth1');
  expect(bed.manager.snapshot().counters()['kernel.mfc-writes']).toBe(1);
});
