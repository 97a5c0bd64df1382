/** Reading entries and statistics: manager.md sections 2.9 to 2.14. */
import { expect, test } from 'vitest';
import { formatIp, type IpAddress, ip } from '../../../src/base/ip.js';
import { MFE_STATS_0, MFE_STATS_1, type MembershipKey, type MfePage } from '../../../src/mgm/client.js';
import { any, Bed, G1, G2, S2, sg } from '../../support/manager-bed.js';

const text = ({ source, group }: MembershipKey) => `${formatIp(group)} ${formatIp(source)}`;

/** pim owns eth2, dvmrp eth1; flows in no order: groups and sources compare as unsigned numbers. */
async function withFlows(flows: readonly (readonly [IpAddress, IpAddress])[]) {
  const bed = new Bed();
  await bed.client('pim', [bed.eth2]);
  const dvmrp = await bed.client('dvmrp', [bed.eth1]);
  await dvmrp.add(any(G1), bed.eth1);
  for (const [source, group] of flows) await bed.flow(source, group, bed.eth2);
  return { bed, dvmrp };
}

const FLOWS: readonly (readonly [IpAddress, IpAddress])[] = [
  [ip('10.0.2.10'), G2],
  [ip('10.0.2.9'), G2],
  [ip('200.0.2.9'), G1],
  [ip('10.0.2.9'), ip('224.2.2.2')],
  [ip('10.0.2.9'), G1],
];
const SORTED = [
  '224.2.2.2 10.0.2.9',
  '239.1.1.1 10.0.2.9',
  '239.1.1.1 200.0.2.9',
  '239.1.1.2 10.0.2.9',
  '239.1.1.2 10.0.2.10',
];

/** Pages of `limit` to the end; the codes of the pages come with the keys. */
function readAll<T extends MembershipKey>(
  first: (limit: number) => MfePage<T>,
  next: (after: MembershipKey, limit: number) => MfePage<T>,
  limit: number,
): { readonly keys: readonly string[]; readonly codes: readonly string[] } {
  const keys: string[] = [];
  const codes: string[] = [];
  let page = first(limit);
  for (;;) {
    keys.push(...page.items.map(text));
    codes.push(page.code);
    const last = page.items.at(-1);
    if (page.code !== 'ERROR_MORE_DATA' || !last) return { keys, codes };
    page = next(last, limit);
  }
}

test('a reader that never registered can use all six functions (MGM-ADM-01)', async () => {
  const { bed } = await withFlows(FLOWS);
  const { manager } = bed;
  expect(manager.getMfe(sg(S2, G1))).toMatchObject({ code: 'NO_ERROR', mfe: { source: S2, group: G1, iif: bed.eth2 } });
  expect(manager.getFirstMfe(1).items).toHaveLength(1);
  expect(manager.getNextMfe(sg(S2, G1), 1).items).toHaveLength(1);
  expect(manager.getMfeStats(sg(S2, G1), MFE_STATS_0)).toMatchObject({ code: 'NO_ERROR', stats: { inPackets: 1 } });
  expect(manager.getFirstMfeStats(1, MFE_STATS_1).items).toHaveLength(1);
  expect(manager.getNextMfeStats(sg(S2, G1), 1, MFE_STATS_0).items).toHaveLength(1);
});

test('entries are listed by group, then by source, as unsigned numbers (MGM-ADM-02)', async () => {
  const { bed } = await withFlows(FLOWS);
  expect(bed.manager.getFirstMfe(100).items.map(text)).toEqual(SORTED);
  expect(bed.manager.getFirstMfeStats(100, MFE_STATS_0).items.map(text)).toEqual(SORTED);
});

test('First and Next to the end give every entry once, and the last answer is NO_MORE_ITEMS (MGM-ADM-03)', async () => {
  const { bed } = await withFlows(FLOWS);
  const { manager } = bed;
  for (const limit of [1, 2, 3, 5, 1000]) {
    const mfes = readAll(
      (n) => manager.getFirstMfe(n),
      (after, n) => manager.getNextMfe(after, n),
      limit,
    );
    expect(mfes.keys).toEqual(SORTED);
    expect(mfes.codes.at(-1)).toBe('ERROR_NO_MORE_ITEMS');
    const stats = readAll(
      (n) => manager.getFirstMfeStats(n, MFE_STATS_1),
      (after, n) => manager.getNextMfeStats(after, n, MFE_STATS_1),
      limit,
    );
    expect(stats).toEqual(mfes);
  }
});

test('entries that come and go meanwhile disturb none that stays (MGM-ADM-03)', async () => {
  const { bed } = await withFlows(FLOWS);
  const { manager } = bed;
  const seen: string[] = [];
  let page = manager.getFirstMfe(2);
  seen.push(...page.items.map(text));
  await bed.flow(S2, ip('224.1.1.1'), bed.eth2); // before the position
  await bed.flow(S2, ip('239.1.1.9'), bed.eth2); // behind it
  while (page.code === 'ERROR_MORE_DATA') {
    page = manager.getNextMfe(page.items.at(-1)!, 2);
    seen.push(...page.items.map(text));
  }
  expect(seen).toEqual([...SORTED, '239.1.1.9 10.0.2.9']);
});

test('MORE_DATA while more remain; without any entry NO_MORE_ITEMS and nothing (MGM-ADM-04)', async () => {
  const empty = new Bed().manager;
  expect(empty.getFirstMfe(10)).toMatchObject({ code: 'ERROR_NO_MORE_ITEMS', items: [] });
  expect(empty.getFirstMfeStats(10, MFE_STATS_0)).toMatchObject({ code: 'ERROR_NO_MORE_ITEMS', items: [] });
  const { bed } = await withFlows(FLOWS);
  expect(bed.manager.getFirstMfe(4).code).toBe('ERROR_MORE_DATA');
  expect(bed.manager.getFirstMfe(5)).toMatchObject({
    code: 'ERROR_NO_MORE_ITEMS',
    items: expect.objectContaining({ length: 5 }),
  });
});

test('a limit of 0 is too small a buffer (MGM-ADM-04, D-ENUM-1)', async () => {
  const { bed } = await withFlows(FLOWS);
  const { manager } = bed;
  for (const page of [
    manager.getFirstMfe(0),
    manager.getNextMfe(sg(S2, G1), 0),
    manager.getFirstMfeStats(0, MFE_STATS_0),
  ])
    expect(page).toMatchObject({ code: 'ERROR_INSUFFICIENT_BUFFER', items: [] });
});

test('asking for an entry that does not exist is ERROR_NOT_FOUND (MGM-ADM-05)', async () => {
  const { bed } = await withFlows(FLOWS);
  expect(bed.manager.getMfe(sg(ip('10.0.2.11'), G1)).code).toBe('ERROR_NOT_FOUND');
  expect(bed.manager.getMfeStats(sg(ip('10.0.2.11'), G1), MFE_STATS_0).code).toBe('ERROR_NOT_FOUND');
});

test('Next goes on behind an entry that is gone meanwhile (MGM-ADM-06)', async () => {
  // given a reader that stands at an entry which then ends
  const { bed } = await withFlows(FLOWS);
  const [first] = bed.manager.getFirstMfe(1).items;
  await bed.clock.run(900_000); // the negative ones end
  expect(bed.manager.getMfe(first!).code).toBe('ERROR_NOT_FOUND');
  // when it asks for the next one
  const page = bed.manager.getNextMfe(first!, 1);
  // then that is the next greater key
  expect(page.items.map(text)).toEqual(['239.1.1.1 10.0.2.9']);
  expect(bed.manager.getNextMfe(sg(ip('0.0.0.1'), G1), 1).items.map(text)).toEqual(['239.1.1.1 10.0.2.9']);
});

test('the statistics of an entry rise with its packets, and name its outputs (MGM-ADM-07)', async () => {
  const { bed } = await withFlows([[S2, G1]]);
  const read = () => bed.manager.getMfeStats(sg(S2, G1), MFE_STATS_0).stats!;
  const before = read();
  for (let n = 0; n < 5; n++) await bed.flow(S2, G1, bed.eth2);
  await bed.flow(S2, G1, bed.eth1);
  const after = read();
  // wrong-interface packets count as packets in the kernel, not for us
  expect(after.differentIfPackets - before.differentIfPackets).toBe(1);
  expect(after.inPackets - before.inPackets).toBeGreaterThanOrEqual(5);
  expect(after.inOctets).toBeGreaterThan(before.inOctets);
  expect(after.oifs).toMatchObject([{ ifindex: bed.eth1, outPackets: null, vifOutPackets: 6 }]);
  expect(after.queueOverflow).toBeNull();
});

test('STATS_1 has the further figures, STATS_0 has not, an unknown flag is refused (MGM-ADM-07, D-ENUM-2)', async () => {
  const { bed } = await withFlows([[S2, G1]]);
  const { manager } = bed;
  expect(manager.getMfeStats(sg(S2, G1), MFE_STATS_1).stats).toHaveProperty('uninitMfe', null);
  expect(manager.getMfeStats(sg(S2, G1), MFE_STATS_0).stats).not.toHaveProperty('uninitMfe');
  for (const flag of [0, 3, 4]) {
    expect(manager.getMfeStats(sg(S2, G1), flag).code).toBe('ERROR_INVALID_PARAMETER');
    expect(manager.getFirstMfeStats(10, flag).code).toBe('ERROR_INVALID_PARAMETER');
    expect(manager.getNextMfeStats(sg(S2, G1), 10, flag).code).toBe('ERROR_INVALID_PARAMETER');
  }
});
