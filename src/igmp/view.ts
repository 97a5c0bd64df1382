/** What operators see of IGMP: plain rows, times in milliseconds from now, addresses as text. */
import { formatIp, isAny } from '../base/ip.js';
import { compatMode } from './compatibility.js';
import type { DropReason } from './counters.js';
import type { Group } from './group.js';
import type { IgmpInterface } from './interface.js';
import type { Phase } from './membership-sync.js';

export interface IgmpInterfaceRow {
  readonly ifindex: number;
  readonly name: string;
  readonly version: 1 | 2 | 3;
  /** 'down': no link, or no address to send queries from. */
  readonly role: 'down' | 'querier' | 'non-querier';
  /** Own address of the router side, null when there is none. */
  readonly address: string | null;
  /** Whoever is querier, null when nobody is known to be. */
  readonly querier: string | null;
  readonly nextQueryInMs: number | null;
  readonly otherQuerierExpiresInMs: number | null;
  readonly startupQueriesLeft: number;
  /** In force: configured, or adopted from the querier. */
  readonly robustness: number;
  readonly queryIntervalMs: number;
  readonly configuredRobustness: number;
  readonly configuredQueryIntervalMs: number;
  readonly groups: number;
  /** 'paused' between the manager's disable and enable, 'resync' while everything is added again. */
  readonly memberships: Phase;
}

export interface IgmpSourceRow {
  readonly source: string;
  /** False: every EXCLUDE member refuses it. */
  readonly wanted: boolean;
  readonly expiresInMs: number | null;
}

export interface IgmpGroupRow {
  readonly ifindex: number;
  readonly name: string;
  readonly group: string;
  readonly mode: 'include' | 'exclude';
  /** The oldest hosts heard: what is listened to (igmp.md section 11.2). */
  readonly compatibility: 'v1' | 'v2' | 'v3';
  readonly sources: readonly IgmpSourceRow[];
  /** The group timer; null in INCLUDE. */
  readonly expiresInMs: number | null;
  readonly v1HostForMs: number | null;
  readonly v2HostForMs: number | null;
  /** Null: a host without an address yet. */
  readonly lastReporter: string | null;
  readonly upMs: number;
}

export interface IgmpCountersRow {
  readonly ifindex: number;
  readonly name: string;
  readonly received: Readonly<Record<string, number>>;
  readonly sent: Readonly<Record<string, number>>;
  /** Messages and records that changed nothing, by reason. */
  readonly dropped: Readonly<Record<DropReason, number>>;
}

export interface Named {
  readonly ifindex: number;
  readonly name: string;
}

export function interfaceRow(at: Named, igmp: IgmpInterface, memberships: Phase, nowMs: number): IgmpInterfaceRow {
  const { querier, config, address } = igmp;
  const own = address === undefined ? null : formatIp(address);
  const other = querier.querier === undefined ? null : formatIp(querier.querier);
  return {
    ...at,
    version: config.version,
    role: querier.role,
    address: own,
    querier: querier.role === 'querier' ? own : other,
    nextQueryInMs: leftMs(querier.queryDueMs, nowMs),
    otherQuerierExpiresInMs: leftMs(querier.otherQuerierExpiryMs, nowMs),
    startupQueriesLeft: querier.startupLeft,
    robustness: querier.timing.robustness,
    queryIntervalMs: querier.timing.queryIntervalMs,
    configuredRobustness: config.robustness,
    configuredQueryIntervalMs: config.queryIntervalMs,
    groups: igmp.groups.size,
    memberships,
  };
}

export function groupRow(at: Named, group: Group, nowMs: number): IgmpGroupRow {
  return {
    ifindex: at.ifindex,
    name: at.name,
    group: formatIp(group.address),
    mode: group.mode,
    compatibility: compatMode(group, nowMs),
    sources: [...(group.sources?.values() ?? [])].map((source) => ({
      source: formatIp(source.address),
      wanted: source.expiryMs !== 0,
      expiresInMs: leftMs(source.expiryMs, nowMs),
    })),
    expiresInMs: leftMs(group.timerMs, nowMs),
    v1HostForMs: group.v1HostMs > nowMs ? group.v1HostMs - nowMs : null,
    v2HostForMs: group.v2HostMs > nowMs ? group.v2HostMs - nowMs : null,
    lastReporter: isAny(group.lastReporter) ? null : formatIp(group.lastReporter),
    upMs: nowMs - group.createdMs,
  };
}

export function countersRow(at: Named, igmp: IgmpInterface): IgmpCountersRow {
  const { received, sent, dropped } = igmp.counters;
  return { ...at, received: { ...received }, sent: { ...sent }, dropped: { ...dropped } };
}

/** Null: not running (0, or never). An overdue timer has 0 left. */
function leftMs(untilMs: number, nowMs: number): number | null {
  return untilMs === 0 || untilMs === Number.POSITIVE_INFINITY ? null : Math.max(0, untilMs - nowMs);
}
