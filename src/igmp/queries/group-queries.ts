/**
 * Group-specific and group-and-source-specific queries with their retransmissions (igmp.md section 8.2; RFC 9776
 * section 6.6.3). Q(G), and Q(G,S) of each source, has a due time of its own, so that what is pending neither hastens nor
 * delays what comes later; what is due in the same tick goes out together.
 */
import type { IpAddress } from '../../base/ip.js';
import type { Group, Source } from '../groups/group.js';

/** LMQI, LMQC and their product. */
export interface LastMember {
  readonly intervalMs: number;
  readonly count: number;
  readonly timeMs: number;
}

export interface QueryOutput {
  sendGroupQuery(group: IpAddress, suppress: boolean): void;
  sendSourceQuery(group: IpAddress, sources: readonly IpAddress[], suppress: boolean): void;
}

/** The transmissions left of a question that waits for the budget of queries (query-queue.ts): none was sent yet. */
export const WAITING = -1;

/**
 * Whether a leave would lower the group timer. False when it is at LMQT already: a query is pending or the group is about to
 * expire, and a second leave restarts nothing.
 */
export function groupIsToAsk(group: Group, nowMs: number, last: LastMember): boolean {
  return group.mode === 'exclude' && group.timerMs - nowMs > last.timeMs;
}

/** Schedules Q(G): the group timer is lowered to LMQT. */
export function scheduleGroupQuery(group: Group, nowMs: number, last: LastMember): void {
  group.timerMs = nowMs + last.timeMs;
  group.queriesLeft = last.count;
  group.nextQueryMs = nowMs;
}

/** The same for one source of Q(G,A). */
export function sourceIsToAsk(source: Source, nowMs: number, last: LastMember): boolean {
  return source.expiryMs - nowMs > last.timeMs;
}

export function scheduleSourceQuery(source: Source, nowMs: number, last: LastMember): void {
  source.expiryMs = nowMs + last.timeMs;
  source.queriesLeft = last.count;
  source.nextQueryMs = nowMs;
}

/** Drops what is pending: in v1 mode leaves are ignored and queries pointless. */
export function cancelQueries(group: Group): void {
  group.queriesLeft = 0;
  group.queryAsked = false;
  if (group.sources !== undefined) for (const source of group.sources.values()) source.queriesLeft = 0;
}

export class QuerySender {
  readonly #last: LastMember;
  readonly #output: QueryOutput;
  readonly #answered: IpAddress[] = [];
  readonly #unanswered: IpAddress[] = [];

  constructor(last: LastMember, output: QueryOutput) {
    this.#last = last;
    this.#output = output;
  }

  /** Sends what is due. S = 1 when somebody answered meanwhile: timers are not to be lowered again. */
  send(group: Group, nowMs: number): void {
    const { timeMs, intervalMs } = this.#last;
    const askGroup = group.queriesLeft > 0 && group.nextQueryMs <= nowMs;
    if (askGroup) {
      group.queriesLeft--;
      group.nextQueryMs = nowMs + intervalMs;
      this.#output.sendGroupQuery(group.address, group.timerMs - nowMs > timeMs);
    }
    if (group.sources === undefined) return;
    this.#collect(group.sources, nowMs);
    // Q(G) asks for the answered ones as well, so the message with S = 1 can be spared.
    if (this.#answered.length > 0 && !askGroup) this.#output.sendSourceQuery(group.address, this.#answered, true);
    if (this.#unanswered.length > 0) this.#output.sendSourceQuery(group.address, this.#unanswered, false);
  }

  #collect(sources: ReadonlyMap<IpAddress, Source>, nowMs: number): void {
    const { timeMs, intervalMs } = this.#last;
    this.#answered.length = 0;
    this.#unanswered.length = 0;
    for (const source of sources.values()) {
      if (source.queriesLeft <= 0 || source.nextQueryMs > nowMs) continue;
      source.queriesLeft--;
      source.nextQueryMs = nowMs + intervalMs;
      (source.expiryMs - nowMs > timeMs ? this.#answered : this.#unanswered).push(source.address);
    }
  }
}
