/**
 * The flows that the manager has entries for, and the state of each (source network, group) that they belong to
 * (dvmrp.md section 9). Tables only; forwarding.ts decides.
 */
import type { Queued } from '../../base/deadline-heap.js';
import { type IpAddress, isAny, type Prefix, prefixOf, toU32 } from '../../base/ip.js';
import type { MembershipKey } from '../../mgm/client.js';
import type { Ifindex } from '../../port/kernel.js';
import { UpstreamRecord } from './graft-state.js';
import { PruneCounts, ReceivedPrunes } from './prune-state.js';
import { Wishes } from './wishes.js';

/** One (S,G) with an entry. */
export class Flow implements MembershipKey {
  /**
   * Whether it leaves by an interface of ours, as the manager has been told. Where the manager has not asked yet nothing is
   * told: while an interface changes hands, hosts are not known yet.
   */
  readonly told = new Map<Ifindex, boolean>();
  /** What it belongs to; undefined: no route covers the source. Only `Branch` and the table write it. */
  branch: Branch | undefined;
  /** Packets on the right interface at the last look. */
  packets = 0;
  /** The group is asked for elsewhere on behalf of this flow (coexistence.md section 6). */
  pulls: Ifindex | undefined;
  #iif: Ifindex;
  #empty = true;
  #dataMs: number;

  constructor(
    readonly source: IpAddress,
    readonly group: IpAddress,
    iif: Ifindex,
    nowMs: number,
  ) {
    this.#iif = iif;
    this.#dataMs = nowMs;
  }

  get iif(): Ifindex {
    return this.#iif;
  }

  set iif(iif: Ifindex) {
    this.#change(() => (this.#iif = iif));
  }

  /** It leaves by no interface, of whatever owner. */
  get empty(): boolean {
    return this.#empty;
  }

  set empty(empty: boolean) {
    if (empty !== this.#empty) this.#change(() => (this.#empty = empty));
  }

  /** When there had come some packets at the last look. */
  get dataMs(): number {
    return this.#dataMs;
  }

  dataCame(nowMs: number): void {
    this.#dataMs = nowMs;
    this.branch?.heard(this);
  }

  #change(set: () => void): void {
    if (!this.#empty) this.branch?.count(this, -1);
    set();
    if (!this.#empty) this.branch?.count(this, 1);
  }
}

/** Flows looked at for the one with the latest data, when that has gone. */
const LOOKS = 64;

/** The state of one (source network, group): a branch of the delivery tree that is pruned and grafted as one. */
export class Branch implements Queued {
  readonly flows = new Set<Flow>();
  readonly received: ReceivedPrunes;
  readonly upstream = new UpstreamRecord();
  queuedMs = 0;
  heapIndex = -1;
  /** Flows that leave somewhere, by where they come in. */
  readonly #leaving = new Map<Ifindex, number>();
  /** That with the latest data. */
  #latest: Flow | undefined;
  /** Where the next look at the counters of many flows begins. */
  #looks: Iterator<Flow, undefined> | undefined;

  constructor(
    readonly prefix: Prefix,
    readonly group: IpAddress,
    prunes: PruneCounts,
  ) {
    this.received = new ReceivedPrunes(prunes);
  }

  get dueMs(): number {
    return Math.min(this.received.earliestMs, this.upstream.dueMs);
  }

  /** Nothing is left that would have to be remembered. */
  get idle(): boolean {
    return this.flows.size === 0 && this.received.size === 0 && this.upstream.state === 'none';
  }

  /** Whether some flow that comes in there leaves somewhere. */
  leaves(iif: Ifindex | undefined): boolean {
    return iif !== undefined && this.#leaving.has(iif);
  }

  /** The flow that had data last; of very many perhaps one of the others, when that has gone. */
  get latest(): Flow | undefined {
    if (this.#latest) return this.#latest;
    let looks = LOOKS;
    for (const flow of this.flows) {
      if (looks-- === 0) break;
      this.heard(flow);
    }
    return this.#latest;
  }

  add(flow: Flow): void {
    flow.branch = this;
    this.flows.add(flow);
    if (!flow.empty) this.count(flow, 1);
    if (this.#latest) this.heard(flow);
  }

  delete(flow: Flow): void {
    flow.branch = undefined;
    this.flows.delete(flow);
    if (!flow.empty) this.count(flow, -1);
    if (flow === this.#latest) this.#latest = undefined;
  }

  heard(flow: Flow): void {
    if (!this.#latest || flow.dataMs > this.#latest.dataMs) this.#latest = flow;
  }

  count({ iif }: Flow, change: 1 | -1): void {
    const leaving = (this.#leaving.get(iif) ?? 0) + change;
    if (leaving > 0) this.#leaving.set(iif, leaving);
    else this.#leaving.delete(iif);
  }

  /** Up to `count` flows; of more than that others each time. */
  *some(count: number): Generator<Flow> {
    if (this.flows.size <= count) return yield* [...this.flows];
    for (let left = count; left > 0; left--) {
      this.#looks ??= this.flows.values();
      const step: IteratorResult<Flow, undefined> = this.#looks.next();
      if (step.done) this.#looks = undefined;
      else yield step.value;
    }
  }
}

export function prefixKey({ network, length }: Prefix): number {
  return toU32(network) * 64 + length;
}

export class FlowTable {
  readonly prunes = new PruneCounts();
  /** Of other components. */
  readonly wishes = new Wishes();
  /** Flows that no route covers. */
  readonly homeless = new Set<Flow>();
  readonly #flows = new Map<IpAddress, Map<IpAddress, Flow>>();
  readonly #branches = new Map<IpAddress, Map<number, Branch>>();
  #branchCount = 0;
  readonly #byPrefix = new Map<number, Set<Branch>>();

  flow(source: IpAddress, group: IpAddress): Flow | undefined {
    return this.#flows.get(group)?.get(source);
  }

  addFlow(flow: Flow): void {
    const sources = this.#flows.get(flow.group);
    if (sources) sources.set(flow.source, flow);
    else this.#flows.set(flow.group, new Map([[flow.source, flow]]));
    this.homeless.add(flow);
    this.wishes.flowCame(flow);
  }

  deleteFlow(flow: Flow): void {
    const { source, group } = flow;
    const sources = this.#flows.get(group);
    sources?.delete(source);
    if (sources?.size === 0) this.#flows.delete(group);
    this.homeless.delete(flow);
    this.wishes.flowWent(flow);
  }

  /** Puts the flow under a branch, or under none. */
  move(flow: Flow, branch: Branch | undefined): void {
    flow.branch?.delete(flow);
    if (branch) this.homeless.delete(flow);
    else this.homeless.add(flow);
    branch?.add(flow);
  }

  /** Everything goes at once; nobody may work on a part of it any more. */
  clear(): void {
    this.homeless.clear();
    this.#flows.clear();
    this.#branches.clear();
    this.#byPrefix.clear();
    this.#branchCount = 0;
  }

  /** Those a key speaks about: one, those of a group, or all. */
  *flows({ source, group }: MembershipKey): Generator<Flow> {
    if (isAny(group)) {
      for (const sources of this.#flows.values()) yield* sources.values();
    } else if (isAny(source)) {
      yield* this.#flows.get(group)?.values() ?? [];
    } else {
      const flow = this.flow(source, group);
      if (flow) yield flow;
    }
  }

  branch(prefix: Prefix, group: IpAddress): Branch | undefined {
    return this.#branches.get(group)?.get(prefixKey(prefix));
  }

  /** Made where there is none. */
  branchFor(prefix: Prefix, group: IpAddress): Branch {
    let branches = this.#branches.get(group);
    if (!branches) this.#branches.set(group, (branches = new Map<number, Branch>()));
    const key = prefixKey(prefix);
    let branch = branches.get(key);
    if (branch) return branch;
    this.#branchCount++;
    branches.set(key, (branch = new Branch(prefix, group, this.prunes)));
    const same = this.#byPrefix.get(key);
    if (same) same.add(branch);
    else this.#byPrefix.set(key, new Set([branch]));
    return branch;
  }

  deleteBranch(branch: Branch): void {
    const { prefix, group } = branch;
    const key = prefixKey(prefix);
    const branches = this.#branches.get(group);
    // Whoever works on one that has gone meanwhile must not take out its successor.
    if (branches?.get(key) !== branch) return;
    branches.delete(key);
    this.#branchCount--;
    if (branches.size === 0) this.#branches.delete(group);
    const same = this.#byPrefix.get(key);
    same?.delete(branch);
    if (same?.size === 0) this.#byPrefix.delete(key);
  }

  get branchCount(): number {
    return this.#branchCount;
  }

  /** Those of one group, or with the wildcard all. */
  *branches(group: IpAddress): Generator<Branch> {
    if (!isAny(group)) yield* this.#branches.get(group)?.values() ?? [];
    else for (const branches of this.#branches.values()) yield* branches.values();
  }

  /** Those of exactly this source network. */
  branchesOf(prefix: Prefix): Iterable<Branch> {
    return this.#byPrefix.get(prefixKey(prefix)) ?? [];
  }

  /** Those of wider source networks. */
  *branchesAbove({ network, length }: Prefix): Generator<Branch> {
    for (let wider = length - 1; wider >= 0; wider--) yield* this.branchesOf(prefixOf(network, wider));
  }

  /** Those of one group whose network holds the source. */
  *branchesWith(source: IpAddress, group: IpAddress): Generator<Branch> {
    if (!this.#branches.has(group)) return;
    for (let length = 32; length >= 0; length--) {
      const branch = this.branch(prefixOf(source, length), group);
      if (branch) yield branch;
    }
  }
}
