/**
 * Decodes what netlink says of the multicast forwarding table: RTM_*ROUTE and RTM_NEWLINK of family 128 (linux/mroute.h).
 * Pure; a message that makes no sense, or is about another table, gives undefined.
 */
import { ipv4 } from '../../base/ip.js';
import { type DumpedMfc, type DumpedVif, type Ifindex, type TableState, type Vif, VIFS } from '../../port/kernel.js';
import {
  Attributes,
  encodeRequest,
  LITTLE_ENDIAN,
  NLM_F_DUMP,
  type NetlinkMessage,
  readU64,
  RTM_GETLINK,
  RTM_GETROUTE,
  RTNL_FAMILY_IPMR,
  walkAttributes,
} from './netlink.js';
import { RTA_DST, RTA_IIF, RTA_MULTIPATH, RTA_SRC, RTA_TABLE, RTMSG_BYTES, RTNEXTHOP_BYTES } from './route-messages.js';

/** Three u64: packets, bytes, wrong-interface packets. */
const RTA_MFC_STATS = 17;
const MFC_STATS_BYTES = 24;
export const MFC_ATTRIBUTES = RTA_MFC_STATS;
const RTNH_F_UNRESOLVED = 0x20;
/** Written by a socket that does not own the table. */
const RTPROT_STATIC = 4;

const IFINFOMSG_BYTES = 16;
const IFLA_AF_SPEC = 26;
const IPMRA_TABLE_ID = 1;
const IPMRA_TABLE_DO_ASSERT = 4;
const IPMRA_TABLE_DO_PIM = 5;
const IPMRA_TABLE_VIFS = 6;
const IPMRA_VIFA_IFINDEX = 1;
const IPMRA_VIFA_VIF_ID = 2;
const IPMRA_VIFA_FLAGS = 3;
const VIFF_STATIC = 0x8000;
/** struct netconfmsg with its padding. */
const NETCONFMSG_BYTES = 4;
const NETCONFA_MC_FORWARDING = 4;

export function mfcDumpRequest(table: number): Uint8Array {
  return encodeRequest(RTM_GETROUTE, NLM_F_DUMP, RTNL_FAMILY_IPMR, RTMSG_BYTES, [[RTA_TABLE, table]]);
}

export function vifDumpRequest(): Uint8Array {
  return encodeRequest(RTM_GETLINK, NLM_F_DUMP, RTNL_FAMILY_IPMR, IFINFOMSG_BYTES);
}

/** `attributes` must hold MFC_ATTRIBUTES types. On the path of every change event: nothing is built but the entry. */
export function decodeMfc(
  view: DataView,
  message: NetlinkMessage,
  attributes: Attributes,
  table: number,
): DumpedMfc | undefined {
  const { at, end } = message;
  if (end - at < RTMSG_BYTES || view.getUint8(at) !== RTNL_FAMILY_IPMR) return undefined;
  attributes.read(view, at + RTMSG_BYTES, end);
  if ((attributes.u32(RTA_TABLE) ?? view.getUint8(at + 4)) !== table) return undefined;
  const group = attributes.ipv4(RTA_DST);
  if (group === undefined) return undefined;
  const stats = attributes.at(RTA_MFC_STATS, MFC_STATS_BYTES);
  const iif = attributes.u32(RTA_IIF);
  return {
    source: ipv4(attributes.ipv4(RTA_SRC) ?? 0),
    group: ipv4(group),
    unresolved: (view.getUint32(at + 8, LITTLE_ENDIAN) & RTNH_F_UNRESOLVED) !== 0,
    static: view.getUint8(at + 5) === RTPROT_STATIC,
    iif: iif === undefined || iif === 0 ? undefined : (iif as Ifindex),
    oifs: outputs(view, attributes),
    packets: stats < 0 ? 0 : readU64(view, stats),
    wrongIf: stats < 0 ? 0 : readU64(view, stats + 16),
  };
}

const NO_OUTPUTS: DumpedMfc['oifs'] = [];

function outputs(view: DataView, attributes: Attributes): DumpedMfc['oifs'] {
  const from = attributes.at(RTA_MULTIPATH, RTNEXTHOP_BYTES);
  if (from < 0) return NO_OUTPUTS;
  const end = attributes.end(RTA_MULTIPATH);
  const oifs: { readonly ifindex: Ifindex; readonly ttl: number }[] = [];
  for (let at = from; at + RTNEXTHOP_BYTES <= end; ) {
    const size = view.getUint16(at, LITTLE_ENDIAN);
    if (size < RTNEXTHOP_BYTES || size > end - at) break;
    oifs.push({ ifindex: view.getInt32(at + 4, LITTLE_ENDIAN) as Ifindex, ttl: view.getUint8(at + 3) });
    at += (size + 3) & ~3;
  }
  return oifs;
}

/** The vifs that a RTM_NEWLINK of family 128 names, if it is about `table`; otherwise none. */
export function decodeVifs(view: DataView, message: NetlinkMessage, table: number): readonly DumpedVif[] {
  return decodeTable(view, message, table)?.vifs ?? [];
}

/** Undefined: the message is not about `table`. */
export function decodeTable(view: DataView, message: NetlinkMessage, table: number): TableState | undefined {
  const { at, end } = message;
  if (end - at < IFINFOMSG_BYTES || view.getUint8(at) !== RTNL_FAMILY_IPMR) return undefined;
  const outer = new Attributes(IFLA_AF_SPEC);
  outer.read(view, at + IFINFOMSG_BYTES, end);
  const specAt = outer.at(IFLA_AF_SPEC, 4);
  if (specAt < 0) return undefined;
  const spec = new Attributes(IPMRA_TABLE_VIFS);
  spec.read(view, specAt, outer.end(IFLA_AF_SPEC));
  const vifsAt = spec.at(IPMRA_TABLE_VIFS, 4);
  if (spec.u32(IPMRA_TABLE_ID) !== table) return undefined;
  const asserts = spec.u8(IPMRA_TABLE_DO_ASSERT) !== 0;
  const pim = (spec.u8(IPMRA_TABLE_DO_PIM) ?? 0) !== 0;
  if (vifsAt < 0) return { vifs: [], asserts, pim };
  const vifs: DumpedVif[] = [];
  const one = new Attributes(IPMRA_VIFA_FLAGS);
  walkAttributes(view, vifsAt, spec.end(IPMRA_TABLE_VIFS), (_type, vifAt, vifEnd) => {
    one.read(view, vifAt, vifEnd);
    const vif = one.u32(IPMRA_VIFA_VIF_ID);
    const ifindex = one.u32(IPMRA_VIFA_IFINDEX);
    if (vif === undefined || vif >= VIFS || ifindex === undefined) return;
    const isStatic = ((one.u32(IPMRA_VIFA_FLAGS) ?? 0) & VIFF_STATIC) !== 0;
    vifs.push({ vif: vif as Vif, ifindex: ifindex as Ifindex, static: isStatic });
  });
  return { vifs, asserts, pim };
}

/** The notification says how many multicast routing tables use an interface. */
export function isMcForwarding(view: DataView, { at, end }: NetlinkMessage): boolean {
  const attributes = new Attributes(NETCONFA_MC_FORWARDING);
  attributes.read(view, at + NETCONFMSG_BYTES, end);
  return attributes.u32(NETCONFA_MC_FORWARDING) !== undefined;
}
