/**
 * The neighbours on one interface (dvmrp.md sections 4 and 5): who is there, who counts, when Probes are due. Runs the table
 * of neighbor-fsm.ts. Time and messages come in by calls; the wire, routes and prunes are told through the output.
 */
import { ANY4, type IpAddress } from '../../base/ip.js';
import { admits, type PrefixFilter } from '../../base/prefix-filter.js';
import { TokenBucket } from '../../base/token-bucket.js';
import type { Ifindex } from '../../port/kernel.js';
import type { Random } from '../../port/random.js';
import { type DecodeError, type Header, OWN_MAJOR, OWN_MINOR } from '../wire/header.js';
import { reportOnlyTimeoutMs } from '../intervals.js';
import { Neighbor, type Refusal } from './neighbor.js';
import { NEIGHBOR, type NeighborEffect, type NeighborEvent } from './neighbor-fsm.js';
import { decodeProbe, encodeProbe, listsNeighbor, type Probe } from '../wire/probe.js';
import type { SavedNeighbor } from '../saved-state.js';
import { hasProbeBody, type Traits, traitsOf } from '../wire/versions.js';

const NEVER = Number.POSITIVE_INFINITY;

/** Times that one neighbour may come up or restart: so many at once, then one in ten seconds; each costs a full table. */
const RESETS = { burst: 4, perSecond: 0.1 } as const;

export interface NeighborConfig {
  readonly probeIntervalMs: number;
  /** More than three Probe intervals. */
  readonly neighborTimeoutMs: number;
  /** Versions before 3.255 are neighbours. */
  readonly acceptCompat: boolean;
  /** Routers that cannot prune are neighbours. */
  readonly allowNonPruners: boolean;
  /** No Probes out, nobody is a neighbour. */
  readonly forceLeaf: boolean;
  readonly maxNeighbors: number;
  /** Who may be a neighbour. */
  readonly neighborFilter: PrefixFilter;
}

/** Why a Probe or Report changed nothing; names of counters. */
export type NeighborDrop = DecodeError['kind'] | 'leafOnly' | 'neighborLimit' | 'neighborElsewhere' | 'unknownNeighbor';

/** What is to be done for a neighbour, in the order of the calls. */
export interface NeighborOutput {
  /** `writeProbe` says what. */
  sendProbe(): void;
  /** It counts from now on. */
  neighborUp(neighbor: Neighbor): void;
  /** It is new or has restarted (dvmrp.md section 6.4). */
  sendTable(neighbor: Neighbor): void;
  /** Its prunes are void; graft where a prune of ours was due to them; forget what was sent to it as upstream (dvmrp.md section 4). */
  neighborRestarted(neighbor: Neighbor): void;
  /** The routes that came from it are lost (dvmrp.md section 5.2 step 1). */
  loseRoutes(neighbor: Neighbor): void;
  /** Step 2. */
  reelectForwarders(neighbor: Neighbor): void;
  /** Step 3. */
  flushEntries(neighbor: Neighbor): void;
  /** Step 4. */
  dropGrafts(neighbor: Neighbor): void;
  /** Step 5. */
  dropDependencies(neighbor: Neighbor): void;
  /** Step 6, and its reverse: no neighbour counts here any more, or the first one does. */
  leafChanged(isLeaf: boolean): void;
  /** It does not count any more. */
  neighborDown(neighbor: Neighbor, why: NeighborEvent): void;
  neighborRefused(neighbor: Neighbor, why: Refusal): void;
  dropped(reason: NeighborDrop, source: IpAddress): void;
  /** Whether another interface has a neighbour of this address (dvmrp.md section 17: the first one stays). */
  isElsewhere(address: IpAddress): boolean;
}

export class Neighbors {
  readonly #ifindex: Ifindex;
  readonly #config: NeighborConfig;
  readonly #output: NeighborOutput;
  readonly #neighbors = new Map<IpAddress, Neighbor>();
  #own: IpAddress = ANY4;
  #nowMs = 0;
  #running = false;
  #upCount = 0;
  #refusedCount = 0;
  generationId = 0;
  probeDueMs = NEVER;

  constructor(ifindex: Ifindex, config: NeighborConfig, output: NeighborOutput) {
    this.#ifindex = ifindex;
    this.#config = config;
    this.#output = output;
  }

  get size(): number {
    return this.#neighbors.size;
  }

  /** How many count. */
  get upCount(): number {
    return this.#upCount;
  }

  get isLeaf(): boolean {
    return this.#upCount === 0;
  }

  get nextDeadlineMs(): number {
    let earliestMs = this.probeDueMs;
    for (const { expiryMs } of this.#neighbors.values()) earliestMs = Math.min(earliestMs, expiryMs);
    return earliestMs;
  }

  list(): IterableIterator<Neighbor> {
    return this.#neighbors.values();
  }

  get(address: IpAddress): Neighbor | undefined {
    return this.#neighbors.get(address);
  }

  /** The neighbour whose Prunes, Grafts and acknowledgements count; undefined for strangers and one-way ones. */
  upNeighbor(address: IpAddress): Neighbor | undefined {
    const neighbor = this.#neighbors.get(address);
    return neighbor?.isUp ? neighbor : undefined;
  }

  /** Before `start`: those that an earlier life of ours had, and that have not noticed that it ended. */
  restore(nowMs: number, own: IpAddress, saved: readonly SavedNeighbor[]): void {
    this.#nowMs = nowMs;
    this.#own = own;
    for (const one of this.#config.forceLeaf ? [] : saved) this.#restore(one);
    if (this.#upCount > 0) this.#output.leafChanged(false);
  }

  #restore(saved: SavedNeighbor): void {
    const { address, state, major, minor, capabilities, generationId, sinceMs } = saved;
    const traits = traitsOf(major, minor, capabilities);
    if (saved.expiryMs <= this.#nowMs || address === this.#own || this.#neighbors.has(address)) return;
    if (this.#refusal(address, traits) !== undefined || (state === 'compat') === traits.handshake) return;
    const neighbor = this.#create(address, false, sinceMs);
    if (neighbor === undefined) return;
    neighbor.learn(major, minor, capabilities, generationId);
    neighbor.state = state;
    neighbor.upSinceMs = saved.upSinceMs;
    // What was saved may be older than the last prune.
    neighbor.doubtSinceMs = this.#nowMs;
    neighbor.expiryMs = Math.min(saved.expiryMs, this.#nowMs + this.#timeoutMs(neighbor));
    this.#neighbors.set(address, neighbor);
    if (neighbor.isUp) this.#upCount++;
  }

  /** The interface is up: a generation id that it has not had before, and the first Probe at once. */
  start(nowMs: number, own: IpAddress, generationId: number): void {
    this.#nowMs = nowMs;
    this.#own = own;
    this.#running = true;
    this.generationId = generationId;
    if (this.#config.forceLeaf) return;
    this.probeDueMs = nowMs + this.#config.probeIntervalMs;
    this.#output.sendProbe();
  }

  /** The interface is down, or DVMRP has left it: every neighbour is lost. */
  stop(nowMs: number): void {
    this.#nowMs = nowMs;
    this.#running = false;
    this.probeDueMs = NEVER;
    for (const neighbor of [...this.#neighbors.values()]) this.#handle(neighbor, 'stop');
  }

  /** Writes the Probe that is to be sent now; `out` holds 12 bytes and 4 for each of `size`. Returns the length. */
  writeProbe(out: Uint8Array): number {
    return encodeProbe(out, this.generationId, this.#heard());
  }

  /** A Probe whose header and addresses are sound. */
  heardProbe(nowMs: number, source: IpAddress, header: Header, b: Uint8Array): void {
    this.#nowMs = nowMs;
    if (!this.#listens(source)) return;
    const { major, minor, capabilities } = header;
    let probe: Probe | undefined;
    if (hasProbeBody(major, minor)) {
      const decoded = decodeProbe(b);
      if (!decoded.ok) return this.#output.dropped(decoded.error.kind, source);
      probe = decoded.value;
    }
    const traits = traitsOf(major, minor, capabilities);
    const why = this.#refusal(source, traits);
    const neighbor = this.#neighbors.get(source) ?? this.#create(source, why !== undefined);
    if (neighbor === undefined) return;
    if (why !== undefined) return this.#refuse(neighbor, why, header);
    const lists = probe !== undefined && listsNeighbor(b, probe, this.#own);
    const event = this.#probeEvent(neighbor, header, probe?.generationId, traits.handshake, lists);
    this.#handle(neighbor, event);
  }

  /** A Report whose header and addresses are sound. Returns its sender when the Report counts. */
  heardReport(nowMs: number, source: IpAddress, { major, minor }: Header): Neighbor | undefined {
    this.#nowMs = nowMs;
    if (!this.#listens(source)) return undefined;
    const known = this.#neighbors.get(source);
    if (known?.isUp) {
      this.#handle(known, 'report');
      return known;
    }
    const old = major !== OWN_MAJOR || minor !== OWN_MINOR;
    // A Report has no capabilities; an old router that cannot prune is known by its version.
    const traits = traitsOf(major, minor, 0);
    if (known !== undefined || !old || this.#refusal(source, traits) !== undefined) {
      this.#output.dropped('unknownNeighbor', source);
      return undefined;
    }
    const neighbor = this.#create(source, false);
    if (neighbor === undefined) return undefined;
    neighbor.learn(major, minor, 0, undefined);
    this.#handle(neighbor, 'report-old');
    return neighbor;
  }

  /** Sends a Probe that is due, and loses neighbours that were silent for too long. */
  timeout(nowMs: number): void {
    this.#nowMs = nowMs;
    for (const neighbor of [...this.#neighbors.values()])
      if (neighbor.expiryMs <= nowMs) this.#handle(neighbor, 'timer');
    if (this.probeDueMs > nowMs) return;
    // From the time it was due, so that Probes do not slip; after a long sleep there is one, not a burst.
    const { probeIntervalMs } = this.#config;
    this.probeDueMs += probeIntervalMs;
    if (this.probeDueMs <= nowMs) this.probeDueMs = nowMs + probeIntervalMs;
    this.#output.sendProbe();
  }

  *#heard(): IterableIterator<IpAddress> {
    for (const neighbor of this.#neighbors.values()) if (neighbor.state !== 'refused') yield neighbor.address;
  }

  #listens(source: IpAddress): boolean {
    if (this.#running && !this.#config.forceLeaf) return true;
    this.#output.dropped('leafOnly', source);
    return false;
  }

  #refusal(source: IpAddress, traits: Traits): Refusal | undefined {
    const { neighborFilter, acceptCompat, allowNonPruners } = this.#config;
    if (!admits(neighborFilter, source)) return 'denied';
    if (!traits.handshake) return acceptCompat ? undefined : 'oldVersion';
    return traits.prunes || allowNonPruners ? undefined : 'nonPruner';
  }

  /** Those who are not wanted have a limit of their own: they must not take the places of the others. */
  #create(source: IpAddress, refused: boolean, sinceMs = this.#nowMs): Neighbor | undefined {
    const taken = refused ? this.#refusedCount : this.#neighbors.size - this.#refusedCount;
    const full = taken >= this.#config.maxNeighbors;
    if (full || this.#output.isElsewhere(source)) {
      this.#output.dropped(full ? 'neighborLimit' : 'neighborElsewhere', source);
      return undefined;
    }
    const bucket = new TokenBucket(RESETS.burst, RESETS.perSecond, this.#nowMs);
    return new Neighbor(this.#ifindex, source, sinceMs, bucket);
  }

  #refuse(neighbor: Neighbor, why: Refusal, { major, minor, capabilities }: Header): void {
    const before = neighbor.refusedFor;
    neighbor.refusedFor = why;
    neighbor.learn(major, minor, capabilities, undefined);
    this.#handle(neighbor, 'refused');
    if (before !== why) this.#output.neighborRefused(neighbor, why);
  }

  /** Which event a Probe is, and takes over what it says, unless that must wait because of its frequency. */
  #probeEvent(
    neighbor: Neighbor,
    { major, minor, capabilities }: Header,
    generationId: number | undefined,
    handshake: boolean,
    lists: boolean,
  ): NeighborEvent {
    const isNew = neighbor.state === 'none';
    const differs = !isNew && neighbor.differs(major, minor, capabilities, generationId);
    const comesUp = (lists || !handshake) && (differs || !neighbor.isUp);
    neighbor.refusedFor = undefined;
    if (comesUp && neighbor.resets.take(this.#nowMs) === undefined) {
      // Not taken over: the next Probe differs again, and then there may be time for it.
      if (neighbor.isUp) return handshake ? 'probe-listing' : 'probe-old';
      return 'probe';
    }
    neighbor.learn(major, minor, capabilities, generationId);
    if (!handshake) return differs ? 'restart-old' : 'probe-old';
    if (!lists) return 'probe';
    return differs ? 'restart' : 'probe-listing';
  }

  #handle(neighbor: Neighbor, event: NeighborEvent): void {
    const before = neighbor.state;
    const step = NEIGHBOR[before][event];
    if (!step) return;
    neighbor.state = step.next;
    if (before === 'none') this.#neighbors.set(neighbor.address, neighbor);
    if (step.next === 'refused') this.#refusedCount++;
    if (before === 'refused') this.#refusedCount--;
    for (const effect of step.effects) this.#run(effect, neighbor, event);
  }

  #run(effect: NeighborEffect, neighbor: Neighbor, event: NeighborEvent): void {
    switch (effect) {
      case 'start-timer':
        neighbor.expiryMs = this.#nowMs + this.#timeoutMs(neighbor);
        return;
      case 'send-probe':
        return this.#output.sendProbe();
      case 'go-up':
        return this.#goUp(neighbor);
      case 'go-down':
        return this.#goDown(neighbor, event);
      case 'restart':
        neighbor.upSinceMs = this.#nowMs;
        neighbor.doubtSinceMs = undefined;
        this.#output.neighborRestarted(neighbor);
        return this.#output.sendTable(neighbor);
      case 'delete':
        this.#neighbors.delete(neighbor.address);
        return;
      default:
        return effect satisfies never;
    }
  }

  #timeoutMs(neighbor: Neighbor): number {
    const { neighborTimeoutMs } = this.#config;
    return neighbor.traits.probeBody ? neighborTimeoutMs : reportOnlyTimeoutMs(neighborTimeoutMs);
  }

  #goUp(neighbor: Neighbor): void {
    neighbor.upSinceMs = this.#nowMs;
    neighbor.doubtSinceMs = this.#nowMs;
    this.#output.neighborUp(neighbor);
    if (this.#upCount++ === 0) this.#output.leafChanged(false);
    this.#output.sendTable(neighbor);
  }

  /** Undoes everything that rested on the neighbour, in the order of dvmrp.md section 5.2. */
  #goDown(neighbor: Neighbor, event: NeighborEvent): void {
    const output = this.#output;
    output.loseRoutes(neighbor);
    output.reelectForwarders(neighbor);
    output.flushEntries(neighbor);
    output.dropGrafts(neighbor);
    output.dropDependencies(neighbor);
    if (--this.#upCount === 0) output.leafChanged(true);
    output.neighborDown(neighbor, event);
  }
}

/**
 * A generation id that an interface has not had: one more than last time (dvmrp.md section 4), or 32 random bits when nothing is
 * remembered. A wall clock does not do: a router without a battery comes back with the second that it had before.
 */
export function nextGenerationId(last: number | undefined, random: Random): number {
  return last === undefined ? Math.floor(random.next() * 2 ** 32) >>> 0 : (last + 1) >>> 0;
}
