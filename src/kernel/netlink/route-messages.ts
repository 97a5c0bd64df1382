/** Encodes and decodes unicast RTM_*ROUTE messages (linux/rtnetlink.h). Pure; a message that makes no sense gives undefined. */
import { type IpAddress, ipv4, maskOf, type Prefix, toU32 } from '../../base/ip.js';
import type { Ifindex } from '../../port/kernel.js';
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
const RTA_VIA = 18;
const RTA_NH_ID = 30;
export const ROUTE_ATTRIBUTES = RTA_NH_ID;
/** rtnexthop: length u16, flags u8, hops u8, ifindex i32; attributes may follow. */
export const RTNEXTHOP_BYTES = 8;
const RTNH_F_DEAD = 0x01;
const RTNH_F_LINKDOWN = 0x10;

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
  /** In the kernel's order, unusable ones too. Empty for a route that leads nowhere, or that names only `nextHopId`. */
  readonly hops: readonly NextHop[];
  /** The next hop object or group the route refers to. */
  readonly nextHopId: number | undefined;
}

export interface NextHop {
  readonly ifindex: Ifindex;
  /** Undefined: on the link, or `byIpv6`. */
  readonly gateway: IpAddress | undefined;
  /** A router that is known by an IPv6 address. */
  readonly byIpv6?: true;
  /** `dead`: packets never take it. `linkDown`: it has no carrier. */
  readonly state: 'usable' | 'linkDown' | 'dead';
}

/** The next hops that packets come and go by: those with a carrier, or those without where there is nothing better. */
export function takenOf(hops: readonly NextHop[]): readonly NextHop[] {
  const usable = hops.filter(({ state }) => state === 'usable');
  return usable.length > 0 ? usable : hops.filter(({ state }) => state === 'linkDown');
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
  return {
    table: attributes.u32(RTA_TABLE) ?? view.getUint8(at + 4),
    prefix: { network: ipv4((attributes.ipv4(RTA_DST) ?? 0) & toU32(maskOf(length))), length },
    tos: view.getUint8(at + 3),
    priority: attributes.u32(RTA_PRIORITY) ?? 0,
    type: view.getUint8(at + 7),
    protocol: view.getUint8(at + 5),
    hops: nextHops(view, attributes, view.getUint32(at + 8, LITTLE_ENDIAN)),
    nextHopId: attributes.u32(RTA_NH_ID),
  };
}

function nextHops(view: DataView, attributes: Attributes, flags: number): readonly NextHop[] {
  const from = attributes.at(RTA_MULTIPATH, RTNEXTHOP_BYTES);
  if (from >= 0) return multipathHops(view, from, attributes.end(RTA_MULTIPATH));
  const ifindex = attributes.u32(RTA_OIF);
  if (ifindex === undefined) return [];
  return [nextHop(ifindex, attributes.ipv4(RTA_GATEWAY), flags, attributes.at(RTA_VIA, 0) >= 0)];
}

function multipathHops(view: DataView, from: number, end: number): readonly NextHop[] {
  const hops: NextHop[] = [];
  const inner = new Attributes(RTA_VIA);
  for (let at = from; at + RTNEXTHOP_BYTES <= end; ) {
    const size = view.getUint16(at, LITTLE_ENDIAN);
    if (size < RTNEXTHOP_BYTES || size > end - at) break;
    inner.read(view, at + RTNEXTHOP_BYTES, at + size);
    const ifindex = view.getInt32(at + 4, LITTLE_ENDIAN);
    hops.push(nextHop(ifindex, inner.ipv4(RTA_GATEWAY), view.getUint8(at + 2), inner.at(RTA_VIA, 0) >= 0));
    at += (size + 3) & ~3;
  }
  return hops;
}

export function nextHop(ifindex: number, gateway: number | undefined, flags: number, byIpv6: boolean): NextHop {
  const state = flags & RTNH_F_DEAD ? 'dead' : flags & RTNH_F_LINKDOWN ? 'linkDown' : 'usable';
  const via = gateway === undefined ? undefined : ipv4(gateway);
  return { ifindex: ifindex as Ifindex, gateway: via, state, ...(byIpv6 && { byIpv6 }) };
}
