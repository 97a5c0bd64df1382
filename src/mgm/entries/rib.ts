/**
 * Routes that protocols feed into the multicast view of the routing table (coexistence.md section 7), and what follows from a
 * change of any route: entries whose source is covered are looked up again (D-MFE-4), alerts of (s,g) keys move (D-ALERT-3).
 */
import { formatIp, formatPrefix, type IpAddress, maskOf, type Prefix } from '../../base/ip.js';
import { Lpm, NO_MATCH } from '../../base/lpm.js';
import { linkName } from '../../base/link-name.js';
import type { Timer } from '../../port/clock.js';
import type { Ifindex } from '../../port/kernel.js';
import type { Alerts } from '../clients/alerts.js';
import type { FedRoute, MgmStatus } from '../client.js';
import type { Core } from '../core.js';
import type { Courier } from '../clients/courier.js';
import type { Creation } from './creation.js';
import type { Forwarding } from './forwarding.js';
import { DONE, invalid } from '../keys.js';
import type { RouteFeeder, Rpf, Towards } from './rpf.js';
import type { Slices } from '../slices.js';
import type { RibView } from '../snapshot.js';
import type { Client } from '../state.js';

/** RTPROT_MROUTED: what the kernel calls routes of a multicast routing daemon. */
const MROUTED = 17;
/** After a look at all entries that took longer: a pause of so many times that. */
const [SHORT_MS, PAUSE_FACTOR] = [5, 4];

interface HeldRoute extends FedRoute {
  readonly ifindex: Ifindex;
}

/** One protocol's routes. A route's place in the list is its identity in the look-up. */
class Feed implements RouteFeeder {
  readonly #routes: (HeldRoute | undefined)[] = [];
  readonly #free: number[] = [];
  readonly #table = new Lpm();

  constructor(
    readonly client: Client,
    readonly preference: number,
    readonly owns: (ifindex: Ifindex) => boolean,
  ) {}

  /** Undefined where a route was. */
  get places(): Iterable<HeldRoute | undefined> {
    return this.#routes;
  }

  get routes(): readonly HeldRoute[] {
    return this.#routes.filter((route) => route !== undefined);
  }

  /** True: sources behind the prefix may be expected elsewhere now; a metric alone changes nothing. */
  change(route: FedRoute): boolean {
    const { prefix, ifindex, neighbor } = route;
    const known = this.#table.find(prefix);
    const before = known === NO_MATCH ? undefined : this.#routes[known];
    if (ifindex !== undefined) {
      const id = known === NO_MATCH ? (this.#free.pop() ?? this.#routes.length) : known;
      this.#routes[id] = { ...route, ifindex };
      this.#table.insert(prefix, id);
    } else if (known !== NO_MATCH) {
      this.#table.remove(prefix);
      this.#routes[known] = undefined;
      this.#free.push(known);
    }
    return before?.ifindex !== ifindex || before?.neighbor !== neighbor;
  }

  lookup(source: IpAddress): Towards | undefined {
    const found = this.#routes[this.#table.lookup(source)];
    if (!found || !this.owns(found.ifindex)) return undefined;
    const { prefix, ifindex, neighbor } = found;
    const route = { network: prefix.network, mask: maskOf(prefix.length), protocol: MROUTED };
    return { ifindex, neighbor, route, feeder: this.client.name };
  }
}

export interface RibParts {
  readonly courier: Courier;
  readonly rpf: Rpf;
  readonly creation: Creation;
  readonly forwarding: Forwarding;
  readonly alerts: Alerts;
  readonly slices: Slices;
}

export class Rib {
  readonly #core: Core;
  readonly #parts: RibParts;
  readonly #rpf: Rpf;
  readonly #feeds = new Map<Client, Feed>();
  /** Prefixes whose routes have changed since the entries were last looked up. */
  #due: Lpm | undefined;
  #isBusy = false;
  #timer: Timer | undefined;

  constructor(core: Core, parts: RibParts) {
    this.#core = core;
    this.#parts = parts;
    this.#rpf = parts.rpf;
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  /** All of the changes, or none when one names an interface that the client does not own. */
  feed(client: Client, changes: readonly FedRoute[]): MgmStatus {
    const feed = this.#feedOf(client);
    if (!feed) return invalid('noRibPreference', `${client.name} registered without a preference for its routes`);
    const foreign = changes.find(({ ifindex }) => ifindex !== undefined && !feed.owns(ifindex));
    if (foreign)
      return invalid('notOwner', `${client.name} does not own the interface of ${formatPrefix(foreign.prefix)}`);
    const changed = changes.filter((change) => feed.change(change)).map(({ prefix }) => prefix);
    this.#core.count('rib.changes', changes.length);
    if (changed.length > 0) this.#changed(changed);
    return DONE;
  }

  /** The client is gone, and its routes with it. */
  drop(client: Client): void {
    const feed = this.#feeds.get(client);
    if (!feed) return;
    this.#feeds.delete(client);
    this.#rpf.setFeeders([...this.#feeds.values()]);
    this.#changed(feed.routes.map(({ prefix }) => prefix));
  }

  /** The kernel's routes may have changed for these destinations. */
  routesChanged(prefix: Prefix): void {
    this.#changed([prefix]);
  }

  /** May be read bit by bit while routes change. */
  *rows(): Generator<RibView, void> {
    const nameOf = (ifindex: Ifindex): string => linkName(this.#core.ports.links, ifindex);
    for (const { client, preference, places } of this.#feeds.values())
      for (const route of places) {
        if (!route) continue;
        const { prefix, ifindex, neighbor, metric } = route;
        yield {
          prefix: formatPrefix(prefix),
          interface: nameOf(ifindex),
          neighbor: neighbor === undefined ? null : formatIp(neighbor),
          metric: metric ?? null,
          feeder: client.name,
          preference,
        };
      }
  }

  #feedOf(client: Client): Feed | undefined {
    const known = this.#feeds.get(client);
    if (known || client.ribPreference === undefined) return known;
    const owns = (ifindex: Ifindex): boolean => this.#core.interfaces.get(ifindex)?.owner === client;
    const feed = new Feed(client, client.ribPreference, owns);
    this.#feeds.set(client, feed);
    this.#rpf.setFeeders([...this.#feeds.values()]);
    return feed;
  }

  /**
   * A full table is ten thousand prefixes: each entry looks itself up among them, not each of them among the entries. Changes that
   * come while that goes on wait for its end, and then for a multiple of the time it took, so that routes which flap do not use
   * up the processor.
   */
  #changed(prefixes: readonly Prefix[]): void {
    this.#rpf.forget();
    for (const prefix of prefixes) (this.#due ??= new Lpm()).insert(prefix, 0);
    if (!this.#isBusy) this.#walk();
  }

  #walk(): void {
    const changed = this.#due;
    if (!changed || this.#core.stopped) return;
    this.#due = undefined;
    this.#isBusy = true;
    this.#parts.slices.run(this.#decideAgain((source) => changed.lookup(source) !== NO_MATCH));
  }

  /** What was silenced for want of a route asks anew. */
  *#decideAgain(covers: (source: IpAddress) => boolean): Generator<void, void> {
    const startedMs = this.#core.nowMs;
    const { forwarding, creation, alerts } = this.#parts;
    for (const entry of this.#core.entries) {
      yield;
      if (entry.deleted || !covers(entry.source)) continue;
      if (entry.unowned) forwarding.remove(entry);
      else void creation.decideAgain(entry, (on) => on === entry.iif);
    }
    for (const record of this.#core.memberships.ofSources()) {
      yield;
      if (covers(record.source)) alerts.signalKey(record);
    }
    this.#pause(this.#core.nowMs - startedMs);
  }

  #pause(tookMs: number): void {
    const goOn = () => {
      this.#timer = undefined;
      this.#isBusy = false;
      this.#parts.courier.enter(() => this.#walk());
    };
    if (tookMs < SHORT_MS) return goOn();
    this.#timer = this.#core.ports.clock.after(PAUSE_FACTOR * tookMs, goOn);
  }
}
