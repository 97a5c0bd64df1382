/** What kernel 6.18 said of a bridge with two ports, a querier behind the one and a member behind the other. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ip } from '../../../src/base/ip.js';
import {
  decodeMdb,
  decodeStackedLink,
  linkRequest,
  mdbDumpRequest,
  type StackedLink,
} from '../../../src/kernel/netlink/bridge-messages.js';
import { type NetlinkMessage, viewOf, walkMessages } from '../../../src/kernel/netlink/netlink.js';
import type { Ifindex } from '../../../src/port/kernel.js';
import { runs } from '../../support/runs.js';

function hex(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text.replace(/\s+/g, ''), 'hex'));
}

function only<T>(bytes: Uint8Array, decode: (view: DataView, message: NetlinkMessage) => T | undefined): T | undefined {
  let result: T | undefined;
  const view = viewOf(bytes);
  expect(walkMessages(view, bytes.length, (message) => (result = decode(view, message)))).toBe(true);
  return result;
}

/** RTM_NEWLINK of br0, without the attributes that have nothing to do with bridges. */
const NEWLINK_BRIDGE = hex(`
  e401000010000000000000000000000000000100020000004310010000000000
  0800030062723000
  bc011200 0b000100 62726964676500 00 ac010200
  0c001000 0000000000000000 0c001100 0000000000000000 0c001200 0000000000000000 0c001300 1674000000000000
  08000100 dc050000 08000200 c8000000 08000300 d0070000 08000400 30750000 08000500 00000000 06000600 00800000
  05000700 00000000 06000900 00000000 0c000b00 800002ebb400c32f 0c000a00 800002ebb400c32f 06000c00 00000000
  08000d00 00000000 05000e00 00000000 05000f00 00000000 0a001400 0180c20000000000 0c002e00 000000001f000000
  08003000 04000000 08003100 00000000 05001600 01000000 05001700 01000000 05001800 00000000 05001900 00000000
  05002a00 00000000 08001a00 10000000 08001b00 00100000 08001c00 02000000 08001d00 02000000 05002b00 02000000
  20002f80 08000100 0a000009 0c000300 7e63000000000000 08000200 04000000
  05002c00 01000000 0c001e00 6400000000000000 0c001f00 9065000000000000 0c002000 9c63000000000000
  0c002100 d430000000000000 0c002200 e803000000000000 0c002300 340c000000000000
  05002400 00000000 05002500 00000000 05002600 00000000`);

/** RTM_NEWLINK of a macvlan on br0. */
const NEWLINK_MACVLAN = hex(`
  6c000000100000000000000000000000000001000700000002100000000000000
  80003006d7630003c0012000c0001006d6163766c616e002c00020008000100040000000600020000000000080006000000
  000008000700e803000008000800e80300000800050002000000`);

/** RTM_NEWMDB: 239.1.2.3 at port 6, groups of IPv6, one router port. */
const NEWMDB = hex(`
  34010000 56000200 07000000 2a3f0000 00000000 02000000
  f8000100
    34000100 30000100 06000000 00000000 ef010203 000000000000000000000000 08000000
      08000100 71650000 05000500 02000000
    34000100 30000100 06000000 00000000 ff0200000000000000000001ffc8d2d4 86dd0000
      08000100 4a650000 05000500 02000000
    34000100 30000100 04000000 00000000 ff0200000000000000000001ff70086f 86dd0000
      08000100 62650000 05000500 02000000
    2c000100 28000100 02000000 00000000 ff02000000000000000000000000006a 86dd0000 08000100 82650000
    2c000100 28000100 02000000 00000000 ff0200000000000000000001ff00c32f 86dd0000 08000100 82650000
  24000200
    20000100 04000000 08000100 7d630000 05000200 01000000 08000300 7d630000`);

function settings(bytes: Uint8Array): StackedLink['bridge'] {
  return only(bytes, decodeStackedLink)?.bridge;
}

/** Where a captured message has these bytes. */
function offsetOf(bytes: Uint8Array, text: string): number {
  const at = Buffer.from(bytes).indexOf(hex(text));
  expect(at).toBeGreaterThan(0);
  return at;
}

function changed(bytes: Uint8Array, from: string, to: string): Uint8Array {
  const copy = bytes.slice();
  copy.set(hex(to), offsetOf(bytes, from));
  return copy;
}

test('a bridge tells its snooping, its version, its router setting and whose queries it heard where (F33)', () => {
  expect(only(NEWLINK_BRIDGE, decodeStackedLink)).toEqual({
    bridge: {
      snooping: true,
      igmpVersion: 2,
      querierEnabled: false,
      querier: { address: ip('10.0.0.9'), port: 4 },
      multicastRouter: 1,
    },
    below: undefined,
  });
});

test('the querier of a bridge may be on this host, or nobody', () => {
  // An attribute of a number the decoder does not know stands for one that is absent.
  const ownHost = changed(NEWLINK_BRIDGE, '08000200 04000000 05002c00', '08000900 04000000 05002c00');
  expect(settings(ownHost)?.querier).toEqual({ address: ip('10.0.0.9'), port: undefined });
  const nobody = changed(NEWLINK_BRIDGE, '20002f80', '20003a80');
  expect(settings(nobody)?.querier).toBeUndefined();
});

test('snooping that is off, a querier of its own and IGMPv3 are read', () => {
  let bytes = changed(NEWLINK_BRIDGE, '05001700 01', '05001700 00');
  bytes = changed(bytes, '05001900 00', '05001900 01');
  bytes = changed(bytes, '05002b00 02', '05002b00 03');
  bytes = changed(bytes, '05001600 01', '05001600 02');
  expect(settings(bytes)).toMatchObject({ snooping: false, querierEnabled: true, igmpVersion: 3, multicastRouter: 2 });
});

test('a macvlan or VLAN names the device below it, unless that is in another namespace', () => {
  expect(only(NEWLINK_MACVLAN, decodeStackedLink)).toEqual({ bridge: undefined, below: 2 });
  const away = new Uint8Array(NEWLINK_MACVLAN.length + 8);
  away.set(NEWLINK_MACVLAN);
  away.set(hex('0800 2500 00000000'), NEWLINK_MACVLAN.length);
  away[0] = away.length;
  expect(only(away, decodeStackedLink)).toEqual({ bridge: undefined, below: undefined });
  const veth = changed(NEWLINK_MACVLAN, '6d6163766c616e00', '7665746800000000');
  expect(only(veth, decodeStackedLink)).toEqual({ bridge: undefined, below: undefined });
});

test('the forwarding of a bridge gives IPv4 groups by port and the router ports', () => {
  expect(only(NEWMDB, decodeMdb)).toEqual({
    bridge: 2,
    routerPorts: [4],
    groups: [{ group: ip('239.1.2.3'), port: 6 }],
  });
});

test('a group that is there with several sources is told once for each port', () => {
  const twice = changed(
    NEWMDB,
    'ff0200000000000000000001ffc8d2d4 86dd0000',
    'ef010203 000000000000000000000000 08000000',
  );
  expect(only(twice, decodeMdb)?.groups).toEqual([{ group: ip('239.1.2.3'), port: 6 }]);
});

test('a message of the bridge family about a port is not one about its device', () => {
  const ofPort = NEWLINK_BRIDGE.slice();
  ofPort[16] = 7;
  expect(only(ofPort, decodeStackedLink)).toBeUndefined();
});

test('requests are what the kernel expects', () => {
  expect(linkRequest(2 as Ifindex)).toEqual(
    hex('28000000 1200 0100 00000000 00000000 00000000 02000000 00000000 00000000 0800 1d00 08000000'),
  );
  expect(mdbDumpRequest()).toEqual(hex('18000000 5600 0103 00000000 00000000 07000000 00000000'));
});

test('cut, random and damaged bytes never throw and never loop', () => {
  const decode = (bytes: Uint8Array) => {
    const view = viewOf(bytes);
    const each = (message: NetlinkMessage) => {
      decodeStackedLink(view, message);
      decodeMdb(view, message);
    };
    walkMessages(view, bytes.length, each);
    // also where the length of the message does not say where it ends
    if (bytes.length >= 16) each({ type: 86, flags: 0, seq: 0, at: 16, end: bytes.length });
  };
  for (const whole of [NEWLINK_BRIDGE, NEWLINK_MACVLAN, NEWMDB])
    for (let length = 0; length <= whole.length; length++) decode(whole.slice(0, length));
  const damaged = fc
    .tuple(
      fc.constantFrom(NEWLINK_BRIDGE, NEWLINK_MACVLAN, NEWMDB),
      fc.array(fc.tuple(fc.nat(480), fc.nat(255)), { minLength: 1, maxLength: 8 }),
    )
    .map(([whole, changes]) => {
      const bytes = whole.slice();
      for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
      return bytes;
    });
  fc.assert(fc.property(fc.oneof(fc.uint8Array({ maxLength: 200 }), damaged), decode), { numRuns: runs(2000) });
});
