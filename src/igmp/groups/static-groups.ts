/**
 * Groups that are wanted on an interface by configuration (igmp.md section 18): as if a host were a member that never leaves
 * and needs no report. Kept apart from what hosts say, so that no report, leave or timer can touch them.
 */
import { ANY4, type IpAddress } from '../../base/ip.js';
import type { GroupWish } from '../../config/types.js';

const NONE: ReadonlySet<IpAddress> = new Set();

export class StaticGroups {
  readonly #sourcesOf = new Map<IpAddress, ReadonlySet<IpAddress>>();
  /** While the link is up. */
  active = false;

  constructor(wishes: readonly GroupWish[]) {
    const sourcesOf = new Map<IpAddress, Set<IpAddress>>();
    for (const { group, source } of wishes) {
      const sources = sourcesOf.get(group) ?? new Set();
      sourcesOf.set(group, sources.add(source ?? ANY4));
    }
    this.#sourcesOf = sourcesOf;
  }

  get size(): number {
    return this.#sourcesOf.size;
  }

  /** Per group the sources wanted; 0.0.0.0 is any. */
  groups(): Iterable<readonly [IpAddress, ReadonlySet<IpAddress>]> {
    return this.#sourcesOf;
  }

  /** The membership (S,G), or (*,G) with 0.0.0.0, is held by configuration. */
  holds(group: IpAddress, source: IpAddress): boolean {
    return this.active && this.#sourcesOf.get(group)?.has(source) === true;
  }

  /** Packets of the source are wanted. */
  wants(group: IpAddress, source: IpAddress): boolean {
    const sources = this.active ? this.#sourcesOf.get(group) : undefined;
    return sources !== undefined && (sources.has(ANY4) || sources.has(source));
  }

  has(group: IpAddress): boolean {
    return this.active && this.#sourcesOf.has(group);
  }

  /** What is wanted of the group: 0.0.0.0 is any source. */
  sourcesOf(group: IpAddress): ReadonlySet<IpAddress> {
    return (this.active ? this.#sourcesOf.get(group) : undefined) ?? NONE;
  }
}
