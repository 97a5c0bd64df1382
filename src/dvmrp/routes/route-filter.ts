/** Which routes are taken from neighbours and which are told to them (dvmrp.md section 16). */
import { type IpAddress, type Prefix, prefixContains } from '../../base/ip.js';

export interface RouteRule {
  readonly action: 'allow' | 'deny';
  readonly prefix: Prefix;
  /** Just this prefix, or those within it too. */
  readonly match: 'exact' | 'orLonger';
}

/** The first rule that matches decides. Where none does: admitted, unless the list allows anything (then the rest is not). */
export type RouteFilter = readonly RouteRule[];

export function admitsRoute(filter: RouteFilter, network: IpAddress, length: number): boolean {
  if (filter.length === 0) return true;
  for (const { action, prefix, match } of filter) {
    const matches =
      match === 'exact'
        ? prefix.length === length && prefix.network === network
        : prefix.length <= length && prefixContains(prefix, network);
    if (matches) return action === 'allow';
  }
  return !filter.some(({ action }) => action === 'allow');
}
