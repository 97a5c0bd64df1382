/** A list of routes on its way to neighbours, a part of it per turn of the event loop. */
import type { IpAddress } from '../../base/ip.js';
import { admitsRoute } from './route-filter.js';
import { INFINITY } from '../wire/report.js';
import type { Route } from './route.js';
import { advertisedMetric, OMIT, type RouteInterface } from './route-interface.js';

export class Telling {
  #next = 0;

  constructor(
    readonly on: RouteInterface,
    readonly to: IpAddress,
    readonly routes: readonly Route[],
    /** What is told of a route when its turn comes. */
    readonly metricOf: (route: Route, on: RouteInterface) => number = advertisedMetric,
  ) {}

  get isDone(): boolean {
    return this.#next >= this.routes.length;
  }

  /** The next so many. */
  take(count: number): readonly Route[] {
    const part = this.routes.slice(this.#next, this.#next + count);
    this.#next += part.length;
    return part;
  }
}

/**
 * dvmrp.md section 7.7: what has ever been told there, also to those we depend on, ends. Their routes may be lost by then, the interface gone.
 */
export function withdrawnMetric(route: Route, on: RouteInterface): number {
  const isOwn = route.iif === on.ifindex;
  const isTold = isOwn ? route.origin !== 'connected' : admitsRoute(on.config.filterOut, route.network, route.length);
  return isTold ? INFINITY : OMIT;
}
