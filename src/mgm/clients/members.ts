/**
 * Adding and deleting membership, in the order of D-MEM-1: record, ask the owner, bring the entries up to date in the
 * kernel, then the alerts. Validation has happened before; see `manager.ts`.
 */
import { type Answer, isLater, whenAnswered } from '../../base/answer.js';
import type { KernelError } from '../../base/errors.js';
import { ANY4, isAny } from '../../base/ip.js';
import type { Alerts } from './alerts.js';
import { FORWARD, JOIN, type LocalJoinReply, type MembershipKey, type MgmStatus } from '../client.js';
import { type Core, keyFields } from '../core.js';
import { type Courier, DECISION_LIMIT_MS } from './courier.js';
import { bitOf, type Forwarding } from '../entries/forwarding.js';
import { cannotComplete, compareKeys, DONE, invalid, notFound } from '../keys.js';
import type { Lifetimes } from '../entries/lifetimes.js';
import { MembershipBudget } from './membership-budget.js';
import { type Slices, STEPS_PER_SLICE } from '../slices.js';
import {
  attributedTo,
  type Client,
  type Entry,
  type Interface,
  isIgmp,
  isStale,
  type KeyRecord,
  type Member,
} from '../state.js';

export interface MembersParts {
  readonly courier: Courier;
  readonly forwarding: Forwarding;
  readonly alerts: Alerts;
  readonly lifetimes: Lifetimes;
  readonly slices: Slices;
  /** Shows an existing entry to the owner of an interface that becomes a candidate of it; it may veto. */
  readonly admit: (entry: Entry, on: Interface) => Answer<void>;
}

export class Members {
  readonly #core: Core;
  readonly #courier: Courier;
  readonly #forwarding: Forwarding;
  readonly #alerts: Alerts;
  readonly #lifetimes: Lifetimes;
  readonly #slices: Slices;
  readonly #budget: MembershipBudget;
  readonly #admit: (entry: Entry, on: Interface) => Answer<void>;

  constructor(core: Core, parts: MembersParts) {
    this.#core = core;
    this.#courier = parts.courier;
    this.#forwarding = parts.forwarding;
    this.#alerts = parts.alerts;
    this.#lifetimes = parts.lifetimes;
    this.#slices = parts.slices;
    this.#budget = new MembershipBudget(core);
    this.#admit = parts.admit;
  }

  add(client: Client, on: Interface, key: MembershipKey, flags: number): Answer<MgmStatus> {
    if (!(flags & JOIN)) return this.#forward(client, on, key, 'on');
    return whenAnswered(this.#join(client, on, key), (joined) => {
      if (!(flags & FORWARD) || !this.#core.entries.get(key.source, key.group)) return joined;
      return this.#forward(client, on, key, 'on');
    });
  }

  delete(client: Client, on: Interface, key: MembershipKey, flags: number): MgmStatus {
    if (!(flags & JOIN)) return this.#forward(client, on, key, 'off');
    const record = this.#core.memberships.get(key.source, key.group);
    const member = record?.find(client, on);
    if (!record || !member) return notFound('noSuchEntry', `${client.name} has no such entry on ${on.name}`);
    const by = attributedTo(member);
    this.#remove(record, member);
    this.#core.emit('membership.deleted', () => ({ ...keyFields(key), interface: on.name, client: client.name }));
    const error = this.#left(record, on, by);
    const entry = flags & FORWARD ? this.#core.entries.get(key.source, key.group) : undefined;
    if (entry) return this.#forward(client, on, key, 'off');
    return statusOf(error);
  }

  /** Advice of IGMP: the owner's business, and where there is none a touch on the entry (igmp.md section 16). */
  adviseSource(igmp: Client, on: Interface, { source, group }: MembershipKey, refused: boolean): MgmStatus {
    const { owner, ifindex } = on;
    if (!owner) return this.#forward(igmp, on, { source, group }, refused ? 'off' : 'on');
    if (!owner.callbacks.localSource || owner === on.leaving) return DONE;
    const advice = { source, group, ifindex, refused };
    this.#courier.notify(owner, 'localSource', () => owner.callbacks.localSource?.(advice));
    return DONE;
  }

  /** IGMP leaves the interface: at once nothing that it holds there counts, and all of it goes in order of (group, source) (D-OWN-2). */
  dropIgmp(on: Interface): void {
    on.markIgmpStale();
    if (on.keys.size > STEPS_PER_SLICE) return this.#slices.run(this.#dropStaleIgmp(on));
    for (const record of [...on.keys].sort(compareKeys)) this.#dropIgmpKey(on, record);
  }

  *#dropStaleIgmp(on: Interface): Generator<void, void> {
    for (const record of this.#core.memberships.ordered()) {
      if (on.closed) return;
      this.#dropIgmpKey(on, record);
      yield;
    }
  }

  #dropIgmpKey(on: Interface, record: KeyRecord): void {
    this.#sweep(
      on,
      record,
      record.members.filter((member) => member.on === on && isIgmp(member.client) && isStale(member)),
    );
  }

  /** Everything on the interface goes, silently for those who held it: the interface itself is going, and the entries follow. */
  *dropAll(on: Interface): Generator<void, void> {
    for (const record of on.keys) {
      for (const member of record.members.filter((one) => one.on === on)) this.#core.memberships.remove(record, member);
      this.#alerts.signalKey(record, on);
      yield;
    }
  }

  /** End of R: what nobody added again goes (D-OWN-9). */
  sweep(on: Interface, record: KeyRecord): void {
    this.#sweep(
      on,
      record,
      record.members.filter((member) => member.on === on && isStale(member)),
    );
  }

  /** The owner hears of those of IGMP that counted until it left: the change of owner was before them (D-OWN-2). */
  #sweep(on: Interface, record: KeyRecord, stale: readonly Member[]): void {
    if (stale.length === 0) return;
    for (const member of stale) this.#core.memberships.remove(record, member);
    const dropped = stale.find((member) => member.epoch >= on.countsFrom);
    if (dropped) this.#tellLeft(on, record);
    this.#left(record, on, dropped && (on.owner ?? dropped.client));
  }

  #join(client: Client, on: Interface, key: MembershipKey): Answer<MgmStatus> {
    const known = this.#core.memberships.get(key.source, key.group);
    let member = known?.find(client, on);
    if (member && !isStale(member)) return DONE;
    const refused = member ? undefined : this.#budget.refusal(client, on, key);
    if (refused) return refused;
    const record = known ?? this.#core.memberships.record(key);
    const owner = client === on.igmp ? on.owner : undefined;
    const asked = owner?.alive && owner.callbacks.localJoin ? owner : undefined;
    const everything = isAny(key.group) && client === on.owner && client.callbacks.creationAlert !== undefined;
    if (member) this.#core.memberships.renew(member);
    else member = this.#core.memberships.add(record, client, on, asked !== undefined || everything);
    this.#core.emit('membership.added', () => ({ ...keyFields(key), interface: on.name, client: client.name }));
    if (everything) return this.#everything(record, member);
    return asked ? this.#askOwner(asked, record, member) : this.#joined(record, member, undefined);
  }

  /**
   * An owner's own (*,*) makes its interface a candidate of every entry there is: each is shown to it like a new one, before
   * the kernel is touched. In R the hosts' memberships come first, so that what they want is not cut; see `admissions`.
   */
  #everything(record: KeyRecord, member: Member): Answer<MgmStatus> {
    const { on } = member;
    this.#alerts.signalKey(record, on);
    if (on.phase === 'R') return DONE;
    if (this.#core.entries.size > STEPS_PER_SLICE) {
      this.#slices.run(this.#admitAll(on));
      return DONE;
    }
    const later = [...this.admissions(on)].filter(isLater);
    if (later.length === 0) return DONE;
    // Released meanwhile, also when it has been taken again since: the membership went with it.
    const counts = (): boolean => record.members.includes(member) && !isStale(member);
    return Promise.all(later).then(() => (counts() ? DONE : invalid('notOwner')));
  }

  *#admitAll(on: Interface): Generator<void, void> {
    for (const admitted of this.admissions(on)) yield void admitted;
  }

  /** The owner's (*,*) counts from now on: each entry is shown to the owner, one a step. Nothing happens without one. */
  *admissions(on: Interface): Generator<Answer<void>> {
    const member = on.owner && this.#core.memberships.get(ANY4, ANY4)?.find(on.owner, on);
    if (!member || isStale(member)) return;
    member.pending = false;
    for (const entry of this.#core.entries) if (entry.iif !== on) yield this.#admit(entry, on);
  }

  /** The owner may keep existing entries off the interface before the kernel is touched (D-LJ-2). */
  #askOwner(owner: Client, record: KeyRecord, member: Member): Answer<MgmStatus> {
    const { on } = member;
    const { source, group } = record;
    const entries: MembershipKey[] = [];
    for (const entry of this.#core.entries.matching(record)) {
      if (entry.iif !== on) entries.push({ source: entry.source, group: entry.group });
    }
    return this.#courier.ask(
      owner,
      'localJoin',
      DECISION_LIMIT_MS,
      () => owner.callbacks.localJoin?.({ source, group, ifindex: on.ifindex, entries }),
      (reply) => (record.members.includes(member) ? this.#joined(record, member, reply ?? undefined) : DONE),
    );
  }

  /** What the owner, or IGMP where it is alone, keeps off the interface never gets through, not even for a moment (INT-032). */
  #joined(record: KeyRecord, member: Member, reply: LocalJoinReply | undefined): MgmStatus {
    const { on, client } = member;
    const alone = client === on.igmp && !on.owner;
    member.pending = false;
    if (this.#core.entries.countMatching(record) === 0 || this.#coveredByItsAll(member, record)) {
      this.#alerts.signalKey(record, on);
      return DONE;
    }
    const refused = new Set(reply?.refuse.map(({ source, group }) => this.#core.entries.get(source, group)));
    for (const entry of this.#core.entries.matching(record)) {
      entry.clearOverride(on, 'off');
      const refuses = alone ? client.callbacks.refusesSource?.(entry, on.ifindex) : refused.has(entry);
      if (refuses && entry.iif !== on) entry.setOverride(on, 'off');
    }
    return statusOf(this.#follow(record, on, attributedTo(member)));
  }

  /** The key's entries follow its members; of those that turn, who decides for their incoming interface hears, but for `by`. */
  #follow(record: KeyRecord, on: Interface, by: Client | undefined): KernelError | undefined {
    let error: KernelError | undefined;
    const { entries } = this.#core;
    const count = entries.countMatching(record);
    this.#alerts.signalKey(record, on);
    if (count > STEPS_PER_SLICE) this.#slices.run(this.#updates(record, on, by));
    else for (const entry of count > 0 ? entries.matching(record) : []) error = this.#update(entry, by, on) ?? error;
    return error;
  }

  *#updates(record: KeyRecord, on: Interface, by: Client | undefined): Generator<void, void> {
    for (const entry of this.#core.entries.matching(record)) {
      if (!entry.deleted) this.#update(entry, by, on);
      yield;
    }
  }

  /** An owner with (*,*) there has said by its vetoes what does not leave; a narrower key of its own says nothing new. */
  #coveredByItsAll({ client, on }: Member, record: KeyRecord): boolean {
    if (client !== on.owner || isAny(record.group)) return false;
    const all = this.#core.memberships.get(ANY4, ANY4)?.find(client, on);
    return all !== undefined && !isStale(all);
  }

  #remove(record: KeyRecord, member: Member): void {
    const { client, on } = member;
    const known = !isStale(member);
    this.#core.memberships.remove(record, member);
    if (known && client === on.igmp) this.#tellLeft(on, record);
  }

  #tellLeft(on: Interface, record: KeyRecord): void {
    const { owner } = on;
    if (!owner?.callbacks.localLeave || owner === on.leaving) return;
    const leave = { source: record.source, group: record.group, ifindex: on.ifindex };
    this.#courier.notify(owner, 'localLeave', () => owner.callbacks.localLeave?.(leave));
  }

  #left(record: KeyRecord, on: Interface, by: Client | undefined): KernelError | undefined {
    for (const entry of this.#core.entries.matching(record)) {
      entry.clearOverride(on, 'on');
      entry.kept &= ~bitOf(on);
    }
    return this.#follow(record, on, by);
  }

  /** FORWARD: one existing entry, one interface; nothing is remembered for a later entry (D-FLAG-1). */
  #forward(client: Client, on: Interface, key: MembershipKey, override: 'on' | 'off'): MgmStatus {
    const entry = this.#core.entries.get(key.source, key.group);
    if (!entry) {
      const missing = `there is no entry for ${keyFields(key).source}, ${keyFields(key).group}`;
      return override === 'on' ? cannotComplete('noSuchMfe', missing) : notFound('noSuchMfe', missing);
    }
    entry.setOverride(on, override);
    if (override === 'off') entry.kept &= ~bitOf(on);
    return statusOf(this.#update(entry, client, on));
  }

  /** An entry that turns positive or negative begins a new life (D-MFE-3). */
  #update(entry: Entry, by: Client | undefined, on: Interface): KernelError | undefined {
    const { turned, error } = this.#forwarding.update(entry);
    if (turned) {
      this.#lifetimes.restart(entry);
      this.#alerts.signalEntry(entry, by, on);
    }
    return error;
  }
}

function statusOf(error: KernelError | undefined): MgmStatus {
  return error ? cannotComplete('kernelRefused', error.message) : DONE;
}
