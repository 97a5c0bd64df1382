/**
 * IP addresses as opaque values. An IPv4 address is a number, an IPv6 address will be a bigint: the family travels with the
 * value, and both are good Map keys and compare with `<`. Only this file looks inside; `ipv4` and `toU32` convert for the
 * packet codecs and the kernel layer. Text exists only in configuration, logs, the control protocol and the tool.
 *
 * The number is the host-order one moved down by 2^31, so that it is a small integer to V8: an address of 224/4, left as it
 * is, would be a heap object of its own each time it is read from a packet, and a slow Map key.
 */
import { err, ok, type Result } from './result.js';

declare const address: unique symbol;
export type IpAddress = (number | bigint) & { readonly [address]: true };

const HALF = 0x8000_0000;

/** From a host-order number, as codecs read it from the wire. */
export function ipv4(value: number): IpAddress {
  return (value ^ HALF) as unknown as IpAddress;
}

/** The host-order number of an IPv4 address, 0..4294967295; for codecs and the kernel layer. */
export function toU32(a: IpAddress): number {
  return ((a as unknown as number) ^ HALF) >>> 0;
}

/** 0.0.0.0: in a membership key the wildcard, in a route "no gateway". */
export const ANY4 = ipv4(0);

const DOTTED = /^(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})\.(0|[1-9]\d{0,2})$/;

/** Strict dotted decimal: four parts, no leading zeros, no hex ("010.1.1.1", "10.1" and "0x7f.1" are refused). */
export function parseIp(text: string): Result<IpAddress, string> {
  const parts = DOTTED.exec(text)?.slice(1).map(Number);
  if (!parts || parts.some((part) => part > 255)) return err(`"${text}" is not an IPv4 address in dotted form`);
  return ok(ipv4((parts[0]! << 24) | (parts[1]! << 16) | (parts[2]! << 8) | parts[3]!));
}

/** For literals in code and tests. Throws on a text that `parseIp` refuses. */
export function ip(text: string): IpAddress {
  const parsed = parseIp(text);
  if (!parsed.ok) throw new Error(parsed.error);
  return parsed.value;
}

export function formatIp(a: IpAddress): string {
  const v = toU32(a);
  return `${v >>> 24}.${(v >>> 16) & 255}.${(v >>> 8) & 255}.${v & 255}`;
}

export function compareIp(a: IpAddress, b: IpAddress): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

export function isAny(a: IpAddress): boolean {
  return a === ANY4;
}

/** 224.0.0.0/4. */
export function isMulticast(a: IpAddress): boolean {
  return toU32(a) >>> 28 === 0xe;
}

/** 224.0.0.0/24: never forwarded, whatever the TTL. */
export function isLinkLocalGroup(a: IpAddress): boolean {
  return toU32(a) >>> 8 === 0xe00000;
}

/** An address a host can send from: not 0/8, not 127/8, not 224/4 and above. */
export function isUnicast(a: IpAddress): boolean {
  const first = toU32(a) >>> 24;
  return first !== 0 && first !== 127 && first < 224;
}

export interface Prefix {
  readonly network: IpAddress;
  /** 0..32. */
  readonly length: number;
}

/** The netmask of a prefix length, as an address. */
export function maskOf(length: number): IpAddress {
  return ipv4(length === 0 ? 0 : -1 << (32 - length));
}

/** The first address of the network of `length` bits that the address is in. */
export function networkOf(a: IpAddress, length: number): IpAddress {
  return ipv4(toU32(a) & toU32(maskOf(length)));
}

/** The network of `length` bits that the address is in. */
export function prefixOf(a: IpAddress, length: number): Prefix {
  return { network: networkOf(a, length), length };
}

export function prefixContains(prefix: Prefix, a: IpAddress): boolean {
  return ((toU32(a) ^ toU32(prefix.network)) & toU32(maskOf(prefix.length))) === 0;
}

/** "10.0.0.0/8"; a network with host bits set is refused. */
export function parsePrefix(text: string): Result<Prefix, string> {
  const [addressText = '', lengthText = '', ...rest] = text.split('/');
  const network = parseIp(addressText);
  if (!network.ok || rest.length > 0 || !/^(\d|[12]\d|3[0-2])$/.test(lengthText))
    return err(`"${text}" is not an IPv4 prefix such as 10.0.0.0/8`);
  const length = Number(lengthText);
  const base = networkOf(network.value, length);
  if (base !== network.value)
    return err(`"${text}" has bits set behind its length; ${formatIp(base)}/${length} is meant?`);
  return ok({ network: base, length });
}

export function formatPrefix(prefix: Prefix): string {
  return `${formatIp(prefix.network)}/${prefix.length}`;
}
