/**
 * Which flows leave by which of our interfaces, and what that asks of the upstream router: the outgoing lists of
 * dvmrp.md section 8.2, prunes received and sent (10), grafts (11), entries that go while a prune lives on (8.4).
 *
 * Every event changes one of the inputs (a route, a dependent, a prune, a member) and ends in `Settling.settle`, which computes the
 * interfaces of a flow anew and tells the manager of the difference. Whether the flow leaves the router at all is the
 * manager's to know, because other protocols have interfaces too; from that follows prune or graft in `Pruning.reconsider`.
 * What touches many flows is done in slices (settling.ts), the first at once.
 */
import { ANY4, type IpAddress, isAny, type Prefix, prefixContains, prefixOf } from '../../base/ip.js';
import type { MembershipKey } from '../../mgm/client.js';
import type { Ifindex } from '../../port/kernel.js';
import type { Random } from '../../port/random.js';
import { Doubts } from './doubts.js';
import { type Branch, Flow, FlowTable } from './flows.js';
import type { Graft } from '../wire/graft.js';
import { sameUpstream, type Upstream } from './graft-state.js';
import { LocalMembers } from './members.js';
import { acceptedLifetimeMs, type Prune } from '../wire/prune.js';
import { Pruning } from './pruning.js';
import type { ReceivedPrune } from './prune-state.js';
import { Pulls } from './pulls.js';
import type { SavedPrune, SavedRequest } from '../saved-state.js';
import { Settling } from './settling.js';
import type { DeliveryRoute, ForwardingConfig, ForwardingOutput, Surroundings } from '../surroundings.js';

/** Why a received prune changes nothing; names of counters. */
export type PruneDrop =
  | 'noRoute'
  | 'wrongMask'
  | 'noState'
  | 'notDependent'
  | 'onIncoming'
  | 'outOfScope'
  | 'shortLifetime'
  | 'pruneLimit';

const HOST_LENGTH = 32;
/** Branches that something is due for, per turn of the event loop. */
const DUE_PER_TURN = 256;

export class Forwarding {
  readonly members = new LocalMembers();
  readonly #around: Surroundings;
  readonly #config: ForwardingConfig;
  readonly #table = new FlowTable();
  readonly #pruning: Pruning;
  readonly #pulls: Pulls;
  readonly #doubts: Doubts;
  readonly #settling: Settling;

  constructor(around: Surroundings, output: ForwardingOutput, config: ForwardingConfig, random: Random) {
    this.#around = around;
    this.#config = config;
    const drop = (flow: Flow): void => this.#drop(flow);
    const { members } = this;
    const table = this.#table;
    const pruning = new Pruning({ around, output, config, random, table, members, drop });
    this.#pruning = pruning;
    const attach = (flow: Flow): boolean => this.#attach(flow);
    this.#settling = new Settling({ around, output, table, members, pruning, attach, drop });
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
    return Math.min(this.#pruning.nextDeadlineMs, this.#doubts.nextDeadlineMs, this.#settling.nextDeadlineMs);
  }

  branches(): Iterable<Branch> {
    return this.#table.branches(ANY4);
  }

  /** Those of exactly this source network. */
  branchesOf(prefix: Prefix): Iterable<Branch> {
    return this.#table.branchesOf(prefix);
  }

  get branchCount(): number {
    return this.#table.branchCount;
  }

  // What the manager asks and tells

  /** The flow comes in by this interface of ours; there is an entry for it, or there will be one in a moment. */
  incoming(nowMs: number, { source, group }: MembershipKey, iif: Ifindex, dataCame: boolean): void {
    const flow = this.#table.flow(source, group) ?? this.#newFlow(nowMs, source, group, iif);
    flow.iif = iif;
    if (dataCame) flow.dataCame(nowMs);
    this.#attach(flow);
    this.#pull(flow);
  }

  /** Of these interfaces of ours, those that the flow must not leave by. The entry is about to be made or written. */
  vetoes(nowMs: number, key: MembershipKey, iif: Ifindex, asked: readonly Ifindex[]): readonly Ifindex[] {
    const flow = this.#table.flow(key.source, key.group) ?? this.#newFlow(nowMs, key.source, key.group, iif);
    flow.iif = iif;
    this.#attach(flow);
    this.#pull(flow);
    return asked.filter((ifindex) => !this.#settling.decide(flow, ifindex));
  }

  /** A member has come; of these entries, those that must not leave there for all that (D-LJ-2). */
  memberJoined(
    nowMs: number,
    ifindex: Ifindex,
    key: MembershipKey,
    entries: readonly MembershipKey[],
  ): readonly MembershipKey[] {
    this.members.add(ifindex, key);
    const refused = entries.filter(({ source, group }) => {
      const flow = this.#table.flow(source, group);
      return flow !== undefined && !this.#settling.decide(flow, ifindex);
    });
    this.#settling.reconsiderGroup(nowMs, key.group);
    this.#doubts.wanted(nowMs, key);
    return refused;
  }

  memberLeft(nowMs: number, ifindex: Ifindex, key: MembershipKey): void {
    this.members.delete(ifindex, key);
    this.#settling.settleAll(nowMs, key);
    this.#settling.reconsiderGroup(nowMs, key.group);
  }

  memberRefuses(nowMs: number, ifindex: Ifindex, key: MembershipKey, refused: boolean): void {
    this.members.refuse(ifindex, key, refused);
    this.#settling.settleAll(nowMs, key);
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
    this.#settling.keyWanted(nowMs, key);
  }

  keyUnwanted(nowMs: number, key: MembershipKey): void {
    if (!isAny(key.group)) this.#pruning.wish(key, false);
    this.#settling.keyUnwanted(nowMs, key);
  }

  entryGone({ source, group }: MembershipKey): void {
    const flow = this.#table.flow(source, group);
    if (flow) this.#drop(flow);
  }

  // What neighbours say; the caller knows them to be two-way

  /** Takes a Prune of a neighbour, once its header is good (dvmrp.md section 10.2 from step 3 on). */
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
    if (!branch.received.has(ifindex, neighbor, host) && this.#prunesAreFull(from)) return 'pruneLimit';
    if (branch.received.set(ifindex, neighbor, host, nowMs + lifetimeMs)) this.#settling.settleFor(nowMs, branch, host);
    else this.#pruning.reconsider(nowMs, branch);
    return undefined;
  }

  /** Whose prune is not kept goes on getting the data. */
  #prunesAreFull({ ifindex, neighbor }: Upstream): boolean {
    const { prunes } = this.#table;
    const { maxPrunes, maxPrunesPerNeighbor } = this.#config;
    return prunes.total >= maxPrunes || prunes.of(ifindex, neighbor) >= maxPrunesPerNeighbor;
  }

  /** Takes a Graft of a neighbour (dvmrp.md section 11.3 from step 4 on); the acknowledgement is the caller's. */
  graftReceived(nowMs: number, { ifindex, neighbor }: Upstream, graft: Graft, maskLength: number | undefined): void {
    const route = this.#routeMeant(graft.source, maskLength);
    if (!route) return;
    const branch = this.#table.branch(route.prefix, graft.group);
    // No prune of its is known, and perhaps none of ours either.
    if (!branch || branch.upstream.state === 'none') this.#doubts.wanted(nowMs, hostOf(graft, route));
    if (!branch) return;
    const host = maskLength === HOST_LENGTH ? graft.source : undefined;
    if (branch.received.grafted(ifindex, neighbor, host)) this.#settling.settleFor(nowMs, branch, host);
    else this.#pruning.reconsider(nowMs, branch);
  }

  /** A Graft of ours is acknowledged (dvmrp.md section 11.4). True: one was pending. */
  ackReceived(from: Upstream, { source, group }: Graft): boolean {
    for (const branch of this.#table.branchesWith(source, group)) {
      if (!branch.upstream.acknowledge(source, from)) continue;
      this.#pruning.queue(branch);
      return true;
    }
    return false;
  }

  /** It has started anew: its prunes are gone, and what we asked of it is forgotten (dvmrp.md section 4). */
  neighborRestarted(nowMs: number, neighbor: Upstream): void {
    const subject = `restarted ${neighbor.ifindex} ${neighbor.neighbor}`;
    this.#settling.everyBranch(nowMs, subject, (branch) => {
      const dropped = branch.received.retain((ifindex, from) => !sameUpstream({ ifindex, neighbor: from }, neighbor));
      const forgotten = sameUpstream(branch.upstream.to, neighbor);
      if (forgotten) branch.upstream.reset();
      if (dropped || forgotten) this.#settling.settleBranch(this.#settling.nowMs, branch);
    });
  }

  /** Nothing that was asked of it is waited for (dvmrp.md section 5.2 step 4). */
  upstreamLost(neighbor: Upstream): void {
    this.#settling.everyBranch(this.#settling.nowMs, `lost ${neighbor.ifindex} ${neighbor.neighbor}`, (branch) => {
      if (!sameUpstream(branch.upstream.to, neighbor)) return;
      branch.upstream.reset();
      this.#pruning.queue(branch);
      this.#pruning.forgetIdle(branch);
    });
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
    this.#settling.routesChanged(nowMs, prefixes);
  }

  /** What may pass an interface is another thing now: it came up, or its first or last neighbour came or went. */
  interfaceChanged(nowMs: number): void {
    this.#settling.settleEverything(nowMs);
  }

  /** Not ours any more. */
  interfaceGone(nowMs: number, ifindex: Ifindex): void {
    this.members.forget(ifindex);
    this.#pulls.forget(ifindex);
    this.#settling.forgetInterface(nowMs, ifindex);
    this.interfaceChanged(nowMs);
  }

  /** Ours, perhaps once more: what flows still have of the time before goes first. */
  interfaceCame(ifindex: Ifindex): void {
    this.#settling.endForgetting(ifindex);
  }

  /** Nothing is ours any more. */
  clear(): void {
    this.#table.clear();
    this.#pruning.clear();
    this.#doubts.clear();
    this.#settling.clear();
  }

  // Time

  timeout(nowMs: number): void {
    for (let left = DUE_PER_TURN; left > 0; left--) {
      const due = this.#pruning.takeDue(nowMs);
      if (!due) break;
      this.#branchDue(nowMs, due);
    }
    this.#doubts.timeout(nowMs);
    this.#settling.timeout(nowMs);
  }

  /** Every now and then: which flows still have data, and which are gone without a word. */
  sweep(nowMs: number): void {
    this.#settling.sweep(nowMs);
  }

  #branchDue(nowMs: number, branch: Branch): void {
    const ended = this.#endPrunes(nowMs, branch);
    const { upstream } = branch;
    if (upstream.state === 'pruned' && upstream.expiresMs <= nowMs) upstream.reset();
    if (upstream.nextMs <= nowMs) this.#pruning.repeat(nowMs, branch);
    if (ended.length > 0) this.#settling.settleAfter(nowMs, branch, ended);
    this.#pruning.queue(branch);
    this.#pruning.forgetIdle(branch);
  }

  #endPrunes(nowMs: number, branch: Branch): readonly ReceivedPrune[] {
    const ended: ReceivedPrune[] = [];
    for (let one = branch.received.takeExpired(nowMs); one; one = branch.received.takeExpired(nowMs)) ended.push(one);
    return ended;
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

  /** Puts the flow where its longest route says. True: it was elsewhere. */
  #attach(flow: Flow): boolean {
    const route = this.#around.route(flow.source);
    const branch = route && this.#table.branchFor(route.prefix, flow.group);
    if (flow.branch === branch) return false;
    const before = flow.branch;
    this.#table.move(flow, branch);
    if (before) this.#pruning.forgetIdle(before);
    return true;
  }

  #drop(flow: Flow): void {
    const { branch } = flow;
    this.#table.move(flow, undefined);
    this.#table.deleteFlow(flow);
    if (branch) this.#pruning.forgetIdle(branch);
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

  /** The longest match of the source, or what exactly the mask names (dvmrp.md section 10.2 step 3). */
  #routeMeant(source: IpAddress, maskLength: number | undefined): DeliveryRoute | undefined {
    if (maskLength === undefined || maskLength === HOST_LENGTH) return this.#around.route(source);
    return this.#around.routeFor(prefixOf(source, maskLength));
  }
}

/** Some routers name the network in place of the host. */
function hostOf({ source, group }: Graft, { prefix }: DeliveryRoute): MembershipKey {
  return { source: isAny(source) ? prefix.network : source, group };
}

function includes(some: Iterable<IpAddress>, wanted: IpAddress): boolean {
  for (const one of some) if (one === wanted) return true;
  return false;
}
