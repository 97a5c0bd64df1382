/** Which addresses are on a link, from the addresses that an interface has there. */
import { ipv4, type IpAddress, maskOf, type Prefix, prefixContains, toU32 } from './ip.js';

export interface InterfaceAddress {
  readonly address: IpAddress;
  readonly prefixLength: number;
  /** The other end of a point-to-point link. */
  readonly peer: IpAddress | undefined;
}

/** Which sources are on the link; made once per change of the addresses. */
export class OnLink {
  readonly #own: ReadonlySet<IpAddress>;
  readonly #broadcasts: ReadonlySet<IpAddress>;
  readonly #prefixes: readonly Prefix[];

  constructor(addresses: readonly InterfaceAddress[]) {
    this.#own = new Set(addresses.map((a) => a.address));
    this.#broadcasts = new Set(addresses.filter((a) => a.prefixLength < 31).map(broadcastOf));
    this.#prefixes = addresses.map((a) =>
      a.peer === undefined ? { network: a.address, length: a.prefixLength } : { network: a.peer, length: 32 },
    );
  }

  isOwn(address: IpAddress): boolean {
    return this.#own.has(address);
  }

  isBroadcast(address: IpAddress): boolean {
    return this.#broadcasts.has(address);
  }

  /** The address of a subnet itself, which no host has. */
  isNetwork(address: IpAddress): boolean {
    for (const { network, length } of this.#prefixes)
      if (length < 31 && address === ipv4(toU32(network) & toU32(maskOf(length)))) return true;
    return false;
  }

  contains(address: IpAddress): boolean {
    for (const prefix of this.#prefixes) if (prefixContains(prefix, address)) return true;
    return false;
  }
}

function broadcastOf(a: InterfaceAddress): IpAddress {
  return ipv4(toU32(a.address) | ~toU32(maskOf(a.prefixLength)));
}
