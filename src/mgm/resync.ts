/**
 * Phase R of an ownership change: memberships are added again; it ends with `resyncDone` or after 5 s (D-EN-2), and its
 * end is done in slices so that ten thousand groups do not stop the event loop.
 */
import type { Alerts } from './alerts.js';
import type { Core } from './core.js';
import type { Courier } from './courier.js';
import type { Creation } from './creation.js';
import type { Forwarding } from './forwarding.js';
import type { Lifetimes } from './lifetimes.js';
import type { Members } from './members.js';
import { inSlices } from './slices.js';
import type { Client, Interface } from './state.js';

/** D-EN-2: from enable to the end of R at the latest. */
const RESYNC_LIMIT_MS = 5000;
export interface ResyncParts {
  readonly courier: Courier;
  readonly forwarding: Forwarding;
  readonly members: Members;
  readonly creation: Creation;
  readonly alerts: Alerts;
  readonly lifetimes: Lifetimes;
}

export class Resync {
  readonly #core: Core;
  readonly #courier: Courier;
  readonly #forwarding: Forwarding;
  readonly #members: Members;
  readonly #creation: Creation;
  readonly #alerts: Alerts;
  readonly #lifetimes: Lifetimes;

  constructor(core: Core, parts: ResyncParts) {
    this.#core = core;
    this.#courier = parts.courier;
    this.#forwarding = parts.forwarding;
    this.#members = parts.members;
    this.#creation = parts.creation;
    this.#alerts = parts.alerts;
    this.#lifetimes = parts.lifetimes;
  }

  start(on: Interface, awaited: readonly Client[]): void {
    this.cancel(on);
    on.phase = 'R';
    for (const client of awaited) on.resyncing.add(client);
    if (awaited.length === 0) return this.finish(on);
    const timer = this.#core.ports.clock.after(RESYNC_LIMIT_MS, () => {
      this.#core.count('resync.timed-out');
      this.#courier.enter(() => this.finish(on));
    });
    on.cancelResync = () => timer.cancel();
  }

  /** A new change of ownership supersedes this one; its own end will do everything. */
  cancel(on: Interface): void {
    on.cancelResync?.();
    on.cancelResync = undefined;
    on.resyncing.clear();
  }

  finish(on: Interface): void {
    this.cancel(on);
    inSlices(this.#core, this.#courier, this.#end(on), (cancel) => (on.cancelResync = cancel));
  }

  /** The interface goes: what was put off for it is signalled now. */
  *signalLeftovers(on: Interface): Generator<void, void> {
    for (const record of on.unsignalledKeys) {
      on.unsignalledKeys.delete(record);
      this.#alerts.signalKey(record);
      yield;
    }
    for (const entry of on.unsignalledEntries) {
      on.unsignalledEntries.delete(entry);
      if (!entry.deleted) this.#alerts.signalEntry(entry);
      yield;
    }
  }

  /** The end of R, one small step at a time: what an owner that wants everything lets pass, sweep, decide anew, overwrite what differs, then the net alerts (D-OWN-5). */
  *#end(on: Interface): Generator<void, void> {
    for (const admitted of this.#members.admissions(on)) yield void admitted;
    for (const record of [...on.keys]) {
      this.#members.sweep(on, record);
      yield;
    }
    on.departed = undefined;
    for (const entry of this.#core.entries) {
      if (entry.deleted) continue;
      if (entry.iif === on || (entry.named && entry.named.client === on.owner)) {
        on.unsignalledEntries.add(entry);
        void this.#creation.decideAgain(entry, (candidate) => candidate.decider === on.decider);
      } else if (this.#forwarding.update(entry).turned) {
        on.unsignalledEntries.add(entry);
        this.#lifetimes.restart(entry);
      }
      yield;
    }
    on.phase = 'steady';
    this.#core.emit('interface.resynced', () => ({ interface: on.name, ifindex: on.ifindex }));
    const owed = new Set([...on.unsignalledKeys, ...on.keys, ...this.#core.memberships.ofSources()]);
    const entries = [...on.unsignalledEntries];
    on.unsignalledKeys.clear();
    on.unsignalledEntries.clear();
    for (const record of owed) {
      this.#alerts.signalKey(record, on);
      yield;
    }
    for (const entry of entries) {
      if (!entry.deleted) {
        this.#creation.resignalSource(entry);
        this.#alerts.signalEntry(entry, undefined, on);
      }
      yield;
    }
  }
}
