/** What one entry of a received Report does: the tables of dvmrp.md section 7.2, row by row. */
import type { IpAddress } from '../../base/ip.js';
import { INFINITY } from '../wire/report.js';
import type { Peer, Route } from './route.js';
import { isSamePeer, type RouteChanges } from './route-changes.js';
import { admitsRoute } from './route-filter.js';
import { adjustedMetric, type RouteInterface } from './route-interface.js';

/** Why a sound entry changed nothing; names of counters. */
export type RouteDrop = 'filtered' | 'routeLimit' | 'neighborRouteLimit' | 'connectedNetwork';

export interface RouteLimits {
  readonly maxRoutes: number;
  readonly maxRoutesPerNeighbor: number;
}

export interface EntryOutput {
  ignored(reason: RouteDrop, peer: Peer, network: IpAddress, length: number): void;
}

export class EntryProcessor {
  readonly #changes: RouteChanges;
  readonly #limits: RouteLimits;
  readonly #output: EntryOutput;

  constructor(changes: RouteChanges, limits: RouteLimits, output: EntryOutput) {
    this.#changes = changes;
    this.#limits = limits;
    this.#output = output;
  }

  /** `peer` tells `metric`, 1..63 as on the wire, on its interface. */
  process(on: RouteInterface, peer: Peer, network: IpAddress, length: number, metric: number): void {
    const route = this.#changes.find(network, length);
    if (metric > INFINITY) {
      if (route !== undefined) this.#poison(route, on, peer);
      return;
    }
    if (metric === INFINITY || !admitsRoute(on.config.filterIn, network, length)) {
      if (metric < INFINITY) this.#output.ignored('filtered', peer, network, length);
      if (route !== undefined) this.#unreachable(route, peer);
      return;
    }
    const adjusted = adjustedMetric(on, metric);
    if (route !== undefined) return this.#offer(route, on, peer, metric, adjusted);
    if (adjusted === INFINITY) return;
    const limit = this.#limitReached(peer);
    if (limit !== undefined) return this.#output.ignored(limit, peer, network, length);
    this.#changes.create(network, length, 'learned', peer, adjusted);
  }

  /** Metric 33..63: the neighbour depends on the other side for this network. */
  #poison(route: Route, on: RouteInterface, peer: Peer): void {
    // Both sides think that the other one is upstream.
    if (on.ifindex === route.iif) return this.#unreachable(route, peer);
    this.#changes.dropCandidate(route, peer);
    this.#changes.dropOffer(route, peer);
    this.#changes.addDependent(route, peer);
  }

  /** Metric 32. */
  #unreachable(route: Route, peer: Peer): void {
    if (route.isUp && isSamePeer(route.upstream, peer)) return this.#changes.hold(route);
    this.#changes.dropCandidate(route, peer);
    this.#changes.removeDependent(route, peer);
    this.#changes.dropOffer(route, peer);
  }

  /** Metric 1..31 of a route that is there. */
  #offer(route: Route, on: RouteInterface, peer: Peer, metric: number, adjusted: number): void {
    this.#changes.removeDependent(route, peer);
    if (this.#isBetter(route, peer, adjusted)) return this.#changes.adopt(route, 'learned', peer, adjusted);
    if (on.ifindex !== route.iif) this.#changes.hearOffer(route, on, peer, metric);
    if (!route.isUp) this.#offerWhileHeld(route, peer, adjusted);
    else if (route.origin !== 'learned') this.#offerConnected(route, peer, adjusted);
    else if (isSamePeer(route.upstream, peer)) this.#fromUpstream(route, adjusted);
  }

  /** Whether the route switches to this neighbour: it is nearer, or as near and its address is lower. */
  #isBetter(route: Route, peer: Peer, adjusted: number): boolean {
    if (!route.isUp || route.upstream === undefined || isSamePeer(route.upstream, peer)) return false;
    return adjusted < route.metric || (adjusted === route.metric && peer.address < route.upstream.address);
  }

  #fromUpstream(route: Route, adjusted: number): void {
    if (adjusted === INFINITY) return this.#changes.hold(route);
    if (adjusted === route.metric) this.#changes.refresh(route);
    else this.#changes.takeMetric(route, adjusted);
  }

  /** Only the router it was learned from, with the metric it had then, ends the hold-down; others wait. */
  #offerWhileHeld(route: Route, peer: Peer, adjusted: number): void {
    if (adjusted === INFINITY) return this.#changes.dropCandidate(route, peer);
    if (isSamePeer(route.upstream, peer) && adjusted === route.metric)
      return this.#changes.adopt(route, 'learned', peer, adjusted);
    this.#changes.offerWhileHeld(route, peer, adjusted);
  }

  /** Our own networks are never reached through others; who offers one as near as we are is worth a look. */
  #offerConnected(route: Route, peer: Peer, adjusted: number): void {
    if (route.origin === 'connected' && adjusted <= route.metric)
      this.#output.ignored('connectedNetwork', peer, route.network, route.length);
  }

  #limitReached(peer: Peer): RouteDrop | undefined {
    if (this.#changes.store.size >= this.#limits.maxRoutes) return 'routeLimit';
    return peer.routes >= this.#limits.maxRoutesPerNeighbor ? 'neighborRouteLimit' : undefined;
  }
}
