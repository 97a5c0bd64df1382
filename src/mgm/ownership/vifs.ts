/**
 * Vifs of interfaces that somebody is on (D-LIN-3): opened for the first, closed after the last. Closing is make before break as
 * well: at once no packet passes the interface, then its memberships and entries follow in slices, and the number is given back
 * when no entry in the kernel names it any more (D-LIN-13).
 */
import { ip } from '../../base/ip.js';
import { ANY_SOURCE_FILTER, type Ifindex, type Link, type Vif } from '../../port/kernel.js';
import type { Adoption } from '../entries/adoption.js';
import type { Alerts } from '../clients/alerts.js';
import type { MgmStatus } from '../client.js';
import type { Core } from '../core.js';
import type { Creation } from '../entries/creation.js';
import { bitOf, type Forwarding } from '../entries/forwarding.js';
import { cannotComplete } from '../keys.js';
import type { Lifetimes } from '../entries/lifetimes.js';
import type { Members } from '../clients/members.js';
import type { Rpf } from '../entries/rpf.js';
import type { Slices } from '../slices.js';
import { type Entry, Interface, type OwnershipChange } from '../state.js';

/** What a router must have joined to hear v3 reports and leaves (D-LIN-11). */
const CONTROL_GROUPS = [ip('224.0.0.22'), ip('224.0.0.2')];
const HOLDER = 'igmp-control';

export interface VifParts {
  readonly forwarding: Forwarding;
  readonly members: Members;
  readonly creation: Creation;
  readonly alerts: Alerts;
  readonly lifetimes: Lifetimes;
  readonly rpf: Rpf;
  readonly adoption: Adoption;
  readonly slices: Slices;
}

export class Vifs {
  readonly #core: Core;
  readonly #parts: VifParts;

  constructor(core: Core, parts: VifParts) {
    this.#core = core;
    this.#parts = parts;
  }

  /** A vif for an interface that nobody was on. */
  open(ifindex: Ifindex): Interface | MgmStatus {
    const link = this.#core.ports.links.byIndex(ifindex);
    if (!link) return cannotComplete('noSuchInterface', `there is no interface with index ${ifindex}`);
    if (!link.multicast && !link.loopback)
      return cannotComplete(
        'noSuchInterface',
        `${link.name} cannot carry multicast; set it with "ip link set ${link.name} multicast on"`,
      );
    const vif = this.#parts.adoption.claimVif(ifindex) ?? this.#newVif(link);
    if (typeof vif !== 'number') return vif;
    const { thresholdOf, boundaryOf } = this.#core.config;
    const on = new Interface(ifindex, link.name, vif, thresholdOf(link.name), boundaryOf?.(link.name));
    this.#core.interfaces.set(ifindex, on);
    this.#core.byVif[vif] = on;
    return on;
  }

  /** Nobody is on the interface any more, or the kernel has removed it (`gone`): the vif went silently then (linux.md J4). */
  close(on: Interface, gone: boolean): void {
    const { change } = on;
    on.closed = true;
    on.change = undefined;
    this.#core.interfaces.delete(on.ifindex);
    this.#parts.rpf.forget();
    if (gone) this.#core.ports.membership.interfaceGone(on.ifindex);
    const error = this.#core.ports.mroute.delVif(on.vif);
    if (error && error.code !== 'EADDRNOTAVAIL') this.#core.kernelRefused(error);
    this.#core.byVif[on.vif] = undefined;
    this.#core.closingVifs |= bitOf(on);
    if (!this.#core.stopped) this.#parts.slices.run(this.#clear(on, change, gone));
  }

  controlGroups(on: Interface, wanted: boolean): void {
    if (on.closed) return;
    for (const group of CONTROL_GROUPS) {
      const filter = wanted ? ANY_SOURCE_FILTER : undefined;
      const error = this.#core.ports.membership.set(HOLDER, on.ifindex, group, filter);
      if (error) this.#core.kernelRefused(error);
    }
  }

  #newVif({ name, ifindex }: Link): Vif | MgmStatus {
    const { vifs } = this.#core;
    // A number that is not clear of entries yet comes back only when it has to.
    if (vifs.free === 0) this.#parts.slices.finish();
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

  /** The interface passes nothing any more; here the memberships and entries that name it follow. */
  *#clear(on: Interface, change: OwnershipChange | undefined, gone: boolean): Generator<void, void> {
    yield* this.#parts.members.dropAll(on);
    for (const entry of this.#core.entries) {
      if (!entry.deleted) this.#leave(on, entry, gone);
      yield;
    }
    yield* this.#parts.adoption.leave(on);
    if (change) yield* this.#parts.alerts.signalPutOff(change);
    yield* this.#parts.alerts.signalSources();
    this.#core.closingVifs &= ~bitOf(on);
    this.#core.vifs.giveBack(on.vif);
  }

  #leave(on: Interface, entry: Entry, gone: boolean): void {
    entry.clearOverride(on);
    entry.kept &= ~bitOf(on);
    if (entry.iif !== on) {
      if (!this.#parts.forwarding.update(entry).turned) return;
      this.#parts.lifetimes.restart(entry);
      this.#parts.alerts.signalEntry(entry, undefined, on);
    } else if (gone) this.#parts.forwarding.remove(entry);
    else this.#leaveIif(on, entry);
  }

  /** An entry that came in by an interface nobody is on any more: another look-up, or none at all. */
  #leaveIif(on: Interface, entry: Entry): void {
    void this.#parts.creation.decideAgain(entry, () => false);
    if (entry.iif === on && !entry.deleted) this.#parts.forwarding.remove(entry);
  }
}
