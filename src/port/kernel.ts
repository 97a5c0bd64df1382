/**
 * The kernel as pure code sees it: types only. `src/kernel` implements them over the addon, `test/support/fake-kernel.ts`
 * in memory; both pass the same contract suite. A refused call comes back as a KernelError value, `undefined` is success.
 */
import type { KernelError } from '../base/errors.js';
import type { SourceFilter } from '../base/filter-merge.js';
import type { IpAddress, Prefix } from '../base/ip.js';
import type { AddressScope } from '../base/link-address.js';

declare const vifBrand: unique symbol;
declare const ifindexBrand: unique symbol;
/** A slot of the kernel's multicast interface table, 0..31. Not an ifindex. */
export type Vif = number & { readonly [vifBrand]: true };
/** The kernel's number of a network device, 1 and up. Not a vif. */
export type Ifindex = number & { readonly [ifindexBrand]: true };

export const VIFS = 32;

/** An entry of the multicast forwarding cache, as written. `ttls[vif]` is 0 (not an output) or the threshold: a packet leaves when its TTL is greater. */
export interface Mfc {
  readonly source: IpAddress;
  readonly group: IpAddress;
  readonly iif: Vif;
  /** 32 slots. */
  readonly ttls: Uint8Array;
}

/** Totals since the entry was made; `packets` includes the wrong-interface ones (K-16). */
export interface MfcCounters {
  readonly packets: number;
  readonly bytes: number;
  readonly wrongIf: number;
}

export interface VifCounters {
  readonly packetsIn: number;
  readonly bytesIn: number;
  readonly packetsOut: number;
  readonly bytesOut: number;
}

/** An entry as a netlink dump shows it: interfaces by ifindex, outputs on vanished vifs hidden by the kernel. */
export interface DumpedMfc {
  readonly source: IpAddress;
  readonly group: IpAddress;
  /** True: packets wait, nobody has answered yet; `iif` and `oifs` are empty then. */
  readonly unresolved: boolean;
  /** True: written by a socket that is not the owner's (survives the owner). */
  readonly static: boolean;
  readonly iif: Ifindex | undefined;
  readonly oifs: readonly { readonly ifindex: Ifindex; readonly ttl: number }[];
  readonly packets: number;
  readonly wrongIf: number;
}

export interface DumpedVif {
  readonly vif: Vif;
  readonly ifindex: Ifindex;
  readonly static: boolean;
}

/** What the table has beside its entries. */
export interface TableState {
  readonly vifs: readonly DumpedVif[];
  /** MRT_ASSERT: packets on the wrong interface are told. */
  readonly asserts: boolean;
  readonly pim: boolean;
}

export interface MrouteDump {
  readonly entries: readonly DumpedMfc[];
  readonly vifs: readonly DumpedVif[];
}

/** A message of the kernel about a flow (RFC-less; `struct igmpmsg`). */
export interface Upcall {
  readonly kind: 'nocache' | 'wrongvif' | 'wholepkt' | 'wrvifwhole';
  readonly vif: Vif;
  readonly source: IpAddress;
  readonly group: IpAddress;
  /** The IP header of the packet (20 bytes or more); for the whole-packet kinds the packet. Own copy. */
  readonly packet: Uint8Array;
}

/** A change of the forwarding cache seen on netlink, ours or somebody else's. */
export interface MfcChange {
  readonly kind: 'added' | 'deleted';
  readonly entry: DumpedMfc;
}

/** The multicast routing socket of one table; held for the daemon's whole life. */
export interface MroutePort {
  addVif(vif: Vif, ifindex: Ifindex): KernelError | undefined;
  delVif(vif: Vif): KernelError | undefined;
  /** Adds or replaces; counters survive a replacement, no packet is lost (linux.md H). */
  addMfc(entry: Mfc): KernelError | undefined;
  delMfc(source: IpAddress, group: IpAddress): KernelError | undefined;
  /** Deletes what a foreign socket or an unresolved flow left; ENOENT is not an error here. */
  flushAll(): KernelError | undefined;
  /** Deletes every entry and vif that its owner wrote, in one call. */
  flushOwn(): KernelError | undefined;
  /** PIM mode of the table: WRONGVIF also for interfaces that are not outputs. */
  setPim(on: boolean): KernelError | undefined;
  mfcCounters(source: IpAddress, group: IpAddress): MfcCounters | KernelError;
  vifCounters(vif: Vif): VifCounters | KernelError;
  dump(): Promise<MrouteDump | KernelError>;
  /** Costs the same however many entries there are. */
  state(): Promise<TableState | KernelError>;
  /** One handler: a vif was added or deleted somewhere, perhaps by us. */
  onVifChange(handler: () => void): void;
  /** True: who holds the same socket had given the table up; it is ours again, and empty. */
  reclaim(): boolean;
  /** One handler; upcalls of one wake-up together, newest first (linux.md B6). */
  onUpcalls(handler: (upcalls: readonly Upcall[]) => void): void;
  /** One handler; `undefined` means that notifications were lost and a dump is due. */
  onChange(handler: (change: MfcChange | undefined) => void): void;
}

/** What a member wants of a group: everything, everything but, or only some sources. */
export type MembershipFilter = SourceFilter;

export const ANY_SOURCE_FILTER: MembershipFilter = { mode: 'exclude', sources: [] };

/** Counts of membership system calls really made, like strace would see them. */
export interface MembershipCounters {
  readonly joins: number;
  readonly leaves: number;
  readonly filters: number;
}

export interface MembershipWish {
  readonly holder: string;
  readonly ifindex: Ifindex;
  readonly group: IpAddress;
  readonly filter: MembershipFilter;
  readonly held: boolean;
  /** Why the kernel does not hold it, or not exactly; undefined: it does, or a pause is on. */
  readonly problem?: string | undefined;
}

/**
 * The router's own host memberships (IP_ADD_MEMBERSHIP and friends) behind the membership gate (docs/adr/0007-pausing-the-whole-host.md).
 * Wishes are declarative; while an interface is paused no system call is made for it, at resume the net difference is.
 */
export interface MembershipPort {
  /** States what `holder` wants of `group` on the interface; `undefined` is "nothing any more". Idempotent. */
  set(
    holder: string,
    ifindex: Ifindex,
    group: IpAddress,
    filter: MembershipFilter | undefined,
  ): KernelError | undefined;
  pause(ifindex: Ifindex): void;
  /**
   * Returns the errors of the calls that were due, if any. Harmless when not paused. Of very many calls a part is made in later
   * turns, in the same order, unless the interface is paused again before; their errors go to `refused`.
   */
  resume(ifindex: Ifindex, refused?: (error: KernelError) => void): readonly KernelError[];
  /** The interface was deleted: drops its dead slots (linux.md J) and forgets its wishes and pause. */
  interfaceGone(ifindex: Ifindex): void;
  counters(): MembershipCounters;
  list(): readonly MembershipWish[];
  /** As `list`, one by one: reading may stop and go on later. */
  wishes(): Iterable<MembershipWish>;
  /** How many memberships the kernel needs for the filter. */
  membershipsFor(filter: MembershipFilter): number;
  /** What `holder` wants there is what the kernel has. */
  holds(holder: string, ifindex: Ifindex, group: IpAddress): boolean;
  /** Why the kernel does not hold the group there, or not exactly: refused, or more sources than fit. */
  problem(ifindex: Ifindex, group: IpAddress): string | undefined;
}

/** One received IGMP-numbered message. The object and its payload are reused: valid only during the handler's call. */
export interface IgmpPacket {
  readonly ifindex: Ifindex;
  readonly source: IpAddress;
  readonly destination: IpAddress;
  readonly ttl: number;
  readonly routerAlert: boolean;
  /** The IP payload. The kernel verified neither its length nor its checksum. */
  readonly payload: Uint8Array;
}

/** Raw IGMP (IP protocol 2) on the multicast routing socket. */
export interface IgmpPort {
  /** The handler gets the messages whose first payload byte is one of `types`; a type has at most one subscriber. */
  subscribe(types: readonly number[], handler: (packet: IgmpPacket) => void): void;
  /** Sends with TTL 1, TOS 0xc0 and router alert out of the interface; `source` must be one of its addresses. */
  send(ifindex: Ifindex, source: IpAddress, destination: IpAddress, payload: Uint8Array): KernelError | undefined;
}

export interface LinkAddress {
  readonly address: IpAddress;
  /** 0..32; of the peer where there is one. */
  readonly prefixLength: number;
  readonly secondary: boolean;
  /** How far the address means something: 'global' (site too), on this link only, or on this host only. */
  readonly scope: AddressScope;
  /** Who or what is at the other end ("peer 10.8.0.2/24"): the prefix is its, not that of `address`. */
  readonly peer: IpAddress | undefined;
}

export interface Link {
  readonly ifindex: Ifindex;
  readonly name: string;
  /** Administratively up. */
  readonly up: boolean;
  /** Up and with carrier. */
  readonly running: boolean;
  readonly loopback: boolean;
  readonly pointToPoint: boolean;
  /** IFF_MULTICAST. */
  readonly multicast: boolean;
  readonly mtu: number;
  /** Its link-layer address, '02:00:0a:01:00:02'; undefined: it has none. */
  readonly mac?: string | undefined;
  /** What the interface is a part of; undefined: of nothing. */
  readonly port: LinkPortOf | undefined;
  /** Other names ("ip link property add"): only people use them. */
  readonly altNames: readonly string[];
  /** In kernel order; `usableAddresses` of base/link-address.ts says which of them speaks. */
  readonly addresses: readonly LinkAddress[];
}

/** A port of a bridge, bond, team, VRF, ... */
export interface LinkPortOf {
  readonly master: Ifindex;
  /** As the kernel calls it: 'bridge', 'bond', 'team', 'openvswitch', 'vrf', ...; '' when it does not say. */
  readonly kind: string;
}

/**
 * A configuration belongs to a name, so an interface that gets another one is removed and added, with the same ifindex: two
 * changes in a row, and everybody has heard the first one before the second.
 */
export interface LinkChange {
  readonly kind: 'added' | 'changed' | 'removed';
  readonly link: Link;
  /** The state before, for 'changed'. */
  readonly before?: Link;
  /** The other name, when it only got another one: the new one for 'removed', the old one for 'added'. */
  readonly renamed?: string;
}

export interface LinkPort {
  links(): readonly Link[];
  byIndex(ifindex: Ifindex): Link | undefined;
  byName(name: string): Link | undefined;
  /** Any number of handlers, called in the order of subscription; returns the way to unsubscribe. */
  onChange(handler: (change: LinkChange) => void): () => void;
}

export interface Route {
  readonly ifindex: Ifindex;
  /** Undefined: directly connected, or `byIpv6`. */
  readonly gateway: IpAddress | undefined;
  /** The gateway has an IPv6 address only. */
  readonly byIpv6?: true;
  readonly prefix: Prefix;
  /** As the kernel numbers routing protocols (RTPROT_*: 2 kernel, 3 boot, 4 static, 186 bgp, ...). */
  readonly protocol: number;
  /** All next hops that packets may come by, when there are several; the first is `ifindex` and `gateway`. */
  readonly hops?: readonly RouteHop[];
}

export interface RouteHop {
  readonly ifindex: Ifindex;
  /** Undefined: directly connected, or `byIpv6`. */
  readonly gateway: IpAddress | undefined;
  readonly byIpv6?: true;
}

/** The kernel's unicast routes: what RPF look-ups are made against. */
export interface RoutePort {
  /** The best route; `'local'` for an address of this machine; undefined when there is none. */
  lookup(destination: IpAddress): Route | 'local' | undefined;
  /** One handler; the destinations whose route may have changed (a /0 for "anything"). */
  onChange(handler: (changed: Prefix) => void): void;
}

/** A group this host has joined on an interface, whoever joined it. */
export interface HostGroup {
  readonly ifindex: Ifindex;
  readonly group: IpAddress;
}

/** The kernel's own list of joined groups: first joins and last leaves, without saying whose (linux.md C4). */
export interface HostGroupPort {
  /** Read bit by bit. */
  listLater(): Promise<readonly HostGroup[]>;
  /** One handler. The groups of a deleted interface go without a word. */
  onChange(handler: (change: HostGroup & { readonly kind: 'joined' | 'left' }) => void): KernelError | undefined;
}

/** What a bridge with IGMP snooping knows of the LAN behind it (linux.md I). */
export interface BridgeState {
  /** The bridge itself. */
  readonly ifindex: Ifindex;
  readonly snooping: boolean;
  /** mcast_igmp_version: with 2 the bridge does not look at sources. */
  readonly igmpVersion: number;
  /** mcast_querier: the bridge itself asks when nobody else does. */
  readonly querierEnabled: boolean;
  /**
   * Whose queries the bridge heard last; undefined: nobody's, so that it floods. Without `port` they came from this host; the
   * bridge's own carry the address 0.0.0.0 unless it was told to use one.
   */
  readonly querier: { readonly address: IpAddress; readonly port: Ifindex | undefined } | undefined;
  /** mcast_router of the bridge device: 0 never, 1 learn, 2 always. */
  readonly multicastRouter: number;
  /** Ports that get all multicast. */
  readonly routerPorts: readonly Ifindex[];
  /** Forwarding of groups, as the bridge learnt it. */
  readonly groups: readonly { readonly group: IpAddress; readonly port: Ifindex }[];
}

export interface BridgePort {
  /** Undefined: the interface is neither a bridge nor on one (VLAN, macvlan). Read from the kernel now. */
  state(ifindex: Ifindex): BridgeState | undefined;
}

/** Somebody else sends IGMP messages from an address of this router. */
export interface AddressUse {
  readonly ifindex: Ifindex;
  readonly address: IpAddress;
  /** Of the sender; undefined: the link has no such addresses. */
  readonly mac: string | undefined;
}

/**
 * Own addresses on the wire: what other machines send from them, which the kernel drops and no other port delivers. Only
 * IGMP messages (IP protocol 2) are seen, of any type, and not those that this machine sent. Bounded: a few a second.
 */
export interface AddressWatchPort {
  /** Watches these addresses of the interface in place of those before; with none it ends. After an error nothing is watched. */
  watch(ifindex: Ifindex, addresses: readonly IpAddress[]): KernelError | undefined;
  /** One handler. */
  onUse(handler: (use: AddressUse) => void): void;
}

export type IgmpVersionNumber = 1 | 2 | 3;

export interface ForcedVersions {
  readonly own: IgmpVersionNumber | undefined;
  readonly all: IgmpVersionNumber | undefined;
}

/** The kernel's own host side of IGMP on an interface. */
export interface HostIgmpPort {
  /**
   * The version it spoke there at the last `refresh`: forced, or that of the oldest querier heard. Undefined: no membership
   * there.
   */
  version(ifindex: Ifindex): IgmpVersionNumber | undefined;
  /** Reads the versions of all interfaces, unless that was begun less than `maxAgeMs` (0) ago; `then` when it is done. */
  refresh(then: () => void, maxAgeMs?: number): void;
  /** What is forced: on the interface, and for all of them, which overrides it. Undefined: nothing. */
  forced(ifindex: Ifindex): ForcedVersions;
  /** Sets force_igmp_version; 'auto' follows the querier. The value from before is put back by `restore`. */
  force(ifindex: Ifindex, version: IgmpVersionNumber | 'auto'): KernelError | undefined;
  /** Puts back what `force` found. Harmless without it. */
  restore(ifindex: Ifindex): void;
}
