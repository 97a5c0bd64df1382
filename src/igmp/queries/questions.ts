/**
 * What the leaves on an interface make the querier ask (igmp.md section 8.2), within its budget of queries: what finds no room
 * waits (query-queue.ts) and is asked about later. Until then its timers run on, so nobody loses a stream unasked.
 */
import type { IpAddress } from '../../base/ip.js';
import type { IgmpInterfaceConfig } from '../../config/types.js';
import type { Group, Source } from '../groups/group.js';
import {
  cancelQueries,
  groupIsToAsk,
  type LastMember,
  type QueryOutput,
  QuerySender,
  scheduleGroupQuery,
  scheduleSourceQuery,
  sourceIsToAsk,
  WAITING,
} from './group-queries.js';
import { lastMemberQueryTimeMs } from '../intervals.js';
import { QueryBudget } from '../groups/limits.js';
import { QueryQueue, waits } from './query-queue.js';

export interface QuestionsOutput extends QueryOutput {
  /** Timers of the group were lowered, and queries are due. */
  asked(group: Group): void;
  /** A leave found no room and waits. */
  delayed(group: Group): void;
}

/** How often the queue is looked at; the budget saves up for longer than that. */
const SERVE_EVERY_MS = 100;
/** Groups taken from the queue per turn of the event loop. */
const GROUPS_PER_TURN = 512;

export class Questions {
  readonly #output: QuestionsOutput;
  readonly #last: LastMember;
  readonly #sender: QuerySender;
  readonly #budget: QueryBudget;
  readonly #queue = new QueryQueue();
  /** Groups whose query waits for the end of the message. */
  readonly #asked: Group[] = [];
  #serveMs = 0;

  constructor(config: IgmpInterfaceConfig, output: QuestionsOutput) {
    const { lastMemberQueryIntervalMs: intervalMs, lastMemberQueryCount: count } = config;
    this.#output = output;
    this.#last = { intervalMs, count, timeMs: lastMemberQueryTimeMs(intervalMs, count) };
    this.#sender = new QuerySender(this.#last, output);
    this.#budget = new QueryBudget(config.maxQueriesPerSec, count);
  }

  /** Groups with leaves that wait. */
  get waiting(): number {
    return this.#queue.size;
  }

  get nextDeadlineMs(): number {
    return this.#queue.size === 0 ? Number.POSITIVE_INFINITY : this.#serveMs;
  }

  /** `host` left the group; the query goes out with `finish`. */
  askGroup(group: Group, host: IpAddress, nowMs: number): void {
    if (!groupIsToAsk(group, nowMs, this.#last)) return;
    if (this.#mayAsk(group, host, nowMs)) scheduleGroupQuery(group, nowMs, this.#last);
    else group.queriesLeft = WAITING;
  }

  askSource(group: Group, source: Source, host: IpAddress, nowMs: number): void {
    if (!sourceIsToAsk(source, nowMs, this.#last)) return;
    if (this.#mayAsk(group, host, nowMs)) scheduleSourceQuery(source, nowMs, this.#last);
    else source.queriesLeft = WAITING;
  }

  /** After every message: sends what its leaves asked for, once per group. */
  finish(nowMs: number): void {
    for (const group of this.#asked) {
      if (!group.queryAsked) continue;
      group.queryAsked = false;
      this.#sender.send(group, nowMs);
      this.#output.asked(group);
    }
    this.#asked.length = 0;
  }

  /** Sends what is due of a group. */
  resend(group: Group, nowMs: number): void {
    this.#sender.send(group, nowMs);
  }

  /** Asks about what waits, as far as the budget goes. */
  timeout(nowMs: number): void {
    if (this.nextDeadlineMs > nowMs) return;
    let left = GROUPS_PER_TURN;
    while (this.#queue.size > 0 && left > 0 && this.#budget.take(nowMs)) {
      left--;
      this.#askLate(this.#queue.shift()!, nowMs);
    }
    this.finish(nowMs);
    this.#serveMs = left === 0 ? nowMs : nowMs + SERVE_EVERY_MS;
  }

  /** A record was applied: a report answers the leaves that wait. */
  applied(group: Group): void {
    if (this.#queue.size > 0 && !waits(group)) this.#queue.delete(group);
  }

  /** Leaves of v1 groups are ignored. */
  cancel(group: Group): void {
    cancelQueries(group);
    this.#queue.delete(group);
  }

  /** The group is gone. */
  forget(group: Group): void {
    group.queryAsked = false;
    this.#queue.delete(group);
  }

  /** There is no address to ask from: what waits stays as it is. */
  stop(): void {
    for (let group = this.#queue.shift(); group !== undefined; group = this.#queue.shift()) cancelQueries(group);
  }

  clear(): void {
    this.#queue.clear();
    this.#asked.length = 0;
  }

  /** Once per message and group: what a message asks about goes out together. Nobody overtakes those that wait. */
  #mayAsk(group: Group, host: IpAddress, nowMs: number): boolean {
    if (group.queryAsked) return true;
    if (this.#queue.size === 0 && this.#budget.take(nowMs)) {
      this.#markAsked(group);
      return true;
    }
    if (this.#queue.size === 0) this.#serveMs = nowMs + SERVE_EVERY_MS;
    if (this.#queue.add(group, host)) this.#output.delayed(group);
    return false;
  }

  #markAsked(group: Group): void {
    group.queryAsked = true;
    this.#asked.push(group);
  }

  /** What was lowered meanwhile by another router's query is not asked about again. */
  #askLate(group: Group, nowMs: number): void {
    if (group.queriesLeft === WAITING) {
      group.queriesLeft = 0;
      if (groupIsToAsk(group, nowMs, this.#last)) scheduleGroupQuery(group, nowMs, this.#last);
    }
    if (group.sources !== undefined)
      for (const source of group.sources.values()) {
        if (source.queriesLeft !== WAITING) continue;
        source.queriesLeft = 0;
        if (sourceIsToAsk(source, nowMs, this.#last)) scheduleSourceQuery(source, nowMs, this.#last);
      }
    this.#markAsked(group);
  }
}
