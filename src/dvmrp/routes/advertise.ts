/**
 * Which Reports go out, and when (dvmrp.md section 6.4): all routes once per report interval, a part of them every 5 s;
 * changed routes in flash updates that are at least 5 s apart; everything to a neighbour that is new; everything as unreachable
 * at the end (dvmrp.md section 7.7). Interfaces without neighbours hear nothing. Whatever is long goes out in parts, between other work.
 */
import type { IpAddress, Prefix } from '../../base/ip.js';
import type { Ifindex } from '../../port/kernel.js';
import { FLASH_INTERVAL_MS, reportSlots } from '../intervals.js';
import { ALL_DVMRP_ROUTERS } from '../reception.js';
import type { Losses } from './losses.js';
import { compareRoutes, INFINITY, ReportWriter } from '../wire/report.js';
import type { Route } from './route.js';
import { advertisedMetric, OMIT, type RouteInterface } from './route-interface.js';
import type { RouteStore } from './route-store.js';
import { Telling, withdrawnMetric } from './telling.js';

const NEVER = Number.POSITIVE_INFINITY;

/** Routes told per turn of the event loop, on every interface. */
const ROUTES_PER_TURN = 1024;
/** And of what is told on one interface. */
const TOLD_PER_TURN = 2048;
/** Changed routes put in order per turn; a flash update of more begins anew with the next of them. */
const SORTED_PER_TURN = 8192;

export interface ReportOutput {
  /** `message` is good until the call returns. */
  sendReport(ifindex: Ifindex, to: IpAddress, message: Uint8Array): void;
}

export interface AdvertiseConfig {
  readonly reportIntervalMs: number;
  /** Octets of a Report behind its header. */
  readonly bodyLimit: number;
}

/** Where the round of full Reports is. */
export interface Round {
  /** Parts that have been sent. */
  readonly part: number;
  /** The last route told. */
  readonly upTo: Prefix | undefined;
  readonly done: boolean;
  /** When the next part is. */
  readonly dueMs: number;
}

/** What it tells of, and where. */
export interface Told {
  readonly store: RouteStore;
  readonly losses: Losses;
  readonly interfaces: ReadonlyMap<Ifindex, RouteInterface>;
}

export class Advertiser {
  readonly #store: RouteStore;
  readonly #losses: Losses;
  readonly #interfaces: ReadonlyMap<Ifindex, RouteInterface>;
  readonly #slots: number;
  readonly #writer: ReportWriter;
  /** Where the writer's messages go. */
  #ifindex = 0 as Ifindex;
  #to: IpAddress = ALL_DVMRP_ROUTERS;
  #changed: Route[] = [];
  /** What the running flash update still has to tell. */
  #telling: Route[] = [];
  /** So many of `#changed` are of the running flash update, and not in `#telling` yet. */
  #uncollected = 0;
  /** Of the round, per interface. */
  #parts: Telling[] = [];
  /** Farewells by interface. */
  readonly #withdrawals = new Map<Ifindex, Telling>();
  /** Whole tables by neighbour; who starts again while it is told gets it from its start. */
  readonly #tables = new Map<string, Telling>();
  /** Parts of the running round that have been sent; a round begins when they are `#slots`. */
  #slot = 0;
  /** The last route told in the running round. */
  #toldUpTo: Prefix | undefined;
  #roundDone = false;
  #lastFlashMs = -NEVER;
  /** What changes now is not told: neighbours know it from an earlier life of ours. */
  silent = false;
  flashDueMs = NEVER;
  slotDueMs = NEVER;

  constructor(config: AdvertiseConfig, { store, losses, interfaces }: Told, output: ReportOutput) {
    this.#store = store;
    this.#losses = losses;
    this.#interfaces = interfaces;
    this.#slots = reportSlots(config.reportIntervalMs);
    this.#writer = new ReportWriter((message) => output.sendReport(this.#ifindex, this.#to, message), config.bodyLimit);
  }

  /** Something long is on its way. */
  get isTelling(): boolean {
    return this.#parts.length + this.#withdrawals.size + this.#tables.size > 0;
  }

  get nextDeadlineMs(): number {
    return Math.min(this.flashDueMs, this.slotDueMs);
  }

  start(nowMs: number): void {
    this.slotDueMs = nowMs + FLASH_INTERVAL_MS;
  }

  get round(): Round {
    return { part: this.#slot, upTo: this.#toldUpTo, done: this.#roundDone, dueMs: this.slotDueMs };
  }

  /** The round goes on where it was: nobody waits longer for a route than they would have. */
  goOn({ part, upTo, done, dueMs }: Round, nowMs: number): void {
    this.#slot = part;
    this.#toldUpTo = upTo;
    this.#roundDone = done;
    this.slotDueMs = Math.min(Math.max(dueMs, nowMs), nowMs + FLASH_INTERVAL_MS);
  }

  /** Nothing is sent by itself any more. */
  stop(): void {
    this.slotDueMs = NEVER;
    this.flashDueMs = NEVER;
    this.#telling = [];
    this.#parts = [];
    this.#tables.clear();
    this.#clearChanged();
  }

  /** The route goes into the next flash update. */
  changed(route: Route, nowMs: number): void {
    if (this.silent) return;
    this.flashSoon(nowMs);
    if (route.changed || this.flashDueMs === NEVER) return;
    route.changed = true;
    this.#changed.push(route);
  }

  /** At once, or 5 s after the last one. */
  flashSoon(nowMs: number): void {
    if (this.slotDueMs === NEVER) return;
    this.flashDueMs = Math.min(this.flashDueMs, Math.max(nowMs, this.#lastFlashMs + FLASH_INTERVAL_MS));
  }

  timeout(nowMs: number): void {
    if (this.isTelling) this.#tellMore();
    // Sorting what has changed is enough for a turn.
    if (this.flashDueMs <= nowMs) return this.#flash(nowMs);
    if (this.slotDueMs > nowMs) return;
    this.slotDueMs += FLASH_INTERVAL_MS;
    if (this.slotDueMs <= nowMs) this.slotDueMs = nowMs + FLASH_INTERVAL_MS;
    this.#nextPart();
    if (this.#parts.length > 0) this.#tellMore();
  }

  /** All routes to one neighbour. */
  sendTable(on: RouteInterface, address: IpAddress): void {
    const isFirst = !this.isTelling;
    const subject = `${on.ifindex} ${address}`;
    const to = on.config.pointToPoint ? ALL_DVMRP_ROUTERS : address;
    this.#tables.delete(subject);
    this.#tables.set(subject, new Telling(on, to, this.#store.sorted()));
    if (isFirst) this.#tellMore();
  }

  /** All routes as unreachable, those we depend on others for too. */
  withdraw(on: RouteInterface): void {
    if (on.peers.size === 0) return;
    const isFirst = !this.isTelling;
    this.#withdrawals.set(on.ifindex, new Telling(on, ALL_DVMRP_ROUTERS, this.#store.sorted(), withdrawnMetric));
    if (isFirst) this.#tellMore();
  }

  /** Whether a farewell is on its way there; without an interface, anywhere. */
  isWithdrawing(ifindex?: Ifindex): boolean {
    return ifindex === undefined ? this.#withdrawals.size > 0 : this.#withdrawals.has(ifindex);
  }

  /** The interface is in use again, and another life of it has begun there. */
  begin(on: RouteInterface): void {
    this.#withdrawals.delete(on.ifindex);
  }

  /** The round first, so that nobody waits too long for a route; then farewells, then tables. */
  #tellMore(): void {
    let left = TOLD_PER_TURN;
    for (let next = this.#next(); next && left > 0; next = this.#next()) {
      const part = next.take(left);
      left -= Math.max(1, part.length);
      this.#tell(next.on, part, next.to, next.metricOf);
    }
  }

  /** Those that are done, or that nobody hears any more, are dropped. */
  #next(): Telling | undefined {
    for (const part of this.#parts) {
      if (!part.isDone && this.#isHeard(part)) return part;
      this.#parts = this.#parts.slice(1);
    }
    for (const [ifindex, farewell] of this.#withdrawals) {
      if (!farewell.isDone) return farewell;
      this.#withdrawals.delete(ifindex);
    }
    for (const [subject, table] of this.#tables) {
      if (!table.isDone && this.#isHeard(table)) return table;
      this.#tables.delete(subject);
    }
    return undefined;
  }

  #isHeard({ on, to }: Telling): boolean {
    if (this.#interfaces.get(on.ifindex) !== on) return false;
    return to === ALL_DVMRP_ROUTERS ? on.peers.size > 0 : on.peers.has(to);
  }

  #flash(nowMs: number): void {
    if (this.#telling.length === 0) this.#collect(nowMs);
    const part = this.#telling.splice(0, ROUTES_PER_TURN);
    const isDone = this.#telling.length === 0;
    for (const on of this.#interfaces.values()) {
      if (on.peers.size > 0) this.#tell(on, part, ALL_DVMRP_ROUTERS);
      if (!isDone) continue;
      if (on.peers.size > 0) this.#takeBack(on);
      on.withdrawn.clear();
    }
    // The rest in the next turn; what changed meanwhile is for the next flash update.
    this.flashDueMs = isDone && this.#uncollected === 0 ? NEVER : nowMs;
    if (this.flashDueMs === NEVER && this.#changed.length > 0) this.flashSoon(nowMs);
  }

  #collect(nowMs: number): void {
    if (this.#uncollected === 0) {
      this.#lastFlashMs = nowMs;
      this.#uncollected = this.#changed.length;
    }
    const some = this.#changed.splice(0, Math.min(this.#uncollected, SORTED_PER_TURN));
    this.#uncollected -= some.length;
    // Those that are gone have told their end for long enough.
    this.#telling = this.#store.inOrder(some.filter((route) => route.changed));
    for (const route of some) route.changed = false;
  }

  #clearChanged(): void {
    for (const route of this.#changed) route.changed = false;
    this.#changed = [];
    this.#uncollected = 0;
  }

  /** What a filter has come to forbid. */
  #takeBack(on: RouteInterface): void {
    if (on.withdrawn.size === 0) return;
    this.#open(on, ALL_DVMRP_ROUTERS);
    for (const route of [...on.withdrawn].sort(compareRoutes))
      if (advertisedMetric(route, on) === OMIT) this.#add(route, INFINITY);
    this.#writer.flush();
  }

  /** The next part of the full table, in a round that takes one report interval. */
  #nextPart(): void {
    if (this.#slot >= this.#slots && this.#roundDone) {
      this.#slot = 0;
      this.#toldUpTo = undefined;
      this.#roundDone = false;
    }
    this.#slot++;
    if (this.#roundDone) return;
    const routes = this.#store.sorted();
    const from = this.#toldUpTo === undefined ? 0 : firstBehind(routes, this.#toldUpTo);
    const part = routes.slice(from, from + Math.ceil(routes.length / this.#slots));
    this.#roundDone = from + part.length >= routes.length;
    if (part.length === 0) return;
    this.#toldUpTo = part.at(-1);
    for (const on of this.#interfaces.values())
      if (on.peers.size > 0) this.#parts.push(new Telling(on, ALL_DVMRP_ROUTERS, part));
  }

  #tell(on: RouteInterface, routes: readonly Route[], to: IpAddress, metricOf = advertisedMetric): void {
    this.#open(on, to);
    for (const route of routes) {
      if (!this.#store.has(route)) continue;
      this.#losses.apply(route);
      const metric = metricOf(route, on);
      if (metric !== OMIT) this.#add(route, metric);
    }
    this.#writer.flush();
  }

  #open(on: RouteInterface, to: IpAddress): void {
    this.#ifindex = on.ifindex;
    this.#to = to;
  }

  #add(route: Route, metric: number): void {
    this.#writer.add(route.network, route.length, metric);
  }
}

/** Index of the first route that comes after `last` in the order of `routes`. */
function firstBehind(routes: readonly Route[], last: Prefix): number {
  let from = 0;
  let to = routes.length;
  while (from < to) {
    const middle = (from + to) >> 1;
    if (compareRoutes(routes[middle]!, last) <= 0) from = middle + 1;
    else to = middle;
  }
  return from;
}
