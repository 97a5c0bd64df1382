/**
 * All groups of one interface: applies what hosts say (igmp.md sections 7, 11.2, 12 and 13), keeps the limits, runs the
 * timers, has specific queries sent. Time comes in with every call; routing and the wire are told through the output.
 */
import { DeadlineHeap } from '../../base/deadline-heap.js';
import { ANY4, type IpAddress } from '../../base/ip.js';
import type { IgmpInterfaceConfig } from '../../config/types.js';
import { type AdmissionDrop, groupRefusal, sourceReader } from './admission.js';
import { COMPATIBILITY, type CompatMode, compatMode } from './compatibility.js';
import { Group, type MembershipChanges, type Source } from './group.js';
import type { QueryOutput } from '../queries/group-queries.js';
import { DUE_MS, earliestTimerMs, expire, withdraw } from './group-timers.js';
import { admitted, recall, type SavedGroup } from './group-memory.js';
import {
  applyRecord,
  countUsable,
  leavesAltogether,
  leavesNothing,
  type RecordEnv,
  TABLE,
  type WireSources,
} from './group-v3.js';
import { HostTable } from './host-table.js';
import { groupMembershipIntervalMs, olderHostPresentIntervalMs, type Timing } from '../intervals.js';
import { type SharedBudgets, Tally } from './limits.js';
import { isRecordType, RECORD, type RecordType, readSource } from '../wire/packet.js';
import { Questions } from '../queries/questions.js';

/** Why a message, or one record of it, changed nothing; names of counters. */
export type GroupDrop =
  | AdmissionDrop
  | 'badSources'
  | 'sourceFilter'
  | 'unknownRecord'
  | 'olderVersion'
  | 'olderHostMode'
  | 'groupLimit'
  | 'allGroupsLimit'
  | 'sourceLimit'
  | 'sourcesLimit'
  | 'allSourcesLimit'
  | 'hostShare'
  | 'hostLimit'
  | 'hostTableFull'
  | 'queryLimit';

export interface GroupOutput extends QueryOutput {
  readonly changes: MembershipChanges;
  /** The group is gone, and routing was told. */
  ended(group: IpAddress): void;
  /** All of them are gone; routing is to be told. */
  withdrawn(groups: Iterable<Group>): void;
  /** Something was ignored, or not stored: counted, and perhaps logged. */
  dropped(reason: GroupDrop, group: IpAddress): void;
}

/** Groups and sources looked at per turn, so that tens of thousands that run out together do not block the event loop. */
const STEPS_PER_TURN = 4096;
/** Steps of a group beside those of its sources. */
const GROUP_STEPS = 8;

const GROUP_DROPS = { host: 'hostShare', interface: 'groupLimit', all: 'allGroupsLimit' } as const;
const SOURCE_DROPS = { host: 'hostShare', interface: 'sourcesLimit', all: 'allSourcesLimit' } as const;

const NO_SOURCES: WireSources = { bytes: new Uint8Array(0), at: 0, count: 0 };

export class GroupTable {
  readonly #config: IgmpInterfaceConfig;
  readonly #output: GroupOutput;
  #groups = new Map<IpAddress, Group>();
  readonly #deadlines = new DeadlineHeap<Group>();
  readonly #wire = { bytes: NO_SOURCES.bytes, at: 0, count: 0 };
  readonly #env: { -readonly [K in keyof RecordEnv]: RecordEnv[K] };
  /** For whom groups and sources count. */
  readonly #groupTally: Tally;
  readonly #sourceTally: Tally;
  readonly #questions: Questions;
  /** Undefined: hosts are not tracked. */
  readonly #hosts: HostTable | undefined;
  #olderHostMs = 0;
  #querier = false;
  #serial = 0;
  /** While a record is applied: the host table knows all members, so nobody is asked. */
  #safe = false;
  /** While a record is applied: something ends now. */
  #ended = false;

  constructor(config: IgmpInterfaceConfig, output: GroupOutput, budgets: SharedBudgets) {
    this.#config = config;
    this.#output = output;
    this.#groupTally = new Tally(config.maxGroups, budgets.groups);
    this.#sourceTally = new Tally(config.maxSources, budgets.sources);
    const read = sourceReader(config);
    if (config.explicitTracking || config.maxGroupsPerHost > 0)
      this.#hosts = new HostTable(config, read, budgets, (group) => output.dropped('hostTableFull', group));
    this.#questions = new Questions(config, {
      sendGroupQuery: (group, suppress) => output.sendGroupQuery(group, suppress),
      sendSourceQuery: (group, sources, suppress) => output.sendSourceQuery(group, sources, suppress),
      asked: (group) => this.#deadlines.noLaterThan(group, earliestTimerMs(group)),
      delayed: (group) => output.dropped('queryLimit', group.address),
    });
    this.#env = {
      nowMs: 0,
      gmiMs: 0,
      host: ANY4,
      changes: output.changes,
      readSource: read,
      askSource: (group, source) => this.#askSource(group, source),
      askGroup: (group) => this.#askGroup(group),
      timerSet: (group, expiryMs) => this.#deadlines.noLaterThan(group, expiryMs),
      takeSource: (group) => this.#takeSource(group),
      giveBackSource: (source) => this.#sourceTally.giveBack(source.host),
    };
  }

  get size(): number {
    return this.#groups.size;
  }

  /** (group, host) pairs that are remembered. */
  get trackedHosts(): number {
    return this.#hosts?.size ?? 0;
  }

  /** Groups with leaves that wait for the budget of queries. */
  get waitingLeaves(): number {
    return this.#questions.waiting;
  }

  get nextDeadlineMs(): number {
    return Math.min(this.#deadlines.earliestMs, this.#questions.nextDeadlineMs);
  }

  groups(): IterableIterator<Group> {
    return this.#groups.values();
  }

  get(group: IpAddress): Group | undefined {
    return this.#groups.get(group);
  }

  /** The hosts are asked from now on: after a response interval all of them have been heard. */
  restart(nowMs: number): void {
    this.#hosts?.trustFrom(nowMs + this.#config.queryResponseIntervalMs);
  }

  /** What hosts wanted of the process before this one, as far as they may ask for it today. */
  restore(saved: SavedGroup): void {
    const wanted = admitted(saved, this.#config);
    if (!wanted || this.#groups.has(wanted.address)) return;
    const group = this.#create(wanted.address, wanted.host);
    if (!group) return;
    recall(group, wanted, this.#env, (of, host) => {
      this.#env.host = host;
      return this.#takeSource(of);
    });
    if (group.mode === 'include' && group.sourceCount === 0) return this.#forget(group);
    group.hostsUnknownMs = this.#env.nowMs + this.#env.gmiMs;
    this.#deadlines.noLaterThan(group, earliestTimerMs(group));
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
    this.#questions.finish(this.#env.nowMs);
  }

  /** A v1 or v2 report: the host timer runs, then IS_EX({}) (igmp.md section 11.2). */
  olderReport(version: 1 | 2, address: IpAddress, reporter: IpAddress): void {
    if (!this.#accepts(address, true) || !this.#hears(version, address)) return;
    const found = this.#groups.get(address);
    if (!this.#hasRoomFor(found, address, reporter)) return;
    const group = found ?? this.#create(address, reporter);
    if (group === undefined) return;
    const untilMs = this.#env.nowMs + this.#olderHostMs;
    if (version === 2) group.v2HostMs = untilMs;
    else {
      group.v1HostMs = untilMs;
      this.#questions.cancel(group);
    }
    group.lastReporter = reporter;
    this.#env.host = reporter;
    this.#hosts?.olderReport(group, reporter, this.#env.nowMs + this.#env.gmiMs);
    applyRecord(group, RECORD.isEx, NO_SOURCES, ++this.#serial, this.#env);
    this.#questions.applied(group);
  }

  /** A v2 leave: TO_IN({}). The caller has checked that this router is the querier. */
  olderLeave(address: IpAddress, reporter: IpAddress): void {
    if (!this.#accepts(address, true) || !this.#hears(2, address)) return;
    const group = this.#groups.get(address);
    if (group === undefined) return;
    this.#env.host = reporter;
    this.#hosts?.leave(group, reporter);
    if (COMPATIBILITY[this.#mode(group)]['leave-v2'] === 'ignored')
      return this.#output.dropped('olderHostMode', address);
    this.#apply(group, RECORD.toIn, NO_SOURCES);
  }

  /** One record of a v3 report, its sources still on the wire. */
  record(type: number, address: IpAddress, bytes: Uint8Array, at: number, count: number, reporter: IpAddress): void {
    if (!isRecordType(type)) return this.#output.dropped('unknownRecord', address);
    if (!this.#accepts(address, type === RECORD.isEx || type === RECORD.toEx)) return;
    const wire = count === 0 ? NO_SOURCES : this.#sourcesAt(bytes, at, count);
    const usable = this.#usable(wire, address);
    if (usable < 0) return;
    const found = this.#groups.get(address);
    if (found === undefined && leavesNothing(type, usable)) return;
    const leaves = type === RECORD.block || (type === RECORD.toIn && usable === 0);
    if (!leaves && !this.#hasRoomFor(found, address, reporter)) return;
    this.#env.host = reporter;
    // A group that only wants sources, and finds no room for one, would be a group of nothing.
    if (found === undefined && TABLE.include[type].next === 'include' && !this.#hasRoomForSource(address)) return;
    const group = found ?? this.#create(address, reporter);
    if (group === undefined) return;
    if (this.#hosts !== undefined) this.#track(this.#hosts, group, type, wire, reporter);
    const treatment = COMPATIBILITY[this.#mode(group)][type];
    if (treatment === 'ignored') return this.#output.dropped('olderHostMode', address);
    if (type !== RECORD.block && type !== RECORD.toIn) group.lastReporter = reporter;
    this.#apply(group, type, treatment === 'any-source' ? NO_SOURCES : wire);
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

  /** Runs what is due, a bounded part of it; the rest keeps its deadline and is due at once. */
  timeout(nowMs: number): void {
    this.#env.nowMs = nowMs;
    this.#questions.timeout(nowMs);
    for (let left = STEPS_PER_TURN; left > 0; ) {
      const group = this.#deadlines.first;
      if (group === undefined || group.queuedMs > nowMs) return;
      left -= GROUP_STEPS + group.sourceCount;
      this.#serve(group, nowMs);
    }
  }

  /** Interface down: every group goes, and routing is to be told. */
  clear(): void {
    const gone = this.#groups;
    this.forgetAll();
    this.#output.withdrawn(gone.values());
  }

  /** There is no address any more to ask from. */
  stopAsking(): void {
    this.#questions.stop();
  }

  /** Every group goes, and nobody is told. */
  forgetAll(): void {
    this.#groupTally.clear();
    this.#sourceTally.clear();
    if (this.#hosts !== undefined) for (const group of this.#groups.values()) this.#hosts.forget(group);
    this.#groups = new Map();
    this.#deadlines.clear();
    this.#questions.clear();
  }

  #serve(group: Group, nowMs: number): void {
    if (!expire(group, this.#env)) return this.#forget(group);
    this.#questions.resend(group, nowMs);
    if (this.#hosts !== undefined) this.#pruneHosts(this.#hosts, group);
    this.#deadlines.postpone(group, earliestTimerMs(group));
  }

  #apply(group: Group, type: RecordType, wire: WireSources): void {
    this.#safe = this.#hosts !== undefined && this.#knowsAll(this.#hosts, group);
    if (this.#config.fastLeave && !this.#safe && this.#querier && leavesAltogether(group, type, wire))
      return this.#drop(group);
    applyRecord(group, type, wire, ++this.#serial, this.#env);
    this.#questions.applied(group);
    if (this.#safe) this.#endUnwanted(group);
    if (!this.#ended) return;
    this.#ended = false;
    if (!expire(group, this.#env)) return this.#forget(group);
    this.#deadlines.noLaterThan(group, earliestTimerMs(group));
  }

  /** Whether the leave of a member can be judged without asking (igmp.md section 12.2). */
  #knowsAll(hosts: HostTable, group: Group): boolean {
    const { nowMs } = this.#env;
    return this.#querier && hosts.decides(group, nowMs) && this.#mode(group) === 'v3';
  }

  #track(hosts: HostTable, group: Group, type: RecordType, wire: WireSources, reporter: IpAddress): void {
    const { nowMs, gmiMs } = this.#env;
    hosts.record(group, reporter, { type, wire, nowMs, untilMs: nowMs + gmiMs });
  }

  #accepts(address: IpAddress, anySource: boolean): boolean {
    const reason = groupRefusal(this.#config, address, anySource);
    if (reason !== undefined) this.#output.dropped(reason, address);
    return reason === undefined;
  }

  /** The knobs of RFC 3376 section 9.2 and RFC 9776 section 7.3.1: messages of older hosts leave no trace. */
  #hears(version: 1 | 2, address: IpAddress): boolean {
    const { ignoreV1, ignoreV2, disableCompatibilityModes, version: own } = this.#config;
    const ignored = (version === 1 ? ignoreV1 : ignoreV2) || (disableCompatibilityModes && version < own);
    if (ignored) this.#output.dropped('olderVersion', address);
    return !ignored;
  }

  /**
   * How many sources of the record count, below 0 when it does not: nobody can send from any of them, and an empty list would
   * mean something else. Sources that hosts may not name are passed over; what is left says what the host can have.
   */
  #usable(wire: WireSources, address: IpAddress): number {
    if (wire.count === 0) return 0;
    const real = countUsable(wire, readSource);
    if (real === 0) {
      this.#output.dropped('badSources', address);
      return -1;
    }
    if (this.#config.sourceFilter.length === 0) return real;
    const admitted = countUsable(wire, this.#env.readSource);
    if (admitted < real) this.#output.dropped('sourceFilter', address);
    return admitted;
  }

  /** The limit of groups per host. */
  #hasRoomFor(group: Group | undefined, address: IpAddress, reporter: IpAddress): boolean {
    if (this.#hosts === undefined || this.#hosts.admits(group, reporter)) return true;
    this.#output.dropped('hostLimit', address);
    return false;
  }

  #create(address: IpAddress, host: IpAddress): Group | undefined {
    const shortage = this.#groupTally.shortage(host);
    if (shortage !== undefined) {
      this.#output.dropped(GROUP_DROPS[shortage], address);
      return undefined;
    }
    this.#groupTally.take(host);
    const group = new Group(address, this.#env.nowMs, host);
    this.#groups.set(address, group);
    return group;
  }

  #hasRoomForSource(group: IpAddress): boolean {
    const shortage = this.#sourceTally.shortage(this.#env.host);
    if (shortage !== undefined) this.#output.dropped(SOURCE_DROPS[shortage], group);
    return shortage === undefined;
  }

  #takeSource(group: Group): boolean {
    if (group.sourceCount >= this.#config.maxSourcesPerGroup) {
      this.#output.dropped('sourceLimit', group.address);
      return false;
    }
    if (!this.#hasRoomForSource(group.address)) return false;
    this.#sourceTally.take(this.#env.host);
    return true;
  }

  #drop(group: Group): void {
    withdraw(group, this.#env);
    this.#forget(group);
  }

  #forget(group: Group): void {
    this.#questions.forget(group);
    this.#hosts?.forget(group);
    this.#groupTally.giveBack(group.host);
    this.#deadlines.remove(group);
    this.#groups.delete(group.address);
    this.#output.ended(group.address);
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
    if (this.#safe) return this.#endGroup(group);
    if (this.#querier) this.#questions.askGroup(group, this.#env.host, this.#env.nowMs);
  }

  #askSource(group: Group, source: Source): void {
    if (this.#safe) return this.#endSource(group, source);
    if (this.#querier) this.#questions.askSource(group, source, this.#env.host, this.#env.nowMs);
  }

  /** Instead of asking: what no tracked host wants any more ends when the record has been applied. */
  #endGroup(group: Group): void {
    const { nowMs } = this.#env;
    if (this.#hosts!.wantsAnySource(group, nowMs)) return;
    this.#hosts!.eachWanted(group, nowMs, (source, untilMs) => this.#keepSource(group, source, untilMs));
    group.timerMs = DUE_MS;
    this.#ended = true;
  }

  /** EXCLUDE forgets the sources of INCLUDE hosts (they had them anyway). Where nobody is asked, nobody names them again. */
  #keepSource(group: Group, address: IpAddress, untilMs: number): void {
    group.sources ??= new Map();
    const known = group.sources.get(address);
    if (known !== undefined) {
      if (known.expiryMs === 0) this.#output.changes.allowSource(group.address, address);
      known.expiryMs = Math.max(known.expiryMs, untilMs);
    } else if (this.#takeSource(group)) {
      const { host } = this.#env;
      group.sources.set(address, {
        address,
        expiryMs: untilMs,
        queriesLeft: 0,
        nextQueryMs: 0,
        seenIn: this.#serial,
        host,
      });
    }
  }

  #endSource(group: Group, source: Source): void {
    if (this.#hosts!.wantsSource(group, source.address, this.#env.nowMs)) return;
    source.expiryMs = DUE_MS;
    this.#ended = true;
  }

  /** What the tables of RFC 9776 leave running, or do not name, although no tracked host wants it any more. */
  #endUnwanted(group: Group): void {
    if (group.mode !== 'exclude' || group.timerMs === DUE_MS) return;
    this.#hosts!.eachUnwanted(group, this.#env.nowMs, (address) => {
      if (group.sources?.get(address)?.expiryMs === 0) return;
      this.#keepSource(group, address, DUE_MS);
      const source = group.sources?.get(address);
      if (source === undefined) return;
      source.expiryMs = DUE_MS;
      this.#ended = true;
    });
  }

  /** Hosts that went without a word end what only they wanted; it is due at once. */
  #pruneHosts(hosts: HostTable, group: Group): void {
    hosts.prune(group, this.#env.nowMs);
    this.#env.host = group.host;
    if (this.#knowsAll(hosts, group)) this.#endUnwanted(group);
    this.#ended = false;
  }

  #lowerSources(group: Group, untilMs: number, wire: WireSources): void {
    for (let n = 0; n < wire.count; n++) {
      const address = readSource(wire.bytes, wire.at + 4 * n);
      const source = address === undefined ? undefined : group.sources?.get(address);
      if (source !== undefined && source.expiryMs > untilMs) source.expiryMs = untilMs;
    }
  }
}
