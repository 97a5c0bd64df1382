/** What operators see of IGMP: plain rows, times in milliseconds from now, addresses as text. */
import { ANY4, formatIp, type IpAddress, isAny } from '../base/ip.js';
import { compatMode } from './groups/compatibility.js';
import type { DropReason } from './counters.js';
import type { Group } from './groups/group.js';
import type { TrackedHost } from './groups/host-table.js';
import type { IgmpInterface } from './interface.js';
import type { Phase } from './membership-sync.js';
import type { StaticGroups } from './groups/static-groups.js';

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
  /** (group, host) pairs that are remembered. */
  readonly trackedHosts: number;
  /** Groups with leaves that wait for the budget of queries (maxQueriesPerSec). */
  readonly waitingLeaves: number;
  /** 'paused' between the manager's disable and enable, 'resync' while everything is added again. */
  readonly memberships: Phase;
  /** Another machine uses an address of this interface. */
  readonly problem: string | null;
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
  /** Wanted by configuration, wholly or in some sources: those have no timers. */
  readonly static: boolean;
  /** Null: only configured. */
  readonly upMs: number | null;
}

/** A source of a group, as a row of its own. */
export interface IgmpSourceTableRow extends IgmpSourceRow {
  readonly ifindex: number;
  readonly name: string;
  readonly group: string;
  readonly mode: 'include' | 'exclude';
}

/** A host and one of its groups, where hosts are tracked. */
export interface IgmpHostRow {
  readonly ifindex: number;
  readonly name: string;
  readonly group: string;
  readonly host: string;
  readonly mode: 'include' | 'exclude';
  /** INCLUDE: what it wants. EXCLUDE: what it refuses. */
  readonly sources: readonly string[];
  readonly expiresInMs: number;
}

/** The election of one interface, with the timers it runs on. */
export interface IgmpQuerierRow {
  readonly ifindex: number;
  readonly name: string;
  readonly role: 'down' | 'querier' | 'non-querier';
  readonly address: string | null;
  readonly querier: string | null;
  /** Configured, and what the querier speaks (null when this router is it). */
  readonly version: 1 | 2 | 3;
  readonly querierVersion: 1 | 2 | 3 | null;
  readonly nextQueryInMs: number | null;
  readonly otherQuerierExpiresInMs: number | null;
  readonly startupQueriesLeft: number;
  readonly robustness: number;
  readonly configuredRobustness: number;
  readonly queryIntervalMs: number;
  readonly configuredQueryIntervalMs: number;
  readonly queryResponseIntervalMs: number;
  readonly lastMemberQueryIntervalMs: number;
  readonly lastMemberQueryCount: number;
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

/** What the rows are made of. */
export interface Viewed {
  readonly named: Named;
  readonly igmp: IgmpInterface;
  readonly sync: { readonly phase: Phase };
  readonly statics: StaticGroups;
}

export function interfaceRow({ named, igmp, sync }: Viewed, nowMs: number, problem: string | null): IgmpInterfaceRow {
  const { querier, config } = igmp;
  return {
    ...named,
    version: config.version,
    ...querierAddresses(igmp),
    nextQueryInMs: leftMs(querier.queryDueMs, nowMs),
    otherQuerierExpiresInMs: leftMs(querier.otherQuerierExpiryMs, nowMs),
    startupQueriesLeft: querier.startupLeft,
    robustness: querier.timing.robustness,
    queryIntervalMs: querier.timing.queryIntervalMs,
    configuredRobustness: config.robustness,
    configuredQueryIntervalMs: config.queryIntervalMs,
    groups: igmp.groups.size,
    trackedHosts: igmp.groups.trackedHosts,
    waitingLeaves: igmp.groups.waitingLeaves,
    memberships: sync.phase,
    problem,
  };
}

export function querierRow({ named, igmp }: Viewed, nowMs: number): IgmpQuerierRow {
  const { querier, config } = igmp;
  return {
    ...named,
    ...querierAddresses(igmp),
    version: config.version,
    querierVersion: querier.querierVersion ?? null,
    nextQueryInMs: leftMs(querier.queryDueMs, nowMs),
    otherQuerierExpiresInMs: leftMs(querier.otherQuerierExpiryMs, nowMs),
    startupQueriesLeft: querier.startupLeft,
    robustness: querier.timing.robustness,
    configuredRobustness: config.robustness,
    queryIntervalMs: querier.timing.queryIntervalMs,
    configuredQueryIntervalMs: config.queryIntervalMs,
    queryResponseIntervalMs: config.queryResponseIntervalMs,
    lastMemberQueryIntervalMs: config.lastMemberQueryIntervalMs,
    lastMemberQueryCount: config.lastMemberQueryCount,
  };
}

function querierAddresses({ querier, address }: IgmpInterface) {
  const own = textOrNull(address);
  return {
    role: querier.role,
    address: own,
    querier: querier.role === 'querier' ? own : textOrNull(querier.querier),
  };
}

/** What hosts reported, then what only the configuration wants. Times are counted from when a row is read. */
export function* groupRows({ named, igmp, statics }: Viewed, nowMs: () => number): Generator<IgmpGroupRow, void> {
  const startMs = nowMs();
  for (const group of igmp.groups.groups())
    if (group.createdMs <= startMs) yield groupRow(named, group, statics, nowMs());
  if (!statics.active) return;
  for (const [group, sources] of statics.groups())
    if (igmp.groups.get(group) === undefined) yield staticRow(named, group, sources);
}

/** Undefined stands for a group without sources, so that no step passes over many. */
export function* sourceRows(viewed: Viewed, nowMs: () => number): Generator<IgmpSourceTableRow | undefined, void> {
  for (const { ifindex, name, group, mode, sources } of groupRows(viewed, nowMs)) {
    if (sources.length === 0) yield undefined;
    for (const source of sources) yield { ifindex, name, group, mode, ...source };
  }
}

/** Undefined stands for a group without hosts. */
export function* hostRows({ named, igmp }: Viewed, nowMs: () => number): Generator<IgmpHostRow | undefined, void> {
  const startMs = nowMs();
  for (const group of igmp.groups.groups()) {
    if (group.createdMs > startMs || !group.hosts?.size) yield undefined;
    else
      for (const [reporter, host] of group.hosts)
        yield { ...named, group: formatIp(group.address), host: formatIp(reporter), ...hostState(host, nowMs()) };
  }
}

function hostState({ excludeUntilMs, wanted, refused }: TrackedHost, nowMs: number) {
  const exclude = excludeUntilMs > nowMs;
  const untilMs = Math.max(excludeUntilMs, ...wanted.values());
  return {
    mode: exclude ? ('exclude' as const) : ('include' as const),
    sources: [...(exclude ? refused : wanted.keys())].map(formatIp),
    expiresInMs: Math.max(0, untilMs - nowMs),
  };
}

function groupRow(at: Named, group: Group, statics: StaticGroups, nowMs: number): IgmpGroupRow {
  const configured = statics.sourcesOf(group.address);
  const always = configured.has(ANY4);
  return {
    ...at,
    group: formatIp(group.address),
    mode: always ? 'exclude' : group.mode,
    compatibility: compatMode(group, nowMs),
    sources: heardAndConfigured(group, configured, nowMs),
    expiresInMs: always ? null : leftMs(group.timerMs, nowMs),
    v1HostForMs: group.v1HostMs > nowMs ? group.v1HostMs - nowMs : null,
    v2HostForMs: group.v2HostMs > nowMs ? group.v2HostMs - nowMs : null,
    lastReporter: isAny(group.lastReporter) ? null : formatIp(group.lastReporter),
    static: configured.size > 0,
    upMs: nowMs - group.createdMs,
  };
}

function heardAndConfigured(group: Group, configured: ReadonlySet<IpAddress>, nowMs: number): readonly IgmpSourceRow[] {
  const always = configured.has(ANY4);
  const heard = [...(group.sources?.values() ?? [])].filter(({ address }) => !configured.has(address));
  return [
    ...heard.map(({ address, expiryMs }) => ({
      source: formatIp(address),
      wanted: always || expiryMs !== 0,
      expiresInMs: leftMs(expiryMs, nowMs),
    })),
    ...configuredSources(configured),
  ];
}

function staticRow(at: Named, group: IpAddress, configured: ReadonlySet<IpAddress>): IgmpGroupRow {
  return {
    ...at,
    group: formatIp(group),
    mode: configured.has(ANY4) ? 'exclude' : 'include',
    compatibility: 'v3',
    sources: configuredSources(configured),
    expiresInMs: null,
    v1HostForMs: null,
    v2HostForMs: null,
    lastReporter: null,
    static: true,
    upMs: null,
  };
}

function configuredSources(configured: ReadonlySet<IpAddress>): readonly IgmpSourceRow[] {
  const named = [...configured].filter((source) => !isAny(source));
  return named.map((source) => ({ source: formatIp(source), wanted: true, expiresInMs: null }));
}

export function countersRow({ named, igmp }: Viewed): IgmpCountersRow {
  const { received, sent, dropped } = igmp.counters;
  return { ...named, received: { ...received }, sent: { ...sent }, dropped: { ...dropped } };
}

function textOrNull(address: IpAddress | undefined): string | null {
  return address === undefined ? null : formatIp(address);
}

/** Null: not running (0, or never). An overdue timer has 0 left. */
function leftMs(untilMs: number, nowMs: number): number | null {
  return untilMs === 0 || untilMs === Number.POSITIVE_INFINITY ? null : Math.max(0, untilMs - nowMs);
}
