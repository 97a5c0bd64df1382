/** Runs the querier table (querier-fsm.ts) on one interface: timers as expiry times, adoption, the remembered querier. */
import { ANY4, type IpAddress, isAny } from '../base/ip.js';
import type { IgmpInterfaceConfig } from '../config/types.js';
import { lastMemberQueryTimeMs, otherQuerierPresentIntervalMs, type Timing } from './intervals.js';
import type { Query } from './packet.js';
import { QUERIER, type QuerierEffect, type QuerierEvent, type Role } from './querier-fsm.js';

const NEVER = Number.POSITIVE_INFINITY;

export interface QuerierOutput {
  sendGeneralQuery(): void;
  /** The startup queries begin: hosts are being asked who had never been. */
  started(nowMs: number): void;
  querierLost(to: IpAddress, version: number): void;
  querierGained(): void;
}

/** Another router that is querier, as the next process of this one needs to know it. */
export interface OtherQuerier {
  readonly address: IpAddress;
  readonly version: 1 | 2 | 3;
  /** What it said in its queries; 0: nothing. */
  readonly robustness: number;
  readonly queryIntervalMs: number;
  /** Until it counts as silent. */
  readonly expiresInMs: number;
}

/** General queries that the process before this one had still to send. */
export interface QueriesLeft {
  readonly startupLeft: number;
  readonly queryDueInMs: number;
}

export class Querier {
  #role: Role = 'down';
  #nowMs = 0;
  #heard: { readonly source: IpAddress; readonly query: Query } | undefined;
  #own: IpAddress = ANY4;
  #startupLeft = 0;
  #resumed: QueriesLeft | undefined;
  #previous: { readonly querier: IpAddress; readonly untilMs: number } | undefined;
  readonly #config: IgmpInterfaceConfig;
  readonly #output: QuerierOutput;

  /** The other router's address while it is querier. */
  querier: IpAddress | undefined;
  /** The version it speaks. */
  querierVersion: 1 | 2 | 3 | undefined;
  /** Configured, or adopted while another router is querier. */
  timing: Timing;
  queryDueMs = NEVER;
  otherQuerierExpiryMs = NEVER;

  constructor(config: IgmpInterfaceConfig, output: QuerierOutput) {
    this.#config = config;
    this.#output = output;
    this.timing = config;
  }

  get role(): Role {
    return this.#role;
  }

  /** Startup queries still to be sent. */
  get startupLeft(): number {
    return this.#startupLeft;
  }

  get nextDeadlineMs(): number {
    return Math.min(this.queryDueMs, this.otherQuerierExpiryMs);
  }

  /** The address queries are sent from; undefined stops the router side until there is one. */
  setAddress(nowMs: number, address: IpAddress | undefined): void {
    const before = this.#own;
    this.#own = address ?? ANY4;
    if (this.#own === before) return;
    if (isAny(this.#own)) this.#handle('stop', nowMs);
    else this.#handle(isAny(before) ? (this.#resumed ? 'resume' : 'start') : 'address-changed', nowMs);
    this.#resumed = undefined;
  }

  /** The first start goes on with the queries of the process before this one. */
  resume(queries: QueriesLeft): void {
    this.#resumed = queries;
  }

  /** A General Query from another router of the link (igmp.md section 10.1). */
  heardGeneralQuery(nowMs: number, source: IpAddress, query: Query): void {
    if (source >= this.#own) return;
    this.#heard = { source, query };
    const worse = this.querier !== undefined && source > this.querier;
    this.#handle(worse ? 'worse-querier' : 'better-querier', nowMs);
    this.#heard = undefined;
  }

  other(nowMs: number): OtherQuerier | undefined {
    const { querier: address, querierVersion: version, timing, otherQuerierExpiryMs } = this;
    if (address === undefined || version === undefined) return undefined;
    const { robustness, queryIntervalMs } = timing;
    return { address, version, robustness, queryIntervalMs, expiresInMs: otherQuerierExpiryMs - nowMs };
  }

  /** The process before this one knew another querier: it is that still, as long as it would have been then. */
  recall(nowMs: number, { address, version, robustness, queryIntervalMs, expiresInMs }: OtherQuerier): void {
    const unsaid = { maxRespMs: 0, group: ANY4, suppress: false, sourcesAt: 0, sourceCount: 0 };
    this.heardGeneralQuery(nowMs, address, { version, robustness, queryIntervalMs, ...unsaid });
    this.otherQuerierExpiryMs = Math.min(this.otherQuerierExpiryMs, nowMs + expiresInMs);
  }

  /**
   * Whether specific queries of this router count where strangers' do not: it is the querier, or was until LMQT ago and
   * finishes its questions (igmp.md section 8.3).
   */
  mayAsk(nowMs: number, router: IpAddress): boolean {
    if (router === this.querier) return true;
    return this.#previous?.querier === router && nowMs <= this.#previous.untilMs;
  }

  timeout(nowMs: number): void {
    if (this.otherQuerierExpiryMs <= nowMs) this.#handle('other-querier-timer', nowMs);
    if (this.queryDueMs <= nowMs) this.#handle('query-timer', nowMs);
  }

  #handle(event: QuerierEvent, nowMs: number): void {
    const step = QUERIER[this.#role][event];
    if (!step) return;
    this.#role = step.next;
    this.#nowMs = nowMs;
    for (const effect of step.effects) this.#run(effect);
  }

  #run(effect: QuerierEffect): void {
    switch (effect) {
      case 'begin-startup':
        this.#startupLeft = this.#config.startupQueryCount;
        return this.#output.started(this.#nowMs);
      case 'resume-queries':
        this.#startupLeft = this.#resumed?.startupLeft ?? 0;
        this.queryDueMs = this.#nowMs + Math.min(this.#resumed?.queryDueInMs ?? 0, this.#config.queryIntervalMs);
        return;
      case 'restore-variables':
        this.timing = this.#config;
        return this.#setQuerier(undefined);
      case 'adopt-variables':
        return this.#adopt();
      case 'send-general-query':
        return this.#output.sendGeneralQuery();
      case 'start-query-timer':
        return this.#startQueryTimer();
      case 'stop-query-timer':
        this.queryDueMs = NEVER;
        this.#startupLeft = 0;
        return;
      case 'start-other-querier-timer':
        this.otherQuerierExpiryMs = this.#nowMs + otherQuerierPresentIntervalMs(this.timing);
        return;
      case 'stop-other-querier-timer':
        this.otherQuerierExpiryMs = NEVER;
        return;
      case 'tell-lost':
        return this.#output.querierLost(this.#heard!.source, this.#heard!.query.version);
      case 'tell-gained':
        return this.#output.querierGained();
      default:
        return effect satisfies never;
    }
  }

  /** Startup queries are SQI apart, those after them QI (RFC 9776 sections 8.6 and 8.7). */
  #startQueryTimer(): void {
    if (this.#startupLeft > 0) this.#startupLeft--;
    const waitMs = this.#startupLeft > 0 ? this.#config.startupQueryIntervalMs : this.#config.queryIntervalMs;
    this.queryDueMs = this.#nowMs + waitMs;
  }

  #setQuerier(querier: IpAddress | undefined): void {
    const before = this.querier;
    if (before === querier) return;
    const { lastMemberQueryIntervalMs, lastMemberQueryCount } = this.#config;
    const untilMs = this.#nowMs + lastMemberQueryTimeMs(lastMemberQueryIntervalMs, lastMemberQueryCount);
    this.#previous = before === undefined ? undefined : { querier: before, untilMs };
    this.querier = querier;
    this.querierVersion = undefined;
  }

  /** QRV and QQIC of the querier count; what it does not say is as configured (RFC 9776 sections 4.1.6 and 4.1.7). */
  #adopt(): void {
    const { source, query } = this.#heard!;
    this.#setQuerier(source);
    this.querierVersion = query.version;
    this.timing = {
      robustness: query.robustness || this.#config.robustness,
      queryIntervalMs: query.queryIntervalMs || this.#config.queryIntervalMs,
      queryResponseIntervalMs: this.#config.queryResponseIntervalMs,
    };
  }
}
