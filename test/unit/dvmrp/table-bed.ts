/** A route table with three interfaces and their neighbours; Reports and events are written down as text. */
import { expect } from 'vitest';
import { formatIp, formatPrefix, ip, parsePrefix, type Prefix } from '../../../src/base/ip.js';
import { decodeHeader } from '../../../src/dvmrp/wire/header.js';
import { decodeReport, ReportEntries } from '../../../src/dvmrp/wire/report.js';
import type { Route } from '../../../src/dvmrp/routes/route.js';
import type { RouteInterfaceConfig } from '../../../src/dvmrp/routes/route-interface.js';
import { type Originated, RouteTable, type RouteTableConfig } from '../../../src/dvmrp/routes/route-table.js';
import type { Ifindex } from '../../../src/port/kernel.js';
import * as built from '../../support/dvmrp-builder.js';

export const A = 1 as Ifindex;
export const B = 2 as Ifindex;
export const C = 3 as Ifindex;
const NAMES = ['', 'A', 'B', 'C'];

/** Own addresses end in 5, so that neighbours have lower and higher ones: 10.100.0.0/24 on A, 10.101.0.0/24 on B, ... */
export const LAN = { A: '10.100.0', B: '10.101.0', C: '10.102.0' } as const;

export const TABLE: RouteTableConfig = {
  reportIntervalMs: 60_000,
  bodyLimit: 508,
  maxRoutes: 20_000,
  maxRoutesPerNeighbor: 10_000,
};
export const INTERFACE: RouteInterfaceConfig = {
  metric: 1,
  advertisedOffset: 0,
  filterIn: [],
  filterOut: [],
  pointToPoint: false,
};

export function prefix(text: string): Prefix {
  const parsed = parsePrefix(text);
  if (!parsed.ok) throw new Error(parsed.error);
  return parsed.value;
}

export interface SentReport {
  readonly atMs: number;
  readonly ifindex: Ifindex;
  readonly to: string;
  readonly routes: Readonly<Record<string, number>>;
}

export function readReport(message: Uint8Array): Record<string, number> {
  const entries = new ReportEntries();
  expect(decodeHeader(message).ok).toBe(true);
  expect(decodeReport(message, entries)).toBeUndefined();
  const routes: Record<string, number> = {};
  for (let n = 0; n < entries.count; n++)
    routes[formatPrefix({ network: entries.networks[n]!, length: entries.lengths[n]! })] = entries.metrics[n]!;
  return routes;
}

export interface BedOptions {
  readonly table?: Partial<RouteTableConfig>;
  readonly a?: Partial<RouteInterfaceConfig>;
  readonly b?: Partial<RouteInterfaceConfig>;
  readonly c?: Partial<RouteInterfaceConfig>;
}

export class TableBed {
  readonly table: RouteTable;
  readonly events: string[] = [];
  readonly sent: SentReport[] = [];
  nowMs = 0;

  constructor(options: BedOptions = {}) {
    const name = (ifindex: Ifindex | undefined) => (ifindex === undefined ? '-' : NAMES[ifindex]!);
    const say = (text: string) => void this.events.push(text);
    this.table = new RouteTable(
      { ...TABLE, ...options.table },
      {
        sendReport: (ifindex, to, message) =>
          void this.sent.push({ atMs: this.nowMs, ifindex, to: formatIp(to), routes: readReport(message) }),
        dependentAdded: (route, { ifindex, address }) =>
          say(`${formatPrefix(route)} dependent ${formatIp(address)} on ${name(ifindex)}`),
        dependentRemoved: (route, { ifindex, address }) =>
          say(`${formatPrefix(route)} no dependent ${formatIp(address)} on ${name(ifindex)}`),
        dfChanged: (route, ifindex, self) =>
          say(`${formatPrefix(route)} ${self ? 'DF' : 'not DF'} on ${name(ifindex)}`),
        routeChanged: (at, route) =>
          say(route ? `${formatPrefix(at)} ${this.way(route)}` : `${formatPrefix(at)} no way`),
        upstreamChanged: (route, before) => say(`${formatPrefix(route)} moved from ${name(before.iif)}`),
        lost: (route) => say(`${formatPrefix(route)} lost`),
        ignored: (reason, peer, network, length) =>
          say(`ignored ${reason} ${formatPrefix({ network, length })} of ${formatIp(peer.address)}`),
      },
    );
    this.table.start(0);
    this.up(A, options.a);
    this.up(B, options.b);
    this.up(C, options.c);
    for (const last of [2, 3, 8]) this.neighbor(A, last);
    for (const last of [2, 8]) this.neighbor(B, last);
    this.neighbor(C, 8);
    this.events.length = 0;
  }

  up(ifindex: Ifindex, config: Partial<RouteInterfaceConfig> = {}, subnets: readonly string[] = []): void {
    const lan = this.lan(ifindex);
    const all = [`${lan}.0/24`, ...subnets].map(prefix);
    this.table.interfaceUp(this.nowMs, ifindex, ip(`${lan}.5`), all, { ...INTERFACE, ...config });
  }

  down(ifindex: Ifindex): void {
    this.table.interfaceDown(this.nowMs, ifindex);
  }

  neighbor(ifindex: Ifindex, last: number): void {
    this.table.peerUp(ifindex, ip(`${this.lan(ifindex)}.${last}`));
  }

  /** dvmrp.md section 5.2, as the module does it. */
  lose(ifindex: Ifindex, last: number): void {
    const address = ip(`${this.lan(ifindex)}.${last}`);
    this.table.loseRoutes(this.nowMs, ifindex, address);
    this.table.reelectWithout(ifindex, address);
    this.table.dropDependencies(ifindex, address);
    this.table.peerDown(ifindex, address);
  }

  /** A Report of the neighbour whose address ends in `last`. */
  hear(ifindex: Ifindex, last: number, routes: Readonly<Record<string, number>>): boolean {
    const entries = new ReportEntries();
    expect(decodeReport(built.report(Object.entries(routes)), entries)).toBeUndefined();
    return this.table.heardReport(this.nowMs, ifindex, ip(`${this.lan(ifindex)}.${last}`), entries);
  }

  originate(routes: Readonly<Record<string, number>>): void {
    const list: Originated[] = Object.entries(routes).map(([text, metric]) => ({ ...prefix(text), metric }));
    this.table.originate(this.nowMs, list);
  }

  advance(ms: number): void {
    const untilMs = this.nowMs + ms;
    for (let dueMs = this.table.nextDeadlineMs; dueMs <= untilMs; dueMs = this.table.nextDeadlineMs) {
      this.nowMs = Math.max(this.nowMs, dueMs);
      this.table.timeout(this.nowMs);
    }
    this.nowMs = untilMs;
  }

  route(text: string): Route | undefined {
    return this.table.get(prefix(text));
  }

  /** "A .2 metric 3", "A connected metric 1", "hold", "none". */
  way(at: string | Route): string {
    const route = typeof at === 'string' ? this.route(at) : at;
    if (route === undefined) return 'none';
    if (!route.isUp) return 'hold';
    const from = route.upstream === undefined ? route.origin : `.${formatIp(route.upstream.address).split('.')[3]}`;
    return `${route.iif === undefined ? '-' : NAMES[route.iif]} ${from} metric ${route.metric}`;
  }

  /** What is told of a route on A, B and C. */
  told(text: string): number[] {
    return [A, B, C].map((ifindex) => this.table.advertised(this.route(text)!, ifindex));
  }

  isForwarder(text: string, ifindex: Ifindex): boolean {
    return this.table.isForwarder(this.route(text)!, ifindex);
  }

  dependents(text: string): string[] {
    return this.table.dependents(this.route(text)!).map(({ peer }) => formatIp(peer.address));
  }

  /** Events since the last time. */
  heard(): string[] {
    return this.events.splice(0);
  }

  /** Reports since the last time, those of one interface put together. */
  reports(ifindex: Ifindex): Record<string, number> {
    const mine = this.sent.filter((one) => one.ifindex === ifindex);
    return Object.assign({}, ...mine.map(({ routes }) => routes)) as Record<string, number>;
  }

  forget(): void {
    this.events.length = 0;
    this.sent.length = 0;
  }

  private lan(ifindex: Ifindex): string {
    return LAN[NAMES[ifindex] as keyof typeof LAN];
  }
}

export const N = '10.1.0.0/16';

/** A table that has learned N from .3 on A with metric 3, adjusted 4; its flash update is sent. */
export function learned(metric = 3): TableBed {
  const bed = new TableBed();
  bed.hear(A, 3, { [N]: metric });
  bed.advance(0);
  bed.forget();
  return bed;
}
