/**
 * Decodes next hop objects (linux/nexthop.h), which routes refer to by a number: with net.ipv4.nexthop_compat_mode off
 * that number is all a route says. Pure; a message that makes no sense gives undefined.
 */
import {
  AF_INET,
  AF_UNSPEC,
  Attributes,
  encodeRequest,
  LITTLE_ENDIAN,
  type NetlinkMessage,
  RTM_GETNEXTHOP,
  RTM_NEWNEXTHOP,
} from './netlink.js';
import { type NextHop, nextHop } from './route-messages.js';

/** nhmsg: family, scope, protocol, reserved (u8 each), flags u32. */
const NHMSG_BYTES = 8;
const NHA_ID = 1;
const NHA_GROUP = 2;
const NHA_OIF = 5;
const NHA_GATEWAY = 6;
/** nexthop_grp: id u32, weight u8, weight_high u8, reserved u16. */
const GROUP_MEMBER_BYTES = 8;

/** One next hop, or the numbers of those that a group is made of. */
export interface NextHopObject {
  /** Undefined for a group and for a black hole. */
  readonly hop: NextHop | undefined;
  readonly members: readonly number[];
}

export function nextHopRequest(id: number): Uint8Array {
  return encodeRequest(RTM_GETNEXTHOP, 0, AF_UNSPEC, NHMSG_BYTES, [[NHA_ID, id]]);
}

export function decodeNextHop(view: DataView, { type, at, end }: NetlinkMessage): NextHopObject | undefined {
  if (type !== RTM_NEWNEXTHOP || end - at < NHMSG_BYTES) return undefined;
  const attributes = new Attributes(NHA_GATEWAY);
  attributes.read(view, at + NHMSG_BYTES, end);
  const ifindex = attributes.u32(NHA_OIF);
  const isIpv4 = view.getUint8(at) === AF_INET;
  const gateway = isIpv4 ? attributes.ipv4(NHA_GATEWAY) : undefined;
  const byIpv6 = !isIpv4 && attributes.at(NHA_GATEWAY, 0) >= 0;
  return {
    hop: ifindex === undefined ? undefined : nextHop(ifindex, gateway, view.getUint32(at + 4, LITTLE_ENDIAN), byIpv6),
    members: membersOf(view, attributes),
  };
}

function membersOf(view: DataView, attributes: Attributes): readonly number[] {
  const from = attributes.at(NHA_GROUP, GROUP_MEMBER_BYTES);
  if (from < 0) return [];
  const members: number[] = [];
  for (let at = from; at + GROUP_MEMBER_BYTES <= attributes.end(NHA_GROUP); at += GROUP_MEMBER_BYTES)
    members.push(view.getUint32(at, LITTLE_ENDIAN));
  return members;
}
