/** What forwarding asks of the rest of the protocol, and what it has done (types only). */
import type { IpAddress, Prefix } from '../base/ip.js';
import type { MembershipKey } from '../mgm/client.js';
import type { Ifindex } from '../port/kernel.js';
import type { Graft } from './wire/graft.js';
import type { Upstream } from './trees/graft-state.js';
import type { Prune } from './wire/prune.js';

/** What forwarding needs to know of a route that is up. */
export interface DeliveryRoute {
  readonly prefix: Prefix;
  /** Where data of its sources comes in; undefined: by another protocol's interface. */
  readonly iif: Ifindex | undefined;
  /** Undefined: the sources are on the link. */
  readonly upstream: IpAddress | undefined;
  /** We forward to local members there (dvmrp.md section 7.3). */
  isDesignated(ifindex: Ifindex): boolean;
  /** Who gets the sources' data from us there. */
  dependents(ifindex: Ifindex): Iterable<IpAddress>;
}

/** The rest of the protocol as forwarding sees it. */
export interface Surroundings {
  /** The longest route that is up. */
  route(source: IpAddress): DeliveryRoute | undefined;
  routeFor(prefix: Prefix): DeliveryRoute | undefined;
  /** Routes that are up and come from a neighbour. */
  upstreamRoutes(): Iterable<DeliveryRoute>;
  /** Ours and up. */
  interfaces(): Iterable<Ifindex>;
  owns(ifindex: Ifindex): boolean;
  /** The group's scope does not end there, and a point-to-point link has somebody at its other end. */
  passes(ifindex: Ifindex, group: IpAddress): boolean;
  canPrune(upstream: Upstream): boolean;
  /** It may hold prunes of ours that we do not know of, and understands grafts. */
  mayHoldPrunes(nowMs: number, upstream: Upstream): boolean;
}

export interface ForwardingOutput {
  /** An existing entry leaves by the interface from now on, or does not. */
  forward(flow: MembershipKey, ifindex: Ifindex, on: boolean): void;
  /** Whether the entry has any outgoing interface; undefined: there is no entry any more. */
  hasOutputs(flow: MembershipKey): boolean | undefined;
  /** Packets that came in on the right interface so far; undefined: there is no entry any more. */
  packets(flow: MembershipKey): number | undefined;
  sendPrune(to: Upstream, prune: Omit<Prune, 'mask'>, network: Prefix): void;
  sendGraft(to: Upstream, graft: Omit<Graft, 'mask'>, network: Prefix): void;
  /** A (*,G) membership of ours, for other components' sake. */
  pull(ifindex: Ifindex, group: IpAddress, wanted: boolean): void;
}

export interface ForwardingConfig {
  readonly pruneLifetimeMs: number;
  readonly maxReceivedPruneMs: number;
  readonly pruneRetransmit: boolean;
  /** Received prunes that are kept, of everybody and of each neighbour. */
  readonly maxPrunes: number;
  readonly maxPrunesPerNeighbor: number;
  /** A group that somebody inside sends to counts as wanted from outside. */
  readonly membersAreSenders: boolean;
  readonly ssmRanges: readonly Prefix[];
}
