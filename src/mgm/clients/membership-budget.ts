/**
 * The backstop on membership records (D-MEM-7), whoever makes them: a module whose own limits are switched off, a program on the
 * control socket. What is held stays, and so does adding it again after a change of owner; a new one is refused, and the
 * client hears why. A client cannot use up the whole: the others have room beside it.
 */
import { LogLimiter } from '../../base/log-limiter.js';
import { type MembershipKey, type MgmStatus, PROTOCOL } from '../client.js';
import { type Core, keyFields } from '../core.js';
import { status } from '../keys.js';
import type { Client, Interface } from '../state.js';

export interface MembershipLimits {
  readonly ofClient: number;
  readonly ofAll: number;
}

interface Refused {
  readonly client: Client;
  readonly on: Interface;
  readonly key: MembershipKey;
  readonly why: string;
  /** Who holds so many. */
  readonly most: Client;
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
    this.#warn({ client, on, key, why, most: own ? client : this.#withMost() });
    return status('ERROR_NOT_ENOUGH_MEMORY', 'tooManyMemberships', why);
  }

  #warn({ client, on, key, why, most }: Refused): void {
    const heldBack = this.#limiter.take(client.name, this.#core.nowMs);
    if (heldBack === undefined) return;
    const fields = {
      client: client.name,
      most: most.name,
      ifname: on.name,
      ...keyFields(key),
      held: client.memberships,
      heldBack,
    };
    this.#core.ports.log.warn(
      { evt: 'membership.limit.reached', ...fields },
      `${why}; new ones are refused (the last one of ${client.name} on ${on.name}): ${adviceOn(most)}`,
    );
  }

  #withMost(): Client {
    return [...this.#core.clients.values()].reduce((most, one) => (one.memberships > most.memberships ? one : most));
  }
}

/** Where an operator limits what the client asks for. */
function adviceOn({ name, protocolId }: Client): string {
  switch (protocolId) {
    case PROTOCOL.igmp:
      return 'look in "mgmctl show igmp interfaces" where hosts ask for so many, and lower "maxGroups" and "maxSources" of that interface';
    case PROTOCOL.static:
      return `shorten "routes" of the static instance ${name}, or write a range of groups as one route`;
    case PROTOCOL.dvmrp:
      return 'shorten "pullGroups" of "dvmrp"';
    case PROTOCOL.igmpProxy:
      return 'shorten "upstreams" and the downstream interfaces of "proxy"';
    default:
      return `see the configuration of the program that registered as ${name}; "mgmctl show groups" lists what it holds`;
  }
}
