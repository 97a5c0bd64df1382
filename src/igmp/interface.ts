/**
 * IGMP on one interface: the receive pipeline (igmp.md section 4), the querier and its queries (igmp.md section 8), versions
 * (igmp.md section 11.1), and the groups. Knows no ports: time and messages come in by calls, everything else leaves by the output.
 */
import { ANY4, type IpAddress, isAny, isMulticast } from '../base/ip.js';
import type { InterfaceAddress } from '../base/link-address.js';
import { OnLink } from '../base/on-link.js';
import type { IgmpInterfaceConfig } from '../config/types.js';
import { type Counters, type DropReason, newCounters } from './counters.js';
import type { Group, MembershipChanges } from './groups/group.js';
import type { SavedGroup } from './groups/group-memory.js';
import { type GroupOutput, GroupTable } from './groups/group-table.js';
import { heardQueryTimeMs } from './intervals.js';
import { LaterHosts } from './queries/later-hosts.js';
import type { SharedBudgets } from './groups/limits.js';
import {
  checkMessage,
  decodeGroupMessage,
  decodeQuery,
  encodeQuery,
  type GroupMessageType,
  QUERY_V3_LENGTH,
  type Query,
  sourcesPerQuery,
  TYPE,
  walkGroupRecords,
} from './wire/packet.js';
import { Querier } from './queries/querier.js';
import { ALL_SYSTEMS, type Message, refusal } from './wire/reception.js';
import type { SavedInterface } from './saved-state.js';

export interface InterfaceOutput {
  readonly changes: MembershipChanges;
  /** Nothing of the group is wanted any more. */
  groupEnded(group: IpAddress): void;
  /** The link went down: there are no groups any more, and routing is to be told of these. */
  groupsWithdrawn(groups: Iterable<Group>): void;
  /** The payload is reused: send it before returning. */
  send(source: IpAddress, destination: IpAddress, payload: Uint8Array): void;
  /** Counted already; for the log. */
  dropped(reason: DropReason, source: IpAddress, group: IpAddress | undefined): void;
  querierLost(to: IpAddress, version: number): void;
  querierGained(): void;
  /** Another router asks for longer times than are believed. */
  longTimes(from: IpAddress, robustness: number, queryIntervalMs: number): void;
  /** A General Query of another version than the configured one (igmp.md section 11.1). */
  foreignVersion(from: IpAddress, version: number): void;
  /** A General Query that came to this router alone: it counts (RFC 9776 section 4.1.12), but no router sends such. */
  queriedAlone(from: IpAddress): void;
  /** The link is up but has no address to send queries from. */
  addressMissing(): void;
}

/** What IGMP needs to know of a link. */
export interface LinkState {
  /** Up and with carrier. */
  readonly running: boolean;
  readonly mtu: number;
  /** The address queries come from. */
  readonly primary: IpAddress | undefined;
  readonly addresses: readonly InterfaceAddress[];
  /** Whether a route puts a source on the link that no address covers. */
  readonly isRouted?: (source: IpAddress) => boolean;
}

/** From the last answer of a host to its arrival here. */
const ANSWERS_SLACK_MS = 1000;

const DOWN: LinkState = { running: false, mtu: 0, primary: undefined, addresses: [] };

export class IgmpInterface {
  readonly config: IgmpInterfaceConfig;
  readonly counters: Counters = newCounters();
  readonly groups: GroupTable;
  readonly querier: Querier;
  readonly #output: InterfaceOutput;
  #link: LinkState = DOWN;
  #knownFromMs = Number.POSITIVE_INFINITY;
  #onLink = new OnLink([]);
  #sourcesPerQuery = 1;
  #out = new Uint8Array(QUERY_V3_LENGTH);
  #lacksAddress = false;
  readonly #laterHosts = new LaterHosts();
  /** Fields of the message being handled: nothing is allocated per message for the visitors. */
  #source: IpAddress = ANY4;
  #destination: IpAddress = ANY4;
  #payload: Uint8Array = this.#out;

  constructor(config: IgmpInterfaceConfig, output: InterfaceOutput, budgets: SharedBudgets) {
    this.config = config;
    this.#output = output;
    const groups: GroupOutput = {
      changes: output.changes,
      ended: (group) => output.groupEnded(group),
      withdrawn: (gone) => output.groupsWithdrawn(gone),
      dropped: (reason, group) => this.#drop(reason, group),
      sendGroupQuery: (group, suppress) => this.#sendGroupQuery(group, suppress),
      sendSourceQuery: (group, sources, suppress) => this.#sendSourceQuery(group, sources, suppress),
    };
    this.groups = new GroupTable(config, groups, budgets);
    this.querier = new Querier(config, {
      sendGeneralQuery: () => this.#sendGeneralQuery(),
      started: (nowMs) => this.#askedFrom(nowMs),
      querierLost: (to, version) => output.querierLost(to, version),
      querierGained: () => output.querierGained(),
      longTimes: (from, robustness, queryIntervalMs) => output.longTimes(from, robustness, queryIntervalMs),
    });
  }

  /** How long until all hosts have had time to answer the startup queries; 0: they had, Infinity: they are not being asked. */
  knownInMs(nowMs: number): number {
    return Math.max(0, this.#knownFromMs - nowMs);
  }

  /** Before the link is set: the process before this one knew its hosts, or was asking them. */
  resume(nowMs: number, saved: SavedInterface): void {
    this.#knownFromMs = nowMs + Math.min(saved.knownInMs, this.#answersMs());
    this.querier.resume(saved);
  }

  /** When the link is set. */
  restore(nowMs: number, group: SavedGroup): void {
    if (!this.#link.running) return;
    this.groups.begin(nowMs, this.querier.timing, this.querier.role === 'querier');
    this.groups.restore(group);
  }

  #askedFrom(nowMs: number): void {
    this.#knownFromMs = nowMs + this.#answersMs();
    this.groups.restart(nowMs);
  }

  /** From the first startup query to the last answer to the last one. */
  #answersMs(): number {
    const { startupQueryCount, startupQueryIntervalMs, queryResponseIntervalMs } = this.config;
    return (startupQueryCount - 1) * startupQueryIntervalMs + queryResponseIntervalMs + ANSWERS_SLACK_MS;
  }

  get address(): IpAddress | undefined {
    return this.#link.primary;
  }

  /** When `timeout` is to be called; Infinity: nothing is due. */
  get nextDeadlineMs(): number {
    return Math.min(this.querier.nextDeadlineMs, this.groups.nextDeadlineMs);
  }

  /**
   * The link or its addresses changed. Down deletes all state; up and a new primary address start the querier anew. Without an
   * address hosts are heard, but nothing is asked.
   */
  setLink(nowMs: number, link: LinkState): void {
    this.#link = link;
    this.#onLink = new OnLink(link.addresses, link.isRouted);
    this.#sourcesPerQuery = sourcesPerQuery(link.mtu);
    this.#out = new Uint8Array(QUERY_V3_LENGTH + 4 * this.#sourcesPerQuery);
    if (!link.running) this.groups.clear();
    this.querier.setAddress(nowMs, link.running ? link.primary : undefined);
    if (link.primary === undefined) this.groups.stopAsking();
    const lacksAddress = link.running && link.primary === undefined;
    if (lacksAddress && !this.#lacksAddress) this.#output.addressMissing();
    this.#lacksAddress = lacksAddress;
  }

  /** Forgets everything without telling routing: the interface is no longer IGMP's. */
  close(nowMs: number): void {
    this.querier.setAddress(nowMs, undefined);
    this.groups.forgetAll();
    this.#link = DOWN;
  }

  timeout(nowMs: number): void {
    this.querier.timeout(nowMs);
    this.groups.timeout(nowMs);
  }

  receive(nowMs: number, message: Message): void {
    this.#source = message.source;
    this.#destination = message.destination;
    this.#payload = message.payload;
    const refused =
      checkMessage(message.payload)?.kind ??
      (this.#link.running ? undefined : 'notEnabled') ??
      refusal(message, this.config, this.#onLink);
    if (refused !== undefined) return this.#drop(refused);
    this.groups.begin(nowMs, this.querier.timing, this.querier.role === 'querier');
    this.#dispatch(nowMs, message.payload);
    this.groups.finish();
  }

  #dispatch(nowMs: number, payload: Uint8Array): void {
    const { received } = this.counters;
    switch (payload[0]) {
      case TYPE.query:
        received.queries++;
        return this.#query(nowMs, payload);
      case TYPE.reportV1:
        received.reportsV1++;
        return this.#olderMessage(TYPE.reportV1, payload);
      case TYPE.reportV2:
        received.reportsV2++;
        return this.#olderMessage(TYPE.reportV2, payload);
      case TYPE.leaveV2:
        received.leavesV2++;
        return this.#olderMessage(TYPE.leaveV2, payload);
      case TYPE.reportV3:
        received.reportsV3++;
        return this.#report(nowMs, payload);
      default:
        return this.#drop('unknownType');
    }
  }

  #query(nowMs: number, payload: Uint8Array): void {
    const decoded = decodeQuery(payload);
    if (!decoded.ok) return this.#drop(decoded.error.kind);
    const query = decoded.value;
    if (!isAny(query.group)) return this.#specificQuery(nowMs, query);
    if (!isMulticast(this.#destination)) this.#output.queriedAlone(this.#source);
    if (query.version !== this.config.version) this.#output.foreignVersion(this.#source, query.version);
    this.querier.heardGeneralQuery(nowMs, this.#source, query);
  }

  /** No part in the election (RFC 9776 section 6.6.2), but S = 0 lowers timers; v1 knows no such query. */
  #specificQuery(nowMs: number, query: Query): void {
    if (query.version === 1) return this.#drop('badQuery');
    if (query.suppress) return;
    // Members do not hear it, so their silence says nothing.
    if (this.#destination !== query.group) return this.#drop('notToGroup', query.group);
    if (this.config.strictQuerySource && !this.querier.mayAsk(nowMs, this.#source))
      return this.#drop('notFromQuerier', query.group);
    const { lastMemberQueryIntervalMs, lastMemberQueryCount } = this.config;
    const timeMs = heardQueryTimeMs(query.maxRespMs, query.robustness, lastMemberQueryIntervalMs, lastMemberQueryCount);
    this.groups.lowerTimers(query.group, timeMs, this.#payload, query.sourcesAt, query.sourceCount);
  }

  /** A v1 router ignores leaves, a non-querier must (RFC 2236 section 3). */
  #olderMessage(type: GroupMessageType, payload: Uint8Array): void {
    const decoded = decodeGroupMessage(payload);
    if (!decoded.ok) return this.#drop(decoded.error.kind);
    if (type !== TYPE.leaveV2)
      return this.groups.olderReport(type === TYPE.reportV1 ? 1 : 2, decoded.value, this.#source);
    if (this.config.version === 1) return this.#drop('versionDisabled');
    if (this.querier.role !== 'querier') return this.#drop('notQuerier');
    this.groups.olderLeave(decoded.value, this.#source);
  }

  /** Checked to its end before the first record is applied; then the records count in their order. */
  #report(nowMs: number, payload: Uint8Array): void {
    const broken = walkGroupRecords(payload, checkOnly);
    if (broken !== undefined) return this.#drop(broken.kind);
    if (this.config.version < 3) return this.#laterReport(nowMs);
    walkGroupRecords(payload, this.#applyRecord);
  }

  /** The host has not heard yet that the link speaks an older version: a query says so, and it reports anew. */
  #laterReport(nowMs: number): void {
    this.#drop('versionDisabled');
    if (this.querier.role !== 'querier') return;
    if (this.#laterHosts.heard(this.#source, nowMs, this.config.queryIntervalMs)) this.querier.askSoon(nowMs);
  }

  readonly #applyRecord = (type: number, group: IpAddress, sourcesAt: number, sourceCount: number): void =>
    this.groups.record(type, group, this.#payload, sourcesAt, sourceCount, this.#source);

  #sendGeneralQuery(): void {
    this.counters.sent.generalQueries++;
    this.#sendQuery(ALL_SYSTEMS, ANY4, false, this.config.queryResponseIntervalMs, [], 0, 0);
  }

  /** A query of version 2 cannot say that it was answered: then it is not repeated (RFC 2236 section 7, "clear retransmit timer"). */
  #sendGroupQuery(group: IpAddress, suppress: boolean): void {
    if (suppress && this.config.version < 3) return;
    this.counters.sent.groupQueries++;
    this.#sendQuery(group, group, suppress, this.config.lastMemberQueryIntervalMs, [], 0, 0);
  }

  /** More sources than one packet holds are split over several (igmp.md section 2.5). */
  #sendSourceQuery(group: IpAddress, sources: readonly IpAddress[], suppress: boolean): void {
    for (let from = 0; from < sources.length; from += this.#sourcesPerQuery) {
      const to = Math.min(from + this.#sourcesPerQuery, sources.length);
      this.counters.sent.sourceQueries++;
      this.#sendQuery(group, group, suppress, this.config.lastMemberQueryIntervalMs, sources, from, to);
    }
  }

  #sendQuery(
    destination: IpAddress,
    group: IpAddress,
    suppress: boolean,
    maxRespMs: number,
    sources: readonly IpAddress[],
    from: number,
    to: number,
  ): void {
    if (this.#link.primary === undefined) return;
    const { version } = this.config;
    const { robustness, queryIntervalMs } = this.querier.timing;
    const query = { version, maxRespMs, group, suppress, robustness, queryIntervalMs };
    const length = encodeQuery(this.#out, query, sources, from, to);
    this.#output.send(this.#link.primary, destination, this.#out.subarray(0, length));
  }

  #drop(reason: DropReason, group?: IpAddress): void {
    this.counters.dropped[reason]++;
    this.#output.dropped(reason, this.#source, group);
  }
}

function checkOnly(): void {
  // the walk itself is the check
}
