/**
 * Which memberships a group on an interface needs, and how to get there. Pure.
 * The wishes of all holders are merged as RFC 3376 section 3.2 merges those of sockets. Usually one membership is enough.
 * An include list longer than one takes is spread over several (the kernel joins them together again); an exclude list
 * cannot be spread (the kernel intersects those), so a longer one is cut: packets of the sources behind the cut then arrive
 * although nobody asked for them.
 */
import { filterOf, mergedFilter, sameFilter } from '../../base/filter-merge.js';
import type { MembershipFilter } from '../../port/kernel.js';

/** net.ipv4.igmp_max_msf as the kernel sets it by default. */
export const SOURCES_PER_MEMBERSHIP = 10;

/** How many memberships the kernel needs for the filter; an exclude list cannot be spread. */
export function membershipsFor({ mode, sources }: MembershipFilter, most: number): number {
  return mode === 'exclude' ? 1 : Math.max(1, Math.ceil(sources.length / Math.max(1, most)));
}

/** Nothing is given up before everything that is new is there: the group is never left in between. */
export const RANK = { join: 0, widen: 1, narrow: 2, leave: 3 } as const;

/** What to do in one lane (see membership-lanes.ts). No filter: leave. */
export interface PlanStep {
  readonly rank: 0 | 1 | 2 | 3;
  readonly lane: number;
  readonly filter: MembershipFilter | undefined;
}

/** The memberships held, by lane. */
export type HeldLanes = readonly (MembershipFilter | undefined)[];

/** Sources sorted, each once. Undefined for an include list without sources, which wants nothing. */
export function normalised(filter: MembershipFilter): MembershipFilter | undefined {
  if (filter.sources.length === 0) return filter.mode === 'include' ? undefined : filter;
  return filterOf(filter.mode, [...new Set(filter.sources)]);
}

/** One filter that serves all wishes, which are normalised, and is so itself. Undefined when nothing is wanted. */
export function merged(wishes: ReadonlyMap<string, MembershipFilter>): MembershipFilter | undefined {
  if (wishes.size > 1) return mergedFilter(wishes.values());
  for (const only of wishes.values()) return only;
  return undefined;
}

/**
 * The steps from what is held to what is wanted, in order. Empty when that is the same.
 * `most`: sources in the filter of one membership, net.ipv4.igmp_max_msf.
 */
export function plan(held: HeldLanes, wanted: MembershipFilter | undefined, most: number): readonly PlanStep[] {
  const targets =
    wanted === undefined ? [] : wanted.mode === 'exclude' ? [cut(wanted, most)] : spread(held, wanted, most);
  const steps: PlanStep[] = [];
  for (let lane = 0; lane < Math.max(held.length, targets.length); lane++) {
    const rank = rankOf(held[lane], targets[lane]);
    if (rank !== undefined) steps.push({ rank, lane, filter: targets[lane] });
  }
  return steps.length > 1 ? steps.sort((a, b) => a.rank - b.rank) : steps;
}

function rankOf(now: MembershipFilter | undefined, target: MembershipFilter | undefined): PlanStep['rank'] | undefined {
  if (sameFilter(now, target)) return undefined;
  if (now === undefined) return RANK.join;
  if (target === undefined) return RANK.leave;
  return admitsAll(target, now) ? RANK.widen : RANK.narrow;
}

/** True when `next` lets every source through that `now` does. */
function admitsAll(next: MembershipFilter, now: MembershipFilter): boolean {
  if (next.mode === 'include') return now.mode === 'include' && now.sources.every((s) => next.sources.includes(s));
  if (now.mode === 'exclude') return next.sources.every((source) => now.sources.includes(source));
  return !now.sources.some((source) => next.sources.includes(source));
}

function cut(wanted: MembershipFilter, most: number): MembershipFilter {
  if (wanted.sources.length <= most) return wanted;
  return { mode: 'exclude', sources: wanted.sources.slice(0, most) };
}

/**
 * Every source stays in the lane where it is, as long as it fits; new ones fill what is free, from lane 0 on. One source fits
 * whatever the limit: joining it sets no list.
 */
function spread(held: HeldLanes, wanted: MembershipFilter, limit: number): (MembershipFilter | undefined)[] {
  const most = Math.max(1, limit);
  const left = new Set(wanted.sources);
  const lists = held.map((lane) => (lane?.mode === 'include' ? lane.sources.filter((s) => left.delete(s)) : []));
  const fresh = [...left];
  for (const [lane, list] of lists.entries())
    if (list.length > most && list.length !== held[lane]?.sources.length) fresh.push(...list.splice(most));
  for (const list of lists) list.push(...fresh.splice(0, Math.max(0, most - list.length)));
  while (fresh.length > 0) lists.push(fresh.splice(0, most));
  return lists.map((list) => (list.length === 0 ? undefined : filterOf('include', list)));
}
