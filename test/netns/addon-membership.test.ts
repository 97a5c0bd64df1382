/** NativeMembershipSocket: what it holds is read back from /proc/net/igmp and /proc/net/mcfilter of the namespace. */
import { expect } from 'vitest';
import { addonTest, type Bed, ERRNO, ip, procNet } from '../support/addon.js';
import { eventually } from '../support/eventually.js';

const GROUP = ip('239.5.0.0');

/** The number as /proc/net/igmp prints it: memory order. */
function groupHex(group: number): string {
  const bytes = [group & 255, (group >> 8) & 255, (group >> 16) & 255, group >>> 24];
  return bytes.map((byte) => byte.toString(16).padStart(2, '0').toUpperCase()).join('');
}

/** Groups of 239/8 and 232/8 that the router's kernel has, of all interfaces. */
function groups(bed: Bed): string[] {
  return procNet(bed.router, 'igmp').match(/[0-9A-F]{6}E[8F]/g) ?? [];
}

/** `source include-count exclude-count` of the router's source filters. */
function filters(bed: Bed): string[] {
  const lines = procNet(bed.router, 'mcfilter').split('\n').slice(1).filter(Boolean);
  return lines.map((line) => line.trim().split(/\s+/).slice(3).join(' ')).sort();
}

addonTest('a join shows in the kernel and a leave ends it; the second of each says what it found', (bed) => {
  const pool = bed.memberships(bed.router);
  const [eth1, eth2] = [bed.router.ifindex('eth1'), bed.router.ifindex('eth2')];
  expect(pool.join(eth1, GROUP)).toBe(0);
  expect(pool.join(eth2, GROUP)).toBe(0);
  expect(pool.join(eth1, GROUP)).toBe(ERRNO.EADDRINUSE);
  expect(groups(bed)).toEqual([groupHex(GROUP), groupHex(GROUP)]);
  expect(pool.leave(eth1, GROUP)).toBe(0);
  expect(pool.leave(eth1, GROUP)).toBe(ERRNO.EADDRNOTAVAIL);
  expect(groups(bed)).toEqual([groupHex(GROUP)]);
  expect(pool.join(9999, GROUP)).toBe(ERRNO.ENODEV);
  expect(pool.join(eth1, ip('10.0.0.1'))).toBe(ERRNO.EINVAL);
});

addonTest('sources come and go one by one, and the last one takes the group with it', (bed) => {
  const pool = bed.memberships(bed.router);
  const eth1 = bed.router.ifindex('eth1');
  const ssm = ip('232.1.1.1');
  expect(pool.joinSource(eth1, ssm, ip('10.0.0.1'))).toBe(0);
  expect(pool.joinSource(eth1, ssm, ip('10.0.0.2'))).toBe(0);
  expect(pool.joinSource(eth1, ssm, ip('10.0.0.2'))).toBe(ERRNO.EADDRNOTAVAIL);
  expect(filters(bed)).toEqual(['0x0a000001 1 0', '0x0a000002 1 0']);
  expect(pool.leaveSource(eth1, ssm, ip('10.0.0.1'))).toBe(0);
  expect(filters(bed)).toEqual(['0x0a000002 1 0']);
  expect(pool.leaveSource(eth1, ssm, ip('10.0.0.2'))).toBe(0);
  expect(groups(bed)).toEqual([]);
  expect(pool.leaveSource(eth1, ssm, ip('10.0.0.2'))).toBe(ERRNO.EINVAL);
});

addonTest('a filter replaces the whole one of a joined group, in either mode', (bed) => {
  const pool = bed.memberships(bed.router);
  const eth1 = bed.router.ifindex('eth1');
  const sources = Uint32Array.of(ip('10.0.0.1'), ip('10.0.0.2'));
  expect(pool.setFilter(eth1, GROUP, false, sources)).toBe(ERRNO.EINVAL);
  expect(pool.join(eth1, GROUP)).toBe(0);
  expect(pool.setFilter(eth1, GROUP, false, sources)).toBe(0);
  expect(filters(bed)).toEqual(['0x0a000001 0 1', '0x0a000002 0 1']);
  expect(pool.setFilter(eth1, GROUP, true, sources.subarray(1))).toBe(0);
  expect(filters(bed)).toEqual(['0x0a000002 1 0']);
  expect(pool.setFilter(eth1, GROUP, true, new Uint32Array(11))).toBe(ERRNO.ENOBUFS);
  expect(pool.setFilter(eth1, GROUP, true, new Uint32Array(0))).toBe(0);
  expect(groups(bed)).toEqual([]);
  expect(pool.leave(eth1, GROUP)).toBe(ERRNO.EADDRNOTAVAIL);
});

addonTest(
  'a join onto a group in exclude mode is swapped to include by a silent dummy source first (linux.md D6)',
  (bed) => {
    const pool = bed.memberships(bed.router);
    const eth1 = bed.router.ifindex('eth1');
    expect(pool.joinSource(eth1, GROUP, ip('10.0.0.9'))).toBe(0);
    expect(pool.setFilter(eth1, GROUP, false, Uint32Array.of(ip('10.0.0.1')))).toBe(0);
    expect(filters(bed)).toEqual(['0x0a000001 0 1']);
    expect(pool.leave(eth1, GROUP)).toBe(0);
    expect(groups(bed)).toEqual([]);
  },
);

addonTest(
  '20 memberships fit a socket, 1000 fit the pool: ENOBUFS reaches the caller only when no socket has room',
  (bed) => {
    // given the kernel's default limit
    const eth1 = bed.router.ifindex('eth1');
    const pool = bed.memberships(bed.router);
    bed.router.sysctl('net.ipv4.igmp_max_memberships', 20);
    for (let i = 0; i < 1000; i++) expect(pool.join(eth1, GROUP + i)).toBe(0);
    expect(groups(bed)).toHaveLength(1000);
    const sockets = procNet(bed.router, 'udp').trim().split('\n').length - 1;
    expect(sockets).toBe(0); // never bound: nothing is delivered to them
    // when there is no room at all
    bed.router.sysctl('net.ipv4.igmp_max_memberships', 0);
    expect(pool.join(eth1, GROUP + 1000)).toBe(ERRNO.ENOBUFS);
    expect(pool.joinSource(eth1, ip('232.1.1.1'), ip('10.0.0.1'))).toBe(ERRNO.ENOBUFS);
    // then what is held stays, leaves go, and room that comes back is used
    expect(groups(bed)).toHaveLength(1000);
    bed.router.sysctl('net.ipv4.igmp_max_memberships', 20);
    for (let i = 0; i < 1000; i++) expect(pool.leave(eth1, GROUP + i)).toBe(0);
    expect(groups(bed)).toEqual([]);
    expect(pool.join(eth1, GROUP)).toBe(0);
  },
);

addonTest('a deleted interface leaves memberships that can still be dropped', async (bed) => {
  const pool = bed.memberships(bed.router);
  const eth2 = bed.router.ifindex('eth2');
  expect(pool.join(eth2, GROUP)).toBe(0);
  bed.router.ip('link', 'delete', 'eth2');
  await eventually('the group to go with its interface', () => groups(bed).length === 0);
  expect(pool.leave(eth2, GROUP)).toBe(0);
  expect(pool.leave(eth2, GROUP)).toBe(ERRNO.EADDRNOTAVAIL);
});

addonTest('close leaves everything at once, and every call after it answers EBADF', (bed) => {
  const pool = bed.memberships(bed.router);
  const eth1 = bed.router.ifindex('eth1');
  for (let i = 0; i < 30; i++) expect(pool.join(eth1, GROUP + i)).toBe(0);
  pool.close();
  pool.close();
  expect(groups(bed)).toEqual([]);
  expect(pool.join(eth1, GROUP)).toBe(ERRNO.EBADF);
  expect(pool.leave(eth1, GROUP)).toBe(ERRNO.EBADF);
  expect(pool.joinSource(eth1, GROUP, 1)).toBe(ERRNO.EBADF);
  expect(pool.leaveSource(eth1, GROUP, 1)).toBe(ERRNO.EBADF);
  expect(pool.setFilter(eth1, GROUP, true, new Uint32Array(0))).toBe(ERRNO.EBADF);
  expect(pool.duplicate()).toBe(-ERRNO.EBADF);
});

addonTest(
  'memberships stay while a duplicate is held, also those joined later, and a successor can end them',
  (bed) => {
    // given a pool whose duplicate somebody keeps
    const eth1 = bed.router.ifindex('eth1');
    const pool = bed.memberships(bed.router);
    expect(pool.join(eth1, GROUP)).toBe(0);
    const kept = pool.duplicate();
    expect(kept).toBeGreaterThan(2);
    for (let i = 1; i < 100; i++) expect(pool.join(eth1, GROUP + i)).toBe(0);
    // when the pool goes
    pool.close();
    // then nothing was left, and the successor knows every one
    expect(groups(bed)).toHaveLength(100);
    const successor = bed.memberships(bed.router, kept);
    expect(successor.join(eth1, GROUP + 99)).toBe(ERRNO.EADDRINUSE);
    expect(successor.leave(eth1, GROUP + 42)).toBe(0);
    expect(groups(bed)).toHaveLength(99);
    successor.close();
    expect(groups(bed)).toEqual([]);
  },
);

addonTest('joining anew elsewhere before closing the adopted pool keeps a membership without a gap', (bed) => {
  const eth1 = bed.router.ifindex('eth1');
  const first = bed.memberships(bed.router);
  expect(first.join(eth1, GROUP)).toBe(0);
  const adopted = bed.memberships(bed.router, first.duplicate());
  first.close();
  const fresh = bed.memberships(bed.router);
  expect(fresh.join(eth1, GROUP)).toBe(0);
  adopted.close();
  expect(groups(bed)).toEqual([groupHex(GROUP)]);
});
