/**
 * The multicast view of the routing table: where data from a source is expected (spec manager.md section 5.1 step 3, D-LIN-8, and
 * coexistence.md section 7). Longest match within each feeder; of the feeders static overrides come first, then the routes of
 * protocols and the kernel's in the order of preference.
 */
import { ANY4, type IpAddress, maskOf, type Prefix, prefixContains } from '../../base/ip.js';
import type { Ifindex, Link, LinkPort, RoutePort } from '../../port/kernel.js';
import type { RouteUsed } from '../client.js';

/** A static override: sources in `prefix` are expected on `interface`, whatever the kernel's routes say. */
export interface RpfOverride {
  readonly prefix: Prefix;
  readonly interface: string;
  readonly neighbor: IpAddress | undefined;
}

export interface Towards {
  readonly ifindex: Ifindex;
  readonly neighbor: IpAddress | undefined;
  readonly route: RouteUsed;
  /** 'static', 'unicast' or the name of a client. */
  readonly feeder: string;
  /** Every legal input, when the route has several next hops; the first is `ifindex` and `neighbor`. */
  readonly hops?: readonly Hop[];
}

export interface Hop {
  readonly ifindex: Ifindex;
  readonly neighbor: IpAddress | undefined;
}

/** A protocol's routes, as `rib.ts` keeps them. */
export interface RouteFeeder {
  readonly preference: number;
  lookup(source: IpAddress): Towards | undefined;
}

/** Where the kernel's routes stand among the feeders. */
export const UNICAST_PREFERENCE = 200;

/** RTPROT_STATIC: what a static override is reported as. */
const STATIC_ROUTE = 4;
/** Answers kept between two route changes; spoofed sources must not fill the memory. */
const REMEMBERED = 4096;

export class Rpf {
  readonly #overrides: readonly RpfOverride[];
  /** In the order of preference, of registration among equals. */
  #feeders: readonly RouteFeeder[] = [];
  readonly #remembered = new Map<IpAddress, Towards | 'local' | undefined>();

  constructor(
    readonly routes: RoutePort,
    readonly links: LinkPort,
    overrides: readonly RpfOverride[],
    /** Somebody decides for the interface, so that data may come in by it. */
    readonly isServed: (ifindex: Ifindex) => boolean,
  ) {
    this.#overrides = [...overrides].sort((a, b) => b.prefix.length - a.prefix.length);
  }

  /**
   * 'local': an address of this machine. Undefined: no route, or its interface does not exist now. Of several next hops the
   * first of `preferred` that is one of them and served, else the first that is served.
   */
  towards(source: IpAddress, ...preferred: readonly (Ifindex | undefined)[]): Towards | 'local' | undefined {
    const found = this.#lookup(source);
    if (found === undefined || found === 'local' || !found.hops) return found;
    const served = found.hops.filter(({ ifindex }) => this.isServed(ifindex));
    const wanted = preferred.find((ifindex) => served.some((hop) => hop.ifindex === ifindex));
    return { ...found, ...(served.find(({ ifindex }) => ifindex === wanted) ?? served[0]) };
  }

  #lookup(source: IpAddress): Towards | 'local' | undefined {
    if (this.#remembered.has(source)) return this.#remembered.get(source);
    const found = this.#override(source) ?? this.#byFeeders(source);
    if (this.#remembered.size >= REMEMBERED) this.#remembered.clear();
    this.#remembered.set(source, found);
    return found;
  }

  setFeeders(feeders: readonly RouteFeeder[]): void {
    this.#feeders = [...feeders].sort((a, b) => a.preference - b.preference);
    this.forget();
  }

  /** Routes, links or owners changed. */
  forget(): void {
    this.#remembered.clear();
  }

  #override(source: IpAddress): Towards | undefined {
    let longest: Prefix | undefined;
    const all: { readonly link: Link; readonly neighbor: IpAddress | undefined }[] = [];
    for (const { prefix, interface: name, neighbor } of this.#overrides) {
      if (longest && prefix.length < longest.length) break;
      const link = prefixContains(prefix, source) ? this.links.byName(name) : undefined;
      if (!link) continue;
      longest = prefix;
      all.push({ link, neighbor });
    }
    const running = all.filter(({ link }) => link.running);
    const hops = (running.length > 0 ? running : all).map(({ link: { ifindex }, neighbor }) => ({ ifindex, neighbor }));
    const [first] = hops;
    if (!longest || !first) return undefined;
    const route = { network: longest.network, mask: maskOf(longest.length), protocol: STATIC_ROUTE };
    return { ...first, route, feeder: 'static', ...(hops.length > 1 && { hops }) };
  }

  #byFeeders(source: IpAddress): Towards | 'local' | undefined {
    const unicast = this.#byRoute(source);
    if (unicast === 'local') return unicast;
    for (const feeder of this.#feeders) {
      if (unicast && feeder.preference > UNICAST_PREFERENCE) return unicast;
      const found = feeder.lookup(source);
      if (found) return found;
    }
    return unicast;
  }

  #byRoute(source: IpAddress): Towards | 'local' | undefined {
    const found = this.routes.lookup(source);
    if (found === undefined || found === 'local') return found;
    const { prefix, protocol, gateway, ifindex } = found;
    const mask = prefix.length === 0 ? ANY4 : maskOf(prefix.length);
    const route = { network: prefix.network, mask, protocol };
    const hops = found.hops?.map((hop) => ({ ifindex: hop.ifindex, neighbor: hop.gateway }));
    return { ifindex, neighbor: gateway, route, feeder: 'unicast', ...(hops && { hops }) };
  }
}
