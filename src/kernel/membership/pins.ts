/**
 * The pins of one interface in one pause (linux.md D6): for each group somebody else is a member of, one more membership with the
 * filter that the interface has anyway. While it is there, no close and no death of others changes what the interface
 * receives; with the last pin of a group goes out what had been held back. Pinning itself sends nothing and changes nothing.
 */
import { sameFilter } from '../../base/filter-merge.js';
import { ip, type IpAddress, toU32 } from '../../base/ip.js';
import type { Ifindex, MembershipFilter } from '../../port/kernel.js';
import type { NativeMembershipSocket } from '../addon.js';
import { EAGAIN } from '../errno.js';
import { filterOf, type HostMembership, without } from './host-memberships.js';
import type { OpenMembershipPool } from './membership-lanes.js';
import { SOURCES_PER_MEMBERSHIP } from './membership-plan.js';

/** Joined by the kernel on every interface, and never reported (RFC 3376 section 6). */
const ALL_SYSTEMS = ip('224.0.0.1');
/** Included for a moment on the way to an exclude filter: nobody sends from it on a link. */
const NO_SENDER = ip('127.0.0.1');

/** mgmd's own memberships of a group, which need no pin: it does not change them in a pause. */
export type OwnMemberships = (group: IpAddress) => readonly MembershipFilter[];

export interface PinRefusals {
  /** Undefined: all, because they could not be listed. */
  readonly groups: number | undefined;
  /** Error number of the first one that was refused. */
  readonly errno: number;
}

/** Two are enough unless others die meanwhile. */
const ROUNDS = 5;

export class Pins {
  readonly #ifindex: Ifindex;
  readonly #open: OpenMembershipPool;
  readonly #most: number;
  /** A socket holds a group of an interface only once, so the pin of a long include list takes several pools. */
  readonly #pools: NativeMembershipSocket[] = [];
  /** In the order of the list. One, or several that include different sources: then in the pools of the same positions. */
  readonly #pins = new Map<IpAddress, readonly MembershipFilter[]>();
  readonly #refused = new Set<IpAddress>();
  #errno = 0;

  /** `most`: sources in the filter of one membership, net.ipv4.igmp_max_msf. */
  constructor(ifindex: Ifindex, open: OpenMembershipPool, most = SOURCES_PER_MEMBERSHIP) {
    this.#ifindex = ifindex;
    this.#open = open;
    this.#most = Math.max(1, most);
  }

  /**
   * `read` lists the interface's memberships. It is asked again until the pins fit them: what left before it was pinned has
   * been brought back by its pin.
   */
  place(read: () => readonly HostMembership[] | undefined, own: OwnMemberships): PinRefusals | undefined {
    for (let round = 0; round < ROUNDS; round++) {
      const now = read();
      if (!now && round === 0) return { groups: undefined, errno: EAGAIN };
      if (!now || !this.#fit(now, own)) break;
    }
    return this.#refused.size > 0 ? { groups: this.#refused.size, errno: this.#errno } : undefined;
  }

  /** In the order of the kernel's list, where it finds each at once when others are gone (linux.md D6). */
  release(): void {
    for (const [group, filters] of this.#pins) for (const lane of filters.keys()) this.#leave(lane, group);
    this.close();
  }

  close(): void {
    this.#pins.clear();
    for (const pool of this.#pools.splice(0)) pool.close();
  }

  /** True when something was changed. */
  #fit(now: readonly HostMembership[], own: OwnMemberships): boolean {
    const left = new Map(this.#pins);
    let changed = false;
    for (const membership of now) {
      const { group } = membership;
      const pins = left.get(group) ?? [];
      left.delete(group);
      const filter = this.#refused.has(group) ? undefined : pinFor(without(membership, pins), own(group));
      const wanted = filter ? spread(filter, this.#most) : [];
      if (wanted.length === pins.length && wanted.every((one, i) => sameFilter(one, pins[i]))) continue;
      this.#change(group, pins, wanted);
      changed = true;
    }
    for (const [group, pins] of left) this.#change(group, pins, []);
    return changed || left.size > 0;
  }

  #change(group: IpAddress, pins: readonly MembershipFilter[], wanted: readonly MembershipFilter[]): void {
    const errno = this.#errnoOf(wanted, (filter, lane) =>
      lane < pins.length ? this.#set(lane, group, filter) : this.#join(lane, group, filter),
    );
    if (errno !== 0) {
      this.#errno ||= errno;
      this.#refused.add(group);
      wanted = [];
    }
    for (let lane = wanted.length; lane < this.#pools.length; lane++) this.#leave(lane, group);
    if (wanted.length > 0) this.#pins.set(group, wanted);
    else this.#pins.delete(group);
  }

  #errnoOf(filters: readonly MembershipFilter[], call: (filter: MembershipFilter, lane: number) => number): number {
    for (const [lane, filter] of filters.entries()) {
      const errno = call(filter, lane);
      if (errno !== 0) return errno;
    }
    return 0;
  }

  /** Silent whatever the filter: an exclude list is never without its sources, not for a moment (linux.md D6). */
  #join(lane: number, group: IpAddress, filter: MembershipFilter): number {
    const pool = this.#pool(lane);
    if (typeof pool === 'number') return pool;
    const [first] = filter.sources;
    if (first === undefined) return pool.join(this.#ifindex, toU32(group));
    const begin = filter.mode === 'include' ? first : NO_SENDER;
    const errno = pool.joinSource(this.#ifindex, toU32(group), toU32(begin));
    if (errno !== 0 || (filter.mode === 'include' && filter.sources.length === 1)) return errno;
    return this.#set(lane, group, filter);
  }

  #leave(lane: number, group: IpAddress): void {
    this.#pools[lane]?.leave(this.#ifindex, toU32(group));
  }

  #set(lane: number, group: IpAddress, { mode, sources }: MembershipFilter): number {
    const list = Uint32Array.from(sources, toU32);
    return this.#pools[lane]!.setFilter(this.#ifindex, toU32(group), mode === 'include', list);
  }

  #pool(lane: number): NativeMembershipSocket | number {
    while (this.#pools.length <= lane) {
      const opened = this.#open();
      if (typeof opened === 'number') return opened;
      this.#pools.push(opened);
    }
    return this.#pools[lane]!;
  }
}

/** The pin that a group needs; undefined when others can change nothing. */
export function pinFor(membership: HostMembership, own: readonly MembershipFilter[]): MembershipFilter | undefined {
  if (membership.group === ALL_SYSTEMS || membership.users <= own.length) return undefined;
  if (own.some(({ mode, sources }) => mode === 'exclude' && sources.length === 0)) return undefined;
  return filterOf(membership);
}

/**
 * An include list longer than one membership takes becomes several, which the kernel joins together again. An exclude list of
 * an interface is no longer than that of the membership with the shortest.
 */
function spread(filter: MembershipFilter, most: number): readonly MembershipFilter[] {
  const { mode, sources } = filter;
  if (mode === 'exclude' || sources.length <= most) return [filter];
  const pieces: MembershipFilter[] = [];
  for (let at = 0; at < sources.length; at += most) pieces.push({ mode, sources: sources.slice(at, at + most) });
  return pieces;
}
