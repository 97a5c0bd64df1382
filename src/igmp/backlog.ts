/**
 * Calls to the manager that wait for a later turn of the event loop, in the order in which they were decided: of a link that
 * goes down with ten thousands of groups, of sources that run out together, of one report that changes thousands.
 */
import type { IpAddress } from '../base/ip.js';
import type { MembershipChanges } from './groups/group.js';

export type Call = keyof MembershipChanges;

export class Backlog {
  readonly #calls: Call[] = [];
  readonly #groups: IpAddress[] = [];
  readonly #sources: IpAddress[] = [];
  #first = 0;

  get size(): number {
    return this.#calls.length - this.#first;
  }

  push(call: Call, group: IpAddress, source: IpAddress): void {
    this.#calls.push(call);
    this.#groups.push(group);
    this.#sources.push(source);
  }

  /** Takes the first one out and makes it. */
  run(make: (call: Call, group: IpAddress, source: IpAddress) => void): void {
    const at = this.#first++;
    make(this.#calls[at]!, this.#groups[at]!, this.#sources[at]!);
    if (this.#first === this.#calls.length) this.clear();
    else if (this.#first >= 4096 && this.#first * 2 >= this.#calls.length) this.#compact();
  }

  clear(): void {
    this.#first = this.#calls.length = this.#groups.length = this.#sources.length = 0;
  }

  #compact(): void {
    for (const list of [this.#calls, this.#groups, this.#sources]) list.splice(0, this.#first);
    this.#first = 0;
  }
}
