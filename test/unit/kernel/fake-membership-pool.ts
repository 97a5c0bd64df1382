/** The addon's pool of membership sockets in memory: what it holds, what it refuses, every call it got. */
import type { NativeMembershipSocket } from '../../../src/kernel/addon.js';

const [EINVAL, ENODEV, EADDRINUSE, EADDRNOTAVAIL, ENOBUFS] = [22, 19, 98, 99, 105];
/** igmp_max_msf. */
const MAX_SOURCES = 10;

export interface HeldFilter {
  readonly include: boolean;
  readonly sources: readonly number[];
}

export class FakeMembershipPool implements NativeMembershipSocket {
  readonly held = new Map<string, HeldFilter>();
  readonly calls: string[] = [];
  closed = false;
  /** Refuses the next calls with these errnos, one each. */
  readonly refusals: number[] = [];

  constructor(readonly missing: ReadonlySet<number> = new Set()) {}

  join(ifindex: number, group: number): number {
    return this.#call('join', ifindex, group, () => {
      if (this.#has(ifindex, group)) return EADDRINUSE;
      return this.#put(ifindex, group, { include: false, sources: [] });
    });
  }

  leave(ifindex: number, group: number): number {
    return this.#call('leave', ifindex, group, () => (this.held.delete(`${ifindex} ${group}`) ? 0 : EADDRNOTAVAIL));
  }

  joinSource(ifindex: number, group: number, source: number): number {
    return this.#call('joinSource', ifindex, group, () => {
      const now = this.held.get(`${ifindex} ${group}`) ?? { include: true, sources: [] };
      if (!now.include) return EINVAL;
      if (now.sources.includes(source)) return EADDRNOTAVAIL;
      return this.#put(ifindex, group, { include: true, sources: [...now.sources, source] });
    });
  }

  leaveSource(ifindex: number, group: number): number {
    return this.#call('leaveSource', ifindex, group, () => EINVAL);
  }

  setFilter(ifindex: number, group: number, include: boolean, sources: Uint32Array): number {
    return this.#call('setFilter', ifindex, group, () => {
      if (!this.#has(ifindex, group)) return EINVAL;
      if (include && sources.length === 0) throw new Error('the gate never leaves by a filter');
      return this.#put(ifindex, group, { include, sources: [...sources] });
    });
  }

  close(): void {
    this.closed = true;
    this.held.clear();
  }

  duplicate(): number {
    return 100;
  }

  #call(name: string, ifindex: number, group: number, run: () => number): number {
    this.calls.push(`${name} ${ifindex} ${group & 0xff}`);
    const refusal = this.refusals.shift();
    return refusal === undefined ? run() : refusal;
  }

  #has(ifindex: number, group: number): boolean {
    return this.held.has(`${ifindex} ${group}`);
  }

  #put(ifindex: number, group: number, filter: HeldFilter): number {
    if (this.missing.has(ifindex)) return ENODEV;
    if (group >>> 28 !== 0xe) return EINVAL;
    if (filter.sources.length > MAX_SOURCES) return ENOBUFS;
    this.held.set(`${ifindex} ${group}`, filter);
    return 0;
  }
}
