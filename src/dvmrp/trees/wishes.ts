/**
 * What other components want, also without an entry: by group, the wildcard for any source. A source that has a flow speaks by
 * that; the others are kept apart, so that twenty thousand of them cost one question no more than one does.
 */
import { type IpAddress, isAny, type Prefix } from '../../base/ip.js';
import type { MembershipKey } from '../../mgm/client.js';
import { SourceSet } from './source-set.js';

interface GroupWishes {
  any: boolean;
  readonly sources: Set<IpAddress>;
  /** Of these those without a flow. */
  readonly waiting: SourceSet;
}

export class Wishes {
  readonly #groups = new Map<IpAddress, GroupWishes>();

  groups(): Iterable<IpAddress> {
    return this.#groups.keys();
  }

  add({ source, group }: MembershipKey, hasFlow: boolean): void {
    let wishes = this.#groups.get(group);
    if (!wishes) this.#groups.set(group, (wishes = { any: false, sources: new Set(), waiting: new SourceSet() }));
    if (isAny(source)) wishes.any = true;
    else wishes.sources.add(source);
    if (!isAny(source) && !hasFlow) wishes.waiting.add(source);
  }

  delete({ source, group }: MembershipKey): void {
    const wishes = this.#groups.get(group);
    if (!wishes) return;
    if (isAny(source)) wishes.any = false;
    wishes.sources.delete(source);
    wishes.waiting.delete(source);
    if (!wishes.any && wishes.sources.size === 0) this.#groups.delete(group);
  }

  flowCame({ source, group }: MembershipKey): void {
    this.#groups.get(group)?.waiting.delete(source);
  }

  flowWent({ source, group }: MembershipKey): void {
    const wishes = this.#groups.get(group);
    if (wishes?.sources.has(source)) wishes.waiting.add(source);
  }

  /** Somebody wants any source of the group. */
  wantsAny(group: IpAddress): boolean {
    return this.#groups.get(group)?.any === true;
  }

  /** Somebody wants a source of the network that has no flow. */
  waitsFor(network: Prefix, group: IpAddress): boolean {
    return this.#groups.get(group)?.waiting.hasSomeOf(network) === true;
  }

  clear(): void {
    this.#groups.clear();
  }
}
