/**
 * Decodes what the kernel tells of a bridge (linux/if_link.h, linux/if_bridge.h): RTM_NEWLINK of the device and RTM_NEWMDB of
 * its forwarding. Pure; a message that makes no sense gives undefined, an attribute that makes none is passed over.
 */
import { type IpAddress, ipv4 } from '../../base/ip.js';
import type { BridgeState, Ifindex } from '../../port/kernel.js';
import {
  AF_BRIDGE,
  AF_UNSPEC,
  Attributes,
  encodeRequest,
  LITTLE_ENDIAN,
  NLM_F_DUMP,
  type NetlinkMessage,
  RTM_GETLINK,
  RTM_GETMDB,
  viewOf,
  walkAttributes,
} from './netlink.js';

const NLMSG_HEADER_BYTES = 16;
/** ifinfomsg: family u8, pad u8, type u16, index i32, flags u32, change u32. */
const IFINFOMSG_BYTES = 16;
/** br_port_msg: family u8, pad, ifindex u32 (of the bridge). */
const BR_PORT_MSG_BYTES = 8;

const IFLA_LINK = 5;
const IFLA_LINKINFO = 18;
const IFLA_EXT_MASK = 29;
const RTEXT_FILTER_SKIP_STATS = 8;
const IFLA_LINK_NETNSID = 37;

const IFLA_INFO_KIND = 1;
const IFLA_INFO_DATA = 2;

const IFLA_BR_MCAST_ROUTER = 22;
const IFLA_BR_MCAST_SNOOPING = 23;
const IFLA_BR_MCAST_QUERIER = 25;
const IFLA_BR_MCAST_IGMP_VERSION = 43;
const IFLA_BR_MCAST_QUERIER_STATE = 47;

const BRIDGE_QUERIER_IP_ADDRESS = 1;
const BRIDGE_QUERIER_IP_PORT = 2;

const MDBA_MDB = 1;
const MDBA_ROUTER = 2;
const MDBA_MDB_ENTRY = 1;
const MDBA_MDB_ENTRY_INFO = 1;
const MDBA_ROUTER_PORT = 1;
/** br_mdb_entry: ifindex u32, state u8, flags u8, vid u16, address in 16 bytes, its protocol be16, pad. */
const BR_MDB_ENTRY_BYTES = 28;
const ENTRY_ADDRESS_AT = 8;
const ENTRY_PROTOCOL_AT = 24;
const ETH_P_IP = 0x0800;

/** Devices that lie on another one of the same machine, whose LAN is theirs. */
const STACKED: readonly (string | undefined)[] = ['vlan', 'macvlan'];

/** What the device itself tells; ports and groups are in the MDB. */
export type BridgeSettings = Omit<BridgeState, 'ifindex' | 'routerPorts' | 'groups'>;

export interface StackedLink {
  /** Undefined: the device is not a bridge. */
  readonly bridge: BridgeSettings | undefined;
  /** The device below a VLAN or macvlan. */
  readonly below: Ifindex | undefined;
}

export interface MdbPart {
  /** The bridge it is about. */
  readonly bridge: Ifindex;
  readonly routerPorts: readonly Ifindex[];
  readonly groups: BridgeState['groups'];
}

export function linkRequest(ifindex: Ifindex): Uint8Array {
  const attributes = [[IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS]] as const;
  const request = encodeRequest(RTM_GETLINK, 0, AF_UNSPEC, IFINFOMSG_BYTES, attributes);
  viewOf(request).setInt32(NLMSG_HEADER_BYTES + 4, ifindex, LITTLE_ENDIAN);
  return request;
}

/** The dump is of all bridges, as the kernel does not filter it. */
export function mdbDumpRequest(): Uint8Array {
  return encodeRequest(RTM_GETMDB, NLM_F_DUMP, AF_BRIDGE, BR_PORT_MSG_BYTES);
}

export function decodeStackedLink(view: DataView, { at, end }: NetlinkMessage): StackedLink | undefined {
  if (end - at < IFINFOMSG_BYTES || view.getUint8(at) !== AF_UNSPEC) return undefined;
  const link = new Attributes(IFLA_LINK_NETNSID);
  link.read(view, at + IFINFOMSG_BYTES, end);
  const info = nested(view, link, IFLA_LINKINFO, IFLA_INFO_DATA);
  const kind = info?.text(IFLA_INFO_KIND);
  const data = info && kind === 'bridge' ? nested(view, info, IFLA_INFO_DATA, IFLA_BR_MCAST_QUERIER_STATE) : undefined;
  // With IFLA_LINK_NETNSID the number of IFLA_LINK belongs to another namespace.
  const here = STACKED.includes(kind) && link.at(IFLA_LINK_NETNSID, 4) < 0;
  const below = here ? link.u32(IFLA_LINK) : undefined;
  return { bridge: data && settingsOf(view, data), below: below as Ifindex | undefined };
}

function settingsOf(view: DataView, data: Attributes): BridgeSettings {
  return {
    snooping: data.u8(IFLA_BR_MCAST_SNOOPING) === 1,
    igmpVersion: data.u8(IFLA_BR_MCAST_IGMP_VERSION) ?? 2,
    querierEnabled: data.u8(IFLA_BR_MCAST_QUERIER) === 1,
    querier: querierOf(nested(view, data, IFLA_BR_MCAST_QUERIER_STATE, BRIDGE_QUERIER_IP_PORT)),
    multicastRouter: data.u8(IFLA_BR_MCAST_ROUTER) ?? 0,
  };
}

/** The kernel names nobody once the last querier it heard is silent for too long. */
function querierOf(state: Attributes | undefined): BridgeState['querier'] {
  const address = state?.ipv4(BRIDGE_QUERIER_IP_ADDRESS);
  if (address === undefined) return undefined;
  return { address: ipv4(address), port: state?.u32(BRIDGE_QUERIER_IP_PORT) as Ifindex | undefined };
}

function nested(view: DataView, outer: Attributes, type: number, maxType: number): Attributes | undefined {
  const at = outer.at(type, 0);
  if (at < 0) return undefined;
  const inner = new Attributes(maxType);
  inner.read(view, at, outer.end(type));
  return inner;
}

/** The answers to the dump name no family: the kernel leaves that byte 0. */
export function decodeMdb(view: DataView, { at, end }: NetlinkMessage): MdbPart | undefined {
  if (end - at < BR_PORT_MSG_BYTES) return undefined;
  const routerPorts: Ifindex[] = [];
  const groups: { group: IpAddress; port: Ifindex }[] = [];
  walkAttributes(view, at + BR_PORT_MSG_BYTES, end, (type, from, to) => {
    if (type === MDBA_MDB) readGroups(view, from, to, groups);
    else if (type === MDBA_ROUTER) readRouterPorts(view, from, to, routerPorts);
  });
  return { bridge: view.getUint32(at + 4, LITTLE_ENDIAN) as Ifindex, routerPorts, groups };
}

/** MDBA_MDB holds MDBA_MDB_ENTRY, one per group; that holds MDBA_MDB_ENTRY_INFO, one per port. */
function readGroups(view: DataView, at: number, end: number, groups: { group: IpAddress; port: Ifindex }[]): void {
  walkAttributes(view, at, end, (type, from, to) => {
    if (type !== MDBA_MDB_ENTRY) return;
    walkAttributes(view, from, to, (inner, info, infoEnd) => {
      if (inner !== MDBA_MDB_ENTRY_INFO || infoEnd - info < BR_MDB_ENTRY_BYTES) return;
      if (view.getUint16(info + ENTRY_PROTOCOL_AT, false) !== ETH_P_IP) return;
      const port = view.getUint32(info, LITTLE_ENDIAN) as Ifindex;
      const group = ipv4(view.getUint32(info + ENTRY_ADDRESS_AT, false));
      // The same group once more with each source that the bridge knows.
      if (!groups.some((one) => one.port === port && one.group === group)) groups.push({ group, port });
    });
  });
}

function readRouterPorts(view: DataView, at: number, end: number, ports: Ifindex[]): void {
  walkAttributes(view, at, end, (type, from, to) => {
    if (type === MDBA_ROUTER_PORT && to - from >= 4) ports.push(view.getUint32(from, LITTLE_ENDIAN) as Ifindex);
  });
}
