/**
 * Group-specific and group-and-source-specific queries with their retransmissions (igmp.md section 8.2; RFC 9776
 * section 6.6.3). A leave asks at once for what it concerns; what was already pending keeps its own rhythm, so one
 * retransmission clock per group is enough and nothing is sent twice in one tick.
 */
import type { IpAddress } from '../base/ip.js';
import type { Group, Source } from './group.js';

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
}

/** The same for one source of Q(G,A). */
export function sourceIsToAsk(source: Source, nowMs: number, last: LastMember): boolean {
  return source.expiryMs - nowMs > last.timeMs;
}

export function scheduleSourceQuery(source: Source, nowMs: number, last: LastMember): void {
  source.expiryMs = nowMs + last.timeMs;
  source.queriesLeft = last.count;
}

/** Drops what is pending: in v1 mode leaves are ignored and queries pointless. */
export function cancelQueries(group: Group): void {
  group.nextQueryMs = 0;
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

  /** The transmission right after a leave: only what was never sent, which still has its full count. */
  sendNew(group: Group, nowMs: number): void {
    this.#send(group, nowMs, this.#last.count);
    if (group.nextQueryMs === 0) this.#rearm(group, nowMs);
  }

  /** A tick of the retransmission clock: everything that has transmissions left. */
  resend(group: Group, nowMs: number): void {
    this.#send(group, nowMs, 0);
    this.#rearm(group, nowMs);
  }

  /** S = 1 when somebody answered meanwhile: timers are not to be lowered again. */
  #send(group: Group, nowMs: number, atLeast: number): void {
    const { timeMs } = this.#last;
    const askGroup = group.queriesLeft > 0 && group.queriesLeft >= atLeast;
    if (askGroup) {
      group.queriesLeft--;
      this.#output.sendGroupQuery(group.address, group.timerMs - nowMs > timeMs);
    }
    if (group.sources === undefined) return;
    this.#collect(group.sources, nowMs, atLeast);
    // Q(G) asks for the answered ones as well, so the message with S = 1 can be spared.
    if (this.#answered.length > 0 && !askGroup) this.#output.sendSourceQuery(group.address, this.#answered, true);
    if (this.#unanswered.length > 0) this.#output.sendSourceQuery(group.address, this.#unanswered, false);
  }

  #collect(sources: ReadonlyMap<IpAddress, Source>, nowMs: number, atLeast: number): void {
    this.#answered.length = 0;
    this.#unanswered.length = 0;
    for (const source of sources.values()) {
      if (source.queriesLeft === 0 || source.queriesLeft < atLeast) continue;
      source.queriesLeft--;
      (source.expiryMs - nowMs > this.#last.timeMs ? this.#answered : this.#unanswered).push(source.address);
    }
  }

  #rearm(group: Group, nowMs: number): void {
    group.nextQueryMs = queriesPending(group) ? nowMs + this.#last.intervalMs : 0;
  }
}

function queriesPending(group: Group): boolean {
  if (group.queriesLeft > 0) return true;
  if (group.sources !== undefined) for (const source of group.sources.values()) if (source.queriesLeft > 0) return true;
  return false;
}
