/**
 * Groups that an operator makes the router itself a member of (`mgmctl join`). The wish belongs to the interface's name:
 * it is told to the kernel again when the interface is created anew (F08).
 */
import { formatIp, formatPrefix, type IpAddress, parseIp, type Prefix, prefixContains } from '../base/ip.js';
import { LogLimiter } from '../base/log-limiter.js';
import type { Counters } from '../control/counters.js';
import type { MgmStatus } from '../mgm/client.js';
import type { Clock, Timer } from '../port/clock.js';
import {
  ANY_SOURCE_FILTER,
  type Link,
  type LinkChange,
  type LinkPort,
  type MembershipFilter,
  type MembershipPort,
} from '../port/kernel.js';
import type { Log } from '../port/log.js';
import type { SavedJoin } from './state/state-file.js';

/** The holder's name behind the membership gate. */
const HOLDER = 'manual';
/** Joins on all interfaces together; a group is one for any source, and one for each source. */
export const MAX_JOINS = 16_384;
/** Groups told to the kernel in one turn of the event loop: some milliseconds. */
const SLICE = 256;
/** Log lines about refused joins: this many at once, then one in ten seconds. */
const LOG_BURST = 5;
const LOG_PER_SECOND = 0.1;

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
  readonly counters?: Counters;
  readonly clock?: Clock;
}

export class HostJoins {
  readonly #parts: HostJoinsParts;
  readonly #wishes = new Map<string, Map<IpAddress, Wish>>();
  readonly #lines = new LogLimiter(LOG_BURST, LOG_PER_SECOND);
  /** What is still to be told to the kernel. */
  readonly #turns = new Set<Timer>();
  #count = 0;
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
    for (const turn of this.#turns) turn.cancel();
    for (const link of this.#parts.links.links()) this.#unset(link, link.name);
    this.#wishes.clear();
    this.#count = 0;
  }

  join(link: Link, group: IpAddress, source: IpAddress | undefined): MgmStatus {
    const range = source === undefined ? this.#parts.ssmRanges.find((one) => prefixContains(one, group)) : undefined;
    if (range) return sourceMissing(group, range);
    const groups = this.#groupsOn(link.name);
    const wish = groups.get(group) ?? { any: false, sources: new Set<IpAddress>() };
    if (has(wish, source)) return { code: 'NO_ERROR' };
    if (this.#count >= MAX_JOINS) return this.#tooMany(link, group);
    add(wish, source);
    const error = this.#parts.membership.set(HOLDER, link.ifindex, group, filterOf(wish));
    if (error) {
      remove(wish, source);
      this.#parts.membership.set(HOLDER, link.ifindex, group, filterOf(wish)); // as it was before
      return { code: 'ERROR_CAN_NOT_COMPLETE', detail: 'kernelRefused', message: error.message };
    }
    groups.set(group, wish);
    this.#count++;
    this.#parts.changed?.();
    return { code: 'NO_ERROR' };
  }

  leave(link: Link, group: IpAddress, source: IpAddress | undefined): MgmStatus {
    const groups = this.#wishes.get(link.name);
    const wish = groups?.get(group);
    if (!groups || !wish || !has(wish, source)) return notJoined(link, group);
    remove(wish, source);
    this.#count--;
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
    const groups = this.#groupsOn(name);
    const wish = groups.get(group.value) ?? { any: false, sources: new Set<IpAddress>() };
    if (has(wish, source?.value) || this.#count >= MAX_JOINS) return;
    add(wish, source?.value);
    groups.set(group.value, wish);
    this.#count++;
  }

  #groupsOn(name: string): Map<IpAddress, Wish> {
    let groups = this.#wishes.get(name);
    if (!groups) this.#wishes.set(name, (groups = new Map<IpAddress, Wish>()));
    return groups;
  }

  #tooMany({ name }: Link, group: IpAddress): MgmStatus {
    const { counters, clock, log } = this.#parts;
    counters?.count('joins.refused');
    const message = `mgmctl has joined ${MAX_JOINS} groups and sources already; leave some of them first`;
    const heldBack = this.#lines.take('limit', clock?.nowMs() ?? 0);
    if (heldBack !== undefined)
      log.error(
        { evt: 'host.join.refused', ifname: name, group: formatIp(group), code: 'limit', heldBack },
        `cannot join ${formatIp(group)} on ${name}: ${message}`,
      );
    return { code: 'ERROR_CAN_NOT_COMPLETE', message };
  }

  /** What was joined on one that was removed went with it. */
  #linkChanged({ kind, link }: LinkChange): void {
    if (kind === 'added') this.#setAll(link);
  }

  /** Everything that is wished on it, a slice a turn. */
  #setAll(link: Link, groups: Iterator<IpAddress> = [...(this.#wishes.get(link.name)?.keys() ?? [])].values()): void {
    for (let room = SLICE; room > 0 || !this.#parts.clock; room--) {
      const next = groups.next();
      if (next.done) return;
      this.#set(link, next.value);
    }
    const turn = this.#parts.clock?.after(0, () => {
      this.#turns.delete(turn!);
      if (this.#parts.links.byIndex(link.ifindex)?.name === link.name) this.#setAll(link, groups);
    });
    this.#turns.add(turn!);
  }

  #set(link: Link, group: IpAddress): void {
    const wish = this.#wishes.get(link.name)?.get(group);
    const error = wish && this.#parts.membership.set(HOLDER, link.ifindex, group, filterOf(wish));
    if (!error) return;
    this.#parts.counters?.count('joins.refused');
    const heldBack = this.#lines.take('refused', this.#parts.clock?.nowMs() ?? 0);
    if (heldBack === undefined) return;
    this.#parts.log.error(
      { evt: 'host.join.refused', ifname: link.name, group: formatIp(group), code: error.code, heldBack },
      `cannot join ${formatIp(group)} on ${link.name}, as it was before: ${error.message}`,
    );
  }

  /** Newest first, as the kernel finds them fastest. */
  #unset(link: Link, name: string): void {
    for (const group of [...(this.#wishes.get(name)?.keys() ?? [])].reverse())
      this.#parts.membership.set(HOLDER, link.ifindex, group, undefined);
  }
}

function has({ any, sources }: Wish, source: IpAddress | undefined): boolean {
  return source === undefined ? any : sources.has(source);
}

function add(wish: Wish, source: IpAddress | undefined): void {
  if (source === undefined) wish.any = true;
  else wish.sources.add(source);
}

function remove(wish: Wish, source: IpAddress | undefined): void {
  if (source === undefined) wish.any = false;
  else wish.sources.delete(source);
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
