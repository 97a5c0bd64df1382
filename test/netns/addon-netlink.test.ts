/** NativeNetlink: requests with their answers, notifications, and what happens when they are lost. */
import { expect } from 'vitest';
import { addonTest, ERRNO } from '../support/addon.js';
import { eventually } from '../support/eventually.js';

const RTM_NEWLINK = 16;
const RTM_GETLINK = 18;
const NLMSG_DONE = 3;
const NLM_F_REQUEST = 1;
const NLM_F_ACK = 4;
const NLM_F_DUMP = 0x300;
const RTNLGRP_LINK = 1;

/** A link request: nlmsghdr (16) and ifinfomsg (16). */
function linkRequest(flags: number, ifindex = 0, type = RTM_GETLINK): Uint8Array {
  const message = new DataView(new ArrayBuffer(32));
  message.setUint32(0, 32, true);
  message.setUint16(4, type, true);
  message.setUint16(6, flags, true);
  message.setUint32(8, 77, true);
  message.setInt32(20, ifindex, true);
  return new Uint8Array(message.buffer);
}

/** Type and ifindex of every message. */
function walk(bytes: Uint8Array): { type: number; ifindex: number }[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const seen: { type: number; ifindex: number }[] = [];
  for (let at = 0; at + 16 <= bytes.length; at += (view.getUint32(at, true) + 3) & ~3) {
    const length = view.getUint32(at, true);
    if (length < 16) throw new Error(`a message of ${length} bytes at ${at}`);
    seen.push({ type: view.getUint16(at + 4, true), ifindex: length >= 24 ? view.getInt32(at + 20, true) : 0 });
  }
  return seen;
}

addonTest('a dump brings every link up to its end mark; one link alone comes without', (bed) => {
  const netlink = bed.netlink(bed.router);
  const dump = netlink.request(linkRequest(NLM_F_REQUEST | NLM_F_DUMP));
  if (typeof dump === 'number') throw new Error(`errno ${dump}`);
  const messages = walk(dump);
  expect(messages.at(-1)?.type).toBe(NLMSG_DONE);
  expect(messages.map((m) => m.ifindex)).toContain(bed.router.ifindex('eth2'));
  const one = netlink.request(linkRequest(NLM_F_REQUEST, bed.router.ifindex('eth1')));
  if (typeof one === 'number') throw new Error(`errno ${one}`);
  expect(walk(one)).toEqual([{ type: RTM_NEWLINK, ifindex: bed.router.ifindex('eth1') }]);
});

addonTest('a dump larger than any buffer is complete', (bed) => {
  // given 300 devices, more than 32 KiB a datagram can hold
  const lines = Array.from({ length: 150 }, (_, i) => `ip link add a${i} type veth peer name b${i}`);
  bed.router.run('sh', '-ec', lines.join('\n'));
  const netlink = bed.netlink(bed.router);
  const dump = netlink.request(linkRequest(NLM_F_REQUEST | NLM_F_DUMP));
  if (typeof dump === 'number') throw new Error(`errno ${dump}`);
  expect(walk(dump).filter((m) => m.type === RTM_NEWLINK).length).toBeGreaterThanOrEqual(303);
  expect(dump.length).toBeGreaterThan(4 * 32_768);
});

addonTest("a refusal is the kernel's errno, an acknowledgement is an answer, silence is ETIMEDOUT", (bed) => {
  const netlink = bed.netlink(bed.router);
  expect(netlink.request(linkRequest(NLM_F_REQUEST, 9999))).toBe(ERRNO.ENODEV);
  expect(typeof netlink.request(linkRequest(NLM_F_REQUEST | NLM_F_DUMP | NLM_F_ACK))).toBe('object');
  expect(netlink.request(linkRequest(0))).toBe(ERRNO.ETIMEDOUT);
  expect(typeof netlink.request(linkRequest(NLM_F_REQUEST | NLM_F_DUMP))).toBe('object');
  expect(() => netlink.request(new Uint8Array(15))).toThrow(TypeError);
  expect(() => netlink.send(new Uint8Array(15))).toThrow(TypeError);
});

addonTest('a subscriber hears a link go down, and its own requests do not mix in', async (bed) => {
  // given a subscription that is being read
  const netlink = bed.netlink(bed.router);
  const heard: { type: number; ifindex: number }[] = [];
  expect(netlink.subscribe(RTNLGRP_LINK)).toBe(0);
  const onData = (length: number, errno: number): void => {
    expect(errno).toBe(0);
    heard.push(...walk(netlink.slab.subarray(0, length)));
  };
  expect(netlink.start(onData)).toBe(0);
  expect(netlink.start(onData)).toBe(ERRNO.EALREADY);
  // when a request is made and a link goes down
  expect(typeof netlink.request(linkRequest(NLM_F_REQUEST | NLM_F_DUMP))).toBe('object');
  const eth2 = bed.router.ifindex('eth2');
  bed.router.ip('link', 'set', 'eth2', 'down');
  await eventually('the notification', () => heard.length > 0);
  // then the notification is all that came
  expect(heard.every((m) => m.type === RTM_NEWLINK && m.ifindex === eth2)).toBe(true);
  expect(netlink.subscribe(9999)).toBe(ERRNO.EINVAL);
});

addonTest('an answer to send() comes to the same callback as notifications do', async (bed) => {
  const netlink = bed.netlink(bed.router);
  const heard: number[] = [];
  expect(netlink.start((length) => heard.push(...walk(netlink.slab.subarray(0, length)).map((m) => m.type)))).toBe(0);
  expect(netlink.send(linkRequest(NLM_F_REQUEST | NLM_F_DUMP))).toBe(0);
  await eventually('the end of the dump', () => heard.includes(NLMSG_DONE));
  expect(heard.filter((type) => type === RTM_NEWLINK).length).toBeGreaterThanOrEqual(3);
});

addonTest('lost notifications are told as ENOBUFS, with what was not lost', async (bed) => {
  // given a subscriber with hardly any buffer that does not read
  const netlink = bed.netlink(bed.router);
  expect(netlink.subscribe(RTNLGRP_LINK)).toBe(0);
  expect(netlink.setReceiveBuffer(4096)).toBeLessThan(16_384);
  const flips = Array.from({ length: 40 }, () => 'ip link set eth2 down; ip link set eth2 up').join('\n');
  bed.router.run('sh', '-ec', flips);
  // when it reads at last
  const errors: number[] = [];
  let messages = 0;
  const onData = (length: number, errno: number): void => {
    errors.push(errno);
    messages += walk(netlink.slab.subarray(0, length)).length;
  };
  expect(netlink.start(onData)).toBe(0);
  await eventually('the loss to be told', () => errors.includes(ERRNO.ENOBUFS));
  // then it goes on hearing
  const before = messages;
  bed.router.ip('link', 'set', 'eth2', 'down');
  await eventually('a notification after the loss', () => messages > before);
});

addonTest('close inside the callback is the last that is heard, and calls after it answer EBADF', async (bed) => {
  const netlink = bed.netlink(bed.router);
  let calls = 0;
  expect(netlink.subscribe(RTNLGRP_LINK)).toBe(0);
  const onData = (): void => {
    calls++;
    netlink.close();
    netlink.close();
  };
  expect(netlink.start(onData)).toBe(0);
  for (const state of ['down', 'up', 'down']) bed.router.ip('link', 'set', 'eth2', state);
  await eventually('the callback', () => calls > 0);
  expect(netlink.request(linkRequest(NLM_F_REQUEST | NLM_F_DUMP))).toBe(ERRNO.EBADF);
  expect(netlink.send(linkRequest(NLM_F_REQUEST))).toBe(ERRNO.EBADF);
  expect(netlink.subscribe(RTNLGRP_LINK)).toBe(ERRNO.EBADF);
  expect(netlink.setReceiveBuffer(4096)).toBe(-ERRNO.EBADF);
  expect(netlink.start(onData)).toBe(ERRNO.EBADF);
  expect(calls).toBe(1);
});
