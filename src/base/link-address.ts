/** The addresses of an interface: which of them a router speaks from, and which networks they put on the link. Pure. */
import { type IpAddress, isUnicast, type Prefix, prefixOf, toU32 } from './ip.js';

export type AddressScope = 'global' | 'link' | 'host';

export interface InterfaceAddress {
  readonly address: IpAddress;
  /** Of the peer where there is one. */
  readonly prefixLength: number;
  /** The other end ("peer 10.8.0.2/24"). */
  readonly peer: IpAddress | undefined;
  /** Absent: global. */
  readonly scope?: AddressScope;
  /** Absent: no. */
  readonly secondary?: boolean;
}

/**
 * Those a router can speak from, best first; the first one is the address of queries and Probes. Global before link scope, to
 * which 169.254.0.0/16 belongs whatever it was added with (RFC 3927). One with a network before a /32 that puts nobody on the
 * link (a virtual or anycast address, perhaps another router's as well). The primary before secondary ones. Then the order of the kernel. Never one of host scope, multicast (`autojoin`),
 * 127.0.0.0/8, 0.0.0.0/8 or 240.0.0.0/4.
 */
export function usableAddresses<A extends InterfaceAddress>(addresses: readonly A[]): readonly A[] {
  return addresses.filter(isUsable).sort((a, b) => rank(a) - rank(b));
}

function isUsable({ address, scope }: InterfaceAddress): boolean {
  return scope !== 'host' && isUnicast(address);
}

function rank(one: InterfaceAddress): number {
  return (isOfLink(one) ? 4 : 0) + (hasNetwork(one) ? 0 : 2) + (one.secondary === true ? 1 : 0);
}

function isOfLink({ address, scope }: InterfaceAddress): boolean {
  return scope === 'link' || toU32(address) >>> 16 === 0xa9fe;
}

/** False for a bare /32, whose neighbours only routes name. */
export function hasNetwork({ peer, prefixLength }: InterfaceAddress): boolean {
  return peer !== undefined || prefixLength < 32;
}

/** The network that the address puts on the link, without host bits. */
export function linkNetworkOf({ address, peer = address, prefixLength }: InterfaceAddress): Prefix {
  return prefixOf(peer, prefixLength);
}
