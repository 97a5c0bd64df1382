/** Own addresses on the wire of the real kernel: what the packet sockets see of frames made by hand. */
import { expect, test } from 'vitest';
import { formatIp, ip as address } from '../../src/base/ip.js';
import type { Kernel } from '../../src/kernel/system.js';
import { eventually } from '../support/eventually.js';
import { FOREIGN_MAC, type FrameOptions, igmpFrame, SEND_FRAMES } from '../support/igmp-frame.js';
import { ip, ipBatch, procNet, run, veth, withKernel } from './own-namespace.js';

const OWN = '10.1.0.1';
const UDP = 17;
const DVMRP_PROBE = '13010000000a0300';

function send(device: string, ...frames: readonly FrameOptions[]): void {
  run('python3', '-c', SEND_FRAMES, device, ...frames.map(igmpFrame));
}

/** "10.1.0.1 02:00:00:00:00:99" for each message. */
function listen({ addressWatch }: Kernel): string[] {
  const uses: string[] = [];
  addressWatch.onUse(({ address: own, mac }) => uses.push(`${formatIp(own)} ${mac}`));
  return uses;
}

/** Packet sockets of this namespace. */
function packetSockets(): number {
  return procNet('packet').trim().split('\n').length - 1;
}

test('a message of any IGMP type from an own address is told with the MAC of its sender; other packets are not (E7)', async () => {
  await withKernel(async ({ kernel }) => {
    const eth1 = veth('eth1', '10.1.0.1/24');
    const second = '10.1.0.77';
    const uses = listen(kernel);
    // given a promiscuous interface with two addresses
    ip('link set dev eth1 promisc on');
    expect(kernel.addressWatch.watch(eth1, [address(OWN), address(second)])).toBeUndefined();
    // when packets come that are none of it, and one that is
    const others = [
      { source: '10.1.0.2' },
      { source: OWN, protocol: UDP },
      { source: OWN, to: '02:00:00:00:00:55' },
      { source: OWN, vlan: 7 },
    ];
    send('eth1-peer', ...others, { source: OWN, alert: false });
    await eventually('the first message', () => uses.length > 0);
    expect(uses).toEqual([`${OWN} ${FOREIGN_MAC}`]);
    // then, after its rest, the socket hears the next: a DVMRP Probe from the second address
    await eventually('the Probe', () => {
      send('eth1-peer', { source: second, body: DVMRP_PROBE });
      return uses.length > 1;
    });
    expect(uses[1]).toBe(`${second} ${FOREIGN_MAC}`);
  });
});

test('what comes back with a MAC of this machine is not told (E7)', async () => {
  await withKernel(async ({ kernel }) => {
    const eth1 = veth('eth1', '10.1.0.1/24');
    veth('eth2', '10.2.0.1/24');
    ipBatch(['link set dev eth1 address 02:00:00:00:00:01', 'link set dev eth2 address 02:00:00:00:00:02']);
    const { links } = kernel;
    await eventually('the new MACs', () => links.byName('eth2')?.mac === '02:00:00:00:00:02');
    expect(links.byName('eth1')?.mac).toBe('02:00:00:00:00:01');
    const uses = listen(kernel);
    kernel.addressWatch.watch(eth1, [address(OWN)]);
    send('eth1-peer', { source: OWN, from: '02:00:00:00:00:01' }, { source: OWN, from: '02:00:00:00:00:02' });
    await eventually('the stranger', () => {
      send('eth1-peer', { source: OWN });
      return uses.length > 0;
    });
    expect(new Set(uses)).toEqual(new Set([`${OWN} ${FOREIGN_MAC}`]));
  });
});

test('the socket goes on when the interface was down, and follows new addresses (E7)', async () => {
  await withKernel(async ({ kernel }) => {
    const eth1 = veth('eth1', '10.1.0.1/24');
    const uses = listen(kernel);
    kernel.addressWatch.watch(eth1, [address(OWN)]);
    ip('link set dev eth1 down');
    ip('link set dev eth1 up');
    await eventually('the message after down and up', () => {
      send('eth1-peer', { source: OWN });
      return uses.length > 0;
    });
    uses.length = 0;
    kernel.addressWatch.watch(eth1, [address('10.1.0.9')]);
    await eventually('the message from the new address', () => {
      send('eth1-peer', { source: OWN }, { source: '10.1.0.9' });
      return uses.length > 0;
    });
    expect(new Set(uses)).toEqual(new Set([`10.1.0.9 ${FOREIGN_MAC}`]));
  });
});

test('a flood fills no more than the small buffer: a few are read, and everything is closed at the end (E7)', async () => {
  await withKernel(async ({ kernel }) => {
    const openSockets = (count: number) => eventually(`${count} packet sockets`, () => packetSockets() === count);
    await openSockets(0);
    const eth1 = veth('eth1', '10.1.0.1/24');
    const uses = listen(kernel);
    kernel.addressWatch.watch(eth1, [address(OWN)]);
    await openSockets(1);
    send('eth1-peer', ...Array.from({ length: 500 }, () => ({ source: OWN })));
    await eventually('the flood', () => uses.length > 0);
    expect(uses.length).toBeLessThanOrEqual(16);
    kernel.addressWatch.watch(eth1, []);
    await openSockets(0);
    kernel.addressWatch.watch(eth1, [address(OWN)]);
    await openSockets(1);
    kernel.close();
    await openSockets(0);
  });
});

test('an interface that is gone is refused by name (E7)', async () => {
  await withKernel(({ kernel }) => {
    const eth1 = veth('eth1', '10.1.0.1/24');
    ip('link delete dev eth1');
    const error = kernel.addressWatch.watch(eth1, [address(OWN)]);
    expect(error?.code).toBe('ENODEV');
  });
});
