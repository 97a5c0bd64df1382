/**
 * The configured joins: host memberships of the router itself, one filter per group and interface, ranges group by group.
 * Many are joined in slices; a join that the kernel refuses is tried again.
 */
import { formatIp, type IpAddress, ipv4, toU32 } from '../base/ip.js';
import { LogLimiter } from '../base/log-limiter.js';
import type { StaticJoin } from '../config/types.js';
import type { Clock, Timer } from '../port/clock.js';
import { ANY_SOURCE_FILTER, type Ifindex, type Link, type LinkPort } from '../port/kernel.js';
import type { MembershipFilter, MembershipPort } from '../port/kernel.js';
import type { Log } from '../port/log.js';

/** A join that the kernel refused (ENOBUFS, an interface on its way out) is asked for again after this long. */
const REJOIN_MS = 30_000;
/** Joins in one turn of the event loop; each is a system call and a report on the wire. */
const PER_TURN = 128;
/** Lines about refused joins: this many at once, then one in ten seconds. */
const LOG_BURST = 5;
const LOG_PER_SECOND = 0.1;

export interface JoinsParts {
  /** The instance's name: whose joins they are. */
  readonly holder: string;
  readonly joins: readonly StaticJoin[];
  readonly links: LinkPort;
  readonly membership: MembershipPort;
  readonly clock: Clock;
  readonly log: Log;
}

interface Join {
  readonly ifindex: Ifindex;
  readonly ifname: string;
  readonly group: IpAddress;
  readonly filter: MembershipFilter;
}

export class Joins {
  readonly #parts: JoinsParts;
  readonly #lines = new LogLimiter(LOG_BURST, LOG_PER_SECOND);
  /** Not asked for yet, by interface and group. */
  readonly #waiting = new Map<string, Join>();
  readonly #refused = new Map<string, Join>();
  #turn: Timer | undefined;
  #again: Timer | undefined;

  constructor(parts: JoinsParts) {
    this.#parts = parts;
  }

  joinOn({ ifindex, name }: Link): void {
    for (const [group, filter] of filtersOn(this.#parts.joins, name))
      this.#waiting.set(keyOf(ifindex, group), { ifindex, ifname: name, group, filter });
    if (this.#turn === undefined) this.#joinSome();
  }

  /** `name`: under which the interface was joined on. */
  leaveOn(ifindex: Ifindex, name: string): void {
    for (const group of filtersOn(this.#parts.joins, name).keys()) {
      const key = keyOf(ifindex, group);
      this.#refused.delete(key);
      if (!this.#waiting.delete(key)) this.#parts.membership.set(this.#parts.holder, ifindex, group, undefined);
    }
  }

  /** Its joins went with it. */
  gone(ifindex: Ifindex): void {
    for (const joins of [this.#waiting, this.#refused])
      for (const [key, join] of joins) if (join.ifindex === ifindex) joins.delete(key);
  }

  stop(): void {
    this.#turn?.cancel();
    this.#again?.cancel();
    this.#turn = this.#again = undefined;
    for (const { ifindex, name } of this.#parts.links.links()) this.leaveOn(ifindex, name);
    this.#waiting.clear();
    this.#refused.clear();
  }

  #joinSome(): void {
    this.#turn = undefined;
    let left = PER_TURN;
    for (const [key, join] of this.#waiting) {
      if (left-- === 0) {
        this.#turn = this.#parts.clock.after(0, () => this.#joinSome());
        return;
      }
      this.#waiting.delete(key);
      this.#join(key, join);
    }
  }

  #join(key: string, join: Join): void {
    const { ifindex, ifname, group, filter } = join;
    const error = this.#parts.membership.set(this.#parts.holder, ifindex, group, filter);
    if (!error) return void this.#refused.delete(key);
    this.#refused.set(key, join);
    this.#again ??= this.#parts.clock.after(REJOIN_MS, () => this.#joinAgain());
    const heldBack = this.#lines.take(error.code, this.#parts.clock.nowMs());
    if (heldBack === undefined) return;
    this.#parts.log.warn(
      { evt: 'static.join.refused', ifname, group: formatIp(group), code: error.code, heldBack },
      `${error.message} Will retry in ${REJOIN_MS / 1000} s.`,
    );
  }

  #joinAgain(): void {
    this.#again = undefined;
    for (const [key, join] of this.#refused)
      if (this.#parts.links.byIndex(join.ifindex)) this.#waiting.set(key, join);
      else this.#refused.delete(key);
    if (this.#turn === undefined) this.#joinSome();
  }
}

/** One kernel filter per group on the interface: every source as soon as one join asks for it, otherwise the sources named. */
export function filtersOn(joins: readonly StaticJoin[], name: string): ReadonlyMap<IpAddress, MembershipFilter> {
  const filters = new Map<IpAddress, MembershipFilter>();
  for (const join of joins) {
    if (join.interface !== name) continue;
    for (const group of groupsOf(join))
      filters.set(group, join.source === undefined ? ANY_SOURCE_FILTER : withSource(filters.get(group), join.source));
  }
  return filters;
}

function* groupsOf({ group: { network, length } }: StaticJoin): Generator<IpAddress> {
  const first = toU32(network);
  for (let n = 0; n < 2 ** (32 - length); n++) yield ipv4(first + n);
}

function withSource(known: MembershipFilter | undefined, source: IpAddress): MembershipFilter {
  if (known?.mode === 'exclude' || known?.sources.includes(source)) return known;
  return { mode: 'include', sources: [...(known?.sources ?? []), source] };
}

function keyOf(ifindex: Ifindex, group: IpAddress): string {
  return `${ifindex} ${group}`;
}
