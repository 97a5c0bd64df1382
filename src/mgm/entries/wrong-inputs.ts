/**
 * Packets that come in by another interface than their entry expects. The owner of the interface may want to know (D-WI-1).
 * Where the route to the source has several next hops each is a legal input: when packets come by one of them, and by the
 * entry's own no more, the entry moves there.
 */
import { KernelError } from '../../base/errors.js';
import type { Timer } from '../../port/clock.js';
import type { Upcall } from '../../port/kernel.js';
import type { Core } from '../core.js';
import type { Courier } from '../clients/courier.js';
import type { Creation } from './creation.js';
import { bitOf } from './forwarding.js';
import type { Rpf } from './rpf.js';
import { inSlices } from '../slices.js';
import type { Entry, Interface } from '../state.js';

/** From one look at the counters to the next, and how many looks an entry gets. */
const LOOK_MS = 1000;
const LOOKS = 10;
/** Entries looked at; the kernel tells of each further one again after 3 s. */
const WATCHED = 16_384;

interface Suspicion {
  readonly arrival: Interface;
  /** Packets on the right and on a wrong interface when the first wrong one was told. */
  readonly right: number;
  readonly wrong: number;
  looks: number;
}

export class WrongInputs {
  readonly #core: Core;
  readonly #courier: Courier;
  readonly #rpf: Rpf;
  readonly #creation: Creation;
  readonly #watched = new Map<Entry, Suspicion>();
  #timer: Timer | undefined;
  #cancelSlices: (() => void) | undefined;

  constructor(core: Core, parts: { courier: Courier; rpf: Rpf; creation: Creation }) {
    this.#core = core;
    this.#courier = parts.courier;
    this.#rpf = parts.rpf;
    this.#creation = parts.creation;
  }

  packet(upcall: Upcall): void {
    const arrival = this.#core.interfaceOfVif(upcall.vif);
    if (!arrival) return;
    const entry = this.#core.entries.get(upcall.source, upcall.group);
    this.#tellOwner(arrival, entry, upcall);
    if (entry && entry.iif !== arrival && this.#isLegal(entry, arrival)) this.#watch(entry, arrival);
  }

  stop(): void {
    this.#timer?.cancel();
    this.#cancelSlices?.();
  }

  /** Only a client that asked for it hears of interfaces that the flow does not leave by. */
  #tellOwner(arrival: Interface, entry: Entry | undefined, { source, group, packet }: Upcall): void {
    const owner = arrival.decider;
    if (!owner?.callbacks.wrongInterface) return;
    if (entry && !owner.pimUpcalls && (entry.outputs & bitOf(arrival)) === 0) return;
    const event = { source, group, ifindex: arrival.ifindex, packet };
    this.#courier.notify(owner, 'wrongInterface', () => owner.callbacks.wrongInterface?.(event));
  }

  #isLegal({ source }: Entry, { ifindex }: Interface): boolean {
    const found = this.#rpf.towards(source, ifindex);
    return found !== undefined && found !== 'local' && found.hops !== undefined && found.ifindex === ifindex;
  }

  #watch(entry: Entry, arrival: Interface): void {
    if (this.#watched.has(entry)) return;
    if (this.#watched.size >= WATCHED) return this.#core.count('rpf.moves-put-off');
    const counted = this.#counters(entry);
    if (!counted) return;
    this.#watched.set(entry, { arrival, ...counted, looks: 0 });
    this.#timer ??= this.#core.ports.clock.after(LOOK_MS, () => this.#courier.enter(() => this.#look()));
  }

  #counters({ source, group }: Entry): { readonly right: number; readonly wrong: number } | undefined {
    const counters = this.#core.ports.mroute.mfcCounters(source, group);
    if (counters instanceof KernelError) return undefined;
    return { right: counters.packets - counters.wrongIf, wrong: counters.wrongIf };
  }

  #look(): void {
    inSlices(this.#core, this.#courier, this.#looks(), (cancel) => (this.#cancelSlices = cancel));
  }

  *#looks(): Generator<void, void> {
    for (const [entry, suspicion] of this.#watched) {
      if (this.#isSettled(entry, suspicion)) this.#watched.delete(entry);
      yield;
    }
    this.#timer = undefined;
    if (this.#watched.size === 0 || this.#core.stopped) return;
    this.#timer = this.#core.ports.clock.after(LOOK_MS, () => this.#courier.enter(() => this.#look()));
  }

  /** Packets that still come by the entry's own interface leave it there, whatever else comes. */
  #isSettled(entry: Entry, suspicion: Suspicion): boolean {
    const { arrival, right, wrong } = suspicion;
    if (entry.deleted || arrival.closed || entry.iif === arrival) return true;
    const counted = this.#counters(entry);
    if (!counted || counted.right > right) return true;
    if (counted.wrong === wrong) return ++suspicion.looks >= LOOKS;
    if (!this.#isLegal(entry, arrival)) return true;
    this.#core.count('rpf.moved');
    void this.#creation.decideAgain(entry, () => true, arrival);
    return true;
  }
}
