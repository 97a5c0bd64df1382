/** The interfaces of the proxy, and what is known of each. */
import type { Ifindex } from '../port/kernel.js';
import { type Database, Wishes } from './database.js';
import type { Downstream } from './rules.js';
import type { Upstreams } from './upstreams.js';

/** An interface that is ours, or about to be. */
export interface Served extends Downstream {
  readonly ifindex: Ifindex;
  readonly name: string;
  readonly wishes: Wishes;
  /** The Take has been granted. */
  owned: boolean;
  querier: boolean | undefined;
}

export class Interfaces {
  readonly #database: Database;
  readonly #upstreams: Upstreams;
  readonly #served = new Map<Ifindex, Served>();

  constructor(database: Database, upstreams: Upstreams) {
    this.#database = database;
    this.#upstreams = upstreams;
  }

  get(ifindex: Ifindex): Served | undefined {
    return this.#served.get(ifindex);
  }

  /** Known from now on, as `name` unless it is known already. */
  at(ifindex: Ifindex, name: string): Served {
    const known = this.#served.get(ifindex);
    if (known) return known;
    const served: Served = { ifindex, name, owned: false, wishes: new Wishes(name), querier: undefined };
    this.#served.set(ifindex, served);
    this.#database.add(served.wishes);
    return served;
  }

  /** What was wanted there stays in the database. */
  delete(ifindex: Ifindex): Served | undefined {
    const served = this.#served.get(ifindex);
    this.#served.delete(ifindex);
    return served;
  }

  ifindexes(): Ifindex[] {
    return [...this.#served.keys()].sort((a, b) => a - b);
  }

  *owned(): Generator<Ifindex> {
    for (const { ifindex, owned } of this.#served.values()) if (owned) yield ifindex;
  }

  downstream(ifindex: Ifindex): Served | undefined {
    return this.#upstreams.get(ifindex) ? undefined : this.#served.get(ifindex);
  }

  /** Where hosts' wishes are taken down; undefined on an upstream, which has no router side (RFC 4605 section 4). */
  wishesOf(ifindex: Ifindex): Wishes | undefined {
    const served = this.#served.get(ifindex);
    return served && !this.#upstreams.configOf(served.name) ? served.wishes : undefined;
  }
}
