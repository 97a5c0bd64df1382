/**
 * A copy of one unicast table, for look-ups that the kernel does not make by itself: it has no question "in table N".
 * Longest prefix first, then lowest priority number, as the kernel orders them. Addresses of this machine come from the
 * kernel's own table of them. Pure.
 */
import { type IpAddress, maskOf, type Prefix, toU32 } from '../../base/ip.js';
import type { Route } from '../../port/kernel.js';
import { type KernelRoute, type NextHop, RTN_LOCAL, RTN_UNICAST, takenOf } from '../netlink/route-messages.js';

/** Where the kernel keeps the machine's own addresses, whatever table is asked for. */
export const LOCAL_TABLE = 255;

export type Placing = 'replace' | 'append' | 'prepend';

export class RouteMirror {
  /** By prefix length, then by network as a host-order number; rivals for one prefix are sorted by priority. */
  readonly #byLength: (Map<number, KernelRoute[]> | undefined)[] = Array.from({ length: 33 });
  readonly #own = new Map<number, KernelRoute>();

  constructor(readonly table: number) {}

  /**
   * Takes in a route of this table or an address of the machine; others are not its business. A second time is harmless. Of one
   * rank the kernel takes the first: "replace" takes the place of it, "append" goes behind, "prepend" before.
   */
  add(route: KernelRoute, how: Placing): void {
    if (route.table === LOCAL_TABLE && route.type === RTN_LOCAL && route.prefix.length === 32)
      this.#own.set(toU32(route.prefix.network), route);
    if (route.table !== this.table) return;
    const rivals = this.#rivalsFor(route.prefix);
    const at = rivals.findIndex((other) => (how === 'replace' ? sameRank(other, route) : sameRoute(other, route)));
    if (at >= 0) rivals[at] = route;
    else if (how === 'prepend') rivals.unshift(route);
    else rivals.push(route);
    rivals.sort((a, b) => a.priority - b.priority);
  }

  remove(route: KernelRoute): void {
    if (route.table === LOCAL_TABLE) this.#own.delete(toU32(route.prefix.network));
    if (route.table !== this.table) return;
    const rivals = this.#rivalsFor(route.prefix);
    const at = rivals.findIndex((other) => sameRoute(other, route));
    if (at >= 0) rivals.splice(at, 1);
    if (rivals.length === 0) this.#byLength[route.prefix.length]?.delete(toU32(route.prefix.network));
  }

  /** Like the kernel it passes over routes whose next hops are all dead. `hopsOf` finds those of a route. */
  lookup(destination: IpAddress, hopsOf: HopsOf): Route | 'local' | undefined {
    const address = toU32(destination);
    if (this.#own.has(address)) return 'local';
    for (let length = 32; length >= 0; length--) {
      for (const route of this.#byLength[length]?.get((address & toU32(maskOf(length))) >>> 0) ?? []) {
        if (route.tos !== 0) continue; // for packets of that class alone
        const hops = hopsOf(route);
        if (route.type !== RTN_UNICAST || takenOf(hops).length > 0) return asRoute(route, hops);
      }
    }
    return undefined;
  }

  #rivalsFor(prefix: Prefix): KernelRoute[] {
    const networks = this.#byLength[prefix.length] ?? new Map<number, KernelRoute[]>();
    this.#byLength[prefix.length] = networks;
    const rivals = networks.get(toU32(prefix.network)) ?? [];
    networks.set(toU32(prefix.network), rivals);
    return rivals;
  }
}

export type HopsOf = (route: KernelRoute) => readonly NextHop[];

/** What the port says of a kernel route: nothing for one that refuses packets (unreachable, blackhole, prohibit). */
export function asRoute({ type, prefix, protocol }: KernelRoute, all: readonly NextHop[]): Route | 'local' | undefined {
  if (type === RTN_LOCAL) return 'local';
  const hops = takenOf(all).map(({ state: _, ...hop }) => hop);
  const [first] = hops;
  if (type !== RTN_UNICAST || !first) return undefined;
  return hops.length === 1 ? { ...first, prefix, protocol } : { ...first, prefix, protocol, hops };
}

function sameRank(a: KernelRoute, b: KernelRoute): boolean {
  return a.priority === b.priority && a.tos === b.tos;
}

function sameRoute(a: KernelRoute, b: KernelRoute): boolean {
  return sameRank(a, b) && a.type === b.type && a.nextHopId === b.nextHopId && sameHops(a, b);
}

/** A next hop object may have got others meanwhile. */
function sameHops(a: KernelRoute, b: KernelRoute): boolean {
  if (a.nextHopId !== undefined) return true;
  return (
    a.hops.length === b.hops.length &&
    a.hops.every(({ ifindex, gateway }, at) => b.hops[at]?.ifindex === ifindex && b.hops[at].gateway === gateway)
  );
}
