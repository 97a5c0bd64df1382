/**
 * The backstop on membership records (D-MEM-7), whoever makes them: a module whose own limits are switched off, a program on the
 * control socket. What is held stays, and so does adding it again after a change of owner; a new one is refused, and the
 * client hears why. A client cannot use up the whole: the others have room beside it.
 */
import { LogLimiter } from '../base/log-limiter.js';
import type { MembershipKey, MgmStatus } from './client.js';
import { type Core, keyFields } from './core.js';
import { status } from './keys.js';
import type { Client, Interface } from './state.js';

export interface MembershipLimits {
  readonly ofClient: number;
  readonly ofAll: number;
}

/** IGMP's own limits are half of a client's with their defaults. */
export const MEMBERSHIP_LIMITS: MembershipLimits = { ofClient: 262_144, ofAll: 393_216 };
/** One line at once for each client, then one a minute. */
const [LINES, LINES_PER_SEC] = [1, 1 / 60];

export class MembershipBudget {
  readonly #core: Core;
  readonly #limits: MembershipLimits;
  readonly #limiter = new LogLimiter(LINES, LINES_PER_SEC);

  constructor(core: Core) {
    this.#core = core;
    this.#limits = core.config.maxMemberships ?? MEMBERSHIP_LIMITS;
  }

  /** Why this client may not hold one more; undefined: it may. */
  refusal(client: Client, on: Interface, key: MembershipKey): MgmStatus | undefined {
    const { ofClient, ofAll } = this.#limits;
    const own = client.memberships >= ofClient;
    if (!own && this.#core.memberships.members < ofAll) return undefined;
    const why = own
      ? `${client.name} holds ${ofClient} memberships, as many as one client may`
      : `all clients together hold ${ofAll} memberships, as many as there may be`;
    this.#core.count('membership.refused');
    this.#warn(client, on, key, why);
    return status('ERROR_NOT_ENOUGH_MEMORY', 'tooManyMemberships', why);
  }

  #warn(client: Client, on: Interface, key: MembershipKey, why: string): void {
    const heldBack = this.#limiter.take(client.name, this.#core.nowMs);
    if (heldBack === undefined) return;
    const fields = { client: client.name, ifname: on.name, ...keyFields(key), held: client.memberships, heldBack };
    this.#core.ports.log.warn(
      { evt: 'membership.limit.reached', ...fields },
      `${why}; new ones are refused (the last one on ${on.name}): see "mgmctl show igmp interfaces" for who asks for so many, and limit "maxGroups" and "maxSources" there`,
    );
  }
}
