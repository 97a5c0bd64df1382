/** Decodes RTM_NEWLINK and RTM_NEWADDR (linux/if_link.h, linux/if_addr.h). Pure; a message that makes no sense gives undefined. */
import { ipv4 } from '../../base/ip.js';
import type { Ifindex, Link, LinkAddress } from '../../port/kernel.js';
import {
  AF_INET,
  AF_UNSPEC,
  type Attributes,
  encodeRequest,
  LITTLE_ENDIAN,
  NLM_F_DUMP,
  type NetlinkMessage,
  RTM_GETADDR,
  RTM_GETLINK,
  textOf,
  walkAttributes,
} from './netlink.js';

/** ifinfomsg: family u8, pad u8, type u16, index i32, flags u32, change u32. */
const IFINFOMSG_BYTES = 16;
/** ifaddrmsg: family u8, prefixlen u8, flags u8, scope u8, index u32. */
const IFADDRMSG_BYTES = 8;

const IFLA_ADDRESS = 1;
const IFLA_IFNAME = 3;
const IFLA_MTU = 4;
const IFLA_MASTER = 10;
const IFLA_LINKINFO = 18;
const IFLA_EXT_MASK = 29;
const IFLA_PROP_LIST = 52;
const IFLA_ALT_IFNAME = 53;
const IFLA_INFO_SLAVE_KIND = 4;
/** Leaves 200 bytes of statistics per link out of the answer. */
const RTEXT_FILTER_SKIP_STATS = 8;
export const LINK_ATTRIBUTES = IFLA_PROP_LIST;

const IFA_ADDRESS = 1;
const IFA_LOCAL = 2;
export const ADDRESS_ATTRIBUTES = IFA_LOCAL;
const IFA_F_SECONDARY = 0x01;
/** Where the scopes end that reach beyond the link (RT_SCOPE_UNIVERSE 0, _SITE 200), and beyond the host. */
const RT_SCOPE_LINK = 253;
const RT_SCOPE_HOST = 254;

const IFF_UP = 0x1;
const IFF_LOOPBACK = 0x8;
const IFF_POINTOPOINT = 0x10;
const IFF_MULTICAST = 0x1000;
const IFF_LOWER_UP = 0x10000;

/** A link without its addresses, which come in messages of their own. */
export type LinkInfo = Omit<Link, 'addresses'>;

export function linkDumpRequest(): Uint8Array {
  const attributes = [[IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS]] as const;
  return encodeRequest(RTM_GETLINK, NLM_F_DUMP, AF_UNSPEC, IFINFOMSG_BYTES, attributes);
}

export function addressDumpRequest(): Uint8Array {
  return encodeRequest(RTM_GETADDR, NLM_F_DUMP, AF_INET, IFADDRMSG_BYTES);
}

/**
 * Undefined also for the messages of other families: a bridge announces with RTM_DELLINK of family 7 that a port left it,
 * while the link itself stays.
 */
export function decodeLink(view: DataView, message: NetlinkMessage, attributes: Attributes): LinkInfo | undefined {
  const { at, end } = message;
  if (end - at < IFINFOMSG_BYTES || view.getUint8(at) !== AF_UNSPEC) return undefined;
  attributes.read(view, at + IFINFOMSG_BYTES, end);
  const name = attributes.text(IFLA_IFNAME);
  const ifindex = view.getInt32(at + 4, LITTLE_ENDIAN);
  if (name === undefined || ifindex < 1) return undefined;
  const flags = view.getUint32(at + 8, LITTLE_ENDIAN);
  const up = (flags & IFF_UP) !== 0;
  return {
    ifindex: ifindex as Ifindex,
    name,
    up,
    running: up && (flags & IFF_LOWER_UP) !== 0,
    loopback: (flags & IFF_LOOPBACK) !== 0,
    pointToPoint: (flags & IFF_POINTOPOINT) !== 0,
    multicast: (flags & IFF_MULTICAST) !== 0,
    mtu: attributes.u32(IFLA_MTU) ?? 0,
    port: portOf(view, attributes),
    mac: macOf(view, attributes),
    altNames: nestedTexts(view, attributes, IFLA_PROP_LIST, IFLA_ALT_IFNAME),
  };
}

function macOf(view: DataView, attributes: Attributes): string | undefined {
  const at = attributes.at(IFLA_ADDRESS, 1);
  if (at < 0) return undefined;
  return hardwareAddress(new Uint8Array(view.buffer, view.byteOffset + at, attributes.end(IFLA_ADDRESS) - at));
}

/** '02:00:0a:01:00:02'; undefined for no bytes. */
export function hardwareAddress(bytes: Uint8Array): string | undefined {
  return bytes.length === 0 ? undefined : Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(':');
}

function portOf(view: DataView, attributes: Attributes): LinkInfo['port'] {
  const master = attributes.u32(IFLA_MASTER);
  if (master === undefined || master === 0) return undefined;
  const [kind = ''] = nestedTexts(view, attributes, IFLA_LINKINFO, IFLA_INFO_SLAVE_KIND);
  return { master: master as Ifindex, kind };
}

/** The texts of one type inside another attribute. */
function nestedTexts(view: DataView, attributes: Attributes, outer: number, inner: number): readonly string[] {
  const at = attributes.at(outer, 0);
  if (at < 0) return [];
  const texts: string[] = [];
  walkAttributes(view, at, attributes.end(outer), (type, from, end) => {
    if (type === inner) texts.push(textOf(view, from, end));
  });
  return texts;
}

export interface DecodedAddress {
  readonly ifindex: Ifindex;
  readonly address: LinkAddress;
}

export function decodeAddress(
  view: DataView,
  message: NetlinkMessage,
  attributes: Attributes,
): DecodedAddress | undefined {
  const { at, end } = message;
  if (end - at < IFADDRMSG_BYTES || view.getUint8(at) !== AF_INET) return undefined;
  attributes.read(view, at + IFADDRMSG_BYTES, end);
  // With a peer IFA_ADDRESS is the other end and has the prefix; else the two are equal, or only one of them is there.
  const far = attributes.ipv4(IFA_ADDRESS);
  const local = attributes.ipv4(IFA_LOCAL) ?? far;
  const prefixLength = view.getUint8(at + 1);
  if (local === undefined || prefixLength > 32) return undefined;
  return {
    ifindex: view.getUint32(at + 4, LITTLE_ENDIAN) as Ifindex,
    address: {
      address: ipv4(local),
      prefixLength,
      secondary: (view.getUint8(at + 2) & IFA_F_SECONDARY) !== 0,
      scope: scopeOf(view.getUint8(at + 3)),
      peer: far === undefined || far === local ? undefined : ipv4(far),
    },
  };
}

function scopeOf(scope: number): LinkAddress['scope'] {
  if (scope < RT_SCOPE_LINK) return 'global';
  return scope < RT_SCOPE_HOST ? 'link' : 'host';
}
