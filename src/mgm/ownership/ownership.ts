/**
 * Who may be on an interface, and how a change of owner goes on (manager.md sections 4.1, 4.2, 4.4 to 4.7), as two tables.
 * Pure: `ownership-runner.ts` carries the effects out, in the order in which they stand here, and is the only writer of what they
 * change. A missing cell of REQUESTS is a request that the state refuses (`refusal`); a missing cell of CHANGE is an event that
 * cannot matter in that phase.
 */
import type { MgmStatus } from '../client.js';
import { invalid, status } from '../keys.js';

/** U nobody, G IGMP alone, P an owner, PG an owner and IGMP. */
export type OwnershipState = 'U' | 'G' | 'P' | 'PG';

/** `igmp-dies` cannot be refused. An owner that dies releases. */
export type OwnershipRequest =
  | 'igmp-takes'
  | 'igmp-releases'
  | 'igmp-dies'
  | 'owner-takes'
  | 'owner-releases'
  | 'handover';

/**
 * `pausing`: IGMP is asked to disable. `enabling`: the owner has changed, IGMP is asked to enable. These two are T.
 * `resyncing`: memberships are added again. `sweeping`: what nobody added again goes. These two are R.
 * `signalling`: everybody else hears what is different. `vanished`: the interface went while IGMP was asked.
 */
export type ChangePhase = 'pausing' | 'enabling' | 'resyncing' | 'sweeping' | 'signalling' | 'vanished' | 'over';

export type ChangeEvent =
  /** IGMP has acknowledged, or is dead. */
  | 'disabled'
  | 'enabled'
  /** IGMP has disabled, and who should own the interface has died. */
  | 'new-owner-dead'
  /** IGMP has enabled, and neither an owner nor IGMP is on the interface any more. */
  | 'nobody-left'
  | 'igmp-died'
  | 'all-resynced'
  | 'resync-timed-out'
  | 'swept'
  | 'signalled'
  /** Another change of owner begins, and takes over what is not signalled yet. */
  | 'superseded'
  | 'vanished';

export type OwnershipEffect =
  | 'add-igmp'
  | 'drop-igmp'
  | 'set-owner'
  | 'clear-owner'
  /** The data changes (a) to (d) of D-OWN-9; no kernel entry is touched. */
  | 'swap-owner'
  /** mgmd makes no membership call on the interface until `open-gate`. */
  | 'close-gate'
  | 'open-gate'
  | 'ask-disable'
  | 'ask-enable'
  | 'await-resync'
  | 'sweep'
  | 'signal'
  /** The timer and the slices of the change. */
  | 'cancel'
  | 'close-vif'
  /** The kernel has removed the device. */
  | 'vanish'
  /** Flows that were silenced because nobody served the interface are decided again. */
  | 'ask-again'
  | 'announce'
  | 'answer'
  /** The new owner may have died in T. */
  | 'release-dead-owner'
  | 'serve-waiting';

export interface RequestStep {
  readonly next: OwnershipState;
  /** The first phase of a change; absent: the request is done at once. */
  readonly begins?: ChangePhase;
  readonly effects: readonly OwnershipEffect[];
}

export interface ChangeStep {
  readonly next: ChangePhase;
  readonly effects: readonly OwnershipEffect[];
}

const PAUSE: readonly OwnershipEffect[] = ['close-gate', 'ask-disable'];

export const REQUESTS: { readonly [S in OwnershipState]: { readonly [R in OwnershipRequest]?: RequestStep } } = {
  U: {
    'igmp-takes': { next: 'G', effects: ['add-igmp', 'ask-again', 'announce'] },
    'owner-takes': { next: 'P', effects: ['set-owner', 'ask-again', 'announce'] },
  },
  G: {
    'owner-takes': { next: 'PG', begins: 'pausing', effects: PAUSE },
    'igmp-releases': { next: 'U', effects: ['drop-igmp', 'close-vif', 'announce'] },
    'igmp-dies': { next: 'U', effects: ['drop-igmp', 'close-vif'] },
  },
  P: {
    'igmp-takes': { next: 'PG', effects: ['add-igmp', 'ask-again', 'announce'] },
    'owner-releases': { next: 'U', effects: ['clear-owner', 'close-vif', 'announce'] },
    handover: { next: 'P', begins: 'resyncing', effects: ['swap-owner', 'await-resync', 'announce', 'answer'] },
  },
  PG: {
    'igmp-releases': { next: 'P', effects: ['drop-igmp', 'announce'] },
    'igmp-dies': { next: 'P', effects: ['drop-igmp'] },
    'owner-releases': { next: 'G', begins: 'pausing', effects: PAUSE },
    handover: { next: 'PG', begins: 'pausing', effects: PAUSE },
  },
};

const VANISH: readonly OwnershipEffect[] = ['cancel', 'vanish', 'serve-waiting'];
const SUPERSEDED: ChangeStep = { next: 'over', effects: ['cancel'] };

export const CHANGE: { readonly [P in ChangePhase]: { readonly [E in ChangeEvent]?: ChangeStep } } = {
  pausing: {
    disabled: { next: 'enabling', effects: ['swap-owner', 'ask-enable'] },
    'new-owner-dead': { next: 'enabling', effects: ['ask-enable'] },
    'igmp-died': { next: 'pausing', effects: ['drop-igmp'] },
    vanished: { next: 'vanished', effects: VANISH },
  },
  enabling: {
    enabled: {
      next: 'resyncing',
      effects: ['open-gate', 'announce', 'await-resync', 'answer', 'release-dead-owner', 'serve-waiting'],
    },
    'nobody-left': { next: 'over', effects: ['open-gate', 'announce', 'answer', 'close-vif', 'serve-waiting'] },
    'igmp-died': { next: 'enabling', effects: ['drop-igmp'] },
    vanished: { next: 'vanished', effects: VANISH },
  },
  resyncing: {
    'all-resynced': { next: 'sweeping', effects: ['cancel', 'sweep'] },
    'resync-timed-out': { next: 'sweeping', effects: ['cancel', 'sweep'] },
    superseded: SUPERSEDED,
    vanished: { next: 'over', effects: VANISH },
  },
  sweeping: {
    swept: { next: 'signalling', effects: ['signal'] },
    superseded: SUPERSEDED,
    vanished: { next: 'over', effects: VANISH },
  },
  signalling: {
    signalled: { next: 'over', effects: [] },
    superseded: SUPERSEDED,
    vanished: { next: 'over', effects: VANISH },
  },
  vanished: {
    disabled: { next: 'over', effects: ['answer'] },
    'new-owner-dead': { next: 'over', effects: ['answer'] },
    enabled: { next: 'over', effects: ['answer'] },
    'nobody-left': { next: 'over', effects: ['answer'] },
  },
  over: {},
};

export function stateOf(hasOwner: boolean, hasIgmp: boolean): OwnershipState {
  if (hasOwner) return hasIgmp ? 'PG' : 'P';
  return hasIgmp ? 'G' : 'U';
}

/**
 * Why a request that the table has no cell for is refused (D-TAKE-1, D-REL-1).
 * `owner` and `requester` are names, for the operator's eyes.
 */
export function refusal(request: OwnershipRequest, owner: string | undefined, requester: string): MgmStatus {
  switch (request) {
    case 'igmp-takes':
      return status('ERROR_ALREADY_EXISTS', 'alreadyTaken', 'IGMP is on the interface already');
    case 'owner-takes':
      return owner === requester
        ? status('ERROR_ALREADY_EXISTS', 'alreadyTaken', `${requester} owns the interface already`)
        : status('ERROR_ALREADY_EXISTS', 'ownedByOther', `${owner} owns the interface; release it or hand it over`);
    case 'igmp-releases':
    case 'igmp-dies':
    case 'owner-releases':
    case 'handover':
      return invalid('notOwner', owner ? `${owner} owns the interface` : 'nobody owns the interface');
    default:
      return request satisfies never;
  }
}
