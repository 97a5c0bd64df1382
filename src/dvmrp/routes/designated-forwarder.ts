/**
 * Who forwards a network's data onto an interface (dvmrp.md section 7.3): of all routers there the one whose told metric is
 * lowest, of equals the lowest address. Metrics are compared as they are on the wire.
 *
 * The best offer of the others is remembered even while ours is better. When ours worsens, they know at once that they have
 * to forward; so do we, and not only after their next full report.
 */
import type { IpAddress } from '../../base/ip.js';
import type { Ifindex } from '../../port/kernel.js';
import type { Offer, Peer, Route } from './route.js';
import { offeredMetric, type RouteInterface } from './route-interface.js';

export interface ForwarderOutput {
  /** `self`: this router forwards onto the interface. */
  dfChanged(route: Route, ifindex: Ifindex, self: boolean): void;
}

/** Whether this router forwards the route's data onto an interface. Not for the route's own interface. */
export function isForwarder(route: Route, ifindex: Ifindex): boolean {
  return offerOn(route, ifindex)?.self ?? true;
}

/** The router that forwards in our place, or undefined. */
export function otherForwarder(route: Route, ifindex: Ifindex): IpAddress | undefined {
  const offer = offerOn(route, ifindex);
  return offer === undefined || offer.self ? undefined : offer.address;
}

/** A neighbour tells the route with a metric of 1..31 on an interface that is not the route's own. */
export function hearOffer(
  route: Route,
  on: RouteInterface,
  address: IpAddress,
  metric: number,
  output: ForwarderOutput,
): void {
  const offer = offerOn(route, on.ifindex);
  if (offer === undefined) {
    const added: Offer = { ifindex: on.ifindex, address, metric, self: true };
    (route.offers ??= []).push(added);
    return elect(route, added, on, output);
  }
  if (offer.address !== address && !isBetter(metric, address, offer.metric, offer.address)) return;
  offer.address = address;
  offer.metric = metric;
  elect(route, offer, on, output);
}

/** The neighbour offers the route no more: it is gone, told 32, or depends on us. */
export function dropOffer(route: Route, peer: Peer, output: ForwarderOutput): void {
  const offer = offerOn(route, peer.ifindex);
  if (offer === undefined || offer.address !== peer.address) return;
  remove(route, offer);
  if (!offer.self) output.dfChanged(route, offer.ifindex, true);
}

/** The interface has become the route's own, where nobody asks who forwards. */
export function forgetOffers(route: Route, ifindex: Ifindex): void {
  const offer = offerOn(route, ifindex);
  if (offer !== undefined) remove(route, offer);
}

/** Our metric has changed: compares again everywhere. */
export function reelect(route: Route, interfaces: ReadonlyMap<Ifindex, RouteInterface>, output: ForwarderOutput): void {
  if (route.offers === undefined) return;
  for (const offer of route.offers) {
    const on = interfaces.get(offer.ifindex);
    if (on !== undefined) elect(route, offer, on, output);
  }
}

function elect(route: Route, offer: Offer, on: RouteInterface, output: ForwarderOutput): void {
  const self = !isBetter(offer.metric, offer.address, offeredMetric(route, on), on.address);
  if (self === offer.self) return;
  offer.self = self;
  output.dfChanged(route, offer.ifindex, self);
}

function isBetter(metric: number, address: IpAddress, thanMetric: number, thanAddress: IpAddress): boolean {
  return metric < thanMetric || (metric === thanMetric && address < thanAddress);
}

function offerOn(route: Route, ifindex: Ifindex): Offer | undefined {
  if (route.offers === undefined) return undefined;
  for (const offer of route.offers) if (offer.ifindex === ifindex) return offer;
  return undefined;
}

function remove(route: Route, offer: Offer): void {
  route.offers!.splice(route.offers!.indexOf(offer), 1);
  if (route.offers!.length === 0) route.offers = undefined;
}
