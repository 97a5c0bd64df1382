/**
 * What each branch asks of its upstream router: a prune when nothing of it is wanted, a graft when something is again
 * (dvmrp.md sections 10.3, 10.4, 11.2, 11.4 and 8.4). Every change of an input ends in `reconsider`.
 */
import { DeadlineHeap } from '../../base/deadline-heap.js';
import type { IpAddress } from '../../base/ip.js';
import type { MembershipKey } from '../../mgm/client.js';
import type { Ifindex } from '../../port/kernel.js';
import type { Random } from '../../port/random.js';
import type { Branch, Flow, FlowTable } from './flows.js';
import { randomLifetimeMs, sameUpstream, type Upstream } from './graft-state.js';
import type { LocalMembers } from './members.js';
import type { SavedRequest } from '../saved-state.js';
import type { DeliveryRoute, ForwardingConfig, ForwardingOutput, Surroundings } from '../surroundings.js';

/** Data this recent is worth a prune when the last output goes (dvmrp.md section 10.3). */
const RECENT_MS = 30_000;
/** Flows of a branch whose counters are read at a time; each is a system call. */
const SAMPLES = 64;

export interface PruningParts {
  readonly around: Surroundings;
  readonly output: ForwardingOutput;
  readonly config: ForwardingConfig;
  readonly random: Random;
  readonly table: FlowTable;
  readonly members: LocalMembers;
  /** The manager has no entry for the flow any more. */
  readonly drop: (flow: Flow) => void;
}

export class Pruning {
  readonly #parts: PruningParts;
  readonly #deadlines = new DeadlineHeap<Branch>();

  constructor(parts: PruningParts) {
    this.#parts = parts;
  }

  get nextDeadlineMs(): number {
    return this.#deadlines.earliestMs;
  }

  /** The next branch that something is due for, taken out of the queue. */
  takeDue(nowMs: number): Branch | undefined {
    const due = this.#deadlines.first;
    if (!due || due.queuedMs > nowMs) return undefined;
    this.#deadlines.remove(due);
    return due;
  }

  clear(): void {
    this.#deadlines.clear();
    this.#parts.table.wishes.clear();
  }

  /** What an earlier life of ours had asked of the upstream router. */
  goOn(nowMs: number, { upstream }: Branch, to: Upstream, { state, source, expiresMs }: SavedRequest): void {
    if (state === 'grafting') return upstream.goOnGrafting(nowMs, source, to);
    upstream.goOnPruned(nowMs, source, to, expiresMs, this.#parts.random);
    if (!this.#parts.config.pruneRetransmit) upstream.stay();
  }

  /** Groups that other components want. */
  get wishedGroups(): Iterable<IpAddress> {
    return this.#parts.table.wishes.groups();
  }

  wish(key: MembershipKey, wanted: boolean): void {
    const { table } = this.#parts;
    if (wanted) table.wishes.add(key, table.flow(key.source, key.group) !== undefined);
    else table.wishes.delete(key);
  }

  /** Prune or graft, whichever the branch needs now. */
  reconsider(nowMs: number, branch: Branch | undefined): void {
    if (!branch) return;
    const { around } = this.#parts;
    const route = around.routeFor(branch.prefix);
    const to = upstreamOf(route);
    const { upstream } = branch;
    // A new upstream knows nothing of what was asked of the old one (dvmrp.md section 7.5), a lost one can do nothing (5.2).
    if (upstream.state !== 'none' && !sameUpstream(upstream.to, to)) upstream.reset();
    if (route && to) {
      if (this.isWanted(branch, route)) this.graft(nowMs, branch);
      else if (upstream.state !== 'pruned') this.#prune(nowMs, branch, to);
    }
    this.queue(branch);
    this.forgetIdle(branch);
  }

  forgetIdle(branch: Branch): void {
    if (!branch.idle) return;
    this.#deadlines.remove(branch);
    this.#parts.table.deleteBranch(branch);
  }

  queue(branch: Branch): void {
    const { dueMs } = branch;
    if (dueMs === Number.POSITIVE_INFINITY) this.#deadlines.remove(branch);
    else if (branch.heapIndex >= 0 && branch.queuedMs < dueMs) this.#deadlines.postpone(branch, dueMs);
    else this.#deadlines.noLaterThan(branch, dueMs);
  }

  /** A message is due again. */
  repeat(nowMs: number, branch: Branch): void {
    const { upstream, group, prefix } = branch;
    const { to, source } = upstream;
    if (!to || source === undefined) return upstream.reset();
    if (upstream.isVainGuess && upstream.state === 'grafting') return upstream.reset();
    if (upstream.state === 'grafting') {
      upstream.graftAgain(nowMs);
      return this.#parts.output.sendGraft(to, { source, group }, prefix);
    }
    this.sample(nowMs, branch);
    const dataCame = (branch.latest?.dataMs ?? 0) > upstream.sentMs;
    if (!upstream.pruneAgain(nowMs, dataCame, this.#parts.random)) return;
    this.#parts.output.sendPrune(to, { source, group, lifetimeMs: upstream.remainingMs(nowMs) }, prefix);
  }

  /** Some flow leaves somewhere, or would if there were data. */
  isWanted(branch: Branch, route: DeliveryRoute): boolean {
    return branch.leaves(route.iif) || this.#wouldLeave(branch, route) || this.#isWantedElsewhere(branch);
  }

  #wouldLeave(branch: Branch, route: DeliveryRoute): boolean {
    const { group, prefix } = branch;
    if (route.iif === undefined || !this.#parts.around.passes(route.iif, group)) return false;
    for (const ifindex of this.#parts.around.interfaces()) {
      if (ifindex === route.iif || !this.#parts.around.passes(ifindex, group)) continue;
      if (dependentsWant(branch, route, ifindex)) return true;
      if (this.#parts.members.wantsSome(ifindex, prefix, group) && route.isDesignated(ifindex)) return true;
    }
    return false;
  }

  /** A source of the network that another component wants and that has no entry to tell. */
  #isWantedElsewhere({ group, prefix, flows }: Branch): boolean {
    const { wishes } = this.#parts.table;
    return (flows.size === 0 && wishes.wantsAny(group)) || wishes.waitsFor(prefix, group);
  }

  /** Tells the upstream that nobody here wants the flow (dvmrp.md section 10.3). */
  #prune(nowMs: number, branch: Branch, to: Upstream): void {
    const { upstream, group, prefix } = branch;
    const { latest } = branch;
    if (!latest || nowMs - latest.dataMs > RECENT_MS || !this.#parts.around.canPrune(to)) return;
    const { source } = latest;
    const longestMs = branch.received.earliestMs - nowMs;
    const lifetimeMs = Math.min(randomLifetimeMs(this.#parts.config.pruneLifetimeMs, this.#parts.random), longestMs);
    if (!upstream.prune(nowMs, source, to, lifetimeMs, this.#parts.random)) return;
    if (!this.#parts.config.pruneRetransmit) upstream.stay();
    this.sample(nowMs, branch);
    this.#parts.output.sendPrune(to, { source, group, lifetimeMs }, prefix);
  }

  /** Only where a prune of ours is in force (dvmrp.md section 11.2). */
  graft(nowMs: number, branch: Branch): void {
    const { upstream, group, prefix } = branch;
    const { to, source } = upstream;
    if (upstream.state !== 'pruned' || !to || source === undefined) return;
    upstream.graft(nowMs);
    this.#parts.output.sendGraft(to, { source, group }, prefix);
    this.queue(branch);
  }

  /** For a prune that we do not know of. */
  graftUnknown(nowMs: number, branch: Branch, source: IpAddress, to: Upstream): void {
    branch.upstream.graftUnknown(nowMs, source, to);
    this.#parts.output.sendGraft(to, { source, group: branch.group }, branch.prefix);
    this.queue(branch);
  }

  /** Reads the counters, of very many flows those of some: which have had data since the last look. */
  sample(nowMs: number, branch: Branch): void {
    for (const flow of branch.some(SAMPLES)) this.look(nowMs, flow);
  }

  look(nowMs: number, flow: Flow): void {
    const packets = this.#parts.output.packets(flow);
    if (packets === undefined) return this.#parts.drop(flow);
    if (packets > flow.packets) flow.dataCame(nowMs);
    flow.packets = packets;
  }
}

/** Somebody depends on us there and has not pruned: the source, or without one the whole network. */
export function dependentsWant(branch: Branch, route: DeliveryRoute, ifindex: Ifindex, source?: IpAddress): boolean {
  for (const neighbor of route.dependents(ifindex)) if (!branch.received.covers(ifindex, neighbor, source)) return true;
  return false;
}

function upstreamOf(route: DeliveryRoute | undefined): Upstream | undefined {
  if (route?.iif === undefined || route.upstream === undefined) return undefined;
  return { ifindex: route.iif, neighbor: route.upstream };
}
