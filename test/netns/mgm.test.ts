/** The conformance lines that end in the kernel, on the real one: what the manager says is what `ip mroute` shows. */
import { expect } from 'vitest';
import { execFileSync } from 'node:child_process';
import { ANY4, type IpAddress, ip } from '../../src/base/ip.js';
import { FORWARD, type MembershipKey, MFE_STATS_0, PROTOCOL } from '../../src/mgm/client.js';
import { settle } from '../support/fake-clock.js';
import { eventually } from '../support/eventually.js';
import { RealBed } from '../support/real-bed.js';
import { netnsTest } from '../support/topology.js';

const G = ip('239.1.1.1');
const S = ip('10.1.0.2');
const any = (group: IpAddress): MembershipKey => ({ source: ANY4, group });

function bedTest(title: string, body: (bed: RealBed) => Promise<void>): void {
  netnsTest(title, async (net) => {
    const bed = new RealBed(net);
    try {
      await body(bed);
    } finally {
      await bed.close();
    }
  });
}

async function entryIs(bed: RealBed, expected: string | undefined): Promise<void> {
  await eventually(`the kernel's entry to be ${expected}`, () => bed.kernelEntry(G) === expected || undefined);
}

bedTest(
  'an added interface is in the kernel entry before the reply, a deleted one is out (MGM-MEM-08, MGM-MEM-09)',
  async (bed) => {
    // given a flow that nobody wants
    const red = await bed.client('red', [1, 2, 3]);
    bed.send(1, G);
    await entryIs(bed, 'lan1 -> ');
    // when membership comes and goes, then the kernel follows before the call has returned
    expect(await bed.join(red, any(G), 2)).toEqual({ code: 'NO_ERROR' });
    expect(bed.kernelEntry(G)).toBe('lan1 -> lan2');
    expect(await bed.join(red, { source: S, group: G }, 3)).toEqual({ code: 'NO_ERROR' });
    expect(bed.kernelEntry(G)).toBe('lan1 -> lan2,lan3');
    await bed.leave(red, any(G), 2);
    expect(bed.kernelEntry(G)).toBe('lan1 -> lan3');
  },
);

bedTest(
  'FORWARD takes one interface out of one kernel entry and puts it back (MGM-MEM-10, MGM-MEM-11)',
  async (bed) => {
    // given a forwarded flow
    const red = await bed.client('red', [1, 2]);
    await bed.join(red, any(G), 2);
    bed.send(1, G);
    await entryIs(bed, 'lan1 -> lan2');
    // when
    await bed.leave(red, { source: S, group: G }, 2, FORWARD);
    expect(bed.kernelEntry(G)).toBe('lan1 -> ');
    await bed.join(red, { source: S, group: G }, 2, FORWARD);
    // then
    expect(bed.kernelEntry(G)).toBe('lan1 -> lan2');
  },
);

bedTest(
  'fifty packets of a new flow ask once, and a veto holds in the kernel (MGM-CRE-01, MGM-CRE-05, MGM-CRE-06, MGM-CRE-09)',
  async (bed) => {
    // given two owners, one of which keeps the flow off its interface
    const asked: string[] = [];
    const red = await bed.client('red', [1], { rpf: () => void asked.push('rpf') as undefined });
    const blue = await bed.client('blue', [2, 3], {
      creationAlert: ({ oifs }) => {
        asked.push(`creation ${oifs.map((oif) => oif.enabled).join()}`);
        return { disabled: [bed.lan(3).ifindex] };
      },
    });
    await bed.join(blue, any(G), 2);
    await bed.join(blue, any(G), 3);
    await bed.join(red, any(G), 1);
    // when
    bed.send(1, G, 50);
    // then
    await entryIs(bed, 'lan1 -> lan2');
    await settle();
    expect(asked).toEqual(['rpf', 'creation true,true']);
  },
);

bedTest(
  'a flow that only its own incoming interface wants becomes a negative entry (MGM-CRE-10, MGM-CRE-11)',
  async (bed) => {
    // given membership on the incoming interface alone
    const pruned: boolean[] = [];
    const red = await bed.client('red', [1, 2], { pruneAlert: ({ memberDelete }) => void pruned.push(memberDelete) });
    await bed.join(red, any(G), 1);
    // when
    bed.send(1, G);
    // then
    await entryIs(bed, 'lan1 -> ');
    await eventually('the prune alert', () => pruned.length === 1);
    expect(pruned).toEqual([false]);
  },
);

bedTest(
  'a packet on the wrong interface is told to whom that interface belongs, and the entry stays (MGM-CRE-13)',
  async (bed) => {
    // given a flow from lan1 to lan2, and a packet of the same source that comes in on lan2
    const heard: number[] = [];
    const red = await bed.client('red', [1]);
    const blue = await bed.client('blue', [2], { wrongInterface: ({ ifindex }) => void heard.push(ifindex) });
    await bed.join(blue, any(G), 2);
    bed.send(1, G);
    await entryIs(bed, 'lan1 -> lan2');
    const { host } = bed.lan(2);
    host.ip('address', 'add', '10.1.0.2/32', 'dev', 'lo');
    // when
    host.run(
      'python3',
      '-c',
      `import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(('10.1.0.2', 0))
s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton('10.2.0.2'))
s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 8)
s.sendto(b'x', ('239.1.1.1', 5000))`,
    );
    // then
    await eventually('the wrong-interface callback', () => heard.length > 0);
    expect(heard).toEqual([bed.lan(2).ifindex]);
    expect(bed.kernelEntry(G)).toBe('lan1 -> lan2');
    expect(red).not.toBe(blue);
  },
);

bedTest(
  'an idle entry ends in the kernel too, one with traffic stays (MGM-MFE-01, MGM-MFE-02, MGM-MFE-03)',
  async (bed) => {
    // given an entry
    const rpf: number[] = [];
    const red = await bed.client('red', [1, 2], { rpf: () => void rpf.push(1) as undefined });
    await bed.join(red, any(G), 2);
    bed.send(1, G);
    await entryIs(bed, 'lan1 -> lan2');
    // when its time is over with traffic, then it is refreshed
    bed.clock.advance(900_000);
    expect(bed.kernelEntry(G)).toBe('lan1 -> lan2');
    expect(rpf).toHaveLength(2);
    // when it is over without, then it is gone, and the next packet asks again
    bed.clock.advance(900_000);
    expect(bed.kernelEntry(G)).toBeUndefined();
    bed.send(1, G);
    await entryIs(bed, 'lan1 -> lan2');
    expect(rpf).toHaveLength(3);
  },
);

bedTest('statistics count what flowed (MGM-ADM-07)', async (bed) => {
  // given
  const red = await bed.client('red', [1, 2]);
  await bed.join(red, any(G), 2);
  bed.send(1, G);
  await entryIs(bed, 'lan1 -> lan2');
  const packets = (): number => bed.manager.getMfeStats({ source: S, group: G }, MFE_STATS_0).stats?.inPackets ?? 0;
  const before = packets();
  // when
  bed.send(1, G, 5);
  // then
  await eventually('five more packets', () => packets() === before + 5);
  const { stats } = bed.manager.getMfeStats({ source: S, group: G }, MFE_STATS_0);
  expect(stats?.inOctets).toBe((before + 5) * 128);
  expect(stats?.oifs[0]?.vifOutPackets).toBe(before + 5);
});

bedTest(
  'after a release nothing of the owner is left in the kernel (MGM-OWN-11, MGM-OWN-12, MGM-OWN-13)',
  async (bed) => {
    // given a flow in by lan1 and out by lan2, both of one owner
    const red = await bed.client('red', [1, 2, 3]);
    await bed.join(red, any(G), 2);
    await bed.join(red, any(G), 3);
    bed.send(1, G);
    await entryIs(bed, 'lan1 -> lan2,lan3');
    // when it releases the outgoing and then the incoming interface
    await bed.manager.releaseInterface(red, bed.lan(2).ifindex);
    expect(bed.kernelEntry(G)).toBe('lan1 -> lan3');
    await bed.manager.releaseInterface(red, bed.lan(1).ifindex);
    // then
    expect(bed.kernelEntry(G)).toBeUndefined();
  },
);

bedTest(
  'with IGMP beside the owner, a released interface stays in the entry without a gap (MGM-OWN-12)',
  async (bed) => {
    // given IGMP with a member beside an owner, both ends owned
    const igmp = await bed.client('igmp', [2], { disableIgmp: () => {}, enableIgmp: () => {} }, PROTOCOL.igmp);
    const red = await bed.client('red', [1, 2]);
    bed.manager.resyncDone(igmp, bed.lan(2).ifindex);
    await bed.join(igmp, any(G), 2);
    bed.send(1, G);
    await entryIs(bed, 'lan1 -> lan2');
    // when the owner releases, then the kernel's entry is the same at every step
    await bed.manager.releaseInterface(red, bed.lan(2).ifindex);
    expect(bed.kernelEntry(G)).toBe('lan1 -> lan2');
    await bed.join(igmp, any(G), 2);
    expect(bed.kernelEntry(G)).toBe('lan1 -> lan2');
    bed.manager.resyncDone(igmp, bed.lan(2).ifindex);
    expect(bed.kernelEntry(G)).toBe('lan1 -> lan2');
  },
);

bedTest(
  'a deleted interface leaves no entry that names its vif, so that the next one inherits no stream (MGM-OWN-16)',
  async (bed) => {
    // given a flow out by lan2
    const gone: number[] = [];
    const red = await bed.client('red', [1, 2], { interfaceGone: (ifindex) => void gone.push(ifindex) });
    await bed.join(red, any(G), 2);
    bed.send(1, G);
    await entryIs(bed, 'lan1 -> lan2');
    const { ifindex } = bed.lan(2);
    // when the device goes and another one is taken
    execFileSync('ip', ['link', 'del', 'lan2']);
    await eventually('interfaceGone', () => gone.includes(ifindex));
    await bed.manager.takeInterface(red, bed.lan(3).ifindex);
    // then
    expect(bed.kernelEntry(G)).toBe('lan1 -> ');
    const released = await bed.manager.releaseInterface(red, ifindex);
    expect(released.code).toBe('ERROR_INVALID_PARAMETER');
  },
);
