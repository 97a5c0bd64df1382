/**
 * The multicast group manager: every function of its specification, each check in one place, and the wiring of the parts
 * that do the work. Follows manager.md sections 2 (functions) and 8 (Linux); the parts name theirs.
 *
 * ownership/   who is on an interface, and how that changes without a gap
 * clients/     who is registered, who wants what, and who hears of it
 * entries/     the forwarding entries: decided, written, ended, and compared with the kernel's
 */
import type { Answer } from '../base/answer.js';
import { type IpAddress, isAny } from '../base/ip.js';
import type { Events } from '../port/events.js';
import type { DumpedMfc, Ifindex, LinkChange, Upcall } from '../port/kernel.js';
import { Adoption, type Predecessor } from './entries/adoption.js';
import { Alerts } from './clients/alerts.js';
import {
  type EnumerationType,
  type FedRoute,
  FORWARD,
  type Handle,
  JOIN,
  type MaskedKey,
  type MembershipKey,
  type MfePage,
  type MgmClient,
  type MgmStatus,
  type Mfe,
  type MfeStats,
  type ProtocolOnInterface,
  type Registration,
} from './client.js';
import { Core, type ManagerConfig, type ManagerPorts } from './core.js';
import { Courier } from './clients/courier.js';
import { Creation } from './entries/creation.js';
import { EntryBudget } from './entries/entry-budget.js';
import { Enumerations } from './clients/enumeration.js';
import { Forwarding } from './entries/forwarding.js';
import { Handovers } from './ownership/handovers.js';
import { cannotComplete, DONE, flagsProblem, invalid, keyProblem, notFound } from './keys.js';
import { Lifetimes } from './entries/lifetimes.js';
import { Members } from './clients/members.js';
import { MfeReader } from './entries/mfe-reader.js';
import { Reconciler } from './entries/reconciler.js';
import { OwnershipRunner } from './ownership/ownership-runner.js';
import { Registry } from './clients/registry.js';
import { Rib } from './entries/rib.js';
import { Rpf } from './entries/rpf.js';
import { Slices } from './slices.js';
import type { HandoverView, ManagerSnapshot } from './snapshot.js';
import { type Client, type Entry, type Interface } from './state.js';
import { TableWatch } from './entries/table-watch.js';
import { UpcallQueue } from './entries/upcall-queue.js';
import { Views } from './views.js';
import { Vifs } from './ownership/vifs.js';
import { WrongInputs } from './entries/wrong-inputs.js';

export type ManagerOptions = ManagerPorts & { readonly config: ManagerConfig };

/** A membership call: who speaks, about which interface. */
interface Speech {
  readonly handle: Handle;
  readonly ifindex: Ifindex;
  readonly flags: number;
  readonly deleting: boolean;
}

export class Manager implements MgmClient {
  readonly #core: Core;
  readonly #courier: Courier;
  readonly #registry: Registry;
  readonly #rpf: Rpf;
  readonly #rib: Rib;
  readonly #forwarding: Forwarding;
  readonly #lifetimes: Lifetimes;
  readonly #budget: EntryBudget;
  readonly #alerts: Alerts;
  readonly #members: Members;
  readonly #creation: Creation;
  readonly #upcalls: UpcallQueue;
  readonly #wrongInputs: WrongInputs;
  readonly #adoption: Adoption;
  readonly #ownership: OwnershipRunner;
  readonly #handovers: Handovers;
  readonly #enumerations: Enumerations;
  readonly #reader: MfeReader;
  readonly #reconciler: Reconciler;
  readonly #watch: TableWatch;
  readonly #slices: Slices;
  readonly #views: Views;
  #unwatchLinks: (() => void) | undefined;

  constructor(options: ManagerOptions) {
    const core = new Core(options, options.config);
    const courier = new Courier(core);
    const isServed = (ifindex: Ifindex): boolean => core.interfaces.get(ifindex)?.decider !== undefined;
    const rpf = new Rpf(options.routes, options.links, options.config.rpfRoutes, isServed);
    const forwarding = new Forwarding(core);
    const lifetimes: Lifetimes = new Lifetimes(core, {
      refresh: (entry) => void courier.enter(() => this.#creation.decideAgain(entry, () => true)),
      remove: (entry) => courier.enter(() => this.#expire(entry)),
    });
    const alerts = new Alerts(core, courier, rpf, (entry, timeoutSec) => lifetimes.restart(entry, timeoutSec));
    const slices = new Slices(core, courier);
    const parts = { courier, rpf, forwarding, alerts, lifetimes, slices };
    const members = new Members(core, { ...parts, admit: (entry, on) => this.#creation.admit(entry, on) });
    const budget = new EntryBudget(core, (entry) => courier.enter(() => this.#expire(entry)));
    const creation = new Creation(core, { ...parts, budget });
    this.#core = core;
    this.#courier = courier;
    this.#rpf = rpf;
    this.#rib = new Rib(core, { ...parts, creation });
    this.#forwarding = forwarding;
    this.#lifetimes = lifetimes;
    this.#slices = slices;
    this.#budget = budget;
    this.#alerts = alerts;
    this.#members = members;
    this.#creation = creation;
    this.#upcalls = new UpcallQueue(core, courier, (upcall) => this.#serve(upcall));
    this.#wrongInputs = new WrongInputs(core, { courier, rpf, creation });
    this.#registry = new Registry(core);
    this.#adoption = new Adoption(core, { courier, creation, lifetimes, rpf, slices });
    const adoption = this.#adoption;
    const vifs = new Vifs(core, { ...parts, members, creation, adoption });
    this.#ownership = new OwnershipRunner(core, { ...parts, members, creation, adoption, vifs }, (client, reason) =>
      this.#declareDead(client, reason),
    );
    this.#handovers = new Handovers(core, courier, this.#registry, this.#ownership);
    this.#enumerations = new Enumerations(core.memberships);
    this.#reader = new MfeReader(core, forwarding);
    this.#watch = new TableWatch(core, forwarding, slices);
    this.#reconciler = new Reconciler(core, forwarding, {
      watch: this.#watch,
      reportFlow: (seen) => this.#answerFromDump(seen),
      slices,
      isExpected: (seen) => adoption.awaits(seen),
      reservedVif: (ifindex) => adoption.reservedVif(ifindex),
    });
    this.#views = new Views(core, forwarding, this.#reconciler, this.#rib);
  }

  /** Begins to listen to the kernel. */
  start(): void {
    const { mroute, links, routes } = this.#core.ports;
    mroute.onUpcalls((upcalls) => this.#courier.enter(() => this.#upcalls.take(upcalls)));
    mroute.onChange((change) => this.#reconciler.noticed(change));
    routes.onChange((changed) => this.#courier.enter(() => this.#rib.routesChanged(changed)));
    this.#unwatchLinks = links.onChange((change) => this.#courier.enter(() => this.#linkChanged(change)));
    this.#reconciler.start();
    this.#watch.start();
  }

  /** Ends every timer and takes every entry and vif out of the kernel. Protocols should have been stopped before. */
  stop(): Answer<MgmStatus> {
    return this.#courier.perform(() => {
      const clients = [...this.#core.clients.values()];
      for (const client of clients) this.#registry.remove(client);
      this.#core.stopped = true;
      this.#unwatchLinks?.();
      this.#reconciler.stop();
      this.#watch.stop();
      this.#adoption.stop();
      this.#wrongInputs.stop();
      this.#lifetimes.stop();
      this.#budget.stop();
      this.#upcalls.stop();
      for (const on of [...this.#core.interfaces.values()]) this.#ownership.interfaceGone(on);
      this.#rib.stop();
      this.#slices.stop();
      this.#forwarding.removeAll();
      for (const client of clients) this.#courier.forget(client);
      this.#core.stop();
      return DONE;
    });
  }

  /** Begins with a predecessor's table (D-RST-1). The answer comes when the first interface may be taken. */
  adopt(predecessor: Predecessor): Answer<void> {
    return this.#courier.enter(() => this.#adoption.begin(predecessor));
  }

  /** The configured protocols are on their interfaces: the predecessor's entries become ours. */
  takeUp(): Answer<void> {
    return this.#courier.enter(() => this.#adoption.takeUp());
  }

  /** How much of the restart window is left, in milliseconds; 0: it is over, or there was none. */
  get windowLeftMs(): number {
    return this.#adoption.leftMs;
  }

  /** The restart window ends after so many milliseconds at the latest. */
  endWindowWithin(ms: number): void {
    this.#adoption.endWithin(ms);
  }

  /** Where protocols put what `monitor` shows of them. */
  get events(): Events {
    return this.#core;
  }

  snapshot(): ManagerSnapshot {
    return this.#views;
  }

  /** Resolves when clients have heard all that was decided before, such as that an interface is gone. */
  told(): Promise<void> {
    return this.#courier.delivered();
  }

  /** Compares with the kernel now; resolves when repairs are made. */
  reconcile(): Promise<void> {
    return this.#reconciler.run();
  }

  /** A client's connection is gone: release of each of its interfaces, then deregistration (D-OWN-6, D-OWN-7). */
  disconnect(handle: Handle, reason: string): void {
    const client = this.#registry.find(handle);
    if (client) void this.#courier.perform(() => this.#bury(client, reason));
  }

  /** Moves an interface from one protocol to another without an outage (D-OWN-13); names as registered. */
  handover(ifindex: Ifindex, from: string, to: string, dryRun: boolean): Answer<HandoverView> {
    return this.#courier.perform(() => this.#handovers.run({ ifindex, from, to, dryRun }));
  }

  register(registration: Registration): MgmStatus & { readonly handle?: Handle } {
    return this.#registry.register(registration);
  }

  deregister(handle: Handle): MgmStatus {
    const client = this.#caller(handle);
    if (!client) return invalid('badHandle');
    const result = this.#registry.deregister(client);
    if (result.code !== 'NO_ERROR') return result;
    this.#enumerations.endAllOf(client);
    this.#courier.enter(() => this.#rib.drop(client));
    this.#courier.forget(client);
    return result;
  }

  takeInterface(handle: Handle, ifindex: Ifindex, nextHop?: IpAddress): Answer<MgmStatus> {
    const client = this.#caller(handle);
    if (!client) return invalid('badHandle');
    if (nextHop !== undefined && !isAny(nextHop)) return invalid('nextHopUnsupported');
    return this.#courier.perform(() => this.#ownership.take(client, ifindex));
  }

  releaseInterface(handle: Handle, ifindex: Ifindex, nextHop?: IpAddress): Answer<MgmStatus> {
    const client = this.#caller(handle);
    if (!client) return invalid('badHandle');
    if (nextHop !== undefined && !isAny(nextHop)) return invalid('nextHopUnsupported');
    return this.#courier.perform(() => this.#ownership.release(client, ifindex));
  }

  getProtocolOnInterface(ifindex: Ifindex, nextHop?: IpAddress): ProtocolOnInterface {
    if (nextHop !== undefined && !isAny(nextHop)) return notFound('nextHopUnsupported');
    const on = this.#core.interfaces.get(ifindex);
    const shown = on?.owner ?? on?.igmp;
    if (!on || !shown) return notFound('noSuchInterface');
    const { protocolId, componentId, name } = shown;
    return { ...DONE, protocolId, componentId, name, igmp: on.igmp !== undefined };
  }

  addMembership(
    handle: Handle,
    key: MaskedKey,
    ifindex: Ifindex,
    flags: number,
    nextHop?: IpAddress,
  ): Answer<MgmStatus> {
    const refused = this.#membershipRefusal(handle, key, flags, nextHop);
    return (
      refused ??
      this.#speakFor({ handle, ifindex, flags, deleting: false }, (client, on) =>
        this.#members.add(client, on, key, flags),
      )
    );
  }

  deleteMembership(
    handle: Handle,
    key: MaskedKey,
    ifindex: Ifindex,
    flags: number,
    nextHop?: IpAddress,
  ): Answer<MgmStatus> {
    const refused = this.#membershipRefusal(handle, key, flags, nextHop);
    return (
      refused ??
      this.#speakFor({ handle, ifindex, flags, deleting: true }, (client, on) =>
        this.#members.delete(client, on, key, flags),
      )
    );
  }

  feedRoutes(handle: Handle, changes: readonly FedRoute[]): Answer<MgmStatus> {
    const client = this.#caller(handle);
    return client ? this.#courier.perform(() => this.#rib.feed(client, changes)) : invalid('badHandle');
  }

  /** Only the client that decides for the entry's iif; a new iif must be one it decides for as well (D-SET-1). */
  setMfe(handle: Handle, key: MembershipKey, change: { upstreamNeighbor?: IpAddress; iif?: Ifindex }): MgmStatus {
    const client = this.#caller(handle);
    if (!client) return invalid('badHandle');
    const entry = this.#core.entries.get(key.source, key.group);
    if (!entry) return notFound('noSuchMfe');
    if (entry.iif.decider !== client) return invalid('notIifOwner');
    const iif = change.iif === undefined ? entry.iif : this.#core.interfaces.get(change.iif);
    if (iif?.decider !== client) return invalid('notIifOwner');
    if (change.upstreamNeighbor !== undefined) entry.upstreamNeighbor = change.upstreamNeighbor;
    if (iif === entry.iif) return DONE;
    entry.iif = iif;
    const { turned, error } = this.#forwarding.update(entry);
    if (turned) this.#lifetimes.restart(entry);
    this.#alerts.signalEntry(entry, client);
    return error ? cannotComplete('kernelRefused', error.message) : DONE;
  }

  getMfe(key: MembershipKey): MgmStatus & { readonly mfe?: Mfe } {
    return this.#reader.mfe(key);
  }

  getFirstMfe(limit: number): MfePage<Mfe> {
    return this.#reader.mfes(undefined, limit);
  }

  getNextMfe(after: MembershipKey, limit: number): MfePage<Mfe> {
    return this.#reader.mfes(after, limit);
  }

  getMfeStats(key: MembershipKey, flag: number): MgmStatus & { readonly stats?: MfeStats } {
    return this.#reader.stats(key, flag);
  }

  getFirstMfeStats(limit: number, flag: number): MfePage<MfeStats> {
    return this.#reader.statsPage(undefined, limit, flag);
  }

  getNextMfeStats(after: MembershipKey, limit: number, flag: number): MfePage<MfeStats> {
    return this.#reader.statsPage(after, limit, flag);
  }

  groupEnumerationStart(handle: Handle, type: EnumerationType): MgmStatus & { readonly enumeration?: number } {
    const client = this.#caller(handle);
    return client ? this.#enumerations.start(client, type) : invalid('badHandle');
  }

  groupEnumerationGetNext(enumeration: number, limit: number): MfePage<Required<MaskedKey>> {
    return this.#enumerations.next(enumeration, limit);
  }

  groupEnumerationEnd(enumeration: number): MgmStatus {
    return this.#enumerations.end(enumeration);
  }

  adviseSource(handle: Handle, key: MembershipKey, ifindex: Ifindex, refused: boolean): Answer<MgmStatus> {
    const problem = this.#membershipRefusal(handle, key, FORWARD, undefined);
    return (
      problem ??
      this.#speakFor({ handle, ifindex, flags: JOIN, deleting: false }, (client, on) =>
        client === on.igmp ? this.#members.adviseSource(client, on, key, refused) : invalid('notOwner'),
      )
    );
  }

  adviseQuerier(handle: Handle, ifindex: Ifindex, querier: boolean): MgmStatus {
    const client = this.#caller(handle);
    if (!client) return invalid('badHandle');
    const on = this.#core.interfaces.get(ifindex);
    if (!on || on.igmp !== client) return invalid('notOwner');
    on.querier = querier;
    this.#courier.enter(() => this.#ownership.tellQuerier(on));
    return DONE;
  }

  resyncDone(handle: Handle, ifindex: Ifindex): MgmStatus {
    const client = this.#caller(handle);
    if (!client) return invalid('badHandle');
    const on = this.#core.interfaces.get(ifindex);
    if (!on || (on.owner !== client && on.igmp !== client)) return invalid('notOwner');
    this.#courier.enter(() => this.#ownership.resyncDone(client, on));
    return DONE;
  }

  #caller(handle: Handle): Client | undefined {
    const client = this.#registry.find(handle);
    if (client) client.calls++;
    return client;
  }

  /** What is wrong with a membership call whatever the state of the interface. */
  #membershipRefusal(
    handle: Handle,
    key: MaskedKey,
    flags: number,
    nextHop: IpAddress | undefined,
  ): MgmStatus | undefined {
    if (!this.#caller(handle)) return invalid('badHandle');
    if (nextHop !== undefined && !isAny(nextHop)) return invalid('nextHopUnsupported');
    const problem = keyProblem(key) ?? flagsProblem(key, flags);
    return problem && invalid(problem);
  }

  /** Refuses at once what may not be said now, and looks again when the call had to wait. */
  #speakFor(about: Speech, say: (client: Client, on: Interface) => Answer<MgmStatus>): Answer<MgmStatus> {
    const refused = this.#placeRefusal(about);
    if (refused) return refused;
    return this.#courier.perform(
      () =>
        this.#placeRefusal(about) ?? say(this.#registry.find(about.handle)!, this.#core.interfaces.get(about.ifindex)!),
    );
  }

  /** Whether this client may speak about this interface now (D-MEM-2, D-CB-3). */
  #placeRefusal({ handle, ifindex, flags, deleting }: Speech): MgmStatus | undefined {
    const client = this.#registry.find(handle);
    if (!client) return invalid('badHandle');
    const on = this.#core.interfaces.get(ifindex);
    if (!on) return deleting ? notFound('noSuchInterface') : invalid('notOwner');
    if (on.igmp === client && on.phase === 'T')
      return cannotComplete(
        'igmpDisabled',
        `${on.name} is changing its owner; IGMP adds its memberships again after enable`,
      );
    if (on.owner !== client && on.igmp !== client)
      return invalid(
        'notOwner',
        on.owner ? `${on.owner.name} owns ${on.name}` : `${client.name} has not taken ${on.name}`,
      );
    // Only the owner changes what the cache says about an owned interface (RFC 2715 section 1).
    if (flags === FORWARD && on.owner && on.owner !== client)
      return invalid('notOwner', `${on.owner.name} owns ${on.name}`);
    return undefined;
  }

  #serve(upcall: Upcall): void {
    this.#core.count(`upcall.${upcall.kind}`);
    switch (upcall.kind) {
      case 'nocache':
        return this.#creation.packetWithoutEntry(upcall);
      case 'wrongvif':
        return this.#wrongInputs.packet(upcall);
      case 'wholepkt':
      case 'wrvifwhole':
        // For PIM's register and assert; no client of today asks for them.
        return;
      default:
        upcall.kind satisfies never;
    }
  }

  /** A flow whose upcall was lost or read by a predecessor: its packets wait in the kernel (linux.md A6). */
  #answerFromDump(seen: DumpedMfc): void {
    const found = this.#rpf.towards(seen.source);
    const arrival = found && found !== 'local' ? this.#core.interfaces.get(found.ifindex) : undefined;
    if (!arrival || this.#core.entries.get(seen.source, seen.group)) return;
    const { source, group } = seen;
    const packet = new Uint8Array(0);
    this.#courier.enter(() =>
      this.#creation.packetWithoutEntry({ kind: 'nocache', vif: arrival.vif, source, group, packet }),
    );
  }

  #expire(entry: Entry): void {
    const owner = entry.iif.decider;
    this.#forwarding.remove(entry);
    if (!owner?.callbacks.mfeDeleted) return;
    const key = { source: entry.source, group: entry.group };
    this.#courier.notify(owner, 'mfeDeleted', () => owner.callbacks.mfeDeleted?.(key));
  }

  #linkChanged({ kind, link }: LinkChange): void {
    this.#rpf.forget();
    const on = this.#core.interfaces.get(link.ifindex);
    if (on && kind === 'removed') this.#ownership.interfaceGone(on);
  }

  #declareDead(client: Client, reason: string): void {
    if (!client.alive) return;
    this.#core.ports.log.error(
      { evt: 'client.died', client: client.name, reason },
      `${client.name} ${reason}; it counts as dead and its interfaces are released`,
    );
    this.#bury(client, reason);
  }

  #bury(client: Client, reason: string): void {
    if (!client.alive) return;
    this.#registry.remove(client);
    this.#enumerations.endAllOf(client);
    this.#core.emit('client.died', () => ({ client: client.name, reason }));
    this.#ownership.releaseAllOf(client);
    this.#rib.drop(client);
    this.#courier.forget(client);
  }
}
