/**
 * The netlink wire format (RFC 3549 section 2.2, linux/netlink.h, linux/rtnetlink.h): messages, attributes, requests.
 * Pure and total: whatever the bytes, the walkers end, throw nothing and never look beyond the given end.
 * Headers are in the byte order of the machine, addresses inside attributes in network order.
 */
import { EBADMSG, EINTR } from '../errno.js';

export const NLMSG_ERROR = 2;
export const NLMSG_DONE = 3;
export const NLM_F_REQUEST = 0x1;
export const NLM_F_DUMP_INTR = 0x10;
export const NLM_F_REPLACE = 0x100;
export const NLM_F_DUMP = 0x300;
export const NLM_F_APPEND = 0x800;

export const RTM_NEWLINK = 16;
export const RTM_DELLINK = 17;
export const RTM_GETLINK = 18;
export const RTM_NEWADDR = 20;
export const RTM_DELADDR = 21;
export const RTM_GETADDR = 22;
export const RTM_NEWROUTE = 24;
export const RTM_DELROUTE = 25;
export const RTM_GETROUTE = 26;
export const RTM_NEWRULE = 32;
export const RTM_DELRULE = 33;
export const RTM_NEWMULTICAST = 56;
export const RTM_DELMULTICAST = 57;
export const RTM_GETMULTICAST = 58;
export const RTM_NEWNETCONF = 80;
export const RTM_GETMDB = 86;
export const RTM_NEWNEXTHOP = 104;
export const RTM_DELNEXTHOP = 105;
export const RTM_GETNEXTHOP = 106;

export const RTNLGRP_LINK = 1;
export const RTNLGRP_IPV4_IFADDR = 5;
export const RTNLGRP_IPV4_MROUTE = 6;
export const RTNLGRP_IPV4_ROUTE = 7;
export const RTNLGRP_IPV4_RULE = 8;
export const RTNLGRP_IPV4_NETCONF = 24;
export const RTNLGRP_NEXTHOP = 32;
export const RTNLGRP_IPV4_MCADDR = 37;

export const AF_UNSPEC = 0;
export const AF_INET = 2;
export const AF_BRIDGE = 7;
/** The multicast forwarding cache speaks the route messages under a family of its own. */
export const RTNL_FAMILY_IPMR = 128;

/** nlmsghdr: length u32, type u16, flags u16, sequence u32, port u32. */
const HEADER_BYTES = 16;
/** rtattr: length u16, type u16. */
const ATTRIBUTE_HEADER_BYTES = 4;
/** Without NLA_F_NESTED and NLA_F_NET_BYTEORDER. */
const ATTRIBUTE_TYPE_MASK = 0x3fff;

/** The byte order of this machine, as DataView wants it. */
export const LITTLE_ENDIAN: boolean = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function aligned(length: number): number {
  return (length + 3) & ~3;
}

/** One message in place: its payload is `view` from `at` to before `end`. Reused from message to message. */
export interface NetlinkMessage {
  type: number;
  flags: number;
  seq: number;
  at: number;
  end: number;
}

/** Visits the whole messages in the first `length` bytes. Returns false when the rest is not a message. */
export function walkMessages(view: DataView, length: number, visit: (message: NetlinkMessage) => void): boolean {
  const message: NetlinkMessage = { type: 0, flags: 0, seq: 0, at: 0, end: 0 };
  let from = 0;
  while (from + HEADER_BYTES <= length) {
    const size = view.getUint32(from, LITTLE_ENDIAN);
    if (size < HEADER_BYTES || size > length - from) return false;
    message.type = view.getUint16(from + 4, LITTLE_ENDIAN);
    message.flags = view.getUint16(from + 6, LITTLE_ENDIAN);
    message.seq = view.getUint32(from + 8, LITTLE_ENDIAN);
    message.at = from + HEADER_BYTES;
    message.end = from + size;
    visit(message);
    from += aligned(size);
  }
  return from >= length;
}

/** Visits attributes of `view[at, end)`: type without flag bits, payload position, payload end. False when garbage is left. */
export function walkAttributes(
  view: DataView,
  at: number,
  end: number,
  visit: (type: number, at: number, end: number) => void,
): boolean {
  let from = at;
  while (from + ATTRIBUTE_HEADER_BYTES <= end) {
    const size = view.getUint16(from, LITTLE_ENDIAN);
    if (size < ATTRIBUTE_HEADER_BYTES || size > end - from) return false;
    visit(view.getUint16(from + 2, LITTLE_ENDIAN) & ATTRIBUTE_TYPE_MASK, from + ATTRIBUTE_HEADER_BYTES, from + size);
    from += aligned(size);
  }
  return from >= end;
}

/**
 * Where the attributes of one message lie. Made once and read into for every message, so that decoding builds nothing.
 * A getter returns undefined for an attribute that is absent or too short; of two alike the last one counts.
 */
export class Attributes {
  readonly #at: Int32Array;
  readonly #end: Int32Array;
  #view: DataView = new DataView(new ArrayBuffer(0));

  /** Remembers the types 0 to `maxType`. */
  constructor(readonly maxType: number) {
    this.#at = new Int32Array(maxType + 1);
    this.#end = new Int32Array(maxType + 1);
  }

  /** Forgets what was there. False when the attributes end in garbage; those before it are kept. */
  read(view: DataView, at: number, end: number): boolean {
    this.#view = view;
    this.#at.fill(-1);
    // The same walk as walkAttributes, written out because this is the path of every change event.
    let from = at;
    while (from + ATTRIBUTE_HEADER_BYTES <= end) {
      const size = view.getUint16(from, LITTLE_ENDIAN);
      if (size < ATTRIBUTE_HEADER_BYTES || size > end - from) return false;
      const type = view.getUint16(from + 2, LITTLE_ENDIAN) & ATTRIBUTE_TYPE_MASK;
      if (type <= this.maxType) {
        this.#at[type] = from + ATTRIBUTE_HEADER_BYTES;
        this.#end[type] = from + size;
      }
      from += aligned(size);
    }
    return from >= end;
  }

  /** The payload's position, or -1 when it is absent or shorter than `bytes`. */
  at(type: number, bytes: number): number {
    const at = this.#at[type] ?? -1;
    return at >= 0 && this.end(type) - at >= bytes ? at : -1;
  }

  /** The payload's end; only for an attribute that is there. */
  end(type: number): number {
    return this.#end[type] ?? 0;
  }

  u8(type: number): number | undefined {
    const at = this.at(type, 1);
    return at < 0 ? undefined : this.#view.getUint8(at);
  }

  u32(type: number): number | undefined {
    const at = this.at(type, 4);
    return at < 0 ? undefined : this.#view.getUint32(at, LITTLE_ENDIAN);
  }

  /** An IPv4 address as a host-order number. */
  ipv4(type: number): number | undefined {
    const at = this.at(type, 4);
    return at < 0 ? undefined : this.#view.getUint32(at, false);
  }

  /** Text up to the first NUL. */
  text(type: number): string | undefined {
    const at = this.at(type, 1);
    if (at < 0) return undefined;
    return textOf(this.#view, at, this.end(type));
  }
}

/** Text from `at` to the first NUL before `end`. */
export function textOf(view: DataView, at: number, end: number): string {
  const bytes = Buffer.from(view.buffer as ArrayBuffer, view.byteOffset + at, end - at);
  const nul = bytes.indexOf(0);
  return bytes.toString('utf8', 0, nul < 0 ? bytes.length : nul);
}

/** A u64 of the machine's order as a number (exact up to 2^53). */
export function readU64(view: DataView, at: number): number {
  const low = view.getUint32(at + (LITTLE_ENDIAN ? 0 : 4), LITTLE_ENDIAN);
  const high = view.getUint32(at + (LITTLE_ENDIAN ? 4 : 0), LITTLE_ENDIAN);
  return high * 0x1_0000_0000 + low;
}

/** A message ready to send: the family's header of `headerBytes` (its first byte is the family), then u32 attributes in machine order. */
export function encodeRequest(
  type: number,
  flags: number,
  family: number,
  headerBytes: number,
  attributes: readonly (readonly [type: number, value: number])[] = [],
): Uint8Array {
  const size = HEADER_BYTES + headerBytes + attributes.length * (ATTRIBUTE_HEADER_BYTES + 4);
  const bytes = new Uint8Array(size);
  const view = viewOf(bytes);
  view.setUint32(0, size, LITTLE_ENDIAN);
  view.setUint16(4, type, LITTLE_ENDIAN);
  view.setUint16(6, flags | NLM_F_REQUEST, LITTLE_ENDIAN);
  bytes[HEADER_BYTES] = family;
  let at = HEADER_BYTES + headerBytes;
  for (const [attribute, value] of attributes) {
    view.setUint16(at, ATTRIBUTE_HEADER_BYTES + 4, LITTLE_ENDIAN);
    view.setUint16(at + 2, attribute, LITTLE_ENDIAN);
    view.setUint32(at + 4, value, LITTLE_ENDIAN);
    at += ATTRIBUTE_HEADER_BYTES + 4;
  }
  return bytes;
}

/** Numbers a request; its answers carry the same number. */
export function setSequence(request: Uint8Array, sequence: number): void {
  viewOf(request).setUint32(8, sequence, LITTLE_ENDIAN);
}

export interface AnswerEnd {
  /** The last message of the answer has been seen. */
  readonly done: boolean;
  /** 0, or why the answer is not complete: the kernel's errno, EINTR (the table changed meanwhile, ask again), EBADMSG. */
  readonly errno: number;
}

/** Visits the messages that answer request `sequence`, other than the end and the errors; passes over other messages. */
export function walkAnswer(
  view: DataView,
  length: number,
  sequence: number,
  visit: (message: NetlinkMessage) => void,
): AnswerEnd {
  let done = false;
  let errno = 0;
  const whole = walkMessages(view, length, (message) => {
    if (message.seq !== sequence) return;
    if (message.flags & NLM_F_DUMP_INTR) errno ||= EINTR;
    if (message.type !== NLMSG_ERROR && message.type !== NLMSG_DONE) return visit(message);
    done = true;
    if (message.end - message.at >= 4) errno = Math.abs(view.getInt32(message.at, LITTLE_ENDIAN)) || errno;
  });
  return { done, errno: whole ? errno : EBADMSG };
}
