/**
 * IGMP as a client of the manager: hears hosts on the interfaces it was given, is their querier, and tells the manager what
 * they want. The only file of this folder that touches ports; one clock timer per interface serves all its groups.
 *
 * Follows igmp.md sections 1-4 (messages, reception), 5 and 6 (variables, state), 7 (state tables), 8 (queries), 10
 * (election), 11 (versions), 12.1 (fast leave), 13 (ranges), 16 (as a client) and 17.1 (sources), and of the manager's
 * specification D-CB-3, D-EN-1, D-EN-2 (pause and resync) and D-OWN-8 (interface gone).
 * Not supported: 12.2 (explicit tracking), 13.3 (scope boundaries), 14 (host side: the kernel's), 15 (proxy), filters and
 * static groups of section 18.
 */
import { type Answer, isLater, whenAnswered } from '../base/answer.js';
import { ANY4, formatIp, type IpAddress, isAny } from '../base/ip.js';
import { TokenBucket } from '../base/token-bucket.js';
import type { IgmpInterfaceConfig } from '../config/types.js';
import {
  type ClientCallbacks,
  type CreationReply,
  type CreationRequest,
  type Handle,
  JOIN,
  type MgmClient,
  type MgmStatus,
  PROTOCOL,
  type Protocol,
} from '../mgm/client.js';
import type { Clock, Timer } from '../port/clock.js';
import type { Ifindex, IgmpPacket, IgmpPort, Link, LinkChange, LinkPort } from '../port/kernel.js';
import type { Fields, Log } from '../port/log.js';
import type { DropReason } from './counters.js';
import { IgmpInterface, type InterfaceOutput, type LinkState } from './interface.js';
import { MembershipSync, type SyncOutput } from './membership-sync.js';
import { TYPE } from './packet.js';
import {
  countersRow,
  groupRow,
  type IgmpCountersRow,
  type IgmpGroupRow,
  type IgmpInterfaceRow,
  interfaceRow,
  type Named,
} from './view.js';

export interface IgmpModuleParts {
  readonly mgm: MgmClient;
  readonly igmp: IgmpPort;
  readonly links: LinkPort;
  readonly clock: Clock;
  readonly log: Log;
  /** By interface name; an interface without an entry cannot be taken. */
  readonly interfaces: ReadonlyMap<string, IgmpInterfaceConfig>;
}

const DONE: MgmStatus = { code: 'NO_ERROR' };
const NOT_STARTED: MgmStatus = { code: 'ERROR_INVALID_PARAMETER', detail: 'badHandle' };
const NEVER = Number.POSITIVE_INFINITY;

/** Lines about what strangers do: this many at once, then one in ten seconds, per reason and interface. */
const LOG_BURST = 3;
const LOG_PER_SECOND = 0.1;

export class IgmpModule implements Protocol {
  readonly name = 'igmp';
  readonly #parts: IgmpModuleParts;
  readonly #log: Log;
  readonly #served = new Map<Ifindex, ServedInterface>();
  #handle: Handle | undefined;
  #subscribed = false;
  #unsubscribe: () => void = () => undefined;

  constructor(parts: IgmpModuleParts) {
    this.#parts = parts;
    this.#log = parts.log.child({ mod: 'igmp' });
  }

  start(): MgmStatus {
    const { mgm, links, igmp } = this.#parts;
    const { handle, ...status } = mgm.register({
      protocolId: PROTOCOL.igmp,
      componentId: 0,
      name: this.name,
      callbacks: this.#callbacks(),
    });
    if (handle === undefined) return status;
    this.#handle = handle;
    this.#unsubscribe = links.onChange((change) => this.#linkChanged(change));
    if (!this.#subscribed) igmp.subscribe(Object.values(TYPE), (packet) => this.#received(packet));
    this.#subscribed = true;
    return status;
  }

  /** Releases in the order of taking, then deregisters. Harmless when not started. */
  stop(): Answer<MgmStatus> {
    this.#unsubscribe();
    if (this.#handle === undefined) return DONE;
    const held = [...this.#served.keys()];
    for (const served of this.#served.values()) served.close();
    this.#served.clear();
    return this.#releaseNext(this.#handle, held);
  }

  take(ifindex: Ifindex): Answer<MgmStatus> {
    if (this.#handle === undefined) return NOT_STARTED;
    const link = this.#parts.links.byIndex(ifindex);
    const config = link && this.#parts.interfaces.get(link.name);
    if (link === undefined || config === undefined) return notConfigured(ifindex, link);
    const had = this.#served.has(ifindex);
    // Made before the answer, so that a disable that overtakes a late answer is not missed.
    if (!had) this.#served.set(ifindex, new ServedInterface(this.#parts, this.#handle, this.#log, link, config));
    return whenAnswered(this.#parts.mgm.takeInterface(this.#handle, ifindex), (status) => {
      if (status.code === 'NO_ERROR') this.#served.get(ifindex)?.open();
      else if (!had) this.#forget(ifindex);
      return status;
    });
  }

  /** The manager deletes the memberships itself (D-OWN-2). */
  release(ifindex: Ifindex): Answer<MgmStatus> {
    if (this.#handle === undefined) return NOT_STARTED;
    return whenAnswered(this.#parts.mgm.releaseInterface(this.#handle, ifindex), (status) => {
      if (status.code === 'NO_ERROR') this.#forget(ifindex);
      return status;
    });
  }

  interfaces(): readonly IgmpInterfaceRow[] {
    const nowMs = this.#parts.clock.nowMs();
    return [...this.#served.values()].map((s) => interfaceRow(s.named, s.igmp, s.sync.phase, nowMs));
  }

  groups(): readonly IgmpGroupRow[] {
    const nowMs = this.#parts.clock.nowMs();
    return [...this.#served.values()].flatMap((s) =>
      Array.from(s.igmp.groups.groups(), (g) => groupRow(s.named, g, nowMs)),
    );
  }

  counters(): readonly IgmpCountersRow[] {
    return [...this.#served.values()].map((s) => countersRow(s.named, s.igmp));
  }

  #callbacks(): ClientCallbacks {
    return {
      disableIgmp: (ifindex) => this.#served.get(ifindex)?.sync.disable(),
      enableIgmp: (ifindex) => this.#served.get(ifindex)?.sync.enable(),
      creationAlert: (request) => this.#creationAlert(request),
      interfaceGone: (ifindex) => this.#forget(ifindex),
    };
  }

  /** Sources that every EXCLUDE member refuses do not leave by interfaces where IGMP is alone (igmp.md section 16). */
  #creationAlert({ source, group, oifs }: CreationRequest): CreationReply | undefined {
    const disabled = oifs
      .map((oif) => oif.ifindex)
      .filter((ifindex) => this.#served.get(ifindex)?.igmp.groups.get(group)?.isRefused(source));
    return disabled.length > 0 ? { disabled } : undefined;
  }

  #received(packet: IgmpPacket): void {
    this.#served.get(packet.ifindex)?.receive(packet);
  }

  #linkChanged({ kind, link }: LinkChange): void {
    const served = this.#served.get(link.ifindex);
    if (kind === 'removed') served?.close();
    else served?.linkChanged(link);
  }

  #forget(ifindex: Ifindex): void {
    this.#served.get(ifindex)?.close();
    this.#served.delete(ifindex);
  }

  #releaseNext(handle: Handle, held: readonly Ifindex[]): Answer<MgmStatus> {
    const [first, ...rest] = held;
    if (first !== undefined)
      return whenAnswered(this.#parts.mgm.releaseInterface(handle, first), () => this.#releaseNext(handle, rest));
    this.#handle = undefined;
    return this.#parts.mgm.deregister(handle);
  }
}

function notConfigured(ifindex: Ifindex, link: Link | undefined): MgmStatus {
  const message =
    link === undefined
      ? `there is no interface with index ${ifindex}`
      : `igmp is not configured on ${link.name}; add it to the interface's section of the configuration`;
  return { code: 'ERROR_CAN_NOT_COMPLETE', detail: 'noSuchInterface', message };
}

/** One interface between the ports and the pure part: calls to the manager, packets, the timer, the log. */
class ServedInterface implements InterfaceOutput, SyncOutput {
  readonly named: Named;
  readonly igmp: IgmpInterface;
  readonly sync: MembershipSync;
  readonly #parts: IgmpModuleParts;
  readonly #handle: Handle;
  readonly #ifindex: Ifindex;
  readonly #log: Log;
  readonly #buckets = new Map<string, TokenBucket>();
  #opened = false;
  #toldQuerier: boolean | undefined;
  #timer: Timer | undefined;
  #armedMs = NEVER;

  constructor(parts: IgmpModuleParts, handle: Handle, log: Log, link: Link, config: IgmpInterfaceConfig) {
    this.#parts = parts;
    this.#handle = handle;
    this.#ifindex = link.ifindex;
    this.named = { ifindex: link.ifindex, name: link.name };
    this.#log = log.child({ ifname: link.name });
    this.sync = new MembershipSync(() => this.igmp.groups.groups(), this, ANY4);
    this.igmp = new IgmpInterface(config, this);
  }

  get changes(): MembershipSync {
    return this.sync;
  }

  /** The interface is ours: serves its hosts from now on. */
  open(): void {
    this.#opened = true;
    const link = this.#parts.links.byIndex(this.#ifindex);
    if (link !== undefined) this.linkChanged(link);
  }

  /** Not ours any more: leaves no timer behind and tells the manager nothing. */
  close(): void {
    this.#opened = false;
    this.igmp.close(this.#nowMs());
    this.sync.close();
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#armedMs = NEVER;
  }

  linkChanged(link: Link): void {
    if (!this.#opened) return;
    this.igmp.setLink(this.#nowMs(), linkState(link));
    this.#afterStep();
  }

  receive(packet: IgmpPacket): void {
    if (!this.#opened) return;
    this.igmp.receive(this.#nowMs(), packet);
    this.#afterStep();
  }

  /** After every step: the manager hears of a new role, the clock of an earlier deadline. */
  #afterStep(): void {
    this.#tellRole();
    this.#arm();
  }

  #tellRole(): void {
    const querier = this.igmp.querier.role === 'querier';
    if (querier === this.#toldQuerier) return;
    this.#toldQuerier = querier;
    this.#parts.mgm.adviseQuerier(this.#handle, this.#ifindex, querier);
  }

  /** Only ever earlier: a deadline that moved later is found out when the timer fires. */
  #arm(): void {
    const dueMs = this.igmp.nextDeadlineMs;
    if (dueMs >= this.#armedMs) return;
    this.#timer?.cancel();
    this.#armedMs = dueMs;
    this.#timer = this.#parts.clock.after(Math.max(0, dueMs - this.#parts.clock.nowMs()), this.#fired);
  }

  /** Whole milliseconds, rounded up so that nothing is early: small integers cost a group a third of the memory of fractions. */
  #nowMs(): number {
    return Math.ceil(this.#parts.clock.nowMs());
  }

  readonly #fired = (): void => {
    this.#timer = undefined;
    this.#armedMs = NEVER;
    this.igmp.timeout(this.#nowMs());
    this.#afterStep();
  };

  // SyncOutput: the manager's calls

  add(source: IpAddress, group: IpAddress): void {
    this.#judge(this.#parts.mgm.addMembership(this.#handle, { source, group }, this.#ifindex, JOIN));
  }

  delete(source: IpAddress, group: IpAddress): void {
    this.#judge(this.#parts.mgm.deleteMembership(this.#handle, { source, group }, this.#ifindex, JOIN));
  }

  advise(source: IpAddress, group: IpAddress, refused: boolean): void {
    this.#judge(this.#parts.mgm.adviseSource(this.#handle, { source, group }, this.#ifindex, refused));
  }

  resyncDone(): void {
    this.#parts.mgm.resyncDone(this.#handle, this.#ifindex);
  }

  later(run: () => void): Timer {
    return this.#parts.clock.after(0, run);
  }

  #judge(answer: Answer<MgmStatus>): void {
    if (isLater(answer)) void answer.then(this.#noteRefusal);
    else this.#noteRefusal(answer);
  }

  /** No entry is fine: it went with its interface, or there is no such flow (D-FLAG-1, D-MEM-6). */
  readonly #noteRefusal = ({ code, detail, message }: MgmStatus): void => {
    if (code === 'NO_ERROR' || code === 'ERROR_NOT_FOUND' || detail === 'noSuchMfe' || !this.#opened) return;
    const heldBack = this.#mayLog('membership');
    if (heldBack === undefined) return;
    const fields: Fields = { evt: 'igmp.membership.refused', code, detail, heldBack };
    this.#log.warn(fields, `the manager refused a membership change on ${this.named.name}: ${message ?? code}`);
  };

  // InterfaceOutput: the wire and the log

  send(source: IpAddress, destination: IpAddress, payload: Uint8Array): void {
    const error = this.#parts.igmp.send(this.#ifindex, source, destination, payload);
    if (error === undefined) return;
    this.igmp.counters.sent.failed++;
    const heldBack = this.#mayLog('send');
    if (heldBack === undefined) return;
    const fields: Fields = { evt: 'igmp.query.failed', code: error.code, errno: error.errno, heldBack };
    this.#log.warn(fields, error.message);
  }

  dropped(reason: DropReason, source: IpAddress, group: IpAddress | undefined): void {
    const limit = reason === 'groupLimit' || reason === 'sourceLimit';
    if (!limit && !this.#log.debugEnabled) return;
    const heldBack = this.#mayLog(reason);
    if (heldBack === undefined) return;
    const fields = { reason, from: formatIp(source), group: group && formatIp(group), heldBack };
    if (limit)
      this.#log.warn({ evt: 'igmp.limit.reached', ...fields }, limitMessage(this.named.name, reason, this.igmp));
    else this.#log.debug({ evt: 'igmp.message.ignored', ...fields }, `ignored on ${this.named.name}: ${reason}`);
  }

  querierLost(to: IpAddress, version: number): void {
    const { version: own } = this.igmp.config;
    const querier = formatIp(to);
    const fields: Fields = { evt: 'igmp.querier.lost', to: querier, version };
    const what = `another router with a lower address (${querier}) is querier on ${this.named.name}`;
    if (version >= own) return this.#log.info(fields, what);
    const advice = `it speaks IGMPv${version}, so source filters do not work there; configure all routers of the link alike`;
    this.#log.error(fields, `${what}; ${advice}`);
  }

  querierGained(): void {
    this.#log.info({ evt: 'igmp.querier.gained' }, `the other querier on ${this.named.name} is silent; we are querier`);
  }

  foreignVersion(from: IpAddress, version: number): void {
    const heldBack = this.#mayLog('version');
    if (heldBack === undefined) return;
    const querier = formatIp(from);
    const fields: Fields = {
      evt: 'igmp.version.differed',
      from: querier,
      version,
      configured: this.igmp.config.version,
      heldBack,
    };
    const advice = 'configure all routers of the link alike';
    this.#log.warn(fields, `${querier} sends IGMPv${version} queries on ${this.named.name}; ${advice}`);
  }

  addressMissing(): void {
    const advice = 'hosts are not asked until it gets one';
    this.#log.warn(
      { evt: 'igmp.address.missed' },
      `${this.named.name} has no IPv4 address to send queries from; ${advice}`,
    );
  }

  #mayLog(reason: string): number | undefined {
    const nowMs = this.#parts.clock.nowMs();
    let bucket = this.#buckets.get(reason);
    if (bucket === undefined) this.#buckets.set(reason, (bucket = new TokenBucket(LOG_BURST, LOG_PER_SECOND, nowMs)));
    return bucket.take(nowMs);
  }
}

function linkState(link: Link): LinkState {
  const { running, mtu, addresses } = link;
  return { running, mtu, addresses, primary: addresses.find((a) => !a.secondary && !isAny(a.address))?.address };
}

function limitMessage(ifname: string, reason: 'groupLimit' | 'sourceLimit' | DropReason, igmp: IgmpInterface): string {
  const { maxGroups, maxSourcesPerGroup } = igmp.config;
  return reason === 'groupLimit'
    ? `${ifname} has ${maxGroups} groups, its limit; a new one was refused (raise maxGroups if they are wanted)`
    : `a group on ${ifname} has ${maxSourcesPerGroup} sources, its limit (raise maxSourcesPerGroup if they are wanted)`;
}
