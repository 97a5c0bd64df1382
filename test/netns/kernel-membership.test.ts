/** The membership gate on the real kernel: what it holds is what /proc/net/igmp and /proc/net/mcfilter show. */
import { expect, test } from 'vitest';
import { ip as address, ipv4 } from '../../src/base/ip.js';
import { ANY_SOURCE_FILTER, type MembershipFilter } from '../../src/port/kernel.js';
import { eventually } from '../support/eventually.js';
import { ip, joinedGroups, procNet, sysctl, veth, withKernel } from './own-namespace.js';

const G = address('239.1.1.1');
const G_HEX = 'ef010101';

function include(...sources: readonly string[]): MembershipFilter {
  return { mode: 'include', sources: sources.map(address) };
}

/** "source included excluded" for the device's lines of /proc/net/mcfilter. */
function filters(device: string): readonly string[] {
  return procNet('mcfilter')
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter((fields) => fields[1] === device)
    .map(([, , , source, inc, exc]) => `${source} ${inc} ${exc}`)
    .sort();
}

test('a thousand groups are joined without an error and left again (F13)', async () => {
  await withKernel(async ({ kernel }) => {
    const wan = veth('wan', '10.1.0.1/24');
    for (let n = 0; n < 1000; n++)
      expect(kernel.membership.set('proxy', wan, ipv4(0xef020000 + n), ANY_SOURCE_FILTER)).toBeUndefined();
    expect(joinedGroups('wan')).toHaveLength(1000);
    kernel.membership.pause(wan);
    for (let n = 0; n < 1000; n++) kernel.membership.set('proxy', wan, ipv4(0xef020000 + n), undefined);
    expect(joinedGroups('wan')).toHaveLength(1000);
    expect(kernel.membership.resume(wan)).toEqual([]);
    await eventually('all of them to be left, in some turns', () => joinedGroups('wan').length === 0);
    expect(kernel.membership.counters()).toEqual({ joins: 1000, leaves: 1000, filters: 0 });
  });
});

test('a lower limit of memberships per socket costs sockets, not an error (F13)', async () => {
  sysctl('net.ipv4.igmp_max_memberships', 3);
  await withKernel(({ kernel }) => {
    const wan = veth('wan', '10.1.0.1/24');
    for (let n = 0; n < 50; n++)
      expect(kernel.membership.set('proxy', wan, ipv4(0xef020000 + n), ANY_SOURCE_FILTER)).toBeUndefined();
    expect(joinedGroups('wan')).toHaveLength(50);
  });
  sysctl('net.ipv4.igmp_max_memberships', 20);
});

test('a group is joined on an interface without an address (F10)', async () => {
  await withKernel(({ kernel }) => {
    const wan = veth('wan');
    expect(kernel.membership.set('proxy', wan, G, ANY_SOURCE_FILTER)).toBeUndefined();
    expect(joinedGroups('wan')).toEqual([G_HEX]);
  });
});

test('an include list is in the kernel source by source, also one longer than a socket takes', async () => {
  await withKernel(({ kernel }) => {
    const wan = veth('wan', '10.1.0.1/24');
    kernel.membership.set('proxy', wan, G, include('10.9.0.1', '10.9.0.2'));
    expect(filters('wan')).toEqual(['0x0a090001 1 0', '0x0a090002 1 0']);
    const many = include(...Array.from({ length: 25 }, (_, n) => `10.9.0.${n + 1}`));
    expect(kernel.membership.set('proxy', wan, G, many)).toBeUndefined();
    expect(filters('wan')).toHaveLength(25);
    expect(kernel.membership.set('proxy', wan, G, undefined)).toBeUndefined();
    expect(joinedGroups('wan')).toEqual([]);
    expect(filters('wan')).toEqual([]);
  });
});

test('filters of two holders and changes of mode end where the wishes say (F27)', async () => {
  await withKernel(({ kernel: { membership } }) => {
    const wan = veth('wan', '10.1.0.1/24');
    membership.set('a', wan, G, include('10.9.0.1'));
    expect(membership.set('b', wan, G, ANY_SOURCE_FILTER)).toBeUndefined();
    expect(filters('wan')).toEqual([]);
    expect(joinedGroups('wan')).toEqual([G_HEX]);
    const without = { mode: 'exclude', sources: [address('10.9.0.7')] } as const;
    expect(membership.set('b', wan, G, without)).toBeUndefined();
    expect(filters('wan')).toEqual(['0x0a090007 0 1']);
    expect(membership.set('b', wan, G, undefined)).toBeUndefined();
    expect(filters('wan')).toEqual(['0x0a090001 1 0']);
    expect(membership.set('a', wan, G, without)).toBeUndefined();
    expect(filters('wan')).toEqual(['0x0a090007 0 1']);
    expect(membership.set('c', wan, address('239.1.1.2'), without)).toBeUndefined();
    expect(filters('wan')).toHaveLength(2);
  });
});

test('an interface that came back under the same ifindex is joined anew (linux.md J)', async () => {
  await withKernel(({ kernel: { membership } }) => {
    ip('link add wan index 4242 type veth peer name wan-peer');
    ip('link set wan up');
    const wan = 4242 as Parameters<typeof membership.pause>[0];
    membership.set('proxy', wan, G, ANY_SOURCE_FILTER);
    ip('link delete wan');
    membership.interfaceGone(wan);
    ip('link add wan index 4242 type veth peer name wan-peer');
    ip('link set wan up');
    expect(joinedGroups('wan')).toEqual([]);
    expect(membership.set('proxy', wan, G, ANY_SOURCE_FILTER)).toBeUndefined();
    expect(joinedGroups('wan')).toEqual([G_HEX]);
  });
});

test('the dead membership of a forgotten interface does not stand in the way of a new one', async () => {
  await withKernel(({ kernel: { membership } }) => {
    ip('link add wan index 4243 type veth peer name wan-peer');
    const wan = 4243 as Parameters<typeof membership.pause>[0];
    membership.set('proxy', wan, G, ANY_SOURCE_FILTER);
    ip('link delete wan');
    ip('link add wan index 4243 type veth peer name wan-peer');
    // when the wish is stated again without a word about the change, nothing differs; taken back and stated, it is made
    membership.set('proxy', wan, G, undefined);
    expect(membership.set('proxy', wan, G, ANY_SOURCE_FILTER)).toBeUndefined();
    expect(joinedGroups('wan')).toEqual([G_HEX]);
  });
});

test('memberships stay while a successor takes over and end when the last holder closes', async () => {
  await withKernel(async ({ kernel }) => {
    const wan = veth('wan', '10.1.0.1/24');
    kernel.membership.set('proxy', wan, G, ANY_SOURCE_FILTER);
    const inherited = kernel.membership.duplicates().pools;
    kernel.membership.set('proxy', wan, address('239.1.1.2'), ANY_SOURCE_FILTER);
    kernel.close();
    expect(joinedGroups('wan')).toHaveLength(2);
    await withKernel(
      ({ kernel: successor }) => {
        expect(joinedGroups('wan')).toHaveLength(2);
        successor.membership.set('proxy', wan, G, ANY_SOURCE_FILTER);
        successor.membership.releaseInherited();
        expect(joinedGroups('wan')).toEqual([G_HEX]);
      },
      { inheritedMembershipFds: inherited },
    );
  });
});
