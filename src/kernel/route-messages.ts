/** Encodes and decodes unicast RTM_*ROUTE messages (linux/rtnetlink.h). Pure; a message that makes no sense gives undefined. */
import { type IpAddress, ipv4, maskOf, type Prefix, toU32 } from '../base/ip.js';
import type { Ifindex } from '../port/kernel.js';
import {
  AF_INET,
  Attributes,
  encodeRequest,
  LITTLE_ENDIAN,
  NLM_F_DUMP,
  type NetlinkMessage,
  RTM_GETROUTE,
  viewOf,
} from './netlink.js';

/** rtmsg: family, dst_len, src_len, tos, table, protocol, scope, type (u8 each), flags u32. */
export const RTMSG_BYTES = 12;
export const RTA_DST = 1;
export const RTA_SRC = 2;
export const RTA_IIF = 3;
const RTA_OIF = 4;
const RTA_GATEWAY = 5;
const RTA_PRIORITY = 6;
export const RTA_MULTIPATH = 9;
export const RTA_TABLE = 15;
export const ROUTE_ATTRIBUTES = RTA_TABLE;
/** rtnexthop: length u16, flags u8, hops u8, ifindex i32; attributes may follow. */
export const RTNEXTHOP_BYTES = 8;
/** RTNH_F_DEAD and RTNH_F_LINKDOWN: a next hop that packets do not take. */
const UNUSABLE_HOP = 0x01 | 0x10;

/** Asks for the matching entry of the forwarding table instead of the result for one destination. */
const RTM_F_FIB_MATCH = 0x2000;
const RTM_F_CLONED = 0x200;

export const RTN_UNICAST = 1;
export const RTN_LOCAL = 2;

const NLMSG_HEADER_BYTES = 16;
const DST_VALUE_AT = NLMSG_HEADER_BYTES + RTMSG_BYTES + 4;

/** One route of one table as the kernel announces it; those alike in all but `priority` are rivals, the lowest wins. */
export interface KernelRoute {
  readonly table: number;
  readonly prefix: Prefix;
  readonly tos: number;
  readonly priority: number;
  /** RTN_*: 1 unicast, 2 local, 6 blackhole, 7 unreachable, 8 prohibit. */
  readonly type: number;
  /** RTPROT_*. */
  readonly protocol: number;
  /** Undefined for a route that leads nowhere. Of several next hops the first that is usable. */
  readonly ifindex: Ifindex | undefined;
  readonly gateway: IpAddress | undefined;
}

export function routeDumpRequest(): Uint8Array {
  return encodeRequest(RTM_GETROUTE, NLM_F_DUMP, AF_INET, RTMSG_BYTES);
}

/** A request to be used again and again: `pointLookupAt` changes its destination. */
export function lookupRequest(): Uint8Array {
  const request = encodeRequest(RTM_GETROUTE, 0, AF_INET, RTMSG_BYTES, [[RTA_DST, 0]]);
  request[NLMSG_HEADER_BYTES + 1] = 32;
  viewOf(request).setUint32(NLMSG_HEADER_BYTES + 8, RTM_F_FIB_MATCH, LITTLE_ENDIAN);
  return request;
}

export function pointLookupAt(request: Uint8Array, destination: IpAddress): void {
  viewOf(request).setUint32(DST_VALUE_AT, toU32(destination), false);
}

/** Undefined also for other families (multicast routes have one of their own) and for cached clones. */
export function decodeRoute(view: DataView, message: NetlinkMessage, attributes: Attributes): KernelRoute | undefined {
  const { at, end } = message;
  if (end - at < RTMSG_BYTES || view.getUint8(at) !== AF_INET) return undefined;
  if (view.getUint32(at + 8, LITTLE_ENDIAN) & RTM_F_CLONED) return undefined;
  const length = view.getUint8(at + 1);
  if (length > 32) return undefined;
  attributes.read(view, at + RTMSG_BYTES, end);
  const hop = nextHop(view, attributes);
  const gateway = hop.gateway;
  return {
    table: attributes.u32(RTA_TABLE) ?? view.getUint8(at + 4),
    prefix: { network: ipv4((attributes.ipv4(RTA_DST) ?? 0) & toU32(maskOf(length))), length },
    tos: view.getUint8(at + 3),
    priority: attributes.u32(RTA_PRIORITY) ?? 0,
    type: view.getUint8(at + 7),
    protocol: view.getUint8(at + 5),
    ifindex: hop.ifindex as Ifindex | undefined,
    gateway: gateway === undefined ? undefined : ipv4(gateway),
  };
}

interface NextHop {
  readonly ifindex: number | undefined;
  readonly gateway: number | undefined;
}

function nextHop(view: DataView, attributes: Attributes): NextHop {
  const from = attributes.at(RTA_MULTIPATH, RTNEXTHOP_BYTES);
  if (from < 0) return { ifindex: attributes.u32(RTA_OIF), gateway: attributes.ipv4(RTA_GATEWAY) };
  return firstUsableHop(view, from, attributes.end(RTA_MULTIPATH)) ?? NOWHERE;
}

const NOWHERE: NextHop = { ifindex: undefined, gateway: undefined };

function firstUsableHop(view: DataView, from: number, end: number): NextHop | undefined {
  for (let at = from; at + RTNEXTHOP_BYTES <= end; ) {
    const size = view.getUint16(at, LITTLE_ENDIAN);
    if (size < RTNEXTHOP_BYTES || size > end - at) return undefined;
    if ((view.getUint8(at + 2) & UNUSABLE_HOP) === 0) {
      const inner = new Attributes(RTA_GATEWAY);
      inner.read(view, at + RTNEXTHOP_BYTES, at + size);
      return { ifindex: view.getInt32(at + 4, LITTLE_ENDIAN), gateway: inner.ipv4(RTA_GATEWAY) };
    }
    at += (size + 3) & ~3;
  }
  return undefined;
}
