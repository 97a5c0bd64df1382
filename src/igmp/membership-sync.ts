/**
 * IGMP as a client of the manager on one interface (igmp.md section 16): turns what hosts and the configuration want into Add
 * and Delete calls, keeps silent between the manager's disable and enable callbacks, and adds everything again after enable, in
 * slices. What the configuration wants is neither deleted nor refused because hosts no longer want it. What is too much for one
 * step goes on in later turns.
 */
import type { IpAddress } from '../base/ip.js';
import { Backlog, type Call } from './backlog.js';
import type { Group, MembershipChanges } from './groups/group.js';
import type { StaticGroups } from './groups/static-groups.js';

/** 'resync': calls are made again, and all memberships are being added once more. */
export type Phase = 'open' | 'paused' | 'resync';
export type PhaseEvent = 'disable' | 'enable' | 'all-added';
export type PhaseEffect = 'start-resync' | 'cancel-resync' | 'tell-done';

interface Step {
  readonly next: Phase;
  readonly effects: readonly PhaseEffect[];
}

/** A missing cell changes nothing: callbacks may repeat, and an enable without a disable is harmless. */
export const PHASES: { readonly [P in Phase]: { readonly [E in PhaseEvent]?: Step } } = {
  open: { disable: { next: 'paused', effects: [] } },
  paused: { enable: { next: 'resync', effects: ['start-resync'] } },
  resync: {
    disable: { next: 'paused', effects: ['cancel-resync'] },
    'all-added': { next: 'open', effects: ['tell-done'] },
  },
};

/** The manager as this file needs it: all calls are for one interface. */
export interface SyncOutput {
  /** Membership of (S,G), or (*,G) with source 0.0.0.0. Idempotent. */
  add(source: IpAddress, group: IpAddress): void;
  delete(source: IpAddress, group: IpAddress): void;
  /** Every EXCLUDE member refuses the source, or no longer: advice to whoever decides for the interface. */
  advise(source: IpAddress, group: IpAddress, refused: boolean): void;
  resyncDone(): void;
  /** Runs in a later turn of the event loop. */
  later(run: () => void): { cancel(): void };
}

/** Memberships added per turn of the event loop: some milliseconds with one kernel call each. */
export const RESYNC_SLICE = 256;
/** Calls that one message, or one run of the timers, makes at once, and that a later turn makes. */
export const CALLS_PER_STEP = 1024;
/** Calls that may wait; beyond that the oldest is made at once, so that a flood costs time rather than memory. */
const MAX_BACKLOG = 262_144;

export class MembershipSync implements MembershipChanges {
  readonly #output: SyncOutput;
  readonly #groups: () => Iterable<Group>;
  readonly #statics: StaticGroups;
  readonly #anySource: IpAddress;
  #phase: Phase = 'open';
  #turn: { cancel(): void } | undefined;
  #resync: Iterator<void> | undefined;
  readonly #backlog = new Backlog();
  /** Calls that the present step may still make. */
  #left = CALLS_PER_STEP;

  constructor(groups: () => Iterable<Group>, statics: StaticGroups, output: SyncOutput, anySource: IpAddress) {
    this.#groups = groups;
    this.#statics = statics;
    this.#output = output;
    this.#anySource = anySource;
  }

  get phase(): Phase {
    return this.#phase;
  }

  /** What waits is dropped: the resync adds what there is, whatever waited before. */
  disable(): void {
    this.#backlog.clear();
    this.#handle('disable');
  }

  /** Adds nothing by itself: the manager would refuse it before this callback is acknowledged. */
  enable(): void {
    this.#handle('enable');
  }

  /** Calls wait for a later turn. */
  get isBehind(): boolean {
    return this.#backlog.size > 0;
  }

  /** Before each message and each run of the timers. */
  beginStep(): void {
    this.#left = CALLS_PER_STEP;
  }

  /** Leaves no turn behind. */
  close(): void {
    this.#cancel();
    this.#statics.active = false;
  }

  /** The link came up or went down: what is configured is there only while it is up. Hosts' groups go before. */
  setLinkUp(up: boolean): void {
    if (up === this.#statics.active) return;
    this.#statics.active = up;
    for (const [group, sources] of this.#statics.groups())
      for (const source of sources) this.#call(up ? 'joinSource' : 'leaveSource', group, source);
  }

  joinGroup(group: IpAddress): void {
    this.#call('joinGroup', group, this.#anySource);
  }

  leaveGroup(group: IpAddress): void {
    this.#call('leaveGroup', group, this.#anySource);
  }

  joinSource(group: IpAddress, source: IpAddress): void {
    this.#call('joinSource', group, source);
  }

  leaveSource(group: IpAddress, source: IpAddress): void {
    this.#call('leaveSource', group, source);
  }

  refuseSource(group: IpAddress, source: IpAddress): void {
    this.#call('refuseSource', group, source);
  }

  allowSource(group: IpAddress, source: IpAddress): void {
    this.#call('allowSource', group, source);
  }

  /** At once, or after those that wait. */
  #call(call: Call, group: IpAddress, source: IpAddress): void {
    if (this.#phase === 'paused') return;
    if (this.#backlog.size === 0 && this.#left-- > 0) return this.#make(call, group, source);
    this.#backlog.push(call, group, source);
    if (this.#backlog.size > MAX_BACKLOG) this.#backlog.run(this.#make);
    this.#turn ??= this.#output.later(() => this.#slice());
  }

  readonly #make = (call: Call, group: IpAddress, source: IpAddress): void => {
    switch (call) {
      case 'joinGroup':
      case 'joinSource':
        return this.#output.add(source, group);
      case 'leaveGroup':
      case 'leaveSource':
        if (!this.#statics.holds(group, source)) this.#output.delete(source, group);
        return;
      case 'refuseSource':
        if (!this.#statics.wants(group, source)) this.#output.advise(source, group, true);
        return;
      case 'allowSource':
        return this.#output.advise(source, group, false);
      default:
        return call satisfies never;
    }
  };

  #handle(event: PhaseEvent): void {
    const step = PHASES[this.#phase][event];
    if (!step) return;
    this.#phase = step.next;
    for (const effect of step.effects) this.#run(effect);
  }

  #run(effect: PhaseEffect): void {
    switch (effect) {
      case 'start-resync':
        this.#resync = this.#addAll();
        this.#turn ??= this.#output.later(() => this.#slice());
        return;
      case 'cancel-resync':
        return this.#cancel();
      case 'tell-done':
        return this.#output.resyncDone();
      default:
        return effect satisfies never;
    }
  }

  #cancel(): void {
    this.#turn?.cancel();
    this.#turn = undefined;
    this.#resync = undefined;
    this.#backlog.clear();
  }

  /** What waits goes first: what the resync adds is the state after it. */
  #slice(): void {
    this.#turn = undefined;
    for (let left = CALLS_PER_STEP; left > 0 && this.#backlog.size > 0; left--) this.#backlog.run(this.#make);
    const resync = this.#resync;
    if (this.#backlog.size === 0 && resync !== undefined) this.#resyncSlice(resync);
    if (this.#backlog.size > 0 || this.#resync !== undefined) this.#turn ??= this.#output.later(() => this.#slice());
  }

  #resyncSlice(resync: Iterator<void>): void {
    for (let left = RESYNC_SLICE; left > 0 && this.#resync === resync; left--) {
      if (!resync.next().done) continue;
      this.#resync = undefined;
      return this.#handle('all-added');
    }
  }

  /**
   * Adds one membership per step. The maps are walked live over many turns: what came meanwhile is met or was added by itself,
   * what went is not met, and a group that flipped its mode has told its changes already.
   */
  *#addAll(): Generator<void> {
    yield* this.#addStatics();
    for (const group of this.#groups()) {
      if (group.mode === 'include') yield* this.#addSources(group);
      else {
        this.#adviseRefused(group);
        this.#output.add(this.#anySource, group.address);
        yield;
      }
    }
  }

  *#addStatics(): Generator<void> {
    if (!this.#statics.active) return;
    for (const [group, sources] of this.#statics.groups())
      for (const source of sources) {
        this.#output.add(source, group);
        yield;
      }
  }

  *#addSources(group: Group): Generator<void> {
    if (group.sources === undefined) return;
    for (const source of group.sources.keys()) {
      if (group.mode !== 'include') return;
      this.#output.add(source, group.address);
      yield;
    }
  }

  /** Before the join and in the same turn, so that no packet of a refused source is let through. */
  #adviseRefused(group: Group): void {
    if (group.sources === undefined) return;
    for (const source of group.sources.values())
      if (source.expiryMs === 0 && !this.#statics.wants(group.address, source.address))
        this.#output.advise(source.address, group.address, true);
  }
}
