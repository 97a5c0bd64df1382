/** What happens when timers of a group run out (igmp.md section 7.3; RFC 9776 sections 6.3 and 6.5). */
import type { Group, MembershipChanges } from './group.js';

const NEVER = Number.POSITIVE_INFINITY;

/** The expiry time of what ends now, whatever the clock says; 0 means something else. */
export const DUE_MS = -1;

/**
 * Runs out what is due. False: nothing is left and the group is to be deleted; routing has been told.
 * Host timers are not here: they only decide the compatibility mode, which is computed when it matters.
 */
export function expire(group: Group, nowMs: number, changes: MembershipChanges): boolean {
  expireSources(group, nowMs, changes);
  if (group.mode === 'include') return group.sourceCount > 0;
  return group.timerMs > nowMs || becomeInclude(group, changes);
}

function expireSources(group: Group, nowMs: number, changes: MembershipChanges): void {
  if (group.sources === undefined) return;
  for (const source of group.sources.values()) {
    if (source.expiryMs === 0 || source.expiryMs > nowMs) continue;
    if (group.mode === 'include') {
      group.sources.delete(source.address);
      changes.leaveSource(group.address, source.address);
    } else {
      source.expiryMs = 0;
      source.queriesLeft = 0;
      changes.refuseSource(group.address, source.address);
    }
  }
}

/** The group timer ran out: INCLUDE(X), or the end of the group. (S,G) is added before (*,G) goes (igmp.md section 16). */
function becomeInclude(group: Group, changes: MembershipChanges): boolean {
  group.mode = 'include';
  group.timerMs = 0;
  group.queriesLeft = 0;
  if (group.sources !== undefined) {
    for (const source of group.sources.values()) {
      if (source.expiryMs === 0) group.sources.delete(source.address);
      else changes.joinSource(group.address, source.address);
    }
  }
  changes.leaveGroup(group.address);
  return group.sourceCount > 0;
}

/** Takes back everything routing was told about the group. */
export function withdraw(group: Group, changes: MembershipChanges): void {
  if (group.mode === 'exclude') changes.leaveGroup(group.address);
  else if (group.sources !== undefined)
    for (const source of group.sources.keys()) changes.leaveSource(group.address, source);
  group.sources?.clear();
}

/** When the group is to be looked at next: its earliest running timer, retransmission included. */
export function earliestTimerMs(group: Group): number {
  let earliestMs = group.nextQueryMs === 0 ? NEVER : group.nextQueryMs;
  if (group.mode === 'exclude') earliestMs = Math.min(earliestMs, group.timerMs);
  if (group.sources !== undefined)
    for (const source of group.sources.values())
      if (source.expiryMs !== 0) earliestMs = Math.min(earliestMs, source.expiryMs);
  return earliestMs;
}
