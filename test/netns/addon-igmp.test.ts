/** NativeIgmpSocket on the wire: what hosts' kernels send arrives with its fields, what is sent arrives elsewhere. */
import { expect } from 'vitest';
import { type NativeIgmpSocket, SLOT_ROUTER_ALERT, SLOT_TRUNCATED, SLOTS } from '../../src/kernel/addon.js';
import { addon, addonTest, type Bed, ERRNO, Inbox, ip, type Received } from '../support/addon.js';
import { eventually } from '../support/eventually.js';

const V2_REPORT = 0x16;
const V3_REPORT = 0x22;
const typeIs = (type: number) => (message: Received) => message.payload[0] === type;

/** A general query's 8 bytes, marked so that a test knows its own; the kernel checks nothing (linux.md E). */
function query(mark: number): Uint8Array {
  return Uint8Array.of(0x11, mark & 255, mark >> 8, 0, 0, 0, 0, 0);
}

const markOf = ({ payload }: Received) => payload[1]! + 256 * payload[2]!;

/** Sends `count` marked messages out of the host, which every other host on the wire hears as a general query. */
function burst(bed: Bed, from: NativeIgmpSocket, count: number, firstMark = 0): void {
  const ifindex = bed.host.ifindex('eth0');
  for (let i = 0; i < count; i++) {
    const error = from.send(ifindex, 0, ip('224.0.0.1'), query(firstMark + i));
    if (error !== 0) throw new Error(`send failed: errno ${error}`);
  }
}

addonTest(
  "a host's version 3 report arrives with router alert, TTL 1, addresses, ifindex and its record",
  async (bed) => {
    // given the routing socket, and 224.0.0.22 joined on the interface (linux.md E)
    const { socket } = bed.mroute();
    const inbox = new Inbox(socket);
    const eth1 = bed.router.ifindex('eth1');
    expect(bed.memberships(bed.router).join(eth1, ip('224.0.0.22'))).toBe(0);
    // when a host joins
    expect(bed.memberships(bed.host).join(bed.host.ifindex('eth0'), ip('239.7.7.7'))).toBe(0);
    const report = await inbox.first('the report', (m) => m.source === ip('10.1.0.2') && typeIs(V3_REPORT)(m));
    // then every field of the slot is what the wire said
    expect(report.flags).toBe(1 | SLOT_ROUTER_ALERT);
    expect(report.ifindex).toBe(eth1);
    expect(report.destination).toBe(ip('224.0.0.22'));
    expect(report.packet.length - report.payload.length).toBe(24);
    expect(new DataView(report.payload.buffer).getUint32(12)).toBe(ip('239.7.7.7'));
  },
);

addonTest("a host's version 2 report to a group that nobody joined here arrives as well", async (bed) => {
  const { socket } = bed.mroute();
  const inbox = new Inbox(socket);
  bed.host.sysctl('net.ipv4.conf.eth0.force_igmp_version', 2);
  expect(bed.memberships(bed.host).join(bed.host.ifindex('eth0'), ip('239.7.7.8'))).toBe(0);
  const report = await inbox.first('the report', typeIs(V2_REPORT));
  expect(report.destination).toBe(ip('239.7.7.8'));
  expect(report.flags).toBe(1 | SLOT_ROUTER_ALERT);
  expect(report.ifindex).toBe(bed.router.ifindex('eth1'));
});

addonTest(
  'what is sent leaves by the named interface with TTL 1, TOS 0xc0 and router alert, from the named source',
  async (bed) => {
    // given listeners on both LANs, and a second address on the router
    bed.router.ip('address', 'add', '10.1.0.77/24', 'dev', 'eth1');
    const near = new Inbox(bed.igmp(bed.host));
    const far = new Inbox(bed.igmp(bed.peer));
    const socket = bed.igmp(bed.router);
    // when two queries go out of eth1, one with a chosen source
    const eth1 = bed.router.ifindex('eth1');
    expect(socket.send(eth1, 0, ip('224.0.0.1'), query(1))).toBe(0);
    expect(socket.send(eth1, ip('10.1.0.77'), ip('224.0.0.1'), query(2))).toBe(0);
    const second = await near.first('the second query', (m) => markOf(m) === 2);
    // then only that LAN heard them
    expect(near.received.map((m) => m.source)).toEqual([ip('10.1.0.1'), ip('10.1.0.77')]);
    expect(second.flags).toBe(1 | SLOT_ROUTER_ALERT);
    expect(second.packet[1]).toBe(0xc0);
    expect(second.payload).toEqual(query(2));
    expect(far.received).toEqual([]);
    // and what cannot be sent says why
    expect(socket.send(9999, 0, ip('224.0.0.1'), query(3))).toBe(ERRNO.ENODEV);
  },
);

addonTest(
  'a burst arrives complete and in order, 64 a batch at most, 4 batches a wake-up, each wake-up closed by 0',
  async (bed) => {
    // given more than one wake-up may take, queued before the first look
    const socket = bed.igmp(bed.router);
    expect(socket.setReceiveBuffer(400_000)).toBeGreaterThanOrEqual(400_000);
    burst(bed, bed.igmp(bed.host), 300);
    // when reading starts
    const inbox = new Inbox(socket);
    await eventually(
      '300 messages and the end of the wake-up',
      () => inbox.received.length >= 300 && inbox.batches.at(-1) === 0,
    );
    // then nothing is lost or out of place
    expect(inbox.received.map(markOf)).toEqual(Array.from({ length: 300 }, (_, i) => i));
    const wakeups = inbox.batches
      .join(' ')
      .split(/ 0(?: |$)/)
      .filter(Boolean);
    // as many rounds as fit, fewer on a slow machine
    const first = wakeups[0]!.split(' ').map(Number);
    expect(first.every((count) => count === SLOTS)).toBe(true);
    expect(first.length).toBeLessThanOrEqual(256 / SLOTS);
    expect(wakeups.length).toBeGreaterThanOrEqual(2);
  },
);

addonTest('what arrives while reading is stopped waits in the kernel', async (bed) => {
  const host = bed.igmp(bed.host);
  const inbox = new Inbox(bed.igmp(bed.router));
  burst(bed, host, 1);
  await eventually('the first message', () => inbox.received.length === 1);
  inbox.socket.stop();
  inbox.socket.stop();
  burst(bed, host, 5, 1);
  const listener = new Inbox(bed.igmp(bed.router));
  burst(bed, host, 1, 6);
  await eventually('the last message on another socket', () => listener.received.some((m) => markOf(m) === 6));
  expect(inbox.received.length).toBe(1);
  expect(inbox.start()).toBe(0);
  expect(inbox.start()).toBe(ERRNO.EALREADY);
  await eventually('the rest', () => inbox.received.length === 7);
  expect(inbox.received.map(markOf)).toEqual([0, 1, 2, 3, 4, 5, 6]);
});

addonTest('a message larger than a slot is cut and marked', async (bed) => {
  for (const [namespace, device] of [
    [bed.router, 'eth1'],
    [bed.host, 'eth0'],
  ] as const)
    namespace.ip('link', 'set', device, 'mtu', '12000');
  const inbox = new Inbox(bed.igmp(bed.router));
  const large = new Uint8Array(10_000).fill(0x11);
  expect(bed.igmp(bed.host).send(bed.host.ifindex('eth0'), 0, ip('224.0.0.1'), large)).toBe(0);
  const message = await inbox.first('the large message', () => true);
  expect(message.flags & SLOT_TRUNCATED).toBe(SLOT_TRUNCATED);
  expect(message.packet.length).toBe(9216);
});

addonTest('the slab is one array for good, and giving its memory away stops nothing but the reading', async (bed) => {
  const socket = bed.igmp(bed.router);
  expect(socket.slab).toBe(socket.slab);
  const inbox = new Inbox(socket);
  structuredClone(socket.slab, { transfer: [socket.slab.buffer as ArrayBuffer] });
  burst(bed, bed.igmp(bed.host), 1);
  await eventually('a wake-up without messages', () => inbox.batches.length > 0);
  expect(inbox.received).toEqual([]);
});

addonTest('close inside the callback ends the batches at once, and the number is free after the turn', async (bed) => {
  // given five messages waiting
  const socket = bed.igmp(bed.router);
  const mroute = addon.mrouteOf(socket, 253);
  expect(mroute.init()).toBe(0);
  burst(bed, bed.igmp(bed.host), 5);
  const calls: number[] = [];
  // when the first batch closes the socket
  expect(
    socket.start((count) => {
      calls.push(count);
      socket.close();
      calls.push(mroute.flush(15));
    }),
  ).toBe(0);
  await eventually('the callback', () => calls.length > 0);
  // then nothing follows it, and the table becomes free
  expect(calls).toEqual([5, ERRNO.EBADF]);
  const successor = addon.mrouteOf(bed.igmp(bed.router), 253);
  await eventually('the table', () => successor.init() === 0);
  expect(calls).toHaveLength(2);
});

addonTest('stop inside the callback leaves the rest in the kernel', async (bed) => {
  const socket = bed.igmp(bed.router);
  expect(socket.setReceiveBuffer(400_000)).toBeGreaterThan(0);
  burst(bed, bed.igmp(bed.host), SLOTS + 5);
  const calls: number[] = [];
  const onBatch = (count: number): void => {
    calls.push(count);
    socket.stop();
  };
  expect(socket.start(onBatch)).toBe(0);
  await eventually('the first batch', () => calls.length > 0);
  expect(calls).toEqual([SLOTS]);
  expect(socket.start(onBatch)).toBe(0);
  await eventually('the second batch', () => calls.length > 1);
  expect(calls).toEqual([SLOTS, 5]);
});

addonTest('a descriptor of another kind is refused and stays open', (bed) => {
  const memberships = bed.memberships(bed.router);
  const bag = memberships.duplicate();
  expect(addon.openIgmpSocket(bag)).toBe(ERRNO.EINVAL);
  expect(addon.openIgmpSocket(4_000_000)).toBe(ERRNO.EBADF);
  const again = bed.memberships(bed.router, bag);
  expect(again.join(bed.router.ifindex('eth1'), ip('239.1.1.1'))).toBe(0);
});
