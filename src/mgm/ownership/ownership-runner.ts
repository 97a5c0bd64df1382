/**
 * Runs the tables of `ownership.ts`: the only writer of who is on an interface and of the change that is under way there. Make
 * before break (D-OWN-9): between IGMP's disable and enable nothing but the manager's own records changes; the kernel's entries
 * stay as they are. Afterwards memberships are added again; then what nobody wanted any more goes, what comes in on the
 * interface is decided anew, and each entry that really differs is overwritten in place.
 */
import { type Answer, isLater } from '../../base/answer.js';
import type { KernelError } from '../../base/errors.js';
import type { Ifindex } from '../../port/kernel.js';
import type { MgmStatus } from '../client.js';
import { ACKNOWLEDGE_LIMIT_MS, type Courier, type Outcome } from '../clients/courier.js';
import type { Core } from '../core.js';
import { cannotComplete, DONE, invalid } from '../keys.js';
import {
  CHANGE,
  type ChangeEvent,
  type OwnershipEffect,
  type OwnershipRequest,
  REQUESTS,
  refusal,
} from './ownership.js';
import { inSlices } from '../slices.js';
import { type Client, Interface, isIgmp, OwnershipChange } from '../state.js';
import type { VifParts, Vifs } from './vifs.js';

/** From enable to the end of the resync at the latest (D-EN-2). */
const RESYNC_LIMIT_MS = 5000;

export interface OwnershipParts extends VifParts {
  readonly courier: Courier;
  readonly vifs: Vifs;
}

/** One accepted request on its way. */
interface Request {
  readonly kind: OwnershipRequest;
  readonly client: Client;
  /** The new owner of a hand-over. */
  readonly to?: Client | undefined;
}

export class OwnershipRunner {
  readonly #core: Core;
  readonly #parts: OwnershipParts;
  readonly #courier: Courier;
  readonly #declareDead: (client: Client, reason: string) => void;
  /** Requests that wait for the change that runs on their interface (D-OWN-4). */
  readonly #waiting = new Map<Interface, (() => void)[]>();
  /** Steps that came while effects ran: none is nested in another. */
  readonly #steps: (() => void)[] = [];
  #running = false;

  constructor(core: Core, parts: OwnershipParts, declareDead: (client: Client, reason: string) => void) {
    this.#core = core;
    this.#parts = parts;
    this.#courier = parts.courier;
    this.#declareDead = declareDead;
  }

  take(client: Client, ifindex: Ifindex): Answer<MgmStatus> {
    return this.#request({ kind: isIgmp(client) ? 'igmp-takes' : 'owner-takes', client }, ifindex);
  }

  release(client: Client, ifindex: Ifindex): Answer<MgmStatus> {
    return this.#request({ kind: isIgmp(client) ? 'igmp-releases' : 'owner-releases', client }, ifindex);
  }

  /** Moves the interface from one owner to another, who has accepted (D-OWN-13). */
  handover(from: Client, to: Client, ifindex: Ifindex): Answer<MgmStatus> {
    return this.#request({ kind: 'handover', client: from, to }, ifindex);
  }

  resyncDone(client: Client, { change }: Interface): void {
    if (change?.phase !== 'resyncing' || !change.awaited.delete(client)) return;
    if (change.awaited.size === 0) this.#happened(change, 'all-resynced');
  }

  /** The owner hears whether this router is the link's querier (ADR 6). */
  tellQuerier({ owner, ifindex, querier }: Interface): void {
    if (!owner?.callbacks.localQuerier || querier === undefined) return;
    this.#courier.notify(owner, 'localQuerier', () => owner.callbacks.localQuerier?.({ ifindex, querier }));
  }

  /** A client died (D-OWN-6, D-OWN-7): its interfaces, ascending, are released as by Release. */
  releaseAllOf(client: Client): void {
    const held = [...this.#core.interfaces.values()]
      .filter((on) => on.owner === client || on.igmp === client)
      .sort((a, b) => a.ifindex - b.ifindex);
    for (const on of held) {
      if (on.igmp === client) this.#igmpDied(on, client);
      // During T, the change checks at its end that the owner is still alive.
      else if (on.phase !== 'T') void this.release(client, on.ifindex);
    }
  }

  /** The kernel removed the device (D-OWN-8). */
  interfaceGone(on: Interface): void {
    if (on.change) return this.#happened(on.change, 'vanished');
    this.#step(() => {
      this.#vanish(on);
      this.#serveWaiting(on);
    });
  }

  #igmpDied(on: Interface, client: Client): void {
    if (on.change && on.phase === 'T') this.#happened(on.change, 'igmp-died');
    else void this.#grant(on, { kind: 'igmp-dies', client });
  }

  #request(request: Request, ifindex: Ifindex): Answer<MgmStatus> {
    const { client, kind, to } = request;
    const on = this.#core.interfaces.get(ifindex);
    if (on?.phase === 'T') return this.#wait(on, request, ifindex);
    // It had to wait, and meanwhile who accepted the interface has died.
    if (to?.alive === false) return cannotComplete('noSuchClient', `${to.name} died meanwhile`);
    const takes = kind === 'igmp-takes' || kind === 'owner-takes';
    if (!on) {
      if (!takes) return invalid('noSuchInterface');
      const opened = this.#parts.vifs.open(ifindex);
      return opened instanceof Interface ? this.#grant(opened, request) : opened;
    }
    const entitled = takes || on.owner === client || on.igmp === client;
    if (!REQUESTS[on.state][kind] || !entitled) return refusal(kind, on.owner?.name, client.name);
    return this.#grant(on, request);
  }

  /** One change per interface at a time, in the order of arrival (D-OWN-4). */
  #wait(on: Interface, request: Request, ifindex: Ifindex): Promise<MgmStatus> {
    const { client } = request;
    client.requests++;
    return new Promise((resolve) => {
      const waiting = this.#waiting.get(on) ?? [];
      this.#waiting.set(on, waiting);
      waiting.push(() => {
        client.requests--;
        const result = client.alive ? this.#request(request, ifindex) : invalid('badHandle');
        if (isLater(result)) resolve(result);
        else this.#courier.reply(client, () => resolve(result));
      });
    });
  }

  /** The table has a cell for the request, which is answered at once, or when IGMP has acknowledged. */
  #grant(on: Interface, { kind, client, to }: Request): Answer<MgmStatus> {
    const { next, begins, effects } = REQUESTS[on.state][kind]!;
    this.#trace(on, on.state, kind, next, effects);
    if (begins === undefined) {
      const made = new OwnershipChange(on, kind, client, to, 'over');
      made.done = true;
      this.#step(() => this.#perform(effects, made));
      return DONE;
    }
    const change = new OwnershipChange(on, kind, client, to, begins);
    if (on.change) this.#happened(on.change, 'superseded');
    on.change = change;
    client.requests++;
    this.#step(() => this.#perform(effects, change));
    return change.result ?? new Promise((resolve) => (change.resolve = resolve));
  }

  /** An event of a change: the table says what follows. */
  #happened(change: OwnershipChange, event: ChangeEvent): void {
    this.#step(() => {
      const { on, phase } = change;
      const step = CHANGE[phase][event];
      if (!step) return;
      this.#trace(on, phase, event, step.next, step.effects);
      change.phase = step.next;
      this.#perform(step.effects, change);
      if (change.phase === 'over' && on.change === change) on.change = undefined;
    });
  }

  /** One step after the other, in the order in which they came. */
  #step(step: () => void): void {
    this.#steps.push(step);
    if (this.#running) return;
    this.#running = true;
    try {
      for (let next = this.#steps.shift(); next; next = this.#steps.shift()) next();
    } finally {
      this.#running = false;
    }
  }

  #perform(effects: readonly OwnershipEffect[], change: OwnershipChange): void {
    for (const effect of effects) this.#run(effect, change);
  }

  #run(effect: OwnershipEffect, change: OwnershipChange): void {
    const { on } = change;
    switch (effect) {
      case 'add-igmp':
        on.igmp = change.client;
        return this.#parts.vifs.controlGroups(on, true);
      case 'drop-igmp':
        return this.#dropIgmp(on);
      case 'set-owner':
        return this.#setOwner(on, change.client);
      case 'clear-owner':
        return this.#setOwner(on, undefined);
      case 'swap-owner':
        return this.#swapOwner(change);
      case 'close-gate':
        this.#core.ports.membership.pause(on.ifindex);
        return this.#core.emit('igmp.disabled', () => ({ interface: on.name, ifindex: on.ifindex }));
      case 'open-gate':
        return this.#openGate(on);
      case 'ask-disable':
        return this.#askIgmp(change, 'disableIgmp');
      case 'ask-enable':
        return this.#askIgmp(change, 'enableIgmp');
      case 'await-resync':
        return this.#awaitResync(change);
      case 'sweep':
        return this.#inSlices(change, this.#sweep(change), 'swept');
      case 'signal':
        return this.#inSlices(change, this.#signal(change), 'signalled');
      case 'cancel':
        return this.#cancel(change);
      case 'close-vif':
        return this.#parts.vifs.close(on, false);
      case 'vanish':
        return this.#vanish(on);
      case 'ask-again':
        this.#parts.slices.run(this.#askAgain(on));
        return this.#parts.adoption.takeUpEntries();
      case 'announce':
        return change.done ? this.#announce(change) : undefined;
      case 'answer':
        return this.#answer(change);
      case 'release-dead-owner':
        return on.owner && !on.owner.alive ? void this.release(on.owner, on.ifindex) : undefined;
      case 'serve-waiting':
        return this.#serveWaiting(on);
      default:
        effect satisfies never;
    }
  }

  /** Where nobody stays, its memberships go with the interface. */
  #dropIgmp(on: Interface): void {
    const { igmp, change } = on;
    if (on.owner || on.phase === 'T') this.#parts.members.dropIgmp(on);
    on.igmp = undefined;
    on.querier = undefined;
    this.#parts.vifs.controlGroups(on, false);
    if (igmp && change?.awaited.delete(igmp) && change.awaited.size === 0) this.#happened(change, 'all-resynced');
  }

  #setOwner(on: Interface, owner: Client | undefined): void {
    on.owner = owner;
    this.#parts.rpf.forget();
    this.tellQuerier(on);
    this.#core.wantPim(
      'owner',
      [...this.#core.interfaces.values()].some((other) => other.owner?.pimUpcalls),
    );
  }

  #swapOwner(change: OwnershipChange): void {
    const { on } = change;
    change.done = true;
    change.departed = on.owner;
    on.markAllStale();
    this.#setOwner(on, change.newOwner);
    for (const entry of this.#core.entries) entry.clearOverride(on);
  }

  #openGate(on: Interface): void {
    const refused = (error: KernelError): void => this.#core.kernelRefused(error);
    this.#core.ports.membership.resume(on.ifindex, refused).forEach(refused);
    this.#core.emit('igmp.enabled', () => ({ interface: on.name, ifindex: on.ifindex }));
  }

  /** A late acknowledgement makes IGMP count as dead (D-CB-1); the change goes on without it. */
  #askIgmp(change: OwnershipChange, what: 'disableIgmp' | 'enableIgmp'): void {
    const { igmp, ifindex, name } = change.on;
    const acknowledged = (): void =>
      this.#happened(change, what === 'disableIgmp' ? disabled(change) : enabled(change));
    if (!igmp?.alive) return acknowledged();
    const acknowledge = (_: void | undefined, outcome: Outcome): void => {
      if (outcome === 'late') this.#declareDead(igmp, `did not acknowledge ${what} on ${name} in time`);
      acknowledged();
    };
    void this.#courier.ask(igmp, what, ACKNOWLEDGE_LIMIT_MS, () => igmp.callbacks[what]?.(ifindex), acknowledge);
  }

  #awaitResync(change: OwnershipChange): void {
    const { on, to, client } = change;
    for (const one of [on.igmp, to]) if (one?.alive) change.awaited.add(one);
    if (change.awaited.size === 0) return this.#happened(change, 'all-resynced');
    const timer = this.#core.ports.clock.after(RESYNC_LIMIT_MS, () => {
      this.#core.count('resync.timed-out');
      this.#courier.enter(() => this.#happened(change, 'resync-timed-out'));
    });
    change.cancel = () => timer.cancel();
    if (!to || !change.done) return;
    const reason = `handed over to ${to.name}`;
    this.#courier.notify(client, 'interfaceLost', () => client.callbacks.interfaceLost?.(on.ifindex, reason));
    this.#courier.notify(to, 'interfaceGranted', () => to.callbacks.interfaceGranted?.(on.ifindex));
  }

  #cancel(change: OwnershipChange): void {
    change.cancel?.();
    change.cancel = undefined;
    change.awaited.clear();
  }

  #inSlices(change: OwnershipChange, steps: Generator<void, void>, ended: ChangeEvent): void {
    inSlices(this.#core, this.#courier, steps, (cancel) => {
      change.cancel = cancel;
      if (!cancel) this.#happened(change, ended);
    });
  }

  /** What an owner that wants everything lets pass; what nobody added again goes; what comes in here is decided anew (D-OWN-9). */
  *#sweep(change: OwnershipChange): Generator<void, void> {
    const { on } = change;
    for (const admitted of this.#parts.members.admissions(on)) yield void admitted;
    for (const record of [...on.keys]) {
      this.#parts.members.sweep(on, record);
      yield;
    }
    change.departed = undefined;
    for (const entry of this.#core.entries) {
      if (entry.deleted) continue;
      if (entry.iif === on || (entry.named && entry.named.client === on.owner)) {
        change.unsignalledEntries.add(entry);
        void this.#parts.creation.decideAgain(entry, (candidate) => candidate.decider === on.decider);
      } else if (this.#parts.forwarding.update(entry).turned) {
        change.unsignalledEntries.add(entry);
        this.#parts.lifetimes.restart(entry);
      }
      yield;
    }
  }

  /** Only net differences are told (D-OWN-5). */
  *#signal(change: OwnershipChange): Generator<void, void> {
    const { on } = change;
    this.#core.emit('interface.resynced', () => ({ interface: on.name, ifindex: on.ifindex }));
    for (const record of on.keys) change.unsignalledKeys.add(record);
    for (const record of this.#core.memberships.ofSources()) change.unsignalledKeys.add(record);
    for (const entry of change.unsignalledEntries) if (!entry.deleted) this.#parts.creation.resignalSource(entry);
    yield* this.#parts.alerts.signalPutOff(change, on);
  }

  *#askAgain(on: Interface): Generator<void, void> {
    for (const entry of this.#core.entries) {
      if (entry.unowned) this.#parts.forwarding.remove(entry);
      // It may be an output that the client names.
      else if (entry.named && entry.named.client === on.owner)
        void this.#parts.creation.decideAgain(entry, () => false);
      yield;
    }
    yield* this.#parts.alerts.signalSources();
  }

  #answer(change: OwnershipChange): void {
    const { client, resolve } = change;
    client.requests--;
    const result = this.#resultOf(change);
    change.result = result;
    if (resolve) this.#courier.reply(client, () => resolve(result));
  }

  #resultOf({ on, done, newOwner }: OwnershipChange): MgmStatus {
    if (on.closed) return cannotComplete('interfaceGone', `${on.name} was removed meanwhile`);
    return done ? DONE : cannotComplete('noSuchClient', `${newOwner?.name} died meanwhile`);
  }

  #serveWaiting(on: Interface): void {
    const waiting = this.#waiting.get(on);
    if (!waiting) return;
    void this.#courier.perform(() => {
      while (on.phase !== 'T' && waiting.length > 0) waiting.shift()!();
      if (waiting.length === 0) this.#waiting.delete(on);
    });
  }

  #vanish(on: Interface): void {
    const { owner, igmp } = on;
    on.owner = undefined;
    on.igmp = undefined;
    this.#parts.vifs.close(on, true);
    for (const client of [owner, igmp]) {
      if (client) this.#courier.notify(client, 'interfaceGone', () => client.callbacks.interfaceGone?.(on.ifindex));
    }
    this.#core.emit('interface.gone', () => ({ interface: on.name, ifindex: on.ifindex }));
  }

  #announce({ on, request, client, to }: OwnershipChange): void {
    const fields = { interface: on.name, ifindex: on.ifindex, client: client.name, state: on.state };
    const { log } = this.#core.ports;
    switch (request) {
      case 'igmp-takes':
      case 'owner-takes':
        this.#core.emit('interface.taken', () => fields);
        return log.info({ ...fields, evt: 'interface.taken' }, `${client.name} takes ${on.name}`);
      case 'igmp-dies':
      case 'igmp-releases':
      case 'owner-releases':
        this.#core.emit('interface.released', () => fields);
        return log.info({ ...fields, evt: 'interface.released' }, `${client.name} releases ${on.name}`);
      case 'handover':
        this.#core.emit('interface.handed-over', () => ({ ...fields, to: to?.name }));
        return log.info(
          { ...fields, to: to?.name, evt: 'interface.handed-over' },
          `handed ${on.name} over from ${client.name} to ${to?.name}`,
        );
      default:
        return request satisfies never;
    }
  }

  #trace(on: Interface, state: string, event: string, next: string, effects: readonly OwnershipEffect[]): void {
    const { log } = this.#core.ports;
    if (!log.debugEnabled) return;
    const fields = { interface: on.name, state, event, next, effects };
    log.debug({ ...fields, evt: 'ownership.step' }, `${on.name}: ${event} in ${state}, then ${next}`);
  }
}

function disabled({ newOwner }: OwnershipChange): ChangeEvent {
  return newOwner?.alive === false ? 'new-owner-dead' : 'disabled';
}

function enabled({ on }: OwnershipChange): ChangeEvent {
  return on.state === 'U' ? 'nobody-left' : 'enabled';
}
