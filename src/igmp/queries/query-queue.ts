/**
 * Groups with leaves that found no query left in the budget (limits.ts): they are asked about later. The hosts that left take
 * turns, so that one with thousands of groups does not hold up the others; each host's leaves keep their order. What waits is
 * marked in the group itself (`WAITING`), so the queue is never longer than there are groups. A report takes its group out.
 */
import { DeadlineHeap, type Queued } from '../../base/deadline-heap.js';
import type { IpAddress } from '../../base/ip.js';
import type { Group } from '../groups/group.js';
import { WAITING } from './group-queries.js';

interface Place extends Queued {
  readonly group: Group;
  readonly host: IpAddress;
  readonly turn: number;
}

export class QueryQueue {
  readonly #places = new Map<Group, Place>();
  readonly #order = new DeadlineHeap<Place>();
  /** The last turn that each host has taken. */
  readonly #lastTurn = new Map<IpAddress, number>();
  #turn = 0;

  get size(): number {
    return this.#places.size;
  }

  /** False: it waits already. */
  add(group: Group, host: IpAddress): boolean {
    if (this.#places.has(group)) return false;
    const turn = Math.max(this.#turn, this.#lastTurn.get(host) ?? 0) + 1;
    const place = { group, host, turn, queuedMs: 0, heapIndex: -1 };
    this.#lastTurn.set(host, turn);
    this.#places.set(group, place);
    this.#order.noLaterThan(place, turn);
    return true;
  }

  delete(group: Group): void {
    const place = this.#places.get(group);
    if (place === undefined) return;
    this.#places.delete(group);
    this.#order.remove(place);
    if (this.#lastTurn.get(place.host) === place.turn) this.#lastTurn.delete(place.host);
  }

  /** Takes the group whose turn it is. */
  shift(): Group | undefined {
    const first = this.#order.first;
    if (first === undefined) return undefined;
    this.#turn = first.turn;
    this.delete(first.group);
    return first.group;
  }

  clear(): void {
    this.#places.clear();
    this.#order.clear();
    this.#lastTurn.clear();
  }
}

/** Whether anything of the group still waits to be asked about. */
export function waits(group: Group): boolean {
  if (group.queriesLeft === WAITING) return true;
  if (group.sources !== undefined)
    for (const source of group.sources.values()) if (source.queriesLeft === WAITING) return true;
  return false;
}
