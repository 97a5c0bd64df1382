/**
 * One interface between the ports and the pure part: calls to the manager, packets, the timer, the log, the monitor.
 * Belongs to module.ts, which alone uses it.
 */
import { type Answer, isLater } from '../base/answer.js';
import { ANY4, formatIp, type IpAddress, isAny } from '../base/ip.js';
import { usableAddresses } from '../base/link-address.js';
import { LogLimiter } from '../base/log-limiter.js';
import { leadsTo, RoutedHosts } from '../base/routed-hosts.js';
import type { IgmpInterfaceConfig } from '../config/types.js';
import { JOIN, type MgmStatus, PROTOCOL } from '../mgm/client.js';
import type { Timer } from '../port/clock.js';
import type { Ifindex, IgmpPacket, Link } from '../port/kernel.js';
import type { Fields, Log } from '../port/log.js';
import { admitsSource, groupRefusal } from './groups/admission.js';
import type { DropReason } from './counters.js';
import { LIMIT_MESSAGES, REFUSAL_MESSAGES } from './drop-texts.js';
import type { Group, MembershipChanges } from './groups/group.js';
import { packGroup, type SavedGroup } from './groups/group-memory.js';
import { joinedGroups, type PullInterface } from './host-side.js';
import { IgmpInterface, type InterfaceOutput, type LinkState } from './interface.js';
import { CALLS_PER_STEP, MembershipSync, type SyncOutput } from './membership-sync.js';
import type { SharedParts } from './parts.js';
import type { OtherQuerier } from './queries/querier.js';
import type { LeftInterface, SavedInterface } from './saved-state.js';
import { StaticGroups } from './groups/static-groups.js';
import type { Named } from './view.js';
import { Withdrawal, type WithdrawalOutput } from './groups/withdrawal.js';

const NEVER = Number.POSITIVE_INFINITY;

/** Lines about what strangers do: this many at once, then one in ten seconds, per reason and interface. */
const LOG_BURST = 3;
const LOG_PER_SECOND = 0.1;
/** Lines about what lasts until an operator acts: one at once, then one in ten minutes, per reason. */
const RARE_PER_SECOND = 1 / 600;

export class ServedInterface
  implements InterfaceOutput, SyncOutput, PullInterface, MembershipChanges, WithdrawalOutput
{
  readonly named: Named;
  readonly ifindex: Ifindex;
  readonly config: IgmpInterfaceConfig;
  readonly igmp: IgmpInterface;
  readonly sync: MembershipSync;
  readonly statics: StaticGroups;
  readonly #withdrawal = new Withdrawal(this);
  readonly #parts: SharedParts;
  readonly #log: Log;
  readonly #lines = new LogLimiter(LOG_BURST, LOG_PER_SECOND);
  readonly #rare = new LogLimiter(1, RARE_PER_SECOND);
  readonly #routed: RoutedHosts;
  #opened = false;
  /** With what a process left that had waited for nobody here. */
  #goesOn = false;
  #alone = false;
  #toldQuerier: boolean | undefined;
  #shownRole = 'down';
  #shownQuerier: IpAddress | undefined;
  #timer: Timer | undefined;
  #armedMs = NEVER;

  constructor(parts: SharedParts, log: Log, link: Link, config: IgmpInterfaceConfig) {
    this.#parts = parts;
    this.ifindex = link.ifindex;
    this.config = config;
    this.named = { ifindex: link.ifindex, name: link.name };
    this.#log = log.child({ ifname: link.name });
    this.#routed = new RoutedHosts(
      (address) => leadsTo(parts.routes?.lookup(address), link.ifindex),
      () => parts.clock.nowMs(),
    );
    this.statics = new StaticGroups(config.staticGroups);
    this.sync = new MembershipSync(() => this.igmp.groups.groups(), this.statics, this, ANY4);
    this.igmp = new IgmpInterface(config, this, parts.budgets);
  }

  /** Of the groups: routing is told, the monitor shows it, other interfaces pull what is wanted here. */
  get changes(): MembershipChanges {
    return this;
  }

  /**
   * The interface is ours: serves its hosts from now on. `saved`: as the process before this one left it a moment ago; the answer
   * comes when the manager has been told all of it.
   */
  open(saved?: SavedInterface): Answer<void> {
    this.#opened = true;
    if (saved) this.igmp.resume(this.#nowMs(), saved);
    this.#goesOn = saved !== undefined && this.#parts.predecessorKnewAll === true;
    for (const [group, filter] of joinedGroups(this.config.joinGroups))
      this.#parts.joins.set({ holder: 'igmp-join', ifindex: this.ifindex, ifname: this.named.name, group, filter });
    const link = this.#parts.links.byIndex(this.ifindex);
    if (link !== undefined) this.linkChanged(link);
    this.ownerChanged();
    return saved && this.#restore(saved.groups, 0);
  }

  /** In slices, as everything that may be much. */
  #restore(groups: readonly SavedGroup[], from: number): Answer<void> {
    this.sync.beginStep();
    let at = from;
    for (let calls = 0; calls < CALLS_PER_STEP; at++) {
      const group = groups[at];
      if (!group) break;
      this.igmp.restore(this.#nowMs(), group);
      calls += 1 + group.sources.length;
    }
    this.#arm();
    if (at === groups.length && !this.sync.isBehind) return undefined;
    return new Promise((resolve) => {
      this.later(() => resolve(this.#opened ? this.#restore(groups, at) : undefined));
    });
  }

  /** What the next process gets. */
  left(): LeftInterface {
    const nowMs = this.#nowMs();
    const { querier, groups } = this.igmp;
    return {
      version: this.config.version,
      startupLeft: querier.startupLeft,
      queryDueInMs: Math.min(querier.queryDueMs - nowMs, this.config.queryIntervalMs),
      knownInMs: this.igmp.knownInMs(nowMs),
      groups: Array.from(groups.groups(), (group) => packGroup(group, nowMs)),
    };
  }

  /** Every host has had time to say what it wants, or nothing was sent here for one that had not. */
  hasHeardAll(): boolean {
    return this.#goesOn || this.igmp.knownInMs(Math.ceil(this.#nowMs())) === 0;
  }

  /** A host that has not been heard yet may want packets of the flow. */
  mayStillWant(source: IpAddress, group: IpAddress): boolean {
    if (this.hasHeardAll()) return false;
    // Before version 3 nobody can name a source.
    const anySource = this.config.version < 3;
    return groupRefusal(this.config, group, anySource) === undefined && admitsSource(this.config, source);
  }

  /** Hosts have been asked; from here on another router does that, as before the restart. */
  recallQueriers(others: readonly OtherQuerier[]): void {
    for (const other of others) this.igmp.querier.recall(this.#nowMs(), other);
    this.#afterStep();
  }

  /** Not ours any more: leaves no timer and no join behind and tells the manager nothing. */
  close(): void {
    this.#alone = false;
    if (this.#opened)
      for (const group of joinedGroups(this.config.joinGroups).keys())
        this.#parts.joins.set({
          holder: 'igmp-join',
          ifindex: this.ifindex,
          ifname: this.named.name,
          group,
          filter: undefined,
        });
    this.#opened = false;
    this.igmp.close(this.#nowMs());
    this.#withdrawal.stop();
    this.sync.close();
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#armedMs = NEVER;
    this.#parts.pull?.leaveAll(this.ifindex);
    this.#parts.pull?.refreshAll();
  }

  linkChanged(link: Link): void {
    if (!this.#opened) return;
    this.#routed.forget();
    this.sync.beginStep();
    this.igmp.setLink(this.#nowMs(), this.#linkState(link));
    const { active } = this.statics;
    this.sync.setLinkUp(link.running);
    if (active !== this.statics.active) this.#parts.pull?.refreshAll();
    this.#afterStep();
  }

  #linkState({ running, mtu, addresses }: Link): LinkState {
    const [primary] = usableAddresses(addresses);
    return { running, mtu, addresses, primary: primary?.address, isRouted: (source) => this.#routed.has(source) };
  }

  disable(): void {
    this.sync.disable();
    this.#withdrawal.routingForgets();
  }

  enable(): void {
    this.sync.enable();
    this.ownerChanged();
  }

  /** A routing protocol took the interface, or released it. */
  ownerChanged(): void {
    const alone = this.#parts.mgm.getProtocolOnInterface(this.ifindex).protocolId === PROTOCOL.igmp;
    if (alone === this.#alone) return;
    this.#alone = alone;
    this.#parts.pull?.refreshAll();
  }

  /** Where IGMP is alone: members of the group would not have packets of the source (igmp.md section 16). */
  refuses(source: IpAddress, group: IpAddress): boolean {
    if (this.statics.wants(group, source)) return false;
    return !admitsSource(this.config, source) || this.igmp.groups.get(group)?.isRefused(source) === true;
  }

  receive(packet: IgmpPacket): void {
    if (!this.#opened) return;
    this.sync.beginStep();
    this.igmp.receive(this.#nowMs(), packet);
    this.#afterStep();
  }

  // PullInterface: what others may want to have on their links

  get alone(): boolean {
    return this.#alone;
  }

  *members(): Generator<IpAddress> {
    for (const group of this.igmp.groups.groups()) yield group.address;
    if (this.statics.active) for (const [group] of this.statics.groups()) yield group;
  }

  group(group: IpAddress): Group | undefined {
    return this.igmp.groups.get(group);
  }

  staticSources(group: IpAddress): Iterable<IpAddress> {
    return this.statics.sourcesOf(group);
  }

  /** After every step: the manager hears of a new role, the clock of an earlier deadline. */
  #afterStep(): void {
    this.#tellRole();
    this.#showRole();
    this.#parts.pull?.settle();
    this.#arm();
  }

  #showRole(): void {
    const { role, querier } = this.igmp.querier;
    if (role === this.#shownRole && querier === this.#shownQuerier) return;
    this.#shownRole = role;
    this.#shownQuerier = querier;
    this.#parts.events.emit('igmp.querier.changed', () => ({
      interface: this.named.name,
      role,
      querier: this.querierText(),
    }));
  }

  /** Whoever is querier; null when nobody is known to be. */
  querierText(): string | null {
    const { role, querier } = this.igmp.querier;
    const address = role === 'querier' ? this.igmp.address : querier;
    return address === undefined ? null : formatIp(address);
  }

  #tellRole(): void {
    const querier = this.igmp.querier.role === 'querier';
    if (querier === this.#toldQuerier) return;
    this.#toldQuerier = querier;
    this.#parts.mgm.adviseQuerier(this.#parts.handle, this.ifindex, querier);
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
    this.sync.beginStep();
    this.igmp.timeout(this.#nowMs());
    this.#afterStep();
  };

  // MembershipChanges: what hosts want, as it changes

  joinGroup(group: IpAddress): void {
    this.sync.joinGroup(group);
    this.#parts.pull?.touched(group);
    this.#parts.events.emit('igmp.group.joined', () => this.#joinedFields(group, undefined));
  }

  leaveGroup(group: IpAddress): void {
    this.sync.leaveGroup(group);
    this.#parts.pull?.touched(group);
  }

  joinSource(group: IpAddress, source: IpAddress): void {
    this.sync.joinSource(group, source);
    this.#parts.pull?.touched(group);
    this.#parts.events.emit('igmp.group.joined', () => this.#joinedFields(group, source));
  }

  leaveSource(group: IpAddress, source: IpAddress): void {
    this.sync.leaveSource(group, source);
    this.#parts.pull?.touched(group);
  }

  refuseSource(group: IpAddress, source: IpAddress): void {
    this.sync.refuseSource(group, source);
  }

  allowSource(group: IpAddress, source: IpAddress): void {
    this.sync.allowSource(group, source);
  }

  /** InterfaceOutput: nobody wants anything of the group any more. */
  groupEnded(group: IpAddress): void {
    this.#parts.events.emit('igmp.group.left', () => ({ interface: this.named.name, group: formatIp(group) }));
  }

  groupsWithdrawn(groups: Iterable<Group>): void {
    this.#withdrawal.add(groups);
  }

  groupTouched(group: IpAddress): void {
    this.#parts.pull?.touched(group);
  }

  laterStep(step: () => void): Timer {
    return this.later(() => {
      this.sync.beginStep();
      step();
      this.#afterStep();
    });
  }

  #joinedFields(group: IpAddress, source: IpAddress | undefined): Readonly<Record<string, unknown>> {
    const reporter = this.igmp.groups.get(group)?.lastReporter ?? ANY4;
    return {
      interface: this.named.name,
      group: formatIp(group),
      ...(source !== undefined && { source: formatIp(source) }),
      mode: source === undefined ? 'exclude' : 'include',
      reporter: isAny(reporter) ? null : formatIp(reporter),
    };
  }

  // SyncOutput: the manager's calls

  add(source: IpAddress, group: IpAddress): void {
    this.#judge(this.#parts.mgm.addMembership(this.#parts.handle, { source, group }, this.ifindex, JOIN));
  }

  delete(source: IpAddress, group: IpAddress): void {
    this.#judge(this.#parts.mgm.deleteMembership(this.#parts.handle, { source, group }, this.ifindex, JOIN));
  }

  advise(source: IpAddress, group: IpAddress, refused: boolean): void {
    this.#judge(this.#parts.mgm.adviseSource(this.#parts.handle, { source, group }, this.ifindex, refused));
  }

  resyncDone(): void {
    this.#parts.mgm.resyncDone(this.#parts.handle, this.ifindex);
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
    const error = this.#parts.igmp.send(this.ifindex, source, destination, payload);
    if (error === undefined) return;
    this.igmp.counters.sent.failed++;
    const heldBack = this.#mayLog('send');
    if (heldBack === undefined) return;
    const fields: Fields = { evt: 'igmp.query.failed', code: error.code, errno: error.errno, heldBack };
    this.#log.warn(fields, error.message);
  }

  dropped(reason: DropReason, source: IpAddress, group: IpAddress | undefined): void {
    const [refusal, limit] = [REFUSAL_MESSAGES[reason], LIMIT_MESSAGES[reason]];
    if (!refusal && !limit && !this.#log.debugEnabled) return;
    const heldBack = refusal ? this.#mayTell(reason) : this.#mayLog(reason);
    if (heldBack === undefined) return;
    const drop = { ifname: this.named.name, source, group, config: this.config };
    const fields = { reason, from: formatIp(source), group: group && formatIp(group), heldBack };
    if (refusal) this.#log.warn({ evt: 'igmp.message.refused', ...fields }, refusal(drop));
    else if (limit) this.#log.warn({ evt: 'igmp.limit.reached', ...fields }, limit(drop));
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

  longTimes(from: IpAddress, robustness: number, queryIntervalMs: number): void {
    const heldBack = this.#mayTell('longTimes');
    if (heldBack === undefined) return;
    const querier = formatIp(from);
    const fields: Fields = { evt: 'igmp.querier.bounded', from: querier, robustness, queryIntervalMs, heldBack };
    const asks = `querier ${querier} on ${this.named.name} announces a query interval of ${queryIntervalMs / 1000} s, robustness ${robustness}`;
    const advice = 'mgmd uses at most ten times its own times; configure all routers of the link alike';
    this.#log.warn(fields, `${asks}; ${advice}`);
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

  queriedAlone(from: IpAddress): void {
    const heldBack = this.#mayTell('queriedAlone');
    if (heldBack === undefined) return;
    const querier = formatIp(from);
    const what = `${querier} sent a general query on ${this.named.name} to this router alone, not to all hosts`;
    const advice = 'it counts in the election; if this is no router, find out who wants to be querier';
    this.#log.warn({ evt: 'igmp.query.unicast', from: querier, heldBack }, `${what}; ${advice}`);
  }

  addressMissing(): void {
    const advice = 'hosts are not asked until it gets one';
    this.#log.warn(
      { evt: 'igmp.address.missed' },
      `${this.named.name} has no IPv4 address to send queries from; ${advice}`,
    );
  }

  /** Whether a line about what lasts until an operator acts may be logged. */
  #mayTell(reason: string): number | undefined {
    return this.#rare.take(reason, this.#parts.clock.nowMs());
  }

  #mayLog(reason: string): number | undefined {
    return this.#lines.take(reason, this.#parts.clock.nowMs());
  }
}
