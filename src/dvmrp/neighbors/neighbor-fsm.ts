/**
 * What a neighbour is to us, as a table (dvmrp.md section 5.1). Guards are computed by the runner (neighbors.ts) and become
 * distinct events:
 * - 'probe': a Probe of today's version that does not list us, or that lists us too often in too short a time;
 * - 'probe-listing': it lists us; 'restart': it does, and generation id, version or capabilities are new;
 * - 'probe-old', 'report-old': a Probe or Report of a version without handshake, which the configuration accepts;
 * - 'restart-old': the same as 'restart' of such a version;
 * - 'report': a Report of today's version; 'refused': a Probe of somebody the configuration does not want.
 */

/** 'compat': an old version without handshake, treated as 'two-way'. 'none' is never stored. */
export type NeighborState = 'none' | 'one-way' | 'two-way' | 'compat' | 'refused';

export type NeighborEvent =
  | 'probe'
  | 'probe-listing'
  | 'restart'
  | 'probe-old'
  | 'restart-old'
  | 'report'
  | 'report-old'
  | 'refused'
  | 'timer'
  | 'stop';

/**
 * 'go-up': everything it says counts from now on, and it gets the full table. 'go-down': the steps of dvmrp.md section 5.2 but for
 * the deletion. 'restart': its prunes are void (dvmrp.md section 4), and it gets the full table.
 */
export type NeighborEffect = 'start-timer' | 'send-probe' | 'go-up' | 'go-down' | 'restart' | 'delete';

export interface Step {
  readonly next: NeighborState;
  readonly effects: readonly NeighborEffect[];
}

/** One line per arrow; a missing cell changes nothing. */
export const NEIGHBOR: { readonly [S in NeighborState]: { readonly [E in NeighborEvent]?: Step } } = {
  none: {
    probe: { next: 'one-way', effects: ['start-timer', 'send-probe'] },
    'probe-listing': { next: 'two-way', effects: ['start-timer', 'send-probe', 'go-up'] },
    'probe-old': { next: 'compat', effects: ['start-timer', 'send-probe', 'go-up'] },
    'report-old': { next: 'compat', effects: ['start-timer', 'send-probe', 'go-up'] },
    refused: { next: 'refused', effects: ['start-timer'] },
  },
  'one-way': {
    probe: { next: 'one-way', effects: ['start-timer'] },
    'probe-listing': { next: 'two-way', effects: ['start-timer', 'go-up'] },
    restart: { next: 'two-way', effects: ['start-timer', 'go-up'] },
    'probe-old': { next: 'compat', effects: ['start-timer', 'go-up'] },
    'restart-old': { next: 'compat', effects: ['start-timer', 'go-up'] },
    refused: { next: 'refused', effects: ['start-timer'] },
    timer: { next: 'none', effects: ['delete'] },
    stop: { next: 'none', effects: ['delete'] },
  },
  'two-way': {
    probe: { next: 'one-way', effects: ['start-timer', 'send-probe', 'go-down'] },
    'probe-listing': { next: 'two-way', effects: ['start-timer'] },
    restart: { next: 'two-way', effects: ['start-timer', 'send-probe', 'restart'] },
    'probe-old': { next: 'compat', effects: ['start-timer', 'restart'] },
    'restart-old': { next: 'compat', effects: ['start-timer', 'restart'] },
    report: { next: 'two-way', effects: ['start-timer'] },
    refused: { next: 'refused', effects: ['start-timer', 'go-down'] },
    timer: { next: 'none', effects: ['go-down', 'delete'] },
    stop: { next: 'none', effects: ['go-down', 'delete'] },
  },
  compat: {
    probe: { next: 'one-way', effects: ['start-timer', 'send-probe', 'go-down'] },
    'probe-listing': { next: 'two-way', effects: ['start-timer', 'send-probe', 'restart'] },
    restart: { next: 'two-way', effects: ['start-timer', 'send-probe', 'restart'] },
    'probe-old': { next: 'compat', effects: ['start-timer'] },
    'restart-old': { next: 'compat', effects: ['start-timer', 'send-probe', 'restart'] },
    report: { next: 'compat', effects: ['start-timer'] },
    'report-old': { next: 'compat', effects: ['start-timer'] },
    refused: { next: 'refused', effects: ['start-timer', 'go-down'] },
    timer: { next: 'none', effects: ['go-down', 'delete'] },
    stop: { next: 'none', effects: ['go-down', 'delete'] },
  },
  refused: {
    probe: { next: 'one-way', effects: ['start-timer', 'send-probe'] },
    'probe-listing': { next: 'two-way', effects: ['start-timer', 'send-probe', 'go-up'] },
    restart: { next: 'two-way', effects: ['start-timer', 'send-probe', 'go-up'] },
    'probe-old': { next: 'compat', effects: ['start-timer', 'send-probe', 'go-up'] },
    'restart-old': { next: 'compat', effects: ['start-timer', 'send-probe', 'go-up'] },
    refused: { next: 'refused', effects: ['start-timer'] },
    timer: { next: 'none', effects: ['delete'] },
    stop: { next: 'none', effects: ['delete'] },
  },
};
