/**
 * The flows that the manager has entries for, and the state of each (source network, group) that they belong to
 * (dvmrp.md section 9). Tables only; forwarding.ts decides.
 */
import type { Queued } from '../base/deadline-heap.js';
import { type IpAddress, isAny, type Prefix, toU32 } from '../base/ip.js';
import type { MembershipKey } from '../mgm/client.js';
import type { Ifindex } from '../port/kernel.js';
import { UpstreamRecord } from './graft-state.js';
import { ReceivedPrunes } from './prune-state.js';

/** One (S,G) with an entry. */
export class Flow implements MembershipKey {
  /**
   * Whether it leaves by an interface of ours, as the manager has been told. Where the manager has not asked yet nothing is
   * told: while an interface changes hands, hosts are not known yet.
   */
  readonly told = new Map<Ifindex, boolean>();
  /** What it belongs to; undefined: no route covers the source. */
  branch: Branch | undefined;
  /** It leaves by no interface, of whatever owner. */
  empty = true;
  /** Packets on the right interface at the last look, and when there had come some. */
  packets = 0;
  dataMs: number;
  /** The group is asked for elsewhere on behalf of this flow (interop.md section 6). */
  pulls: Ifindex | undefined;

  constructor(
    readonly source: IpAddress,
    readonly group: IpAddress,
    public iif: Ifindex,
    nowMs: number,
  ) {
    this.dataMs = nowMs;
  }
}

/** The state of one (source network, group): a branch of the delivery tree that is pruned and grafted as one. */
export class Branch implements Queued {
  readonly flows = new Set<Flow>();
  readonly received = new ReceivedPrunes();
  readonly upstream = new UpstreamRecord();
  queuedMs = 0;
  heapIndex = -1;

  constructor(
    readonly prefix: Prefix,
    readonly group: IpAddress,
  ) {}

  get dueMs(): number {
    return Math.min(this.received.earliestMs, this.upstream.dueMs);
  }

  /** Nothing is left that would have to be remembered. */
  get idle(): boolean {
    return this.flows.size === 0 && this.received.size === 0 && this.upstream.state === 'none';
  }
}

export function prefixKey({ network, length }: Prefix): number {
  return toU32(network) * 64 + length;
}

export class FlowTable {
  readonly #flows = new Map<IpAddress, Map<IpAddress, Flow>>();
  readonly #branches = new Map<IpAddress, Map<number, Branch>>();

  flow(source: IpAddress, group: IpAddress): Flow | undefined {
    return this.#flows.get(group)?.get(source);
  }

  addFlow(flow: Flow): void {
    const sources = this.#flows.get(flow.group);
    if (sources) sources.set(flow.source, flow);
    else this.#flows.set(flow.group, new Map([[flow.source, flow]]));
  }

  deleteFlow({ source, group }: Flow): void {
    const sources = this.#flows.get(group);
    sources?.delete(source);
    if (sources?.size === 0) this.#flows.delete(group);
  }

  /** Those a key speaks about: one, those of a group, or all. */
  *flows({ source, group }: MembershipKey): Generator<Flow> {
    if (isAny(group)) {
      for (const sources of this.#flows.values()) yield* sources.values();
    } else if (isAny(source)) {
      yield* this.#flows.get(group)?.values() ?? [];
    } else {
      const flow = this.flow(source, group);
      if (flow) yield flow;
    }
  }

  branch(prefix: Prefix, group: IpAddress): Branch | undefined {
    return this.#branches.get(group)?.get(prefixKey(prefix));
  }

  /** Made where there is none. */
  branchFor(prefix: Prefix, group: IpAddress): Branch {
    let branches = this.#branches.get(group);
    if (!branches) this.#branches.set(group, (branches = new Map<number, Branch>()));
    const key = prefixKey(prefix);
    let branch = branches.get(key);
    if (!branch) branches.set(key, (branch = new Branch(prefix, group)));
    return branch;
  }

  deleteBranch({ prefix, group }: Branch): void {
    const branches = this.#branches.get(group);
    branches?.delete(prefixKey(prefix));
    if (branches?.size === 0) this.#branches.delete(group);
  }

  /** Those of one group, or with the wildcard all. */
  *branches(group: IpAddress): Generator<Branch> {
    if (!isAny(group)) yield* this.#branches.get(group)?.values() ?? [];
    else for (const branches of this.#branches.values()) yield* branches.values();
  }
}
