/** Which addresses are on a link, from the addresses that an interface has there and the routes that lead there. */
import { ipv4, type IpAddress, maskOf, type Prefix, prefixContains, toU32 } from './ip.js';
import { type InterfaceAddress, linkNetworkOf, usableAddresses } from './link-address.js';

/** Which sources are on the link; made once per change of the addresses. */
export class OnLink {
  readonly #own: ReadonlySet<IpAddress>;
  readonly #broadcasts: ReadonlySet<IpAddress>;
  readonly #prefixes: readonly Prefix[];
  readonly #isRouted: (address: IpAddress) => boolean;

  /** `isRouted`: asked about what no address of the interface covers. */
  constructor(addresses: readonly InterfaceAddress[], isRouted: (address: IpAddress) => boolean = () => false) {
    this.#own = new Set(addresses.map((a) => a.address));
    this.#prefixes = usableAddresses(addresses).map(linkNetworkOf);
    this.#broadcasts = new Set(this.#prefixes.filter(({ length }) => length < 31).map(broadcastOf));
    this.#isRouted = isRouted;
  }

  isOwn(address: IpAddress): boolean {
    return this.#own.has(address);
  }

  isBroadcast(address: IpAddress): boolean {
    return this.#broadcasts.has(address);
  }

  /** The address of a subnet itself, which no host has. */
  isNetwork(address: IpAddress): boolean {
    return this.#prefixes.some(({ network, length }) => length < 31 && network === address);
  }

  contains(address: IpAddress): boolean {
    for (const prefix of this.#prefixes) if (prefixContains(prefix, address)) return true;
    return this.#isRouted(address);
  }
}

function broadcastOf({ network, length }: Prefix): IpAddress {
  return ipv4(toU32(network) | ~toU32(maskOf(length)));
}
