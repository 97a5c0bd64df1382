/** The validated configuration. Times are milliseconds, addresses opaque, interface names as the kernel has them. */
import type { IpAddress, Prefix } from '../base/ip.js';

export type LogLevel = 'error' | 'warn' | 'info' | 'debug';

export interface Config {
  /** Where the file was read from; for messages. */
  readonly file: string;
  /** The kernel's multicast routing table, 1..4294967295; 253 is the default table. */
  readonly table: number;
  readonly log: { readonly level: LogLevel };
  readonly control: { readonly socket: string };
  readonly rpf: RpfConfig;
  readonly mfe: { /** D-MFE-1. */ readonly expiry: 'refresh' | 'strict' };
  /** What happens to entries that somebody else wrote (F02). */
  readonly foreign: 'leave' | 'remove';
  /** IGMP timing etc. for interfaces that do not say otherwise. */
  readonly interfaces: readonly InterfaceConfig[];
  readonly statics: readonly StaticConfig[];
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
  /** The owner at start: the name of a protocol instance ('static', 'static2'), or undefined. */
  readonly owner: string | undefined;
  /** IGMP is on this interface. Undefined: it is not. */
  readonly igmp: IgmpInterfaceConfig | undefined;
  /** A packet leaves when its TTL is greater, 1..255 (D-LIN-4). */
  readonly threshold: number;
}

/** Section 18 of the IGMP specification, the part of today. */
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
  readonly maxSourcesPerGroup: number;
  readonly verifySourceSubnet: boolean;
  readonly ssmRanges: readonly Prefix[];
}

/** One instance of the static protocol; several make hand-over between protocols possible. */
export interface StaticConfig {
  readonly name: string;
  readonly componentId: number;
  readonly routes: readonly StaticRoute[];
  readonly joins: readonly StaticJoin[];
}

/** Interface names; `source` undefined is any source. The instance must own an interface to act on it. */
export interface StaticRoute {
  readonly source: IpAddress | undefined;
  readonly group: IpAddress;
  readonly iif: string;
  readonly oifs: readonly string[];
}

/** A host membership of the router itself (IP_ADD_MEMBERSHIP), so that the routers upstream send the stream here. */
export interface StaticJoin {
  readonly interface: string;
  readonly group: IpAddress;
  readonly source: IpAddress | undefined;
}
