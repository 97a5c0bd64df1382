/** What `mgmctl show igmp proxy` shows: plain rows. */
import { formatIp, formatPrefix, type IpAddress, ipv4, toU32 } from '../base/ip.js';
import type { ProxyUpstream } from '../config/types.js';
import type { HostIgmpPort, IgmpVersionNumber, Ifindex, LinkPort } from '../port/kernel.js';
import type { Database } from './database.js';
import type { Asked, Joins } from './joins.js';
import { upstreamProblem } from './upstream-problems.js';

export interface ProxyGroupRow {
  readonly group: string;
  /** Null: no upstream admits it or none is there, or only any source of a source-specific group is wanted. */
  readonly upstream: string | null;
  readonly mode: 'include' | 'exclude' | null;
  readonly sources: readonly string[];
  /** The kernel has joined it as it is wanted. */
  readonly held: boolean;
  /** Why it has not, or not exactly. */
  readonly problem: string | null;
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
  /** What keeps it from asking as configured. */
  readonly problem: string | null;
}

export interface GroupRowsParts {
  readonly joins: Joins;
  readonly database: Database;
  nowMs(): number;
  nameOf(ifindex: Ifindex): string;
  isHeld(ifindex: Ifindex, group: IpAddress): boolean;
  problemOf(ifindex: Ifindex, group: IpAddress): string | undefined;
}

/**
 * Groups that are asked upstream, and those that somebody wants and that are not, by address; row by row. Undefined is a
 * step towards the first of them.
 */
export function* groupRows(parts: GroupRowsParts): Generator<ProxyGroupRow | undefined, void> {
  const groups = new Set<IpAddress>();
  for (const some of [parts.joins.asked().keys(), parts.database.groups()])
    for (const group of some) {
      groups.add(group);
      yield undefined;
    }
  for (const group of Uint32Array.from(groups, toU32).sort()) yield groupRow(ipv4(group), parts);
}

function groupRow(
  group: IpAddress,
  { joins, database, nowMs, nameOf, isHeld, problemOf }: GroupRowsParts,
): ProxyGroupRow {
  const { on, filter = database.merged(group) } = joins.asked().get(group) ?? {};
  const leavesAtMs = joins.leavesAtMs(group);
  return {
    group: formatIp(group),
    upstream: on === undefined ? null : nameOf(on),
    mode: filter?.mode ?? null,
    sources: (filter?.sources ?? []).map(formatIp),
    held: on !== undefined && isHeld(on, group),
    problem: (on === undefined ? undefined : problemOf(on, group)) ?? null,
    wantedBy: database.wantedBy(group),
    leavingInMs: leavesAtMs === undefined ? null : Math.max(0, Math.round(leavesAtMs - nowMs())),
  };
}

export interface UpstreamRowsParts {
  readonly configs: readonly ProxyUpstream[];
  readonly joins: Joins;
  readonly links: Pick<LinkPort, 'byName'>;
  readonly hostIgmp: HostIgmpPort | undefined;
  stateOf(name: string): UpstreamState;
}

/** In the order of the configuration, with what the kernel says now. Undefined is a step of counting. */
export function* upstreamRows(parts: UpstreamRowsParts): Generator<ProxyUpstreamRow | undefined, void> {
  const asked = new Map<Ifindex, AskedThere>();
  for (const one of parts.joins.asked().values()) {
    count(one, asked);
    yield undefined;
  }
  for (const config of parts.configs) yield upstreamRow(config, parts, asked);
}

interface AskedThere {
  groups: number;
  /** Of these. */
  withSources: number;
}

function count({ on, filter }: Asked, asked: Map<Ifindex, AskedThere>): void {
  const there = asked.get(on) ?? { groups: 0, withSources: 0 };
  there.groups++;
  if (filter.sources.length > 0) there.withSources++;
  asked.set(on, there);
}

function upstreamRow(
  config: ProxyUpstream,
  { links, hostIgmp, stateOf }: UpstreamRowsParts,
  asked: ReadonlyMap<Ifindex, AskedThere>,
): ProxyUpstreamRow {
  const link = links.byName(config.interface);
  const state = stateOf(config.interface);
  const { groups, withSources } = (link && asked.get(link.ifindex)) ?? { groups: 0, withSources: 0 };
  const version = link && hostIgmp?.version(link.ifindex);
  const forced = link && state === 'up' ? hostIgmp?.forced(link.ifindex) : undefined;
  const facts = link && forced && { config, link, version, forced, asksForSources: withSources > 0 };
  return {
    interface: config.interface,
    state,
    version: version ?? null,
    configuredVersion: config.version,
    groups,
    sources: config.sources.map(formatPrefix),
    problem: (facts && upstreamProblem(facts)) ?? null,
  };
}
