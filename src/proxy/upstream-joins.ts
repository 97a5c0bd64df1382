/**
 * Asks upstream for what `joins.ts` says, when it is due, and tries again what the kernel refused. What the kernel has no
 * room for is said, and tried again when something is left or after half a minute.
 */
import { formatIp, type IpAddress } from '../base/ip.js';
import type { LogLimiter } from '../base/log-limiter.js';
import type { ProxyConfig } from '../config/types.js';
import type { Clock, Timer } from '../port/clock.js';
import type { Events } from '../port/events.js';
import type { Ifindex, MembershipPort } from '../port/kernel.js';
import type { Log } from '../port/log.js';
import { type Asked, Joins, type JoinsParts } from './joins.js';

/** A join that the kernel refused (an interface on its way out, no descriptors) is asked for again after this long. */
const REJOIN_MS = 30_000;
/** Out of descriptors or memory. */
const NO_ROOM: ReadonlySet<string> = new Set(['EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM']);

export interface UpstreamJoinsParts extends Pick<JoinsParts, 'wanted' | 'carrier'> {
  /** The holder's name behind the membership gate. */
  readonly name: string;
  readonly config: Pick<ProxyConfig, 'leaveDelayMs' | 'maxJoins'>;
  readonly membership: MembershipPort;
  readonly clock: Clock;
  readonly log: Log;
  readonly limiter: LogLimiter;
  readonly events: Events;
  nameOf(ifindex: Ifindex): string;
}

export class UpstreamJoins {
  readonly joins: Joins;
  readonly #parts: UpstreamJoinsParts;
  readonly #counters = { joinsRefused: 0, joinsOverBudget: 0 };
  #running = false;
  #turn: { readonly atMs: number; readonly timer: Timer } | undefined;
  #rejoin: Timer | undefined;

  constructor(parts: UpstreamJoinsParts) {
    this.#parts = parts;
    this.joins = new Joins({
      leaveDelayMs: parts.config.leaveDelayMs,
      maxJoins: parts.config.maxJoins,
      wanted: parts.wanted,
      carrier: parts.carrier,
      membershipsFor: (filter) => parts.membership.membershipsFor(filter),
      join: (group, to) => this.#join(group, to),
      overBudget: (group) => this.#overBudget(group),
      leave: (group, from) => this.#leave(group, from),
    });
  }

  start(): void {
    this.#running = true;
  }

  /** No timer is left; what is asked stays asked. */
  pause(): void {
    this.#running = false;
    this.#turn?.timer.cancel();
    this.#rejoin?.cancel();
    this.#turn = this.#rejoin = undefined;
  }

  /** Memberships that are held, and groups that wait for room, now; the others count. */
  counters() {
    return { ...this.#counters, joinsHeld: this.joins.used, joinsWaiting: this.joins.waiting };
  }

  /** Something is marked: one timer for what is due at once and for what is left later. */
  arm(): void {
    const { clock } = this.#parts;
    const nowMs = clock.nowMs();
    const dueMs = this.joins.dueMs(nowMs);
    if (dueMs === undefined || !this.#running || (this.#turn && this.#turn.atMs <= dueMs)) return;
    this.#turn?.timer.cancel();
    const timer = clock.after(Math.max(0, dueMs - nowMs), () => {
      this.#turn = undefined;
      this.joins.run(clock.nowMs());
      this.arm();
    });
    this.#turn = { atMs: dueMs, timer };
  }

  #join(group: IpAddress, { on, filter }: Asked): boolean | 'noRoom' {
    const { name, membership, events, nameOf } = this.#parts;
    const error = membership.set(name, on, group, filter);
    const noRoom = error !== undefined && NO_ROOM.has(error.code);
    if (noRoom) this.#takeBack(group, on);
    else
      events.emit('proxy.group.joined', () => ({
        group: formatIp(group),
        interface: nameOf(on),
        mode: filter.mode,
        sources: filter.sources.map(formatIp),
      }));
    if (!error) return true;
    this.#counters.joinsRefused++;
    this.#rejoinLater();
    const when = noRoom ? 'when a group is left, or in' : 'in';
    const heldBack = this.#mayLog('join');
    if (heldBack !== undefined)
      this.#parts.log.warn(
        { evt: 'proxy.join.refused', ifname: nameOf(on), group: formatIp(group), code: error.code, heldBack },
        `${error.message} Will retry ${when} ${REJOIN_MS / 1000} s.`,
      );
    return noRoom ? 'noRoom' : false;
  }

  /** The wish there is what it was before, so that the kernel's refusal changes nothing. */
  #takeBack(group: IpAddress, on: Ifindex): void {
    const before = this.joins.asked().get(group);
    this.#parts.membership.set(this.#parts.name, on, group, before?.on === on ? before.filter : undefined);
  }

  #overBudget(group: IpAddress): void {
    this.#counters.joinsOverBudget++;
    const heldBack = this.#mayLog('budget');
    if (heldBack === undefined) return;
    const { maxJoins } = this.#parts.config;
    this.#parts.log.warn(
      { evt: 'proxy.limit.reached', group: formatIp(group), maxJoins, heldBack },
      `cannot ask for ${formatIp(group)} upstream: limit reached (proxy.maxJoins: ${maxJoins}); mgmd asks when other groups are left`,
    );
  }

  #leave(group: IpAddress, { on }: Asked): void {
    const { name, membership, events, nameOf } = this.#parts;
    membership.set(name, on, group, undefined);
    events.emit('proxy.group.left', () => ({ group: formatIp(group), interface: nameOf(on) }));
  }

  #rejoinLater(): void {
    this.#rejoin ??= this.#parts.clock.after(REJOIN_MS, () => {
      this.#rejoin = undefined;
      this.joins.markRefused();
      this.arm();
    });
  }

  #mayLog(about: string): number | undefined {
    return this.#parts.limiter.take(about, this.#parts.clock.nowMs());
  }
}
