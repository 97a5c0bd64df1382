/**
 * The querier election as a table (igmp.md sections 8.1 and 10.1; RFC 9776 section 6.6.2, RFC 2236 section 7).
 * Guards are computed by the runner (querier.ts) and become distinct events:
 * - 'other-querier': a General Query from an address below the own one, whichever router it came from;
 * - 'best-silent': the best of the routers below us is silent, another one is not;
 * - 'all-silent': all of them are.
 * - 'resume': as 'start', but the process before this one has asked the hosts, or begun to.
 * - 'extra-query': hosts have missed the queries so far; the timer of the others goes on.
 * A query from a higher address, from 0.0.0.0 or from ourselves is no event at all.
 */

/** 'down': the link is down or the interface has no address to send from. */
export type Role = 'down' | 'querier' | 'non-querier';

export type QuerierEvent =
  | 'start'
  | 'resume'
  | 'stop'
  | 'address-changed'
  | 'other-querier'
  | 'best-silent'
  | 'all-silent'
  | 'extra-query'
  | 'query-timer';

export type QuerierEffect =
  | 'begin-startup'
  | 'resume-queries'
  | 'restore-variables'
  | 'adopt-variables'
  | 'send-general-query'
  | 'start-query-timer'
  | 'stop-query-timer'
  | 'forget-other-queriers'
  | 'tell-lost'
  | 'tell-gained';

export interface Step {
  readonly next: Role;
  readonly effects: readonly QuerierEffect[];
}

const STARTUP = [
  'forget-other-queriers',
  'restore-variables',
  'begin-startup',
  'send-general-query',
  'start-query-timer',
] as const;
const SHUTDOWN = ['forget-other-queriers', 'restore-variables', 'stop-query-timer'] as const;

/** One line per arrow; a missing cell changes nothing. */
export const QUERIER: { readonly [R in Role]: { readonly [E in QuerierEvent]?: Step } } = {
  down: {
    start: { next: 'querier', effects: STARTUP },
    resume: { next: 'querier', effects: ['forget-other-queriers', 'restore-variables', 'resume-queries'] },
  },
  querier: {
    'query-timer': { next: 'querier', effects: ['send-general-query', 'start-query-timer'] },
    'extra-query': { next: 'querier', effects: ['send-general-query'] },
    'other-querier': { next: 'non-querier', effects: ['adopt-variables', 'stop-query-timer', 'tell-lost'] },
    'address-changed': { next: 'querier', effects: STARTUP },
    stop: { next: 'down', effects: SHUTDOWN },
  },
  'non-querier': {
    'other-querier': { next: 'non-querier', effects: ['adopt-variables'] },
    'best-silent': { next: 'non-querier', effects: ['adopt-variables'] },
    'all-silent': {
      next: 'querier',
      effects: ['restore-variables', 'send-general-query', 'start-query-timer', 'tell-gained'],
    },
    'address-changed': { next: 'querier', effects: STARTUP },
    stop: { next: 'down', effects: SHUTDOWN },
  },
};
