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
  /** False: the kernel refused. */
  join(group: IpAddress, to: Asked): boolean;
  leave(group: IpAddress, from: Asked): void;
}

/** Groups per turn of the event loop: some milliseconds with one system call each. */
export const JOINS_SLICE = 256;

export class Joins {
  readonly #parts: JoinsParts;
  readonly #asked = new Map<IpAddress, Asked>();
  readonly #changed = new Set<IpAddress>();
  /** When each is left; the delay is the same for all, so the first is the earliest. */
  readonly #leaving = new Map<IpAddress, number>();
  readonly #refused = new Set<IpAddress>();

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

  /** Those that the kernel refused are asked again. */
  markRefused(): void {
    for (const group of this.#refused) this.#changed.add(group);
  }

  get anyRefused(): boolean {
    return this.#refused.size > 0;
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
      if (room-- === 0) break;
      this.#changed.delete(group);
      this.#settle(group, nowMs, left);
    }
    for (const [group, atMs] of this.#leaving) {
      if (atMs > nowMs || room-- <= 0) break;
      this.#drop(group, left);
    }
    for (const [group, from] of left) this.#parts.leave(group, from);
  }

  /** Leaves everything at once. */
  stop(): void {
    const left: [IpAddress, Asked][] = [];
    for (const group of this.#asked.keys()) this.#drop(group, left);
    this.#changed.clear();
    for (const [group, from] of left) this.#parts.leave(group, from);
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
    if (!before) return;
    // Nobody wants it, or no upstream is left for it.
    if (filter || on !== before.on || this.#parts.leaveDelayMs === 0) return this.#drop(group, left);
    if (!this.#leaving.has(group)) this.#leaving.set(group, nowMs + this.#parts.leaveDelayMs);
  }

  #ask(group: IpAddress, to: Asked, left: [IpAddress, Asked][]): void {
    const before = this.#asked.get(group);
    this.#leaving.delete(group);
    if (before?.on === to.on && sameFilter(before.filter, to.filter) && !this.#refused.has(group)) return;
    this.#asked.set(group, to);
    if (this.#parts.join(group, to)) this.#refused.delete(group);
    else this.#refused.add(group);
    if (before && before.on !== to.on) left.push([group, before]);
  }

  #drop(group: IpAddress, left: [IpAddress, Asked][]): void {
    const before = this.#asked.get(group);
    if (before) left.push([group, before]);
    this.#asked.delete(group);
    this.#leaving.delete(group);
    this.#refused.delete(group);
  }
}
