/** What happens when timers of a group run out (igmp.md section 7.3; RFC 9776 sections 6.3 and 6.5). */
import type { Group, MembershipChanges, Source } from './group.js';

const NEVER = Number.POSITIVE_INFINITY;

/** The expiry time of what ends now, whatever the clock says; 0 means something else. */
export const DUE_MS = -1;

/** Sources ended per call, so that tens of thousands that run out together do not block the event loop. */
const SOURCES_PER_CALL = 1024;

/** Whom the end of a timer concerns. */
export interface Expiry {
  readonly nowMs: number;
  readonly changes: MembershipChanges;
  /** A source is not stored any more. */
  giveBackSource(source: Source): void;
}

/**
 * Runs out what is due; of very many sources a part, and the rest stays due. False: nothing is left and the group is to be
 * deleted; routing has been told. Host timers are not here: they only decide the compatibility mode, which is computed when it
 * matters.
 */
export function expire(group: Group, expiry: Expiry): boolean {
  if (!expireSources(group, expiry)) return true;
  if (group.mode === 'include') return group.sourceCount > 0;
  return group.timerMs > expiry.nowMs || becomeInclude(group, expiry);
}

/** False: more are due. */
function expireSources(group: Group, { nowMs, changes, giveBackSource }: Expiry): boolean {
  if (group.sources === undefined) return true;
  let left = SOURCES_PER_CALL;
  for (const source of group.sources.values()) {
    if (source.expiryMs === 0 || source.expiryMs > nowMs) continue;
    if (left-- === 0) return false;
    if (group.mode === 'include') {
      group.sources.delete(source.address);
      giveBackSource(source);
      changes.leaveSource(group.address, source.address);
    } else {
      source.expiryMs = 0;
      source.queriesLeft = 0;
      changes.refuseSource(group.address, source.address);
    }
  }
  return true;
}

/** The group timer ran out: INCLUDE(X), or the end of the group. (S,G) is added before (*,G) goes (igmp.md section 16). */
function becomeInclude(group: Group, { changes, giveBackSource }: Expiry): boolean {
  group.mode = 'include';
  group.timerMs = 0;
  group.queriesLeft = 0;
  if (group.sources !== undefined) {
    for (const source of group.sources.values()) {
      if (source.expiryMs !== 0) changes.joinSource(group.address, source.address);
      else {
        group.sources.delete(source.address);
        giveBackSource(source);
      }
    }
  }
  changes.leaveGroup(group.address);
  return group.sourceCount > 0;
}

/** Takes back everything routing was told about the group. */
export function withdraw(group: Group, { changes, giveBackSource }: Omit<Expiry, 'nowMs'>): void {
  if (group.mode === 'exclude') changes.leaveGroup(group.address);
  if (group.sources === undefined) return;
  for (const source of group.sources.values()) {
    if (group.mode === 'include') changes.leaveSource(group.address, source.address);
    giveBackSource(source);
  }
  group.sources.clear();
}

/** When the group is to be looked at next: its earliest running timer, retransmission included. */
export function earliestTimerMs(group: Group): number {
  let earliestMs = group.queriesLeft > 0 ? group.nextQueryMs : NEVER;
  if (group.mode === 'exclude') earliestMs = Math.min(earliestMs, group.timerMs);
  if (group.sources !== undefined)
    for (const source of group.sources.values()) {
      if (source.expiryMs !== 0) earliestMs = Math.min(earliestMs, source.expiryMs);
      if (source.queriesLeft > 0) earliestMs = Math.min(earliestMs, source.nextQueryMs);
    }
  return earliestMs;
}
