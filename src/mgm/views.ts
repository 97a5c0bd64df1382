/** The read-only views of `snapshot.ts`, made from the manager's records when somebody looks. */
import { KernelError } from '../base/errors.js';
import { formatIp } from '../base/ip.js';
import type { DumpedMfc } from '../port/kernel.js';
import { type Core, keyFields } from './core.js';
import type { Forwarding } from './entries/forwarding.js';
import type { Reconciler } from './entries/reconciler.js';
import type { Rib } from './entries/rib.js';
import type {
  ClientView,
  CountersView,
  InterfaceView,
  ManagerEvent,
  ManagerSnapshot,
  MembershipView,
  MfcView,
  RibView,
} from './snapshot.js';
import { type Client, type Entry, type Interface, isIgmp, isStale } from './state.js';

export class Views implements ManagerSnapshot {
  readonly #core: Core;
  readonly #forwarding: Forwarding;
  readonly #reconciler: Reconciler;
  readonly #rib: Rib;

  constructor(core: Core, forwarding: Forwarding, reconciler: Reconciler, rib: Rib) {
    this.#core = core;
    this.#forwarding = forwarding;
    this.#reconciler = reconciler;
    this.#rib = rib;
  }

  interfaces(): readonly InterfaceView[] {
    return [...this.#core.interfaces.values()].map((on) => this.#interface(on));
  }

  clients(): readonly ClientView[] {
    return [...this.#core.clients.values()].map((client) => this.#client(client));
  }

  memberships(): readonly MembershipView[] {
    return [...this.eachMembership()];
  }

  *eachMembership(): Generator<MembershipView, void> {
    for (const record of this.#core.memberships.ordered())
      for (const member of record.members.slice())
        yield {
          ...keyFields(record),
          interface: member.on.name,
          client: member.client.name,
          stale: isStale(member),
        };
  }

  mfc(): readonly MfcView[] {
    return [...this.eachMfc()];
  }

  *eachMfc(): Generator<MfcView, void> {
    const { foreign, unresolved } = this.#reconciler; // as the last comparison left them
    for (const entry of this.#core.entries.ordered()) yield this.#entry(entry);
    for (const seen of foreign.values()) yield this.#dumped(seen, 'foreign');
    for (const seen of unresolved) yield this.#dumped(seen, 'unresolved');
  }

  rib(): readonly RibView[] {
    return [...this.eachRoute()];
  }

  eachRoute(): Iterable<RibView> {
    return this.#rib.rows();
  }

  counters(): CountersView {
    const { joins, leaves, filters } = this.#core.ports.membership.counters();
    const calls = { 'membership.joins': joins, 'membership.leaves': leaves, 'membership.filters': filters };
    return { ...calls, ...Object.fromEntries([...this.#core.counters].sort(([a], [b]) => (a < b ? -1 : 1))) };
  }

  totals(): { readonly groups: number; readonly flows: number } {
    return { groups: this.#core.memberships.groups, flows: this.#core.entries.size };
  }

  onEvent(handler: (event: ManagerEvent) => void): () => void {
    return this.#core.onEvent(handler);
  }

  #interface(on: Interface): InterfaceView {
    const memberships = on.ownerHolds + on.igmpHolds;
    const counters = this.#core.ports.mroute.vifCounters(on.vif);
    return {
      ifindex: on.ifindex,
      name: on.name,
      vif: on.vif,
      state: on.state,
      phase: on.phase,
      owner: on.owner?.name ?? null,
      igmp: on.igmp !== undefined,
      paused: on.phase === 'T',
      memberships,
      stale: on.held - memberships,
      counters: counters instanceof KernelError ? null : counters,
    };
  }

  #client(client: Client): ClientView {
    const held = [...this.#core.interfaces.values()].filter((on) => on.owner === client || on.igmp === client);
    let memberships = 0;
    for (const on of held) memberships += isIgmp(client) ? on.igmpHolds : on.ownerHolds;
    return {
      name: client.name,
      protocolId: client.protocolId,
      componentId: client.componentId,
      interfaces: held.map((on) => on.name),
      memberships,
      calls: client.calls,
      callbacks: client.delivered,
      failures: client.failures,
    };
  }

  #entry(entry: Entry): MfcView {
    const counters = this.#core.ports.mroute.mfcCounters(entry.source, entry.group);
    const read = counters instanceof KernelError ? undefined : counters;
    const upTime = (this.#core.nowMs - entry.createdAtMs) / 1000;
    return {
      ...keyFields(entry),
      iif: entry.iif.name,
      iifOwner: entry.iif.decider?.name ?? null,
      oifs: this.#forwarding.outputInterfaces(entry).map((on) => on.name),
      upstreamNeighbor: entry.upstreamNeighbor === undefined ? null : formatIp(entry.upstreamNeighbor),
      upTime,
      expiresIn: Math.max(0, (entry.deadlineMs - this.#core.nowMs) / 1000),
      packets: read?.packets ?? null,
      bytes: read?.bytes ?? null,
      wrongIf: read?.wrongIf ?? null,
      state: entry.outputs === 0 ? 'negative' : 'forwarding',
    };
  }

  #dumped(seen: DumpedMfc, state: 'foreign' | 'unresolved'): MfcView {
    const nameOf = (ifindex: number): string =>
      this.#core.ports.links.byIndex(ifindex as Interface['ifindex'])?.name ?? `#${ifindex}`;
    return {
      ...keyFields(seen),
      iif: seen.iif === undefined ? '?' : nameOf(seen.iif),
      iifOwner: null,
      oifs: seen.oifs.map(({ ifindex }) => nameOf(ifindex)),
      upstreamNeighbor: null,
      upTime: 0,
      expiresIn: null,
      packets: seen.packets,
      bytes: null,
      wrongIf: seen.wrongIf,
      state,
    };
  }
}
