/**
 * The hosts of an interface, as their reports tell (igmp.md section 12.2): per group and reporter, what it wants and until
 * when. Makes an immediate leave safe, and limits the groups of one host. Exists only where one of the two is configured.
 *
 * v3 hosts do not suppress their reports, so the table of a group in v3 mode is complete, except: in the first response
 * interval after the start, while a report of 0.0.0.0 counts (its senders cannot be told apart), and while a host counts
 * that found no room. Then leaves are asked about as everywhere else.
 *
 * An answer to a group-and-source-specific query names only some of a host's sources (RFC 9776 section 5.2), so IS_IN
 * takes nothing away; TO_IN, TO_EX and IS_EX say everything.
 */
import { type IpAddress, isAny } from '../../base/ip.js';
import type { IgmpInterfaceConfig } from '../../config/types.js';
import type { SourceReader } from './admission.js';
import type { Group } from './group.js';
import type { WireSources } from './group-v3.js';
import type { SharedBudgets } from './limits.js';
import { RECORD, type RecordType } from '../wire/packet.js';

/** What one host was heard to want of a group. Times are those of the clock. */
export class TrackedHost {
  /** It wants the group until then, except what it refuses. 0: it only wants sources. */
  excludeUntilMs = 0;
  /** Sources it asked for, and until when they count. */
  readonly wanted = new Map<IpAddress, number>();
  readonly refused = new Set<IpAddress>();
  /** Sources of both that the budget knows of. */
  counted = 0;

  wants(source: IpAddress, nowMs: number): boolean {
    if (this.excludeUntilMs > nowMs && !this.refused.has(source)) return true;
    return (this.wanted.get(source) ?? 0) > nowMs;
  }

  /** Drops what has run out. False: nothing is left. */
  prune(nowMs: number): boolean {
    if (this.excludeUntilMs <= nowMs) {
      this.excludeUntilMs = 0;
      this.refused.clear();
    }
    for (const [source, untilMs] of this.wanted) if (untilMs <= nowMs) this.wanted.delete(source);
    return this.excludeUntilMs > 0 || this.wanted.size > 0;
  }
}

export interface HostRecord {
  readonly type: RecordType;
  readonly wire: WireSources;
  readonly nowMs: number;
  /** When what the record asks for runs out. */
  readonly untilMs: number;
}

export class HostTable {
  readonly #config: IgmpInterfaceConfig;
  readonly #read: SourceReader;
  readonly #budgets: SharedBudgets;
  readonly #full: (group: IpAddress) => void;
  /** Groups of each reporter; kept only where they are limited. */
  readonly #groupsOf = new Map<IpAddress, number>();
  #size = 0;
  #trustFromMs = Number.POSITIVE_INFINITY;

  /** `full` hears of each host that found no room. */
  constructor(
    config: IgmpInterfaceConfig,
    read: SourceReader,
    budgets: SharedBudgets,
    full: (group: IpAddress) => void,
  ) {
    this.#config = config;
    this.#read = read;
    this.#budgets = budgets;
    this.#full = full;
  }

  /** (group, host) pairs. */
  get size(): number {
    return this.#size;
  }

  /** All hosts will have answered the first query by then. */
  trustFrom(ms: number): void {
    this.#trustFromMs = ms;
  }

  /** False: the host has all the groups it may have, and this would be one more. Reporters without an address are not counted. */
  admits(group: Group | undefined, reporter: IpAddress): boolean {
    const { maxGroupsPerHost } = this.#config;
    if (maxGroupsPerHost === 0 || isAny(reporter) || group?.hosts?.has(reporter)) return true;
    return (this.#groupsOf.get(reporter) ?? 0) < maxGroupsPerHost;
  }

  /** A v1 or v2 report. */
  olderReport(group: Group, reporter: IpAddress, untilMs: number): void {
    const host = this.#hostFor(group, reporter, untilMs);
    if (host === undefined) return;
    host.excludeUntilMs = untilMs;
    host.refused.clear();
    this.#recount(host);
  }

  leave(group: Group, reporter: IpAddress): void {
    if (group.hosts?.has(reporter)) this.#remove(group, reporter);
  }

  /** Before the record changes the group. Sources beyond what a group may have make its table incomplete. */
  record(group: Group, reporter: IpAddress, record: HostRecord): void {
    const host = addsWish(record) ? this.#hostFor(group, reporter, record.untilMs) : group.hosts?.get(reporter);
    if (host === undefined) return;
    this.#apply(host, record);
    this.#bound(group, host, record.untilMs);
    if (!host.prune(record.nowMs)) this.#remove(group, reporter);
    else this.#recount(host);
  }

  /** Whether what this table says of the group is all there is. */
  decides(group: Group, nowMs: number): boolean {
    return this.#config.explicitTracking && nowMs >= this.#trustFromMs && group.hostsUnknownMs <= nowMs;
  }

  wantsAnySource(group: Group, nowMs: number): boolean {
    if (group.hosts !== undefined)
      for (const host of group.hosts.values()) if (host.excludeUntilMs > nowMs) return true;
    return false;
  }

  wantsSource(group: Group, source: IpAddress, nowMs: number): boolean {
    if (group.hosts !== undefined) for (const host of group.hosts.values()) if (host.wants(source, nowMs)) return true;
    return false;
  }

  /** Sources that nobody wants although somebody wants the group: every host in EXCLUDE mode refuses them. */
  eachUnwanted(group: Group, nowMs: number, use: (source: IpAddress) => void): void {
    let fewest: ReadonlySet<IpAddress> | undefined;
    for (const { excludeUntilMs, refused } of group.hosts?.values() ?? [])
      if (excludeUntilMs > nowMs && (fewest === undefined || refused.size < fewest.size)) fewest = refused;
    for (const source of fewest ?? []) if (!this.wantsSource(group, source, nowMs)) use(source);
  }

  /** Sources that hosts asked for by name, with the time until which each counts. */
  eachWanted(group: Group, nowMs: number, use: (source: IpAddress, untilMs: number) => void): void {
    if (group.hosts === undefined) return;
    for (const { wanted } of group.hosts.values())
      for (const [source, untilMs] of wanted) if (untilMs > nowMs) use(source, untilMs);
  }

  /** Forgets what has run out: hosts that went without a word. */
  prune(group: Group, nowMs: number): void {
    if (group.hosts === undefined) return;
    for (const [reporter, host] of group.hosts)
      if (!host.prune(nowMs)) this.#remove(group, reporter);
      else this.#recount(host);
  }

  /** The group is gone. */
  forget(group: Group): void {
    if (group.hosts === undefined) return;
    for (const reporter of group.hosts.keys()) this.#remove(group, reporter);
  }

  #apply(host: TrackedHost, { type, wire, untilMs }: HostRecord): void {
    switch (type) {
      case RECORD.isEx:
      case RECORD.toEx:
        host.excludeUntilMs = untilMs;
        host.wanted.clear();
        host.refused.clear();
        this.#each(wire, (source) => host.refused.add(source));
        return;
      case RECORD.toIn:
        host.excludeUntilMs = 0;
        host.refused.clear();
        host.wanted.clear();
        this.#each(wire, (source) => host.wanted.set(source, untilMs));
        return;
      case RECORD.isIn:
      case RECORD.allow:
        this.#each(wire, (source) => {
          host.refused.delete(source);
          host.wanted.set(source, untilMs);
        });
        return;
      case RECORD.block:
        this.#each(wire, (source) => {
          host.wanted.delete(source);
          if (host.excludeUntilMs > 0) host.refused.add(source);
        });
        return;
      default:
        return type satisfies never;
    }
  }

  #each(wire: WireSources, use: (source: IpAddress) => void): void {
    for (let n = 0; n < wire.count; n++) {
      const source = this.#read(wire.bytes, wire.at + 4 * n);
      if (source !== undefined) use(source);
    }
  }

  /** What is too much for the group, or for all interfaces together, is not remembered; then the table is not complete. */
  #bound(group: Group, host: TrackedHost, untilMs: number): void {
    const { limit, used } = this.#budgets.hostSources;
    const free = limit === 0 ? Number.POSITIVE_INFINITY : limit - used + host.counted;
    const most = Math.min(this.#config.maxSourcesPerGroup, free);
    if (host.wanted.size + host.refused.size <= most) return;
    this.#truncate(host, most);
    group.hostsUnknownMs = untilMs;
  }

  #recount(host: TrackedHost): void {
    const now = host.wanted.size + host.refused.size;
    this.#budgets.hostSources.giveBack(host.counted - now);
    host.counted = now;
  }

  #truncate(host: TrackedHost, most: number): void {
    let left = most;
    for (const source of host.wanted.keys()) if (left-- <= 0) host.wanted.delete(source);
    for (const source of host.refused) if (left-- <= 0) host.refused.delete(source);
  }

  /** The host's entry, made where there is room. */
  #hostFor(group: Group, reporter: IpAddress, untilMs: number): TrackedHost | undefined {
    const known = group.hosts?.get(reporter);
    if (known !== undefined) return known;
    if (isAny(reporter) || this.#size >= this.#config.maxTrackedHosts || !this.#budgets.hosts.admits(this.#size)) {
      group.hostsUnknownMs = untilMs;
      if (!isAny(reporter)) this.#full(group.address);
      return undefined;
    }
    const host = new TrackedHost();
    group.hosts ??= new Map();
    group.hosts.set(reporter, host);
    this.#size++;
    this.#budgets.hosts.take();
    if (this.#config.maxGroupsPerHost > 0) this.#groupsOf.set(reporter, (this.#groupsOf.get(reporter) ?? 0) + 1);
    return host;
  }

  #remove(group: Group, reporter: IpAddress): void {
    this.#budgets.hostSources.giveBack(group.hosts!.get(reporter)!.counted);
    this.#budgets.hosts.giveBack(1);
    group.hosts!.delete(reporter);
    if (group.hosts!.size === 0) group.hosts = undefined;
    this.#size--;
    if (this.#config.maxGroupsPerHost === 0) return;
    const left = this.#groupsOf.get(reporter)! - 1;
    if (left > 0) this.#groupsOf.set(reporter, left);
    else this.#groupsOf.delete(reporter);
  }
}

/** Whether the record can make the host want something it did not. */
function addsWish({ type, wire }: HostRecord): boolean {
  if (type === RECORD.isEx || type === RECORD.toEx) return true;
  return type !== RECORD.block && wire.count > 0;
}
