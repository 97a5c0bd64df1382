/** What the route table knows of an interface, and which metric a route has there (dvmrp.md sections 6.2 and 6.3). */
import type { IpAddress, Prefix } from '../../base/ip.js';
import type { Ifindex } from '../../port/kernel.js';
import { INFINITY } from '../wire/report.js';
import type { Peer, Route } from './route.js';
import { admitsRoute, type RouteFilter } from './route-filter.js';

export interface RouteInterfaceConfig {
  /** 1..31, added to what is heard here. */
  readonly metric: number;
  /** 0..31, added to what is told here. */
  readonly advertisedOffset: number;
  readonly filterIn: RouteFilter;
  readonly filterOut: RouteFilter;
  /** Everything to 224.0.0.4, also what is for one neighbour (dvmrp.md section 2). */
  readonly pointToPoint: boolean;
}

export class RouteInterface {
  config: RouteInterfaceConfig;
  readonly peers = new Map<IpAddress, Peer>();
  /** Told here before a filter forbade it: taken back by the next flash update. */
  readonly withdrawn = new Set<Route>();

  constructor(
    readonly ifindex: Ifindex,
    /** The address our messages come from. */
    readonly address: IpAddress,
    readonly subnets: readonly Prefix[],
    config: RouteInterfaceConfig,
  ) {
    this.config = config;
  }
}

/** What a received metric of 1..31 means here: 1..32 (dvmrp.md section 6.2). */
export function adjustedMetric(on: RouteInterface, metric: number): number {
  return Math.min(metric + on.config.metric, INFINITY);
}

/** Not told on the interface. */
export const OMIT = 0;

/**
 * The metric to tell on an interface, or OMIT: the table of dvmrp.md section 6.3. A poison entry passes the filter: it is no offer, and
 * without it the upstream would not send us the data.
 */
export function advertisedMetric(route: Route, on: RouteInterface): number {
  if (route.iif === on.ifindex && route.origin === 'connected') return OMIT;
  const poison = route.isUp && route.iif === on.ifindex;
  if (!poison && !admitsRoute(on.config.filterOut, route.network, route.length)) return OMIT;
  if (!route.isUp) return INFINITY;
  if (poison) return route.metric + INFINITY;
  return Math.min(route.metric + on.config.advertisedOffset, INFINITY);
}

/** The metric we compete with on an interface that is not the route's own: 32 where nothing is offered. */
export function offeredMetric(route: Route, on: RouteInterface): number {
  return advertisedMetric(route, on) || INFINITY;
}
