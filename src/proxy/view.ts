/** What `mgmctl show igmp proxy` shows: plain rows. */
import { formatIp, formatPrefix, type IpAddress, ipv4, toU32 } from '../base/ip.js';
import type { ProxyUpstream } from '../config/types.js';
import type { IgmpVersionNumber, Ifindex } from '../port/kernel.js';
import type { Database } from './database.js';
import type { Joins } from './joins.js';

export interface ProxyGroupRow {
  readonly group: string;
  /** Null: no upstream admits it or none is there, or only any source of a source-specific group is wanted. */
  readonly upstream: string | null;
  readonly mode: 'include' | 'exclude' | null;
  readonly sources: readonly string[];
  /** The kernel has joined it as it is wanted. */
  readonly held: boolean;
  /** Names of downstreams, and 'others' for other protocols. */
  readonly wantedBy: readonly string[];
  /** Nobody wants it any more, and it is left after so many milliseconds. */
  readonly leavingInMs: number | null;
}

/** 'released': it exists, and the proxy does not own it. */
export type UpstreamState = 'up' | 'down' | 'released' | 'absent';

export interface ProxyUpstreamRow {
  readonly interface: string;
  readonly state: UpstreamState;
  /** What the router's host side speaks there now. */
  readonly version: IgmpVersionNumber | null;
  readonly configuredVersion: ProxyUpstream['version'];
  /** How many groups are asked on it. */
  readonly groups: number;
  readonly sources: readonly string[];
}

export interface GroupRowsParts {
  readonly joins: Joins;
  readonly database: Database;
  nowMs(): number;
  nameOf(ifindex: Ifindex): string;
  isHeld(ifindex: Ifindex, group: IpAddress): boolean;
}

/** Groups that are asked upstream, and those that somebody wants and that are not, by address; row by row. */
export function* groupRows(parts: GroupRowsParts): Generator<ProxyGroupRow, void> {
  const groups = new Set([...parts.joins.asked().keys(), ...parts.database.groups()]);
  for (const group of Uint32Array.from(groups, toU32).sort()) yield groupRow(ipv4(group), parts);
}

function groupRow(group: IpAddress, { joins, database, nowMs, nameOf, isHeld }: GroupRowsParts): ProxyGroupRow {
  const { on, filter = database.merged(group) } = joins.asked().get(group) ?? {};
  const leavesAtMs = joins.leavesAtMs(group);
  return {
    group: formatIp(group),
    upstream: on === undefined ? null : nameOf(on),
    mode: filter?.mode ?? null,
    sources: (filter?.sources ?? []).map(formatIp),
    held: on !== undefined && isHeld(on, group),
    wantedBy: database.wantedBy(group),
    leavingInMs: leavesAtMs === undefined ? null : Math.max(0, Math.round(leavesAtMs - nowMs())),
  };
}

export function upstreamRow(
  config: ProxyUpstream,
  state: UpstreamState,
  version: IgmpVersionNumber | undefined,
  groups: number,
): ProxyUpstreamRow {
  return {
    interface: config.interface,
    state,
    version: version ?? null,
    configuredVersion: config.version,
    groups,
    sources: config.sources.map(formatPrefix),
  };
}
