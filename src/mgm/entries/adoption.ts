/**
 * The table of a predecessor whose socket we hold (D-RST-1). Its vifs and entries are in the kernel and forward; nothing
 * of it is touched until somebody says something better. What it forwarded counts as wanted for the restart window, in
 * which hosts and protocols say again what they want; then each entry is decided anew, and what nobody spoke for goes.
 * The window is for answers that may still come: an output that nobody could want under today's configuration ends at once.
 */
import { type Answer, isLater, whenAnswered } from '../../base/answer.js';
import type { Timer } from '../../port/clock.js';
import { type DumpedMfc, type Ifindex, type MrouteDump, type Vif, VIFS } from '../../port/kernel.js';
import { type Core, flowName } from '../core.js';
import type { Courier } from '../clients/courier.js';
import type { Creation } from './creation.js';
import { mostWanted } from './entry-budget.js';
import { DEFAULT_TIMEOUT_SEC, type Lifetimes } from './lifetimes.js';
import type { Rpf } from './rpf.js';
import type { Slices } from '../slices.js';
import { Entry, type Interface } from '../state.js';

/** What a restart window ended with. */
export interface AdoptionResult {
  /** Entries that were taken up. */
  readonly adopted: number;
  /** Of these: still there, forwarding or negative. */
  readonly kept: number;
  /** Entries and vifs that nobody took up. */
  readonly swept: number;
}

export interface Predecessor {
  readonly dump: MrouteDump;
  /** From now to the sweep. */
  readonly windowMs: number;
  readonly ended: (result: AdoptionResult) => void;
  /** Somebody who is not there yet may take the interface of this name. Absent: of any. */
  readonly isLate?: (name: string) => boolean;
}

/** No outputs that an entry can have: it is written whatever they are. */
const OTHERS = -1;

export class Adoption {
  readonly #core: Core;
  readonly #courier: Courier;
  readonly #creation: Creation;
  readonly #rpf: Rpf;
  readonly #lifetimes: Lifetimes;
  readonly #slices: Slices;
  #predecessor: Predecessor | undefined;
  #timer: Timer | undefined;
  #endsAtMs = 0;
  /** Vifs that no interface has claimed yet. */
  readonly #vifs = new Map<Ifindex, Vif>();
  /** Entries in the kernel that come in by an interface which nobody has taken yet, by `flowName`. */
  readonly #pending = new Map<string, DumpedMfc>();
  #taking = false;
  readonly #adopted = new Set<Entry>();

  constructor(
    core: Core,
    parts: { courier: Courier; creation: Creation; lifetimes: Lifetimes; rpf: Rpf; slices: Slices },
  ) {
    this.#core = core;
    this.#slices = parts.slices;
    this.#rpf = parts.rpf;
    this.#courier = parts.courier;
    this.#creation = parts.creation;
    this.#lifetimes = parts.lifetimes;
  }

  /** The answer comes when interfaces may be taken. */
  begin(predecessor: Predecessor): Answer<void> {
    this.#predecessor = predecessor;
    for (const { vif, ifindex } of predecessor.dump.vifs) {
      this.#core.vifs.reserve(vif);
      this.#vifs.set(ifindex, vif);
    }
    this.#endAfter(predecessor.windowMs);
    return this.#slices.done(this.#claimAll(predecessor.dump.entries));
  }

  *#claimAll(entries: Iterable<DumpedMfc>): Generator<void, void> {
    for (const seen of entries) {
      if (!seen.unresolved && !seen.static) this.#claim(seen);
      yield;
    }
  }

  /** How much of the window is left; 0: it is over. */
  get leftMs(): number {
    return this.#predecessor ? Math.max(0, this.#endsAtMs - this.#core.nowMs) : 0;
  }

  /** The window ends after this long at the latest. */
  endWithin(ms: number): void {
    if (this.#timer && ms < this.leftMs) this.#endAfter(ms);
  }

  #endAfter(ms: number): void {
    this.#timer?.cancel();
    this.#endsAtMs = this.#core.nowMs + ms;
    this.#timer = this.#core.ports.clock.after(ms, () => this.#courier.enter(() => this.#end()));
  }

  stop(): void {
    this.#timer?.cancel();
  }

  /** The vif that the predecessor gave the interface, once. */
  claimVif(ifindex: Ifindex): Vif | undefined {
    const vif = this.#vifs.get(ifindex);
    this.#vifs.delete(ifindex);
    return vif;
  }

  /** The vif of an interface that nobody has taken yet. */
  reservedVif(ifindex: Ifindex): Vif | undefined {
    return this.#vifs.get(ifindex);
  }

  /** An entry of the predecessor that waits for somebody to take its incoming interface. */
  awaits(seen: DumpedMfc): boolean {
    return this.#pending.has(flowName(seen));
  }

  /** Whoever is configured is on its interfaces: from now on entries are taken up as their incoming interfaces are. */
  takeUp(): Answer<void> {
    this.#taking = true;
    const later: Promise<unknown>[] = [];
    const all = (): Answer<void> => (later.length === 0 ? undefined : Promise.all(later).then(() => undefined));
    return whenAnswered(this.#slices.done(this.#takeUpAll(later)), all);
  }

  /** Somebody has taken an interface. */
  takeUpEntries(): void {
    if (this.#taking && this.#pending.size > 0) this.#slices.run(this.#takeUpPending([]));
  }

  /** What waits names the vif of the interface no more: the number is about to be given back. */
  *leave({ ifindex: left }: Interface): Generator<void, void> {
    for (const seen of this.#pending.values()) {
      const oifs = seen.oifs.filter(({ ifindex }) => ifindex !== left);
      if (seen.iif === left || oifs.length < seen.oifs.length) this.#claim({ ...seen, oifs });
      yield;
    }
  }

  *#takeUpAll(later: Promise<unknown>[]): Generator<void, void> {
    yield* this.#takeUpPending(later);
    for (const seen of this.#pending.values()) {
      if (seen.iif === undefined || !this.#isLate(seen.iif)) this.#drop(seen);
      yield;
    }
  }

  #drop(seen: DumpedMfc): void {
    this.#pending.delete(flowName(seen));
    this.#refusedUnlessGone(this.#core.ports.mroute.delMfc(seen.source, seen.group));
  }

  *#takeUpPending(later: Promise<unknown>[]): Generator<void, void> {
    for (const [flow, seen] of this.#pending) {
      const iif = seen.iif === undefined ? undefined : this.#core.interfaces.get(seen.iif);
      if (iif) {
        this.#pending.delete(flow);
        const asked = this.#takeUpEntry(seen, iif);
        if (isLater(asked)) later.push(asked);
      }
      yield;
    }
  }

  #takeUpEntry(seen: DumpedMfc, iif: Interface): Answer<void> {
    // A packet was faster: the entry has been decided already.
    if (this.#core.entries.get(seen.source, seen.group)) return undefined;
    // Nothing to lose: the next packet asks again, and gets the answer of today.
    if (seen.oifs.length === 0 || this.#isFull())
      return this.#refusedUnlessGone(this.#core.ports.mroute.delMfc(seen.source, seen.group));
    const entry = new Entry(seen.source, seen.group, iif, this.#core.nowMs, DEFAULT_TIMEOUT_SEC);
    const passing = seen.oifs.filter(({ ifindex }) => this.#mayPass(entry, ifindex));
    entry.kept = this.#bitsOf(passing.filter(({ ifindex }) => this.#mayStillWant(entry, ifindex)));
    entry.outputs = this.#bitsOf(seen.oifs);
    entry.writtenOutputs = this.#hasOldThreshold(seen) ? OTHERS : entry.outputs;
    entry.writtenIif = iif.vif;
    entry.writtenAt = this.#core.writes;
    entry.seenPackets = seen.packets - seen.wrongIf;
    this.#core.entries.set(entry);
    this.#lifetimes.restart(entry);
    this.#adopted.add(entry);
    const isCertain = iif.decider?.callbacks.mayPass !== undefined || passing.length < seen.oifs.length;
    if (!isCertain && !this.#isExpectedElsewhere(entry)) return this.#creation.adopt(entry);
    return this.#creation.decideAgain(entry, () => true);
  }

  /** The predecessor had a greater budget. What it forwarded has receivers, of which there are fewer than entries. */
  #isFull(): boolean {
    const { entries, config } = this.#core;
    const isFull = entries.ages.wanted.size >= mostWanted(config.maxEntries);
    if (isFull) this.#core.count('mfe.unkept');
    return isFull;
  }

  #isLate(ifindex: Ifindex): boolean {
    const name = this.#core.ports.links.byIndex(ifindex)?.name;
    return name !== undefined && (this.#predecessor?.isLate?.(name) ?? true);
  }

  /** Whoever is on the interface may hear of somebody who wants the flow, or a late owner may. */
  #mayStillWant(flow: Entry, ifindex: Ifindex): boolean {
    const on = this.#core.interfaces.get(ifindex);
    if (!on) return this.#isLate(ifindex);
    const clients = [on.owner, on.igmp].filter((client) => client !== undefined);
    if (clients.some(({ callbacks }) => callbacks.mayStillWant?.(flow, ifindex) ?? true)) return true;
    return !on.owner && this.#isLate(ifindex);
  }

  #mayPass(flow: Entry, oif: Ifindex): boolean {
    const iif = flow.iif.ifindex;
    return [flow.iif.decider, this.#core.interfaces.get(oif)?.decider].every(
      (client) => client?.callbacks.mayPass?.(flow, iif, oif) ?? true,
    );
  }

  /** The configuration itself says so: no route that may not be back yet. */
  #isExpectedElsewhere({ source, iif }: Entry): boolean {
    const found = this.#rpf.towards(source, iif.ifindex);
    return found !== undefined && found !== 'local' && found.feeder === 'static' && found.ifindex !== iif.ifindex;
  }

  #hasOldThreshold({ oifs }: DumpedMfc): boolean {
    return oifs.some(({ ifindex, ttl }) => (this.#core.interfaces.get(ifindex)?.threshold ?? ttl) !== ttl);
  }

  /**
   * Writes an entry as the dump shows it: outputs on interfaces that are gone are hidden there but still in the kernel, and
   * would lead to whoever gets their vif next (linux.md J4).
   */
  #claim(seen: DumpedMfc): void {
    const { source, group } = seen;
    const iif = seen.iif === undefined ? undefined : this.#vifOf(seen.iif);
    if (iif === undefined) return this.#drop(seen);
    const ttls = new Uint8Array(VIFS);
    for (const { ifindex, ttl } of seen.oifs) {
      const vif = this.#vifOf(ifindex);
      if (vif !== undefined) ttls[vif] = ttl;
    }
    const error = this.#core.ports.mroute.addMfc({ source, group, iif, ttls });
    if (error) this.#core.kernelRefused(error);
    else this.#pending.set(flowName(seen), seen);
  }

  #bitsOf(oifs: DumpedMfc['oifs']): number {
    let outputs = 0;
    for (const { ifindex } of oifs) {
      const vif = this.#vifOf(ifindex);
      if (vif !== undefined) outputs |= 1 << vif;
    }
    return outputs >>> 0;
  }

  #vifOf(ifindex: Ifindex): Vif | undefined {
    return this.#core.interfaces.get(ifindex)?.vif ?? this.#vifs.get(ifindex);
  }

  #end(): void {
    this.#slices.run(this.#sweep());
  }

  *#sweep(): Generator<void, void> {
    const adopted = this.#adopted.size;
    for (const entry of this.#adopted) {
      entry.kept = 0;
      if (!entry.deleted) void this.#creation.decideAgain(entry, () => true);
      yield;
    }
    const swept = this.#pending.size + this.#vifs.size;
    for (const { source, group } of this.#pending.values()) {
      if (!this.#core.entries.get(source, group))
        this.#refusedUnlessGone(this.#core.ports.mroute.delMfc(source, group));
      yield;
    }
    this.#pending.clear();
    for (const vif of this.#vifs.values()) {
      const error = this.#core.ports.mroute.delVif(vif);
      if (error && error.code !== 'EADDRNOTAVAIL') this.#core.kernelRefused(error);
      this.#core.vifs.giveBack(vif);
    }
    this.#vifs.clear();
    const kept = [...this.#adopted].filter((entry) => !entry.deleted).length;
    this.#adopted.clear();
    this.#predecessor?.ended({ adopted, kept, swept });
    this.#predecessor = undefined;
    this.#timer = undefined;
  }

  #refusedUnlessGone(error: ReturnType<Core['ports']['mroute']['delMfc']>): void {
    if (error && error.code !== 'ENOENT') this.#core.kernelRefused(error);
  }
}
