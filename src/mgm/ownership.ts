/**
 * Who may be on an interface: the states and transitions of sections 4.1 and 4.2 as a table. Pure; `transition.ts` runs it.
 * A missing cell is a request that the state refuses, with the refusal of `refusal()`.
 */
import type { MgmStatus } from './client.js';
import { invalid, status } from './keys.js';

/** U nobody, G IGMP alone, P an owner, PG an owner and IGMP. */
export type OwnershipState = 'U' | 'G' | 'P' | 'PG';
export type OwnershipEvent = 'igmp-takes' | 'igmp-releases' | 'owner-takes' | 'owner-releases' | 'handover';

export interface OwnershipStep {
  readonly next: OwnershipState;
  /** IGMP is there: disable, change, enable (D-OWN-3). Otherwise the change is made at once. */
  readonly pausesIgmp: boolean;
}

export const OWNERSHIP: { readonly [S in OwnershipState]: { readonly [E in OwnershipEvent]?: OwnershipStep } } = {
  U: {
    'igmp-takes': { next: 'G', pausesIgmp: false },
    'owner-takes': { next: 'P', pausesIgmp: false },
  },
  G: {
    'owner-takes': { next: 'PG', pausesIgmp: true },
    'igmp-releases': { next: 'U', pausesIgmp: false },
  },
  P: {
    'igmp-takes': { next: 'PG', pausesIgmp: false },
    'owner-releases': { next: 'U', pausesIgmp: false },
    handover: { next: 'P', pausesIgmp: false },
  },
  PG: {
    'igmp-releases': { next: 'P', pausesIgmp: false },
    'owner-releases': { next: 'G', pausesIgmp: true },
    handover: { next: 'PG', pausesIgmp: true },
  },
};

export function stateOf(hasOwner: boolean, hasIgmp: boolean): OwnershipState {
  if (hasOwner) return hasIgmp ? 'PG' : 'P';
  return hasIgmp ? 'G' : 'U';
}

/**
 * Why a request that the table has no cell for is refused (D-TAKE-1, D-REL-1).
 * `owner` and `requester` are names, for the operator's eyes.
 */
export function refusal(event: OwnershipEvent, owner: string | undefined, requester: string): MgmStatus {
  switch (event) {
    case 'igmp-takes':
      return status('ERROR_ALREADY_EXISTS', 'alreadyTaken', 'IGMP is on the interface already');
    case 'owner-takes':
      return owner === requester
        ? status('ERROR_ALREADY_EXISTS', 'alreadyTaken', `${requester} owns the interface already`)
        : status('ERROR_ALREADY_EXISTS', 'ownedByOther', `${owner} owns the interface; release it or hand it over`);
    case 'igmp-releases':
    case 'owner-releases':
    case 'handover':
      return invalid('notOwner', owner ? `${owner} owns the interface` : 'nobody owns the interface');
    default:
      return event satisfies never;
  }
}
