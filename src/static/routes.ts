/** The configured routes as a table: which one a flow follows, and which memberships they amount to. */
import { ANY4, type IpAddress, networkOf, prefixContains } from '../base/ip.js';
import type { StaticRoute } from '../config/types.js';
import type { MembershipKey } from '../mgm/client.js';

/** All bits of an address: not a range. */
const HOST = 32;

export class Routes {
  /** By length of the group's prefix, longest first, and by its network; the most specific source of each first. */
  readonly #byLength: readonly (readonly [number, ReadonlyMap<IpAddress, readonly StaticRoute[]>])[];

  constructor(readonly all: readonly StaticRoute[]) {
    const lengths = new Map<number, Map<IpAddress, StaticRoute[]>>();
    for (const route of all) {
      const { network, length } = route.group;
      const byNetwork = lengths.get(length) ?? new Map<IpAddress, StaticRoute[]>();
      lengths.set(length, byNetwork);
      const routes = byNetwork.get(network);
      if (routes) routes.push(route);
      else byNetwork.set(network, [route]);
    }
    for (const byNetwork of lengths.values())
      for (const routes of byNetwork.values()) routes.sort((a, b) => sourceLength(b) - sourceLength(a));
    this.#byLength = [...lengths].sort(([a], [b]) => b - a);
  }

  /**
   * The route of a flow that comes in, or is expected, on one of `arrivals`, tried in this order: of those with this input the one
   * with the longest group, then the longest source, then the first of the file. Failing that a route for exactly this
   * group: its packets are expected on its own input, wherever they come in.
   */
  find(flow: MembershipKey, arrivals: readonly (string | undefined)[]): StaticRoute | undefined {
    const matching = [...this.#matching(flow)];
    for (const arrival of arrivals) {
      const route = arrival === undefined ? undefined : matching.find(({ iifs }) => iifs.includes(arrival));
      if (route) return route;
    }
    return matching.find((route) => isMembership(route));
  }

  /** Whether the flow leaves by `oif` when it comes in by one of the configured inputs. */
  leadTo(flow: MembershipKey, oif: string): boolean {
    const matching = [...this.#matching(flow)];
    const inputs = new Set(matching.flatMap(({ iifs }) => iifs));
    return [...inputs].some((name) => matching.find(({ iifs }) => iifs.includes(name))!.oifs.includes(oif));
  }

  /** The membership keys of the routes that leave by `oif`, each once, in the order of the file; ranges have none. */
  keysLeavingBy(oif: string): readonly MembershipKey[] {
    const keys = new Map<string, MembershipKey>();
    for (const route of this.all) {
      if (!isMembership(route) || !route.oifs.includes(oif)) continue;
      const key = { source: route.source?.network ?? ANY4, group: route.group.network };
      keys.set(`${key.source} ${key.group}`, key);
    }
    return [...keys.values()];
  }

  *#matching({ source, group }: MembershipKey): Generator<StaticRoute> {
    for (const [length, byNetwork] of this.#byLength)
      for (const route of byNetwork.get(networkOf(group, length)) ?? [])
        if (route.source === undefined || prefixContains(route.source, source)) yield route;
  }
}

/** For one group from one source or from any, and it lets something out: as if somebody behind the outputs had asked. */
function isMembership({ source, group, oifs }: StaticRoute): boolean {
  return group.length === HOST && (source === undefined || source.length === HOST) && oifs.length > 0;
}

function sourceLength({ source }: StaticRoute): number {
  return source?.length ?? -1;
}
