/** Listing what is joined: manager.md sections 2.15 to 2.17. */
import { expect, test } from 'vitest';
import { ANY4, ip, ipv4, isAny } from '../../../src/base/ip.js';
import type { EnumerationType, Handle } from '../../../src/mgm/client.js';
import { ALL, any, Bed, G1, G2, keyText, S2, S3, sg } from '../../support/manager-bed.js';

const ONES = ipv4(0xffffffff);

/** Three clients with overlapping joins: (*,G1) of two, (S2,G1) on two interfaces, (S3,G2), (*,*), and IGMP's (*,G2). */
async function joined() {
  const bed = new Bed();
  const a = await bed.client('a', [bed.eth0, bed.eth1]);
  const b = await bed.client('b', [bed.eth2]);
  const igmp = await bed.igmp([bed.eth3]);
  await a.add(any(G1), bed.eth0);
  await b.add(any(G1), bed.eth2);
  await a.add(sg(S2, G1), bed.eth0);
  await a.add(sg(S2, G1), bed.eth1);
  await b.add(sg(S3, G2), bed.eth2);
  await b.add(ALL, bed.eth2);
  await igmp.hostJoins(any(G2), bed.eth3);
  return { bed, a, b };
}

/** All pages, and the code of the last one. */
function readAll(bed: Bed, handle: Handle, type: EnumerationType, limit: number) {
  const { enumeration } = bed.manager.groupEnumerationStart(handle, type);
  const items = [];
  for (;;) {
    const page = bed.manager.groupEnumerationGetNext(enumeration!, limit);
    items.push(...page.items);
    if (page.code !== 'ERROR_MORE_DATA') {
      bed.manager.groupEnumerationEnd(enumeration!);
      return { items, code: page.code, last: page.items.length };
    }
  }
}

test('ALL_SOURCES lists each distinct key once, whoever joined it and wherever (MGM-ENU-01)', async () => {
  const { bed, a } = await joined();
  for (const limit of [1, 2, 1000]) {
    const { items, code } = readAll(bed, a.handle!, 'ALL_SOURCES', limit);
    expect(items.map(keyText).sort()).toEqual([
      '(*,*)',
      '(*,239.1.1.1)',
      '(*,239.1.1.2)',
      '(10.0.2.9,239.1.1.1)',
      '(10.0.3.9,239.1.1.2)',
    ]);
    expect(code).toBe('ERROR_NO_MORE_ITEMS');
  }
});

test('the masks are all ones for an address and 0 for a wildcard (MGM-ENU-01)', async () => {
  const { bed, a } = await joined();
  const { items } = readAll(bed, a.handle!, 'ALL_SOURCES', 1000);
  for (const { source, sourceMask, group, groupMask } of items) {
    expect(sourceMask).toBe(isAny(source) ? ANY4 : ONES);
    expect(groupMask).toBe(isAny(group) ? ANY4 : ONES);
  }
});

test('ANY_SOURCE lists one row per group that has a source-specific join, and no other group (MGM-ENU-02)', async () => {
  const { bed, a, b } = await joined();
  expect(readAll(bed, a.handle!, 'ANY_SOURCE', 1000).items.map(keyText).sort()).toEqual([
    '(*,239.1.1.1)',
    '(*,239.1.1.2)',
  ]);
  await b.remove(sg(S3, G2), bed.eth2);
  await b.add(any(ip('239.9.9.9')), bed.eth2);
  expect(readAll(bed, a.handle!, 'ANY_SOURCE', 1000).items).toEqual([
    { source: ANY4, sourceMask: ANY4, group: G1, groupMask: ONES },
  ]);
});

test('when nothing fits, nothing is consumed and the next call continues (MGM-ENU-03)', async () => {
  const { bed, a } = await joined();
  const { enumeration } = bed.manager.groupEnumerationStart(a.handle!, 'ALL_SOURCES');
  const first = bed.manager.groupEnumerationGetNext(enumeration!, 2);
  expect(bed.manager.groupEnumerationGetNext(enumeration!, 0)).toMatchObject({
    code: 'ERROR_INSUFFICIENT_BUFFER',
    items: [],
  });
  const rest = bed.manager.groupEnumerationGetNext(enumeration!, 100);
  const keys = [...first.items, ...rest.items].map(keyText);
  expect([keys.length, new Set(keys).size]).toEqual([5, 5]);
});

test('after End the handle is dead (MGM-ENU-04)', async () => {
  const { bed, a } = await joined();
  const { enumeration } = bed.manager.groupEnumerationStart(a.handle!, 'ALL_SOURCES');
  expect(bed.manager.groupEnumerationEnd(enumeration!).code).toBe('NO_ERROR');
  expect(bed.manager.groupEnumerationGetNext(enumeration!, 10).code).toBe('ERROR_INVALID_PARAMETER');
  expect(bed.manager.groupEnumerationEnd(enumeration!).code).toBe('ERROR_INVALID_PARAMETER');
  expect(bed.manager.groupEnumerationEnd(4711).code).toBe('ERROR_INVALID_PARAMETER');
});

test('the last page carries entries and says NO_MORE_ITEMS (MGM-ENU-05)', async () => {
  const { bed, a } = await joined();
  expect(readAll(bed, a.handle!, 'ALL_SOURCES', 3)).toMatchObject({ code: 'ERROR_NO_MORE_ITEMS', last: 2 });
  expect(readAll(bed, a.handle!, 'ALL_SOURCES', 5)).toMatchObject({ code: 'ERROR_NO_MORE_ITEMS', last: 5 });
});

test('an entry that stays during the whole enumeration appears exactly once, whatever comes and goes (D-ENUM-4)', async () => {
  const { bed, a, b } = await joined();
  const { enumeration } = bed.manager.groupEnumerationStart(a.handle!, 'ALL_SOURCES');
  const seen = [];
  for (let n = 1; ; n++) {
    const page = bed.manager.groupEnumerationGetNext(enumeration!, 1);
    seen.push(...page.items.map(keyText));
    if (page.code !== 'ERROR_MORE_DATA') break;
    await b.add(any(ip(`239.0.0.${n}`)), bed.eth2);
    if (n === 2) await b.remove(ALL, bed.eth2);
  }
  for (const stayed of ['(*,239.1.1.1)', '(*,239.1.1.2)', '(10.0.2.9,239.1.1.1)', '(10.0.3.9,239.1.1.2)'])
    expect(seen.filter((key) => key === stayed)).toHaveLength(1);
});
