/**
 * Which flows leave by which of our interfaces, and what that asks of the upstream router: the outgoing lists of
 * dvmrp.md section 8.2, prunes received and sent (10), grafts (11), entries that go while a prune lives on (8.4).
 *
 * Every event changes one of the inputs (a route, a dependent, a prune, a member) and ends in `#settle`, which computes the
 * interfaces of a flow anew and tells the manager of the difference. Whether the flow leaves the router at all is the
 * manager's to know, because other protocols have interfaces too; from that follows prune or graft in `Pruning.reconsider`.
 */
import { ANY4, type IpAddress, ipv4, isAny, maskOf, type Prefix, prefixContains, toU32 } from '../base/ip.js';
import { Lpm, NO_MATCH } from '../base/lpm.js';
import type { MembershipKey } from '../mgm/client.js';
import type { Ifindex } from '../port/kernel.js';
import type { Random } from '../port/random.js';
import { Doubts } from './doubts.js';
import { type Branch, Flow, FlowTable } from './flows.js';
import type { Graft } from './graft.js';
import { sameUpstream, type Upstream } from './graft-state.js';
import { LocalMembers } from './members.js';
import { acceptedLifetimeMs, type Prune } from './prune.js';
import { dependentsWant, Pruning } from './pruning.js';
import { Pulls } from './pulls.js';
import type { SavedPrune, SavedRequest } from './saved-state.js';
import type { DeliveryRoute, ForwardingConfig, ForwardingOutput, Surroundings } from './surroundings.js';

/** Why a received prune changes nothing; names of counters. */
export type PruneDrop =
  | 'noRoute'
  | 'wrongMask'
  | 'noState'
  | 'notDependent'
  | 'onIncoming'
  | 'outOfScope'
  | 'shortLifetime';

const HOST_LENGTH = 32;

export class Forwarding {
  readonly members = new LocalMembers();
  readonly #around: Surroundings;
  readonly #output: ForwardingOutput;
  readonly #config: ForwardingConfig;
  readonly #table = new FlowTable();
  readonly #pruning: Pruning;
  readonly #pulls: Pulls;
  readonly #doubts: Doubts;

  constructor(around: Surroundings, output: ForwardingOutput, config: ForwardingConfig, random: Random) {
    this.#around = around;
    this.#output = output;
    this.#config = config;
    const drop = (flow: Flow): void => this.#drop(flow);
    const { members } = this;
    this.#pruning = new Pruning({ around, output, config, random, table: this.#table, members, drop });
    this.#doubts = new Doubts({
      around,
      table: this.#table,
      groups: () => this.#wantedGroups(),
      isWanted: (branch, route) => this.#pruning.isWanted(branch, route),
      graft: (nowMs, branch, source, to) => this.#pruning.graftUnknown(nowMs, branch, source, to),
      forget: (branch) => this.#pruning.forgetIdle(branch),
    });
    this.#pulls = new Pulls((ifindex, group, wanted) => output.pull(ifindex, group, wanted));
  }

  get pulls(): Pulls {
    return this.#pulls;
  }

  get nextDeadlineMs(): number {
    return Math.min(this.#pruning.nextDeadlineMs, this.#doubts.nextDeadlineMs);
  }

  branches(): Iterable<Branch> {
    return this.#table.branches(ANY4);
  }

  // What the manager asks and tells

  /** The flow comes in by this interface of ours; there is an entry for it, or there will be one in a moment. */
  incoming(nowMs: number, { source, group }: MembershipKey, iif: Ifindex, dataCame: boolean): void {
    const flow = this.#table.flow(source, group) ?? this.#newFlow(nowMs, source, group, iif);
    flow.iif = iif;
    if (dataCame) flow.dataMs = nowMs;
    this.#attach(flow);
    this.#pull(flow);
  }

  /** Of these interfaces of ours, those that the flow must not leave by. The entry is about to be made or written. */
  vetoes(nowMs: number, key: MembershipKey, iif: Ifindex, asked: readonly Ifindex[]): readonly Ifindex[] {
    const flow = this.#table.flow(key.source, key.group) ?? this.#newFlow(nowMs, key.source, key.group, iif);
    flow.iif = iif;
    this.#attach(flow);
    this.#pull(flow);
    return asked.filter((ifindex) => !this.#decide(flow, ifindex));
  }

  /** D-LJ-2: a member has come; of these entries, those that must not leave there for all that. */
  memberJoined(
    nowMs: number,
    ifindex: Ifindex,
    key: MembershipKey,
    entries: readonly MembershipKey[],
  ): readonly MembershipKey[] {
    this.members.add(ifindex, key);
    const refused = entries.filter(({ source, group }) => {
      const flow = this.#table.flow(source, group);
      return flow !== undefined && !this.#decide(flow, ifindex);
    });
    this.#pruning.reconsiderGroup(nowMs, key.group);
    this.#doubts.wanted(nowMs, key);
    return refused;
  }

  memberLeft(nowMs: number, ifindex: Ifindex, key: MembershipKey): void {
    this.members.delete(ifindex, key);
    this.#settleAll(nowMs, key);
    this.#pruning.reconsiderGroup(nowMs, key.group);
  }

  memberRefuses(nowMs: number, ifindex: Ifindex, key: MembershipKey, refused: boolean): void {
    this.members.refuse(ifindex, key, refused);
    this.#settleAll(nowMs, key);
  }

  /** An entry that comes in by us leaves somewhere now; by another component's doing. */
  entryWanted(nowMs: number, { source, group }: MembershipKey): void {
    const flow = this.#table.flow(source, group);
    if (!flow) return;
    flow.empty = false;
    this.#pruning.reconsider(nowMs, flow.branch);
  }

  /** An entry that comes in by us leaves nowhere. Returns for how long it may be forgotten, undefined: as usual. */
  entryUnwanted(nowMs: number, { source, group }: MembershipKey): number | undefined {
    const flow = this.#table.flow(source, group);
    if (!flow?.branch) return undefined;
    flow.empty = true;
    this.#pruning.reconsider(nowMs, flow.branch);
    const remainingMs = flow.branch.upstream.remainingMs(nowMs);
    return remainingMs > 0 ? remainingMs : undefined;
  }

  /** Other components want the key from now on: what was pruned for it is grafted, entry or not. */
  keyWanted(nowMs: number, key: MembershipKey): void {
    if (!isAny(key.group)) this.#pruning.wish(key, true);
    this.#doubts.wanted(nowMs, key);
    for (const branch of [...this.#table.branches(key.group)]) {
      if (!isAny(key.source) && !prefixContains(branch.prefix, key.source)) continue;
      if (branch.flows.size === 0) this.#pruning.graft(nowMs, branch);
      for (const flow of [...branch.flows]) this.#look(flow);
      this.#pruning.reconsider(nowMs, branch);
    }
  }

  keyUnwanted(nowMs: number, key: MembershipKey): void {
    if (!isAny(key.group)) this.#pruning.wish(key, false);
    for (const flow of [...this.#table.flows(key)]) this.#look(flow);
    this.#pruning.reconsiderGroup(nowMs, key.group);
  }

  entryGone({ source, group }: MembershipKey): void {
    const flow = this.#table.flow(source, group);
    if (flow) this.#drop(flow);
  }

  // What neighbours say; the caller knows them to be two-way

  /** Section 10.2 from step 3 on. */
  pruneReceived(nowMs: number, from: Upstream, prune: Prune, maskLength: number | undefined): PruneDrop | undefined {
    const { ifindex, neighbor } = from;
    const route = this.#routeMeant(prune.source, maskLength);
    if (route === undefined) return maskLength === undefined ? 'noRoute' : 'wrongMask';
    const branch = this.#table.branch(route.prefix, prune.group);
    const host = maskLength === HOST_LENGTH && route.prefix.length < HOST_LENGTH ? prune.source : undefined;
    if (!branch || branch.flows.size === 0) return 'noState';
    if (host !== undefined && !this.#table.flow(host, prune.group)) return 'noState';
    if (route.iif === ifindex) return 'onIncoming';
    if (!this.#around.passes(ifindex, prune.group)) return 'outOfScope';
    if (!includes(route.dependents(ifindex), neighbor)) return 'notDependent';
    const lifetimeMs = acceptedLifetimeMs(prune.lifetimeMs, this.#config.maxReceivedPruneMs);
    if (lifetimeMs === undefined) return 'shortLifetime';
    branch.received.set(ifindex, neighbor, host, nowMs + lifetimeMs);
    this.#settleBranch(nowMs, branch);
    return undefined;
  }

  /** Section 11.3 from step 4 on; the acknowledgement is the caller's. */
  graftReceived(nowMs: number, { ifindex, neighbor }: Upstream, graft: Graft, maskLength: number | undefined): void {
    const route = this.#routeMeant(graft.source, maskLength);
    if (!route) return;
    const branch = this.#table.branch(route.prefix, graft.group);
    // No prune of its is known, and perhaps none of ours either.
    if (!branch || branch.upstream.state === 'none') this.#doubts.wanted(nowMs, hostOf(graft, route));
    if (!branch) return;
    const host = maskLength === HOST_LENGTH ? graft.source : undefined;
    branch.received.retain(
      (one) => one.neighbor !== neighbor || one.ifindex !== ifindex || (host !== undefined && one.host !== host),
    );
    this.#settleBranch(nowMs, branch);
  }

  /** Section 11.4. True: a graft was pending for it. */
  ackReceived(from: Upstream, { source, group }: Graft): boolean {
    for (const branch of this.#table.branches(group)) {
      if (!branch.upstream.acknowledge(source, from)) continue;
      this.#pruning.queue(branch);
      return true;
    }
    return false;
  }

  /** It has started anew: its prunes are gone, and what we asked of it is forgotten (section 4). */
  neighborRestarted(nowMs: number, neighbor: Upstream): void {
    for (const branch of [...this.#table.branches(ANY4)]) {
      const dropped = branch.received.retain((one) => !sameUpstream(one, neighbor));
      const forgotten = sameUpstream(branch.upstream.to, neighbor);
      if (forgotten) branch.upstream.reset();
      if (dropped || forgotten) this.#settleBranch(nowMs, branch);
    }
  }

  /** Section 5.2 step 4: nothing that was asked of it is waited for. */
  upstreamLost(neighbor: Upstream): void {
    for (const branch of [...this.#table.branches(ANY4)]) {
      if (!sameUpstream(branch.upstream.to, neighbor)) continue;
      branch.upstream.reset();
      this.#pruning.queue(branch);
      this.#pruning.forgetIdle(branch);
    }
  }

  // What an earlier life of ours knew; the route and who depends on it are there, `routesChanged` follows

  restorePrune(prefix: Prefix, group: IpAddress, { ifindex, neighbor }: Upstream, prune: SavedPrune): void {
    const branch = this.#table.branchFor(prefix, group);
    branch.received.set(ifindex, neighbor, prune.host, prune.expiresMs);
    this.#pruning.queue(branch);
  }

  restoreRequest(nowMs: number, prefix: Prefix, group: IpAddress, of: Upstream, request: SavedRequest): void {
    const branch = this.#table.branchFor(prefix, group);
    this.#pruning.goOn(nowMs, branch, of, request);
    this.#pruning.queue(branch);
    this.#pruning.forgetIdle(branch);
  }

  // What the route table and the interfaces do

  /** Another router sends the network's data from now on; it may hold prunes of ours. */
  upstreamChanged(nowMs: number, { network, length }: Prefix): void {
    this.#doubts.upstreamChanged(nowMs, { network, length });
  }

  /** Routes for these prefixes came, went, or changed in any respect. */
  routesChanged(nowMs: number, prefixes: Iterable<Prefix>): void {
    const changed = new Lpm();
    for (const prefix of prefixes) changed.insert(prefix, 0);
    for (const flow of [...this.#table.flows({ source: ANY4, group: ANY4 })])
      if (changed.lookup(flow.source) !== NO_MATCH) this.#attach(flow);
    for (const branch of [...this.#table.branches(ANY4)])
      if (changed.lookup(branch.prefix.network) !== NO_MATCH) this.#settleBranch(nowMs, branch);
  }

  /** What may pass an interface is another thing now: it came up, or its first or last neighbour came or went. */
  interfaceChanged(nowMs: number): void {
    for (const branch of [...this.#table.branches(ANY4)]) this.#settleBranch(nowMs, branch);
    this.#settleAll(nowMs, { source: ANY4, group: ANY4 });
  }

  /** Not ours any more. */
  interfaceGone(nowMs: number, ifindex: Ifindex): void {
    this.members.forget(ifindex);
    this.#pulls.forget(ifindex);
    for (const flow of [...this.#table.flows({ source: ANY4, group: ANY4 })]) {
      flow.told.delete(ifindex);
      if (flow.pulls === ifindex) flow.pulls = undefined;
      if (flow.iif === ifindex) this.#drop(flow);
    }
    this.interfaceChanged(nowMs);
  }

  /** Nothing is ours any more. */
  clear(): void {
    for (const flow of [...this.#table.flows({ source: ANY4, group: ANY4 })]) this.#drop(flow);
    for (const branch of [...this.#table.branches(ANY4)]) this.#table.deleteBranch(branch);
    this.#pruning.clear();
    this.#doubts.clear();
  }

  // Time

  timeout(nowMs: number): void {
    for (let due = this.#pruning.takeDue(nowMs); due; due = this.#pruning.takeDue(nowMs)) this.#branchDue(nowMs, due);
    this.#doubts.timeout(nowMs);
  }

  /** Every now and then: which flows still have data, and which are gone without a word. */
  sweep(nowMs: number): void {
    for (const branch of [...this.#table.branches(ANY4)]) {
      this.#pruning.sample(nowMs, branch);
      this.#pruning.reconsider(nowMs, branch);
    }
    for (const flow of [...this.#table.flows({ source: ANY4, group: ANY4 })]) if (!flow.branch) this.#look(flow);
  }

  #branchDue(nowMs: number, branch: Branch): void {
    const ended = branch.received.retain(({ expiresMs }) => expiresMs > nowMs);
    const { upstream } = branch;
    if (upstream.state === 'pruned' && upstream.expiresMs <= nowMs) upstream.reset();
    if (upstream.nextMs <= nowMs) this.#pruning.repeat(nowMs, branch);
    if (ended) this.#settleBranch(nowMs, branch);
    this.#pruning.queue(branch);
    this.#pruning.forgetIdle(branch);
  }

  *#wantedGroups(): Generator<IpAddress> {
    yield* this.members.groups();
    yield* this.#pruning.wishedGroups;
  }

  // Flows and branches

  #newFlow(nowMs: number, source: IpAddress, group: IpAddress, iif: Ifindex): Flow {
    const flow = new Flow(source, group, iif, nowMs);
    this.#table.addFlow(flow);
    return flow;
  }

  /** Puts the flow where its longest route says. */
  #attach(flow: Flow): void {
    const route = this.#around.route(flow.source);
    const branch = route && this.#table.branchFor(route.prefix, flow.group);
    if (flow.branch === branch) return;
    this.#detach(flow);
    flow.branch = branch;
    branch?.flows.add(flow);
  }

  #detach(flow: Flow): void {
    const { branch } = flow;
    if (!branch) return;
    flow.branch = undefined;
    branch.flows.delete(flow);
    this.#pruning.forgetIdle(branch);
  }

  #drop(flow: Flow): void {
    this.#detach(flow);
    this.#table.deleteFlow(flow);
    if (flow.pulls !== undefined) this.#pulls.delete(flow.pulls, flow.group);
    flow.pulls = undefined;
  }

  /** "Members are senders": whoever sends inside is taken to want the group's outside senders too. */
  #pull(flow: Flow): void {
    const wanted = this.#config.membersAreSenders && this.#around.owns(flow.iif) && !this.#isSsm(flow.group);
    const at = wanted ? flow.iif : undefined;
    if (flow.pulls === at) return;
    const before = flow.pulls;
    flow.pulls = at;
    if (at !== undefined) this.#pulls.add(at, flow.group);
    if (before !== undefined) this.#pulls.delete(before, flow.group);
  }

  #isSsm(group: IpAddress): boolean {
    return this.#config.ssmRanges.some((range) => prefixContains(range, group));
  }

  // Outgoing interfaces

  /** Section 8.2 for one flow and one interface of ours. */
  #leaves({ source, group, branch, iif }: Flow, ifindex: Ifindex): boolean {
    if (ifindex === iif || !this.#around.passes(ifindex, group)) return false;
    const route = branch && this.#around.routeFor(branch.prefix);
    if (branch && route && dependentsWant(branch, route, ifindex, source)) return true;
    return this.members.wants(ifindex, source, group) && (route?.isDesignated(ifindex) ?? true);
  }

  /** Notes what the manager will be told in answer to its question. */
  #decide(flow: Flow, ifindex: Ifindex): boolean {
    const on = this.#leaves(flow, ifindex);
    flow.told.set(ifindex, on);
    return on;
  }

  #settleAll(nowMs: number, key: MembershipKey): void {
    for (const flow of [...this.#table.flows(key)]) this.#settle(nowMs, flow);
  }

  /** Tells the manager what differs, then thinks of the upstream. */
  #settle(nowMs: number, flow: Flow): void {
    let changed = false;
    for (const ifindex of this.#around.interfaces()) {
      const was = flow.told.get(ifindex);
      if (ifindex === flow.iif || was === undefined) continue;
      const on = this.#decide(flow, ifindex);
      if (on === was) continue;
      changed = true;
      this.#output.forward(flow, ifindex, on);
    }
    if (!changed) return;
    this.#look(flow);
    this.#pruning.reconsider(nowMs, flow.branch);
  }

  #settleBranch(nowMs: number, branch: Branch): void {
    const route = this.#around.routeFor(branch.prefix);
    branch.received.retain(
      ({ ifindex, neighbor }) =>
        route !== undefined && ifindex !== route.iif && includes(route.dependents(ifindex), neighbor),
    );
    for (const flow of [...branch.flows]) this.#settle(nowMs, flow);
    this.#pruning.reconsider(nowMs, branch);
  }

  /** Asks the manager whether the entry leaves by any interface at all. */
  #look(flow: Flow): void {
    const outputs = this.#output.hasOutputs(flow);
    if (outputs === undefined) this.#drop(flow);
    else flow.empty = !outputs;
  }

  /** Section 10.2 step 3: the longest match of the source, or what exactly the mask names. */
  #routeMeant(source: IpAddress, maskLength: number | undefined): DeliveryRoute | undefined {
    if (maskLength === undefined || maskLength === HOST_LENGTH) return this.#around.route(source);
    return this.#around.routeFor(networkOf(source, maskLength));
  }
}

function networkOf(source: IpAddress, length: number): Prefix {
  return { network: ipv4(toU32(source) & toU32(maskOf(length))), length };
}

/** Some routers name the network in place of the host. */
function hostOf({ source, group }: Graft, { prefix }: DeliveryRoute): MembershipKey {
  return { source: isAny(source) ? prefix.network : source, group };
}

function includes(some: Iterable<IpAddress>, wanted: IpAddress): boolean {
  for (const one of some) if (one === wanted) return true;
  return false;
}
