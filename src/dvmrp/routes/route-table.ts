/**
 * The route table (dvmrp.md sections 6 and 7): what neighbours tell, which way data comes, who depends on us, who forwards,
 * what is told to whom. Time and messages come in by calls; Reports and changes leave by the output.
 */
import type { IpAddress, Prefix } from '../../base/ip.js';
import type { Ifindex } from '../../port/kernel.js';
import type { AdvertiseConfig, Round } from './advertise.js';
import { isForwarder, otherForwarder } from './designated-forwarder.js';
import { INFINITY, type ReportEntries } from '../wire/report.js';
import { type Dependent, NO_DEPENDENTS, type Peer, type Route } from './route.js';
import { RouteChanges, type RouteOutput } from './route-changes.js';
import { type EntryOutput, EntryProcessor, type RouteLimits } from './route-entries.js';
import { admitsRoute } from './route-filter.js';
import {
  adjustedMetric,
  advertisedMetric,
  OMIT,
  RouteInterface,
  type RouteInterfaceConfig,
} from './route-interface.js';

/** Routes looked at per turn, so that ten thousand that run out together do not block the event loop. */
const ROUTES_PER_TURN = 512;

export interface RouteTableConfig extends AdvertiseConfig, RouteLimits {}

export interface RouteTableOutput extends RouteOutput, EntryOutput {}

/** A network that other protocols reach and that is told as if it were ours. */
export interface Originated extends Prefix {
  /** 1..31. */
  readonly metric: number;
}

export class RouteTable {
  readonly #changes: RouteChanges;
  readonly #entries: EntryProcessor;

  constructor(config: RouteTableConfig, output: RouteTableOutput) {
    this.#changes = new RouteChanges(config, output);
    this.#entries = new EntryProcessor(this.#changes, config, output);
  }

  get size(): number {
    return this.#changes.store.size;
  }

  get nextDeadlineMs(): number {
    const { advertiser, deadlines, losses, nowMs } = this.#changes;
    if (losses.isPending || advertiser.isTelling) return nowMs;
    return Math.min(deadlines.earliestMs, advertiser.nextDeadlineMs);
  }

  /** All routes, by mask, then network; some may not have heard yet of what was lost a moment ago. */
  routes(): readonly Route[] {
    return this.#changes.store.sorted();
  }

  get({ network, length }: Prefix): Route | undefined {
    return this.#changes.find(network, length);
  }

  /** The route that data from `source` follows; its `iif` is undefined where another protocol reaches the source. */
  lookup(source: IpAddress): Route | undefined {
    return this.#changes.lookup(source);
  }

  /** Whether this router forwards the route's data onto an interface other than the route's own (dvmrp.md section 7.3). */
  isForwarder(route: Route, ifindex: Ifindex): boolean {
    return isForwarder(route, ifindex);
  }

  /** The router that does so in our place. */
  otherForwarder(route: Route, ifindex: Ifindex): IpAddress | undefined {
    return otherForwarder(route, ifindex);
  }

  dependents(route: Route): readonly Dependent[] {
    return route.dependents ?? NO_DEPENDENTS;
  }

  /** What is told of the route on an interface: 0 nothing, otherwise as on the wire (dvmrp.md section 6.3). */
  advertised(route: Route, ifindex: Ifindex): number {
    const on = this.#changes.interfaces.get(ifindex);
    return on === undefined ? OMIT : advertisedMetric(route, on);
  }

  /** How many routes come from a neighbour. */
  routesFrom(ifindex: Ifindex, address: IpAddress): number {
    return this.#peer(ifindex, address)?.routes ?? 0;
  }

  start(nowMs: number): void {
    this.#changes.nowMs = nowMs;
    this.#changes.advertiser.start(nowMs);
  }

  /** The networks of the interface become routes (dvmrp.md section 12). */
  interfaceUp(
    nowMs: number,
    ifindex: Ifindex,
    address: IpAddress,
    subnets: readonly Prefix[],
    config: RouteInterfaceConfig,
  ): void {
    this.#changes.nowMs = nowMs;
    const on = new RouteInterface(ifindex, address, subnets, config);
    this.#changes.interfaces.set(ifindex, on);
    this.#changes.advertiser.begin(on);
    for (const subnet of subnets) this.#connect(on, subnet);
  }

  /** The networks of the interface are routes no more (dvmrp.md section 12); its neighbours have been lost before. */
  interfaceDown(nowMs: number, ifindex: Ifindex): void {
    this.#changes.nowMs = nowMs;
    if (!this.#changes.interfaces.delete(ifindex)) return;
    this.#changes.losses.add((route) => {
      if (route.iif === ifindex && route.isUp) this.#loseInterface(route);
      this.#changes.forgetInterface(route, ifindex);
    });
  }

  /** Metric, offset and filters change while the interface stays up. */
  reconfigure(nowMs: number, ifindex: Ifindex, config: RouteInterfaceConfig): void {
    this.#changes.nowMs = nowMs;
    const on = this.#changes.interfaces.get(ifindex);
    if (on === undefined) return;
    const told = this.routes().map((route) => advertisedMetric(route, on));
    on.config = config;
    this.routes().forEach((route, n) => this.#reconsider(route, on, told[n]!));
  }

  /** Replaces what is told as ours although another protocol reaches it; the default route is one of these. */
  originate(nowMs: number, originated: readonly Originated[]): void {
    this.#changes.nowMs = nowMs;
    for (const { network, length, metric } of originated) this.#own(network, length, 'originated', undefined, metric);
    const kept = new Set(originated.map((one) => this.get(one)));
    for (const route of this.routes()) if (route.origin === 'originated' && !kept.has(route)) this.#changes.hold(route);
  }

  /** A neighbour counts from now on. */
  peerUp(ifindex: Ifindex, address: IpAddress): void {
    this.#changes.interfaces.get(ifindex)?.peers.set(address, { ifindex, address, routes: 0 });
  }

  /** After the steps below. */
  peerDown(ifindex: Ifindex, address: IpAddress): void {
    this.#changes.interfaces.get(ifindex)?.peers.delete(address);
  }

  /** What came from the neighbour is held down (dvmrp.md section 5.2 step 1). */
  loseRoutes(nowMs: number, ifindex: Ifindex, address: IpAddress): void {
    this.#changes.nowMs = nowMs;
    this.#forEachRoute(ifindex, address, (route, peer) => {
      this.#changes.dropCandidate(route, peer);
      if (route.upstream === peer) this.#changes.hold(route);
    });
  }

  /** It forwards nothing any more (dvmrp.md section 5.2 step 2). */
  reelectWithout(ifindex: Ifindex, address: IpAddress): void {
    this.#forEachRoute(ifindex, address, (route, peer) => this.#changes.dropOffer(route, peer));
  }

  /** It depends on us no more (dvmrp.md section 5.2 step 5). */
  dropDependencies(ifindex: Ifindex, address: IpAddress): void {
    this.#forEachRoute(ifindex, address, (route, peer) => this.#changes.removeDependent(route, peer));
  }

  /** All routes to a neighbour that is new or has restarted. */
  sendTable(ifindex: Ifindex, address: IpAddress): void {
    const on = this.#changes.interfaces.get(ifindex);
    if (on !== undefined) this.#changes.advertiser.sendTable(on, address);
  }

  /** A sound Report. False: its sender is no neighbour. */
  heardReport(nowMs: number, ifindex: Ifindex, address: IpAddress, entries: ReportEntries): boolean {
    const on = this.#changes.interfaces.get(ifindex);
    const peer = on?.peers.get(address);
    if (on === undefined || peer === undefined) return false;
    this.#changes.nowMs = nowMs;
    const { networks, lengths, metrics, count } = entries;
    for (let n = 0; n < count; n++) this.#entries.process(on, peer, networks[n]!, lengths[n]!, metrics[n]!);
    return true;
  }

  // A restart of the process that the neighbours do not notice (restoration.ts)

  get round(): Round {
    return this.#changes.advertiser.round;
  }

  goOn(round: Round, nowMs: number): void {
    this.#changes.advertiser.goOn(round, nowMs);
  }

  /** While true, changes are not told to neighbours. */
  silence(silent: boolean): void {
    this.#changes.advertiser.silent = silent;
  }

  /** As an entry of a Report, of an age: what follows from it ends at `expiryMs` at the latest. */
  restore(nowMs: number, from: Omit<Peer, 'routes'>, prefix: Prefix, metric: number, expiryMs: number): void {
    const on = this.#changes.interfaces.get(from.ifindex);
    const peer = on?.peers.get(from.address);
    if (on === undefined || peer === undefined) return;
    this.#changes.nowMs = nowMs;
    this.#entries.process(on, peer, prefix.network, prefix.length, metric);
    const route = this.get(prefix);
    if (route !== undefined) this.#changes.expireBy(route, peer, expiryMs);
  }

  /** A route whose hold-down goes on; the neighbour it came from may be gone. */
  restoreHeld(nowMs: number, from: Omit<Peer, 'routes'>, prefix: Prefix, metric: number, untilMs: number): void {
    const on = this.#changes.interfaces.get(from.ifindex);
    if (on === undefined || this.get(prefix) !== undefined) return;
    this.#changes.nowMs = nowMs;
    const peer = on.peers.get(from.address) ?? { ...from, routes: 0 };
    const adjusted = adjustedMetric(on, metric);
    if (adjusted < INFINITY) this.#changes.createHeld(prefix, peer, adjusted, untilMs);
  }

  /** Tells one link that DVMRP is about to leave that nothing is reachable through us (dvmrp.md section 7.7). */
  withdraw(ifindex: Ifindex): void {
    const on = this.#changes.interfaces.get(ifindex);
    if (on !== undefined) this.#changes.advertiser.withdraw(on);
  }

  /** Every neighbour hears that nothing is reachable through us, in slices. Nothing is sent after that (dvmrp.md section 7.7). */
  shutdown(): void {
    this.#changes.advertiser.stop();
    for (const on of this.#changes.interfaces.values()) this.#changes.advertiser.withdraw(on);
    this.#changes.deadlines.clear();
    this.#changes.losses.close();
  }

  /** Whether neighbours there still hear that nothing is reachable through us; without an interface, any. */
  isWithdrawing(ifindex?: Ifindex): boolean {
    return this.#changes.advertiser.isWithdrawing(ifindex);
  }

  /** Runs what is due, a bounded number of routes; the rest keeps its deadline and is due at once. */
  timeout(nowMs: number): void {
    this.#changes.nowMs = nowMs;
    const { deadlines, losses } = this.#changes;
    losses.run();
    for (let left = ROUTES_PER_TURN; left > 0; left--) {
      const route = deadlines.first;
      if (route === undefined || route.queuedMs > nowMs) break;
      this.#changes.serve(route);
    }
    this.#changes.advertiser.timeout(nowMs);
  }

  #peer(ifindex: Ifindex, address: IpAddress): Peer | undefined {
    return this.#changes.interfaces.get(ifindex)?.peers.get(address);
  }

  #forEachRoute(ifindex: Ifindex, address: IpAddress, visit: (route: Route, peer: Peer) => void): void {
    const peer = this.#peer(ifindex, address);
    if (peer !== undefined) this.#changes.losses.add((route) => visit(route, peer));
  }

  #connect(on: RouteInterface, { network, length }: Prefix): void {
    const known = this.#changes.find(network, length);
    // Two interfaces on one network: the first one stays.
    if (known?.origin === 'connected' && known.isUp && known.iif !== on.ifindex) return;
    this.#own(network, length, 'connected', on.ifindex, on.config.metric);
  }

  /** A network that no neighbour can take from us; does nothing when it is as it should be. */
  #own(
    network: IpAddress,
    length: number,
    origin: 'connected' | 'originated',
    iif: Ifindex | undefined,
    metric: number,
  ): void {
    const route = this.#changes.find(network, length);
    if (route === undefined) return this.#changes.create(network, length, origin, iif, metric);
    if (origin === 'originated' && route.origin === 'connected' && route.isUp) return;
    const same = route.isUp && route.origin === origin && route.iif === iif && route.metric === metric;
    if (!same) this.#changes.adopt(route, origin, iif, metric);
  }

  /** The route came through an interface that is gone; another one may be on the same network. */
  #loseInterface(route: Route): void {
    const isHere = ({ network, length }: Prefix) => network === route.network && length === route.length;
    for (const on of route.origin === 'connected' ? this.#changes.interfaces.values() : [])
      if (on.subnets.some(isHere))
        return this.#own(route.network, route.length, 'connected', on.ifindex, on.config.metric);
    this.#changes.hold(route);
  }

  #reconsider(route: Route, on: RouteInterface, told: number): void {
    const { nowMs, advertiser } = this.#changes;
    if (route.iif === on.ifindex && route.origin === 'connected' && route.isUp)
      return this.#own(route.network, route.length, 'connected', on.ifindex, on.config.metric);
    const denied = route.iif === on.ifindex && !admitsRoute(on.config.filterIn, route.network, route.length);
    if (denied) return this.#changes.hold(route);
    const tells = advertisedMetric(route, on);
    if (tells === told) return;
    this.#changes.reelect(route);
    if (tells !== OMIT) return advertiser.changed(route, nowMs);
    on.withdrawn.add(route);
    advertiser.flashSoon(nowMs);
  }
}
