/**
 * The routers of a link that send General Queries from an address below ours, each until it counts as silent. While there is
 * one we do not ask; the one with the lowest address is the querier (igmp.md section 10.1; RFC 9776 section 6.6.2).
 */
import type { IpAddress } from '../../base/ip.js';
import { otherQuerierPresentIntervalMs, type Timing } from '../intervals.js';

/** More are not known at a time; of those that are not the best, the one that would be silent first goes. */
const MOST = 8;

export interface KnownQuerier {
  readonly address: IpAddress;
  /** The version it speaks. */
  readonly version: 1 | 2 | 3;
  /** In force while it is querier. */
  readonly timing: Timing;
  /** From then on it counts as silent. */
  readonly expiryMs: number;
}

export class OtherQueriers {
  /** Lowest address first. */
  #known: KnownQuerier[] = [];

  get all(): readonly KnownQuerier[] {
    return this.#known;
  }

  get best(): KnownQuerier | undefined {
    return this.#known[0];
  }

  /** When the last of them is silent, if none is heard again; Infinity: there is none. */
  get lastExpiryMs(): number {
    if (this.#known.length === 0) return Number.POSITIVE_INFINITY;
    return Math.max(...this.#known.map(({ expiryMs }) => expiryMs));
  }

  /**
   * Nobody is waited for much longer than the querier's OQPI from the last query of all: memberships live by its times, 1.5 QRI
   * longer, and hosts may take QRI to answer. Who yielded to the querier, and is alive, has asked by then.
   */
  heard(querier: KnownQuerier, nowMs: number): void {
    const others = this.#known.filter(({ address }) => address !== querier.address);
    if (others.length === MOST) others.splice(firstToExpire(others), 1);
    const known = [...others, querier].sort((a, b) => (a.address < b.address ? -1 : 1));
    const { timing } = known[0]!;
    const mostMs = nowMs + otherQuerierPresentIntervalMs(timing) + timing.queryResponseIntervalMs / 2;
    this.#known = known.map((one) => (one.expiryMs > mostMs ? { ...one, expiryMs: mostMs } : one));
  }

  forgetSilent(nowMs: number): void {
    this.#known = this.#known.filter(({ expiryMs }) => expiryMs > nowMs);
  }

  clear(): void {
    this.#known = [];
  }
}

function firstToExpire(known: readonly KnownQuerier[]): number {
  let first = 1;
  for (let n = 2; n < known.length; n++) if (known[n]!.expiryMs < known[first]!.expiryMs) first = n;
  return first;
}
