/** What all programs together want of a group, inferred from the counts that the kernel shows. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { formatIp, type IpAddress, ip, ipv4 } from '../../../src/base/ip.js';
import { filterOf, hostMemberships, type SourceUse, without } from '../../../src/kernel/membership/host-memberships.js';
import { merged } from '../../../src/kernel/membership/membership-plan.js';
import type { Ifindex, MembershipFilter } from '../../../src/port/kernel.js';

const ETH1 = 3 as Ifindex;
const G = ip('239.1.2.3');
const source = (last: number) => ipv4(0x0a000000 + last);

/** As the kernel counts memberships of one group. */
function counted(members: readonly MembershipFilter[]) {
  const known = [...new Set(members.flatMap(({ sources }) => sources))];
  const count = (mode: MembershipFilter['mode'], one: IpAddress) =>
    members.filter((member) => member.mode === mode && member.sources.includes(one)).length;
  const sources = known.map(
    (one): SourceUse => ({
      source: one,
      included: count('include', one),
      excluded: count('exclude', one),
    }),
  );
  return { group: G, users: members.length, sources };
}

/** What RFC 3376 section 3.2 makes of them. */
function truth(members: readonly MembershipFilter[]): MembershipFilter | undefined {
  return merged(new Map(members.map((filter, i) => [String(i), filter])));
}

const text = (filter: MembershipFilter | undefined) =>
  filter && `${filter.mode} ${filter.sources.map(formatIp).sort().join()}`;

const member = fc.record({
  mode: fc.constantFrom('include' as const, 'exclude' as const),
  sources: fc.uniqueArray(fc.integer({ min: 1, max: 4 }).map(source), { maxLength: 3 }),
}) satisfies fc.Arbitrary<MembershipFilter>;
const membership = member.filter(({ mode, sources }) => mode === 'exclude' || sources.length > 0);

test('both files of /proc make the memberships of one interface, in the order of the kernel', () => {
  const igmp = [
    'Idx\tDevice    : Count Querier\tGroup    Users Timer\tReporter',
    '1\tlo        :     1      V3',
    '\t\t\t\t010000E0     1 0:00000000\t\t0',
    '3\teth1      :     3      V3',
    '\t\t\t\t030201EF     2 1:00000012\t\t0',
    '\t\t\t\t040201EF    11 0:00000000\t\t0',
  ].join('\n');
  const mcfilter = [
    'Idx Device        MCA        SRC    INC    EXC',
    '  2   eth0 0xef010203 0x0a000009      1      0',
    '  3   eth1 0xef010203 0x0a000001      2      0',
    '  3   eth1 0xef010203 0x0a000002      0      1',
  ].join('\n');
  expect(hostMemberships(igmp, mcfilter, ETH1)).toEqual([
    {
      group: G,
      users: 2,
      sources: [
        { source: source(1), included: 2, excluded: 0 },
        { source: source(2), included: 0, excluded: 1 },
      ],
    },
    { group: ip('239.1.2.4'), users: 11, sources: [] },
  ]);
  expect(hostMemberships('', 'nonsense', ETH1)).toEqual([]);
});

test.each<[string, readonly MembershipFilter[], string | undefined]>([
  ['nobody', [], undefined],
  ['everything', [{ mode: 'exclude', sources: [] }], 'exclude '],
  ['one source twice', Array<MembershipFilter>(2).fill({ mode: 'include', sources: [source(1)] }), 'include 10.0.0.1'],
  [
    'everything, and a source',
    [
      { mode: 'exclude', sources: [] },
      { mode: 'include', sources: [source(1)] },
    ],
    'exclude ',
  ],
  [
    'all but two, and all but one of them',
    [
      { mode: 'exclude', sources: [source(1), source(2)] },
      { mode: 'exclude', sources: [source(2)] },
    ],
    'exclude 10.0.0.2',
  ],
])('the filter of %s', (_what, members, filter) => {
  expect(text(filterOf(counted(members)))).toBe(filter);
});

test('one more membership with the inferred filter never changes what the interface receives', () => {
  fc.assert(
    fc.property(fc.array(membership, { minLength: 1, maxLength: 5 }), (members) => {
      const filter = filterOf(counted(members))!;
      expect(text(truth([...members, filter]))).toBe(text(truth(members)));
    }),
  );
});

test('where no include list has two sources, that membership holds on to everything, whoever leaves', () => {
  const narrow = membership.filter(({ mode, sources }) => mode === 'exclude' || sources.length === 1);
  fc.assert(
    fc.property(
      fc.array(narrow, { minLength: 1, maxLength: 5 }),
      fc.infiniteStream(fc.boolean()),
      (members, leaves) => {
        const sources = new Set(members.filter(({ mode }) => mode === 'include').flatMap((one) => one.sources));
        fc.pre(sources.size <= 1 || members.every(({ mode }) => mode === 'include'));
        const filter = filterOf(counted(members))!;
        const staying = members.filter(() => leaves.next().value !== true);
        expect(text(truth([...staying, filter]))).toBe(text(truth(members)));
      },
    ),
  );
});

test('without some of its memberships a group is as if they had never been', () => {
  fc.assert(
    fc.property(fc.array(membership, { maxLength: 4 }), fc.array(membership, { maxLength: 3 }), (others, mine) => {
      const rest = without(counted([...others, ...mine]), mine);
      const used = rest.sources.filter(({ included, excluded }) => included + excluded > 0);
      const known = counted(others);
      expect(rest.users).toBe(known.users);
      expect(new Set(used)).toEqual(new Set(known.sources));
    }),
  );
});
