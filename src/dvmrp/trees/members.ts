/** Local members as IGMP tells of them, per interface: who is an input of the outgoing list (dvmrp.md section 8.2). */
import { type IpAddress, isAny, type Prefix } from '../../base/ip.js';
import type { MembershipKey } from '../../mgm/client.js';
import type { Ifindex } from '../../port/kernel.js';
import { SourceSet } from './source-set.js';

interface GroupMembers {
  /** Somebody wants every source. */
  any: boolean;
  /** Sources that somebody wants by name. */
  readonly sources: SourceSet;
  /** Sources that all of those who want every source refuse. */
  readonly refused: Set<IpAddress>;
}

export class LocalMembers {
  readonly #interfaces = new Map<Ifindex, Map<IpAddress, GroupMembers>>();

  add(ifindex: Ifindex, { source, group }: MembershipKey): void {
    const members = this.#of(ifindex, group);
    if (isAny(source)) members.any = true;
    else members.sources.add(source);
  }

  delete(ifindex: Ifindex, { source, group }: MembershipKey): void {
    const members = this.#interfaces.get(ifindex)?.get(group);
    if (!members) return;
    if (isAny(source)) members.any = false;
    else members.sources.delete(source);
    if (!members.any) members.refused.clear();
    if (!members.any && members.sources.size === 0) this.#interfaces.get(ifindex)?.delete(group);
  }

  /** Refusals of a group come before its join. */
  refuse(ifindex: Ifindex, { source, group }: MembershipKey, refused: boolean): void {
    if (refused) this.#of(ifindex, group).refused.add(source);
    else this.#interfaces.get(ifindex)?.get(group)?.refused.delete(source);
  }

  wants(ifindex: Ifindex, source: IpAddress, group: IpAddress): boolean {
    const members = this.#interfaces.get(ifindex)?.get(group);
    if (!members) return false;
    return members.sources.has(source) || (members.any && !members.refused.has(source));
  }

  /** Somebody wants the group from at least one source of the network. */
  wantsSome(ifindex: Ifindex, network: Prefix, group: IpAddress): boolean {
    const members = this.#interfaces.get(ifindex)?.get(group);
    return members !== undefined && (members.any || members.sources.hasSomeOf(network));
  }

  /** Groups that somebody wants, on any interface; one with members on several comes several times. */
  *groups(): Generator<IpAddress> {
    for (const groups of this.#interfaces.values()) yield* groups.keys();
  }

  forget(ifindex: Ifindex): void {
    this.#interfaces.delete(ifindex);
  }

  #of(ifindex: Ifindex, group: IpAddress): GroupMembers {
    let groups = this.#interfaces.get(ifindex);
    if (!groups) this.#interfaces.set(ifindex, (groups = new Map<IpAddress, GroupMembers>()));
    let members = groups.get(group);
    if (!members) groups.set(group, (members = { any: false, sources: new SourceSet(), refused: new Set() }));
    return members;
  }
}
