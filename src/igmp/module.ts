/**
 * IGMP as a client of the manager: hears hosts on the interfaces it was given, is their querier, and tells the manager what
 * they want. One clock timer per interface serves all its groups. Of this folder only this file, and what it alone uses
 * (parts.ts, served-interface.ts, kernel-joins.ts, duplicates.ts), touches ports.
 *
 * Follows igmp.md sections 1-4 (messages, reception), 5 and 6 (variables, state), 7 (state tables), 8 (queries), 10
 * (election), 11 (versions), 12 (leaving quickly), 13 (ranges), 16 (as a client), 17 (robustness) and 18 (configuration),
 * coexistence.md section 5 (the IGMP-only link), and of the manager's specification D-CB-3, D-EN-1, D-EN-2 (pause and resync) and
 * D-OWN-8 (interface gone). Not here: 14 (host side: the kernel's) and 15 (proxy: its own protocol).
 */
import { type Answer, whenAnswered } from '../base/answer.js';
import { linkName } from '../base/link-name.js';
import type { IgmpInterfaceConfig } from '../config/types.js';
import {
  type ClientCallbacks,
  type CreationReply,
  type CreationRequest,
  type Handle,
  type MgmStatus,
  PROTOCOL,
  type Protocol,
} from '../mgm/client.js';
import type { Ifindex, IgmpPacket, Link, LinkChange } from '../port/kernel.js';
import type { Log } from '../port/log.js';
import { Duplicates } from './duplicates.js';
import { Pull } from './host-side.js';
import { KernelJoins } from './kernel-joins.js';
import { Budget, type SharedBudgets } from './groups/limits.js';
import { TYPE } from './wire/packet.js';
import type { IgmpModuleParts } from './parts.js';
import type { OtherQuerier } from './queries/querier.js';
import { type LeftInterface, packState, readInterfaces, readQueriers, type SavedInterface } from './saved-state.js';
import { ServedInterface } from './served-interface.js';
import {
  countersRow,
  groupRows,
  hostRows,
  type IgmpCountersRow,
  type IgmpGroupRow,
  type IgmpHostRow,
  type IgmpInterfaceRow,
  type IgmpQuerierRow,
  type IgmpSourceTableRow,
  interfaceRow,
  querierRow,
  sourceRows,
} from './view.js';

export type { IgmpModuleParts } from './parts.js';

/** On all interfaces together, where hosts are tracked: (group, host) pairs, and sources of these. */
const MAX_TRACKED_HOSTS = 65_536;
const MAX_TRACKED_SOURCES = 131_072;

const DONE: MgmStatus = { code: 'NO_ERROR' };
const NOT_STARTED: MgmStatus = { code: 'ERROR_INVALID_PARAMETER', detail: 'badHandle' };

export class IgmpModule implements Protocol {
  readonly name = 'igmp';
  readonly #parts: IgmpModuleParts;
  readonly #log: Log;
  readonly #served = new Map<Ifindex, ServedInterface>();
  readonly #budgets: SharedBudgets;
  /** Queriers that the process before knew, until their interfaces are taken. */
  readonly #recalled: Map<string, readonly OtherQuerier[]>;
  /** State of the interfaces as the process before left them, when it ended a moment ago. */
  readonly #resumed: Map<string, SavedInterface>;
  readonly #joins: KernelJoins;
  readonly #duplicates: Duplicates;
  readonly #pull: Pull | undefined;
  #handle: Handle | undefined;
  #subscribed = false;
  #unsubscribe: () => void = () => undefined;

  constructor(parts: IgmpModuleParts) {
    this.#parts = parts;
    this.#log = parts.log.child({ mod: 'igmp' });
    this.#budgets = {
      groups: new Budget(parts.maxGroups),
      sources: new Budget(parts.maxSources),
      hosts: new Budget(MAX_TRACKED_HOSTS),
      hostSources: new Budget(MAX_TRACKED_SOURCES),
    };
    this.#recalled = readQueriers(parts.savedState);
    this.#resumed = readInterfaces(parts.savedState);
    this.#joins = new KernelJoins({ membership: parts.membership, clock: parts.clock, log: this.#log });
    this.#duplicates = new Duplicates(parts.addressWatch, parts.clock, this.#log);
    if ([...parts.interfaces.values()].some(({ pull }) => pull)) this.#pull = this.#makePull();
  }

  start(): MgmStatus {
    const { mgm, links, igmp } = this.#parts;
    const { handle, ...status } = mgm.register({
      protocolId: PROTOCOL.igmp,
      componentId: 0,
      name: this.name,
      callbacks: this.#callbacks(),
    });
    if (handle === undefined) return status;
    this.#handle = handle;
    this.#unsubscribe = links.onChange((change) => this.#linkChanged(change));
    if (!this.#subscribed) igmp.subscribe(Object.values(TYPE), (packet) => this.#received(packet));
    this.#subscribed = true;
    return status;
  }

  /** Releases in the order of taking, then deregisters. Harmless when not started. */
  stop(): Answer<MgmStatus> {
    this.#unsubscribe();
    if (this.#handle === undefined) return DONE;
    const held = [...this.#served.keys()];
    for (const served of this.#served.values()) served.close();
    this.#served.clear();
    this.#duplicates.stop();
    this.#pull?.stop();
    this.#joins.stop();
    return this.#releaseNext(this.#handle, held);
  }

  take(ifindex: Ifindex): Answer<MgmStatus> {
    if (this.#handle === undefined) return NOT_STARTED;
    const link = this.#parts.links.byIndex(ifindex);
    const config = link && this.#parts.interfaces.get(link.name);
    if (link === undefined || config === undefined) return notConfigured(ifindex, link);
    const had = this.#served.has(ifindex);
    // Made before the answer, so that a disable that overtakes a late answer is not missed.
    if (!had) this.#served.set(ifindex, this.#serve(this.#handle, link, config));
    return whenAnswered(this.#parts.mgm.takeInterface(this.#handle, ifindex), (status) => {
      if (status.code === 'NO_ERROR') return whenAnswered(this.#open(ifindex, link), () => status);
      if (!had) this.#forget(ifindex);
      return status;
    });
  }

  /** What the next process gets (saved-state.ts). */
  saveState(leaving: boolean): unknown {
    const nowMs = this.#parts.clock.nowMs();
    const queriers = new Map<string, readonly OtherQuerier[]>();
    const left = new Map<string, LeftInterface>();
    for (const served of this.#served.values()) {
      const { named, igmp } = served;
      queriers.set(named.name, igmp.querier.others(nowMs));
      if (leaving) left.set(named.name, served.left());
    }
    return packState(queriers, left);
  }

  /** On every interface. */
  hasSaidAll(): boolean {
    return [...this.#served.values()].every((served) => served.hasHeardAll());
  }

  #open(ifindex: Ifindex, { name }: Link): Answer<void> {
    const served = this.#served.get(ifindex);
    const link = this.#parts.links.byIndex(ifindex);
    if (served && link) this.#duplicates.begin(link, served);
    const saved = this.#resumed.get(name);
    const opened = served?.open(saved?.version === served.config.version ? saved : undefined);
    this.#resumed.delete(name);
    const others = this.#recalled.get(name);
    this.#recalled.delete(name);
    if (others) served?.recallQueriers(others);
    return opened;
  }

  /** The manager deletes the memberships itself (D-OWN-2). */
  release(ifindex: Ifindex): Answer<MgmStatus> {
    if (this.#handle === undefined) return NOT_STARTED;
    return whenAnswered(this.#parts.mgm.releaseInterface(this.#handle, ifindex), (status) => {
      if (status.code === 'NO_ERROR') this.#forget(ifindex);
      return status;
    });
  }

  interfaces(): readonly IgmpInterfaceRow[] {
    return this.#rows((s, nowMs) => [interfaceRow(s, nowMs, this.#duplicates.problem(s.ifindex))]);
  }

  groups(): readonly IgmpGroupRow[] {
    return [...this.eachGroup()];
  }

  /** As `groups`, row by row: reading may stop and go on later. */
  eachGroup(): Iterable<IgmpGroupRow> {
    return this.#each(groupRows);
  }

  /** One row per source of a group. */
  sources(): readonly IgmpSourceTableRow[] {
    return [...this.eachSource()].filter((row) => row !== undefined);
  }

  eachSource(): Iterable<IgmpSourceTableRow | undefined> {
    return this.#each(sourceRows);
  }

  /** One row per host and group where hosts are tracked. */
  hosts(): readonly IgmpHostRow[] {
    return [...this.eachHost()].filter((row) => row !== undefined);
  }

  eachHost(): Iterable<IgmpHostRow | undefined> {
    return this.#each(hostRows);
  }

  queriers(): readonly IgmpQuerierRow[] {
    return this.#rows((s, nowMs) => [querierRow(s, nowMs)]);
  }

  counters(): readonly IgmpCountersRow[] {
    return this.#rows((s) => [countersRow(s)]);
  }

  *#each<T>(rowsOf: (served: ServedInterface, nowMs: () => number) => Iterable<T>): Generator<T, void> {
    for (const served of this.#served.values()) yield* rowsOf(served, () => this.#parts.clock.nowMs());
  }

  #rows<T>(rowsOf: (served: ServedInterface, nowMs: number) => readonly T[]): readonly T[] {
    const nowMs = this.#parts.clock.nowMs();
    return [...this.#served.values()].flatMap((served) => rowsOf(served, nowMs));
  }

  #serve(handle: Handle, link: Link, config: IgmpInterfaceConfig): ServedInterface {
    const shared = { ...this.#parts, handle, budgets: this.#budgets, joins: this.#joins, pull: this.#pull };
    return new ServedInterface(shared, this.#log, link, config);
  }

  #makePull(): Pull {
    return new Pull({
      interfaces: () => this.#served.values(),
      later: (run) => this.#parts.clock.after(0, run),
      join: (ifindex, group, filter) => {
        const ifname = linkName(this.#parts.links, ifindex);
        this.#joins.set({ holder: 'igmp-pull', ifindex, ifname, group, filter });
      },
    });
  }

  #callbacks(): ClientCallbacks {
    return {
      disableIgmp: (ifindex) => this.#served.get(ifindex)?.disable(),
      enableIgmp: (ifindex) => this.#served.get(ifindex)?.enable(),
      creationAlert: (request) => this.#creationAlert(request),
      refusesSource: ({ source, group }, ifindex) => this.#served.get(ifindex)?.refuses(source, group) === true,
      interfaceGone: (ifindex) => this.#forget(ifindex),
      mayStillWant: ({ source, group }, ifindex) => this.#served.get(ifindex)?.mayStillWant(source, group) === true,
      ...(this.#pull && pullCallbacks(this.#pull)),
    };
  }

  /** Sources that every EXCLUDE member refuses do not leave by interfaces where IGMP is alone (igmp.md section 16). */
  #creationAlert({ source, group, oifs }: CreationRequest): CreationReply | undefined {
    const disabled = oifs
      .map((oif) => oif.ifindex)
      .filter((ifindex) => this.#served.get(ifindex)?.refuses(source, group));
    return disabled.length > 0 ? { disabled } : undefined;
  }

  #received(packet: IgmpPacket): void {
    this.#served.get(packet.ifindex)?.receive(packet);
  }

  #linkChanged({ kind, link }: LinkChange): void {
    const served = this.#served.get(link.ifindex);
    if (kind === 'removed') {
      served?.close();
      this.#duplicates.end(link.ifindex);
    } else {
      served?.linkChanged(link);
      this.#duplicates.linkChanged(link);
    }
  }

  #forget(ifindex: Ifindex): void {
    const served = this.#served.get(ifindex);
    this.#served.delete(ifindex);
    this.#duplicates.end(ifindex);
    served?.close();
  }

  #releaseNext(handle: Handle, held: readonly Ifindex[]): Answer<MgmStatus> {
    const [first, ...rest] = held;
    if (first !== undefined)
      return whenAnswered(this.#parts.mgm.releaseInterface(handle, first), () => this.#releaseNext(handle, rest));
    this.#handle = undefined;
    return this.#parts.mgm.deregister(handle);
  }
}

/** Offered only where somebody pulls: each is a call for every group that others want. */
function pullCallbacks(pull: Pull): ClientCallbacks {
  return {
    joinAlert: ({ source, group, memberUpdate }) => {
      if (memberUpdate) pull.alerted(source, group, true);
    },
    pruneAlert: ({ source, group, memberDelete }) => {
      if (memberDelete) pull.alerted(source, group, false);
    },
  };
}

function notConfigured(ifindex: Ifindex, link: Link | undefined): MgmStatus {
  const message =
    link === undefined
      ? `there is no interface with index ${ifindex}`
      : `igmp is not configured on ${link.name}; add it to the interface's section of the configuration`;
  return { code: 'ERROR_CAN_NOT_COMPLETE', detail: 'noSuchInterface', message };
}
