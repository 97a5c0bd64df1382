/**
 * What is asked upstream: follows the membership database and the choice of the upstream. Changes of one turn are made
 * together; on a change of upstream the new one is asked before the old one is left (igmp.md section 15.5), and what
 * nobody wants any more is left a moment later, because zapping back and forth must not show on the wire (F20).
 */
import { sameFilter, type SourceFilter } from '../base/filter-merge.js';
import type { IpAddress } from '../base/ip.js';
import type { Ifindex } from '../port/kernel.js';

export interface Asked {
  readonly on: Ifindex;
  readonly filter: SourceFilter;
}

export interface JoinsParts {
  readonly leaveDelayMs: number;
  /** What all downstreams together want of the group. */
  wanted(group: IpAddress): SourceFilter | undefined;
  /** The upstream to ask; `current` is the one asked so far. */
  carrier(group: IpAddress, current: Ifindex | undefined): Ifindex | undefined;
  /** Memberships at most. */
  readonly maxJoins?: number;
  /** Memberships that the kernel needs for the filter. */
  membershipsFor(filter: SourceFilter): number;
  /** False: the kernel refused; 'noRoom': it has no descriptors or no memory for it, and holds what it held. */
  join(group: IpAddress, to: Asked): boolean | 'noRoom';
  /** There is no room for the group: it waits until another one is left. */
  overBudget?(group: IpAddress): void;
  leave(group: IpAddress, from: Asked): void;
}

/** Groups per turn of the event loop: some milliseconds with one system call each. One with many sources counts for more. */
export const JOINS_SLICE = 256;
/** Waiting groups tried beyond what was freed, since the first may not fit. */
const MORE_TRIED = 16;

interface Held extends Asked {
  /** The memberships that it counts for, until it is asked otherwise: the kernel's limit may change meanwhile. */
  readonly memberships: number;
}

export class Joins {
  readonly #parts: JoinsParts;
  readonly #asked = new Map<IpAddress, Held>();
  readonly #changed = new Set<IpAddress>();
  /** When each is left; the delay is the same for all, so the first is the earliest. */
  readonly #leaving = new Map<IpAddress, number>();
  readonly #refused = new Set<IpAddress>();
  /** Those that there is no room for, the first one first; of these what was asked before still is. */
  readonly #waiting = new Set<IpAddress>();
  /** Memberships of all that is asked. */
  #used = 0;
  /** Of these, what has been given up since those that wait were tried. */
  #freed = 0;
  /** The kernel had no room; it is not tried before something is left, or `markRefused`. */
  #kernelFull = false;

  constructor(parts: JoinsParts) {
    this.#parts = parts;
  }

  /** The group may be wanted otherwise, or elsewhere, than before. */
  mark(group: IpAddress): void {
    this.#changed.add(group);
  }

  markAllAsked(): void {
    for (const group of this.#asked.keys()) this.#changed.add(group);
  }

  /** Those that the kernel refused are asked again, and if it had no room, those that wait. */
  markRefused(): void {
    for (const group of this.#refused) this.#changed.add(group);
    if (!this.#kernelFull) return;
    this.#kernelFull = false;
    for (const group of this.#waiting) this.#changed.add(group);
  }

  get anyRefused(): boolean {
    return this.#refused.size > 0;
  }

  /** Groups that there is no room for. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** Memberships of what is asked. */
  get used(): number {
    return this.#used;
  }

  /** Undefined: nothing to do. */
  dueMs(nowMs: number): number | undefined {
    if (this.#changed.size > 0) return nowMs;
    for (const atMs of this.#leaving.values()) return atMs;
    return undefined;
  }

  /** Does what is due, a slice of it: all joins, then all leaves. */
  run(nowMs: number): void {
    const left: [IpAddress, Asked][] = [];
    let room = JOINS_SLICE;
    for (const group of this.#changed) {
      if (room <= 0) break;
      this.#changed.delete(group);
      this.#settle(group, nowMs, left);
      room -= this.#asked.get(group)?.memberships ?? 1;
    }
    for (const [group, atMs] of this.#leaving) {
      if (atMs > nowMs || room-- <= 0) break;
      this.#drop(group, left);
    }
    for (const [group, from] of left) this.#parts.leave(group, from);
    this.#tryWaiting();
  }

  /** Leaves everything at once. */
  stop(): void {
    const left: [IpAddress, Asked][] = [];
    for (const group of this.#asked.keys()) this.#drop(group, left);
    this.#changed.clear();
    this.#waiting.clear();
    // Newest first, as the kernel finds them fastest.
    for (const [group, from] of left.reverse()) this.#parts.leave(group, from);
  }

  asked(): ReadonlyMap<IpAddress, Asked> {
    return this.#asked;
  }

  where(group: IpAddress): Ifindex | undefined {
    return this.#asked.get(group)?.on;
  }

  leavesAtMs(group: IpAddress): number | undefined {
    return this.#leaving.get(group);
  }

  #settle(group: IpAddress, nowMs: number, left: [IpAddress, Asked][]): void {
    const before = this.#asked.get(group);
    const filter = this.#parts.wanted(group);
    const on = this.#parts.carrier(group, before?.on);
    if (filter && on !== undefined) return this.#ask(group, { on, filter }, left);
    this.#waiting.delete(group);
    if (!before) return;
    // Nobody wants it, or no upstream is left for it.
    if (filter || on !== before.on || this.#parts.leaveDelayMs === 0) return this.#drop(group, left);
    if (!this.#leaving.has(group)) this.#leaving.set(group, nowMs + this.#parts.leaveDelayMs);
  }

  #ask(group: IpAddress, to: Asked, left: [IpAddress, Asked][]): void {
    const before = this.#asked.get(group);
    this.#leaving.delete(group);
    if (before?.on === to.on && sameFilter(before.filter, to.filter) && !this.#refused.has(group)) {
      this.#waiting.delete(group);
      return;
    }
    const memberships = this.#parts.membershipsFor(to.filter);
    const grows = memberships - (before?.memberships ?? 0);
    const overBudget = grows > 0 && this.#used + grows > (this.#parts.maxJoins ?? Number.POSITIVE_INFINITY);
    if (overBudget && !this.#waiting.has(group)) this.#parts.overBudget?.(group);
    const needsRoom = grows > 0 || before?.on !== to.on;
    const joined = overBudget || (this.#kernelFull && needsRoom) ? 'noRoom' : this.#parts.join(group, to);
    const waited = this.#waiting.delete(group);
    if (joined === 'noRoom') {
      if (!overBudget) this.#kernelFull = true;
      this.#waiting.add(group);
      return;
    }
    this.#asked.set(group, { ...to, memberships });
    this.#used += Math.max(0, grows);
    if (grows < 0) this.#free(-grows);
    if (waited) this.#tryNext();
    if (joined) this.#refused.delete(group);
    else this.#refused.add(group);
    if (before && before.on !== to.on) left.push([group, before]);
  }

  #drop(group: IpAddress, left: [IpAddress, Asked][]): void {
    const before = this.#asked.get(group);
    if (before) {
      left.push([group, before]);
      this.#free(before.memberships);
    }
    this.#asked.delete(group);
    this.#leaving.delete(group);
    this.#refused.delete(group);
  }

  /** There was room for one of those that wait, so there may be for the next. */
  #tryNext(): void {
    for (const next of this.#waiting) return void this.#changed.add(next);
  }

  #free(memberships: number): void {
    this.#used -= memberships;
    this.#freed += memberships;
  }

  /** When something has been left: who waits longest is tried next, and some more, as it may not fit. */
  #tryWaiting(): void {
    if (this.#freed === 0) return;
    this.#kernelFull = false;
    let left = this.#freed + MORE_TRIED;
    this.#freed = 0;
    for (const group of this.#waiting) {
      if (left-- === 0) break;
      this.#changed.add(group);
    }
  }
}
