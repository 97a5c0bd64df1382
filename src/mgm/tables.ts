/** The two look-up tables: membership keys by group and source, forwarding entries by group and source. */
import type { IpAddress } from '../base/ip.js';
import { ANY4, isAny } from '../base/ip.js';
import type { MembershipKey } from './client.js';
import { EntryAges } from './entries/entry-ages.js';
import { OrderedKeys } from './ordered-keys.js';
import { type Client, type Entry, type Interface, isIgmp, isStale, KeyRecord, type Member } from './state.js';

/**
 * A map with the two-part key (group, source); groups first because every event asks by group. Most groups have one
 * source, which stands alone: a map of its own for each would cost more than the record itself.
 */
class GroupSourceMap<T extends MembershipKey> {
  readonly #groups = new Map<IpAddress, T | Map<IpAddress, T>>();
  readonly #ordered = new OrderedKeys<T>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(source: IpAddress, group: IpAddress): T | undefined {
    const held = this.#groups.get(group);
    if (held instanceof Map) return held.get(source);
    return held?.source === source ? held : undefined;
  }

  /** How many groups there are, the wildcard one included. */
  get groups(): number {
    return this.#groups.size;
  }

  countOfGroup(group: IpAddress): number {
    const held = this.#groups.get(group);
    if (held === undefined) return 0;
    return held instanceof Map ? held.size : 1;
  }

  ofGroup(group: IpAddress): Iterable<T> {
    const held = this.#groups.get(group);
    if (held === undefined) return [];
    return held instanceof Map ? held.values() : [held];
  }

  set(value: T): void {
    const { source, group } = value;
    if (this.get(source, group) === undefined) this.#size++;
    this.#ordered.set(value);
    const held = this.#groups.get(group);
    if (held instanceof Map) held.set(source, value);
    else if (held === undefined || held.source === source) this.#groups.set(group, value);
    else
      this.#groups.set(
        group,
        new Map([
          [held.source, held],
          [source, value],
        ]),
      );
  }

  delete(value: T): void {
    const { source, group } = value;
    if (this.get(source, group) === undefined) return;
    const held = this.#groups.get(group);
    if (held instanceof Map && held.size > 1) held.delete(source);
    else this.#groups.delete(group);
    this.#size--;
    this.#ordered.delete(value);
  }

  /** The first one behind `key`, by group and then by source; without a key the first of all. */
  after(key?: MembershipKey): T | undefined {
    return this.#ordered.after(key);
  }

  /** All by group, then source; may be read bit by bit while the table changes. */
  ordered(): Generator<T, void> {
    return this.#ordered.all();
  }

  *[Symbol.iterator](): Iterator<T> {
    for (const held of this.#groups.values()) {
      if (held instanceof Map) yield* held.values();
      else yield held;
    }
  }
}

export class MembershipTable extends GroupSourceMap<KeyRecord> {
  #serial = 0;
  #members = 0;

  /** Everybody's entries together: a key that three clients hold counts three times. */
  get members(): number {
    return this.#members;
  }

  /** Serial number of the newest record. */
  get serial(): number {
    return this.#serial;
  }

  /** Makes the key's record where there is none. */
  record(key: MembershipKey): KeyRecord {
    let record = this.get(key.source, key.group);
    if (!record) this.set((record = new KeyRecord(key.source, key.group, ++this.#serial)));
    return record;
  }

  /** The (s,g) keys: who is told of them depends on who decides for the interface towards s. */
  *ofSources(): Generator<KeyRecord> {
    for (const record of this) if (!isAny(record.source)) yield record;
  }

  add(record: KeyRecord, client: Client, on: Interface, pending: boolean): Member {
    const member: Member = { client, on, epoch: on.epoch, pending };
    record.members.push(member);
    this.#members++;
    client.memberships++;
    on.held++;
    on.keys.add(record);
    countLive(member, 1);
    return member;
  }

  /** A stale one counts again. */
  renew(member: Member): void {
    if (!isStale(member)) return;
    member.epoch = member.on.epoch;
    countLive(member, 1);
  }

  /** The record stays while somebody still has to hear that it is empty; `forget` removes it then. */
  remove(record: KeyRecord, member: Member): void {
    const at = record.members.indexOf(member);
    if (at >= 0) {
      record.members.splice(at, 1);
      this.#members--;
      member.client.memberships--;
      member.on.held--;
      if (!isStale(member)) countLive(member, -1);
    }
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
  readonly ages = new EntryAges();

  override delete(entry: Entry): void {
    super.delete(entry);
    this.ages.remove(entry);
  }

  /** All of them are gone, in the kernel too. */
  clear(): void {
    for (const entry of this) {
      entry.deleted = true;
      this.delete(entry);
    }
  }

  /** How many entries a membership key speaks about. */
  countMatching(key: MembershipKey): number {
    if (key.group === ANY4) return this.size;
    if (key.source === ANY4) return this.countOfGroup(key.group);
    return this.get(key.source, key.group) ? 1 : 0;
  }

  /** The entries a membership key speaks about: one, those of a group, or all. They may go while one looks at them. */
  matching(key: MembershipKey): Iterable<Entry> {
    if (key.group === ANY4) return this;
    if (key.source === ANY4) return this.ofGroup(key.group);
    const entry = this.get(key.source, key.group);
    return entry ? [entry] : [];
  }
}

function countLive({ client, on }: Member, by: 1 | -1): void {
  if (isIgmp(client)) on.igmpHolds += by;
  else on.ownerHolds += by;
}
