/** The two look-up tables: membership keys by group and source, forwarding entries by group and source. */
import type { IpAddress } from '../base/ip.js';
import { ANY4 } from '../base/ip.js';
import type { MembershipKey } from './client.js';
import { compareKeys } from './keys.js';
import { type Client, type Entry, type Interface, KeyRecord, type Member } from './state.js';

/** A map with the two-part key (group, source); groups first because every event asks by group. */
class GroupSourceMap<T extends MembershipKey> {
  readonly #groups = new Map<IpAddress, Map<IpAddress, T>>();
  #sorted: T[] | undefined;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(source: IpAddress, group: IpAddress): T | undefined {
    return this.#groups.get(group)?.get(source);
  }

  ofGroup(group: IpAddress): Iterable<T> {
    return this.#groups.get(group)?.values() ?? [];
  }

  set(value: T): void {
    let sources = this.#groups.get(value.group);
    if (!sources) this.#groups.set(value.group, (sources = new Map<IpAddress, T>()));
    if (!sources.has(value.source)) this.#size++;
    sources.set(value.source, value);
    this.#sorted = undefined;
  }

  delete(value: T): void {
    const sources = this.#groups.get(value.group);
    if (!sources?.delete(value.source)) return;
    this.#size--;
    if (sources.size === 0) this.#groups.delete(value.group);
    this.#sorted = undefined;
  }

  /** By group, then source. Rebuilt only after a change of the table. */
  sorted(): readonly T[] {
    this.#sorted ??= [...this].sort(compareKeys);
    return this.#sorted;
  }

  *[Symbol.iterator](): Iterator<T> {
    for (const sources of this.#groups.values()) yield* sources.values();
  }
}

export class MembershipTable extends GroupSourceMap<KeyRecord> {
  /** Makes the key's record where there is none. */
  record(key: MembershipKey): KeyRecord {
    let record = this.get(key.source, key.group);
    if (!record) this.set((record = new KeyRecord(key.source, key.group)));
    return record;
  }

  add(record: KeyRecord, client: Client, on: Interface, pending: boolean): Member {
    const member: Member = { client, on, epoch: on.epoch, pending };
    record.members.push(member);
    on.keys.add(record);
    return member;
  }

  /** The record stays while somebody still has to hear that it is empty; `forget` removes it then. */
  remove(record: KeyRecord, member: Member): void {
    const at = record.members.indexOf(member);
    if (at >= 0) record.members.splice(at, 1);
    if (!record.has(member.on)) member.on.keys.delete(record);
  }

  /** Removes a record that nobody holds and that no alert is owed for. */
  forget(record: KeyRecord): void {
    if (record.members.length === 0 && record.signalled.length === 0 && !record.signalledTo) this.delete(record);
  }

  /** The records whose members decide about entry (source, group): (s,g), (*,g), (*,*). */
  *matching(key: MembershipKey): Generator<KeyRecord> {
    const exact = this.get(key.source, key.group);
    if (exact) yield exact;
    const anySource = this.get(ANY4, key.group);
    if (anySource) yield anySource;
    const all = this.get(ANY4, ANY4);
    if (all) yield all;
  }
}

export class EntryTable extends GroupSourceMap<Entry> {
  /** The entries a membership key speaks about: one, those of a group, or all. */
  matching(key: MembershipKey): Iterable<Entry> {
    if (key.group === ANY4) return [...this];
    if (key.source === ANY4) return this.ofGroup(key.group);
    const entry = this.get(key.source, key.group);
    return entry ? [entry] : [];
  }
}
