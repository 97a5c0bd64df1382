/** Whoever tells of receivers, the manager remembers a bounded number of them (A1, D-MEM-7). */
import { expect, test } from 'vitest';
import { type IpAddress, ipv4 } from '../../../src/base/ip.js';
import { PROTOCOL } from '../../../src/mgm/client.js';
import { TestClient } from '../../support/fake-clients.js';
import { any, Bed, G1 } from '../../support/manager-bed.js';

const groupNo = (n: number): IpAddress => ipv4(0xe8000000 + n);
const refused = (bed: Bed) => bed.manager.snapshot().counters()['membership.refused'] ?? 0;
const told = (bed: Bed) => bed.log.lines.filter(({ fields }) => fields.evt === 'membership.limit.reached');

async function full(ofClient: number, ofAll: number) {
  const bed = new Bed({ maxMemberships: { ofClient, ofAll } });
  const pim = await bed.client('pim', [bed.eth1]);
  const other = await bed.client('other', [bed.eth2]);
  for (let n = 0; n < 8; n++) await pim.add(any(groupNo(n)), bed.eth1);
  return { bed, pim, other };
}

test('a client that holds as many as it may is refused with a reason, and others still have room (A1)', async () => {
  const { bed, pim, other } = await full(8, 12);
  expect(await pim.add(any(G1), bed.eth1)).toEqual({
    code: 'ERROR_NOT_ENOUGH_MEMORY',
    detail: 'tooManyMemberships',
    message: 'pim holds 8 memberships, as many as one client may',
  });
  expect(await other.add(any(G1), bed.eth2)).toMatchObject({ code: 'NO_ERROR' });
  expect(refused(bed)).toBe(1);
});

test('all together hold no more than the whole (A1)', async () => {
  const { bed, other } = await full(8, 10);
  for (let n = 0; n < 2; n++) expect(await other.add(any(groupNo(n)), bed.eth2)).toMatchObject({ code: 'NO_ERROR' });
  expect(await other.add(any(G1), bed.eth2)).toMatchObject({
    code: 'ERROR_NOT_ENOUGH_MEMORY',
    message: 'all clients together hold 10 memberships, as many as there may be',
  });
});

test('what is held may be said again, and what was given back makes room (A1)', async () => {
  const { bed, pim } = await full(8, 12);
  expect(await pim.add(any(groupNo(3)), bed.eth1)).toMatchObject({ code: 'NO_ERROR' });
  await pim.remove(any(groupNo(3)), bed.eth1);
  expect(await pim.add(any(G1), bed.eth1)).toMatchObject({ code: 'NO_ERROR' });
  expect(await pim.add(any(groupNo(3)), bed.eth1)).toMatchObject({ detail: 'tooManyMemberships' });
});

test('an interface that is given back gives its memberships back (A1)', async () => {
  const { bed, pim, other } = await full(8, 8);
  expect(await other.add(any(G1), bed.eth2)).toMatchObject({ detail: 'tooManyMemberships' });
  bed.kernel.deleteDevice(bed.eth1);
  await bed.clock.run(60_000);
  expect(await other.add(any(G1), bed.eth2)).toMatchObject({ code: 'NO_ERROR' });
  expect(pim).toBeDefined();
});

test('one warning says who, where and how to end it, with the number held back in the next (A1, F54)', async () => {
  const { bed, pim } = await full(8, 12);
  for (let n = 20; n < 120; n++) await pim.add(any(groupNo(n)), bed.eth1);
  await bed.clock.run(60_000);
  await pim.add(any(G1), bed.eth1);
  expect(told(bed).map(({ fields }) => fields['heldBack'])).toEqual([0, 99]);
  expect(told(bed)[0]!.fields).toMatchObject({ client: 'pim', ifname: 'eth1', group: '232.0.0.20', held: 8 });
});

test.each([
  ['dvmrp', PROTOCOL.dvmrp, '"pullGroups" of "dvmrp"'],
  ['iptv', PROTOCOL.static, '"routes" of the static instance iptv'],
  ['proxy', PROTOCOL.igmpProxy, '"upstreams"'],
  ['monitor', 4711, 'the program that registered as monitor'],
])(
  'the warning about %s says where that client is limited, and nothing of hosts (A1)',
  async (name, protocolId, where) => {
    const bed = new Bed({ maxMemberships: { ofClient: 8, ofAll: 12 } });
    const client = new TestClient(bed, { protocolId, componentId: 1, name });
    client.register();
    await client.takes(bed.eth1);
    for (let n = 0; n < 9; n++) await client.add(any(groupNo(n)), bed.eth1);
    expect(told(bed)).toHaveLength(1);
    expect(told(bed)[0]!.message).toContain(where);
    expect(told(bed)[0]!.message).not.toContain('maxGroups');
  },
);

test('the warning about hosts names their limits (A1)', async () => {
  const bed = new Bed({ maxMemberships: { ofClient: 8, ofAll: 12 } });
  const igmp = await bed.igmp([bed.eth1]);
  for (let n = 0; n < 9; n++) await igmp.add(any(groupNo(n)), bed.eth1);
  expect(told(bed)[0]!.message).toContain('lower "maxGroups" and "maxSources" of that interface');
});

test('where all together hold too many, the warning is about who holds most, not about who came last (A1)', async () => {
  const bed = new Bed({ maxMemberships: { ofClient: 100, ofAll: 8 } });
  const igmp = await bed.igmp([bed.eth1]);
  for (let n = 0; n < 8; n++) await igmp.add(any(groupNo(n)), bed.eth1);
  const pim = await bed.client('pim', [bed.eth2]);
  await pim.add(any(G1), bed.eth2);
  expect(told(bed)[0]!.fields).toMatchObject({ client: 'pim', most: 'igmp', ifname: 'eth2' });
  expect(told(bed)[0]!.message).toContain('"maxGroups"');
});
