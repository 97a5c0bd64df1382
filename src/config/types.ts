/** The validated configuration. Times are milliseconds, addresses opaque, interface names as the kernel has them. */
import type { IpAddress, Prefix } from '../base/ip.js';
import type { PrefixFilter } from '../base/prefix-filter.js';

export type LogLevel = 'error' | 'warn' | 'info' | 'debug';

export interface Config {
  /** Where the file was read from; for messages. */
  readonly file: string;
  /** The kernel's multicast routing table, 1..4294967295; 253 is the default table. */
  readonly table: number;
  readonly log: { readonly level: LogLevel };
  readonly control: { readonly socket: string };
  /** How long after a restart what a predecessor forwarded counts as wanted (D-RST-1). */
  readonly restart: { readonly windowMs: number };
  readonly rpf: RpfConfig;
  readonly mfe: {
    /** Whether an entry that carries traffic is refreshed at its end (D-MFE-1). */
    readonly expiry: 'refresh' | 'strict';
    /** How many forwarding entries there may be. */
    readonly maxEntries: number;
  };
  /** What happens to entries that somebody else wrote (F02). */
  readonly foreign: 'leave' | 'remove';
  /** IGMP timing etc. for interfaces that do not say otherwise. */
  readonly interfaces: readonly InterfaceConfig[];
  readonly statics: readonly StaticConfig[];
  /** The IGMP proxy; undefined: there is none. */
  readonly proxy: ProxyConfig | undefined;
  readonly igmp: IgmpGlobalConfig;
  /** Undefined: DVMRP is mentioned nowhere, so that there is none. */
  readonly dvmrp: DvmrpConfig | undefined;
  /** Whose joins and leaves wait while an interface changes its owner (docs/adr/0007-pausing-the-whole-host.md). */
  readonly pause: { readonly scope: PauseScope };
}

/** `agent`: mgmd's own. `host`: every process's, or mgmd does not start. `host-best-effort`: as far as the kernel can. */
export type PauseScope = 'agent' | 'host' | 'host-best-effort';

/** What holds for all interfaces together. */
export interface IgmpGlobalConfig {
  readonly ssmRanges: readonly Prefix[];
  /** Groups on all interfaces together; 0: no limit. */
  readonly maxGroups: number;
  /** Sources of all groups on all interfaces together; 0: no limit. */
  readonly maxSources: number;
}

export interface RpfConfig {
  /** The unicast table RPF look-ups use; 254 ("main") means the kernel's own look-up with all its rules. */
  readonly table: number;
  readonly routes: readonly RpfRoute[];
}

/** A static override: sources in `prefix` are expected on `interface`. */
export interface RpfRoute {
  readonly prefix: Prefix;
  readonly interface: string;
  readonly neighbor: IpAddress | undefined;
}

export interface InterfaceConfig {
  readonly name: string;
  /** The owner at start: the name of a protocol instance ('static', 'static2', 'proxy', 'dvmrp'), or undefined. */
  readonly owner: string | undefined;
  /** IGMP is on this interface. Undefined: it is not. */
  readonly igmp: IgmpInterfaceConfig | undefined;
  /** What DVMRP does there when it owns the interface. Undefined: the defaults. */
  readonly dvmrp: DvmrpInterfaceConfig | undefined;
  /** A packet leaves when its TTL is greater, 1..255 (D-LIN-4). */
  readonly threshold: number;
  /** Groups whose scope ends here: they neither enter nor leave, and hosts cannot ask for them (RFC 2365). */
  readonly boundary: readonly Prefix[];
}

/** How IGMP behaves on one interface (igmp.md section 18). */
export interface IgmpInterfaceConfig {
  readonly version: 1 | 2 | 3;
  /** 1..7. */
  readonly robustness: number;
  readonly queryIntervalMs: number;
  /** Below queryIntervalMs. */
  readonly queryResponseIntervalMs: number;
  readonly lastMemberQueryIntervalMs: number;
  readonly lastMemberQueryCount: number;
  readonly startupQueryIntervalMs: number;
  readonly startupQueryCount: number;
  readonly requireRouterAlert: boolean;
  readonly requireTtl1: boolean;
  readonly fastLeave: boolean;
  /** 0: no limit. */
  readonly maxGroups: number;
  /** Sources of all groups together; 0: no limit. */
  readonly maxSources: number;
  readonly maxSourcesPerGroup: number;
  readonly verifySourceSubnet: boolean;
  /** Messages of older hosts are dropped and start no timers (RFC 3376 section 9.2). */
  readonly ignoreV1: boolean;
  readonly ignoreV2: boolean;
  /** Only the querier's specific queries lower timers (igmp.md section 8.3). */
  readonly strictQuerySource: boolean;
  /** v1 and v2 reports have no effect at all (RFC 9776 sections 7.2.1 and 7.3.1). */
  readonly disableCompatibilityModes: boolean;
  /** Hosts are remembered, so that the leave of the last one ends a group at once (igmp.md section 12.2). */
  readonly explicitTracking: boolean;
  /** (group, host) pairs remembered, 1..1000000; beyond it a group falls back to queries. */
  readonly maxTrackedHosts: number;
  /** 0: no limit. */
  readonly maxGroupsPerHost: number;
  /** Specific queries per second that leaves may cause; 0: no limit. */
  readonly maxQueriesPerSec: number;
  /** What hosts may ask for. */
  readonly groupFilter: PrefixFilter;
  /** Which sources hosts may name. */
  readonly sourceFilter: PrefixFilter;
  /** As if a host were a member, without expiry. */
  readonly staticGroups: readonly GroupWish[];
  /** Groups that the router itself joins on the interface. */
  readonly joinGroups: readonly GroupWish[];
  /** Where IGMP is alone: groups wanted elsewhere are joined here, so that routers and switches of the link send them. */
  readonly pull: boolean;
  /** The global ranges. */
  readonly ssmRanges: readonly Prefix[];
  /** The interface's boundary. */
  readonly boundary: readonly Prefix[];
}

export interface GroupWish {
  readonly group: IpAddress;
  /** Undefined: any source. */
  readonly source: IpAddress | undefined;
}

/** RFC 4605. What the proxy owns and is no upstream is a downstream. */
export interface ProxyConfig {
  /** In the order of preference: a group is asked on the first one that is up and admits it. */
  readonly upstreams: readonly ProxyUpstream[];
  /** Packets leave by a downstream only while this router is its querier (RFC 4605 section 4.2). */
  readonly requireQuerier: boolean;
  /** A group that nobody wants any more is left upstream after this long. */
  readonly leaveDelayMs: number;
  /** Memberships upstream, one for a group, or for every ten sources of one. */
  readonly maxJoins: number;
  /** What is joined upstream when a dense protocol on this router wants everything. */
  readonly wildcardGroups: readonly IpAddress[];
}

export interface ProxyUpstream {
  readonly interface: string;
  /** The groups asked on it and sent by it. */
  readonly groups: PrefixFilter;
  /** Sources expected on it although the routing table says otherwise ("altnet"). */
  readonly sources: readonly Prefix[];
  /** IGMP version of the host side; 'auto' follows the querier. */
  readonly version: 'auto' | 1 | 2 | 3;
}

/** What holds for the whole of DVMRP (dvmrp.md section 16). */
export interface DvmrpConfig {
  /** Among the feeders of the multicast view of the routing table: smaller first, 1..255; the kernel's routes are 200. */
  readonly preference: number;
  /** How long an entry lives before it is looked at again. */
  readonly cacheLifetimeMs: number;
  readonly pruneLifetimeMs: number;
  /** Received prunes hold for no longer. */
  readonly maxReceivedPruneMs: number;
  readonly pruneRetransmit: boolean;
  /** Expiry, hold-down and the age of dependents follow from it. */
  readonly reportIntervalMs: number;
  /** Routers before version 3.255 are neighbours. */
  readonly acceptCompat: boolean;
  readonly allowNonPruners: boolean;
  readonly maxRoutes: number;
  readonly maxRoutesPerNeighbor: number;
  /** Prunes of neighbours that are kept. */
  readonly maxPrunes: number;
  readonly maxPrunesPerNeighbor: number;
  /** Whose questions about our neighbours are answered. */
  readonly neighbors2: 'off' | 'on-link' | 'any';
  /** The default route is told with this metric; undefined: it is not. */
  readonly originateDefault: number | undefined;
  /** Whoever sends to a group inside is taken to want it from outside too (coexistence.md section 6). */
  readonly membersAreSenders: boolean;
  /** Groups that are always asked for outside. */
  readonly pullGroups: readonly IpAddress[];
  /** Groups that cannot be asked for without a source. */
  readonly ssmRanges: readonly Prefix[];
  /** The configuration of interfaces that get DVMRP by the tool and not by the file. */
  readonly interfaceDefaults: DvmrpInterfaceConfig;
}

/** The same per interface. */
export interface DvmrpInterfaceConfig {
  /** 1..31. */
  readonly metric: number;
  /** 0..31, added to what is told there. */
  readonly advertisedOffset: number;
  readonly probeIntervalMs: number;
  /** More than three Probe intervals. */
  readonly neighborTimeoutMs: number;
  /** No Probes, no neighbours: hosts only. */
  readonly forceLeaf: boolean;
  readonly maxNeighbors: number;
  /** Who may be a neighbour. */
  readonly neighborFilter: PrefixFilter;
  readonly filterIn: readonly RouteRule[];
  readonly filterOut: readonly RouteRule[];
}

export interface RouteRule {
  readonly action: 'allow' | 'deny';
  readonly prefix: Prefix;
  /** Just this prefix, or those within it too. */
  readonly match: 'exact' | 'orLonger';
}

/** One instance of the static protocol; several make hand-over between protocols possible. */
export interface StaticConfig {
  readonly name: string;
  readonly componentId: number;
  readonly routes: readonly StaticRoute[];
  readonly joins: readonly StaticJoin[];
}

/** Interface names. The instance must own an interface to act on it. */
export interface StaticRoute {
  /** Undefined: any source. */
  readonly source: Prefix | undefined;
  readonly group: Prefix;
  /** Where packets come in: one, or several of which one is active at a time; at least one. */
  readonly iifs: readonly string[];
  /** Where they leave; none: the group is blocked. */
  readonly oifs: readonly string[];
  /** With several `iifs`: the active one is given up after so long without a packet. */
  readonly failoverMs: number;
}

/** A host membership of the router itself (IP_ADD_MEMBERSHIP), so that the routers upstream send the stream here. */
export interface StaticJoin {
  readonly interface: string;
  /** One group, or a range of at most 4096. */
  readonly group: Prefix;
  readonly source: IpAddress | undefined;
}
