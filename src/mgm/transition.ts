/**
 * Changes of ownership (section 4), make before break (D-OWN-9): between IGMP's disable and enable nothing but the
 * manager's own records changes; the kernel's entries stay as they are. Afterwards, in R, memberships are added again;
 * at its end what nobody wanted any more goes, what comes in on the interface is decided anew, and each entry that
 * really differs is overwritten in place.
 */
import { type Answer, isLater } from '../base/answer.js';
import type { KernelError } from '../base/errors.js';
import { ip } from '../base/ip.js';
import { ANY_SOURCE_FILTER, type Ifindex, type Link, type Vif } from '../port/kernel.js';
import type { Adoption } from './adoption.js';
import type { Alerts } from './alerts.js';
import type { MgmStatus } from './client.js';
import type { Core } from './core.js';
import { ACKNOWLEDGE_LIMIT_MS, type Courier, type Outcome } from './courier.js';
import type { Creation } from './creation.js';
import { bitOf, type Forwarding } from './forwarding.js';
import { cannotComplete, DONE, invalid } from './keys.js';
import type { Lifetimes } from './lifetimes.js';
import type { Members } from './members.js';
import { OWNERSHIP, type OwnershipEvent, refusal } from './ownership.js';
import { Resync, type ResyncParts } from './resync.js';
import type { Rpf } from './rpf.js';
import type { Slices } from './slices.js';
import { type Client, type Entry, Interface, isIgmp } from './state.js';

/** D-LIN-11: what a router must have joined to hear v3 reports and leaves. */
const CONTROL_GROUPS = [ip('224.0.0.22'), ip('224.0.0.2')];
const HOLDER = 'igmp-control';

/** One accepted request on its way. */
interface Change {
  readonly event: OwnershipEvent;
  readonly client: Client;
  /** The new owner of a hand-over. */
  readonly to?: Client;
}

export class Transitions {
  readonly #core: Core;
  readonly #courier: Courier;
  readonly #forwarding: Forwarding;
  readonly #members: Members;
  readonly #creation: Creation;
  readonly #alerts: Alerts;
  readonly #rpf: Rpf;
  readonly #adoption: Adoption;
  readonly #resync: Resync;
  readonly #lifetimes: Lifetimes;
  readonly #slices: Slices;
  readonly #declareDead: (client: Client, reason: string) => void;

  constructor(
    core: Core,
    parts: ResyncParts & { rpf: Rpf; adoption: Adoption; slices: Slices },
    declareDead: (client: Client, reason: string) => void,
  ) {
    this.#core = core;
    this.#courier = parts.courier;
    this.#forwarding = parts.forwarding;
    this.#members = parts.members;
    this.#creation = parts.creation;
    this.#alerts = parts.alerts;
    this.#rpf = parts.rpf;
    this.#adoption = parts.adoption;
    this.#lifetimes = parts.lifetimes;
    this.#slices = parts.slices;
    this.#resync = new Resync(core, parts);
    this.#declareDead = declareDead;
  }

  take(client: Client, ifindex: Ifindex): Answer<MgmStatus> {
    return this.#request({ event: isIgmp(client) ? 'igmp-takes' : 'owner-takes', client }, ifindex);
  }

  release(client: Client, ifindex: Ifindex): Answer<MgmStatus> {
    return this.#request({ event: isIgmp(client) ? 'igmp-releases' : 'owner-releases', client }, ifindex);
  }

  /** D-OWN-13; `to` has accepted. */
  handover(from: Client, to: Client, ifindex: Ifindex): Answer<MgmStatus> {
    return this.#request({ event: 'handover', client: from, to }, ifindex);
  }

  resyncDone(client: Client, on: Interface): void {
    if (on.phase === 'R' && on.resyncing.delete(client) && on.resyncing.size === 0) this.#resync.finish(on);
  }

  /** The owner hears whether this router is the link's querier (ADR 6). */
  tellQuerier(on: Interface): void {
    const { owner, ifindex, querier } = on;
    if (!owner?.callbacks.localQuerier || querier === undefined) return;
    this.#courier.notify(owner, 'localQuerier', () => owner.callbacks.localQuerier?.({ ifindex, querier }));
  }

  /** A client died (D-OWN-6, D-OWN-7): its interfaces, ascending, are released as by Release. */
  releaseAllOf(client: Client): void {
    const held = [...this.#core.interfaces.values()]
      .filter((on) => on.owner === client || on.igmp === client)
      .sort((a, b) => a.ifindex - b.ifindex);
    for (const on of held) {
      if (on.igmp === client) this.#igmpLeaves(on);
      // In T the running change looks at the end whether its owner still lives.
      else if (on.phase !== 'T') void this.release(client, on.ifindex);
    }
  }

  /** The kernel removed the device (D-OWN-8). The vif is gone already, silently; entries still name its number (facts J4). */
  interfaceGone(on: Interface): void {
    const { owner, igmp } = on;
    on.phase = 'steady';
    on.owner = undefined;
    on.igmp = undefined;
    this.#close(on, true);
    for (const client of [owner, igmp]) {
      if (client) this.#courier.notify(client, 'interfaceGone', () => client.callbacks.interfaceGone?.(on.ifindex));
    }
    this.#core.emit('interface.gone', () => ({ interface: on.name, ifindex: on.ifindex }));
    this.#runWaiting(on);
  }

  #request(change: Change, ifindex: Ifindex): Answer<MgmStatus> {
    const { client, event } = change;
    const on = this.#core.interfaces.get(ifindex);
    if (on?.phase === 'T') return this.#wait(on, change, ifindex);
    if (!on) {
      if (event !== 'igmp-takes' && event !== 'owner-takes') return invalid('noSuchInterface');
      const opened = this.#open(ifindex);
      return opened instanceof Interface ? this.#change(opened, change) : opened;
    }
    const step = OWNERSHIP[on.state][event];
    const entitled = event === 'igmp-takes' || event === 'owner-takes' || on.owner === client || on.igmp === client;
    if (!step || !entitled) return refusal(event, on.owner?.name, client.name);
    return this.#change(on, change);
  }

  /** D-OWN-4: one change per interface at a time, in the order of arrival. */
  #wait(on: Interface, change: Change, ifindex: Ifindex): Promise<MgmStatus> {
    change.client.requests++;
    return new Promise((resolve) => {
      on.waiting.push(() => {
        const { client } = change;
        client.requests--;
        const result = client.alive ? this.#request(change, ifindex) : invalid('badHandle');
        if (isLater(result)) resolve(result);
        else this.#courier.reply(client, () => resolve(result));
      });
    });
  }

  #change(on: Interface, change: Change): Answer<MgmStatus> {
    const step = OWNERSHIP[on.state][change.event]!;
    if (step.pausesIgmp) return this.#changePaused(on, change);
    switch (change.event) {
      case 'igmp-takes':
      case 'owner-takes':
        return this.#takeAtOnce(on, change);
      case 'igmp-releases':
        this.#igmpLeaves(on);
        break;
      case 'owner-releases':
        this.#setOwner(on, undefined);
        this.#close(on, false);
        break;
      case 'handover':
        this.#changeData(on, change);
        this.#startResync(on, change);
        break;
      default:
        return change.event satisfies never;
    }
    this.#announce(on, change);
    return DONE;
  }

  #takeAtOnce(on: Interface, change: Change): MgmStatus {
    if (change.event === 'igmp-takes') {
      on.igmp = change.client;
      this.#controlGroups(on, true);
    } else this.#setOwner(on, change.client);
    // Flows that were silenced because nobody served this interface may be wanted now: their next packet asks again.
    this.#slices.run(this.#askAgain(on));
    this.#adoption.takeUpEntries();
    this.#announce(on, change);
    return DONE;
  }

  *#askAgain(on: Interface): Generator<void, void> {
    for (const entry of this.#core.entries) {
      if (entry.unowned) this.#forwarding.remove(entry);
      // It may be an output that the client names.
      else if (entry.named && entry.named.client === on.owner) void this.#creation.decideAgain(entry, () => false);
      yield;
    }
    yield* this.#alerts.signalSources();
  }

  /** Steps 3 to 9 of section 4.4: disable, acknowledged; the data changes; enable, acknowledged; the answer. */
  #changePaused(on: Interface, change: Change): Answer<MgmStatus> {
    const igmp = on.igmp!;
    this.#resync.cancel(on);
    on.phase = 'T';
    on.paused = true;
    if (change.event === 'owner-releases') on.leaving = change.client;
    change.client.requests++;
    this.#core.ports.membership.pause(on.ifindex);
    this.#core.emit('igmp.disabled', () => ({ interface: on.name, ifindex: on.ifindex }));
    let changed = false;
    const paused = this.#askIgmp(igmp, 'disableIgmp', on, () => {
      if (on.closed) return undefined;
      changed = this.#changeData(on, change);
      return on.igmp?.alive ? this.#askIgmp(on.igmp, 'enableIgmp', on, () => undefined) : undefined;
    });
    if (!isLater(paused)) return this.#endPause(on, change, changed);
    return new Promise((resolve) => {
      void paused.then(() => {
        const result = this.#courier.enter(() => this.#endPause(on, change, changed));
        this.#courier.reply(change.client, () => resolve(result));
      });
    });
  }

  /** A late acknowledgement makes IGMP count as dead (D-CB-1); the change goes on without it. */
  #askIgmp(igmp: Client, what: 'disableIgmp' | 'enableIgmp', on: Interface, next: () => Answer<void>): Answer<void> {
    return this.#courier.ask(
      igmp,
      what,
      ACKNOWLEDGE_LIMIT_MS,
      () => igmp.callbacks[what]?.(on.ifindex),
      (_reply: void | undefined, outcome: Outcome) => {
        if (outcome === 'late') this.#declareDead(igmp, `did not acknowledge ${what} on ${on.name} in time`);
        return next();
      },
    );
  }

  /** D-OWN-9 (a) to (d). No kernel entry is touched. False, and nothing changed: who should own it died meanwhile. */
  #changeData(on: Interface, { event, to, client }: Change): boolean {
    const owner = event === 'owner-takes' ? client : to;
    if (owner && !owner.alive) return false;
    on.markAllStale();
    on.departed = on.owner;
    this.#setOwner(on, owner);
    for (const entry of this.#core.entries) entry.clearOverride(on);
    return true;
  }

  #endPause(on: Interface, change: Change, changed: boolean): MgmStatus {
    change.client.requests--;
    on.leaving = undefined;
    if (on.closed) return cannotComplete('interfaceGone', `${on.name} was removed meanwhile`);
    on.paused = false;
    const refused = (error: KernelError): void => this.#core.kernelRefused(error);
    this.#core.ports.membership.resume(on.ifindex, refused).forEach(refused);
    this.#core.emit('igmp.enabled', () => ({ interface: on.name, ifindex: on.ifindex }));
    if (changed) this.#announce(on, change);
    this.#startResync(on, changed ? change : undefined);
    if (on.owner && !on.owner.alive) void this.release(on.owner, on.ifindex);
    this.#runWaiting(on);
    return changed ? DONE : cannotComplete('noSuchClient', `${(change.to ?? change.client).name} died meanwhile`);
  }

  #startResync(on: Interface, change: Change | undefined): void {
    if (on.state === 'U') return this.#close(on, false);
    const to = change?.to;
    const awaited = [on.igmp, to].filter((one): one is Client => one?.alive === true);
    this.#resync.start(on, awaited);
    if (!to) return;
    const { client } = change;
    this.#courier.notify(client, 'interfaceLost', () =>
      client.callbacks.interfaceLost?.(on.ifindex, `handed over to ${to.name}`),
    );
    this.#courier.notify(to, 'interfaceGranted', () => to.callbacks.interfaceGranted?.(on.ifindex));
  }

  #runWaiting(on: Interface): void {
    if (on.waiting.length === 0) return;
    void this.#courier.perform(() => {
      while (on.phase !== 'T') {
        const next = on.waiting.shift();
        if (!next) return;
        next();
      }
    });
  }

  /** PG -> P, G -> U, also when IGMP died (D-OWN-2). In T the running change closes what nobody is on any more. */
  #igmpLeaves(on: Interface): void {
    const igmp = on.igmp!;
    // Where nobody stays, all goes with the interface.
    if (on.owner || on.phase === 'T') this.#members.dropIgmp(on);
    on.igmp = undefined;
    on.querier = undefined;
    on.resyncing.delete(igmp);
    this.#controlGroups(on, false);
    if (on.phase === 'T') return;
    if (on.state === 'U') return this.#close(on, false);
    if (on.phase === 'R' && on.resyncing.size === 0) this.#resync.finish(on);
  }

  #setOwner(on: Interface, owner: Client | undefined): void {
    on.owner = owner;
    this.#rpf.forget();
    this.tellQuerier(on);
    this.#core.wantPim(
      'owner',
      [...this.#core.interfaces.values()].some((other) => other.owner?.pimUpcalls),
    );
  }

  #controlGroups(on: Interface, wanted: boolean): void {
    if (on.closed) return;
    for (const group of CONTROL_GROUPS) {
      const filter = wanted ? ANY_SOURCE_FILTER : undefined;
      const error = this.#core.ports.membership.set(HOLDER, on.ifindex, group, filter);
      if (error) this.#core.kernelRefused(error);
    }
  }

  /** A vif for an interface that nobody was on (D-LIN-3). */
  #open(ifindex: Ifindex): Interface | MgmStatus {
    const link = this.#core.ports.links.byIndex(ifindex);
    if (!link) return cannotComplete('noSuchInterface', `there is no interface with index ${ifindex}`);
    if (!link.multicast && !link.loopback)
      return cannotComplete(
        'noSuchInterface',
        `${link.name} cannot carry multicast; set it with "ip link set ${link.name} multicast on"`,
      );
    const vif = this.#adoption.claimVif(ifindex) ?? this.#newVif(link);
    if (typeof vif !== 'number') return vif;
    const { thresholdOf, boundaryOf } = this.#core.config;
    const on = new Interface(ifindex, link.name, vif, thresholdOf(link.name), boundaryOf?.(link.name));
    this.#core.interfaces.set(ifindex, on);
    this.#core.byVif[vif] = on;
    return on;
  }

  #newVif({ name, ifindex }: Link): Vif | MgmStatus {
    const { vifs } = this.#core;
    // A number that is not clear of entries yet comes back only when it has to.
    if (vifs.free === 0) this.#slices.finish();
    const vif = vifs.allocate();
    if (vif === undefined) {
      const full = `the kernel has ${vifs.used} vifs and all are in use`;
      return cannotComplete('noVif', `${name} would be the 33rd interface; ${full}`);
    }
    const error = this.#core.ports.mroute.addVif(vif, ifindex);
    if (!error) return vif;
    vifs.giveBack(vif);
    this.#core.kernelRefused(error);
    return cannotComplete(error.code === 'EADDRNOTAVAIL' ? 'noSuchInterface' : 'kernelRefused', error.message);
  }

  /**
   * Nobody is on the interface any more: at once no packet passes it. Then its memberships go, what comes in by it is decided
   * anew or goes, and no entry in the kernel names its vif when the number is given back (D-LIN-13).
   */
  #close(on: Interface, gone: boolean): void {
    this.#resync.cancel(on);
    on.closed = true;
    on.phase = 'steady';
    this.#core.interfaces.delete(on.ifindex);
    this.#rpf.forget();
    if (gone) this.#core.ports.membership.interfaceGone(on.ifindex);
    const error = this.#core.ports.mroute.delVif(on.vif);
    if (error && error.code !== 'EADDRNOTAVAIL') this.#core.kernelRefused(error);
    this.#core.byVif[on.vif] = undefined;
    this.#core.closingVifs |= bitOf(on);
    if (!this.#core.stopped) this.#slices.run(this.#clear(on, gone));
  }

  /** The interface passes nothing any more; here the memberships and entries that name it follow. */
  *#clear(on: Interface, gone: boolean): Generator<void, void> {
    yield* this.#members.dropAll(on);
    for (const entry of this.#core.entries) {
      if (!entry.deleted) this.#leave(on, entry, gone);
      yield;
    }
    yield* this.#adoption.leave(on);
    yield* this.#resync.signalLeftovers(on);
    yield* this.#alerts.signalSources();
    this.#core.closingVifs &= ~bitOf(on);
    this.#core.vifs.giveBack(on.vif);
  }

  #leave(on: Interface, entry: Entry, gone: boolean): void {
    entry.clearOverride(on);
    entry.kept &= ~bitOf(on);
    if (entry.iif !== on) {
      if (!this.#forwarding.update(entry).turned) return;
      this.#lifetimes.restart(entry);
      this.#alerts.signalEntry(entry, undefined, on);
    } else if (gone) this.#forwarding.remove(entry);
    else this.#leaveIif(on, entry);
  }

  /** An entry that came in by an interface nobody is on any more: another look-up, or none at all. */
  #leaveIif(on: Interface, entry: Entry): void {
    void this.#creation.decideAgain(entry, () => false);
    if (entry.iif === on && !entry.deleted) this.#forwarding.remove(entry);
  }

  #announce(on: Interface, { event, client, to }: Change): void {
    const fields = { interface: on.name, ifindex: on.ifindex, client: client.name, state: on.state };
    const log = this.#core.ports.log;
    switch (event) {
      case 'igmp-takes':
      case 'owner-takes':
        this.#core.emit('interface.taken', () => fields);
        return log.info({ ...fields, evt: 'interface.taken' }, `${client.name} takes ${on.name}`);
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
        return event satisfies never;
    }
  }
}
