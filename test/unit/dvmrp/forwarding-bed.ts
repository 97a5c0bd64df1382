/**
 * Forwarding alone: routes, dependents, forwarders and neighbours are plain tables that the test writes; the manager is a
 * set of flows with their outgoing interfaces. What is sent upstream and told to the manager goes into a journal.
 */
import {
  formatIp,
  formatPrefix,
  type IpAddress,
  ip,
  parsePrefix,
  type Prefix,
  prefixContains,
} from '../../../src/base/ip.js';
import { Forwarding } from '../../../src/dvmrp/trees/forwarding.js';
import type { Upstream } from '../../../src/dvmrp/trees/graft-state.js';
import type {
  DeliveryRoute,
  ForwardingConfig,
  ForwardingOutput,
  Surroundings,
} from '../../../src/dvmrp/surroundings.js';
import type { MembershipKey } from '../../../src/mgm/client.js';
import type { Ifindex } from '../../../src/port/kernel.js';

export const G = ip('239.5.5.5');
export const S = ip('10.1.0.10');
export const UP = ip('10.9.0.1');
export const D1 = ip('10.2.0.2');
export const D2 = ip('10.2.0.3');
/** Upstream, a LAN with routers and hosts, another LAN. */
export const [UPLINK, LAN, OTHER] = [1, 2, 3] as Ifindex[] as [Ifindex, Ifindex, Ifindex];
/** Somebody else's interface. */
export const FOREIGN = 9 as Ifindex;

export function prefixOf(text: string): Prefix {
  const parsed = parsePrefix(text);
  if (!parsed.ok) throw new Error(parsed.error);
  return parsed.value;
}

export interface TestRoute {
  readonly prefix: Prefix;
  iif: Ifindex | undefined;
  upstream: IpAddress | undefined;
  /** "2 10.2.0.2" */
  readonly dependents: Set<string>;
  /** Interfaces where another router forwards. */
  readonly notDesignated: Set<Ifindex>;
}

export const CONFIG: ForwardingConfig = {
  pruneLifetimeMs: 7_200_000,
  maxReceivedPruneMs: 10_800_000,
  pruneRetransmit: true,
  maxPrunes: 65_536,
  maxPrunesPerNeighbor: 16_384,
  membersAreSenders: false,
  ssmRanges: [prefixOf('232.0.0.0/8')],
};

export class ForwardingBed implements Surroundings, ForwardingOutput {
  readonly journal: string[] = [];
  readonly routes: TestRoute[] = [];
  readonly nonPruners = new Set<IpAddress>();
  /** Upstream routers that may hold prunes of ours from before. */
  readonly doubtful = new Set<IpAddress>();
  /** "2 239.5.5.5": a boundary; "2 *": down, or a point-to-point link without anybody. */
  readonly closed = new Set<string>();
  readonly forwarding: Forwarding;
  /** Entries: their interfaces, packets so far. */
  readonly entries = new Map<string, { readonly oifs: Set<Ifindex>; packets: number; iif: Ifindex }>();
  /** Interfaces of other components that want everything. */
  readonly foreignOifs = new Set<Ifindex>();
  nowMs = 1_000_000;
  chance = 1;

  constructor(config: Partial<ForwardingConfig> = {}) {
    this.forwarding = new Forwarding(this, this, { ...CONFIG, ...config }, { next: () => this.chance });
  }

  /** `bed.addRoute('10.1.0.0/16', UPLINK, UP)`. */
  addRoute(prefix: string, iif?: Ifindex, upstream?: IpAddress): TestRoute {
    const route = {
      prefix: prefixOf(prefix),
      iif,
      upstream,
      dependents: new Set<string>(),
      notDesignated: new Set<Ifindex>(),
    };
    this.routes.push(route);
    return route;
  }

  changed(...routes: readonly TestRoute[]): void {
    this.forwarding.routesChanged(
      this.nowMs,
      routes.map(({ prefix }) => prefix),
    );
  }

  withdraw(route: TestRoute): void {
    this.routes.splice(this.routes.indexOf(route), 1);
    this.changed(route);
  }

  depends(route: TestRoute, ifindex: Ifindex, ...neighbors: readonly IpAddress[]): void {
    for (const neighbor of neighbors) route.dependents.add(`${ifindex} ${formatIp(neighbor)}`);
    this.changed(route);
  }

  /** A packet of a flow without an entry: RPF, creation alert, then the alert of what the entry became. */
  data(source = S, group = G): void {
    const key = keyOf({ source, group });
    const route = this.#longest(source);
    const iif = route?.iif ?? FOREIGN;
    const entry = this.entries.get(key);
    if (entry) {
      entry.packets++;
      return;
    }
    if (iif !== FOREIGN) this.forwarding.incoming(this.nowMs, { source, group }, iif, true);
    const asked = [...this.interfaces()].filter(
      (ifindex) => ifindex !== iif && !this.closed.has(`${ifindex} boundary`),
    );
    const vetoed = this.forwarding.vetoes(this.nowMs, { source, group }, iif, asked);
    const oifs = new Set([...asked.filter((ifindex) => !vetoed.includes(ifindex)), ...this.foreignOifs]);
    oifs.delete(iif);
    this.entries.set(key, { oifs, packets: 1, iif });
    if (iif !== FOREIGN) this.#alert({ source, group }, oifs.size > 0);
  }

  more(packets = 1, source = S): void {
    this.entries.get(keyOf({ source, group: G }))!.packets += packets;
  }

  /** The entry's time is over; the next packet makes it anew. */
  expires(source = S, group = G): void {
    this.entries.delete(keyOf({ source, group }));
    this.forwarding.entryGone({ source, group });
  }

  oifs(source = S, group = G): readonly Ifindex[] {
    return [...this.entries.get(keyOf({ source, group }))!.oifs].sort((a, b) => a - b);
  }

  /** IGMP adds a member; what the answer leaves open opens. */
  joins(ifindex: Ifindex, group = G, source?: IpAddress): void {
    const key = { source: source ?? ip('0.0.0.0'), group };
    const entries = [...this.entries.keys()].map(flowOf).filter((flow) => flow.group === group);
    const refused = this.forwarding.memberJoined(this.nowMs, ifindex, key, entries).map(keyOf);
    for (const flow of entries) if (!refused.includes(keyOf(flow))) this.entries.get(keyOf(flow))!.oifs.add(ifindex);
  }

  leaves(ifindex: Ifindex, group = G, source?: IpAddress): void {
    this.forwarding.memberLeft(this.nowMs, ifindex, { source: source ?? ip('0.0.0.0'), group });
  }

  prune(
    from: IpAddress,
    lifetimeSec: number,
    { ifindex = LAN, source = S, mask = undefined as number | undefined } = {},
  ) {
    const prune = { source, group: G, lifetimeMs: lifetimeSec * 1000, mask: undefined };
    return this.forwarding.pruneReceived(this.nowMs, { ifindex, neighbor: from }, prune, mask);
  }

  graft(from: IpAddress, { ifindex = LAN, source = S, mask = undefined as number | undefined } = {}): void {
    const graft = { source, group: G, mask: undefined };
    this.forwarding.graftReceived(this.nowMs, { ifindex, neighbor: from }, graft, mask);
  }

  ack(from = UP, source = S, ifindex = UPLINK): boolean {
    return this.forwarding.ackReceived({ ifindex, neighbor: from }, { source, group: G, mask: undefined });
  }

  run(sec: number): void {
    const untilMs = this.nowMs + sec * 1000;
    while (this.forwarding.nextDeadlineMs <= untilMs) {
      this.nowMs = Math.max(this.nowMs, this.forwarding.nextDeadlineMs);
      this.forwarding.timeout(this.nowMs);
    }
    this.nowMs = untilMs;
  }

  heard(): readonly string[] {
    return this.journal.splice(0);
  }

  // Surroundings

  route(source: IpAddress): DeliveryRoute | undefined {
    return this.#delivery(this.#longest(source));
  }

  routeFor(prefix: Prefix): DeliveryRoute | undefined {
    return this.#delivery(this.routes.find((one) => formatPrefix(one.prefix) === formatPrefix(prefix)));
  }

  *upstreamRoutes(): Generator<DeliveryRoute> {
    for (const route of this.routes) if (route.upstream !== undefined) yield this.#delivery(route)!;
  }

  mayHoldPrunes(_nowMs: number, { neighbor }: Upstream): boolean {
    return this.doubtful.has(neighbor);
  }

  interfaces(): readonly Ifindex[] {
    return [UPLINK, LAN, OTHER].filter((ifindex) => !this.closed.has(`${ifindex} *`));
  }

  owns(ifindex: Ifindex): boolean {
    return ifindex !== FOREIGN;
  }

  passes(ifindex: Ifindex, group: IpAddress): boolean {
    return !this.closed.has(`${ifindex} *`) && !this.closed.has(`${ifindex} ${formatIp(group)}`);
  }

  canPrune({ neighbor }: Upstream): boolean {
    return !this.nonPruners.has(neighbor);
  }

  // ForwardingOutput

  forward(flow: MembershipKey, ifindex: Ifindex, on: boolean): void {
    const entry = this.entries.get(keyOf(flow));
    if (on) entry?.oifs.add(ifindex);
    else entry?.oifs.delete(ifindex);
    this.journal.push(`${on ? 'open' : 'close'} ${ifindex}`);
  }

  hasOutputs(flow: MembershipKey): boolean | undefined {
    const entry = this.entries.get(keyOf(flow));
    return entry && entry.oifs.size > 0;
  }

  packets(flow: MembershipKey): number | undefined {
    return this.entries.get(keyOf(flow))?.packets;
  }

  sendPrune(to: Upstream, { source, lifetimeMs }: { source: IpAddress; lifetimeMs: number }): void {
    this.journal.push(`prune ${formatIp(source)} ${Math.round(lifetimeMs / 1000)} s to ${formatIp(to.neighbor)}`);
  }

  sendGraft(to: Upstream, { source }: { source: IpAddress }): void {
    this.journal.push(`graft ${formatIp(source)} to ${formatIp(to.neighbor)}`);
  }

  pull(ifindex: Ifindex, group: IpAddress, wanted: boolean): void {
    this.journal.push(`${wanted ? 'pull' : 'let go'} ${formatIp(group)} on ${ifindex}`);
  }

  /** The manager tells the owner of the incoming interface. */
  #alert(key: MembershipKey, wanted: boolean): void {
    if (wanted) this.forwarding.entryWanted(this.nowMs, key);
    else this.forwarding.entryUnwanted(this.nowMs, key);
  }

  #longest(source: IpAddress): TestRoute | undefined {
    return this.routes
      .filter(({ prefix }) => prefixContains(prefix, source))
      .reduce<TestRoute | undefined>(
        (best, one) => (best && best.prefix.length >= one.prefix.length ? best : one),
        undefined,
      );
  }

  #delivery(route: TestRoute | undefined): DeliveryRoute | undefined {
    return (
      route && {
        prefix: route.prefix,
        iif: route.iif,
        upstream: route.upstream,
        isDesignated: (ifindex) => !route.notDesignated.has(ifindex),
        dependents: (ifindex) =>
          [...route.dependents].filter((one) => one.startsWith(`${ifindex} `)).map((one) => ip(one.split(' ')[1]!)),
      }
    );
  }
}

function keyOf({ source, group }: MembershipKey): string {
  return `${formatIp(source)} ${formatIp(group)}`;
}

function flowOf(key: string): MembershipKey {
  const [source = '', group = ''] = key.split(' ');
  return { source: ip(source), group: ip(group) };
}

/** A route to the sources by the uplink, with dependents on the LAN. */
export function pruneable(bed: ForwardingBed, ...dependents: readonly IpAddress[]): TestRoute {
  const route = bed.addRoute('10.1.0.0/16', UPLINK, UP);
  bed.depends(route, LAN, ...dependents);
  return route;
}
