/**
 * May a packet of (S,G) that comes in by one interface leave by another? The forwarding rule of RFC 4605 section 4.2
 * (igmp.md section 15.3) with several upstreams, in one function: new entries, joins and changes all ask it.
 *
 * A filter of an upstream holds in both directions: what is not asked on it does not come in by it either (F32).
 */
import type { IpAddress } from '../base/ip.js';
import type { MembershipKey } from '../mgm/client.js';
import type { Ifindex } from '../port/kernel.js';
import type { Wishes } from './database.js';
import type { Upstreams } from './upstreams.js';

export interface Downstream {
  readonly wishes: Wishes;
  /** Undefined: IGMP has not said yet. */
  readonly querier: boolean | undefined;
}

export interface RulesParts {
  readonly upstreams: Upstreams;
  readonly requireQuerier: boolean;
  isSsm(group: IpAddress): boolean;
  /** Undefined: not ours, or an upstream. */
  downstream(ifindex: Ifindex): Downstream | undefined;
  /** The upstream that the group is asked on. */
  carrier(group: IpAddress): Ifindex | undefined;
}

export class Rules {
  readonly #parts: RulesParts;

  constructor(parts: RulesParts) {
    this.#parts = parts;
  }

  /** `out` is one of ours and not `iif`. */
  mayLeave(flow: MembershipKey, iif: Ifindex, out: Ifindex): boolean {
    const { upstreams } = this.#parts;
    const fromUpstream = upstreams.get(iif) !== undefined;
    if (fromUpstream && !upstreams.admits(iif, flow.group)) return false;
    if (upstreams.get(out)) return !fromUpstream && this.#parts.carrier(flow.group) === out;
    const downstream = this.#parts.downstream(out);
    return downstream !== undefined && this.#mayReach(flow, downstream);
  }

  /** Whether the configuration alone lets a flow of the group in by one and out by the other; either may be another's. */
  mayEverLeave(group: IpAddress, iif: Ifindex, out: Ifindex): boolean {
    const { upstreams } = this.#parts;
    const fromUpstream = upstreams.get(iif) !== undefined;
    if (fromUpstream && !upstreams.admits(iif, group)) return false;
    return upstreams.get(out) === undefined || (!fromUpstream && upstreams.admits(out, group));
  }

  /** There are receivers behind `out`, as far as this protocol knows: everything from inside is wanted upstream. */
  isWanted({ source, group }: MembershipKey, out: Ifindex): boolean {
    if (this.#parts.upstreams.get(out)) return true;
    return this.#parts.downstream(out)?.wishes.wants(source, group, this.#parts.isSsm(group)) ?? false;
  }

  /** Where a flow that comes from upstream is expected: on the upstream that its group is asked on. */
  expectedOn(group: IpAddress, iif: Ifindex): Ifindex {
    return this.#parts.upstreams.get(iif) ? (this.#parts.carrier(group) ?? iif) : iif;
  }

  #mayReach({ source, group }: MembershipKey, { wishes, querier }: Downstream): boolean {
    if (this.#parts.requireQuerier && querier !== true) return false;
    if (this.#parts.isSsm(group)) return wishes.wants(source, group, true);
    return !wishes.refuses(source, group);
  }
}
