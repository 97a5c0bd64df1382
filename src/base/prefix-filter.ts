/** Allow and deny lists over address prefixes. */
import { type IpAddress, type Prefix, prefixContains } from './ip.js';

export interface PrefixRule {
  readonly action: 'allow' | 'deny';
  readonly prefix: Prefix;
}

/** The first rule that matches decides. Where none does: admitted, unless the list allows anything (then the rest is not). */
export type PrefixFilter = readonly PrefixRule[];

export const ADMIT_ALL: PrefixFilter = [];

export function admits(filter: PrefixFilter, address: IpAddress): boolean {
  for (const { action, prefix } of filter) if (prefixContains(prefix, address)) return action === 'allow';
  return !filter.some(({ action }) => action === 'allow');
}
