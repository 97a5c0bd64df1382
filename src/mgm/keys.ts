/**
 * Membership keys: (s,g), (*,g) and (*,*), with the checks of D-KEY-1 and the flags of D-FLAG-1 and D-FLAG-2.
 */
import { ANY4, type IpAddress, ipv4, isAny, isLinkLocalGroup, isMulticast, isUnicast, maskOf } from '../base/ip.js';
import { FORWARD, JOIN, type MaskedKey, type MembershipKey, type MgmDetail, type MgmStatus } from './client.js';

export const DONE: MgmStatus = { code: 'NO_ERROR' };
export const ALL_ONES: IpAddress = maskOf(32);
const LAST_GROUP: IpAddress = ipv4(0xefffffff);

export function invalid(detail: MgmDetail, message?: string): MgmStatus {
  return status('ERROR_INVALID_PARAMETER', detail, message);
}

export function cannotComplete(detail: MgmDetail, message?: string): MgmStatus {
  return status('ERROR_CAN_NOT_COMPLETE', detail, message);
}

export function notFound(detail: MgmDetail, message?: string): MgmStatus {
  return status('ERROR_NOT_FOUND', detail, message);
}

export function status(code: MgmStatus['code'], detail: MgmDetail, message?: string): MgmStatus {
  return message === undefined ? { code, detail } : { code, detail, message };
}

/** The mask of the wire API for an address: 0 for the wildcard, otherwise all ones. */
export function hostMask(address: IpAddress): IpAddress {
  return isAny(address) ? ANY4 : ALL_ONES;
}

/** What is wrong with a key, or undefined (D-KEY-1): no ranges, no (s,*), groups 224.0.1.0 and up, unicast sources. */
export function keyProblem(key: MaskedKey): MgmDetail | undefined {
  const { source, group } = key;
  if ((key.sourceMask ?? hostMask(source)) !== hostMask(source)) return 'badMask';
  if ((key.groupMask ?? hostMask(group)) !== hostMask(group)) return 'badMask';
  if (isAny(group)) return isAny(source) ? undefined : 'badGroup';
  if (!isMulticast(group) || isLinkLocalGroup(group) || group > LAST_GROUP) return 'badGroup';
  if (!isAny(source) && !isUnicast(source)) return 'badSource';
  return undefined;
}

/** What is wrong with the flags for this key, or undefined (D-FLAG-1, D-FLAG-2). */
export function flagsProblem(key: MembershipKey, flags: number): MgmDetail | undefined {
  if (!Number.isInteger(flags) || flags === 0 || (flags & ~(JOIN | FORWARD)) !== 0) return 'badFlags';
  if (flags & FORWARD && (isAny(key.source) || isAny(key.group))) return 'wildcardForward';
  return undefined;
}

/** Order of the enumerations: by group, then by source, as unsigned numbers. */
export function compareKeys(a: MembershipKey, b: MembershipKey): number {
  if (a.group !== b.group) return a.group < b.group ? -1 : 1;
  if (a.source !== b.source) return a.source < b.source ? -1 : 1;
  return 0;
}
