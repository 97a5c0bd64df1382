/** Runs the querier table (querier-fsm.ts) on one interface: timers as expiry times, adoption, the remembered querier. */
import { ANY4, type IpAddress, isAny } from '../../base/ip.js';
import type { IgmpInterfaceConfig } from '../../config/types.js';
import { bounded, lastMemberQueryTimeMs, otherQuerierPresentIntervalMs, type Timing } from '../intervals.js';
import { type KnownQuerier, OtherQueriers } from './other-queriers.js';
import type { Query } from '../wire/packet.js';
import { QUERIER, type QuerierEffect, type QuerierEvent, type Role } from './querier-fsm.js';

const NEVER = Number.POSITIVE_INFINITY;

/** Extra queries are so far apart from any other. */
const EXTRA_QUERY_PAUSE_MS = 5000;

export interface QuerierOutput {
  sendGeneralQuery(): void;
  /** The startup queries begin: hosts are being asked who had never been. */
  started(nowMs: number): void;
  querierLost(to: IpAddress, version: number): void;
  querierGained(): void;
  /** A router below us asks for longer times than are believed. */
  longTimes(from: IpAddress, robustness: number, queryIntervalMs: number): void;
}

/** Another router that asks hosts, as the next process of this one needs to know it. */
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
  #own: IpAddress = ANY4;
  #startupLeft = 0;
  #extraDueMs = NEVER;
  #lastQueryMs = Number.NEGATIVE_INFINITY;
  #resumed: QueriesLeft | undefined;
  #previous: { readonly querier: IpAddress; readonly untilMs: number } | undefined;
  readonly #others = new OtherQueriers();
  readonly #config: IgmpInterfaceConfig;
  readonly #output: QuerierOutput;

  /** The other router's address while it is querier. */
  querier: IpAddress | undefined;
  /** The version it speaks. */
  querierVersion: 1 | 2 | 3 | undefined;
  /** Configured, or adopted while another router is querier. */
  timing: Timing;
  queryDueMs = NEVER;

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
    return Math.min(this.queryDueMs, this.#extraDueMs, this.#others.best?.expiryMs ?? NEVER);
  }

  /** When all routers that keep us silent are silent themselves. */
  get otherQuerierExpiryMs(): number {
    return this.#others.lastExpiryMs;
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
    const { version, robustness, queryIntervalMs } = query;
    this.#heard(nowMs, { address: source, version, robustness, queryIntervalMs, expiresInMs: NEVER });
  }

  others(nowMs: number): readonly OtherQuerier[] {
    return this.#others.all.map(({ address, version, timing: { robustness, queryIntervalMs }, expiryMs }) => {
      return { address, version, robustness, queryIntervalMs, expiresInMs: expiryMs - nowMs };
    });
  }

  /** The process before this one knew another querier: it is that still, as long as it would have been then. */
  recall(nowMs: number, other: OtherQuerier): void {
    this.#heard(nowMs, other);
  }

  #heard(nowMs: number, other: OtherQuerier): void {
    const { address, version, expiresInMs } = other;
    if (this.#role === 'down' || address >= this.#own) return;
    const said = this.#timingOf(other);
    const timing = bounded(said, this.#config);
    if (timing.queryIntervalMs < said.queryIntervalMs)
      this.#output.longTimes(address, said.robustness, said.queryIntervalMs);
    const expiryMs = nowMs + Math.min(expiresInMs, otherQuerierPresentIntervalMs(timing));
    this.#others.forgetSilent(nowMs);
    this.#others.heard({ address, version, timing, expiryMs }, nowMs);
    this.#handle('other-querier', nowMs);
  }

  /** QRV and QQIC of a querier count; what it does not say is as configured (RFC 9776 sections 4.1.6 and 4.1.7). */
  #timingOf({ robustness, queryIntervalMs }: OtherQuerier): Timing {
    return {
      robustness: robustness || this.#config.robustness,
      queryIntervalMs: queryIntervalMs || this.#config.queryIntervalMs,
      queryResponseIntervalMs: this.#config.queryResponseIntervalMs,
    };
  }

  /**
   * Whether specific queries of this router count where strangers' do not: it is the querier, or was until LMQT ago and
   * finishes its questions (igmp.md section 8.3).
   */
  mayAsk(nowMs: number, router: IpAddress): boolean {
    if (router === this.querier) return true;
    return this.#previous?.querier === router && nowMs <= this.#previous.untilMs;
  }

  /** Hosts are to be asked beside the regular times: at once, or soon if they have just been. */
  askSoon(nowMs: number): void {
    if (this.#role !== 'querier') return;
    this.#extraDueMs = Math.max(nowMs, this.#lastQueryMs + EXTRA_QUERY_PAUSE_MS);
    this.#askExtra(nowMs);
  }

  #askExtra(nowMs: number): void {
    if (this.#extraDueMs > nowMs) return;
    this.#extraDueMs = NEVER;
    this.#handle('extra-query', nowMs);
  }

  timeout(nowMs: number): void {
    if ((this.#others.best?.expiryMs ?? NEVER) <= nowMs) {
      this.#others.forgetSilent(nowMs);
      this.#handle(this.#others.best ? 'best-silent' : 'all-silent', nowMs);
    }
    if (this.queryDueMs <= nowMs) this.#handle('query-timer', nowMs);
    this.#askExtra(nowMs);
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
        this.#startupLeft = Math.min(this.#resumed?.startupLeft ?? 0, this.#config.startupQueryCount);
        this.queryDueMs = this.#nowMs + Math.min(this.#resumed?.queryDueInMs ?? 0, this.#config.queryIntervalMs);
        return;
      case 'restore-variables':
        this.timing = this.#config;
        return this.#setQuerier(undefined);
      case 'adopt-variables':
        return this.#adopt(this.#others.best!);
      case 'send-general-query':
        this.#lastQueryMs = this.#nowMs;
        this.#extraDueMs = NEVER;
        return this.#output.sendGeneralQuery();
      case 'start-query-timer':
        return this.#startQueryTimer();
      case 'stop-query-timer':
        this.queryDueMs = NEVER;
        this.#extraDueMs = NEVER;
        this.#startupLeft = 0;
        return;
      case 'forget-other-queriers':
        return this.#others.clear();
      case 'tell-lost':
        return this.#output.querierLost(this.querier!, this.querierVersion!);
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

  #adopt({ address, version, timing }: KnownQuerier): void {
    this.#setQuerier(address);
    this.querierVersion = version;
    this.timing = timing;
  }
}
