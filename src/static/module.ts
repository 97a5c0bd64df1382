/**
 * The static protocol: configured routes and joins, as a client of the manager like any other. Several instances differ in
 * their component id, which makes a hand-over between two protocols possible.
 *
 * Follows the manager's specification: 2.3 and 2.4 (take, release), 2.6 (membership of the configured oifs), 3.1 (the
 * configured iif answers RPF), D-OWN-8 (interface gone), D-OWN-13 (hand-over). A flow whose incoming interface the instance
 * owns leaves by the outputs of its route (ADR 11) and by those where hosts ask for it; a route without outputs refuses it. Routes
 * for one group are memberships as well, so that protocols upstream hear of them. Not used: FORWARD, alerts, wrong-interface.
 */
import { type Answer, isLater, whenAnswered } from '../base/answer.js';
import { fieldsOf } from '../base/fields.js';
import { formatIp, formatPrefix, isAny, type Prefix } from '../base/ip.js';
import type { StaticConfig, StaticRoute } from '../config/types.js';
import {
  type ClientCallbacks,
  type Handle,
  JOIN,
  type MembershipKey,
  type MgmClient,
  type MgmStatus,
  PROTOCOL,
  type Protocol,
  type RpfReply,
  type RpfRequest,
  type SavedProtocolState,
} from '../mgm/client.js';
import type { Clock } from '../port/clock.js';
import type { Events } from '../port/events.js';
import type { Ifindex, LinkChange, LinkPort, MembershipPort } from '../port/kernel.js';
import type { Log } from '../port/log.js';
import { hasChoice, type InputProblem, Inputs } from './inputs.js';
import { Joins } from './joins.js';
import { Routes } from './routes.js';

export interface StaticModuleParts {
  readonly mgm: MgmClient;
  readonly links: LinkPort;
  readonly membership: MembershipPort;
  readonly clock: Clock;
  readonly log: Log;
  readonly events: Events;
  readonly config: StaticConfig;
  readonly savedState?: SavedProtocolState | undefined;
}

/** A route as `mgmctl show static routes` shows it. */
export interface StaticRouteRow {
  readonly instance: string;
  readonly source: string;
  readonly group: string;
  readonly from: readonly string[];
  /** Empty: blocked. */
  readonly to: readonly string[];
}

/** The active input of a group whose route has several. */
export interface StaticInputRow {
  readonly instance: string;
  readonly group: string;
  readonly from: readonly string[];
  readonly active: string;
  readonly switches: number;
}

const DONE: MgmStatus = { code: 'NO_ERROR' };
const NOT_STARTED: MgmStatus = { code: 'ERROR_INVALID_PARAMETER', detail: 'badHandle' };

export class StaticModule implements Protocol {
  readonly name: string;
  readonly #parts: StaticModuleParts;
  readonly #log: Log;
  #handle: Handle | undefined;
  /** Interfaces whose Take has been asked for and not been undone: what `stop` has to release. */
  readonly #asked = new Set<Ifindex>();
  /** With the name that each had when it was taken: one that is renamed is lost under that. */
  readonly #owned = new Map<Ifindex, string | undefined>();
  readonly #routes: Routes;
  readonly #joins: Joins;
  readonly #inputs: Inputs;
  #unsubscribe: () => void = () => undefined;

  constructor(parts: StaticModuleParts) {
    this.#parts = parts;
    this.name = parts.config.name;
    this.#log = parts.log.child({ mod: 'static', client: this.name });
    this.#routes = new Routes(parts.config.routes);
    this.#joins = new Joins({ ...parts, holder: this.name, joins: parts.config.joins, log: this.#log });
    this.#inputs = new Inputs({
      ...parts,
      log: this.#log,
      client: this.name,
      handle: () => this.#handle,
      usable: (name) => this.#usable(name),
      problem: (name) => this.#problem(name),
      switches: switchesOf(parts.savedState),
    });
  }

  start(): MgmStatus {
    const { mgm, links, config } = this.#parts;
    const { handle, ...status } = mgm.register({
      protocolId: PROTOCOL.static,
      componentId: config.componentId,
      name: this.name,
      callbacks: this.#callbacks(),
      pimUpcalls: config.routes.some(hasChoice),
    });
    if (handle === undefined) return status;
    this.#handle = handle;
    this.#unsubscribe = links.onChange((change) => this.#linkChanged(change));
    for (const link of links.links()) this.#joins.joinOn(link);
    return status;
  }

  /** Drops the configured joins, releases in ascending order of ifindex, then deregisters. Harmless when not started. */
  stop(): Answer<MgmStatus> {
    this.#unsubscribe();
    this.#inputs.stop();
    if (this.#handle === undefined) return DONE;
    this.#joins.stop();
    return this.#releaseNext([...this.#asked].sort((a, b) => a - b));
  }

  saveState(): unknown {
    return { switches: Object.fromEntries(this.#inputs.saved()) };
  }

  /** By a take all of its routes are known. */
  hasSaidAll(): boolean {
    return true;
  }

  take(ifindex: Ifindex): Answer<MgmStatus> {
    if (this.#handle === undefined) return NOT_STARTED;
    const had = this.#asked.has(ifindex);
    this.#asked.add(ifindex);
    return whenAnswered(this.#parts.mgm.takeInterface(this.#handle, ifindex), (status) => {
      if (status.code === 'NO_ERROR') this.#serve(ifindex);
      else if (!had) this.#forget(ifindex);
      return status;
    });
  }

  release(ifindex: Ifindex): Answer<MgmStatus> {
    if (this.#handle === undefined) return NOT_STARTED;
    // The memberships stay until the manager sweeps them: deleting them here would break before it makes (D-OWN-9).
    return whenAnswered(this.#parts.mgm.releaseInterface(this.#handle, ifindex), (status) => {
      if (status.code === 'NO_ERROR') this.#forget(ifindex);
      return status;
    });
  }

  *eachRoute(): Generator<StaticRouteRow, void> {
    for (const { source, group, iifs, oifs } of this.#routes.all)
      yield {
        instance: this.name,
        source: source ? rangeText(source) : '*',
        group: rangeText(group),
        from: iifs,
        to: oifs,
      };
  }

  *eachInput(): Generator<StaticInputRow, void> {
    for (const { group, route, active, switches } of this.#inputs.each())
      yield { instance: this.name, group: formatIp(group), from: route.iifs, active, switches };
  }

  #callbacks(): ClientCallbacks {
    return {
      rpf: (request) => this.#rpf(request),
      mayStillWant: (flow, ifindex) => this.#leadsTo(flow, ifindex),
      mayPass: (flow, iif) => this.#leadsFrom(flow, iif),
      expects: (flow, arrival) => this.#expects(flow, arrival),
      wrongInterface: (event) => this.#heard(event, event.ifindex),
      interfaceGone: (ifindex) => this.#forget(ifindex),
      interfaceLost: (ifindex) => this.#forget(ifindex),
      interfaceOffered: (ifindex) => this.#parts.links.byIndex(ifindex) !== undefined,
      interfaceGranted: (ifindex) => this.#granted(ifindex),
    };
  }

  #leadsTo(flow: MembershipKey, ifindex: Ifindex): boolean {
    const name = this.#nameOf(ifindex);
    return name !== undefined && this.#routes.leadTo(flow, name);
  }

  /** What no route is about may come in anywhere. */
  #leadsFrom(flow: MembershipKey, ifindex: Ifindex): boolean {
    const name = this.#owned.has(ifindex) ? this.#nameOf(ifindex) : undefined;
    const route = name === undefined ? undefined : this.#routes.find(flow, [name]);
    return route === undefined || (route.oifs.length > 0 && route.iifs.includes(name!));
  }

  /** The route's input, as long as this instance owns it (D-RPF-2), and its outputs; otherwise what the look-up gave (manager.md section 3.1). */
  #rpf(flow: RpfRequest): RpfReply | undefined {
    const arrival = this.#nameOf(flow.arrival ?? this.#parts.mgm.getMfe(flow).mfe?.iif);
    const route = this.#routes.find(flow, [arrival, this.#nameOf(flow.ifindex)]);
    if (!route) return undefined;
    if (route.oifs.length === 0) return { refuse: true };
    return this.#replyOf(route, route.iifs.length === 1 ? route.iifs[0]! : this.#inputs.of(route, flow, arrival));
  }

  /** Of several inputs each is legal, whatever the unicast routes say; with a single one they must lead to an interface in service. */
  #expects(flow: MembershipKey, arrival: Ifindex): RpfReply | undefined {
    const name = this.#owned.get(arrival);
    const route = name === undefined ? undefined : this.#routes.find(flow, [name]);
    if (!route || route.iifs.length === 1 || !route.iifs.includes(name!)) return undefined;
    return route.oifs.length === 0 ? { refuse: true } : this.#replyOf(route, this.#inputs.of(route, flow, name));
  }

  #heard(flow: MembershipKey, ifindex: Ifindex): void {
    const name = this.#owned.get(ifindex);
    const route = name === undefined ? undefined : this.#routes.find(flow, [name]);
    if (route && hasChoice(route) && route.iifs.includes(name!)) this.#inputs.heard(route, flow.group, name!);
  }

  #replyOf(route: StaticRoute, name: string): RpfReply | undefined {
    const iif = this.#parts.links.byName(name);
    return iif && this.#owned.has(iif.ifindex) ? { ifindex: iif.ifindex, outputs: this.#outputsOf(route) } : undefined;
  }

  #outputsOf({ oifs }: StaticRoute): readonly Ifindex[] {
    return oifs.flatMap((name) => this.#parts.links.byName(name)?.ifindex ?? []);
  }

  #nameOf(ifindex: Ifindex | undefined): string | undefined {
    return ifindex === undefined ? undefined : this.#parts.links.byIndex(ifindex)?.name;
  }

  #usable(name: string): Ifindex | undefined {
    const link = this.#parts.links.byName(name);
    return link?.running && this.#owned.has(link.ifindex) ? link.ifindex : undefined;
  }

  #problem(name: string): InputProblem {
    const link = this.#parts.links.byName(name);
    if (!link) return 'gone';
    return this.#owned.has(link.ifindex) ? 'down' : 'released';
  }

  /** The interface came by hand-over; the manager sweeps what was not added by `resyncDone` (D-OWN-13). */
  #granted(ifindex: Ifindex): void {
    this.#asked.add(ifindex);
    const handle = this.#handle;
    if (handle === undefined) return;
    const added = this.#serve(ifindex);
    if (isLater(added)) void added.then(() => this.#parts.mgm.resyncDone(handle, ifindex));
    else this.#parts.mgm.resyncDone(handle, ifindex);
  }

  #serve(ifindex: Ifindex): Answer<unknown> {
    const name = this.#nameOf(ifindex);
    this.#owned.set(ifindex, name);
    return name === undefined ? undefined : this.#addMemberships(ifindex, name);
  }

  /** Later only when the manager answered one of the calls later. */
  #addMemberships(ifindex: Ifindex, name: string): Answer<unknown> {
    const answers = this.#routes.keysLeavingBy(name).map((key) => this.#add(key, ifindex, name));
    return answers.some(isLater) ? Promise.all(answers.filter(isLater)) : undefined;
  }

  #add(key: MembershipKey, ifindex: Ifindex, name: string): Answer<void> {
    return whenAnswered(this.#parts.mgm.addMembership(this.#handle!, key, ifindex, JOIN), ({ code, ...why }) => {
      if (code === 'NO_ERROR' || !this.#owned.has(ifindex)) return;
      const flow = `(${isAny(key.source) ? '*' : formatIp(key.source)}, ${formatIp(key.group)})`;
      this.#log.warn(
        { evt: 'static.route.refused', ifname: name, code, ...why },
        `cannot forward ${flow} to ${name}: the manager answered ${code} ${why.message ?? why.detail ?? ''}`,
      );
    });
  }

  #forget(ifindex: Ifindex): void {
    this.#asked.delete(ifindex);
    const name = this.#owned.get(ifindex);
    this.#owned.delete(ifindex);
    if (name !== undefined) this.#inputs.lost(name);
  }

  #releaseNext(rest: Ifindex[]): Answer<MgmStatus> {
    const ifindex = rest.shift();
    if (ifindex === undefined) return this.#deregister();
    // One that cannot be released (taken by nobody, gone meanwhile) must not keep the others.
    return whenAnswered(this.release(ifindex), () => this.#releaseNext(rest));
  }

  #deregister(): MgmStatus {
    const status = this.#parts.mgm.deregister(this.#handle!);
    if (status.code === 'NO_ERROR') this.#handle = undefined;
    return status;
  }

  /** One that is created again or got another name has none of its joins. */
  #linkChanged({ kind, link, before }: LinkChange): void {
    if (kind === 'added') this.#joins.joinOn(link);
    else if (kind === 'removed') this.#joins.gone(link.ifindex);
    else if (before?.running && !link.running) this.#inputs.lost(link.name);
  }
}

function switchesOf(saved: SavedProtocolState | undefined): ReadonlyMap<string, number> {
  const switches = fieldsOf(fieldsOf(saved?.state)?.['switches']) ?? {};
  return new Map(
    Object.entries(switches).flatMap(([name, count]) => (typeof count === 'number' ? [[name, count] as const] : [])),
  );
}

/** One address without its length. */
function rangeText(range: Prefix): string {
  return range.length === 32 ? formatIp(range.network) : formatPrefix(range);
}
