/**
 * From a packet without an entry to the entry (manager.md section 5.1), and the same decisions again in place: at the end of a
 * life time, after a route change, after the owner of the incoming interface changed.
 */
import { type Answer, isLater, whenAnswered } from '../../base/answer.js';
import { ANY4, type IpAddress, isLinkLocalGroup } from '../../base/ip.js';
import type { Upcall } from '../../port/kernel.js';
import type { Alerts } from '../clients/alerts.js';
import type { CreationOif, MembershipKey, RouteUsed, RpfReply, RpfRequest } from '../client.js';
import { type Core, keyFields } from '../core.js';
import { type Courier, DECISION_LIMIT_MS } from '../clients/courier.js';
import { type EntryBudget, REFUSED_TIMEOUT_SEC } from './entry-budget.js';
import type { Forwarding } from './forwarding.js';
import { clampedLifetimeSec, DEFAULT_TIMEOUT_SEC, type Lifetimes } from './lifetimes.js';
import type { Rpf, Towards } from './rpf.js';
import { type Client, Entry, type Interface, type NamedOutputs } from '../state.js';

/** Seconds a flow is silenced whose source lies behind an interface that nobody serves (D-RPF-3). */
const UNOWNED_TIMEOUT_SEC = 60;
const NO_PACKET = new Uint8Array(0);

/** Where a flow comes in, as decided. */
interface Incoming {
  readonly iif: Interface;
  readonly upstreamNeighbor: IpAddress | undefined;
  readonly route: RouteUsed | undefined;
  /** Nobody serves the interface towards the source, or who does refuses it (D-RPF-3). */
  readonly unowned: boolean;
  /** Seconds, where the decider says. */
  readonly lifetimeSec?: number;
  readonly named?: NamedOutputs;
}

export class Creation {
  readonly #core: Core;
  readonly #courier: Courier;
  readonly #rpf: Rpf;
  readonly #forwarding: Forwarding;
  readonly #alerts: Alerts;
  readonly #lifetimes: Lifetimes;
  readonly #budget: EntryBudget;
  /** Flows whose creation waits for an answer (D-FWD-1), by group and source. */
  readonly #running = new Map<IpAddress, Set<IpAddress>>();

  constructor(
    core: Core,
    parts: {
      courier: Courier;
      rpf: Rpf;
      forwarding: Forwarding;
      alerts: Alerts;
      lifetimes: Lifetimes;
      budget: EntryBudget;
    },
  ) {
    this.#core = core;
    this.#courier = parts.courier;
    this.#rpf = parts.rpf;
    this.#forwarding = parts.forwarding;
    this.#alerts = parts.alerts;
    this.#lifetimes = parts.lifetimes;
    this.#budget = parts.budget;
  }

  /** NOCACHE: a packet came in on an interface and there is no entry for it. */
  packetWithoutEntry(upcall: Upcall): void {
    const { source, group } = upcall;
    const arrival = this.#core.interfaceOfVif(upcall.vif);
    if (!arrival || isLinkLocalGroup(group)) return this.#core.count('upcall.ignored');
    const existing = this.#core.entries.get(source, group);
    if (existing) {
      this.#forwarding.write(existing, true);
      return;
    }
    const sources = this.#running.get(group) ?? new Set();
    if (sources.has(source)) return this.#core.count('upcall.repeated');
    this.#running.set(group, sources.add(source));
    void whenAnswered(this.#create(upcall, arrival), () => {
      sources.delete(source);
      if (sources.size === 0) this.#running.delete(group);
    });
  }

  /**
   * Decides an existing entry anew in place: steps 3 and 4, and for the interfaces of `asked` step 6. The kernel is
   * written once, and only if something differs. An entry that nobody decides for any more is deleted. `arrival`: where its
   * packets come in now.
   */
  decideAgain(entry: Entry, asked: (on: Interface) => boolean, arrival?: Interface): Answer<void> {
    return whenAnswered(this.#incoming(entry, arrival, NO_PACKET), (incoming) => {
      if (entry.deleted) return undefined;
      // What a predecessor forwarded goes on until its window ends: the routes may not be back yet.
      if (!incoming || incoming.unowned) return entry.kept === 0 ? this.#forwarding.remove(entry) : undefined;
      const candidates = this.#forwarding.candidates(entry, incoming.iif.ifindex).filter(asked);
      return whenAnswered(this.#vetoes(entry, incoming.iif, candidates), (vetoed) => {
        if (entry.deleted) return;
        if (incoming.iif.closed) return this.#forwarding.remove(entry);
        for (const on of candidates) {
          entry.clearOverride(on, 'off');
          if (vetoed.has(on) && !on.closed) entry.setOverride(on, 'off');
        }
        this.#settle(entry, incoming);
      });
    });
  }

  /** One more interface is a candidate of the entry: its owner is asked as at creation, then the difference is written. */
  admit(entry: Entry, on: Interface): Answer<void> {
    if (entry.deleted || entry.unowned) return undefined;
    return whenAnswered(this.#vetoes(entry, entry.iif, [on]), (vetoed) => {
      if (entry.deleted || on.closed) return;
      entry.clearOverride(on, 'off');
      if (vetoed.has(on)) entry.setOverride(on, 'off');
      if (this.#forwarding.update(entry).turned) this.#lifetimes.restart(entry);
      this.#alerts.signalEntry(entry, on.owner, on);
    });
  }

  /** A predecessor's entry: as at creation who owns the candidates is asked; what is kept stays whatever they say. */
  adopt(entry: Entry): Answer<void> {
    const candidates = this.#forwarding.candidates(entry, entry.iif.ifindex);
    return whenAnswered(this.#vetoes(entry, entry.iif, candidates), (vetoed) => {
      if (entry.deleted) return;
      for (const on of vetoed) if (!on.closed) entry.setOverride(on, 'off');
      if (this.#forwarding.update(entry).turned) this.#lifetimes.restart(entry);
    });
  }

  /** Sets what was decided, writes the difference, sends what follows from it. */
  #settle(entry: Entry, incoming: Incoming): void {
    const moved = entry.iif !== incoming.iif;
    entry.unowned = false;
    entry.lifetimeSec = lifetimeOf(incoming);
    entry.iif = incoming.iif;
    entry.upstreamNeighbor = incoming.upstreamNeighbor;
    entry.route = incoming.route;
    entry.named = incoming.named;
    const { turned } = this.#forwarding.update(entry);
    if (turned) this.#lifetimes.restart(entry);
    else if (moved) this.#lifetimes.moved(entry);
    if (moved) this.resignalSource(entry);
    this.#alerts.signalEntry(entry);
  }

  /** The owner towards the source may be another now: the (s,g) key's alert moves with it (D-ALERT-3). */
  resignalSource(key: MembershipKey): void {
    const record = this.#core.memberships.get(key.source, key.group);
    if (record) this.#alerts.signalKey(record);
  }

  #create(upcall: Upcall, arrival: Interface): Answer<void> {
    const key = { source: upcall.source, group: upcall.group };
    return whenAnswered(this.#incoming(key, arrival, upcall.packet), (incoming) => {
      if (!incoming) return undefined;
      if (incoming.unowned) return this.#install(key, incoming, new Set());
      const candidates = this.#forwarding.candidates(key, incoming.iif.ifindex);
      return whenAnswered(this.#vetoes(key, incoming.iif, candidates), (vetoed) =>
        this.#install(key, incoming, vetoed),
      );
    });
  }

  #install(key: MembershipKey, incoming: Incoming, vetoed: ReadonlySet<Interface>): void {
    if (this.#core.stopped || incoming.iif.closed) return this.#core.count('creation.abandoned');
    const entry = new Entry(key.source, key.group, incoming.iif, this.#core.nowMs, lifetimeOf(incoming));
    for (const on of vetoed) if (!on.closed) entry.setOverride(on, 'off');
    entry.upstreamNeighbor = incoming.upstreamNeighbor;
    entry.route = incoming.route;
    entry.named = incoming.named;
    if (incoming.unowned) return this.#silence(entry, UNOWNED_TIMEOUT_SEC);
    if (!this.#budget.admits(entry, this.#forwarding.outputsOf(entry) !== 0))
      return this.#silence(entry, REFUSED_TIMEOUT_SEC);
    this.#core.entries.set(entry);
    this.#forwarding.update(entry);
    this.#lifetimes.restart(entry);
    this.#core.count('mfe.created');
    this.resignalSource(entry);
    this.#alerts.signalEntry(entry);
  }

  /** Installs an entry that drops the flow, whoever joins, until it is decided anew (D-RPF-3). */
  #silence(entry: Entry, timeoutSec: number): void {
    entry.unowned = true;
    const isKept = this.#budget.admits(entry, false);
    if (isKept) this.#core.entries.set(entry);
    // The kernel gets its answer in any case: what waits there for one slows every new flow down (linux.md B6).
    this.#forwarding.write(entry);
    if (!isKept) return this.#forwarding.remove(entry);
    this.#lifetimes.restart(entry, timeoutSec);
    this.#core.count('mfe.created');
  }

  /** Steps 3 and 4: the look-up, then whoever decides for that interface may name another one of its own. */
  #incoming(key: MembershipKey, arrival: Interface | undefined, packet: Uint8Array): Answer<Incoming | undefined> {
    const found = this.#rpf.towards(key.source, arrival?.ifindex, this.#entryIif(key)?.ifindex);
    const towards: Towards | undefined = found === 'local' ? undefined : found;
    if (towards?.hops) this.#core.wantPim('multipath', true);
    // A source of our own, or one that no route covers: expected where it came in (D-RPF-1, K-27).
    const lookedUp = towards ? this.#core.interfaces.get(towards.ifindex) : (arrival ?? this.#entryIif(key));
    if (!lookedUp) return this.#unserved(key, arrival ?? this.#entryIif(key), arrival, towards?.route);
    const decided = { iif: lookedUp, upstreamNeighbor: towards?.neighbor, route: towards?.route };
    const decider = lookedUp.decider;
    if (!decider) return arrival ? { ...decided, unowned: false } : undefined;
    const { rpf } = decider.callbacks;
    if (!rpf) return { ...decided, unowned: false };
    const request: RpfRequest = {
      source: key.source,
      group: key.group,
      ifindex: lookedUp.ifindex,
      upstreamNeighbor: towards?.neighbor,
      arrival: arrival?.ifindex,
      packet,
      route: towards?.route,
      feeder: towards?.feeder,
    };
    return this.#courier.ask(
      decider,
      'rpf',
      DECISION_LIMIT_MS,
      () => decider.callbacks.rpf?.(request),
      (reply) => {
        if (reply?.refuse !== true) return { ...decided, ...this.#heed(reply, decider, key), unowned: false };
        return { ...decided, iif: arrival ?? lookedUp, unowned: true };
      },
    );
  }

  /** Nobody serves the interface towards the source: whoever decides for the one of arrival may expect the flow there; else it is silenced. */
  #unserved(
    key: MembershipKey,
    iif: Interface | undefined,
    arrival: Interface | undefined,
    route: RouteUsed | undefined,
  ): Incoming | undefined {
    const decider = iif?.decider;
    const reply = iif && decider?.callbacks.expects?.(key, iif.ifindex);
    const expected = { upstreamNeighbor: undefined, route };
    if (iif && decider && reply && reply.refuse !== true)
      return { ...expected, iif, ...this.#heed(reply, decider, key), unowned: false };
    return arrival && { ...expected, iif: arrival, unowned: true };
  }

  #entryIif(key: MembershipKey): Interface | undefined {
    const iif = this.#core.entries.get(key.source, key.group)?.iif;
    return iif && !iif.closed ? iif : undefined;
  }

  /** What an RPF reply changes: only an interface of the same client is accepted (D-RPF-2). */
  #heed(reply: RpfReply | undefined, decider: Client, key: MembershipKey): Partial<Incoming> {
    if (!reply) return {};
    const heeded: { -readonly [K in keyof Incoming]?: Incoming[K] } = {};
    if (reply.upstreamNeighbor !== undefined) heeded.upstreamNeighbor = reply.upstreamNeighbor;
    if (reply.route) heeded.route = reply.route;
    if (reply.lifetimeSec !== undefined) heeded.lifetimeSec = clampedLifetimeSec(reply.lifetimeSec);
    if (reply.outputs) heeded.named = { client: decider, ifindexes: reply.outputs };
    if (reply.ifindex === undefined) return heeded;
    const named = this.#core.interfaces.get(reply.ifindex);
    if (named?.decider === decider) return { ...heeded, iif: named };
    this.#core.count('rpf.refused');
    this.#core.ports.log.warn(
      { evt: 'rpf.refused', client: decider.name, ifindex: reply.ifindex, ...keyFields(key) },
      `${decider.name} named ifindex ${reply.ifindex} as incoming interface, but does not own it; the look-up counts`,
    );
    return heeded;
  }

  /** Step 6: each decider is shown its own candidates, all at once (D-CRE-2); the answer is what they switched off. */
  #vetoes(key: MembershipKey, iif: Interface, candidates: readonly Interface[]): Answer<ReadonlySet<Interface>> {
    const byDecider = new Map<Client, Interface[]>();
    for (const on of candidates) {
      const decider = on.decider;
      if (!decider?.callbacks.creationAlert) continue;
      const own = byDecider.get(decider);
      if (own) own.push(on);
      else byDecider.set(decider, [on]);
    }
    const vetoed = new Set<Interface>();
    const asked = [...byDecider].map(([decider, own]) => this.#askCreation(key, iif, decider, own, vetoed));
    return asked.some(isLater) ? Promise.all(asked.filter(isLater)).then(() => vetoed) : vetoed;
  }

  #askCreation(
    { source, group }: MembershipKey,
    iif: Interface,
    decider: Client,
    own: readonly Interface[],
    vetoed: Set<Interface>,
  ): Answer<void> {
    const oifs = own.map(
      (on): CreationOif => ({ ifindex: on.ifindex, nextHop: ANY4, igmp: on.igmp !== undefined, enabled: true }),
    );
    return this.#courier.ask(
      decider,
      'creationAlert',
      DECISION_LIMIT_MS,
      () => decider.callbacks.creationAlert?.({ source, group, iif: iif.ifindex, oifs }),
      (reply) => {
        for (const ifindex of reply?.disabled ?? []) {
          const on = own.find((candidate) => candidate.ifindex === ifindex);
          if (on) vetoed.add(on);
        }
      },
    );
  }
}

function lifetimeOf({ lifetimeSec = DEFAULT_TIMEOUT_SEC }: Incoming): number {
  return lifetimeSec;
}
