/**
 * The only place where a route changes (dvmrp.md sections 7.4 and 7.5), with everything that follows from it: look-up, timer,
 * dependents, forwarders, flash update, events.
 */
import { DeadlineHeap } from '../../base/deadline-heap.js';
import type { IpAddress, Prefix } from '../../base/ip.js';
import type { Ifindex } from '../../port/kernel.js';
import { type AdvertiseConfig, Advertiser, type ReportOutput } from './advertise.js';
import {
  addDependent,
  type DependentOutput,
  earliestDependentMs,
  expireDependents,
  removeDependent,
  removeDependentsOn,
} from './dependents.js';
import { dropOffer, type ForwarderOutput, forgetOffers, hearOffer, reelect } from './designated-forwarder.js';
import { dependentExpiryMs, holdDownMs, routeExpiryMs } from '../intervals.js';
import { Losses } from './losses.js';
import type { Origin, Peer, Route } from './route.js';
import type { RouteInterface } from './route-interface.js';
import { RouteStore } from './route-store.js';

const NEVER = Number.POSITIVE_INFINITY;

/** Where a route came from before a change. */
export interface Before {
  readonly iif: Ifindex | undefined;
  readonly upstream: Peer | undefined;
}

export interface RouteOutput extends ReportOutput, DependentOutput, ForwarderOutput {
  /** The way to a network is new or different (its metric too), or, with undefined, there is none any more. */
  routeChanged(prefix: Prefix, route: Route | undefined): void;
  /** After dependents and forwarders have been told, before `routeChanged` (dvmrp.md section 7.5 steps 2, 3 and 5). */
  upstreamChanged(route: Route, before: Before): void;
  /** The route goes into hold-down: entries that follow it are void. Before `routeChanged`. */
  lost(route: Route): void;
}

export class RouteChanges {
  readonly store = new RouteStore();
  readonly losses = new Losses(this.store);
  readonly interfaces = new Map<Ifindex, RouteInterface>();
  readonly deadlines = new DeadlineHeap<Route>();
  readonly advertiser: Advertiser;
  readonly #output: RouteOutput;
  readonly #expiryMs: number;
  readonly #holdDownMs: number;
  readonly #dependentExpiryMs: number;
  nowMs = 0;

  constructor(config: AdvertiseConfig, output: RouteOutput) {
    this.#output = output;
    this.#expiryMs = routeExpiryMs(config.reportIntervalMs);
    this.#holdDownMs = holdDownMs(config.reportIntervalMs);
    this.#dependentExpiryMs = dependentExpiryMs(config.reportIntervalMs);
    const { store, losses, interfaces } = this;
    this.advertiser = new Advertiser(config, { store, losses, interfaces }, output);
  }

  find(network: IpAddress, length: number): Route | undefined {
    const route = this.store.find(network, length);
    if (route) this.losses.apply(route);
    return route;
  }

  lookup(source: IpAddress): Route | undefined {
    let route = this.store.lookup(source);
    while (route && this.losses.apply(route)) route = this.store.lookup(source);
    return route;
  }

  /** A route that was not there. */
  create(network: IpAddress, length: number, origin: Origin, from: Peer | Ifindex | undefined, metric: number): void {
    this.adopt(this.#create(network, length), origin, from, metric, true);
  }

  /** The route follows another way from now on, or, after a hold-down, the same way again. */
  adopt(route: Route, origin: Origin, from: Peer | Ifindex | undefined, metric: number, isNew = false): void {
    const before = { iif: route.iif, upstream: route.upstream, metric: route.metric };
    const wasUp = route.isUp && !isNew;
    const upstream = typeof from === 'object' ? from : undefined;
    const iif = typeof from === 'object' ? from.ifindex : from;
    this.#setUpstream(route, upstream);
    route.origin = origin;
    route.iif = iif;
    route.metric = metric;
    route.state = 'up';
    route.candidate = undefined;
    route.timerMs = origin === 'learned' ? this.nowMs + this.#expiryMs : NEVER;
    this.#queue(route, route.timerMs);
    this.store.stateChanged(route);
    if (iif !== before.iif && !isNew) this.#moveIif(route, before, wasUp);
    reelect(route, this.interfaces, this.#output);
    const moved = iif !== before.iif || !isSamePeer(upstream, before.upstream);
    if (moved && !isNew) this.#output.upstreamChanged(route, before);
    this.#tellChange(route);
  }

  /** The upstream tells another metric. */
  takeMetric(route: Route, metric: number): void {
    route.metric = metric;
    this.refresh(route);
    reelect(route, this.interfaces, this.#output);
    this.#tellChange(route);
  }

  refresh(route: Route): void {
    route.timerMs = this.nowMs + this.#expiryMs;
  }

  /** The way is lost: unreachable for everybody until the hold-down ends (dvmrp.md section 7.4). */
  hold(route: Route): void {
    if (!route.isUp) return;
    route.state = 'hold';
    route.timerMs = this.nowMs + this.#holdDownMs;
    this.#queue(route, route.timerMs);
    this.store.stateChanged(route);
    reelect(route, this.interfaces, this.#output);
    this.#output.lost(route);
    this.#output.routeChanged(route, undefined);
    this.advertiser.changed(route, this.nowMs);
  }

  /** Somebody else's offer while held down; the best of them is remembered (dvmrp.md section 7.4). */
  offerWhileHeld(route: Route, peer: Peer, metric: number): void {
    const { candidate } = route;
    const better =
      candidate === undefined ||
      candidate.peer === peer ||
      candidate.expiryMs <= this.nowMs ||
      metric < candidate.metric ||
      (metric === candidate.metric && peer.address < candidate.peer.address);
    if (better) route.candidate = { peer, metric, expiryMs: this.nowMs + this.#expiryMs };
  }

  /** What an earlier life of ours knew of the neighbour and the route is good for no longer than it was. */
  expireBy(route: Route, peer: Peer, expiryMs: number): void {
    if (route.isUp && isSamePeer(route.upstream, peer)) route.timerMs = Math.min(route.timerMs, expiryMs);
    for (const dependent of route.dependents ?? [])
      if (dependent.peer === peer) dependent.expiryMs = Math.min(dependent.expiryMs, expiryMs);
    this.#queue(route, Math.min(route.timerMs, earliestDependentMs(route)));
  }

  /** A route that an earlier life of ours had lost: its hold-down goes on. There is none of that prefix. */
  createHeld({ network, length }: Prefix, peer: Peer, metric: number, untilMs: number): void {
    const route = this.#create(network, length);
    this.#setUpstream(route, peer);
    route.iif = peer.ifindex;
    route.metric = metric;
    route.state = 'hold';
    route.timerMs = untilMs;
    this.#queue(route, untilMs);
  }

  dropCandidate(route: Route, peer: Peer): void {
    if (route.candidate?.peer === peer) route.candidate = undefined;
  }

  addDependent(route: Route, peer: Peer): void {
    const expiryMs = this.nowMs + this.#dependentExpiryMs;
    addDependent(route, peer, expiryMs, this.#output);
    this.#queue(route, expiryMs);
  }

  removeDependent(route: Route, peer: Peer): void {
    removeDependent(route, peer, this.#output);
  }

  hearOffer(route: Route, on: RouteInterface, peer: Peer, metric: number): void {
    hearOffer(route, on, peer.address, metric, this.#output);
  }

  dropOffer(route: Route, peer: Peer): void {
    dropOffer(route, peer, this.#output);
  }

  /** Our competitors on an interface count anew, because what we tell there has changed. */
  reelect(route: Route): void {
    reelect(route, this.interfaces, this.#output);
  }

  /** The interface is gone, or the route's own: nobody there depends on us or forwards in our place. */
  forgetInterface(route: Route, ifindex: Ifindex): void {
    if (route.candidate?.peer.ifindex === ifindex) route.candidate = undefined;
    removeDependentsOn(route, ifindex, this.#output);
    forgetOffers(route, ifindex);
  }

  /** Runs what is due of one route. */
  serve(route: Route): void {
    this.losses.apply(route);
    if (route.timerMs <= this.nowMs && !this.#runOut(route)) return;
    expireDependents(route, this.nowMs, this.#output);
    const nextMs = Math.min(route.timerMs, earliestDependentMs(route));
    if (nextMs === NEVER) this.deadlines.remove(route);
    else this.deadlines.postpone(route, nextMs);
  }

  #create(network: IpAddress, length: number): Route {
    const route = this.store.create(network, length);
    this.losses.isNew(route);
    return route;
  }

  /** False: the route is deleted. */
  #runOut(route: Route): boolean {
    if (route.isUp) {
      this.hold(route);
      return true;
    }
    const { candidate } = route;
    if (candidate === undefined || candidate.expiryMs <= this.nowMs) {
      this.#delete(route);
      return false;
    }
    this.adopt(route, 'learned', candidate.peer, candidate.metric);
    return true;
  }

  #delete(route: Route): void {
    route.changed = false;
    this.#setUpstream(route, undefined);
    this.deadlines.remove(route);
    this.store.delete(route);
    expireDependents(route, NEVER, this.#output);
  }

  /** Who depended on us where the route comes from now does not any more (dvmrp.md section 7.5 steps 1 and 2). */
  #moveIif(route: Route, before: Before & { readonly metric: number }, wasUp: boolean): void {
    if (route.iif !== undefined) this.forgetInterface(route, route.iif);
    // The old upstream goes on offering the route there, and is perhaps the better forwarder.
    const on = before.iif === undefined ? undefined : this.interfaces.get(before.iif);
    const old = before.upstream;
    if (wasUp && on !== undefined && old !== undefined && on.peers.get(old.address) === old)
      this.hearOffer(route, on, old, Math.max(1, before.metric - on.config.metric));
  }

  #tellChange(route: Route): void {
    this.#output.routeChanged(route, route);
    this.advertiser.changed(route, this.nowMs);
  }

  #setUpstream(route: Route, upstream: Peer | undefined): void {
    if (route.upstream !== undefined) route.upstream.routes--;
    if (upstream !== undefined) upstream.routes++;
    route.upstream = upstream;
  }

  #queue(route: Route, ms: number): void {
    if (ms !== NEVER) this.deadlines.noLaterThan(route, ms);
  }
}

/** The same router on the same interface, even in another life. */
export function isSamePeer(a: Peer | undefined, b: Peer | undefined): boolean {
  return a?.address === b?.address && a?.ifindex === b?.ifindex;
}
