/**
 * Routes with several inputs: which one is active. A group follows the input where its packets came first. When no packet has
 * come by it for the route's time, while packets come by another one, the group moves there; at once when the input goes
 * down. There is one input at a time, so receivers get one copy, and the kernel drops the other without waking anybody.
 * Where there are more than two, the kernel's wrong-interface messages (one a flow in 3 s) tell which of them has the stream; where that
 * was not told in time, or is old, the others are tried in turn, each for as long as its silence takes to be seen.
 */
import { formatIp, type IpAddress } from '../base/ip.js';
import { LogLimiter } from '../base/log-limiter.js';
import type { StaticRoute } from '../config/types.js';
import { type Handle, type MembershipKey, MFE_STATS_0, type MgmClient } from '../mgm/client.js';
import type { Clock, Timer } from '../port/clock.js';
import type { Events } from '../port/events.js';
import type { Ifindex } from '../port/kernel.js';
import type { Log } from '../port/log.js';

/** Looks at the counters in one `failoverMs`. Two looks without a packet mean silence: a switch takes 1 to 1.5 times as long. */
const LOOKS = 2;
/** The same for an input that was chosen of several and may be the wrong one. */
const TRIAL_LOOKS = 16;
/** What must have come by another input meanwhile: a stream with one packet in a while is not silent yet. */
const STANDBY_PACKETS = 2;
/** Flows whose counters are read in one turn of the event loop, and of one group. */
const READ_PER_TURN = 512;
const READ_PER_GROUP = 256;
/** Flows moved in one turn. */
const MOVED_PER_TURN = 256;
const LOG_BURST = 5;
const LOG_PER_SECOND = 0.1;

export interface InputsParts {
  readonly mgm: MgmClient;
  readonly clock: Clock;
  readonly log: Log;
  readonly events: Events;
  /** The instance's name. */
  readonly client: string;
  readonly handle: () => Handle | undefined;
  /** The interface when the instance owns it and its link is up. */
  readonly usable: (name: string) => Ifindex | undefined;
  /** Why it is not usable. */
  readonly problem: (name: string) => InputProblem;
  /** How often groups of the route had changed their inputs in the process before this one, by `feedName`. */
  readonly switches?: ReadonlyMap<string, number>;
}

/** The link is down, there is no such interface (any more), the instance does not own it. */
export type InputProblem = 'down' | 'gone' | 'released';
type Reason = InputProblem | 'silent';

export interface ActiveInput {
  readonly group: IpAddress;
  readonly route: StaticRoute;
  readonly active: string;
  readonly switches: number;
}

/** Packets by the entry's input and by others, as last read. */
interface Counted {
  right: number;
  wrong: number;
}

class Feed implements ActiveInput {
  readonly flows = new Map<IpAddress, Counted>();
  /** Other inputs where packets came, the one where they came last at the end. Known with more than two inputs. */
  readonly heard = new Set<string>();
  /** Inputs that have had their turn since the last packet came by an active one; undefined: the active one is no guess. */
  tried: Set<string> | undefined;
  silentLooks = 0;
  standbyPackets = 0;

  constructor(
    readonly group: IpAddress,
    readonly route: StaticRoute,
    public active: string,
    public dueMs: number,
    public switches: number,
  ) {}

  get lookMs(): number {
    return this.route.failoverMs / (this.tried ? TRIAL_LOOKS : LOOKS);
  }

  /** What it is silent for counts from now, at the usual pace. */
  settle(): void {
    this.silentLooks = this.standbyPackets = 0;
    this.tried = undefined;
  }

  /** It fell silent, and another input did not; at a trial it has no more time than it takes to see that. */
  get isSilent(): boolean {
    return (this.tried !== undefined || this.silentLooks >= LOOKS) && this.standbyPackets >= STANDBY_PACKETS;
  }
}

/** More than one input to choose from when the active one fails. */
export function hasChoice({ iifs }: StaticRoute): boolean {
  return iifs.length > 2;
}

/** What a group with these inputs is called in the saved state. */
function feedName({ route, group }: Pick<ActiveInput, 'route' | 'group'>): string {
  return `${formatIp(group)} ${route.iifs.join()}`;
}

export class Inputs {
  readonly #parts: InputsParts;
  readonly #feeds = new Map<StaticRoute, Map<IpAddress, Feed>>();
  readonly #lines = new LogLimiter(LOG_BURST, LOG_PER_SECOND);
  readonly #moves: (readonly [Feed, IpAddress])[] = [];
  #timer: Timer | undefined;
  #armedMs = Number.POSITIVE_INFINITY;
  #moving: Timer | undefined;

  constructor(parts: InputsParts) {
    this.#parts = parts;
  }

  /** The input of a flow that came in on `arrival`, or is expected there; it is watched from now on. */
  of(route: StaticRoute, { source, group }: MembershipKey, arrival: string | undefined): string {
    const feed = this.#feeds.get(route)?.get(group) ?? this.#begin(route, group, arrival);
    if (this.#parts.usable(feed.active) === undefined) {
      const to = this.#usable(route.iifs, arrival);
      if (to !== undefined && to !== feed.active) this.#switch(feed, to, this.#parts.problem(feed.active));
      this.#move();
    }
    if (!feed.flows.has(source)) feed.flows.set(source, { right: 0, wrong: 0 });
    return feed.active;
  }

  /** The interface went down, is gone or is owned no more: groups that came in by it move to another input. */
  lost(name: string): void {
    for (const feed of this.#all()) {
      feed.heard.delete(name);
      if (feed.active !== name) continue;
      const to = this.#next(feed);
      if (to !== undefined) this.#switch(feed, to, this.#parts.problem(name));
    }
    this.#move();
  }

  /** A packet of the group came by `name`, which is not active. */
  heard(route: StaticRoute, group: IpAddress, name: string): void {
    const heard = this.#feeds.get(route)?.get(group)?.heard;
    heard?.delete(name);
    heard?.add(name);
  }

  /** How often each group has changed its input, for the next process. */
  saved(): ReadonlyMap<string, number> {
    const saved = new Map(this.#parts.switches);
    for (const feed of this.#all()) if (feed.switches > 0) saved.set(feedName(feed), feed.switches);
    return saved;
  }

  each(): Iterable<ActiveInput> {
    return this.#all();
  }

  stop(): void {
    this.#timer?.cancel();
    this.#moving?.cancel();
    this.#timer = this.#moving = undefined;
    this.#armedMs = Number.POSITIVE_INFINITY;
    this.#moves.length = 0;
    this.#feeds.clear();
  }

  #begin(route: StaticRoute, group: IpAddress, arrival: string | undefined): Feed {
    const active = this.#usable(route.iifs, arrival) ?? route.iifs[0]!;
    const dueMs = this.#parts.clock.nowMs() + route.failoverMs / LOOKS;
    const feed = new Feed(group, route, active, dueMs, this.#parts.switches?.get(feedName({ route, group })) ?? 0);
    const groups = this.#feeds.get(route);
    if (groups) groups.set(group, feed);
    else this.#feeds.set(route, new Map([[group, feed]]));
    this.#arm(feed.dueMs);
    return feed;
  }

  /** `preferred` when it is one of the names and usable, otherwise the first that is. */
  #usable(names: readonly string[], preferred: string | undefined): string | undefined {
    const usable = names.filter((name) => this.#parts.usable(name) !== undefined);
    return usable.find((name) => name === preferred) ?? usable[0];
  }

  /** The one where packets came last; where none are known to come, the next one in the order of the configuration. */
  #next({ route: { iifs }, active, heard, tried }: Feed): string | undefined {
    const at = iifs.indexOf(active);
    const others = [...[...heard].reverse(), ...iifs.slice(at + 1), ...iifs.slice(0, at)];
    return this.#usable(
      others.filter((name) => name !== active && !tried?.has(name)),
      undefined,
    );
  }

  *#all(): Generator<Feed> {
    for (const groups of this.#feeds.values()) yield* groups.values();
  }

  #arm(dueMs: number): void {
    if (dueMs >= this.#armedMs) return;
    this.#timer?.cancel();
    this.#armedMs = dueMs;
    this.#timer = this.#parts.clock.after(Math.max(0, dueMs - this.#parts.clock.nowMs()), () => this.#look());
  }

  #look(): void {
    const nowMs = this.#parts.clock.nowMs();
    this.#armedMs = Number.POSITIVE_INFINITY;
    let left = READ_PER_TURN;
    let nextMs = Number.POSITIVE_INFINITY;
    for (const feed of this.#all()) {
      if (feed.dueMs <= nowMs && left > 0) {
        left -= this.#lookAt(feed);
        feed.dueMs = nowMs + feed.lookMs;
      }
      if (feed.flows.size === 0) this.#feeds.get(feed.route)?.delete(feed.group);
      else nextMs = Math.min(nextMs, feed.dueMs);
    }
    this.#move();
    if (nextMs !== Number.POSITIVE_INFINITY) this.#arm(Math.max(nextMs, nowMs));
  }

  /** Returns the number of counters read. */
  #lookAt(feed: Feed): number {
    let read = 0;
    let [right, wrong] = [0, 0];
    for (const [source, before] of feed.flows) {
      if (read++ === READ_PER_GROUP) break;
      const now = this.#counters({ source, group: feed.group });
      if (!now) {
        feed.flows.delete(source);
        continue;
      }
      right += Math.max(0, now.right - before.right);
      wrong += Math.max(0, now.wrong - before.wrong);
      Object.assign(before, now);
    }
    this.#judge(feed, right, wrong);
    return read;
  }

  /** `right`, `wrong`: packets by the active input and by others since the last look. */
  #judge(feed: Feed, right: number, wrong: number): void {
    if (right > 0) return feed.settle();
    feed.silentLooks++;
    feed.standbyPackets += wrong;
    const to = feed.isSilent ? this.#next(feed) : undefined;
    if (to !== undefined) return this.#switch(feed, to, 'silent');
    // Everybody had a turn, or nobody sends.
    if (feed.tried && (feed.isSilent || feed.silentLooks >= TRIAL_LOOKS)) feed.settle();
  }

  /** Undefined: there is no such entry any more. */
  #counters(key: MembershipKey): Counted | undefined {
    const { stats } = this.#parts.mgm.getMfeStats(key, MFE_STATS_0);
    return stats && { right: stats.inPackets - stats.differentIfPackets, wrong: stats.differentIfPackets };
  }

  #switch(feed: Feed, to: string, why: Reason): void {
    const { active: from, group, route } = feed;
    const wasTrial = feed.tried !== undefined;
    if (hasChoice(route)) feed.tried = (feed.tried ?? new Set()).add(from);
    feed.active = to;
    feed.switches++;
    feed.silentLooks = feed.standbyPackets = 0;
    feed.heard.delete(to);
    feed.dueMs = this.#parts.clock.nowMs() + feed.lookMs;
    this.#arm(feed.dueMs);
    for (const source of feed.flows.keys()) this.#moves.push([feed, source]);
    const fields = { group: formatIp(group), from, to, reason: why };
    this.#parts.events.emit('static.input.changed', () => ({ client: this.#parts.client, ...fields }));
    const heldBack = this.#lines.take(why, this.#parts.clock.nowMs());
    if (heldBack === undefined) return;
    const log = { evt: 'static.input.changed', ...fields, heldBack } as const;
    const reason = this.#sentence(from, why, wasTrial ? undefined : route.failoverMs);
    this.#parts.log.warn(log, `switched ${fields.group} from ${from} to ${to}: ${reason}`);
  }

  #sentence(from: string, why: Reason, silentMs: number | undefined): string {
    switch (why) {
      case 'down':
        return `${from} is down`;
      case 'gone':
        return `there is no ${from} any more`;
      case 'released':
        return `${this.#parts.client} does not own ${from} any more`;
      case 'silent':
        return silentMs === undefined ? `no packet on ${from} either` : `no packet on ${from} for ${silentMs} ms`;
      default:
        return why satisfies never;
    }
  }

  #move(): void {
    if (this.#moving) return;
    const handle = this.#parts.handle();
    for (const [feed, source] of this.#moves.splice(0, MOVED_PER_TURN)) {
      const iif = this.#parts.usable(feed.active);
      if (handle !== undefined && iif !== undefined)
        this.#parts.mgm.setMfe(handle, { source, group: feed.group }, { iif });
    }
    if (this.#moves.length === 0) return;
    this.#moving = this.#parts.clock.after(0, () => {
      this.#moving = undefined;
      this.#move();
    });
  }
}
