/** NativeMroute against the kernel's multicast forwarding: exclusivity, vifs, entries, counters, upcalls. */
import { expect } from 'vitest';
import { SLOT_UPCALL } from '../../src/kernel/addon.js';
import { addon, addonTest, ERRNO, Inbox, ip, type Received, ttls } from '../support/addon.js';
import { eventually } from '../support/eventually.js';

const GROUP = '239.1.2.3';
const NOCACHE = 1;
const WRONGVIF = 2;

const upcallOf = (type: number) => (message: Received) =>
  (message.flags & SLOT_UPCALL) !== 0 && message.packet[8] === type;

addonTest('one socket owns a table: the second gets EADDRINUSE, another table is free, done() gives it back', (bed) => {
  // given an owner of the default table
  const owner = addon.mrouteOf(bed.igmp(bed.router), 253);
  expect(owner.init()).toBe(0);
  // when others ask for it and for another table
  const second = addon.mrouteOf(bed.igmp(bed.router), 253);
  expect(second.init()).toBe(ERRNO.EADDRINUSE);
  expect(addon.mrouteOf(bed.igmp(bed.router), 100).init()).toBe(0);
  // then only done() frees it
  expect(owner.done()).toBe(0);
  expect(second.init()).toBe(0);
});

addonTest('a vif is added by ifindex, refused when its number is taken or beyond 31, and deleted once', (bed) => {
  const mroute = addon.mrouteOf(bed.igmp(bed.router), 253);
  const eth1 = bed.router.ifindex('eth1');
  expect(mroute.init()).toBe(0);
  expect(mroute.addVif(31, eth1)).toBe(0);
  expect(mroute.addVif(31, eth1)).toBe(ERRNO.EADDRINUSE);
  expect(mroute.addVif(32, eth1)).toBe(ERRNO.ENFILE);
  expect(mroute.addVif(0, 9999)).toBe(ERRNO.EADDRNOTAVAIL);
  expect(bed.router.run('cat', '/proc/net/ip_mr_vif')).toMatch(/^31 eth1 /m);
  expect(mroute.delVif(31)).toBe(0);
  expect(mroute.delVif(31)).toBe(ERRNO.EADDRNOTAVAIL);
});

addonTest(
  'an entry forwards, keeps its counters when it is replaced, and is gone after del and after flush',
  async (bed) => {
    // given an entry from vif 0 to vif 1 and a member behind vif 1
    const { mroute } = bed.mroute();
    const source = ip('10.1.0.2');
    expect(mroute.addMfc(source, ip(GROUP), 0, ttls(1))).toBe(0);
    const receiver = await bed.peer.receiver({ address: '10.2.0.2' });
    await receiver.join(GROUP);
    // when 50 packets come
    await bed.traffic(GROUP, 50);
    await eventually('50 packets behind the router', async () => (await receiver.report()).received >= 50);
    // then the counters say so, through a replacement as well
    const counters = new Float64Array(3);
    expect(mroute.mfcCounters(source, ip(GROUP), counters)).toBe(0);
    expect(counters[0]).toBe(50);
    expect(counters[1]).toBe(50 * (20 + 8 + 8));
    expect(mroute.addMfc(source, ip(GROUP), 0, ttls())).toBe(0);
    expect(mroute.mfcCounters(source, ip(GROUP), counters)).toBe(0);
    expect(counters[0]).toBe(50);
    const vif = new Float64Array(4);
    expect([mroute.vifCounters(0, vif), vif[0], vif[2]]).toEqual([0, 50, 0]);
    expect([mroute.vifCounters(1, vif), vif[0], vif[2]]).toEqual([0, 0, 50]);
    expect(mroute.vifCounters(7, vif)).toBe(ERRNO.EINVAL);
    // and it goes
    expect(mroute.delMfc(source, ip(GROUP))).toBe(0);
    expect(mroute.delMfc(source, ip(GROUP))).toBe(ERRNO.ENOENT);
    expect(mroute.addMfc(source, ip(GROUP), 0, ttls(1))).toBe(0);
    expect(mroute.flush(1)).toBe(0);
    expect(mroute.mfcCounters(source, ip(GROUP), counters)).toBe(ERRNO.EADDRNOTAVAIL);
    expect(mroute.addMfc(source, ip('10.9.9.9'), 0, ttls(1))).toBe(ERRNO.EINVAL);
    expect(mroute.addMfc(source, ip(GROUP), 32, ttls(1))).toBe(ERRNO.ENFILE);
  },
);

addonTest('many counters in one call: three numbers and one errno for each key', (bed) => {
  const { mroute } = bed.mroute();
  const source = ip('10.1.0.2');
  expect(mroute.addMfc(source, ip('239.0.0.1'), 0, ttls(1))).toBe(0);
  expect(mroute.addMfc(source, ip('239.0.0.3'), 0, ttls(1))).toBe(0);
  const keys = Uint32Array.of(source, ip('239.0.0.1'), source, ip('239.0.0.2'), source, ip('239.0.0.3'));
  const out = new Float64Array(9).fill(-1);
  const errnos = new Int32Array(3).fill(-1);
  expect(mroute.mfcCountersMany(keys, out, errnos)).toBe(2);
  expect([...errnos]).toEqual([0, ERRNO.EADDRNOTAVAIL, 0]);
  expect([...out]).toEqual(new Array(9).fill(0));
});

addonTest(
  'the first packet of a flow comes as a NOCACHE upcall with its vif, source, group and ifindex',
  async (bed) => {
    // given a routing socket without entries
    const { socket } = bed.mroute();
    const inbox = new Inbox(socket);
    // when a host sends
    await bed.traffic(GROUP, 1);
    const upcall = await inbox.first('a NOCACHE upcall', upcallOf(NOCACHE));
    // then the message is whole from its first byte (struct igmpmsg, linux.md A5)
    expect(upcall.flags).toBe(SLOT_UPCALL);
    expect(upcall.ifindex).toBe(bed.router.ifindex('eth1'));
    expect(upcall.payload).toEqual(upcall.packet);
    const message = new DataView(upcall.packet.buffer);
    expect(message.getUint8(10)).toBe(0);
    expect(message.getUint32(12)).toBe(ip('10.1.0.2'));
    expect(message.getUint32(16)).toBe(ip(GROUP));
    expect([upcall.source, upcall.destination]).toEqual([ip('10.1.0.2'), ip(GROUP)]);
  },
);

addonTest(
  'a packet on another vif than the parent comes as a WRONGVIF upcall when assert and PIM mode are on',
  async (bed) => {
    // given an entry whose parent is vif 1
    const { socket, mroute } = bed.mroute();
    const inbox = new Inbox(socket);
    expect(mroute.setAssert(true)).toBe(0);
    expect(mroute.setPim(1)).toBe(0);
    expect(mroute.addMfc(ip('10.1.0.2'), ip(GROUP), 1, ttls())).toBe(0);
    // when the flow comes in on vif 0
    await bed.traffic(GROUP, 3);
    const upcall = await inbox.first('a WRONGVIF upcall', upcallOf(WRONGVIF));
    // then the upcall names vif 0, and the entry has counted
    expect(upcall.packet[10]).toBe(0);
    expect(upcall.source).toBe(ip('10.1.0.2'));
    const counters = new Float64Array(3);
    await eventually(
      '3 wrong packets',
      () => mroute.mfcCounters(ip('10.1.0.2'), ip(GROUP), counters) === 0 && counters[2] === 3,
    );
    expect(mroute.setPim(0)).toBe(0);
    expect(mroute.setAssert(false)).toBe(0);
  },
);

addonTest('after the socket is closed every call answers EBADF and the table is free', async (bed) => {
  const { socket, mroute } = bed.mroute();
  socket.close();
  socket.close();
  const calls = [
    mroute.init(),
    mroute.done(),
    mroute.addVif(2, 1),
    mroute.delVif(0),
    mroute.addMfc(1, ip(GROUP), 0, ttls()),
    mroute.delMfc(1, ip(GROUP)),
    mroute.flush(15),
    mroute.setAssert(true),
    mroute.setPim(1),
    mroute.mfcCounters(1, 2, new Float64Array(3)),
    mroute.vifCounters(0, new Float64Array(4)),
  ];
  expect(calls).toEqual(calls.map(() => ERRNO.EBADF));
  expect(socket.send(1, 0, ip('224.0.0.1'), new Uint8Array(8))).toBe(ERRNO.EBADF);
  expect(socket.duplicate()).toBe(-ERRNO.EBADF);
  expect(socket.setReceiveBuffer(1000)).toBe(-ERRNO.EBADF);
  expect(socket.start(() => undefined)).toBe(ERRNO.EBADF);
  expect(addon.mrouteOf(bed.igmp(bed.router), 253).init()).toBe(0);
});

addonTest("a caller's mistake throws TypeError and reaches no system call", (bed) => {
  const { socket, mroute } = bed.mroute();
  const wrong: readonly (() => unknown)[] = [
    () => mroute.addVif(65536, 1),
    () => mroute.addVif(-1, 1),
    () => mroute.addVif(2.5, 1),
    () => mroute.addVif(Number.NaN, 1),
    () => mroute.delMfc(2 ** 32, 1),
    () => mroute.addMfc(1, ip(GROUP), 0, new Uint8Array(31)),
    () => mroute.addMfc(1, ip(GROUP), 0, new Uint32Array(32) as unknown as Uint8Array),
    () => mroute.setAssert(1 as unknown as boolean),
    () => mroute.mfcCounters(1, 2, new Float64Array(2)),
    () => mroute.mfcCountersMany(new Uint32Array(3), new Float64Array(9), new Int32Array(3)),
    () => mroute.mfcCountersMany(new Uint32Array(4), new Float64Array(5), new Int32Array(2)),
    () => mroute.vifCounters(0, new Float64Array(3)),
    () => socket.send(1, 0, 2, [1] as unknown as Uint8Array),
    () => socket.start('x' as unknown as () => void),
    () => addon.mrouteOf({} as unknown as typeof socket, 253),
    () => addon.mrouteOf(mroute as unknown as typeof socket, 253),
    () => addon.openIgmpSocket('3' as unknown as number),
    () => addon.peerCredentials(-1),
    () => mroute.init.call(socket),
  ];
  for (const call of wrong) expect(call, call.toString()).toThrow(TypeError);
  // and a class cannot be made out of thin air into something that owns a descriptor
  const stray = new (socket.constructor as new () => typeof socket)();
  expect(stray.duplicate()).toBe(-ERRNO.EBADF);
  stray.close();
});
