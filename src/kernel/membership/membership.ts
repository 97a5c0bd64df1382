/**
 * The membership gate: mgmd's own host memberships, as wishes. Holders state what they want, the gate merges that per group
 * and makes the system calls. While an interface is paused (its owner changes) it makes none there, and at the end it makes
 * those of the net difference: what was joined and left inside the pause costs no call and puts no report on the wire.
 */
import type { KernelError } from '../../base/errors.js';
import { type IpAddress, isLinkLocalGroup } from '../../base/ip.js';
import type { Clock, Timer } from '../../port/clock.js';
import type {
  Ifindex,
  MembershipCounters,
  MembershipFilter,
  MembershipPort,
  MembershipWish,
} from '../../port/kernel.js';
import type { NativeMembershipSocket } from '../addon.js';
import type { InterfaceName } from '../errno.js';
import type { HostPause } from './host-pause.js';
import { MembershipLanes, type OpenMembershipPool } from './membership-lanes.js';
import {
  membershipsFor,
  merged,
  normalised,
  type PlanStep,
  plan,
  RANK,
  SOURCES_PER_MEMBERSHIP,
} from './membership-plan.js';

/** A refused join of a group of the link is tried again after this long: without it routers hear no reports, or no neighbours. */
const AGAIN_MS = 1000;

interface GatedGroup {
  readonly group: IpAddress;
  /** By holder. */
  readonly wishes: Map<string, MembershipFilter>;
  /** What the kernel holds, by lane. */
  readonly lanes: (MembershipFilter | undefined)[];
  /** When it was joined: the kernel finds the newest membership of an interface first (linux.md C2). */
  serial: number;
  /** What the kernel answered last when it refused. */
  refusal: string | undefined;
}

interface GatedInterface {
  readonly ifindex: Ifindex;
  paused: boolean;
  readonly groups: Map<IpAddress, GatedGroup>;
  /** Groups whose memberships may differ from the wishes: changed in the pause, or refused by the kernel. */
  readonly due: Set<GatedGroup>;
  /** The calls of a resume that takes several turns. */
  settling: Settling | undefined;
}

interface Settling {
  /** Groups that were wished anew meanwhile: their calls have been made. */
  readonly restated: Set<GatedGroup>;
  cancel: () => void;
}

interface DueStep extends PlanStep {
  readonly of: GatedGroup;
}

/** More calls take further turns of the event loop. */
export const CALLS_PER_TURN = 256;

export interface MembershipOptions {
  /** Keeps other processes still as well while an interface is paused. */
  readonly host?: HostPause | undefined;
  /** Names an interface for people. */
  readonly nameOf?: InterfaceName;
  /** How many sources the filter of one membership holds. */
  readonly mostSources?: () => number;
  /** Without it nothing is tried again by itself, and everything is done in one turn. */
  readonly clock?: Clock;
}

export class MembershipGate implements MembershipPort {
  readonly #lanes: MembershipLanes;
  readonly #host: HostPause | undefined;
  readonly #mostSources: () => number;
  readonly #clock: Clock | undefined;
  #again: Timer | undefined;
  /** Ends the leaving of interfaces that are gone. */
  readonly #leaving = new Set<() => void>();
  readonly #interfaces = new Map<Ifindex, GatedInterface>();
  #inherited: readonly NativeMembershipSocket[];
  #serial = 0;

  /**
   * `inherited`: the memberships of a predecessor. They stay until `releaseInherited`, so that nothing is left in between.
   */
  constructor(
    open: OpenMembershipPool,
    inherited: readonly NativeMembershipSocket[] = [],
    { host, nameOf, mostSources = () => SOURCES_PER_MEMBERSHIP, clock }: MembershipOptions = {},
  ) {
    this.#lanes = new MembershipLanes(open, nameOf);
    this.#mostSources = mostSources;
    this.#inherited = inherited;
    this.#host = host;
    this.#clock = clock;
  }

  /** A refused wish stays, shown as not held; stating it again, or a resume, tries again. Groups of the link are tried again by themselves. */
  set(
    holder: string,
    ifindex: Ifindex,
    group: IpAddress,
    filter: MembershipFilter | undefined,
  ): KernelError | undefined {
    const wanted = filter && normalised(filter);
    const gated = this.#interfaces.get(ifindex) ?? (wanted && this.#gate(ifindex));
    const of = gated?.groups.get(group) ?? (gated && wanted && addGroup(gated, group));
    if (!gated || !of) return undefined;
    if (wanted) of.wishes.set(holder, wanted);
    else of.wishes.delete(holder);
    gated.due.add(of);
    gated.settling?.restated.add(of);
    return gated.paused ? undefined : this.#settle(gated, [of])[0];
  }

  /** What the last resume has not done yet is done by the next one. */
  pause(ifindex: Ifindex): void {
    const gated = this.#gate(ifindex);
    if (gated.paused) return;
    gated.paused = true;
    this.#endSettling(gated);
    this.#host?.begin(ifindex, (group) => gated.groups.get(group)?.lanes.filter((held) => held !== undefined) ?? []);
  }

  resume(ifindex: Ifindex, refused?: (error: KernelError) => void): readonly KernelError[] {
    const gated = this.#interfaces.get(ifindex);
    if (!gated?.paused) return [];
    gated.paused = false;
    this.#host?.openGate(ifindex);
    const groups = [...gated.due];
    if (groups.length > CALLS_PER_TURN && this.#clock) {
      this.#settleInTurns(gated, groups, this.#clock, refused);
      return [];
    }
    const errors = this.#settle(gated, groups);
    this.#host?.end(ifindex);
    return errors;
  }

  /**
   * The kernel keeps memberships of a deleted interface as dead slots, and they would stand in the way when its ifindex
   * is given to another one (linux.md J): call this before anything is wished for the new one.
   */
  interfaceGone(ifindex: Ifindex): void {
    const gated = this.#interfaces.get(ifindex);
    if (!gated) return;
    gated.settling?.cancel();
    this.#interfaces.delete(ifindex);
    this.#host?.gone(ifindex);
    const groups = [...gated.groups.values()].sort(newestFirst);
    if (groups.length <= CALLS_PER_TURN || !this.#clock) return runAll(this.#leaveDead(ifindex, groups));
    let cancel = (): void => undefined;
    const stop = (): void => cancel();
    this.#leaving.add(stop);
    inTurns(
      this.#clock,
      this.#leaveDead(ifindex, groups),
      (next) => (cancel = next),
      () => this.#leaving.delete(stop),
    );
  }

  /** What a new interface of that number has joined by now has replaced the dead slot. */
  *#leaveDead(ifindex: Ifindex, groups: readonly GatedGroup[]): Generator<void, void> {
    for (const { group, lanes } of groups)
      for (const [lane, held] of lanes.entries()) {
        const isJoinedAnew = this.#interfaces.get(ifindex)?.groups.get(group)?.lanes[lane] !== undefined;
        if (held && !isJoinedAnew) this.#lanes.leave(lane, ifindex, group);
        yield;
      }
  }

  counters(): MembershipCounters {
    return this.#lanes.counters();
  }

  list(): readonly MembershipWish[] {
    return [...this.wishes()];
  }

  *wishes(): Generator<MembershipWish, void> {
    for (const { ifindex, groups } of this.#interfaces.values())
      for (const gatedGroup of groups.values()) {
        const held = this.#stepsOf(gatedGroup).length === 0;
        const problem = this.#problemOf(gatedGroup);
        for (const [holder, filter] of gatedGroup.wishes)
          yield { holder, ifindex, group: gatedGroup.group, filter, held, problem };
      }
  }

  membershipsFor(filter: MembershipFilter): number {
    return membershipsFor(filter, this.#mostSources());
  }

  holds(holder: string, ifindex: Ifindex, group: IpAddress): boolean {
    const of = this.#interfaces.get(ifindex)?.groups.get(group);
    return of?.wishes.has(holder) === true && this.#stepsOf(of).length === 0;
  }

  problem(ifindex: Ifindex, group: IpAddress): string | undefined {
    const of = this.#interfaces.get(ifindex)?.groups.get(group);
    return of && this.#problemOf(of);
  }

  /** Gives up what a predecessor held; to be called when every holder has stated its wishes. Harmless twice. */
  releaseInherited(): void {
    for (const pool of this.#inherited) pool.close();
    this.#inherited = [];
  }

  /** Descriptors that keep all memberships alive when this process ends; the caller owns them. */
  duplicates(): { readonly pools: readonly number[]; readonly inherited: readonly number[] } {
    return { pools: this.#lanes.duplicate(), inherited: this.#inherited.map((pool) => pool.duplicate()) };
  }

  /** The kernel leaves all groups. */
  close(): void {
    this.#again?.cancel();
    for (const { settling } of this.#interfaces.values()) settling?.cancel();
    for (const stop of this.#leaving) stop();
    this.#interfaces.clear();
    this.releaseInherited();
    this.#lanes.close();
    this.#host?.close();
  }

  #stepsOf(of: GatedGroup): readonly DueStep[] {
    return plan(of.lanes, merged(of.wishes), this.#mostSources()).map((step) => ({ ...step, of }));
  }

  #problemOf(of: GatedGroup): string | undefined {
    if (of.refusal !== undefined) return of.refusal;
    const wanted = merged(of.wishes);
    const most = this.#mostSources();
    if (wanted?.mode !== 'exclude' || wanted.sources.length <= most) return undefined;
    return `the kernel blocks ${most} of ${wanted.sources.length} sources; raise net.ipv4.igmp_max_msf`;
  }

  #gate(ifindex: Ifindex): GatedInterface {
    const known = this.#interfaces.get(ifindex);
    if (known) return known;
    const gated: GatedInterface = { ifindex, paused: false, groups: new Map(), due: new Set(), settling: undefined };
    this.#interfaces.set(ifindex, gated);
    return gated;
  }

  #settle(gated: GatedInterface, groups: readonly GatedGroup[]): readonly KernelError[] {
    const errors: KernelError[] = [];
    runAll(this.#settling(gated, groups, (error) => errors.push(error)));
    return errors;
  }

  #settleInTurns(
    gated: GatedInterface,
    groups: readonly GatedGroup[],
    clock: Clock,
    refused: (error: KernelError) => void = () => undefined,
  ): void {
    const settling: Settling = { restated: new Set(), cancel: () => undefined };
    gated.settling = settling;
    inTurns(
      clock,
      this.#settling(gated, groups, refused, settling.restated),
      (cancel) => (settling.cancel = cancel),
      () => this.#endSettling(gated),
    );
  }

  #endSettling(gated: GatedInterface): void {
    if (!gated.settling) return;
    gated.settling.cancel();
    gated.settling = undefined;
    this.#host?.end(gated.ifindex);
    this.#forgetEmpty(gated);
  }

  #forgetEmpty(gated: GatedInterface): void {
    if (gated.groups.size === 0 && !gated.paused && !gated.settling) this.#interfaces.delete(gated.ifindex);
  }

  /** All joins, then filters that let more through, then those that let less through, then all leaves. One step each. */
  *#settling(
    gated: GatedInterface,
    groups: readonly GatedGroup[],
    tell: (error: KernelError) => void,
    without: ReadonlySet<GatedGroup> = NONE,
  ): Generator<void, void> {
    const refused = new Set<GatedGroup>();
    for (const step of yield* this.#planned(groups)) {
      // What a group has is kept until it can have what is wanted.
      if (refused.has(step.of) || without.has(step.of)) continue;
      const error = this.#run(gated.ifindex, step);
      if (error) {
        tell(error);
        refused.add(step.of);
        step.of.refusal = error.message;
        if (isLinkLocalGroup(step.of.group)) this.#again ??= this.#clock?.after(AGAIN_MS, this.#tryAgain);
      }
      yield;
    }
    for (const gatedGroup of groups)
      if (!refused.has(gatedGroup) && !without.has(gatedGroup)) settled(gated, gatedGroup);
    this.#forgetEmpty(gated);
  }

  readonly #tryAgain = (): void => {
    this.#again = undefined;
    for (const gated of [...this.#interfaces.values()]) {
      if (gated.paused) continue;
      const groups = [...gated.due].filter(({ group }) => isLinkLocalGroup(group));
      for (const gatedGroup of groups) gated.settling?.restated.add(gatedGroup);
      this.#settle(gated, groups);
    }
  };

  *#planned(groups: readonly GatedGroup[]): Generator<void, readonly DueStep[]> {
    const steps: DueStep[] = [];
    for (const gatedGroup of groups) {
      steps.push(...this.#stepsOf(gatedGroup));
      yield;
    }
    return steps.sort(inOrder);
  }

  #run(ifindex: Ifindex, { of, rank, lane, filter }: DueStep): KernelError | undefined {
    const error = this.#call(ifindex, of.group, rank, lane, filter);
    if (error) return error;
    if (rank === RANK.join) of.serial = this.#serial++;
    of.lanes[lane] = filter;
    return undefined;
  }

  #call(ifindex: Ifindex, group: IpAddress, rank: number, lane: number, filter: MembershipFilter | undefined) {
    if (filter === undefined) return this.#lanes.leave(lane, ifindex, group);
    if (rank === RANK.join) return this.#lanes.join(lane, ifindex, group, filter);
    return this.#lanes.change(lane, ifindex, group, filter);
  }
}

const NONE: ReadonlySet<GatedGroup> = new Set();

function runAll(steps: Iterator<void>): void {
  while (!steps.next().done);
}

/** `waits` gets the way to stop before each further turn. */
function inTurns(clock: Clock, steps: Iterator<void>, waits: (cancel: () => void) => void, ended: () => void): void {
  for (let left = CALLS_PER_TURN; left > 0; left--) if (steps.next().done) return ended();
  const timer = clock.after(0, () => inTurns(clock, steps, waits, ended));
  waits(() => timer.cancel());
}

function addGroup(gated: GatedInterface, group: IpAddress): GatedGroup {
  const of: GatedGroup = { group, wishes: new Map(), lanes: [], serial: 0, refusal: undefined };
  gated.groups.set(group, of);
  return of;
}

function inOrder(a: DueStep, b: DueStep): number {
  return a.rank - b.rank || (a.rank === RANK.leave ? newestFirst(a.of, b.of) : 0);
}

function newestFirst(a: GatedGroup, b: GatedGroup): number {
  return b.serial - a.serial;
}

/** The group has what is wanted; one that nobody wants is forgotten. */
function settled(gated: GatedInterface, of: GatedGroup): void {
  of.refusal = undefined;
  gated.due.delete(of);
  if (of.wishes.size === 0) gated.groups.delete(of.group);
}
