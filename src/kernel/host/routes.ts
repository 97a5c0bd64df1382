/**
 * The unicast routes that RPF look-ups are made against. For table 254 ("main") the kernel is asked each time, so that its
 * rules and other tables count too; any other table is mirrored.
 */
import type { KernelError } from '../../base/errors.js';
import { ANY4, type IpAddress, type Prefix, toU32 } from '../../base/ip.js';
import { err, ok, type Result } from '../../base/result.js';
import type { Clock, Timer } from '../../port/clock.js';
import type { LinkChange, LinkPort, Route, RoutePort } from '../../port/kernel.js';
import type { Log } from '../../port/log.js';
import type { Addon } from '../addon.js';
import { kernelError, refusal } from '../errno.js';
import {
  Attributes,
  NLM_F_APPEND,
  NLM_F_REPLACE,
  type NetlinkMessage,
  RTM_DELNEXTHOP,
  RTM_DELROUTE,
  RTM_DELRULE,
  RTM_NEWNEXTHOP,
  RTM_NEWROUTE,
  RTM_NEWRULE,
  RTNLGRP_IPV4_ROUTE,
  RTNLGRP_IPV4_RULE,
  RTNLGRP_NEXTHOP,
} from '../netlink/netlink.js';
import { dumpLater } from '../netlink/netlink-ask.js';
import { NetlinkEvents } from '../netlink/netlink-events.js';
import { decodeRoute, type KernelRoute, ROUTE_ATTRIBUTES, routeDumpRequest } from '../netlink/route-messages.js';
import { asRoute, type HopsOf, LOCAL_TABLE, type Placing, RouteMirror } from './route-mirror.js';
import { RouteQuestions } from './route-questions.js';

/** The table for which the kernel's own look-up is used. */
export const MAIN_TABLE = 254;

const TARGET = 'the unicast routing table';
/** Holds the events of some thousand route changes; when it overflows, everything may have changed. */
const RECEIVE_BUFFER_BYTES = 4 * 1024 * 1024;
/** More changed prefixes than this in one turn are told as 0.0.0.0/0. */
const PREFIXES_PER_TURN = 256;

const EVERYTHING: Prefix = { network: ANY4, length: 0 };

/** Routes refer to next hop objects (nexthop_compat_mode off), and rules to tables: routes are not told of again when one changes. */
const CHANGES_ROUTES_SILENTLY: readonly number[] = [RTM_NEWNEXTHOP, RTM_DELNEXTHOP, RTM_NEWRULE, RTM_DELRULE];

/** A link event is sent before the kernel drops the link's routes; by then it has. */
const SETTLE_MS = 100;

export interface RoutesOptions {
  readonly links: LinkPort;
  /** 254 is the kernel's own look-up. */
  readonly table: number;
  readonly clock: Clock;
  readonly log: Log;
}

interface RouteEvent {
  readonly route: KernelRoute;
  /** Undefined: it is gone. */
  readonly added: Placing | undefined;
}

export class Routes implements RoutePort {
  readonly #addon: Addon;
  readonly #questions: RouteQuestions;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #table: number;
  readonly #hopsOf: HopsOf = (route) => this.#questions.hopsOf(route);
  readonly #attributes = new Attributes(ROUTE_ATTRIBUTES);
  readonly #routeOf = (view: DataView, message: NetlinkMessage): KernelRoute | undefined =>
    message.type === RTM_NEWROUTE ? decodeRoute(view, message, this.#attributes) : undefined;
  /** Undefined for the main table. */
  #mirror: RouteMirror | undefined;
  /** What came in while the mirror is read anew; undefined when it is not. */
  #sinceReread: RouteEvent[] | undefined;
  #rereadDue = false;
  #closed = false;
  #onChange: (changed: Prefix) => void = () => {};
  #changed = new Map<number, Prefix>();
  #turn: NodeJS.Immediate | undefined;
  #stopLinks: () => void = () => {};
  #settling: Timer | undefined;
  #events: NetlinkEvents | undefined;

  private constructor(addon: Addon, questions: RouteQuestions, options: RoutesOptions) {
    this.#addon = addon;
    this.#questions = questions;
    this.#table = options.table;
    this.#clock = options.clock;
    this.#log = options.log;
  }

  /** A mirrored table is complete when this returns. */
  static open(addon: Addon, options: RoutesOptions): Result<Routes, KernelError> {
    const questions = RouteQuestions.open(addon, TARGET);
    if (!questions.ok) return questions;
    const routes = new Routes(addon, questions.value, options);
    const error = routes.#begin(options.links);
    if (!error) return ok(routes);
    routes.close();
    return err(error);
  }

  lookup(destination: IpAddress): Route | 'local' | undefined {
    if (this.#mirror) return this.#mirror.lookup(destination, this.#hopsOf);
    const found = this.#questions.routeTo(destination);
    return found && asRoute(found, this.#hopsOf(found));
  }

  /** Told once per turn of the event loop and prefix. */
  onChange(handler: (changed: Prefix) => void): void {
    this.#onChange = handler;
  }

  close(): void {
    this.#closed = true;
    this.#stopLinks();
    this.#settling?.cancel();
    if (this.#turn) clearImmediate(this.#turn);
    this.#events?.close();
    this.#questions.close();
  }

  #begin(links: LinkPort): KernelError | undefined {
    const events = NetlinkEvents.open(this.#addon, {
      target: TARGET,
      groups: [RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV4_RULE, RTNLGRP_NEXTHOP],
      receiveBufferBytes: RECEIVE_BUFFER_BYTES,
      log: this.#log,
      onMessage: (view, message) => this.#event(view, message),
      onLost: () => this.#everythingChanged(),
    });
    if (!events.ok) return events.error;
    this.#events = events.value;
    this.#stopLinks = links.onChange((change) => this.#linkChanged(change));
    return refusal('reading', TARGET, this.#readAtStart()) ?? events.value.start();
  }

  #readAtStart(): number {
    if (this.#table === MAIN_TABLE) return 0;
    const { rows, errno } = this.#questions.dump(routeDumpRequest(), this.#routeOf);
    this.#mirror = mirrorOf(this.#table, rows);
    return errno;
  }

  #event(view: DataView, message: NetlinkMessage): void {
    if (CHANGES_ROUTES_SILENTLY.includes(message.type)) return this.#everythingChanged();
    if (message.type !== RTM_NEWROUTE && message.type !== RTM_DELROUTE) return;
    const route = decodeRoute(view, message, this.#attributes);
    if (!route) return;
    if (this.#mirror && route.table !== this.#table && route.table !== LOCAL_TABLE) return;
    const event = { route, added: message.type === RTM_NEWROUTE ? placingOf(message) : undefined };
    if (this.#mirror) apply(this.#mirror, event);
    this.#sinceReread?.push(event);
    this.#changes(route.prefix);
  }

  /** The kernel says nothing of the routes that go with a link. It is told at once, and once more when they are gone for sure. */
  #linkChanged({ kind, link, before }: LinkChange): void {
    if (kind === 'added' || (kind === 'changed' && link.up === before?.up && link.running === before.running)) return;
    this.#everythingChanged();
    this.#settling?.cancel();
    this.#settling = this.#clock.after(SETTLE_MS, () => this.#everythingChanged());
  }

  #everythingChanged(): void {
    if (this.#mirror) void this.#reread();
    else this.#changes(EVERYTHING);
  }

  /** Look-ups go on in the old mirror meanwhile; what happens until the dump is complete is done to the new one as well. */
  async #reread(): Promise<void> {
    this.#rereadDue = true;
    if (this.#sinceReread) return;
    while (this.#rereadDue && !this.#closed) {
      this.#rereadDue = false;
      this.#sinceReread = [];
      const { rows, errno } = await dumpLater(this.#addon, routeDumpRequest(), this.#routeOf);
      if (this.#closed) return;
      if (errno === 0) this.#swapMirror(rows, this.#sinceReread);
      else this.#warn(errno);
    }
    this.#sinceReread = undefined;
  }

  #swapMirror(rows: readonly KernelRoute[], since: readonly RouteEvent[]): void {
    const mirror = mirrorOf(this.#table, rows);
    for (const event of since) apply(mirror, event);
    this.#mirror = mirror;
    this.#changes(EVERYTHING);
  }

  #warn(errno: number): void {
    const error = kernelError('reading', TARGET, errno);
    this.#log.warn({ evt: 'kernel.read.failed', code: error.code }, error.message);
  }

  #changes(prefix: Prefix): void {
    // 2^32 networks and 33 lengths in one exact number.
    this.#changed.set(toU32(prefix.network) * 64 + prefix.length, prefix);
    this.#turn ??= setImmediate(() => this.#tell());
  }

  #tell(): void {
    const changed = [...this.#changed.values()];
    this.#changed.clear();
    this.#turn = undefined;
    if (changed.length > PREFIXES_PER_TURN || changed.some(({ length }) => length === 0))
      return this.#onChange(EVERYTHING);
    for (const prefix of changed) this.#onChange(prefix);
  }
}

function mirrorOf(table: number, rows: readonly KernelRoute[]): RouteMirror {
  const mirror = new RouteMirror(table);
  for (const route of rows) mirror.add(route, 'append');
  return mirror;
}

function placingOf({ flags }: NetlinkMessage): Placing {
  if (flags & NLM_F_REPLACE) return 'replace';
  return flags & NLM_F_APPEND ? 'append' : 'prepend';
}

function apply(mirror: RouteMirror, { route, added }: RouteEvent): void {
  if (added) mirror.add(route, added);
  else mirror.remove(route);
}
