/** One route of the table (dvmrp.md section 7.1). Plain data: route-table.ts and the files around it change it. */
import type { Queued } from '../../base/deadline-heap.js';
import type { IpAddress, Prefix } from '../../base/ip.js';
import type { Ifindex } from '../../port/kernel.js';

/** 'originated': put in by the configuration; its sources are reached by another protocol. */
export type Origin = 'learned' | 'connected' | 'originated';

/** 'hold': lost, and advertised as such until the hold-down ends (dvmrp.md section 7.4). */
export type RouteState = 'up' | 'hold';

/** A neighbour that counts, as routes point to it. When it is lost and comes back, it is another object. */
export interface Peer {
  readonly ifindex: Ifindex;
  readonly address: IpAddress;
  /** How many have it as upstream. */
  routes: number;
}

/** Somebody else's offer that waits for the end of a hold-down. */
export interface Candidate {
  readonly peer: Peer;
  /** Adjusted, below 32. */
  readonly metric: number;
  readonly expiryMs: number;
}

/** A neighbour that expects the network's data from us (dvmrp.md section 7.2). */
export interface Dependent {
  readonly peer: Peer;
  expiryMs: number;
}

/** The best that others offer on an interface; who is better, they or we, is the forwarder there (dvmrp.md section 7.3). */
export interface Offer {
  readonly ifindex: Ifindex;
  address: IpAddress;
  /** As on the wire, 1..31. */
  metric: number;
  /** What was last told: whether we forward. */
  self: boolean;
}

export const NO_DEPENDENTS: readonly Dependent[] = [];

export class Route implements Prefix, Queued {
  state: RouteState = 'up';
  origin: Origin = 'learned';
  /** The neighbour it was learned from; undefined of the other origins. Stays while held down. */
  upstream: Peer | undefined;
  /** Towards the sources; undefined of an originated route. */
  iif: Ifindex | undefined;
  /** 1..31; while held down, what it was before. */
  metric = 0;
  /** End of life without refresh while learned and up, end of the hold-down while held down; otherwise infinite. */
  timerMs = Number.POSITIVE_INFINITY;
  candidate: Candidate | undefined;
  dependents: Dependent[] | undefined;
  offers: Offer[] | undefined;
  /** How many losses have been applied to it (losses.ts). */
  losses = 0;
  /** Waits for the next flash update. */
  changed = false;
  queuedMs = 0;
  heapIndex = -1;

  constructor(
    readonly network: IpAddress,
    readonly length: number,
    /** Its place in the table. */
    readonly id: number,
  ) {}

  get isUp(): boolean {
    return this.state === 'up';
  }
}
