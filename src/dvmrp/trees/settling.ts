/**
 * Which flows leave by which interfaces, decided anew wherever an input changed (dvmrp.md section 8.2), in slices: what one
 * message touches may be twenty thousand flows. The manager is told of what differs, and the upstream thought of at the end.
 */
import { ANY4, type IpAddress, isAny, type Prefix } from '../../base/ip.js';
import { Lpm, NO_MATCH } from '../../base/lpm.js';
import type { MembershipKey } from '../../mgm/client.js';
import type { Ifindex } from '../../port/kernel.js';
import { type Branch, type Flow, type FlowTable, prefixKey } from './flows.js';
import type { LocalMembers } from './members.js';
import type { ReceivedPrune } from './prune-state.js';
import { dependentsWant, type Pruning } from './pruning.js';
import type { ForwardingOutput, Surroundings } from '../surroundings.js';
import { Work } from '../work.js';

/** Branches or flows that are only looked at, per step of `Work`. */
const LOOKS_PER_STEP = 16;

export interface SettlingParts {
  readonly around: Surroundings;
  readonly output: ForwardingOutput;
  readonly table: FlowTable;
  readonly members: LocalMembers;
  readonly pruning: Pruning;
  /** Puts the flow where its longest route says. True: it was elsewhere. */
  readonly attach: (flow: Flow) => boolean;
  /** The manager has no entry for the flow any more. */
  readonly drop: (flow: Flow) => void;
}

export class Settling {
  readonly #parts: SettlingParts;
  readonly #work = new Work();
  /** Prefixes that wait for `#followRoutes`. */
  readonly #changed = new Map<number, Prefix>();
  /** Interfaces that flows are about to forget. */
  readonly #gone = new Map<Ifindex, Generator<void>>();

  constructor(parts: SettlingParts) {
    this.#parts = parts;
  }

  get nextDeadlineMs(): number {
    return this.#work.nextDeadlineMs;
  }

  /** Of the last look at the clock. */
  get nowMs(): number {
    return this.#work.nowMs;
  }

  timeout(nowMs: number): void {
    this.#work.run(nowMs);
  }

  clear(): void {
    this.#work.clear();
    this.#changed.clear();
  }

  /** Other components want the key from now on. */
  keyWanted(nowMs: number, key: MembershipKey): void {
    this.#work.add(nowMs, `wanted ${key.source} ${key.group}`, () => this.#wanted(key));
  }

  keyUnwanted(nowMs: number, key: MembershipKey): void {
    this.#work.add(nowMs, `unwanted ${key.source} ${key.group}`, () => this.#unwanted(key));
    this.reconsiderGroup(nowMs, key.group);
  }

  /** Routes for these prefixes came, went, or changed in any respect. */
  routesChanged(nowMs: number, prefixes: Iterable<Prefix>): void {
    for (const prefix of prefixes) this.#changed.set(prefixKey(prefix), prefix);
    if (this.#changed.size > 0) this.#work.add(nowMs, 'routes', () => this.#followRoutes());
  }

  /** What may pass an interface is another thing now. */
  settleEverything(nowMs: number): void {
    this.#work.add(nowMs, 'interfaces', () => this.#settlingEverything());
  }

  /** An interface is not ours any more: flows that came in there go, the others forget it, each in its turn. */
  forgetInterface(nowMs: number, ifindex: Ifindex): void {
    const flows = this.#forgetting(ifindex);
    this.#gone.set(ifindex, flows);
    this.#work.add(nowMs, flows, () => flows);
  }

  /** The interface comes back before every flow has had its turn. */
  endForgetting(ifindex: Ifindex): void {
    const flows = this.#gone.get(ifindex);
    while (flows && !flows.next().done);
  }

  /** Looks at the counters of every flow. */
  sweep(nowMs: number): void {
    this.#work.add(nowMs, 'sweep', () => this.#sweeping());
  }

  /** These prunes of the branch have ended. */
  settleAfter(nowMs: number, branch: Branch, ended: readonly ReceivedPrune[]): void {
    if (ended.some(({ host }) => host === undefined)) return this.settleBranch(nowMs, branch);
    this.#work.add(nowMs, ended, () => this.#settlingHosts(branch, ended));
  }

  *#wanted({ source, group }: MembershipKey): Generator<void> {
    for (const branch of isAny(source)
      ? this.#parts.table.branches(group)
      : this.#parts.table.branchesWith(source, group)) {
      if (branch.flows.size === 0) this.#parts.pruning.graft(this.#work.nowMs, branch);
      for (const flow of branch.flows) {
        this.look(flow);
        yield;
      }
      this.#parts.pruning.reconsider(this.#work.nowMs, branch);
      yield;
    }
  }

  *#unwanted(key: MembershipKey): Generator<void> {
    for (const flow of this.#parts.table.flows(key)) {
      this.look(flow);
      yield;
    }
  }

  /** Flows find their place again where the longest match may be another one now, then the branches of these networks settle. */
  *#followRoutes(): Generator<void> {
    const prefixes = [...this.#changed.values()];
    this.#changed.clear();
    const changed = new Lpm();
    const concerned = new Set<Branch>();
    for (const [n, prefix] of prefixes.entries()) {
      changed.insert(prefix, 0);
      for (const branch of this.#parts.table.branchesOf(prefix)) concerned.add(branch);
      for (const branch of this.#parts.table.branchesAbove(prefix)) concerned.add(branch);
      if (n % LOOKS_PER_STEP === 0) yield;
    }
    for (const { flows } of concerned) yield* this.#findPlaces(flows, changed);
    yield* this.#findPlaces(this.#parts.table.homeless, changed);
    for (const prefix of prefixes) {
      for (const branch of this.#parts.table.branchesOf(prefix)) this.settleBranch(this.#work.nowMs, branch);
      yield;
    }
  }

  *#findPlaces(flows: Iterable<Flow>, changed: Lpm): Generator<void> {
    let looks = 0;
    for (const flow of flows) {
      const moved = changed.lookup(flow.source) !== NO_MATCH && this.#parts.attach(flow);
      if (moved && this.settle(flow)) this.#parts.pruning.reconsider(this.#work.nowMs, flow.branch);
      if (moved || ++looks % LOOKS_PER_STEP === 0) yield;
    }
  }

  *#forgetting(ifindex: Ifindex): Generator<void> {
    const { table, drop } = this.#parts;
    let looks = 0;
    for (const flow of [...table.flows({ source: ANY4, group: ANY4 })]) {
      if (table.flow(flow.source, flow.group) !== flow) continue;
      flow.told.delete(ifindex);
      if (flow.pulls === ifindex) flow.pulls = undefined;
      if (flow.iif === ifindex) drop(flow);
      if (++looks % LOOKS_PER_STEP === 0) yield;
    }
    this.#gone.delete(ifindex);
  }

  *#settlingEverything(): Generator<void> {
    for (const branch of this.#parts.table.branches(ANY4)) yield* this.#settling(branch);
    for (const flow of this.#parts.table.homeless) {
      this.settle(flow);
      yield;
    }
  }

  *#sweeping(): Generator<void> {
    for (const branch of this.#parts.table.branches(ANY4)) {
      for (const flow of branch.flows) {
        this.#parts.pruning.look(this.#work.nowMs, flow);
        yield;
      }
      this.#parts.pruning.reconsider(this.#work.nowMs, branch);
      yield;
    }
    for (const flow of this.#parts.table.homeless) {
      this.look(flow);
      yield;
    }
  }

  *#settlingHosts(branch: Branch, ended: readonly ReceivedPrune[]): Generator<void> {
    for (const { host } of ended) {
      this.#settleHost(branch, host);
      yield;
    }
    this.#parts.pruning.reconsider(this.#work.nowMs, branch);
  }

  /** Whether a flow leaves by an interface of ours (dvmrp.md section 8.2). */
  #leaves({ source, group, branch, iif }: Flow, ifindex: Ifindex): boolean {
    if (ifindex === iif || !this.#parts.around.passes(ifindex, group)) return false;
    const route = branch && this.#parts.around.routeFor(branch.prefix);
    if (branch && route && dependentsWant(branch, route, ifindex, source)) return true;
    return this.#parts.members.wants(ifindex, source, group) && (route?.isDesignated(ifindex) ?? true);
  }

  /** Notes what the manager will be told in answer to its question. */
  decide(flow: Flow, ifindex: Ifindex): boolean {
    const on = this.#leaves(flow, ifindex);
    flow.told.set(ifindex, on);
    return on;
  }

  /** Those a key speaks about. */
  settleAll(nowMs: number, key: MembershipKey): void {
    this.#work.add(nowMs, `members ${key.source} ${key.group}`, () => this.#settlingAll(key));
  }

  *#settlingAll(key: MembershipKey): Generator<void> {
    for (const flow of this.#parts.table.flows(key)) {
      if (this.settle(flow)) this.#parts.pruning.reconsider(this.#work.nowMs, flow.branch);
      yield;
    }
  }

  /** Tells the manager what differs. True: something did, and the upstream is to be thought of. */
  settle(flow: Flow): boolean {
    let changed = false;
    for (const ifindex of this.#parts.around.interfaces()) {
      const was = flow.told.get(ifindex);
      if (ifindex === flow.iif || was === undefined) continue;
      const on = this.decide(flow, ifindex);
      if (on === was) continue;
      changed = true;
      this.#parts.output.forward(flow, ifindex, on);
    }
    if (changed) this.look(flow);
    return changed;
  }

  settleBranch(nowMs: number, branch: Branch): void {
    this.#work.add(nowMs, branch, () => this.#settling(branch));
  }

  /** A prune of a host is about one flow, any other about all. */
  settleFor(nowMs: number, branch: Branch, host: IpAddress | undefined): void {
    if (host === undefined) return this.settleBranch(nowMs, branch);
    this.#settleHost(branch, host);
    this.#parts.pruning.reconsider(nowMs, branch);
  }

  #settleHost({ group }: Branch, host: IpAddress | undefined): void {
    const flow = host === undefined ? undefined : this.#parts.table.flow(host, group);
    if (flow) this.settle(flow);
  }

  *#settling(branch: Branch): Generator<void> {
    const route = this.#parts.around.routeFor(branch.prefix);
    branch.received.retain(
      (ifindex, neighbor) =>
        route !== undefined && ifindex !== route.iif && includes(route.dependents(ifindex), neighbor),
    );
    yield;
    for (const flow of branch.flows) {
      this.settle(flow);
      yield;
    }
    this.#parts.pruning.reconsider(this.#work.nowMs, branch);
  }

  reconsiderGroup(nowMs: number, group: IpAddress): void {
    this.#work.add(nowMs, `group ${group}`, () => this.#reconsidering(group));
  }

  *#reconsidering(group: IpAddress): Generator<void> {
    for (const branch of this.#parts.table.branches(group)) {
      this.#parts.pruning.reconsider(this.#work.nowMs, branch);
      yield;
    }
  }

  everyBranch(nowMs: number, subject: string, visit: (branch: Branch) => void): void {
    this.#work.add(nowMs, subject, () => this.#visiting(visit));
  }

  *#visiting(visit: (branch: Branch) => void): Generator<void> {
    let looks = 0;
    for (const branch of this.#parts.table.branches(ANY4)) {
      visit(branch);
      if (++looks % LOOKS_PER_STEP === 0) yield;
    }
  }

  /** Asks the manager whether the entry leaves by any interface at all. */
  look(flow: Flow): void {
    const outputs = this.#parts.output.hasOutputs(flow);
    if (outputs === undefined) this.#parts.drop(flow);
    else flow.empty = !outputs;
  }
}

function includes(some: Iterable<IpAddress>, wanted: IpAddress): boolean {
  for (const one of some) if (one === wanted) return true;
  return false;
}
