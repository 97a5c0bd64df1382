/**
 * The static protocol: configured (S,G) and (*,G) routes and configured joins, as a client of the manager like any
 * other. Several instances differ in their component id, which makes a hand-over between two protocols possible.
 *
 * Follows the manager's specification: 2.3 and 2.4 (take, release), 2.6 (membership of the configured oifs), 3.1 (the
 * configured iif answers RPF), D-OWN-8 (interface gone), D-OWN-13 (hand-over). Creation alerts and local joins take
 * their defaults: what hosts ask for by IGMP is forwarded as well. Not used: FORWARD, SetMfe, alerts, wrong-interface.
 */
import { type Answer, isLater, whenAnswered } from '../base/answer.js';
import { formatIp, isAny } from '../base/ip.js';
import type { StaticConfig } from '../config/types.js';
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
} from '../mgm/client.js';
import type { Clock, Timer } from '../port/clock.js';
import type { Ifindex, Link, LinkChange, LinkPort, MembershipPort } from '../port/kernel.js';
import type { Log } from '../port/log.js';
import { filtersOn, keysLeavingBy, routeOf } from './wishes.js';

export interface StaticModuleParts {
  readonly mgm: MgmClient;
  readonly links: LinkPort;
  readonly membership: MembershipPort;
  readonly clock: Clock;
  readonly log: Log;
  readonly config: StaticConfig;
}

/** A join that the kernel refused (ENOBUFS, an interface on its way out) is asked for again after this long. */
const REJOIN_MS = 30_000;

const DONE: MgmStatus = { code: 'NO_ERROR' };
const NOT_STARTED: MgmStatus = { code: 'ERROR_INVALID_PARAMETER', detail: 'badHandle' };

export class StaticModule implements Protocol {
  readonly name: string;
  readonly #parts: StaticModuleParts;
  readonly #log: Log;
  #handle: Handle | undefined;
  /** Interfaces whose Take has been asked for and not been undone: what `stop` has to release. */
  readonly #asked = new Set<Ifindex>();
  readonly #owned = new Set<Ifindex>();
  #unsubscribe: () => void = () => undefined;
  #rejoin: Timer | undefined;

  constructor(parts: StaticModuleParts) {
    this.#parts = parts;
    this.name = parts.config.name;
    this.#log = parts.log.child({ mod: 'static', client: this.name });
  }

  start(): MgmStatus {
    const { mgm, links, config } = this.#parts;
    const { handle, ...status } = mgm.register({
      protocolId: PROTOCOL.static,
      componentId: config.componentId,
      name: this.name,
      callbacks: this.#callbacks(),
    });
    if (handle === undefined) return status;
    this.#handle = handle;
    this.#unsubscribe = links.onChange((change) => this.#linkChanged(change));
    this.#joinAll();
    return status;
  }

  /** Drops the configured joins, releases in ascending order of ifindex, then deregisters. Harmless when not started. */
  stop(): Answer<MgmStatus> {
    this.#unsubscribe();
    this.#rejoin?.cancel();
    this.#rejoin = undefined;
    if (this.#handle === undefined) return DONE;
    for (const link of this.#parts.links.links()) this.#leaveAll(link.ifindex, link.name);
    return this.#releaseNext([...this.#asked].sort((a, b) => a - b));
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

  #callbacks(): ClientCallbacks {
    return {
      rpf: (request) => this.#rpf(request),
      mayStillWant: (flow, ifindex) => this.#leadsTo(flow, ifindex),
      mayPass: (flow, iif) => this.#leadsFrom(flow, iif),
      interfaceGone: (ifindex) => this.#forget(ifindex),
      interfaceLost: (ifindex) => this.#forget(ifindex),
      interfaceOffered: (ifindex) => this.#parts.links.byIndex(ifindex) !== undefined,
      interfaceGranted: (ifindex) => this.#granted(ifindex),
    };
  }

  #leadsTo(flow: MembershipKey, ifindex: Ifindex): boolean {
    const name = this.#parts.links.byIndex(ifindex)?.name;
    return name !== undefined && routeOf(this.#parts.config.routes, flow)?.oifs.includes(name) === true;
  }

  /** What no route is about may come in anywhere. */
  #leadsFrom(flow: MembershipKey, ifindex: Ifindex): boolean {
    const route = this.#owned.has(ifindex) ? routeOf(this.#parts.config.routes, flow) : undefined;
    return route === undefined || route.iif === this.#parts.links.byIndex(ifindex)?.name;
  }

  /** Section 3.1: the configured iif, as long as this instance owns it (D-RPF-2); otherwise what the look-up gave. */
  #rpf(flow: RpfRequest): RpfReply | undefined {
    const route = routeOf(this.#parts.config.routes, flow);
    const iif = route && this.#parts.links.byName(route.iif);
    return iif && this.#owned.has(iif.ifindex) ? { ifindex: iif.ifindex } : undefined;
  }

  /** D-OWN-13: the interface came by hand-over; the manager sweeps what was not added by `resyncDone`. */
  #granted(ifindex: Ifindex): void {
    this.#asked.add(ifindex);
    const handle = this.#handle;
    if (handle === undefined) return;
    const added = this.#serve(ifindex);
    if (isLater(added)) void added.then(() => this.#parts.mgm.resyncDone(handle, ifindex));
    else this.#parts.mgm.resyncDone(handle, ifindex);
  }

  #serve(ifindex: Ifindex): Answer<unknown> {
    this.#owned.add(ifindex);
    const name = this.#parts.links.byIndex(ifindex)?.name;
    return name === undefined ? undefined : this.#addMemberships(ifindex, name);
  }

  /** Later only when the manager answered one of the calls later. */
  #addMemberships(ifindex: Ifindex, name: string): Answer<unknown> {
    const answers = keysLeavingBy(this.#parts.config.routes, name).map((key) => this.#add(key, ifindex, name));
    return answers.some(isLater) ? Promise.all(answers.filter(isLater)) : undefined;
  }

  #add(key: MembershipKey, ifindex: Ifindex, name: string): Answer<void> {
    return whenAnswered(this.#parts.mgm.addMembership(this.#handle!, key, ifindex, JOIN), ({ code, ...why }) => {
      if (code === 'NO_ERROR' || !this.#owned.has(ifindex)) return;
      const flow = `(${isAny(key.source) ? '*' : formatIp(key.source)}, ${formatIp(key.group)})`;
      this.#log.warn(
        { evt: 'static.route.refused', ifname: name, code, ...why },
        `the route ${flow} does not leave by ${name}: the manager answered ${code} ${why.message ?? why.detail ?? ''}`,
      );
    });
  }

  #forget(ifindex: Ifindex): void {
    this.#asked.delete(ifindex);
    this.#owned.delete(ifindex);
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
  #linkChanged({ kind, link }: LinkChange): void {
    if (kind === 'added') this.#joinOn(link);
  }

  #joinAll(): void {
    for (const link of this.#parts.links.links()) this.#joinOn(link);
  }

  #joinOn({ ifindex, name }: Link): void {
    for (const [group, filter] of filtersOn(this.#parts.config.joins, name)) {
      const error = this.#parts.membership.set(this.name, ifindex, group, filter);
      if (!error) continue;
      this.#log.warn(
        { evt: 'static.join.refused', ifname: name, group: formatIp(group), code: error.code },
        `${error.message} The join is tried again in ${REJOIN_MS / 1000} s.`,
      );
      this.#rejoinLater();
    }
  }

  #rejoinLater(): void {
    this.#rejoin ??= this.#parts.clock.after(REJOIN_MS, () => {
      this.#rejoin = undefined;
      this.#joinAll();
    });
  }

  #leaveAll(ifindex: Ifindex, name: string): void {
    for (const group of filtersOn(this.#parts.config.joins, name).keys())
      this.#parts.membership.set(this.name, ifindex, group, undefined);
  }
}
