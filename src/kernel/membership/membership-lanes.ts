/**
 * The memberships themselves: one pool of sockets (the addon's; 20 memberships on each socket, linux.md C2), and a further one,
 * called a lane, for the rare group that needs several memberships on an interface, because a pool holds each only once.
 * Every system call is counted here.
 */
import type { KernelError } from '../../base/errors.js';
import { formatIp, type IpAddress, toU32 } from '../../base/ip.js';
import type { Ifindex, MembershipCounters, MembershipFilter } from '../../port/kernel.js';
import type { NativeMembershipSocket } from '../addon.js';
import { EADDRINUSE, EADDRNOTAVAIL, type InterfaceName, kernelError, numbered } from '../errno.js';

/** Opens a pool or returns the errno; the addon in the daemon, a fake in tests. */
export type OpenMembershipPool = () => NativeMembershipSocket | number;

export class MembershipLanes {
  readonly #open: OpenMembershipPool;
  readonly #nameOf: InterfaceName;
  readonly #lanes: NativeMembershipSocket[] = [];
  #joins = 0;
  #leaves = 0;
  #filters = 0;

  constructor(open: OpenMembershipPool, nameOf: InterfaceName = numbered) {
    this.#open = open;
    this.#nameOf = nameOf;
  }

  counters(): MembershipCounters {
    return { joins: this.#joins, leaves: this.#leaves, filters: this.#filters };
  }

  join(lane: number, ifindex: Ifindex, group: IpAddress, filter: MembershipFilter): KernelError | undefined {
    const pool = this.#pool(lane);
    if (typeof pool === 'number') return kernelError('opening', 'a socket for memberships', pool);
    let errno = this.#join(pool, ifindex, group, filter);
    if (errno === EADDRINUSE || errno === EADDRNOTAVAIL) {
      // The dead slot of an interface that had this ifindex before; nobody told us that it had gone (linux.md J).
      this.#leave(pool, ifindex, group);
      errno = this.#join(pool, ifindex, group, filter);
    }
    return errno === 0 ? undefined : this.#refused('joining a group', ifindex, group, errno);
  }

  /** Replaces the filter in one step of the kernel; the group is not left in between. */
  change(lane: number, ifindex: Ifindex, group: IpAddress, filter: MembershipFilter): KernelError | undefined {
    const pool = this.#pool(lane);
    const errno = typeof pool === 'number' ? pool : this.#setFilter(pool, ifindex, group, filter);
    return errno === 0 ? undefined : this.#refused('setting a source filter', ifindex, group, errno);
  }

  /** What the kernel does not hold (any more) counts as left. */
  leave(lane: number, ifindex: Ifindex, group: IpAddress): KernelError | undefined {
    const pool = this.#lanes[lane];
    const errno = pool ? this.#leave(pool, ifindex, group) : 0;
    return errno === 0 || errno === EADDRNOTAVAIL ? undefined : this.#refused('leaving a group', ifindex, group, errno);
  }

  /** A descriptor for each lane that keeps its memberships alive, also future ones; the caller owns them. */
  duplicate(): readonly number[] {
    this.#pool(0);
    return this.#lanes.map((pool) => pool.duplicate()).filter((fd) => fd >= 0);
  }

  close(): void {
    for (const pool of this.#lanes.splice(0)) pool.close();
  }

  #pool(lane: number): NativeMembershipSocket | number {
    while (this.#lanes.length <= lane) {
      const opened = this.#open();
      if (typeof opened === 'number') return opened;
      this.#lanes.push(opened);
    }
    return this.#lanes[lane]!;
  }

  /**
   * With sources, the first one is joined and the whole list set over it: no report shows more than what is wanted, and an
   * exclude list never lets its sources through for a moment (linux.md D6).
   */
  #join(pool: NativeMembershipSocket, ifindex: Ifindex, group: IpAddress, filter: MembershipFilter): number {
    const first = filter.sources[0];
    this.#joins++;
    if (first === undefined) return pool.join(ifindex, toU32(group));
    const errno = pool.joinSource(ifindex, toU32(group), toU32(first));
    if (errno !== 0 || (filter.mode === 'include' && filter.sources.length === 1)) return errno;
    const filterErrno = this.#setFilter(pool, ifindex, group, filter);
    if (filterErrno !== 0) this.#leave(pool, ifindex, group);
    return filterErrno;
  }

  #setFilter(pool: NativeMembershipSocket, ifindex: Ifindex, group: IpAddress, filter: MembershipFilter): number {
    this.#filters++;
    const sources = Uint32Array.from(filter.sources, toU32);
    return pool.setFilter(ifindex, toU32(group), filter.mode === 'include', sources);
  }

  #leave(pool: NativeMembershipSocket, ifindex: Ifindex, group: IpAddress): number {
    this.#leaves++;
    return pool.leave(ifindex, toU32(group));
  }

  #refused(op: string, ifindex: Ifindex, group: IpAddress, errno: number): KernelError {
    return kernelError(op, `${this.#nameOf(ifindex)} (${formatIp(group)})`, errno);
  }
}
