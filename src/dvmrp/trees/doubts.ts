/**
 * Grafts for prunes of ours that we do not know of. An upstream router that has only now become our neighbour may hold a prune of
 * an earlier life of ours, or of the time before we lost sight of it: it keeps the data back for up to two hours, and no packet
 * tells us. So while that is possible, whatever members want, has no data and no known prune is grafted once; the upstream
 * acknowledges it, whether it held a prune or not (dvmrp.md sections 4, 11.2 and 11.3).
 *
 * Groups times routes can be many, so the questions are walked lazily, and few grafts leave at a time: first come, first served.
 */
import { ANY4, type IpAddress, isAny, isUnicast, type Prefix } from '../../base/ip.js';
import type { MembershipKey } from '../../mgm/client.js';
import type { Branch, FlowTable } from './flows.js';
import type { Upstream } from './graft-state.js';
import type { DeliveryRoute, Surroundings } from '../surroundings.js';

/** So many grafts at a time, then a pause. */
const GRAFTS_PER_ROUND = 32;
const PAUSE_MS = 200;
/** Pairs of route and group looked at per turn of the event loop. */
const LOOKS_PER_TURN = 1024;

/** A source network, a group, and the host to name, where one is known. */
interface Question {
  readonly route: DeliveryRoute;
  readonly group: IpAddress;
  readonly source: IpAddress | undefined;
}

export interface DoubtParts {
  readonly around: Surroundings;
  readonly table: FlowTable;
  /** Groups that members want. */
  readonly groups: () => Iterable<IpAddress>;
  /** Whether the branch would be forwarded if there were data. */
  readonly isWanted: (branch: Branch, route: DeliveryRoute) => boolean;
  readonly graft: (nowMs: number, branch: Branch, source: IpAddress, to: Upstream) => void;
  readonly forget: (branch: Branch) => void;
}

export class Doubts {
  readonly #parts: DoubtParts;
  /** What is to be walked, in the order it came; a subject that waits already is not put twice. */
  readonly #walks = new Map<string, Iterator<Question>>();
  #left = GRAFTS_PER_ROUND;
  #roundMs = 0;
  nextDeadlineMs = Number.POSITIVE_INFINITY;

  constructor(parts: DoubtParts) {
    this.#parts = parts;
  }

  /** A member came, here or behind another router; without a source it may be in any network. */
  wanted(nowMs: number, { source, group }: MembershipKey): void {
    if (!isAny(group)) this.#add(nowMs, `${source} ${group}`, () => this.#networksFor(source, group));
  }

  /** Another router is upstream for the network now. */
  upstreamChanged(nowMs: number, prefix: Prefix): void {
    this.#add(nowMs, `${prefix.network}/${prefix.length}`, () => this.#groupsOf(prefix));
  }

  timeout(nowMs: number): void {
    if (nowMs < this.nextDeadlineMs) return;
    if (nowMs >= this.#roundMs + PAUSE_MS) {
      this.#roundMs = nowMs;
      this.#left = GRAFTS_PER_ROUND;
    }
    for (let looks = LOOKS_PER_TURN; looks > 0 && this.#left > 0; looks--) {
      const question = this.#next();
      if (question === undefined) {
        this.nextDeadlineMs = Number.POSITIVE_INFINITY;
        return;
      }
      if (question && this.#ask(nowMs, question)) this.#left--;
    }
    this.nextDeadlineMs = this.#left > 0 ? nowMs : this.#roundMs + PAUSE_MS;
  }

  clear(): void {
    this.#walks.clear();
    this.nextDeadlineMs = Number.POSITIVE_INFINITY;
  }

  #add(nowMs: number, subject: string, questions: () => Iterator<Question>): void {
    if (this.#walks.has(subject)) return;
    this.#walks.set(subject, questions());
    const dueMs = this.#left > 0 ? nowMs : this.#roundMs + PAUSE_MS;
    this.nextDeadlineMs = Math.min(this.nextDeadlineMs, dueMs);
  }

  /** Undefined: there is nothing left. False: a walk has come to its end. */
  #next(): Question | false | undefined {
    for (const [subject, walk] of this.#walks) {
      const step = walk.next();
      if (!step.done) return step.value;
      this.#walks.delete(subject);
      return false;
    }
    return undefined;
  }

  *#networksFor(source: IpAddress, group: IpAddress): Generator<Question> {
    if (isAny(source)) {
      for (const route of this.#parts.around.upstreamRoutes()) yield { route, group, source: undefined };
      return;
    }
    const route = this.#parts.around.route(source);
    if (route) yield { route, group, source };
  }

  *#groupsOf(prefix: Prefix): Generator<Question> {
    for (const group of this.#parts.groups()) {
      const route = this.#parts.around.routeFor(prefix);
      if (route) yield { route, group, source: undefined };
    }
  }

  /** True: a graft was sent. */
  #ask(nowMs: number, { route, group, source }: Question): boolean {
    const { iif, upstream, prefix } = route;
    const { around, table } = this.#parts;
    if (
      iif === undefined ||
      upstream === undefined ||
      !around.mayHoldPrunes(nowMs, { ifindex: iif, neighbor: upstream })
    )
      return false;
    const host = source ?? prefix.network;
    // The default route has no address to name.
    if (!isUnicast(host) || host === ANY4) return false;
    const branch = table.branchFor(prefix, group);
    // Data has come since we are here, or a prune or graft of ours is known.
    const isKnown = branch.flows.size > 0 || branch.upstream.state !== 'none';
    const asks = !isKnown && this.#parts.isWanted(branch, route);
    if (asks) this.#parts.graft(nowMs, branch, host, { ifindex: iif, neighbor: upstream });
    else this.#parts.forget(branch);
    return asks;
  }
}
