/**
 * DVMRP version 3 as a client of the manager: the only file of this folder that touches ports. One clock timer serves all of
 * it.
 *
 * Follows dvmrp.md (draft-ietf-idmr-dvmrp-v3-11 with the choices of dvmrp.md section 18), of coexistence.md sections 4 to 7, and of the
 * manager's specification 2.3 and 2.4 (take, release), 2.6 (a (*,*) on every interface), 3 (callbacks), D-FLAG-1 (FORWARD
 * for later changes of mind), D-LJ-2 (a member's entries may be refused), D-OWN-8 and D-OWN-13 (interface gone, hand-over).
 * Not supported: making tunnels (dvmrp.md section 13: ordinary ipip and GRE devices are point-to-point interfaces here), own
 * aggregates (7.6), AH.
 */
import { type Answer, isLater, whenAnswered } from '../base/answer.js';
import { ANY4, formatIp, formatPrefix, type IpAddress } from '../base/ip.js';
import { LogLimiter } from '../base/log-limiter.js';
import { leadsTo, RoutedHosts } from '../base/routed-hosts.js';
import type { DvmrpConfig } from '../config/types.js';
import {
  type ClientCallbacks,
  type FedRoute,
  FORWARD,
  type Handle,
  JOIN,
  type MembershipKey,
  MFE_STATS_0,
  type MgmClient,
  type MgmStatus,
  PROTOCOL,
  type Protocol,
  type PruneAlert,
  type PruneReply,
  type RpfReply,
  type RpfRequest,
  type SavedProtocolState,
} from '../mgm/client.js';
import type { Clock, Timer } from '../port/clock.js';
import type { Events } from '../port/events.js';
import {
  ANY_SOURCE_FILTER,
  type Ifindex,
  type IgmpPacket,
  type IgmpPort,
  type Link,
  type LinkChange,
  type LinkPort,
  type MembershipPort,
  type RoutePort,
} from '../port/kernel.js';
import type { Fields, Log } from '../port/log.js';
import type { Random } from '../port/random.js';
import { DVMRP_TYPE } from './wire/header.js';
import { type Drop, type LinkConfig, linkStateOf, type RouterLink } from './link.js';
import { type Neighbor, REFUSAL_TEXTS, type Refusal } from './neighbors/neighbor.js';
import { ALL_DVMRP_ROUTERS } from './reception.js';
import type { Route } from './routes/route.js';
import { Router, type RouterOutput } from './router.js';
import { readState, type SavedState } from './saved-state.js';
import { Saving } from './saving.js';
import { DvmrpViews } from './view.js';

export interface DvmrpModuleParts {
  readonly mgm: MgmClient;
  readonly igmp: IgmpPort;
  readonly membership: MembershipPort;
  readonly links: LinkPort;
  /** Who is on a link by a route; absent: nobody. */
  readonly routes?: Pick<RoutePort, 'lookup'>;
  readonly clock: Clock;
  readonly random: Random;
  readonly events: Events;
  readonly log: Log;
  readonly config: DvmrpConfig;
  /** Of an interface by name; also of one that the file does not know. */
  readonly linkConfigOf: (name: string) => LinkConfig;
  /** What `saveState` of the process before this one gave, and how long ago. */
  readonly savedState?: SavedProtocolState | undefined;
}

const DONE: MgmStatus = { code: 'NO_ERROR' };
const NOT_STARTED: MgmStatus = { code: 'ERROR_INVALID_PARAMETER', detail: 'badHandle' };
const NEVER = Number.POSITIVE_INFINITY;
/** A stop of the daemon has five seconds in all. */
const FAREWELL_MS = 2000;
const EVERYTHING: MembershipKey = { source: ANY4, group: ANY4 };

/** Lines about what strangers do: this many at once, then one in ten seconds, per reason. */
const LOG_BURST = 3;
const LOG_PER_SECOND = 0.1;
/** Routers whose address does not fit the link: one line at once, then one in ten minutes, per interface. */
const STRANGERS_PER_SECOND = 1 / 600;
/** A router with many neighbours starts: each of them is worth a line. */
const NEIGHBORS_BURST = 64;

/** What is worth a warning: the network is not as it is meant to be. Everything else is debug. */
const WARNED: ReadonlySet<Drop> = new Set<Drop>([
  'neighborLimit',
  'neighborElsewhere',
  'routeLimit',
  'neighborRouteLimit',
  'pruneLimit',
  'connectedNetwork',
]);

export class DvmrpModule implements Protocol, RouterOutput {
  readonly name = 'dvmrp';
  readonly router: Router;
  readonly views: DvmrpViews;
  readonly #parts: DvmrpModuleParts;
  readonly #log: Log;
  readonly #lines = new LogLimiter(LOG_BURST, LOG_PER_SECOND);
  readonly #strangers = new LogLimiter(1, STRANGERS_PER_SECOND);
  /** Interfaces that IGMP is querier on. */
  readonly #querier = new Set<Ifindex>();
  /** What `stop` has to release. */
  readonly #asked = new Set<Ifindex>();
  #handle: Handle | undefined;
  readonly #saving: Saving;
  #prepared: Promise<void> | undefined;
  #subscribed = false;
  #unsubscribe: () => void = () => undefined;
  #timer: Timer | undefined;
  /** `stop` goes on when neighbours have heard the end. */
  #saidAll: (() => void) | undefined;
  #armedMs = NEVER;

  constructor(parts: DvmrpModuleParts) {
    this.#parts = parts;
    this.#log = parts.log.child({ mod: 'dvmrp' });
    this.router = new Router(parts.config, this, parts.random);
    this.#saving = new Saving(this.router);
    this.views = new DvmrpViews(this.router, () => this.#nowMs());
  }

  start(): MgmStatus {
    const { mgm, links, igmp, config } = this.#parts;
    const { handle, ...status } = mgm.register({
      protocolId: PROTOCOL.dvmrp,
      componentId: 0,
      name: this.name,
      callbacks: this.#callbacks(),
      ribPreference: config.preference,
    });
    if (handle === undefined) return status;
    this.#handle = handle;
    this.#unsubscribe = links.onChange((change) => this.#linkChanged(change));
    if (!this.#subscribed) igmp.subscribe([DVMRP_TYPE], (packet) => this.#received(packet));
    this.#subscribed = true;
    this.router.start(this.#nowMs(), this.#savedState());
    this.#arm();
    return status;
  }

  /** For the next process; nothing changes here. */
  saveState(leaving: boolean): unknown {
    return this.#saving.state(this.#nowMs(), leaving);
  }

  prepareState(): Answer<void> {
    if (!this.#saving.isMuch) return undefined;
    return (this.#prepared ??= new Promise((resolve) =>
      this.#prepare(
        this.#saving.prepare(() => this.#nowMs()),
        resolve,
      ),
    ));
  }

  #prepare(parts: Iterator<void>, ended: () => void): void {
    if (!parts.next().done) return void this.#parts.clock.after(0, () => this.#prepare(parts, ended));
    this.#prepared = undefined;
    ended();
  }

  /** What neighbours could say is known from the life before: they have not noticed its end. */
  hasSaidAll(): boolean {
    return this.router.knowsAll;
  }

  #savedState(): SavedState | undefined {
    const { savedState: saved } = this.#parts;
    if (!saved) return undefined;
    const state = readState(saved.state, this.#nowMs() - saved.ageMs);
    const { odd } = state;
    const [links, routes] = [state.links.length, state.routes.length];
    const fields: Fields = { evt: 'dvmrp.restored', links, routes, odd, ageMs: Math.round(saved.ageMs) };
    const what = `goes on with ${links} links and ${routes} routes of the process before`;
    if (odd === 0) this.#log.info(fields, what);
    else this.#log.warn(fields, `${what}; ${odd} parts of what it left were not understood and are ignored`);
    return state;
  }

  /** Says goodbye to every neighbour (dvmrp.md section 7.7), releases in ascending order and deregisters. Harmless when not started. */
  stop(): Answer<MgmStatus> {
    this.#unsubscribe();
    if (this.#handle === undefined) return DONE;
    this.router.shutdown(this.#nowMs());
    return whenAnswered(this.#farewell(), () => this.#releaseNext([...this.#asked].sort((a, b) => a - b)));
  }

  /** Whoever is not reached in time misses us as if we had died. */
  #farewell(): Answer<void> {
    if (!this.router.isLeaving) return undefined;
    const { clock } = this.#parts;
    this.#arm();
    return new Promise((resolve) => {
      const limit = clock.after(FAREWELL_MS, resolve);
      this.#saidAll = () => {
        limit.cancel();
        resolve();
      };
    });
  }

  take(ifindex: Ifindex): Answer<MgmStatus> {
    if (this.#handle === undefined) return NOT_STARTED;
    const refused = this.#refusalOf(this.#parts.links.byIndex(ifindex));
    if (refused) return refused;
    const had = this.#asked.has(ifindex);
    this.#asked.add(ifindex);
    return whenAnswered(this.#parts.mgm.takeInterface(this.#handle, ifindex), (status) => {
      if (status.code === 'NO_ERROR') void this.#serve(ifindex);
      else if (!had) this.#asked.delete(ifindex);
      return status;
    });
  }

  /** The memberships stay until the manager sweeps them (D-OWN-9). */
  release(ifindex: Ifindex): Answer<MgmStatus> {
    if (this.#handle === undefined) return NOT_STARTED;
    return whenAnswered(this.#parts.mgm.releaseInterface(this.#handle, ifindex), (status) => {
      if (status.code === 'NO_ERROR') this.#forget(ifindex);
      return status;
    });
  }

  #refusalOf(link: Link | undefined): MgmStatus | undefined {
    if (link?.loopback !== true) return undefined;
    const message = `${link.name} is the loopback, where there is nobody to route for`;
    return { code: 'ERROR_CAN_NOT_COMPLETE', detail: 'noSuchInterface', message };
  }

  #callbacks(): ClientCallbacks {
    const { router } = this;
    const { forwarding } = router;
    const now = () => this.#nowMs();
    const then = <T>(result: T): T => {
      this.#arm();
      return result;
    };
    return {
      rpf: (request) => then(this.#rpf(request)),
      creationAlert: ({ source, group, iif, oifs }) => {
        const asked = oifs.map(({ ifindex }) => ifindex);
        return then({ disabled: forwarding.vetoes(now(), { source, group }, iif, asked) });
      },
      localJoin: ({ source, group, ifindex, entries }) =>
        then({ refuse: forwarding.memberJoined(now(), ifindex, { source, group }, entries) }),
      localLeave: ({ source, group, ifindex }) => then(forwarding.memberLeft(now(), ifindex, { source, group })),
      localSource: ({ source, group, ifindex, refused }) =>
        then(forwarding.memberRefuses(now(), ifindex, { source, group }, refused)),
      localQuerier: ({ ifindex, querier }) =>
        void (querier ? this.#querier.add(ifindex) : this.#querier.delete(ifindex)),
      joinAlert: ({ source, group, memberUpdate }) =>
        then(
          memberUpdate
            ? forwarding.keyWanted(now(), { source, group })
            : forwarding.entryWanted(now(), { source, group }),
        ),
      pruneAlert: (alert) => then(this.#pruneAlert(alert)),
      mayStillWant: ({ source }, ifindex) => router.mayStillHear(source, ifindex),
      mfeDeleted: (key) => then(forwarding.entryGone(key)),
      interfaceGone: (ifindex) => this.#forget(ifindex),
      interfaceLost: (ifindex) => this.#forget(ifindex),
      interfaceOffered: (ifindex) => {
        const link = this.#parts.links.byIndex(ifindex);
        return link !== undefined && this.#refusalOf(link) === undefined;
      },
      interfaceGranted: (ifindex) => this.#granted(ifindex),
    };
  }

  /** The upstream of the route; without a route the source is refused, unless an override says otherwise (dvmrp.md section 19). */
  #rpf({ source, group, ifindex, arrival, feeder }: RpfRequest): RpfReply | undefined {
    const route = this.router.route(source);
    const known = route?.iif !== undefined || feeder === 'static';
    if (!known) {
      this.router.forwarding.entryGone({ source, group });
      return { refuse: true };
    }
    this.router.forwarding.incoming(this.#nowMs(), { source, group }, ifindex, arrival !== undefined);
    const upstream = route?.iif === ifindex ? route.upstream : undefined;
    const lifetimeSec = Math.ceil(this.#parts.config.cacheLifetimeMs / 1000);
    return upstream === undefined ? { lifetimeSec } : { lifetimeSec, upstreamNeighbor: upstream };
  }

  #pruneAlert({ source, group, memberDelete }: PruneAlert): PruneReply | undefined {
    const { forwarding } = this.router;
    const key = { source, group };
    if (memberDelete) {
      forwarding.keyUnwanted(this.#nowMs(), key);
      return undefined;
    }
    const lifetimeMs = forwarding.entryUnwanted(this.#nowMs(), key);
    return lifetimeMs === undefined ? undefined : { timeoutSec: Math.ceil(lifetimeMs / 1000) };
  }

  // Interfaces

  /** Ours: everything first, so that we are asked about every flow; then the link (dvmrp.md section 12). */
  #serve(ifindex: Ifindex): Answer<unknown> {
    const link = this.#parts.links.byIndex(ifindex);
    if (!link || this.#handle === undefined) return undefined;
    this.router.addLink(ifindex, this.#parts.linkConfigOf(link.name));
    const error = this.#parts.membership.set(this.name, ifindex, ALL_DVMRP_ROUTERS, ANY_SOURCE_FILTER);
    if (error) this.#log.warn({ evt: 'dvmrp.join.refused', ifname: link.name, code: error.code }, error.message);
    const added = this.#parts.mgm.addMembership(this.#handle, EVERYTHING, ifindex, JOIN);
    for (const group of this.#parts.config.pullGroups) this.router.forwarding.pulls.add(ifindex, group);
    this.#setState(link);
    return added;
  }

  /** By hand-over; the manager sweeps what was not added by `resyncDone` (D-OWN-13). */
  #granted(ifindex: Ifindex): void {
    const handle = this.#handle;
    if (handle === undefined) return;
    this.#asked.add(ifindex);
    const served = this.#serve(ifindex);
    if (isLater(served)) void served.then(() => this.#parts.mgm.resyncDone(handle, ifindex));
    else this.#parts.mgm.resyncDone(handle, ifindex);
  }

  /** Not ours any more, for whatever reason. */
  #forget(ifindex: Ifindex): void {
    this.#asked.delete(ifindex);
    this.#querier.delete(ifindex);
    this.router.removeLink(this.#nowMs(), ifindex);
    this.#parts.membership.set(this.name, ifindex, ALL_DVMRP_ROUTERS, undefined);
    this.#arm();
  }

  #linkChanged({ kind, link }: LinkChange): void {
    if (kind !== 'removed' && this.router.links.has(link.ifindex)) this.#setState(link);
  }

  #setState(link: Link): void {
    const { routes, clock } = this.#parts;
    const routed = new RoutedHosts(
      (address) => leadsTo(routes?.lookup(address), link.ifindex),
      () => clock.nowMs(),
    );
    const state = linkStateOf(link, (address) => routed.has(address));
    this.router.setLinkState(this.#nowMs(), link.ifindex, state);
    this.#arm();
  }

  #releaseNext(rest: Ifindex[]): Answer<MgmStatus> {
    const ifindex = rest.shift();
    if (ifindex === undefined) return this.#deregister();
    return whenAnswered(this.release(ifindex), () => this.#releaseNext(rest));
  }

  #deregister(): MgmStatus {
    const status = this.#parts.mgm.deregister(this.#handle!);
    if (status.code !== 'NO_ERROR') return status;
    this.#handle = undefined;
    this.#timer?.cancel();
    this.#timer = undefined;
    return status;
  }

  #received({ ifindex, source, destination, payload }: IgmpPacket): void {
    this.router.receive(this.#nowMs(), ifindex, { source, destination, payload });
    this.#arm();
  }

  // Time

  #nowMs(): number {
    return Math.ceil(this.#parts.clock.nowMs());
  }

  /** Only ever earlier: a deadline that moved later is found out when the timer fires. */
  #arm(): void {
    if (this.#handle === undefined) return;
    const dueMs = this.router.nextDeadlineMs;
    if (dueMs >= this.#armedMs) return;
    this.#timer?.cancel();
    this.#armedMs = dueMs;
    this.#timer = this.#parts.clock.after(Math.max(0, dueMs - this.#parts.clock.nowMs()), this.#fired);
  }

  readonly #fired = (): void => {
    this.#timer = undefined;
    this.#armedMs = NEVER;
    this.router.timeout(this.#nowMs());
    if (!this.router.isLeaving) this.#saidAll?.();
    this.#arm();
  };

  // RouterOutput: the manager

  feed(changes: readonly FedRoute[]): void {
    if (this.#handle !== undefined) void this.#parts.mgm.feedRoutes(this.#handle, changes);
  }

  forward({ source, group }: MembershipKey, ifindex: Ifindex, on: boolean): void {
    if (this.#handle === undefined) return;
    const { mgm } = this.#parts;
    if (on) void mgm.addMembership(this.#handle, { source, group }, ifindex, FORWARD);
    else void mgm.deleteMembership(this.#handle, { source, group }, ifindex, FORWARD);
  }

  hasOutputs(flow: MembershipKey): boolean | undefined {
    const { mfe } = this.#parts.mgm.getMfe(flow);
    return mfe && mfe.oifs.length > 0;
  }

  packets(flow: MembershipKey): number | undefined {
    const { stats } = this.#parts.mgm.getMfeStats(flow, MFE_STATS_0);
    return stats && stats.inPackets - stats.differentIfPackets;
  }

  pull(ifindex: Ifindex, group: IpAddress, wanted: boolean): void {
    if (this.#handle === undefined) return;
    const { mgm } = this.#parts;
    const key = { source: ANY4, group };
    if (wanted) void mgm.addMembership(this.#handle, key, ifindex, JOIN);
    else void mgm.deleteMembership(this.#handle, key, ifindex, JOIN);
  }

  isQuerier(ifindex: Ifindex): boolean {
    return this.#querier.has(ifindex);
  }

  // RouterOutput: the wire, events and the log

  send({ ifindex, address, config }: RouterLink, destination: IpAddress, payload: Uint8Array): void {
    if (address === undefined) return;
    const error = this.#parts.igmp.send(ifindex, address, destination, payload);
    if (error === undefined) return;
    const heldBack = this.#mayLog(`${config.name} send`);
    if (heldBack === undefined) return;
    this.#log.warn({ evt: 'dvmrp.send.failed', ifname: config.name, code: error.code, heldBack }, error.message);
  }

  linkUp({ config }: RouterLink): void {
    this.#parts.events.emit('dvmrp.interface.up', () => ({ interface: config.name }));
  }

  linkDown({ config }: RouterLink): void {
    this.#parts.events.emit('dvmrp.interface.down', () => ({ interface: config.name }));
  }

  neighborUp({ config }: RouterLink, { address, version }: Neighbor): void {
    const neighbor = formatIp(address);
    this.#parts.events.emit('dvmrp.neighbor.up', () => ({ interface: config.name, neighbor, version }));
    const heldBack = this.#mayLog('neighbour', NEIGHBORS_BURST);
    if (heldBack === undefined) return;
    const fields: Fields = { evt: 'dvmrp.neighbor.up', ifname: config.name, neighbor, version, heldBack };
    this.#log.info(fields, `neighbour ${neighbor} on ${config.name} is up`);
  }

  neighborDown({ config }: RouterLink, { address }: Neighbor, why: string): void {
    const neighbor = formatIp(address);
    this.#parts.events.emit('dvmrp.neighbor.down', () => ({ interface: config.name, neighbor, why }));
    const heldBack = this.#mayLog('neighbour', NEIGHBORS_BURST);
    if (heldBack === undefined) return;
    const fields: Fields = { evt: 'dvmrp.neighbor.down', ifname: config.name, neighbor, why, heldBack };
    this.#log.info(fields, `neighbour ${neighbor} on ${config.name} is down (${why})`);
  }

  neighborRestarted({ config }: RouterLink, { address }: Neighbor): void {
    const neighbor = formatIp(address);
    this.#parts.events.emit('dvmrp.neighbor.restarted', () => ({ interface: config.name, neighbor }));
    const heldBack = this.#mayLog('neighbour', NEIGHBORS_BURST);
    if (heldBack === undefined) return;
    const fields: Fields = { evt: 'dvmrp.neighbor.restarted', ifname: config.name, neighbor, heldBack };
    this.#log.info(fields, `${neighbor} on ${config.name} has started anew`);
  }

  neighborRefused({ config }: RouterLink, { address, version }: Neighbor, why: Refusal): void {
    const neighbor = formatIp(address);
    const heldBack = this.#mayLog(`${config.name} refused`);
    if (heldBack === undefined) return;
    const fields: Fields = { evt: 'dvmrp.neighbor.refused', ifname: config.name, neighbor, version, why, heldBack };
    this.#log.warn(fields, `${neighbor} on ${config.name} is not wanted as a neighbour: ${REFUSAL_TEXTS[why]}`);
  }

  routeLost(route: Route): void {
    this.#parts.events.emit('dvmrp.route.lost', () => ({
      prefix: formatPrefix(route),
      neighbor: route.upstream === undefined ? null : formatIp(route.upstream.address),
    }));
  }

  dropped({ config }: RouterLink, reason: Drop, source: IpAddress): void {
    if (reason === 'offSubnet') return this.#offSubnet(config.name, source);
    const warned = WARNED.has(reason);
    if (reason === 'ownMessage' || (!warned && !this.#log.debugEnabled)) return;
    const heldBack = this.#mayLog(`${config.name} ${reason}`);
    if (heldBack === undefined) return;
    const fields = { ifname: config.name, reason, from: formatIp(source), heldBack };
    const what = `from ${formatIp(source)} on ${config.name}: ${reason}`;
    if (warned) this.#log.warn({ evt: 'dvmrp.limit.reached', ...fields }, `not taken ${what}`);
    else this.#log.debug({ evt: 'dvmrp.message.ignored', ...fields }, `ignored ${what}`);
  }

  /** A neighbour that is never one: an operator should know. */
  #offSubnet(ifname: string, source: IpAddress): void {
    const heldBack = this.#strangers.take(ifname, this.#parts.clock.nowMs());
    if (heldBack === undefined) return;
    const from = formatIp(source);
    this.#log.warn(
      { evt: 'dvmrp.message.refused', ifname, reason: 'offSubnet', from, heldBack },
      `ignored a message of ${from} on ${ifname}: its address is in no network of ${ifname}, and no route without a gateway leads to it there; give both routers addresses of one network, or add such a route`,
    );
  }

  #mayLog(reason: string, burst = LOG_BURST): number | undefined {
    return this.#lines.take(reason, this.#parts.clock.nowMs(), burst);
  }
}
