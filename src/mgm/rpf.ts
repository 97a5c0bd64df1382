/**
 * The multicast view of the routing table: where data from a source is expected (spec section 5.1 step 3, D-LIN-8).
 * Static overrides win, longest prefix first; otherwise the kernel's routes decide.
 */
import { ANY4, type IpAddress, maskOf, type Prefix, prefixContains } from '../base/ip.js';
import type { Ifindex, LinkPort, RoutePort } from '../port/kernel.js';
import type { RouteUsed } from './client.js';

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
}

/** RTPROT_STATIC: what a static override is reported as. */
const STATIC_ROUTE = 4;
/** Answers kept between two route changes; spoofed sources must not fill the memory. */
const REMEMBERED = 4096;

export class Rpf {
  readonly #overrides: readonly RpfOverride[];
  readonly #remembered = new Map<IpAddress, Towards | 'local' | undefined>();

  constructor(
    readonly routes: RoutePort,
    readonly links: LinkPort,
    overrides: readonly RpfOverride[],
  ) {
    this.#overrides = [...overrides].sort((a, b) => b.prefix.length - a.prefix.length);
  }

  /** 'local': an address of this machine. Undefined: no route, or its interface does not exist now. */
  towards(source: IpAddress): Towards | 'local' | undefined {
    if (this.#remembered.has(source)) return this.#remembered.get(source);
    const found = this.#override(source) ?? this.#byRoute(source);
    if (this.#remembered.size >= REMEMBERED) this.#remembered.clear();
    this.#remembered.set(source, found);
    return found;
  }

  /** Routes or links changed. */
  forget(): void {
    this.#remembered.clear();
  }

  #override(source: IpAddress): Towards | undefined {
    for (const { prefix, interface: name, neighbor } of this.#overrides) {
      const link = prefixContains(prefix, source) ? this.links.byName(name) : undefined;
      if (link) {
        const route = { network: prefix.network, mask: maskOf(prefix.length), protocol: STATIC_ROUTE };
        return { ifindex: link.ifindex, neighbor, route };
      }
    }
    return undefined;
  }

  #byRoute(source: IpAddress): Towards | 'local' | undefined {
    const found = this.routes.lookup(source);
    if (found === undefined || found === 'local') return found;
    const { prefix, protocol, gateway, ifindex } = found;
    const mask = prefix.length === 0 ? ANY4 : maskOf(prefix.length);
    return { ifindex, neighbor: gateway, route: { network: prefix.network, mask, protocol } };
  }
}
