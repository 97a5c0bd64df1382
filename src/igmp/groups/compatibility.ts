/**
 * Older hosts: the compatibility mode of a group and what it does to messages (igmp.md section 11.2; RFC 9776 section 7.3.2).
 * A v1 or v2 report counts as IS_EX({}), a v2 leave as TO_IN({}), in every mode that listens to them.
 */
import { RECORD, type RecordType } from '../wire/packet.js';

export type CompatMode = 'v1' | 'v2' | 'v3';

/** 'as-is', 'ignored', or 'any-source': the record counts with its source list emptied. */
export type Treatment = 'as-is' | 'ignored' | 'any-source';

export const COMPATIBILITY: { readonly [M in CompatMode]: { readonly [T in RecordType | 'leave-v2']: Treatment } } = {
  v3: {
    'leave-v2': 'as-is',
    [RECORD.block]: 'as-is',
    [RECORD.toEx]: 'as-is',
    [RECORD.toIn]: 'as-is',
    [RECORD.isIn]: 'as-is',
    [RECORD.isEx]: 'as-is',
    [RECORD.allow]: 'as-is',
  },
  v2: {
    'leave-v2': 'as-is',
    [RECORD.block]: 'ignored',
    [RECORD.toEx]: 'any-source',
    [RECORD.toIn]: 'as-is',
    [RECORD.isIn]: 'as-is',
    [RECORD.isEx]: 'as-is',
    [RECORD.allow]: 'as-is',
  },
  v1: {
    'leave-v2': 'ignored',
    [RECORD.block]: 'ignored',
    [RECORD.toEx]: 'any-source',
    [RECORD.toIn]: 'ignored',
    [RECORD.isIn]: 'as-is',
    [RECORD.isEx]: 'as-is',
    [RECORD.allow]: 'as-is',
  },
};

/** The host timers decide, looked at when a message comes: they need no event of their own (igmp.md section 7.3). */
export function compatMode(hosts: { readonly v1HostMs: number; readonly v2HostMs: number }, nowMs: number): CompatMode {
  if (hosts.v1HostMs > nowMs) return 'v1';
  return hosts.v2HostMs > nowMs ? 'v2' : 'v3';
}
