/**
 * The querier election as a table (igmp.md sections 8.1 and 10.1; RFC 9776 section 6.6.2, RFC 2236 section 7).
 * Guards are computed by the runner (querier.ts) and become distinct events:
 * - 'better-querier': a General Query from an address below the own one and not above the remembered querier's;
 * - 'worse-querier': from an address below the own one but above the remembered querier's. It keeps nothing alive, so that
 *   the loss of the best of three routers is noticed.
 * - 'resume': as 'start', but the process before this one has asked the hosts, or begun to.
 * A query from a higher address, from 0.0.0.0 or from ourselves is no event at all.
 */

/** 'down': the link is down or the interface has no address to send from. */
export type Role = 'down' | 'querier' | 'non-querier';

export type QuerierEvent =
  | 'start'
  | 'resume'
  | 'stop'
  | 'address-changed'
  | 'better-querier'
  | 'worse-querier'
  | 'query-timer'
  | 'other-querier-timer';

export type QuerierEffect =
  | 'begin-startup'
  | 'resume-queries'
  | 'restore-variables'
  | 'adopt-variables'
  | 'send-general-query'
  | 'start-query-timer'
  | 'stop-query-timer'
  | 'start-other-querier-timer'
  | 'stop-other-querier-timer'
  | 'tell-lost'
  | 'tell-gained';

export interface Step {
  readonly next: Role;
  readonly effects: readonly QuerierEffect[];
}

const STARTUP = [
  'restore-variables',
  'stop-other-querier-timer',
  'begin-startup',
  'send-general-query',
  'start-query-timer',
] as const;
const SHUTDOWN = ['restore-variables', 'stop-other-querier-timer', 'stop-query-timer'] as const;

/** One line per arrow; a missing cell changes nothing. */
export const QUERIER: { readonly [R in Role]: { readonly [E in QuerierEvent]?: Step } } = {
  down: {
    start: { next: 'querier', effects: STARTUP },
    resume: { next: 'querier', effects: ['restore-variables', 'stop-other-querier-timer', 'resume-queries'] },
  },
  querier: {
    'query-timer': { next: 'querier', effects: ['send-general-query', 'start-query-timer'] },
    'better-querier': {
      next: 'non-querier',
      effects: ['adopt-variables', 'stop-query-timer', 'start-other-querier-timer', 'tell-lost'],
    },
    'address-changed': { next: 'querier', effects: STARTUP },
    stop: { next: 'down', effects: SHUTDOWN },
  },
  'non-querier': {
    'better-querier': { next: 'non-querier', effects: ['adopt-variables', 'start-other-querier-timer'] },
    'other-querier-timer': {
      next: 'querier',
      effects: [
        'restore-variables',
        'stop-other-querier-timer',
        'send-general-query',
        'start-query-timer',
        'tell-gained',
      ],
    },
    'address-changed': { next: 'querier', effects: STARTUP },
    stop: { next: 'down', effects: SHUTDOWN },
  },
};
