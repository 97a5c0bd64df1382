/**
 * The membership database of the proxy (RFC 4605 section 3, igmp.md section 15.2): what each downstream wants, without
 * timers, and the one filter per group that serves them all. What other protocols want is one more downstream.
 */
import { mergedFilter, type SourceFilter } from '../base/filter-merge.js';
import { ANY4, type IpAddress, isAny } from '../base/ip.js';
import type { MembershipKey } from '../mgm/client.js';

/** One group on one downstream. EXCLUDE(X,Y) is `any` with `refused` Y; X needs no record (15.2, rule 2). */
interface Wanted {
  any: boolean;
  readonly sources: Set<IpAddress>;
  readonly refused: Set<IpAddress>;
}

const NOTHING: ReadonlySet<IpAddress> = new Set();

export class Wishes {
  readonly #groups = new Map<IpAddress, Wanted>();

  /** `name`: for operators. */
  constructor(public name: string) {}

  join({ source, group }: MembershipKey): void {
    const wanted = this.#wanted(group);
    if (isAny(source)) wanted.any = true;
    else wanted.sources.add(source);
  }

  leave({ source, group }: MembershipKey): void {
    const wanted = this.#groups.get(group);
    if (!wanted) return;
    if (!isAny(source)) wanted.sources.delete(source);
    else {
      wanted.any = false;
      wanted.refused.clear(); // they are the Y of an EXCLUDE that is over
    }
    this.#forgetIfEmpty(group, wanted);
  }

  /** Every member in EXCLUDE mode refuses the source, or no longer. */
  refuse({ source, group }: MembershipKey, refused: boolean): void {
    const wanted = refused ? this.#wanted(group) : this.#groups.get(group);
    if (refused) wanted?.refused.add(source);
    else wanted?.refused.delete(source);
    if (wanted) this.#forgetIfEmpty(group, wanted);
  }

  get isEmpty(): boolean {
    return this.#groups.size === 0;
  }

  groups(): IterableIterator<IpAddress> {
    return this.#groups.keys();
  }

  /** `ssm`: the group is source-specific, where asking for any source is void (RFC 4604 section 2.2). */
  filter(group: IpAddress, ssm: boolean): SourceFilter | undefined {
    const wanted = this.#groups.get(group);
    if (!wanted) return undefined;
    const { any, sources, refused } = wanted;
    if (any && !ssm) return { mode: 'exclude', sources: [...refused].filter((source) => !sources.has(source)) };
    return sources.size === 0 ? undefined : { mode: 'include', sources: [...sources] };
  }

  wants(source: IpAddress, group: IpAddress, ssm: boolean): boolean {
    const wanted = this.#groups.get(group);
    if (!wanted) return false;
    return wanted.sources.has(source) || (wanted.any && !ssm && !wanted.refused.has(source));
  }

  refuses(source: IpAddress, group: IpAddress): boolean {
    const { refused, sources } = this.#groups.get(group) ?? { refused: NOTHING, sources: NOTHING };
    return refused.has(source) && !sources.has(source);
  }

  #wanted(group: IpAddress): Wanted {
    let wanted = this.#groups.get(group);
    if (!wanted) this.#groups.set(group, (wanted = { any: false, sources: new Set(), refused: new Set() }));
    return wanted;
  }

  #forgetIfEmpty(group: IpAddress, { any, sources, refused }: Wanted): void {
    if (!any && sources.size === 0 && refused.size === 0) this.#groups.delete(group);
  }
}

export class Database {
  readonly #downstreams = new Set<Wishes>();
  readonly #isSsm: (group: IpAddress) => boolean;

  constructor(isSsm: (group: IpAddress) => boolean) {
    this.#isSsm = isSsm;
  }

  add(wishes: Wishes): void {
    this.#downstreams.add(wishes);
  }

  delete(wishes: Wishes): void {
    this.#downstreams.delete(wishes);
  }

  /** The record of the group (15.2, rule 3); undefined when nobody wants it. */
  merged(group: IpAddress): SourceFilter | undefined {
    const ssm = this.#isSsm(group);
    const filters: SourceFilter[] = [];
    for (const wishes of this.#downstreams) {
      const filter = wishes.filter(group, ssm);
      if (filter) filters.push(filter);
    }
    return mergedFilter(filters);
  }

  /** Names of those that want something of the group. */
  wantedBy(group: IpAddress): readonly string[] {
    const ssm = this.#isSsm(group);
    const names = [...this.#downstreams].filter((wishes) => wishes.filter(group, ssm)).map(({ name }) => name);
    return [...new Set(names)];
  }

  /** Each group that somebody has a wish about, once. */
  groups(): ReadonlySet<IpAddress> {
    const all = new Set<IpAddress>();
    for (const wishes of this.#downstreams) for (const group of wishes.groups()) all.add(group);
    return all;
  }
}

/** What other protocols want: one more downstream, and one for (*,*). */
export class Others {
  readonly #named = new Wishes('others');
  readonly #all = new Wishes('others');
  readonly #wildcardGroups: readonly IpAddress[];

  constructor(database: Database, wildcardGroups: readonly IpAddress[]) {
    this.#wildcardGroups = wildcardGroups;
    database.add(this.#named);
    database.add(this.#all);
  }

  /** Returns the groups it is about: a proxy cannot pull everything, the configured ones stand for (*,*) (coexistence.md section 6). */
  join(key: MembershipKey): readonly IpAddress[] {
    if (isAny(key.group)) for (const group of this.#wildcardGroups) this.#all.join({ source: ANY4, group });
    else this.#named.join(key);
    return this.#about(key);
  }

  leave(key: MembershipKey): readonly IpAddress[] {
    if (isAny(key.group)) for (const group of this.#wildcardGroups) this.#all.leave({ source: ANY4, group });
    else this.#named.leave(key);
    return this.#about(key);
  }

  #about({ group }: MembershipKey): readonly IpAddress[] {
    return isAny(group) ? this.#wildcardGroups : [group];
  }
}
