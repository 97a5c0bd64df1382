/** Where routes are kept: found by prefix, by the longest match of an address, and in the order they are told in. */
import { type IpAddress, ipv4, type Prefix, toU32 } from '../../base/ip.js';
import { Lpm, NO_MATCH } from '../../base/lpm.js';
import { compareRoutes } from '../wire/report.js';
import { Route } from './route.js';

/** What a mask length counts in the order of routes. */
const LENGTH = 2 ** 32;
/** So many new routes are put in order with the others at once, so that nobody ever waits for fifty thousand. */
const LATELY = 8192;

export class RouteStore {
  /** By length, then network: an address is a small integer and a good key. */
  readonly #byLength: Map<IpAddress, Route>[] = Array.from({ length: 33 }, () => new Map<IpAddress, Route>());
  readonly #routes: (Route | undefined)[] = [];
  readonly #freeIds: number[] = [];
  /** Those that are up. */
  readonly #reachable = new Lpm();
  #sorted: readonly Route[] = [];
  /** Routes that are not in `#sorted` yet. */
  #added: Route[] = [];
  #isSorted = true;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** Every route has one of so many places; it may be empty. */
  get places(): number {
    return this.#routes.length;
  }

  at(place: number): Route | undefined {
    return this.#routes[place];
  }

  /** Not deleted. */
  has(route: Route): boolean {
    return this.#routes[route.id] === route;
  }

  find(network: IpAddress, length: number): Route | undefined {
    return this.#byLength[length]?.get(network);
  }

  /** The route that data from `source` follows: the longest match among those that are up (dvmrp.md section 8.1). */
  lookup(source: IpAddress): Route | undefined {
    const id = this.#reachable.lookup(source);
    return id === NO_MATCH ? undefined : this.#routes[id];
  }

  /** There is none of that prefix yet. */
  create(network: IpAddress, length: number): Route {
    const id = this.#freeIds.pop() ?? this.#routes.length;
    const route = new Route(network, length, id);
    this.#routes[id] = route;
    this.#byLength[length]!.set(network, route);
    this.#size++;
    this.#added.push(route);
    this.#isSorted = false;
    if (this.#added.length >= LATELY) this.sorted();
    return route;
  }

  delete(route: Route): void {
    this.#reachable.remove(route);
    this.#routes[route.id] = undefined;
    this.#freeIds.push(route.id);
    this.#byLength[route.length]!.delete(route.network);
    this.#size--;
    this.#isSorted = false;
  }

  /** Whether look-ups find the route follows its state. */
  stateChanged(route: Route): void {
    if (route.isUp) this.#reachable.insert(route, route.id);
    else this.#reachable.remove(route);
  }

  /** All routes, by mask, then network. A new array after each coming and going. */
  sorted(): readonly Route[] {
    if (this.#isSorted) return this.#sorted;
    const isThere = (route: Route): boolean => this.has(route);
    const added = this.inOrder(this.#added.filter(isThere));
    this.#sorted = merged(this.#sorted.filter(isThere), added);
    this.#added = [];
    this.#isSorted = true;
    return this.#sorted;
  }

  /** Routes that are there, sorted; as numbers, ten times as fast as objects. */
  inOrder(routes: readonly Route[]): Route[] {
    const keys = new Float64Array(routes.length);
    for (let n = 0; n < keys.length; n++) keys[n] = orderOf(routes[n]!);
    keys.sort();
    const sorted: Route[] = [];
    for (const key of keys) {
      const length = Math.floor(key / LENGTH);
      sorted.push(this.find(ipv4(key - length * LENGTH), length)!);
    }
    return sorted;
  }
}

/** In the order of `compareRoutes`. */
function orderOf({ network, length }: Prefix): number {
  return length * LENGTH + toU32(network);
}

/** Two sorted lists as one: what came and went is little against what is there. */
function merged(many: readonly Route[], few: readonly Route[]): readonly Route[] {
  if (few.length === 0) return many;
  const all: Route[] = [];
  let at = 0;
  for (const one of few) {
    while (at < many.length && compareRoutes(many[at]!, one) < 0) all.push(many[at++]!);
    all.push(one);
  }
  while (at < many.length) all.push(many[at++]!);
  return all;
}
