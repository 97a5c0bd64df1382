/** What the configuration of a static instance wants, as values: keys per interface, filters per group, the iif of a flow. */
import { ANY4, type IpAddress } from '../base/ip.js';
import type { StaticJoin, StaticRoute } from '../config/types.js';
import type { MembershipKey } from '../mgm/client.js';
import { ANY_SOURCE_FILTER, type MembershipFilter } from '../port/kernel.js';

/** The membership keys of the routes that leave by `oif`, each once, in the order of the configuration. */
export function keysLeavingBy(routes: readonly StaticRoute[], oif: string): readonly MembershipKey[] {
  const keys: MembershipKey[] = [];
  for (const route of routes) {
    const key = { source: route.source ?? ANY4, group: route.group };
    if (route.oifs.includes(oif) && !keys.some((known) => sameKey(known, key))) keys.push(key);
  }
  return keys;
}

export function sameKey(a: MembershipKey, b: MembershipKey): boolean {
  return a.source === b.source && a.group === b.group;
}

/** The route a flow follows: the one for (S,G), else the one for (*,G); the first of several. */
export function routeOf(routes: readonly StaticRoute[], flow: MembershipKey): StaticRoute | undefined {
  const ofGroup = routes.filter((route) => route.group === flow.group);
  return ofGroup.find((route) => route.source === flow.source) ?? ofGroup.find((route) => route.source === undefined);
}

/** One kernel filter per group on the interface: every source as soon as one join asks for it, otherwise the sources named. */
export function filtersOn(joins: readonly StaticJoin[], name: string): ReadonlyMap<IpAddress, MembershipFilter> {
  const filters = new Map<IpAddress, MembershipFilter>();
  for (const join of joins) {
    if (join.interface !== name) continue;
    const known = filters.get(join.group);
    filters.set(join.group, join.source === undefined ? ANY_SOURCE_FILTER : withSource(known, join.source));
  }
  return filters;
}

function withSource(known: MembershipFilter | undefined, source: IpAddress): MembershipFilter {
  if (known?.mode === 'exclude' || known?.sources.includes(source)) return known;
  return { mode: 'include', sources: [...(known?.sources ?? []), source] };
}
