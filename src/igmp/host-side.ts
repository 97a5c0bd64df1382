/**
 * What this router joins as a host on its IGMP interfaces: the configured `joinGroups`, and with `pull` the groups that are
 * wanted elsewhere, so that routers and switches of a link where IGMP is alone send them (coexistence.md section 5, "IGMP-only
 * link"; INT-031). The kernel does the host side itself; this file only says which groups.
 */
import { ANY4, type IpAddress, isAny, isLinkLocalGroup } from '../base/ip.js';
import type { GroupWish, IgmpInterfaceConfig } from '../config/types.js';
import type { Ifindex, MembershipFilter } from '../port/kernel.js';
import { isWithin } from './groups/admission.js';
import type { Group } from './groups/group.js';

/** Any source, or only some. */
export class SourceWish {
  any = false;
  readonly sources = new Set<IpAddress>();

  add(source: IpAddress): void {
    if (isAny(source)) this.any = true;
    else this.sources.add(source);
  }

  /** False: nothing is left. */
  remove(source: IpAddress): boolean {
    if (isAny(source)) this.any = false;
    else this.sources.delete(source);
    return this.any || this.sources.size > 0;
  }

  filter(): MembershipFilter | undefined {
    if (this.any) return { mode: 'exclude', sources: [] };
    return this.sources.size === 0 ? undefined : { mode: 'include', sources: [...this.sources] };
  }
}

/** Per group what a list of wishes comes to. */
export function joinedGroups(wishes: readonly GroupWish[]): ReadonlyMap<IpAddress, MembershipFilter> {
  const merged = new Map<IpAddress, SourceWish>();
  for (const { group, source } of wishes) {
    const wish = merged.get(group) ?? new SourceWish();
    wish.add(source ?? ANY4);
    merged.set(group, wish);
  }
  return new Map([...merged].map(([group, wish]) => [group, wish.filter()!]));
}

/** An interface as pulling sees it. */
export interface PullInterface {
  readonly ifindex: Ifindex;
  readonly config: IgmpInterfaceConfig;
  /** No routing protocol owns it. */
  readonly alone: boolean;
  /** Groups that are wanted there. */
  members(): Iterable<IpAddress>;
  group(group: IpAddress): Group | undefined;
  /** Sources wanted by configuration, 0.0.0.0 for any. */
  staticSources(group: IpAddress): Iterable<IpAddress>;
}

export interface PullOutput {
  interfaces(): Iterable<PullInterface>;
  /** Idempotent; undefined: nothing any more. */
  join(ifindex: Ifindex, group: IpAddress, filter: MembershipFilter | undefined): void;
  /** Runs in a later turn of the event loop. */
  later(run: () => void): { cancel(): void };
}

/** Groups looked at per turn of the event loop. */
const GROUPS_PER_TURN = 512;

export class Pull {
  readonly #output: PullOutput;
  /** What other clients of the manager want, as its alerts told. */
  readonly #alerted = new Map<IpAddress, SourceWish>();
  readonly #joined = new Map<Ifindex, Set<IpAddress>>();
  readonly #dirty = new Set<IpAddress>();
  #turn: { cancel(): void } | undefined;

  constructor(output: PullOutput) {
    this.#output = output;
  }

  /** Another client wants the key, or no client any more. Of (*,*) no group can be named (coexistence.md section 5). */
  alerted(source: IpAddress, group: IpAddress, wanted: boolean): void {
    if (isAny(group)) return;
    const wish = this.#alerted.get(group) ?? new SourceWish();
    if (wanted) wish.add(source);
    if (wanted || wish.remove(source)) this.#alerted.set(group, wish);
    else this.#alerted.delete(group);
    this.#refresh(group);
  }

  /** Hosts on one of the interfaces want something else of the group; acted on by `settle`. */
  touched(group: IpAddress): void {
    this.#dirty.add(group);
  }

  settle(): void {
    let left = GROUPS_PER_TURN;
    for (const group of this.#dirty) {
      if (left-- === 0) break;
      this.#dirty.delete(group);
      this.#refresh(group);
    }
    if (this.#dirty.size > 0) this.#turn ??= this.#output.later(() => this.#settleRest());
  }

  #settleRest(): void {
    this.#turn = undefined;
    this.settle();
  }

  /** An interface came, went, or has another owner. */
  refreshAll(): void {
    for (const group of this.#alerted.keys()) this.#dirty.add(group);
    for (const one of this.#output.interfaces()) for (const group of one.members()) this.#dirty.add(group);
    for (const joined of this.#joined.values()) for (const group of joined) this.#dirty.add(group);
    this.settle();
  }

  /** Leaves no turn behind. */
  stop(): void {
    this.#turn?.cancel();
    this.#turn = undefined;
    this.#dirty.clear();
  }

  /** The interface is not IGMP's any more. */
  leaveAll(ifindex: Ifindex): void {
    for (const group of this.#joined.get(ifindex) ?? []) this.#output.join(ifindex, group, undefined);
    this.#joined.delete(ifindex);
  }

  #refresh(group: IpAddress): void {
    for (const puller of this.#output.interfaces()) {
      if (puller.config.pull) this.#set(puller.ifindex, group, this.#wantedElsewhere(puller, group));
    }
  }

  #wantedElsewhere(puller: PullInterface, group: IpAddress): MembershipFilter | undefined {
    const { config } = puller;
    if (!puller.alone || isLinkLocalGroup(group) || isWithin(config.boundary, group)) return undefined;
    const wish = new SourceWish();
    const alerted = this.#alerted.get(group);
    if (alerted?.any) wish.add(ANY4);
    for (const source of alerted?.sources ?? []) wish.add(source);
    for (const other of this.#output.interfaces())
      if (other.ifindex !== puller.ifindex && other.alone) addMembers(wish, other, group);
    // An any-source join of an SSM group would be one that no router acts on.
    if (wish.any && isWithin(config.ssmRanges, group)) wish.any = false;
    return wish.filter();
  }

  #set(ifindex: Ifindex, group: IpAddress, filter: MembershipFilter | undefined): void {
    const joined = this.#joined.get(ifindex);
    if (filter === undefined) {
      if (!joined?.delete(group)) return;
    } else if (joined) joined.add(group);
    else this.#joined.set(ifindex, new Set([group]));
    this.#output.join(ifindex, group, filter);
  }
}

function addMembers(wish: SourceWish, on: PullInterface, group: IpAddress): void {
  for (const source of on.staticSources(group)) wish.add(source);
  const state = on.group(group);
  if (state?.mode === 'exclude') wish.add(ANY4);
  else for (const source of state?.sources?.keys() ?? []) wish.add(source);
}
