/** Budgets of what strangers can create, who goes first when they end, and the queries that leaves may cause. */
import { keptOf, mayTake } from '../../base/fair-share.js';
import type { IpAddress } from '../../base/ip.js';
import { TokenBucket } from '../../base/token-bucket.js';

/** A bounded count. `limit` 0: none. */
export class Budget {
  #used = 0;
  readonly #kept: number;

  constructor(readonly limit: number) {
    this.#kept = keptOf(limit);
  }

  get used(): number {
    return this.#used;
  }

  /**
   * Whether a claimant that holds `held` of it may have one more. Of the last eighth each may have no more than is left
   * afterwards, so that one who takes all it can get leaves something to those who come with little.
   */
  admits(held: number): boolean {
    return this.limit === 0 || mayTake(this.limit - this.#used, this.#kept, held);
  }

  take(): void {
    this.#used++;
  }

  giveBack(count: number): void {
    this.#used -= count;
  }
}

/** What all interfaces share. */
export interface SharedBudgets {
  readonly groups: Budget;
  readonly sources: Budget;
  /** (group, host) pairs, and sources of these, where hosts are tracked. */
  readonly hosts: Budget;
  readonly hostSources: Budget;
}

/** Who has no room for one more. */
export type Shortage = 'host' | 'interface' | 'all';

/**
 * How many groups, or sources, there are on an interface, and for whom: each counts for the host that asked for it first. A host
 * is in the table while something counts for it, so the table is bounded by what it counts.
 */
export class Tally {
  readonly #own: Budget;
  readonly #all: Budget;
  readonly #held = new Map<IpAddress, number>();

  constructor(limit: number, all: Budget) {
    this.#own = new Budget(limit);
    this.#all = all;
  }

  get size(): number {
    return this.#own.used;
  }

  /** Why the host cannot have one more. */
  shortage(host: IpAddress): Shortage | undefined {
    const { limit, used } = this.#own;
    if (limit > 0 && used >= limit) return 'interface';
    if (!this.#own.admits(this.#held.get(host) ?? 0)) return 'host';
    return this.#all.admits(used) ? undefined : 'all';
  }

  take(host: IpAddress): void {
    this.#own.take();
    this.#all.take();
    this.#held.set(host, (this.#held.get(host) ?? 0) + 1);
  }

  giveBack(host: IpAddress): void {
    this.#own.giveBack(1);
    this.#all.giveBack(1);
    const left = this.#held.get(host)! - 1;
    if (left > 0) this.#held.set(host, left);
    else this.#held.delete(host);
  }

  clear(): void {
    this.#all.giveBack(this.#own.used);
    this.#own.giveBack(this.#own.used);
    this.#held.clear();
  }
}

/**
 * The specific queries of an interface (igmp.md section 17.2: a flood of leaves must not become a storm of queries).
 * What is asked once is asked `transmissions` times, so that many tokens go at once.
 */
export class QueryBudget {
  readonly #cyclesPerSec: number;
  #bucket: TokenBucket | undefined;

  /** `perSec` 0: no limit. */
  constructor(perSec: number, transmissions: number) {
    this.#cyclesPerSec = perSec / transmissions;
  }

  /** False: the leave has to wait, and timers stay as they are. */
  take(nowMs: number): boolean {
    if (this.#cyclesPerSec === 0) return true;
    this.#bucket ??= new TokenBucket(Math.max(1, this.#cyclesPerSec), this.#cyclesPerSec, nowMs);
    return this.#bucket.take(nowMs) !== undefined;
  }
}
