/**
 * Who hears of which join and leave (manager.md section 5.3), by the derived invariant: client X is alerted for key k exactly when
 * J(k) without X is not empty. Every change of a key or an entry ends here; what was signalled last is kept beside it, so
 * one comparison gives the alerts of every case, of ownership changes too. While an interface is in T or R the comparison
 * is put off to the end of R (D-OWN-5).
 */
import type { Core } from '../core.js';
import type { Courier } from './courier.js';
import type { PruneReply } from '../client.js';
import { isAny } from '../../base/ip.js';
import { clampedLifetimeSec } from '../entries/lifetimes.js';
import type { Rpf } from '../entries/rpf.js';
import type { Client, Entry, Interface, KeyRecord, OwnershipChange } from '../state.js';

export class Alerts {
  readonly #core: Core;
  readonly #courier: Courier;
  readonly #rpf: Rpf;
  readonly #restartLife: (entry: Entry, timeoutSec: number) => void;

  constructor(core: Core, courier: Courier, rpf: Rpf, restartLife: (entry: Entry, timeoutSec: number) => void) {
    this.#core = core;
    this.#courier = courier;
    this.#rpf = rpf;
    this.#restartLife = restartLife;
  }

  /** Compares who is joined with what was signalled and sends the difference; `cause` is where it changed. */
  signalKey(record: KeyRecord, cause?: Interface): void {
    if (this.#putOff(record, cause)) return;
    if (isAny(record.source)) this.#signalWildcard(record, cause);
    else this.#signalSource(record, cause);
    this.#core.memberships.forget(record);
  }

  /** The MFE-level alerts (D-ALERT-4). `by` is the client whose own change it was: it hears nothing of it. */
  signalEntry(entry: Entry, by?: Client, cause?: Interface): void {
    for (const on of [cause, entry.iif]) {
      if (on && on.phase !== 'steady') {
        on.change?.unsignalledEntries.add(entry);
        return;
      }
    }
    const towards = entry.iif.decider;
    const before = entry.signalledTo;
    const nonEmpty = entry.outputs !== 0;
    if (before === towards && entry.signalledNonEmpty === nonEmpty) return;
    if (before && before !== towards && entry.signalledNonEmpty) this.#pruneEntry(entry, before, cause, () => {});
    entry.signalledTo = towards;
    entry.signalledNonEmpty = nonEmpty;
    if (!towards || towards === by) return;
    if (nonEmpty) this.#join(towards, entry, false);
    else this.#pruneEntry(entry, towards, cause, (reply) => this.#heedTimeout(entry, reply));
  }

  /** Somebody else decides for an interface now, or nobody: the (s,g) that lie behind it are another's business (D-ALERT-3). */
  *signalSources(): Generator<void, void> {
    for (const record of this.#core.memberships.ofSources()) {
      this.signalKey(record);
      yield;
    }
  }

  /** What a change of owner put off is signalled now, one a step; `cause` is where it changed. */
  *signalPutOff(change: OwnershipChange, cause?: Interface): Generator<void, void> {
    for (const record of change.unsignalledKeys) {
      change.unsignalledKeys.delete(record);
      this.signalKey(record, cause);
      yield;
    }
    for (const entry of change.unsignalledEntries) {
      change.unsignalledEntries.delete(entry);
      if (!entry.deleted) this.signalEntry(entry, undefined, cause);
      yield;
    }
  }

  #putOff(record: KeyRecord, cause: Interface | undefined): boolean {
    let putOff = false;
    if (cause && cause.phase !== 'steady') {
      cause.change?.unsignalledKeys.add(record);
      putOff = true;
    }
    for (const { on } of record.members) {
      if (on.phase === 'steady') continue;
      on.change?.unsignalledKeys.add(record);
      putOff = true;
    }
    return putOff;
  }

  #signalWildcard(record: KeyRecord, cause: Interface | undefined): void {
    const before = record.signalled;
    const now = record.joined();
    if (before.length === now.length && now.every((client) => before.includes(client))) return;
    record.signalled = now;
    for (const client of this.#core.clients.values()) {
      const was = before.some((other) => other !== client);
      const is = now.some((other) => other !== client);
      if (!was && is) this.#join(client, record, true);
      if (was && !is) this.#pruneKey(client, record, undefined, cause);
    }
  }

  /** (s,g): only the decider of the interface towards s is ever told (D-ALERT-3). */
  #signalSource(record: KeyRecord, cause: Interface | undefined): void {
    const wanted = this.#alertedFor(record);
    const told = record.signalledTo;
    if (told === wanted) return;
    record.signalledTo = wanted;
    if (told) this.#pruneKey(told, record, this.#interfaceTowards(record), cause);
    if (wanted) this.#join(wanted, record, true);
  }

  #alertedFor(record: KeyRecord): Client | undefined {
    const decider = this.#interfaceTowards(record)?.decider;
    return decider && record.joined().some((client) => client !== decider) ? decider : undefined;
  }

  #interfaceTowards(record: KeyRecord): Interface | undefined {
    const entry = this.#core.entries.get(record.source, record.group);
    if (entry) return entry.iif;
    const found = this.#rpf.towards(record.source);
    return found && found !== 'local' ? this.#core.interfaces.get(found.ifindex) : undefined;
  }

  #join(client: Client, { source, group }: KeyRecord | Entry, memberUpdate: boolean): void {
    if (!client.callbacks.joinAlert) return;
    this.#courier.notify(client, 'joinAlert', () => client.callbacks.joinAlert?.({ source, group, memberUpdate }));
  }

  #pruneKey(client: Client, { source, group }: KeyRecord, iif: Interface | undefined, cause?: Interface): void {
    if (!client.callbacks.pruneAlert) return;
    const alert = { source, group, ifindex: iif?.ifindex, causeInterface: cause?.ifindex, memberDelete: true };
    this.#courier.request(
      client,
      'pruneAlert',
      () => client.callbacks.pruneAlert?.(alert),
      () => {},
    );
  }

  #pruneEntry(
    { source, group, iif }: Entry,
    client: Client,
    cause: Interface | undefined,
    next: (reply: PruneReply | undefined | void) => void,
  ): void {
    if (!client.callbacks.pruneAlert) return;
    const alert = { source, group, ifindex: iif.ifindex, causeInterface: cause?.ifindex, memberDelete: false };
    this.#courier.request(client, 'pruneAlert', () => client.callbacks.pruneAlert?.(alert), next);
  }

  #heedTimeout(entry: Entry, reply: PruneReply | undefined | void): void {
    const asked = reply?.timeoutSec;
    if (asked === undefined || entry.deleted || entry.outputs !== 0) return;
    this.#restartLife(entry, clampedLifetimeSec(asked));
  }
}
