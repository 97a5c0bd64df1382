/**
 * All groups of one interface: applies what hosts say (igmp.md sections 7, 11.2, 12.1 and 13), keeps the limits, runs the
 * timers, has specific queries sent. Time comes in with every call; routing and the wire are told through the output.
 */
import { type IpAddress, isLinkLocalGroup, isMulticast, type Prefix, prefixContains } from '../base/ip.js';
import type { IgmpInterfaceConfig } from '../config/types.js';
import { COMPATIBILITY, type CompatMode, compatMode } from './compatibility.js';
import { DeadlineHeap } from './deadline-heap.js';
import { Group, type MembershipChanges, type Source } from './group.js';
import {
  cancelQueries,
  type LastMember,
  type QueryOutput,
  QuerySender,
  scheduleGroupQuery,
  scheduleSourceQuery,
} from './group-queries.js';
import { earliestTimerMs, expire, withdraw } from './group-timers.js';
import { applyRecord, countUsable, leavesNothing, type RecordEnv, type WireSources } from './group-v3.js';
import {
  groupMembershipIntervalMs,
  lastMemberQueryTimeMs,
  olderHostPresentIntervalMs,
  type Timing,
} from './intervals.js';
import { RECORD, type RecordType, readSource } from './packet.js';

/** Why a message, or one record of it, changed nothing; names of counters. */
export type GroupDrop =
  | 'badGroup'
  | 'linkLocalGroup'
  | 'ssmGroup'
  | 'badSources'
  | 'unknownRecord'
  | 'olderHostMode'
  | 'groupLimit'
  | 'sourceLimit';

export interface GroupOutput extends QueryOutput {
  readonly changes: MembershipChanges;
  /** Something was ignored, or not stored: counted, and perhaps logged. */
  dropped(reason: GroupDrop, group: IpAddress): void;
}

/** Groups looked at per turn, so that ten thousand that run out together do not block the event loop. */
const GROUPS_PER_TURN = 512;

const NO_SOURCES: WireSources = { bytes: new Uint8Array(0), at: 0, count: 0 };

export class GroupTable {
  readonly #config: IgmpInterfaceConfig;
  readonly #output: GroupOutput;
  readonly #last: LastMember;
  readonly #sender: QuerySender;
  readonly #groups = new Map<IpAddress, Group>();
  readonly #deadlines = new DeadlineHeap<Group>();
  /** Groups whose query waits for the end of the message. */
  readonly #asked: Group[] = [];
  readonly #wire = { bytes: NO_SOURCES.bytes, at: 0, count: 0 };
  readonly #env: { -readonly [K in keyof RecordEnv]: RecordEnv[K] };
  #olderHostMs = 0;
  #querier = false;
  #serial = 0;

  constructor(config: IgmpInterfaceConfig, output: GroupOutput) {
    this.#config = config;
    this.#output = output;
    const { lastMemberQueryIntervalMs: intervalMs, lastMemberQueryCount: count } = config;
    this.#last = { intervalMs, count, timeMs: lastMemberQueryTimeMs(intervalMs, count) };
    this.#sender = new QuerySender(this.#last, output);
    this.#env = {
      nowMs: 0,
      gmiMs: 0,
      maxSources: config.maxSourcesPerGroup,
      changes: output.changes,
      askSource: (group, source) => this.#askSource(group, source),
      askGroup: (group) => this.#askGroup(group),
      timerSet: (group, expiryMs) => this.#deadlines.noLaterThan(group, expiryMs),
      sourceLimited: (group) => output.dropped('sourceLimit', group.address),
    };
  }

  get size(): number {
    return this.#groups.size;
  }

  get nextDeadlineMs(): number {
    return this.#deadlines.earliestMs;
  }

  groups(): IterableIterator<Group> {
    return this.#groups.values();
  }

  get(group: IpAddress): Group | undefined {
    return this.#groups.get(group);
  }

  /** Before every message: the time, the variables in force, and whether leaves make this router ask. */
  begin(nowMs: number, timing: Timing, querier: boolean): void {
    this.#env.nowMs = nowMs;
    this.#env.gmiMs = groupMembershipIntervalMs(timing);
    this.#olderHostMs = olderHostPresentIntervalMs(timing);
    this.#querier = querier;
  }

  /** After every message: sends what its leaves asked for, once per group. */
  finish(): void {
    for (const group of this.#asked) {
      if (!group.queryAsked) continue;
      group.queryAsked = false;
      this.#sender.sendNew(group, this.#env.nowMs);
      this.#deadlines.noLaterThan(group, earliestTimerMs(group));
    }
    this.#asked.length = 0;
  }

  /** A v1 or v2 report: the host timer runs, then IS_EX({}) (igmp.md section 11.2). */
  olderReport(version: 1 | 2, address: IpAddress, reporter: IpAddress): void {
    if (!this.#accepts(address, true)) return;
    const group = this.#groups.get(address) ?? this.#create(address);
    if (group === undefined) return;
    const untilMs = this.#env.nowMs + this.#olderHostMs;
    if (version === 2) group.v2HostMs = untilMs;
    else {
      group.v1HostMs = untilMs;
      cancelQueries(group);
    }
    group.lastReporter = reporter;
    applyRecord(group, RECORD.isEx, NO_SOURCES, ++this.#serial, this.#env);
  }

  /** A v2 leave: TO_IN({}). The caller has checked that this router is the querier. */
  olderLeave(address: IpAddress): void {
    if (!this.#accepts(address, true)) return;
    const group = this.#groups.get(address);
    if (group === undefined) return;
    if (COMPATIBILITY[this.#mode(group)]['leave-v2'] === 'ignored')
      return this.#output.dropped('olderHostMode', address);
    this.#apply(group, RECORD.toIn, NO_SOURCES);
  }

  /** One record of a v3 report, its sources still on the wire. */
  record(type: number, address: IpAddress, bytes: Uint8Array, at: number, count: number, reporter: IpAddress): void {
    if (!isRecordType(type)) return this.#output.dropped('unknownRecord', address);
    if (!this.#accepts(address, type === RECORD.isEx || type === RECORD.toEx)) return;
    const group = this.#groups.get(address);
    const treatment = COMPATIBILITY[group === undefined ? 'v3' : this.#mode(group)][type];
    if (treatment === 'ignored') return this.#output.dropped('olderHostMode', address);
    const wire = treatment === 'any-source' ? NO_SOURCES : this.#sourcesAt(bytes, at, count);
    const usable = wire.count === 0 ? 0 : countUsable(wire);
    if (wire.count > 0 && usable === 0) return this.#output.dropped('badSources', address);
    if (group === undefined && leavesNothing(type, usable)) return;
    const applied = group ?? this.#create(address);
    if (applied === undefined) return;
    if (type !== RECORD.block && type !== RECORD.toIn) applied.lastReporter = reporter;
    this.#apply(applied, type, wire);
  }

  /** A query of another router with S = 0 lowers the timers it names (igmp.md section 8.3). */
  lowerTimers(address: IpAddress, timeMs: number, bytes: Uint8Array, at: number, count: number): void {
    const group = this.#groups.get(address);
    if (group === undefined) return;
    const untilMs = this.#env.nowMs + timeMs;
    if (count === 0) {
      if (group.mode === 'exclude') group.timerMs = Math.min(group.timerMs, untilMs);
    } else this.#lowerSources(group, untilMs, this.#sourcesAt(bytes, at, count));
    this.#deadlines.noLaterThan(group, earliestTimerMs(group));
  }

  /** Runs what is due, a bounded number of groups; the rest keeps its deadline and is due at once. */
  timeout(nowMs: number): void {
    this.#env.nowMs = nowMs;
    for (let left = GROUPS_PER_TURN; left > 0; left--) {
      const group = this.#deadlines.first;
      if (group === undefined || group.queuedMs > nowMs) return;
      this.#serve(group, nowMs);
    }
  }

  /** Interface down: every group goes, and routing is told. */
  clear(): void {
    for (const group of this.#groups.values()) withdraw(group, this.#output.changes);
    this.forgetAll();
  }

  /** Every group goes, and nobody is told. */
  forgetAll(): void {
    this.#groups.clear();
    this.#deadlines.clear();
    this.#asked.length = 0;
  }

  #serve(group: Group, nowMs: number): void {
    if (!expire(group, nowMs, this.#output.changes)) return this.#forget(group);
    if (group.nextQueryMs !== 0 && group.nextQueryMs <= nowMs) this.#sender.resend(group, nowMs);
    this.#deadlines.postpone(group, earliestTimerMs(group));
  }

  #apply(group: Group, type: RecordType, wire: WireSources): void {
    if (this.#config.fastLeave && this.#querier && leavesAltogether(group, type, wire)) return this.#drop(group);
    applyRecord(group, type, wire, ++this.#serial, this.#env);
  }

  /** Ranges of igmp.md section 13: link-local groups are nobody's business, SSM groups have only sources. */
  #accepts(address: IpAddress, anySource: boolean): boolean {
    const reason = !isMulticast(address)
      ? 'badGroup'
      : isLinkLocalGroup(address)
        ? 'linkLocalGroup'
        : anySource && isSsm(this.#config.ssmRanges, address)
          ? 'ssmGroup'
          : undefined;
    if (reason !== undefined) this.#output.dropped(reason, address);
    return reason === undefined;
  }

  #create(address: IpAddress): Group | undefined {
    const { maxGroups } = this.#config;
    if (maxGroups > 0 && this.#groups.size >= maxGroups) {
      this.#output.dropped('groupLimit', address);
      return undefined;
    }
    const group = new Group(address, this.#env.nowMs);
    this.#groups.set(address, group);
    return group;
  }

  #drop(group: Group): void {
    withdraw(group, this.#output.changes);
    this.#forget(group);
  }

  #forget(group: Group): void {
    group.queryAsked = false;
    this.#deadlines.remove(group);
    this.#groups.delete(group.address);
  }

  #mode(group: Group): CompatMode {
    return compatMode(group, this.#env.nowMs);
  }

  #sourcesAt(bytes: Uint8Array, at: number, count: number): WireSources {
    this.#wire.bytes = bytes;
    this.#wire.at = at;
    this.#wire.count = count;
    return this.#wire;
  }

  #askGroup(group: Group): void {
    if (this.#querier && scheduleGroupQuery(group, this.#env.nowMs, this.#last)) this.#queryAsked(group);
  }

  #askSource(group: Group, source: Source): void {
    if (this.#querier && scheduleSourceQuery(source, this.#env.nowMs, this.#last)) this.#queryAsked(group);
  }

  #queryAsked(group: Group): void {
    if (group.queryAsked) return;
    group.queryAsked = true;
    this.#asked.push(group);
  }

  #lowerSources(group: Group, untilMs: number, wire: WireSources): void {
    for (let n = 0; n < wire.count; n++) {
      const address = readSource(wire.bytes, wire.at + 4 * n);
      const source = address === undefined ? undefined : group.sources?.get(address);
      if (source !== undefined && source.expiryMs > untilMs) source.expiryMs = untilMs;
    }
  }
}

function isRecordType(type: number): type is RecordType {
  return type >= RECORD.isIn && type <= RECORD.block;
}

function isSsm(ranges: readonly Prefix[], address: IpAddress): boolean {
  for (const range of ranges) if (prefixContains(range, address)) return true;
  return false;
}

/** What fast leave acts on: v2 leave and TO_IN({}), or BLOCK of every INCLUDE source (igmp.md section 12.1). */
function leavesAltogether(group: Group, type: RecordType, wire: WireSources): boolean {
  if (type === RECORD.toIn) return wire.count === 0;
  if (type !== RECORD.block || group.mode !== 'include') return false;
  const blocked = new Set<IpAddress>();
  for (let n = 0; n < wire.count; n++) {
    const source = readSource(wire.bytes, wire.at + 4 * n);
    if (source !== undefined && group.sources?.has(source)) blocked.add(source);
  }
  return blocked.size === group.sourceCount;
}
