/**
 * Whether a route puts an address on a link: for interfaces with a bare /32 (or none that fits), whose neighbours only routes name.
 * Anybody can send from any source, so answers are kept, their number is bounded, and the look-ups have a rate. Hosts that
 * are known go first: an old answer counts on when there is no look-up left, and strangers never displace them.
 */
import type { IpAddress } from './ip.js';
import { TokenBucket } from './token-bucket.js';

const LOOKUPS_BURST = 64;
const LOOKUPS_PER_SECOND = 64;
/** A route that comes or goes counts after so long. */
const FRESH_MS = 10_000;
const MAX_HOSTS = 4096;
const MAX_STRANGERS = 1024;

interface FoundHop {
  readonly ifindex: number;
  readonly gateway: IpAddress | undefined;
  readonly byIpv6?: true;
}

interface FoundRoute extends FoundHop {
  readonly hops?: readonly FoundHop[];
}

/** Whether what a look-up found says that the destination is on the link itself, behind no gateway: by any of its next hops. */
export function leadsTo(found: FoundRoute | 'local' | undefined, ifindex: number): boolean {
  if (found === undefined || found === 'local') return false;
  return (found.hops ?? [found]).some((hop) => hop.ifindex === ifindex && hop.gateway === undefined && !hop.byIpv6);
}

export class RoutedHosts {
  readonly #leadsHere: (address: IpAddress) => boolean;
  readonly #nowMs: () => number;
  /** When it was looked up. */
  readonly #hosts = new Map<IpAddress, number>();
  readonly #strangers = new Map<IpAddress, number>();
  readonly #lookups: TokenBucket;

  /** `leadsHere`: the look-up, whether the direct route to the address leaves by the interface. */
  constructor(leadsHere: (address: IpAddress) => boolean, nowMs: () => number) {
    this.#leadsHere = leadsHere;
    this.#nowMs = nowMs;
    this.#lookups = new TokenBucket(LOOKUPS_BURST, LOOKUPS_PER_SECOND, nowMs());
  }

  /** Addresses of the interface changed, and perhaps routes with them. */
  forget(): void {
    this.#hosts.clear();
    this.#strangers.clear();
  }

  has(address: IpAddress): boolean {
    const nowMs = this.#nowMs();
    const known = this.#hosts.get(address);
    const atMs = known ?? this.#strangers.get(address);
    if (atMs !== undefined && nowMs - atMs < FRESH_MS) return known !== undefined;
    if (this.#lookups.take(nowMs) === undefined) return known !== undefined;
    const leads = this.#leadsHere(address);
    this.#hosts.delete(address);
    this.#strangers.delete(address);
    if (leads) keep(this.#hosts, address, nowMs, MAX_HOSTS);
    else keep(this.#strangers, address, nowMs, MAX_STRANGERS);
    return leads;
  }
}

/** The one looked up longest ago makes room. */
function keep(answers: Map<IpAddress, number>, address: IpAddress, nowMs: number, most: number): void {
  const [oldest] = answers.keys();
  if (answers.size >= most && oldest !== undefined) answers.delete(oldest);
  answers.set(address, nowMs);
}
