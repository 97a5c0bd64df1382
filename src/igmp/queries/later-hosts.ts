/**
 * Hosts that speak a later version than the interface: they have missed its queries, which tell them to speak the older one, or
 * never will. Each is worth a General Query once in a while, and the table is bounded.
 */
import type { IpAddress } from '../../base/ip.js';

/** Hosts remembered. Beyond that the one that came first is forgotten; queries have a pace of their own (querier.ts). */
const MOST = 1024;

export class LaterHosts {
  /** Until when a host is not asked for again, in the order of their coming. */
  readonly #untilMs = new Map<IpAddress, number>();

  /** Whether hosts are to be asked because of this one, which then is not the reason again for `pauseMs`. */
  heard(host: IpAddress, nowMs: number, pauseMs: number): boolean {
    if ((this.#untilMs.get(host) ?? 0) > nowMs) return false;
    this.#untilMs.delete(host);
    const [first] = this.#untilMs.keys();
    if (first !== undefined && this.#untilMs.size === MOST) this.#untilMs.delete(first);
    this.#untilMs.set(host, nowMs + pauseMs);
    return true;
  }
}
