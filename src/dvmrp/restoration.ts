/**
 * Gives this life back what an earlier one knew, link by link as they come up (saved-state.ts). What neighbours had told goes
 * the way of a received Report, so filters and limits of today hold; it is good for no longer than it would have been.
 *
 * A route can be told when the link to its upstream is there, who depends on it when their link is, too. So after each link
 * everything that still waits is tried again.
 */
import type { IpAddress, Prefix } from '../base/ip.js';
import type { Ifindex } from '../port/kernel.js';
import type { Upstream } from './trees/graft-state.js';
import type { RouterLink } from './link.js';
import { INFINITY } from './wire/report.js';
import type { SavedBranch, SavedLink, SavedPrune, SavedRequest, SavedRoute, SavedState } from './saved-state.js';

const NEVER = Number.POSITIVE_INFINITY;
/** Links that do not come up for so long have no neighbours any more that would remember us. */
const PATIENCE_MS = 60_000;
/** "We depend on you": which metric it was does not matter (dvmrp.md section 6.3). */
const POISON = INFINITY + 1;

/** Where what was known belongs. */
export interface RestorationOutput {
  hasRoute(prefix: Prefix): boolean;
  /** As an entry of a Report of that neighbour, of an age. */
  told(from: Upstream, prefix: Prefix, metric: number, expiryMs: number): void;
  held(from: Upstream, prefix: Prefix, metric: number, untilMs: number): void;
  pruned(prefix: Prefix, group: IpAddress, by: Upstream, prune: SavedPrune): void;
  asked(prefix: Prefix, group: IpAddress, of: Upstream, request: SavedRequest): void;
}

/** What still waits of a branch. */
interface Branch {
  readonly group: IpAddress;
  received: readonly SavedPrune[];
  asked: SavedRequest | undefined;
}

/** What still waits of a route. */
class Waiting {
  offers: SavedRoute['offers'];
  dependents: SavedRoute['dependents'];
  branches: readonly Branch[];
  isThere = false;

  /**
   * Prunes of neighbours are believed from who left. After a crash they may have been grafted since: then data would stay away for
   * hours, while a prune that is forgotten comes again with the next data.
   */
  constructor(
    readonly saved: SavedRoute,
    withPrunes: boolean,
  ) {
    this.offers = saved.offers;
    this.dependents = saved.dependents;
    this.branches = saved.branches.map(({ group, received, asked }: SavedBranch) => ({
      group,
      received: withPrunes ? received : [],
      asked,
    }));
  }

  get isDone(): boolean {
    return this.isThere && this.offers.length + this.dependents.length + this.branches.length === 0;
  }
}

export class Restoration {
  readonly #saved: SavedState;
  readonly #output: RestorationOutput;
  readonly #links = new Map<string, SavedLink>();
  /** Links that are as they were. */
  readonly #up = new Map<string, Ifindex>();
  readonly #untilMs: number;
  #waiting: readonly Waiting[];

  constructor(saved: SavedState, nowMs: number, output: RestorationOutput) {
    this.#saved = saved;
    this.#output = output;
    this.#untilMs = nowMs + PATIENCE_MS;
    for (const link of saved.links) this.#links.set(link.name, link);
    this.#waiting = saved.routes.map((route) => new Waiting(route, saved.leaving));
  }

  get round(): SavedState['round'] {
    return this.#saved.round;
  }

  /** The link as it was; undefined when it was not there, has another address now, or has been given back before. */
  take({ config, address, ifindex }: RouterLink): SavedLink | undefined {
    const saved = this.#links.get(config.name);
    this.#links.delete(config.name);
    if (saved?.address !== address) return undefined;
    this.#up.set(config.name, ifindex);
    return saved;
  }

  /** It went down: its neighbours are lost. */
  forget({ config }: RouterLink): void {
    this.#up.delete(config.name);
  }

  /** False: there is nothing more to give back. */
  apply(nowMs: number): boolean {
    this.#waiting = this.#waiting.filter((waiting) => !this.#give(nowMs, waiting));
    return nowMs < this.#untilMs && this.#links.size > 0;
  }

  /** True: nothing of it waits any more. */
  #give(nowMs: number, waiting: Waiting): boolean {
    const { saved } = waiting;
    if (saved.timerMs <= nowMs) return true;
    if (!waiting.isThere && !this.#giveWay(waiting)) return false;
    waiting.isThere = true;
    // Filters of today may have been against it.
    if (saved.held || !this.#output.hasRoute(saved.prefix)) return true;
    const { prefix } = saved;
    waiting.offers = waiting.offers.filter((offer) => !this.#tell(offer, prefix, offer.metric, NEVER));
    waiting.dependents = waiting.dependents.filter(
      (one) => one.expiryMs > nowMs && !this.#tell(one, prefix, POISON, one.expiryMs),
    );
    waiting.branches = waiting.branches.filter((branch) => !this.#giveBranch(nowMs, saved, branch));
    return waiting.isDone;
  }

  #giveWay({ saved: { from, prefix, metric, held, timerMs } }: Waiting): boolean {
    if (!from) return this.#output.hasRoute(prefix);
    const upstream = this.#find(from);
    if (!upstream) return false;
    if (held) this.#output.held(upstream, prefix, metric, timerMs);
    else this.#output.told(upstream, prefix, metric, timerMs);
    return true;
  }

  #giveBranch(nowMs: number, { prefix, from }: SavedRoute, branch: Branch): boolean {
    const { group, asked } = branch;
    branch.received = branch.received.filter((prune) => {
      const by = this.#find(prune);
      if (by && prune.expiresMs > nowMs) this.#output.pruned(prefix, group, by, prune);
      return !by && prune.expiresMs > nowMs;
    });
    const upstream = from && this.#find(from);
    if (asked && upstream && asked.expiresMs > nowMs) this.#output.asked(prefix, group, upstream, asked);
    branch.asked = undefined;
    return branch.received.length === 0;
  }

  #tell(from: SavedRoute['from'] & object, prefix: Prefix, metric: number, expiryMs: number): boolean {
    const peer = this.#find(from);
    if (peer) this.#output.told(peer, prefix, metric, expiryMs);
    return peer !== undefined;
  }

  #find({ link, address }: { readonly link: string; readonly address: IpAddress }): Upstream | undefined {
    const ifindex = this.#up.get(link);
    return ifindex === undefined ? undefined : { ifindex, neighbor: address };
  }
}
