/**
 * The protocol as a whole, without the world: interfaces with their neighbours (link.ts), the route table, forwarding. Tells
 * each what the others have to know. A step (a message, a time-out, a callback) may touch many routes; what follows from them
 * for the multicast view of the routing table and for the flows is done once, at its end.
 */
import { ANY4, type IpAddress, type Prefix } from '../base/ip.js';
import type { DvmrpConfig } from '../config/types.js';
import type { FedRoute } from '../mgm/client.js';
import type { Ifindex } from '../port/kernel.js';
import type { Random } from '../port/random.js';
import { prefixKey } from './trees/flows.js';
import { Forwarding, type PruneDrop } from './trees/forwarding.js';
import type { Graft } from './wire/graft.js';
import type { Upstream } from './trees/graft-state.js';
import { BODY_LIMIT, CODE } from './wire/header.js';
import { type Drop, type LinkConfig, type LinkOutput, type LinkState, type Message, RouterLink } from './link.js';
import type { Neighbor, Refusal } from './neighbors/neighbor.js';
import type { NeighborEvent } from './neighbors/neighbor-fsm.js';
import { type InterfaceBlock, NEIGHBORS2_FLAG } from './wire/neighbors2.js';
import type { Prune } from './wire/prune.js';
import type { ReportEntries } from './wire/report.js';
import type { Peer, Route } from './routes/route.js';
import type { RouteDrop } from './routes/route-entries.js';
import { Restoration, type RestorationOutput } from './restoration.js';
import { RouteTable, type RouteTableOutput } from './routes/route-table.js';
import type { SavedLink, SavedPrune, SavedRequest, SavedState } from './saved-state.js';
import type { DeliveryRoute, ForwardingOutput, Surroundings } from './surroundings.js';

/** Codes that are accepted on another interface than the tunnel's. */
const BESIDE_TUNNELS: readonly (number | undefined)[] = [CODE.prune, CODE.graft, CODE.graftAck];
/** How often flows are looked at that nobody speaks of. */
const SWEEP_MS = 10_000;
/** Prefixes whose change is followed: so many at once, the rest a few milliseconds later. */
const PREFIXES_PER_WINDOW = 512;
const WINDOW_MS = 5;
const DEFAULT_ROUTE: Prefix = { network: ANY4, length: 0 };

/** The world as the router sees it. */
export interface RouterOutput extends Omit<ForwardingOutput, 'sendPrune' | 'sendGraft'> {
  send(on: RouterLink, destination: IpAddress, payload: Uint8Array): void;
  /** Changes for the multicast view of the routing table. */
  feed(changes: readonly FedRoute[]): void;
  linkUp(on: RouterLink): void;
  linkDown(on: RouterLink): void;
  neighborUp(on: RouterLink, neighbor: Neighbor): void;
  neighborDown(on: RouterLink, neighbor: Neighbor, why: NeighborEvent): void;
  neighborRefused(on: RouterLink, neighbor: Neighbor, why: Refusal): void;
  neighborRestarted(on: RouterLink, neighbor: Neighbor): void;
  routeLost(route: Route): void;
  dropped(on: RouterLink, reason: Drop, source: IpAddress): void;
  /** Whether IGMP made this router the link's querier; for the answers to tools. */
  isQuerier(ifindex: Ifindex): boolean;
}

/** Where a route of ours stands in the multicast view; undefined: it is not in it. */
interface Fed {
  readonly ifindex: Ifindex;
  readonly neighbor: IpAddress | undefined;
}

export class Router implements LinkOutput, RouteTableOutput, Surroundings, ForwardingOutput, RestorationOutput {
  readonly links = new Map<Ifindex, RouterLink>();
  /** Not ours any more, while their neighbours still hear so. */
  readonly #leaving = new Map<Ifindex, RouterLink>();
  readonly table: RouteTable;
  readonly forwarding: Forwarding;
  readonly #config: DvmrpConfig;
  readonly #output: RouterOutput;
  readonly #random: Random;
  readonly #touched = new Map<number, Prefix>();
  readonly #fed = new Map<number, Fed>();
  #followedMs = Number.NEGATIVE_INFINITY;
  #followable = PREFIXES_PER_WINDOW;
  /** What may pass some interface has changed. */
  #passageChanged = false;
  #ending = false;
  /** Until everything of an earlier life is given back. */
  #restoration: Restoration | undefined;
  /** What an earlier life left is whole, and every link has gone on with it. */
  #goesOn = false;
  /** What an earlier life left is whole: links that go on with it know their neighbours. */
  #isWhole = false;
  readonly #resumed = new Set<Ifindex>();
  #nowMs = 0;
  #sweepDueMs = Number.POSITIVE_INFINITY;

  constructor(config: DvmrpConfig, output: RouterOutput, random: Random) {
    this.#config = config;
    this.#output = output;
    this.#random = random;
    this.table = new RouteTable({ ...config, bodyLimit: BODY_LIMIT }, this);
    this.forwarding = new Forwarding(this, this, config, random);
  }

  get nextDeadlineMs(): number {
    let dueMs = Math.min(this.table.nextDeadlineMs, this.forwarding.nextDeadlineMs, this.#sweepDueMs);
    if (this.#touched.size > 0) dueMs = Math.min(dueMs, this.#followedMs + WINDOW_MS);
    for (const { neighbors } of this.links.values()) dueMs = Math.min(dueMs, neighbors.nextDeadlineMs);
    return dueMs;
  }

  /** `saved`: what an earlier life knew, for links that come up as they were. */
  start(nowMs: number, saved?: SavedState): void {
    if (saved) this.#restoration = new Restoration(saved, nowMs, this);
    this.#isWhole = saved?.leaving === true && saved.odd === 0;
    this.#goesOn = this.#isWhole;
    this.#step(nowMs, () => {
      this.table.start(nowMs);
      if (saved?.round) this.table.goOn(saved.round, nowMs);
      this.#sweepDueMs = nowMs + SWEEP_MS;
      const { originateDefault: metric } = this.#config;
      if (metric !== undefined) this.table.originate(nowMs, [{ ...DEFAULT_ROUTE, metric }]);
    });
  }

  /** Every neighbour hears that nothing is reachable through us any more, until `isLeaving` is false (dvmrp.md section 7.7). */
  shutdown(nowMs: number): void {
    this.#nowMs = nowMs;
    this.#ending = true;
    this.table.shutdown();
    this.#sweepDueMs = Number.POSITIVE_INFINITY;
    this.forwarding.clear();
  }

  /** Nothing that neighbours would say is still unknown: an earlier life left it, and all of it is given back. */
  get knowsAll(): boolean {
    return this.#goesOn && !this.#restoration;
  }

  /** A neighbour that has not been heard yet may be there and want packets of the source. */
  mayStillHear(source: IpAddress, ifindex: Ifindex): boolean {
    if (this.links.get(ifindex)?.config.dvmrp.forceLeaf) return false;
    if (!this.#resumed.has(ifindex)) return true;
    // Who depends on a route is given back with it.
    return this.#restoration !== undefined && this.route(source) === undefined;
  }

  get isLeaving(): boolean {
    return this.table.isWithdrawing();
  }

  addLink(ifindex: Ifindex, config: LinkConfig): RouterLink {
    const { acceptCompat, allowNonPruners } = this.#config;
    this.forwarding.interfaceCame(ifindex);
    const link = new RouterLink(ifindex, config, { acceptCompat, allowNonPruners }, this);
    this.links.set(ifindex, link);
    this.#leaving.delete(ifindex);
    return link;
  }

  setLinkState(nowMs: number, ifindex: Ifindex, state: LinkState): void {
    this.#step(nowMs, () => this.links.get(ifindex)?.setState(nowMs, this.#random, state));
  }

  /** DVMRP leaves the interface: its neighbours hear 32 for everything (dvmrp.md section 12 and 7.7). */
  removeLink(nowMs: number, ifindex: Ifindex): void {
    const link = this.links.get(ifindex);
    if (!link) return;
    this.#step(nowMs, () => {
      if (link.isUp && !this.#ending) this.table.withdraw(ifindex);
      link.close(nowMs);
      this.links.delete(ifindex);
      if (this.table.isWithdrawing(ifindex)) this.#leaving.set(ifindex, link);
      this.forwarding.interfaceGone(nowMs, ifindex);
    });
  }

  receive(nowMs: number, ifindex: Ifindex, message: Message): void {
    const alien = this.#config.neighbors2 === 'any';
    const link = this.#besideTunnel(ifindex, message) ?? this.links.get(ifindex);
    this.#step(nowMs, () => link?.receive(nowMs, message, alien));
  }

  /** Mrouted sends what is for one neighbour to the far end of a tunnel, not through it (dvmrp.md section 13). */
  #besideTunnel(ifindex: Ifindex, { source, destination, payload }: Message): RouterLink | undefined {
    if (!BESIDE_TUNNELS.includes(payload[1]) || this.links.get(ifindex)?.neighbors.get(source)) return undefined;
    for (const link of this.links.values()) if (link.isTunnelBetween(destination, source)) return link;
    return undefined;
  }

  timeout(nowMs: number): void {
    this.#step(nowMs, () => {
      for (const { neighbors } of this.links.values()) neighbors.timeout(nowMs);
      this.table.timeout(nowMs);
      for (const ifindex of this.#leaving.keys()) if (!this.table.isWithdrawing(ifindex)) this.#leaving.delete(ifindex);
      this.forwarding.timeout(nowMs);
      if (this.#sweepDueMs > nowMs) return;
      this.#sweepDueMs = nowMs + SWEEP_MS;
      this.forwarding.sweep(nowMs);
      if (this.#restoration && !this.#restoration.apply(nowMs)) this.#restoration = undefined;
    });
  }

  #step(nowMs: number, work: () => void): void {
    this.#nowMs = nowMs;
    work();
    this.#followRoutes();
    if (!this.#passageChanged) return;
    this.#passageChanged = false;
    this.forwarding.interfaceChanged(nowMs);
  }

  /** Routes first, so that the manager has decided the entries again when forwarding speaks of them. */
  #followRoutes(): void {
    const touched = this.#takeTouched();
    if (touched.length === 0) return;
    const changes = touched.flatMap((prefix) => this.#feedChange(prefix));
    if (changes.length > 0) this.#output.feed(changes);
    this.forwarding.routesChanged(this.#nowMs, touched);
  }

  #takeTouched(): readonly Prefix[] {
    if (this.#nowMs >= this.#followedMs + WINDOW_MS) {
      this.#followedMs = this.#nowMs;
      this.#followable = PREFIXES_PER_WINDOW;
    }
    const taken: Prefix[] = [];
    for (const [key, prefix] of this.#touched) {
      if (this.#followable === 0) break;
      this.#followable--;
      this.#touched.delete(key);
      taken.push(prefix);
    }
    return taken;
  }

  #feedChange(prefix: Prefix): readonly FedRoute[] {
    const key = prefixKey(prefix);
    const before = this.#fed.get(key);
    const route = this.table.get(prefix);
    const iif = route?.isUp === true ? route.iif : undefined;
    const now = iif === undefined ? undefined : { ifindex: iif, neighbor: route?.upstream?.address };
    if (before?.ifindex === now?.ifindex && before?.neighbor === now?.neighbor) return [];
    if (now?.neighbor !== undefined) this.forwarding.upstreamChanged(this.#nowMs, prefix);
    if (now) this.#fed.set(key, now);
    else this.#fed.delete(key);
    return [{ prefix, ifindex: now?.ifindex, neighbor: now?.neighbor, ...(route && { metric: route.metric }) }];
  }

  #touch({ network, length }: Prefix): void {
    this.#touched.set(prefixKey({ network, length }), { network, length });
  }

  // Surroundings of forwarding

  route(source: IpAddress): DeliveryRoute | undefined {
    const route = this.table.lookup(source);
    return route && this.#delivery(route);
  }

  routeFor(prefix: Prefix): DeliveryRoute | undefined {
    const route = this.table.get(prefix);
    return route?.isUp === true ? this.#delivery(route) : undefined;
  }

  *interfaces(): Generator<Ifindex> {
    for (const { ifindex, isUp } of this.links.values()) if (isUp) yield ifindex;
  }

  owns(ifindex: Ifindex): boolean {
    return this.links.has(ifindex);
  }

  passes(ifindex: Ifindex, group: IpAddress): boolean {
    return this.links.get(ifindex)?.passes(group) === true;
  }

  canPrune({ ifindex, neighbor }: Upstream): boolean {
    return this.links.get(ifindex)?.neighbors.upNeighbor(neighbor)?.prunes === true;
  }

  *upstreamRoutes(): Generator<DeliveryRoute> {
    for (const route of this.table.routes()) if (route.isUp && route.upstream) yield this.#delivery(route);
  }

  mayHoldPrunes(nowMs: number, { ifindex, neighbor }: Upstream): boolean {
    const known = this.links.get(ifindex)?.neighbors.upNeighbor(neighbor);
    if (known?.doubtSinceMs === undefined || !known.prunes) return false;
    return nowMs - known.doubtSinceMs < this.#config.pruneLifetimeMs;
  }

  #delivery(route: Route): DeliveryRoute {
    const { table } = this;
    return {
      prefix: route,
      iif: route.iif,
      upstream: route.upstream?.address,
      isDesignated: (ifindex) => table.isForwarder(route, ifindex),
      *dependents(ifindex) {
        for (const { peer } of table.dependents(route)) if (peer.ifindex === ifindex) yield peer.address;
      },
    };
  }

  // Output of forwarding

  forward(flow: Parameters<ForwardingOutput['forward']>[0], ifindex: Ifindex, on: boolean): void {
    this.#output.forward(flow, ifindex, on);
  }

  hasOutputs(flow: Parameters<ForwardingOutput['hasOutputs']>[0]): boolean | undefined {
    return this.#output.hasOutputs(flow);
  }

  packets(flow: Parameters<ForwardingOutput['packets']>[0]): number | undefined {
    return this.#output.packets(flow);
  }

  pull(ifindex: Ifindex, group: IpAddress, wanted: boolean): void {
    this.#output.pull(ifindex, group, wanted);
  }

  sendPrune({ ifindex, neighbor }: Upstream, prune: Omit<Prune, 'mask'>, network: Prefix): void {
    this.links.get(ifindex)?.sendPrune(neighbor, prune, network);
  }

  sendGraft({ ifindex, neighbor }: Upstream, graft: Omit<Graft, 'mask'>, network: Prefix): void {
    this.links.get(ifindex)?.sendGraft(neighbor, graft, network);
  }

  // Output of the restoration

  hasRoute(prefix: Prefix): boolean {
    return this.table.get(prefix)?.isUp === true;
  }

  told({ ifindex, neighbor }: Upstream, prefix: Prefix, metric: number, expiryMs: number): void {
    this.table.restore(this.#nowMs, { ifindex, address: neighbor }, prefix, metric, expiryMs);
  }

  held({ ifindex, neighbor }: Upstream, prefix: Prefix, metric: number, untilMs: number): void {
    this.table.restoreHeld(this.#nowMs, { ifindex, address: neighbor }, prefix, metric, untilMs);
  }

  pruned(prefix: Prefix, group: IpAddress, by: Upstream, prune: SavedPrune): void {
    this.forwarding.restorePrune(prefix, group, by, prune);
    this.#touch(prefix);
  }

  asked(prefix: Prefix, group: IpAddress, of: Upstream, request: SavedRequest): void {
    this.forwarding.restoreRequest(this.#nowMs, prefix, group, of, request);
    this.#touch(prefix);
  }

  // Output of the route table

  sendReport(ifindex: Ifindex, to: IpAddress, message: Uint8Array): void {
    (this.links.get(ifindex) ?? this.#leaving.get(ifindex))?.sendReport(to, message);
  }

  dependentAdded(route: Route): void {
    this.#touch(route);
  }

  dependentRemoved(route: Route): void {
    this.#touch(route);
  }

  dfChanged(route: Route, _ifindex: Ifindex, self: boolean): void {
    if (self && route.upstream) this.forwarding.upstreamChanged(this.#nowMs, route);
    this.#touch(route);
  }

  routeChanged(prefix: Prefix): void {
    this.#touch(prefix);
  }

  /** Forwarding sees it by itself: it compares the upstream it has spoken to with the one there is. */
  upstreamChanged(route: Route): void {
    this.#touch(route);
  }

  lost(route: Route): void {
    this.#output.routeLost(route);
  }

  ignored(reason: RouteDrop, { ifindex, address }: Peer): void {
    this.links.get(ifindex)?.drop(reason, address);
  }

  // Output of the interfaces

  send(on: RouterLink, destination: IpAddress, payload: Uint8Array): void {
    this.#output.send(on, destination, payload);
  }

  report({ ifindex }: RouterLink, { address }: Neighbor, entries: ReportEntries): void {
    this.table.heardReport(this.#nowMs, ifindex, address, entries);
  }

  prune(_on: RouterLink, neighbor: Neighbor, prune: Prune, maskLength: number | undefined): PruneDrop | undefined {
    return this.forwarding.pruneReceived(this.#nowMs, upstreamOf(neighbor), prune, maskLength);
  }

  graft(_on: RouterLink, neighbor: Neighbor, graft: Graft, maskLength: number | undefined): void {
    this.forwarding.graftReceived(this.#nowMs, upstreamOf(neighbor), graft, maskLength);
  }

  graftAck(_on: RouterLink, neighbor: Neighbor, graft: Graft): boolean {
    return this.forwarding.ackReceived(upstreamOf(neighbor), graft);
  }

  /** It tells strangers the topology, so not everybody is answered (dvmrp.md section 14). */
  neighborsAnswer(on: RouterLink, asker: IpAddress): readonly InterfaceBlock[] | undefined {
    const { neighbors2 } = this.#config;
    if (neighbors2 === 'off' || (neighbors2 === 'on-link' && !on.onLink.contains(asker))) return undefined;
    return [...this.links.values()].flatMap((link) => this.#block(link));
  }

  #block({ ifindex, address, config, isUp, neighbors }: RouterLink): readonly InterfaceBlock[] {
    if (address === undefined) return [];
    const flags =
      (isUp ? 0 : NEIGHBORS2_FLAG.down) |
      (neighbors.isLeaf ? NEIGHBORS2_FLAG.leaf : 0) |
      (this.#output.isQuerier(ifindex) ? NEIGHBORS2_FLAG.querier : 0);
    const heard = [...neighbors.list()].filter(({ state }) => state !== 'refused').map((one) => one.address);
    return [{ local: address, metric: config.dvmrp.metric, threshold: config.threshold, flags, neighbors: heard }];
  }

  dropped(on: RouterLink, reason: Drop, source: IpAddress): void {
    this.#output.dropped(on, reason, source);
  }

  up(on: RouterLink): SavedLink | undefined {
    const { ifindex, address, subnets, pointToPoint, config } = on;
    if (address === undefined) return undefined;
    const before = this.#restoration?.take(on);
    this.#goesOn &&= before !== undefined;
    if (before && this.#isWhole) this.#resumed.add(ifindex);
    this.table.silence(before !== undefined);
    const { metric, advertisedOffset, filterIn, filterOut } = config.dvmrp;
    const there = { metric, advertisedOffset, filterIn, filterOut, pointToPoint };
    this.table.interfaceUp(this.#nowMs, ifindex, address, subnets, there);
    this.#passageChanged = true;
    this.#output.linkUp(on);
    return before;
  }

  restored({ ifindex, neighbors }: RouterLink): void {
    for (const { address, isUp } of neighbors.list()) if (isUp) this.table.peerUp(ifindex, address);
    if (this.#restoration?.apply(this.#nowMs) === false) this.#restoration = undefined;
    this.table.silence(false);
  }

  down(on: RouterLink): void {
    this.#restoration?.forget(on);
    this.#resumed.delete(on.ifindex);
    this.table.interfaceDown(this.#nowMs, on.ifindex);
    this.#passageChanged = true;
    this.#output.linkDown(on);
  }

  neighborUp(on: RouterLink, { ifindex, address }: Neighbor): void {
    this.table.peerUp(ifindex, address);
    this.#output.neighborUp(on, on.neighbors.get(address)!);
  }

  sendTable(_on: RouterLink, { ifindex, address }: Neighbor): void {
    this.table.sendTable(ifindex, address);
  }

  neighborRestarted(on: RouterLink, neighbor: Neighbor): void {
    this.forwarding.neighborRestarted(this.#nowMs, upstreamOf(neighbor));
    this.#output.neighborRestarted(on, neighbor);
  }

  loseRoutes(_on: RouterLink, { ifindex, address }: Neighbor): void {
    this.table.loseRoutes(this.#nowMs, ifindex, address);
  }

  reelectForwarders(_on: RouterLink, { ifindex, address }: Neighbor): void {
    this.table.reelectWithout(ifindex, address);
  }

  /** The lost routes leave the multicast view, by which the manager ends their entries. */
  flushEntries(): void {
    this.#followRoutes();
  }

  dropGrafts(_on: RouterLink, neighbor: Neighbor): void {
    this.forwarding.upstreamLost(upstreamOf(neighbor));
  }

  dropDependencies(_on: RouterLink, { ifindex, address }: Neighbor): void {
    this.table.dropDependencies(ifindex, address);
  }

  leafChanged(on: RouterLink): void {
    if (on.pointToPoint) this.#passageChanged = true;
  }

  neighborDown(on: RouterLink, neighbor: Neighbor, why: NeighborEvent): void {
    this.table.peerDown(neighbor.ifindex, neighbor.address);
    this.#output.neighborDown(on, neighbor, why);
  }

  neighborRefused(on: RouterLink, neighbor: Neighbor, why: Refusal): void {
    this.#output.neighborRefused(on, neighbor, why);
  }

  isElsewhere(on: RouterLink, address: IpAddress): boolean {
    for (const link of this.links.values()) if (link !== on && link.neighbors.get(address)) return true;
    return false;
  }
}

function upstreamOf({ ifindex, address }: Neighbor): Upstream {
  return { ifindex, neighbor: address };
}
