/**
 * Derived intervals (igmp.md section 5.1; RFC 9776 section 8). Never configured; each with its formula and section.
 * A changed variable counts when a timer is next set, not for running ones (igmp.md section 5.4).
 */

/** The variables in force on an interface: configured, or adopted from the querier (igmp.md section 10.2). */
export interface Timing {
  /** RV, 1..7. */
  readonly robustness: number;
  /** QI. */
  readonly queryIntervalMs: number;
  /** QRI, always the configured one. */
  readonly queryResponseIntervalMs: number;
}

/** GMI = RV * QI + 2 * QRI (RFC 9776 section 8.4, erratum 6725): how long a membership lives without a report. */
export function groupMembershipIntervalMs(t: Timing): number {
  return t.robustness * t.queryIntervalMs + 2 * t.queryResponseIntervalMs;
}

/** OQPI = RV * QI + QRI / 2 (RFC 9776 section 8.5): how long a silent querier is believed to be there. */
export function otherQuerierPresentIntervalMs(t: Timing): number {
  return t.robustness * t.queryIntervalMs + t.queryResponseIntervalMs / 2;
}

/** RV has three bits in a query (RFC 9776 section 4.1.6). */
const MOST_ROBUSTNESS = 7;
/** What another querier may make of the other-querier timer: so many times what it is by the own configuration. */
const MOST_OWN_INTERVALS = 10;

/** OQPI at its longest; those of a querier that asks for more are cut (igmp.md section 10.1). */
function longestOtherQuerierPresentIntervalMs(own: Timing): number {
  return MOST_OWN_INTERVALS * otherQuerierPresentIntervalMs(own);
}

/** The adopted variables within their bounds: RV * QI + QRI / 2 is at most ten times the own OQPI, so GMI and OHPI end too. */
export function bounded(adopted: Timing, own: Timing): Timing {
  const robustness = Math.min(adopted.robustness, MOST_ROBUSTNESS);
  const { queryResponseIntervalMs } = adopted;
  const mostMs = Math.floor((longestOtherQuerierPresentIntervalMs(own) - queryResponseIntervalMs / 2) / robustness);
  return { robustness, queryIntervalMs: Math.min(adopted.queryIntervalMs, mostMs), queryResponseIntervalMs };
}

/** No timer of a group is set to more, whoever is querier. */
export function longestMembershipMs(own: Timing): number {
  return longestOtherQuerierPresentIntervalMs(own) + 2 * own.queryResponseIntervalMs;
}

/** OHPI = RV * QI + QRI (RFC 9776 section 8.13): how long a group stays in the mode of an older host. */
export function olderHostPresentIntervalMs(t: Timing): number {
  return t.robustness * t.queryIntervalMs + t.queryResponseIntervalMs;
}

/** LMQT = LMQI * LMQC (RFC 9776 section 8.10): how long members may take to contradict a leave. */
export function lastMemberQueryTimeMs(lastMemberQueryIntervalMs: number, lastMemberQueryCount: number): number {
  return lastMemberQueryIntervalMs * lastMemberQueryCount;
}

/**
 * LMQT of a specific query that was heard: its Max Resp Time times its QRV, or the own count when it carries none
 * (igmp.md section 8.3; RFC 2236 section 3). A code of 0 says nothing useful; the own LMQT is taken then.
 */
export function heardQueryTimeMs(maxRespMs: number, qrv: number, ownIntervalMs: number, ownCount: number): number {
  return (maxRespMs || ownIntervalMs) * (qrv || ownCount);
}
