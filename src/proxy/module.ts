/**
 * The IGMP proxy (RFC 4605) as a client of the manager: asks upstream, as a host, for what is wanted downstream. What it
 * owns and is configured as an upstream is one; every other interface it owns is a downstream, with IGMP beside it, and
 * what hosts want there arrives as local joins. What other protocols want arrives as alerts, and nothing else is known of
 * them. The only file of this folder that touches ports.
 *
 * Follows igmp.md sections 13.2, 14.1 and 15, coexistence.md sections 5 and 6, and of the manager's specification 3.1 to 3.6,
 * D-LJ-2 (refusals at a local join), D-OWN-8 (interface gone), D-OWN-13 (hand-over), and ADR 6 (advice of IGMP). The host
 * side (igmp.md section 14) is the kernel's.
 */
import { type Answer, whenAnswered } from '../base/answer.js';
import { ANY4, formatIp, type IpAddress, isAny, type Prefix, prefixContains } from '../base/ip.js';
import { LogLimiter } from '../base/log-limiter.js';
import { linkName } from '../base/link-name.js';
import type { ProxyConfig, ProxyUpstream } from '../config/types.js';
import {
  type ClientCallbacks,
  type CreationReply,
  type CreationRequest,
  type Handle,
  JOIN,
  type JoinAlert,
  type LocalJoin,
  type LocalJoinReply,
  type LocalLeave,
  type LocalQuerier,
  type LocalSource,
  type MembershipKey,
  type MgmClient,
  type MgmStatus,
  PROTOCOL,
  type Protocol,
  type PruneAlert,
  type RpfReply,
  type RpfRequest,
  type WrongInterface,
} from '../mgm/client.js';
import type { Clock, Timer } from '../port/clock.js';
import type { Events } from '../port/events.js';
import type { HostIgmpPort, Ifindex, IgmpVersionNumber, LinkChange, LinkPort, MembershipPort } from '../port/kernel.js';
import type { Log } from '../port/log.js';
import { Database, Others, type Wishes } from './database.js';
import { Entries } from './entries.js';
import { Interfaces, type Served } from './interfaces.js';
import type { Joins } from './joins.js';
import { Rules } from './rules.js';
import { UpstreamJoins } from './upstream-joins.js';
import { UpstreamWatch } from './upstream-problems.js';
import { Upstreams } from './upstreams.js';
import { groupRows, type ProxyGroupRow, type ProxyUpstreamRow, type UpstreamState, upstreamRows } from './view.js';

export interface ProxyModuleParts {
  readonly mgm: MgmClient;
  readonly links: LinkPort;
  readonly membership: MembershipPort;
  readonly hostIgmp?: HostIgmpPort | undefined;
  readonly clock: Clock;
  readonly log: Log;
  readonly events: Events;
  readonly config: ProxyConfig;
  readonly ssmRanges: readonly Prefix[];
}

/** How old the versions of a view may be: whoever asks, the kernel is asked this seldom. */
const VERSIONS_MS = 2000;
const ALL: MembershipKey = { source: ANY4, group: ANY4 };
const DONE: MgmStatus = { code: 'NO_ERROR' };
const NOT_STARTED: MgmStatus = { code: 'ERROR_INVALID_PARAMETER', detail: 'badHandle' };
/**
 * What was wanted on a downstream that went to another owner is kept as long as an ownership change may take (D-EN-2):
 * then the others have said what they want of it, and nothing is left and joined again in between.
 */
const DEPARTED_MS = 5000;
/** Lines about the same thing: this many at once, then one in ten seconds. */
const LOG_BURST = 5;
const LOG_PER_SECOND = 0.1;

export class ProxyModule implements Protocol {
  readonly name = 'proxy';
  readonly #parts: ProxyModuleParts;
  readonly #log: Log;
  readonly #upstreams: Upstreams;
  readonly #database: Database;
  readonly #joins: Joins;
  readonly #rules: Rules;
  readonly #entries: Entries;
  readonly #interfaces: Interfaces;
  readonly #others: Others;
  readonly #departed = new Set<Timer>();
  readonly #watch: UpstreamWatch;
  readonly #versions = new LogLimiter(1, 1 / 600);
  readonly #lines = new LogLimiter(LOG_BURST, LOG_PER_SECOND);
  readonly #asking: UpstreamJoins;
  #anySourceRefused = 0;
  #handle: Handle | undefined;
  /** Between start and stop. */
  #running = false;
  #unsubscribe: () => void = () => undefined;

  constructor(parts: ProxyModuleParts) {
    const { config, mgm } = parts;
    this.#parts = parts;
    this.#log = parts.log.child({ mod: 'proxy' });
    const upstreams = new Upstreams(config.upstreams);
    const database = new Database((group) => this.#isSsm(group));
    this.#watch = new UpstreamWatch({
      clock: parts.clock,
      log: this.#log,
      settings: () => this.#settings(),
      refresh: (then) => (parts.hostIgmp ? parts.hostIgmp.refresh(then) : then()),
      look: () => this.#lookAtUpstreams(),
    });
    this.#upstreams = upstreams;
    this.#database = database;
    this.#interfaces = new Interfaces(database, upstreams);
    this.#others = new Others(database, config.wildcardGroups);
    this.#asking = new UpstreamJoins({
      ...parts,
      name: this.name,
      log: this.#log,
      limiter: this.#lines,
      wanted: (group) => database.merged(group),
      carrier: (group, current) => upstreams.carrier(group, current),
      nameOf: (ifindex) => this.#nameOf(ifindex),
    });
    this.#joins = this.#asking.joins;
    this.#rules = new Rules({
      upstreams,
      requireQuerier: config.requireQuerier,
      isSsm: (group) => this.#isSsm(group),
      downstream: (ifindex) => this.#interfaces.downstream(ifindex),
      carrier: (group) => upstreams.carrier(group, this.#joins.where(group)),
    });
    this.#entries = new Entries({
      mgm,
      rules: this.#rules,
      owned: () => this.#interfaces.owned(),
      later: (run) => parts.clock.after(0, run),
    });
  }

  start(): MgmStatus {
    const { mgm, links } = this.#parts;
    const { handle, ...status } = mgm.register({
      protocolId: PROTOCOL.igmpProxy,
      componentId: 0,
      name: this.name,
      callbacks: this.#callbacks(),
    });
    if (handle === undefined) return status;
    this.#handle = handle;
    this.#running = true;
    this.#asking.start();
    this.#unsubscribe = links.onChange((change) => this.#linkChanged(change));
    return status;
  }

  /** Leaves every group, releases in ascending order of ifindex, then deregisters. Harmless when not started. */
  stop(): Answer<MgmStatus> {
    this.#running = false;
    this.#unsubscribe();
    this.#entries.stop();
    this.#watch.stop();
    this.#asking.pause();
    for (const timer of this.#departed) timer.cancel();
    this.#departed.clear();
    if (this.#handle === undefined) return DONE;
    this.#joins.stop();
    return this.#releaseNext(this.#interfaces.ifindexes());
  }

  take(ifindex: Ifindex): Answer<MgmStatus> {
    if (this.#handle === undefined) return NOT_STARTED;
    const had = this.#interfaces.get(ifindex) !== undefined;
    this.#at(ifindex); // before the answer, which IGMP's advice may overtake
    return whenAnswered(this.#parts.mgm.takeInterface(this.#handle, ifindex), (status) => {
      if (status.code === 'NO_ERROR') void this.#serve(ifindex);
      else if (!had) this.#forget(ifindex, 'refused');
      return status;
    });
  }

  release(ifindex: Ifindex): Answer<MgmStatus> {
    if (this.#handle === undefined) return NOT_STARTED;
    return whenAnswered(this.#parts.mgm.releaseInterface(this.#handle, ifindex), (status) => {
      if (status.code === 'NO_ERROR') this.#forget(ifindex, 'lost');
      return status;
    });
  }

  hasSaidAll(): boolean {
    return true;
  }

  groups(): readonly ProxyGroupRow[] {
    return [...this.eachGroup()].filter((row) => row !== undefined);
  }

  /** As `groups`, row by row: reading may stop and go on later. */
  eachGroup(): Iterable<ProxyGroupRow | undefined> {
    return groupRows({
      joins: this.#joins,
      database: this.#database,
      nowMs: () => this.#parts.clock.nowMs(),
      nameOf: (ifindex) => this.#nameOf(ifindex),
      isHeld: (ifindex, group) => this.#parts.membership.holds(this.name, ifindex, group),
      problemOf: (ifindex, group) => this.#parts.membership.problem(ifindex, group),
    });
  }

  upstreams(): readonly ProxyUpstreamRow[] {
    return [...this.#eachUpstream()].filter((row) => row !== undefined);
  }

  /** With the versions that the kernel speaks now. */
  async eachUpstream(): Promise<Iterable<ProxyUpstreamRow | undefined>> {
    const { hostIgmp } = this.#parts;
    if (hostIgmp) await new Promise<void>((resolve) => hostIgmp.refresh(resolve, VERSIONS_MS));
    return this.#eachUpstream();
  }

  #eachUpstream(): Iterable<ProxyUpstreamRow | undefined> {
    const { links, hostIgmp, config } = this.#parts;
    const stateOf = (name: string) => this.#stateOf(name);
    return upstreamRows({ configs: config.upstreams, joins: this.#joins, links, hostIgmp, stateOf });
  }

  /** What was refused so far; memberships that are held, and groups that wait for room, now. */
  counters(): Readonly<Record<string, number>> & { readonly anySourceRefused: number; readonly joinsRefused: number } {
    return { anySourceRefused: this.#anySourceRefused, ...this.#asking.counters() };
  }

  #callbacks(): ClientCallbacks {
    return {
      rpf: (request) => this.#rpf(request),
      creationAlert: (request) => this.#creationAlert(request),
      joinAlert: (alert) => this.#joinAlert(alert),
      pruneAlert: (alert) => this.#pruneAlert(alert),
      localJoin: (join) => this.#localJoin(join),
      localLeave: (leave) => this.#localLeave(leave),
      localSource: (advice) => this.#localSource(advice),
      localQuerier: (advice) => this.#localQuerier(advice),
      wrongInterface: (event) => this.#wrongInterface(event),
      // Upstream, groups may be asked for late. What hosts want is said by IGMP.
      mayStillWant: (_flow, ifindex) => this.#upstreams.get(ifindex) !== undefined,
      mayPass: ({ group }, iif, oif) => this.#rules.mayEverLeave(group, iif, oif),
      interfaceGone: (ifindex) => this.#forget(ifindex, 'gone'),
      interfaceLost: (ifindex) => this.#forget(ifindex, 'lost'),
      interfaceOffered: (ifindex) => this.#parts.links.byIndex(ifindex) !== undefined,
      interfaceGranted: (ifindex) => this.#granted(ifindex),
    };
  }

  // The manager's questions

  /** A flow from upstream is expected on the upstream that its group is asked on. */
  #rpf({ group, ifindex }: RpfRequest): RpfReply | undefined {
    const expected = this.#rules.expectedOn(group, ifindex);
    return expected === ifindex ? undefined : { ifindex: expected };
  }

  #creationAlert({ source, group, iif, oifs }: CreationRequest): CreationReply | undefined {
    const key = { source, group };
    const disabled = oifs.map((oif) => oif.ifindex).filter((out) => !this.#rules.mayLeave(key, iif, out));
    return disabled.length > 0 ? { disabled } : undefined;
  }

  #localJoin({ ifindex, entries, source, group }: LocalJoin): LocalJoinReply | undefined {
    this.#noteAnySource({ source, group });
    this.#at(ifindex);
    this.#interfaces.wishesOf(ifindex)?.join({ source, group });
    this.#changed(group);
    const refuse = this.#entries.refusedBy(entries, ifindex);
    return refuse.length > 0 ? { refuse } : undefined;
  }

  // What changes

  #localLeave({ ifindex, source, group }: LocalLeave): void {
    this.#interfaces.wishesOf(ifindex)?.leave({ source, group });
    this.#changed(group);
  }

  #localSource({ ifindex, refused, source, group }: LocalSource): void {
    this.#interfaces.wishesOf(ifindex)?.refuse({ source, group }, refused);
    this.#changed(group);
    if (this.#handle !== undefined) this.#entries.adjust(this.#handle, { source, group });
  }

  #localQuerier({ ifindex, querier }: LocalQuerier): void {
    this.#at(ifindex).querier = querier;
    this.#adjustAll();
  }

  /** Without the flag it is about an entry that got outputs: nothing to do, upstream is asked for groups. */
  #joinAlert({ memberUpdate, source, group }: JoinAlert): void {
    if (!memberUpdate) return;
    this.#noteAnySource({ source, group });
    for (const one of this.#others.join({ source, group })) this.#changed(one);
  }

  #pruneAlert({ memberDelete, source, group }: PruneAlert): void {
    if (memberDelete) for (const one of this.#others.leave({ source, group })) this.#changed(one);
  }

  /** F17: a flow whose source no route covers is expected where it comes in, so it may move. */
  #wrongInterface({ source, group, ifindex }: WrongInterface): void {
    const { mfe } = this.#parts.mgm.getMfe({ source, group });
    if (this.#handle === undefined || !mfe || mfe.route !== undefined) return;
    if (mfe.iifProtocol !== this.name || this.#interfaces.get(ifindex)?.owned !== true) return;
    this.#entries.move(this.#handle, mfe, this.#rules.expectedOn(group, ifindex));
  }

  // Interfaces come and go

  #at(ifindex: Ifindex): Served {
    return this.#interfaces.at(ifindex, linkName(this.#parts.links, ifindex));
  }

  #serve(ifindex: Ifindex): Answer<void> {
    const served = this.#at(ifindex);
    served.owned = true;
    const upstream = this.#upstreams.configOf(served.name);
    if (!upstream) return;
    this.#upstreams.serve(upstream, ifindex, this.#parts.links.byIndex(ifindex)?.running ?? false);
    this.#forceVersion(upstream, served);
    this.#watch.start();
    // RFC 4605 section 4.2: what comes from inside goes up whether somebody asked for it or not.
    return whenAnswered(this.#parts.mgm.addMembership(this.#handle!, ALL, ifindex, JOIN), ({ code, ...why }) => {
      if (code !== 'NO_ERROR' && this.#upstreams.get(ifindex))
        this.#log.error(
          { evt: 'proxy.upstream.refused', ifname: served.name, code, ...why },
          `nothing from inside leaves by ${served.name}: the manager answered ${code} ${why.message ?? why.detail ?? ''}`,
        );
      this.#upstreamChanged(served.name);
    });
  }

  /** What is not added by `resyncDone` is swept (D-OWN-13). */
  #granted(ifindex: Ifindex): void {
    void whenAnswered(this.#serve(ifindex), () => this.#parts.mgm.resyncDone(this.#handle!, ifindex));
  }

  #forget(ifindex: Ifindex, why: 'refused' | 'lost' | 'gone'): void {
    const served = this.#interfaces.delete(ifindex);
    if (!served) return;
    if (this.#upstreams.get(ifindex)) this.#unserve(served);
    if (why === 'lost' && this.#running) this.#depart(served.wishes);
    else this.#drop(served.wishes);
  }

  #unserve({ ifindex, name }: Served): void {
    this.#upstreams.unserve(ifindex);
    this.#parts.hostIgmp?.restore(ifindex);
    this.#upstreamChanged(name);
  }

  #depart(wishes: Wishes): void {
    if (wishes.isEmpty) return this.#drop(wishes);
    const timer = this.#parts.clock.after(DEPARTED_MS, () => {
      this.#departed.delete(timer);
      this.#drop(wishes);
    });
    this.#departed.add(timer);
  }

  #drop(wishes: Wishes): void {
    this.#database.delete(wishes);
    for (const group of wishes.groups()) this.#changed(group);
  }

  /** One that cannot be released (gone meanwhile) must not keep the others. */
  #releaseNext(rest: Ifindex[]): Answer<MgmStatus> {
    const ifindex = rest.shift();
    if (ifindex !== undefined) return whenAnswered(this.release(ifindex), () => this.#releaseNext(rest));
    const status = this.#parts.mgm.deregister(this.#handle!);
    if (status.code === 'NO_ERROR') this.#handle = undefined;
    return status;
  }

  #linkChanged({ kind, link }: LinkChange): void {
    if (kind !== 'changed' || this.#interfaces.get(link.ifindex)?.owned !== true) return;
    const upstream = this.#upstreams.get(link.ifindex);
    if (!upstream || upstream.running === link.running) return;
    upstream.running = link.running;
    this.#upstreamChanged(link.name);
  }

  #stateOf(upstream: string): UpstreamState {
    const link = this.#parts.links.byName(upstream);
    if (!link) return 'absent';
    const served = this.#upstreams.get(link.ifindex);
    return !served ? 'released' : served.running ? 'up' : 'down';
  }

  #upstreamChanged(name: string): void {
    if (!this.#running) return;
    const state = this.#stateOf(name);
    this.#parts.events.emit('proxy.upstream.changed', () => ({ interface: name, state }));
    this.#tellUpstream(name, state);
    for (const group of this.#database.groups()) this.#joins.mark(group);
    this.#joins.markAllAsked();
    this.#asking.arm();
    this.#adjustAll();
  }

  #tellUpstream(ifname: string, state: UpstreamState): void {
    const heldBack = this.#mayLog('upstream');
    if (heldBack === undefined) return;
    const substitute = this.#upstreams.all().find(({ running }) => running)?.config.interface;
    const what = `${ifname} is ${state} as upstream`;
    if (state === 'up' || state === 'released')
      return this.#log.info({ evt: 'proxy.upstream.changed', ifname, state, heldBack }, what);
    const then = substitute === undefined ? 'no other upstream is up' : `${substitute} carries the groups it admits`;
    this.#log.warn({ evt: 'proxy.upstream.changed', ifname, state, heldBack }, `${what}; ${then}`);
  }

  /** Whoever set another version meanwhile is overruled by the configuration. */
  #lookAtUpstreams(): readonly ProxyUpstreamRow[] {
    for (const { config, ifindex } of this.#upstreams.all()) {
      const { own = 'auto' } = this.#parts.hostIgmp?.forced(ifindex) ?? { own: config.version };
      if (own !== config.version) this.#overrule(config, ifindex, own);
    }
    return this.upstreams().filter(({ state }) => state !== 'down');
  }

  #settings(): string {
    return this.#upstreams
      .all()
      .map(({ ifindex }) => {
        const { own, all } = this.#parts.hostIgmp?.forced(ifindex) ?? {};
        return `${ifindex} ${own} ${all}`;
      })
      .join();
  }

  #overrule(config: ProxyUpstream, ifindex: Ifindex, own: IgmpVersionNumber | 'auto'): void {
    const { interface: ifname, version } = config;
    if (!this.#forceVersion(config, { ifindex, name: ifname })) return;
    const heldBack = this.#mayLog(`version of ${ifname}`);
    if (heldBack === undefined) return;
    const key = `net.ipv4.conf.${ifname}.force_igmp_version`;
    const [found, now] = [own, version].map((one) => (one === 'auto' ? 0 : one));
    this.#log.warn(
      { evt: 'proxy.version.restored', ifname, version, found: own, heldBack },
      `somebody set ${key} to ${found}; mgmd put it back to ${now}, because "version" of the upstream is ${version}`,
    );
  }

  /** False, and told, when the kernel refuses it. */
  #forceVersion({ version }: ProxyUpstream, { ifindex, name }: Pick<Served, 'ifindex' | 'name'>): boolean {
    const error = this.#parts.hostIgmp?.force(ifindex, version);
    if (!error) return true;
    const heldBack = this.#versions.take(name, this.#parts.clock.nowMs());
    if (heldBack === undefined) return false;
    this.#log.warn(
      { evt: 'proxy.version.refused', ifname: name, version, code: error.code, heldBack },
      `${name} does not speak the configured IGMP version: ${error.message}`,
    );
    return false;
  }

  // Joins

  /** The group's record may be another one now. */
  #changed(group: IpAddress): void {
    this.#joins.mark(group);
    this.#asking.arm();
  }

  /** RFC 4604 section 2.2: it would be joined and never get a packet. */
  #noteAnySource({ source, group }: MembershipKey): void {
    if (!isAny(source) || !this.#isSsm(group)) return;
    this.#anySourceRefused++;
    const heldBack = this.#mayLog('ssm');
    if (heldBack === undefined) return;
    this.#log.warn(
      { evt: 'proxy.ssm.refused', group: formatIp(group), heldBack },
      `${formatIp(group)} without a source is not asked upstream: it is a source-specific group`,
    );
  }

  // Small things

  #isSsm(group: IpAddress): boolean {
    return this.#parts.ssmRanges.some((range) => prefixContains(range, group));
  }

  #adjustAll(): void {
    if (this.#handle !== undefined && this.#running) this.#entries.adjustAll(this.#handle);
  }

  #nameOf(ifindex: Ifindex): string {
    return this.#interfaces.get(ifindex)?.name ?? linkName(this.#parts.links, ifindex);
  }

  #mayLog(about: string): number | undefined {
    return this.#lines.take(about, this.#parts.clock.nowMs());
  }
}
