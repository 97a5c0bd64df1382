/** A hand-over asked for by name (D-OWN-13): what it would move, why it cannot be, whether the new owner wants it. */
import { type Answer, whenAnswered } from '../../base/answer.js';
import { linkName } from '../../base/link-name.js';
import type { Ifindex } from '../../port/kernel.js';
import type { MgmStatus } from '../client.js';
import type { Core } from '../core.js';
import { ACKNOWLEDGE_LIMIT_MS, type Courier } from '../clients/courier.js';
import { bitOf } from '../entries/forwarding.js';
import { cannotComplete, invalid, notFound, status } from '../keys.js';
import type { OwnershipRunner } from './ownership-runner.js';
import type { Registry } from '../clients/registry.js';
import type { HandoverView } from '../snapshot.js';
import { type Client, isIgmp } from '../state.js';

export interface HandoverRequest {
  readonly ifindex: Ifindex;
  /** Names as registered. */
  readonly from: string;
  readonly to: string;
  /** Only look. */
  readonly dryRun: boolean;
}

export class Handovers {
  readonly #core: Core;
  readonly #courier: Courier;
  readonly #registry: Registry;
  readonly #ownership: OwnershipRunner;

  constructor(core: Core, courier: Courier, registry: Registry, ownership: OwnershipRunner) {
    this.#core = core;
    this.#courier = courier;
    this.#registry = registry;
    this.#ownership = ownership;
  }

  run(request: HandoverRequest): Answer<HandoverView> {
    const { ifindex, from, to, dryRun } = request;
    const before = this.#view(request);
    const loser = this.#registry.byName(from);
    const winner = this.#registry.byName(to);
    const refused = this.#refusal(request, loser, winner);
    if (refused || !loser || !winner) return { ...before, ...refused };
    if (dryRun) return before;
    return whenAnswered(this.#offer(winner, ifindex), (accepted) => {
      if (!accepted) return { ...before, ...cannotComplete('refusedByNewOwner', `${to} refuses the interface`) };
      const handedOver = this.#courier.enter(() => this.#ownership.handover(loser, winner, ifindex));
      return whenAnswered(handedOver, (result) => ({ ...before, ...result, done: result.code === 'NO_ERROR' }));
    });
  }

  #offer(winner: Client, ifindex: Ifindex): Answer<boolean> {
    if (!winner.callbacks.interfaceOffered) return true;
    return this.#courier.ask(
      winner,
      'interfaceOffered',
      ACKNOWLEDGE_LIMIT_MS,
      () => winner.callbacks.interfaceOffered?.(ifindex) ?? true,
      (accepted) => accepted === true,
    );
  }

  #view({ ifindex, from, to }: HandoverRequest): HandoverView {
    const on = this.#core.interfaces.get(ifindex);
    const name = on?.name ?? linkName(this.#core.ports.links, ifindex);
    const counted = { memberships: on?.keys.size ?? 0, entriesAsIif: 0, entriesAsOif: 0 };
    for (const entry of on ? this.#core.entries : []) {
      if (entry.iif === on) counted.entriesAsIif++;
      else if (on && entry.outputs & bitOf(on)) counted.entriesAsOif++;
    }
    return { interface: name, from, to, igmp: on?.igmp !== undefined, ...counted, done: false, code: 'NO_ERROR' };
  }

  #refusal(
    { ifindex, from, to }: HandoverRequest,
    loser: Client | undefined,
    winner: Client | undefined,
  ): MgmStatus | undefined {
    const on = this.#core.interfaces.get(ifindex);
    if (!loser) return notFound('noSuchClient', `no protocol named ${from} is registered`);
    if (!winner) return notFound('noSuchClient', `no protocol named ${to} is registered`);
    if (isIgmp(winner)) return invalid('notOwner', 'IGMP stays beside every owner; release the interface instead');
    if (!on) return notFound('noSuchInterface', `nobody is on interface ${ifindex}`);
    if (winner === loser) return status('ERROR_ALREADY_EXISTS', 'alreadyTaken', `${to} owns ${on.name} already`);
    if (on.owner !== loser)
      return invalid('notOwner', on.owner ? `${on.owner.name} owns ${on.name}, not ${from}` : `nobody owns ${on.name}`);
    return undefined;
  }
}
