/**
 * The prunes that neighbours have sent us for one (source network, group): dvmrp.md sections 9 and 10.2. Found by neighbour and
 * host, because a network may have thousands of hosts that are pruned one by one.
 */
import { DeadlineHeap, type Queued } from '../../base/deadline-heap.js';
import type { IpAddress } from '../../base/ip.js';
import type { Ifindex } from '../../port/kernel.js';

export class ReceivedPrune implements Queued {
  queuedMs = 0;
  heapIndex = -1;
  expiresMs = 0;

  constructor(
    readonly neighbor: IpAddress,
    readonly ifindex: Ifindex,
    /** Only for packets of this host (a prune with a host mask); undefined: for the whole source network. */
    readonly host: IpAddress | undefined,
  ) {}
}

/** How many prunes each neighbour has sent us, of all networks and groups: what the limits are about. */
export class PruneCounts {
  readonly #byInterface = new Map<Ifindex, Map<IpAddress, number>>();
  total = 0;

  of(ifindex: Ifindex, neighbor: IpAddress): number {
    return this.#byInterface.get(ifindex)?.get(neighbor) ?? 0;
  }

  add({ ifindex, neighbor }: ReceivedPrune, change: 1 | -1): void {
    let counts = this.#byInterface.get(ifindex);
    if (!counts) this.#byInterface.set(ifindex, (counts = new Map<IpAddress, number>()));
    const count = (counts.get(neighbor) ?? 0) + change;
    if (count > 0) counts.set(neighbor, count);
    else counts.delete(neighbor);
    if (counts.size === 0) this.#byInterface.delete(ifindex);
    this.total += change;
  }
}

/** Those of one neighbour. */
class OfNeighbor {
  whole: ReceivedPrune | undefined;
  readonly hosts = new Map<IpAddress, ReceivedPrune>();

  constructor(
    readonly ifindex: Ifindex,
    readonly neighbor: IpAddress,
  ) {}

  get(host: IpAddress | undefined): ReceivedPrune | undefined {
    return host === undefined ? this.whole : this.hosts.get(host);
  }

  *all(): Generator<ReceivedPrune> {
    if (this.whole) yield this.whole;
    yield* this.hosts.values();
  }
}

export class ReceivedPrunes implements Iterable<ReceivedPrune> {
  readonly #neighbors: OfNeighbor[] = [];
  readonly #deadlines = new DeadlineHeap<ReceivedPrune>();
  readonly #counts: PruneCounts;

  constructor(counts: PruneCounts) {
    this.#counts = counts;
  }

  get size(): number {
    return this.#deadlines.size;
  }

  *[Symbol.iterator](): Generator<ReceivedPrune> {
    for (const known of this.#neighbors) yield* known.all();
  }

  has(ifindex: Ifindex, neighbor: IpAddress, host: IpAddress | undefined): boolean {
    return this.#of(ifindex, neighbor)?.get(host) !== undefined;
  }

  /** Step 6: a repeated prune sets the time anew, longer or shorter. True: it was not there. */
  set(ifindex: Ifindex, neighbor: IpAddress, host: IpAddress | undefined, expiresMs: number): boolean {
    let known = this.#of(ifindex, neighbor);
    if (!known) this.#neighbors.push((known = new OfNeighbor(ifindex, neighbor)));
    let prune = known.get(host);
    const isNew = prune === undefined;
    if (prune === undefined) {
      prune = new ReceivedPrune(neighbor, ifindex, host);
      if (host === undefined) known.whole = prune;
      else known.hosts.set(host, prune);
      this.#counts.add(prune, 1);
    }
    prune.expiresMs = expiresMs;
    this.#deadlines.remove(prune);
    this.#deadlines.noLaterThan(prune, expiresMs);
    return isNew;
  }

  /** Whether the neighbour wants nothing that `source` sends; without a source: nothing of the whole network. */
  covers(ifindex: Ifindex, neighbor: IpAddress, source?: IpAddress): boolean {
    const known = this.#of(ifindex, neighbor);
    return known !== undefined && (known.whole !== undefined || (source !== undefined && known.hosts.has(source)));
  }

  /** A Graft of the neighbour, for the network or for one host. True: it had pruned that. */
  grafted(ifindex: Ifindex, neighbor: IpAddress, host: IpAddress | undefined): boolean {
    const known = this.#of(ifindex, neighbor);
    if (!known) return false;
    if (host === undefined) return this.#drop(known);
    const prune = known.get(host);
    if (prune) this.#delete(prune);
    return prune !== undefined;
  }

  /** Forgets whose neighbour does not pass; true: there was something of one. */
  retain(keeps: (ifindex: Ifindex, neighbor: IpAddress) => boolean): boolean {
    const gone = this.#neighbors.filter(({ ifindex, neighbor }) => !keeps(ifindex, neighbor));
    return gone.map((known) => this.#drop(known)).some(Boolean);
  }

  /** The next whose time is over, taken out. */
  takeExpired(nowMs: number): ReceivedPrune | undefined {
    const { first } = this.#deadlines;
    if (!first || first.expiresMs > nowMs) return undefined;
    this.#delete(first);
    return first;
  }

  /** When the first of them ends; Infinity without any. */
  get earliestMs(): number {
    return this.#deadlines.earliestMs;
  }

  #of(ifindex: Ifindex, neighbor: IpAddress): OfNeighbor | undefined {
    for (const known of this.#neighbors) if (known.neighbor === neighbor && known.ifindex === ifindex) return known;
    return undefined;
  }

  #drop(known: OfNeighbor): boolean {
    const all = [...known.all()];
    for (const prune of all) this.#delete(prune);
    return all.length > 0;
  }

  #delete(prune: ReceivedPrune): void {
    const known = this.#of(prune.ifindex, prune.neighbor);
    if (!known) return;
    if (prune.host === undefined) known.whole = undefined;
    else known.hosts.delete(prune.host);
    if (!known.whole && known.hosts.size === 0) this.#neighbors.splice(this.#neighbors.indexOf(known), 1);
    this.#deadlines.remove(prune);
    this.#counts.add(prune, -1);
  }
}
