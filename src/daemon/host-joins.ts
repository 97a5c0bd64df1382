/**
 * Groups that an operator makes the router itself a member of (`mgmctl join`). The wish belongs to the interface's name:
 * it is told to the kernel again when the interface is created anew (F08).
 */
import { formatIp, formatPrefix, type IpAddress, parseIp, type Prefix, prefixContains } from '../base/ip.js';
import type { MgmStatus } from '../mgm/client.js';
import {
  ANY_SOURCE_FILTER,
  type Link,
  type LinkChange,
  type LinkPort,
  type MembershipFilter,
  type MembershipPort,
} from '../port/kernel.js';
import type { Log } from '../port/log.js';
import type { SavedJoin } from './state-file.js';

/** The holder's name behind the membership gate. */
const HOLDER = 'manual';

interface Wish {
  any: boolean;
  readonly sources: Set<IpAddress>;
}

export interface HostJoinsParts {
  readonly links: LinkPort;
  readonly membership: MembershipPort;
  readonly log: Log;
  /** Where only joins that name a source make sense. */
  readonly ssmRanges: readonly Prefix[];
  /** What was joined before this process began. */
  readonly saved?: readonly SavedJoin[] | undefined;
  /** Something changed that a successor should know. */
  readonly changed?: () => void;
}

export class HostJoins {
  readonly #parts: HostJoinsParts;
  readonly #wishes = new Map<string, Map<IpAddress, Wish>>();
  #unsubscribe: () => void = () => undefined;

  constructor(parts: HostJoinsParts) {
    this.#parts = parts;
  }

  start(): void {
    this.#unsubscribe = this.#parts.links.onChange((change) => this.#linkChanged(change));
    for (const saved of this.#parts.saved ?? []) this.#restore(saved);
    for (const link of this.#parts.links.links()) this.#setAll(link);
  }

  /** Everything that is joined, for a successor. */
  saved(): readonly SavedJoin[] {
    return [...this.#wishes].flatMap(([name, groups]) =>
      [...groups].flatMap(([group, { any, sources }]) => {
        const named = { interface: name, group: formatIp(group) };
        const joins = [...sources].map((source) => ({ ...named, source: formatIp(source) }));
        return any ? [{ ...named, source: null }, ...joins] : joins;
      }),
    );
  }

  /** Leaves everything. */
  stop(): void {
    this.#unsubscribe();
    for (const link of this.#parts.links.links()) this.#unset(link, link.name);
    this.#wishes.clear();
  }

  join(link: Link, group: IpAddress, source: IpAddress | undefined): MgmStatus {
    const range = source === undefined ? this.#parts.ssmRanges.find((one) => prefixContains(one, group)) : undefined;
    if (range) return sourceMissing(group, range);
    const groups = this.#wishes.get(link.name) ?? new Map<IpAddress, Wish>();
    const before = groups.get(group);
    const wish = { any: source === undefined || before?.any === true, sources: new Set(before?.sources) };
    if (source !== undefined) wish.sources.add(source);
    const error = this.#parts.membership.set(HOLDER, link.ifindex, group, filterOf(wish));
    if (error) return { code: 'ERROR_CAN_NOT_COMPLETE', detail: 'kernelRefused', message: error.message };
    this.#wishes.set(link.name, groups.set(group, wish));
    this.#parts.changed?.();
    return { code: 'NO_ERROR' };
  }

  leave(link: Link, group: IpAddress, source: IpAddress | undefined): MgmStatus {
    const groups = this.#wishes.get(link.name);
    const wish = groups?.get(group);
    if (!groups || !wish || !(source === undefined ? wish.any : wish.sources.has(source)))
      return notJoined(link, group);
    if (source === undefined) wish.any = false;
    else wish.sources.delete(source);
    const filter = filterOf(wish);
    if (!filter) groups.delete(group);
    const error = this.#parts.membership.set(HOLDER, link.ifindex, group, filter);
    this.#parts.changed?.();
    return error
      ? { code: 'ERROR_CAN_NOT_COMPLETE', detail: 'kernelRefused', message: error.message }
      : { code: 'NO_ERROR' };
  }

  /** What is no address is not restored; nobody else writes that file. */
  #restore({ interface: name, group: groupText, source: sourceText }: SavedJoin): void {
    const group = parseIp(groupText);
    const source = sourceText === null ? undefined : parseIp(sourceText);
    if (!group.ok || source?.ok === false) return;
    const range = source ? undefined : this.#parts.ssmRanges.find((one) => prefixContains(one, group.value));
    if (range) {
      this.#parts.log.error(
        { evt: 'host.join.refused', ifname: name, group: groupText },
        `left ${groupText} on ${name}, which mgmctl had joined: the source-specific range ${formatPrefix(range)} covers it now; join it with a source`,
      );
      return;
    }
    const groups = this.#wishes.get(name) ?? new Map<IpAddress, Wish>();
    const wish: Wish = groups.get(group.value) ?? { any: false, sources: new Set() };
    if (source) wish.sources.add(source.value);
    else wish.any = true;
    this.#wishes.set(name, groups.set(group.value, wish));
  }

  /** What was joined on one that was removed went with it. */
  #linkChanged({ kind, link }: LinkChange): void {
    if (kind === 'added') this.#setAll(link);
  }

  #setAll(link: Link): void {
    for (const [group, wish] of this.#wishes.get(link.name) ?? []) {
      const error = this.#parts.membership.set(HOLDER, link.ifindex, group, filterOf(wish));
      if (!error) continue;
      this.#parts.log.error(
        { evt: 'host.join.refused', ifname: link.name, group: formatIp(group), code: error.code },
        `${formatIp(group)} is not joined on ${link.name}, as it was before: ${error.message}`,
      );
    }
  }

  #unset(link: Link, name: string): void {
    for (const group of this.#wishes.get(name)?.keys() ?? [])
      this.#parts.membership.set(HOLDER, link.ifindex, group, undefined);
  }
}

function filterOf({ any, sources }: Wish): MembershipFilter | undefined {
  if (any) return ANY_SOURCE_FILTER;
  return sources.size === 0 ? undefined : { mode: 'include', sources: [...sources] };
}

/** The kernel would take it, and never get a packet by it (RFC 4604 section 2.2). */
function sourceMissing(group: IpAddress, range: Prefix): MgmStatus {
  return {
    code: 'ERROR_INVALID_PARAMETER',
    detail: 'badSource',
    message: `${formatIp(group)} is in the source-specific range ${formatPrefix(range)}; name the source as well`,
  };
}

function notJoined({ name }: Link, group: IpAddress): MgmStatus {
  return {
    code: 'ERROR_NOT_FOUND',
    detail: 'noSuchEntry',
    message: `nobody joined it there by mgmctl; "mgmctl show joins" lists what is joined (${formatIp(group)} on ${name})`,
  };
}
