import fc from 'fast-check';
import { expect, test } from 'vitest';
import { formatIp, formatPrefix, ip } from '../../../src/base/ip.js';
import {
  ADDRESS_ATTRIBUTES,
  decodeAddress,
  decodeLink,
  LINK_ATTRIBUTES,
} from '../../../src/kernel/netlink/link-messages.js';
import { decodeMfc, decodeVifs, MFC_ATTRIBUTES } from '../../../src/kernel/netlink/mroute-messages.js';
import {
  Attributes,
  encodeRequest,
  NLM_F_DUMP,
  type NetlinkMessage,
  RTM_GETROUTE,
  setSequence,
  viewOf,
  walkAnswer,
  walkAttributes,
  walkMessages,
} from '../../../src/kernel/netlink/netlink.js';
import { decodeNextHop } from '../../../src/kernel/netlink/nexthop-messages.js';
import {
  decodeRoute,
  lookupRequest,
  pointLookupAt,
  ROUTE_ATTRIBUTES,
} from '../../../src/kernel/netlink/route-messages.js';
import { runs } from '../../support/runs.js';

/** Bytes as a little-endian machine has them; blanks and line ends are for the reader. */
function hex(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text.replace(/\s+/g, ''), 'hex'));
}

/** Decodes the only message. */
function only<T>(bytes: Uint8Array, decode: (view: DataView, message: NetlinkMessage) => T | undefined): T | undefined {
  let result: T | undefined;
  const view = viewOf(bytes);
  expect(walkMessages(view, bytes.length, (message) => (result = decode(view, message)))).toBe(true);
  return result;
}

const NEWLINK_ETH1 = hex(`
  34000000 1000 0000 00000000 00000000
  00 00 0100 03000000 43100100 00000000
  0900 0300 65746831 00 000000
  0800 0400 dc050000`);

const NEWADDR_SECONDARY = hex(`
  28000000 1400 0000 00000000 00000000
  02 18 01 00 03000000
  0800 0100 0a010001
  0800 0200 0a010001`);

const NEWROUTE_VIA = hex(`
  3c000000 1800 0000 00000000 00000000
  02 10 00 00 fe 04 00 01 00000000
  0800 0f00 fe000000
  0800 0100 0a020000
  0800 0500 0a010002
  0800 0400 03000000`);

const NEWROUTE_MFC = hex(`
  6c000000 1800 0000 00000000 00000000
  80 20 20 00 fd 11 00 05 00000000
  0800 0f00 fd000000
  0800 0200 0a010002
  0800 0100 ef010101
  0800 0300 03000000
  1400 0900 0800 00 01 04000000 0800 00 05 05000000
  1c00 1100 0700000000000000 6400000000000000 0100000001000000`);

const NEWLINK_VIFS = hex(`
  60000000 1000 0000 00000000 00000000
  80 00 0000 00000000 00000000 00000000
  4000 1a00
    0800 0100 fd000000
    3400 0600
      1c00 0100 0800 0100 04000000 0800 0200 00000000 0800 0300 08000000
      1400 0100 0800 0100 05000000 0800 0200 01000000`);

test('a link message gives name, flags and MTU; one of the bridge family gives nothing', () => {
  const attributes = new Attributes(LINK_ATTRIBUTES);
  expect(only(NEWLINK_ETH1, (view, message) => decodeLink(view, message, attributes))).toEqual({
    ifindex: 3,
    name: 'eth1',
    up: true,
    running: true,
    loopback: false,
    pointToPoint: false,
    multicast: true,
    mtu: 1500,
    port: undefined,
    altNames: [],
  });
  const ofBridge = NEWLINK_ETH1.slice();
  ofBridge[16] = 7;
  expect(only(ofBridge, (view, message) => decodeLink(view, message, attributes))).toBeUndefined();
});

test('an address message gives address, prefix length and rank', () => {
  const attributes = new Attributes(ADDRESS_ATTRIBUTES);
  const decoded = only(NEWADDR_SECONDARY, (view, message) => decodeAddress(view, message, attributes));
  expect(decoded).toEqual({
    ifindex: 3,
    address: { address: ip('10.1.0.1'), prefixLength: 24, secondary: true, scope: 'global', peer: undefined },
  });
});

test('an address with another far end has a peer', () => {
  const attributes = new Attributes(ADDRESS_ATTRIBUTES);
  const bytes = NEWADDR_SECONDARY.slice();
  bytes[28 + 3] = 9;
  const decoded = only(bytes, (view, message) => decodeAddress(view, message, attributes));
  expect(decoded?.address.peer && formatIp(decoded.address.peer)).toBe('10.1.0.9');
  expect(decoded && formatIp(decoded.address.address)).toBe('10.1.0.1');
});

test('a route message gives prefix, gateway, table and protocol; one of the multicast family gives nothing', () => {
  const attributes = new Attributes(ROUTE_ATTRIBUTES);
  const route = only(NEWROUTE_VIA, (view, message) => decodeRoute(view, message, attributes));
  expect(route && formatPrefix(route.prefix)).toBe('10.2.0.0/16');
  expect(route).toMatchObject({ table: 254, protocol: 4, type: 1 });
  expect(route?.hops).toEqual([{ ifindex: 3, gateway: ip('10.1.0.2'), state: 'usable' }]);
  expect(only(NEWROUTE_MFC, (view, message) => decodeRoute(view, message, attributes))).toBeUndefined();
});

test('a multicast entry gives flow, interfaces by ifindex and counters beyond 32 bits', () => {
  const attributes = new Attributes(MFC_ATTRIBUTES);
  expect(only(NEWROUTE_MFC, (view, message) => decodeMfc(view, message, attributes, 253))).toEqual({
    source: ip('10.1.0.2'),
    group: ip('239.1.1.1'),
    unresolved: false,
    static: false,
    iif: 3,
    oifs: [
      { ifindex: 4, ttl: 1 },
      { ifindex: 5, ttl: 5 },
    ],
    packets: 7,
    wrongIf: 0x1_0000_0001,
  });
  expect(only(NEWROUTE_MFC, (view, message) => decodeMfc(view, message, attributes, 100))).toBeUndefined();
});

test('an entry without an interface whose packets wait is unresolved', () => {
  const bytes = NEWROUTE_MFC.slice();
  bytes[24] = 0x20;
  const attributes = new Attributes(MFC_ATTRIBUTES);
  expect(only(bytes, (view, message) => decodeMfc(view, message, attributes, 253))?.unresolved).toBe(true);
});

test('the vifs of a table are read from the message about it, not from that about another', () => {
  expect(only(NEWLINK_VIFS, (view, message) => decodeVifs(view, message, 253))).toEqual([
    { vif: 0, ifindex: 4, static: false },
    { vif: 1, ifindex: 5, static: false },
  ]);
  expect(only(NEWLINK_VIFS, (view, message) => decodeVifs(view, message, 100))).toEqual([]);
});

test('a look-up request asks for the matching entry of one destination', () => {
  const request = lookupRequest();
  pointLookupAt(request, ip('10.2.3.4'));
  expect(request).toEqual(
    hex(`24000000 1a00 0100 00000000 00000000
         02 20 00 00 00 00 00 00 00200000
         0800 0100 0a020304`),
  );
});

test('an encoded request is one whole message with its attributes', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 255 }),
      fc.array(fc.tuple(fc.integer({ min: 0, max: 0x3fff }), fc.integer({ min: 0, max: 0xffffffff })), {
        maxLength: 8,
      }),
      fc.integer({ min: 0, max: 0xffffffff }),
      (family, attributes, sequence) => {
        const bytes = encodeRequest(RTM_GETROUTE, NLM_F_DUMP, family, 12, attributes);
        setSequence(bytes, sequence);
        const view = viewOf(bytes);
        const seen: [number, number][] = [];
        const whole = walkMessages(view, bytes.length, (message) => {
          expect(message).toMatchObject({ type: RTM_GETROUTE, flags: NLM_F_DUMP | 1, seq: sequence });
          expect(view.getUint8(message.at)).toBe(family);
          walkAttributes(view, message.at + 12, message.end, (type, at) => seen.push([type, view.getUint32(at, true)]));
        });
        expect(whole).toBe(true);
        expect(seen).toEqual(attributes);
      },
    ),
  );
});

function message(type: number, seq: number, payload: readonly number[], flags = 2): number[] {
  const size = 16 + payload.length;
  return [size, 0, 0, 0, type, 0, flags, 0, seq, 0, 0, 0, 0, 0, 0, 0, ...payload];
}

test('an answer ends with DONE or an error, and messages of other questions are passed over', () => {
  const bytes = Uint8Array.from([
    ...message(24, 1, [1, 1, 1, 1]),
    ...message(24, 2, [2, 2, 2, 2]),
    ...message(3, 1, [0, 0, 0, 0]),
    ...message(3, 2, [0, 0, 0, 0]),
  ]);
  const seen: number[] = [];
  const view = viewOf(bytes);
  expect(walkAnswer(view, bytes.length, 2, ({ at }) => seen.push(bytes[at]!))).toEqual({ done: true, errno: 0 });
  expect(seen).toEqual([2]);
  expect(walkAnswer(view, 40, 2, () => undefined)).toEqual({ done: false, errno: 0 });
});

test('an error, an interrupted dump and garbage each have their errno', () => {
  const refused = Uint8Array.from(message(2, 1, [0xff, 0xff, 0xff, 0xff])); // -1
  expect(walkAnswer(viewOf(refused), refused.length, 1, () => undefined)).toEqual({ done: true, errno: 1 });
  const interrupted = Uint8Array.from(message(3, 1, [0, 0, 0, 0], 0x10));
  expect(walkAnswer(viewOf(interrupted), interrupted.length, 1, () => undefined)).toEqual({ done: true, errno: 4 });
  const garbage = Uint8Array.from([5, 0, 0, 0, ...new Uint8Array(20)]);
  expect(walkAnswer(viewOf(garbage), garbage.length, 1, () => undefined)).toEqual({ done: false, errno: 74 });
});

test('cut anywhere, a message is refused or read, and never looked at beyond its end', () => {
  for (const whole of [NEWLINK_ETH1, NEWADDR_SECONDARY, NEWROUTE_VIA, NEWROUTE_MFC, NEWLINK_VIFS])
    for (let length = 0; length <= whole.length; length++) decodeEverything(whole.slice(0, length));
});

/** Every decoder over the same bytes; they may say nothing, but they must come back. */
function decodeEverything(bytes: Uint8Array): void {
  const view = viewOf(bytes);
  const attributes = new Attributes(32);
  const each = (message: NetlinkMessage) => {
    expect(message.end).toBeLessThanOrEqual(bytes.length);
    decodeLink(view, message, attributes);
    decodeAddress(view, message, attributes);
    decodeRoute(view, message, attributes);
    decodeNextHop(view, { ...message, type: 104 });
    decodeMfc(view, message, attributes, 253);
    decodeVifs(view, message, 253);
  };
  walkMessages(view, bytes.length, each);
  walkAnswer(view, bytes.length, 1, each);
  // also where the length of the message does not say where it ends
  if (bytes.length >= 16) each({ type: 16, flags: 0, seq: 0, at: 16, end: bytes.length });
}

test('random and damaged bytes never throw and never loop', () => {
  const messages = fc.constantFrom(NEWLINK_ETH1, NEWADDR_SECONDARY, NEWROUTE_VIA, NEWROUTE_MFC, NEWLINK_VIFS);
  const damaged = fc
    .tuple(messages, fc.array(fc.tuple(fc.nat(111), fc.nat(255)), { minLength: 1, maxLength: 6 }))
    .map(([whole, changes]) => {
      const bytes = whole.slice();
      for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
      return bytes;
    });
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 200 }), damaged), (bytes) => decodeEverything(bytes)),
    { numRuns: runs(2000) },
  );
});
