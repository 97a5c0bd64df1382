/** Asks the kernel for the route to one destination, and for the next hops of a route that only refers to them. */
import type { KernelError } from '../../base/errors.js';
import type { IpAddress } from '../../base/ip.js';
import { ok, type Result } from '../../base/result.js';
import type { Addon } from '../addon.js';
import { Attributes, type NetlinkMessage } from '../netlink/netlink.js';
import { type DecodeMessage, NetlinkQuestions } from '../netlink/netlink-ask.js';
import { decodeNextHop, nextHopRequest } from '../netlink/nexthop-messages.js';
import {
  decodeRoute,
  type KernelRoute,
  lookupRequest,
  type NextHop,
  pointLookupAt,
  ROUTE_ATTRIBUTES,
} from '../netlink/route-messages.js';

/** Next hops of one route that count: more than there are multicast interfaces are of no use. */
const HOPS = 64;

export class RouteQuestions {
  readonly #questions: NetlinkQuestions;
  readonly #lookup = lookupRequest();
  readonly #attributes = new Attributes(ROUTE_ATTRIBUTES);
  readonly #routeOf = (view: DataView, message: NetlinkMessage): KernelRoute | undefined =>
    decodeRoute(view, message, this.#attributes);

  private constructor(questions: NetlinkQuestions) {
    this.#questions = questions;
  }

  /** `purpose` completes "opening a netlink socket for ... failed". */
  static open(addon: Addon, purpose: string): Result<RouteQuestions, KernelError> {
    const questions = NetlinkQuestions.open(addon, purpose);
    return questions.ok ? ok(new RouteQuestions(questions.value)) : questions;
  }

  /** What the kernel's own look-up finds, with all its rules. */
  routeTo(destination: IpAddress): KernelRoute | undefined {
    pointLookupAt(this.#lookup, destination);
    return this.#questions.ask(this.#lookup, this.#routeOf).rows[0];
  }

  dump(request: Uint8Array, decode: DecodeMessage<KernelRoute>): { rows: readonly KernelRoute[]; errno: number } {
    return this.#questions.dump(request, decode);
  }

  /** The route's next hops; asked for when it names an object only. */
  hopsOf({ hops, nextHopId }: KernelRoute): readonly NextHop[] {
    if (hops.length > 0 || nextHopId === undefined) return hops;
    const object = this.#object(nextHopId);
    if (!object) return [];
    if (object.members.length === 0) return object.hop ? [object.hop] : [];
    return object.members.slice(0, HOPS).flatMap((id) => this.#object(id)?.hop ?? []);
  }

  close(): void {
    this.#questions.close();
  }

  #object(id: number) {
    return this.#questions.ask(nextHopRequest(id), decodeNextHop).rows[0];
  }
}
