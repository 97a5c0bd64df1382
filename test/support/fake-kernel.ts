/**
 * A router's kernel in memory: devices, addresses, routes, multicast forwarding, host memberships, raw IGMP. Tests play
 * the world (`addDevice`, `deleteDevice`, `packet`, `setRoute`, ...), the code under test sees only the ports. Like
 * netlink, the link port learns of a change a moment after it happened; the forwarding knows at once.
 */
import type { KernelError } from '../../src/base/errors.js';
import { type IpAddress, ip, parsePrefix, type Prefix, prefixContains } from '../../src/base/ip.js';
import type {
  Ifindex,
  IgmpPacket,
  IgmpPort,
  Link,
  LinkAddress,
  LinkChange,
  LinkPort,
  Route,
  RouteHop,
  RoutePort,
} from '../../src/port/kernel.js';
import { FakeAddressWatch } from './fake-address-watch.js';
import { FakeClock } from './fake-clock.js';
import { FakeMembership } from './fake-membership.js';
import { FakeMroute, kernelError, type Packet } from './fake-mroute.js';

export class FakeLinks implements LinkPort {
  readonly #links = new Map<Ifindex, Link>();
  readonly #handlers = new Set<(change: LinkChange) => void>();

  links(): readonly Link[] {
    return [...this.#links.values()];
  }

  byIndex(ifindex: Ifindex): Link | undefined {
    return this.#links.get(ifindex);
  }

  byName(name: string): Link | undefined {
    return this.links().find((link) => link.name === name);
  }

  onChange(handler: (change: LinkChange) => void): () => void {
    this.#handlers.add(handler);
    return () => this.#handlers.delete(handler);
  }

  /** For tests: who subscribed is dead. */
  forgetHandlers(): void {
    this.#handlers.clear();
  }

  /** For tests: the netlink message arrives. */
  learn(ifindex: Ifindex, now: Link | undefined): void {
    const before = this.#links.get(ifindex);
    if (now && before && before.name !== now.name) return this.#rename(before, now);
    if (now) this.#links.set(ifindex, now);
    else this.#links.delete(ifindex);
    const link = now ?? before;
    if (!link) return;
    const kind = !now ? 'removed' : before ? 'changed' : 'added';
    const change = { kind, link, ...(kind === 'changed' && before ? { before } : {}) } as const;
    this.#tell(change);
  }

  #rename(before: Link, now: Link): void {
    this.#links.delete(now.ifindex);
    this.#tell({ kind: 'removed', link: before, renamed: now.name });
    this.#links.set(now.ifindex, now);
    this.#tell({ kind: 'added', link: now, renamed: before.name });
  }

  #tell(change: LinkChange): void {
    for (const handler of [...this.#handlers]) handler(change);
  }
}

export interface SentIgmp {
  readonly ifindex: Ifindex;
  readonly source: IpAddress;
  readonly destination: IpAddress;
  readonly payload: Uint8Array;
}

export class FakeIgmp implements IgmpPort {
  readonly sent: SentIgmp[] = [];
  readonly #subscribers = new Map<number, (packet: IgmpPacket) => void>();
  readonly #exists: (ifindex: Ifindex) => boolean;

  constructor(exists: (ifindex: Ifindex) => boolean) {
    this.#exists = exists;
  }

  subscribe(types: readonly number[], handler: (packet: IgmpPacket) => void): void {
    for (const type of types) {
      if (this.#subscribers.has(type)) throw new Error(`IGMP type ${type} has a subscriber already`);
      this.#subscribers.set(type, handler);
    }
  }

  send(ifindex: Ifindex, source: IpAddress, destination: IpAddress, payload: Uint8Array): KernelError | undefined {
    if (!this.#exists(ifindex)) return kernelError('sendmsg', `ifindex ${ifindex}`, 'ENODEV');
    this.sent.push({ ifindex, source, destination, payload: payload.slice() });
    return undefined;
  }

  /** For tests: the process that subscribed is dead. */
  forgetSubscribers(): void {
    this.#subscribers.clear();
  }

  /** For tests: a message came in. */
  receive(packet: Pick<IgmpPacket, 'ifindex' | 'source' | 'destination' | 'payload'> & Partial<IgmpPacket>): void {
    this.#subscribers.get(packet.payload[0]!)?.({ ttl: 1, routerAlert: true, ...packet });
  }
}

export class FakeRoutes implements RoutePort {
  #routes: Route[] = [];
  #handler: ((changed: Prefix) => void) | undefined;
  readonly #connected: () => readonly Link[];

  constructor(connected: () => readonly Link[]) {
    this.#connected = connected;
  }

  lookup(destination: IpAddress): Route | 'local' | undefined {
    const devices = this.#connected();
    if (devices.some((device) => device.addresses.some((a) => a.address === destination))) return 'local';
    const direct = devices.flatMap(({ ifindex, addresses }) =>
      addresses.map((a): Route => {
        return { ifindex, gateway: undefined, prefix: { network: a.address, length: a.prefixLength }, protocol: 2 };
      }),
    );
    const fitting = [...this.#routes, ...direct].filter((route) => prefixContains(route.prefix, destination));
    return fitting.reduce<Route | undefined>(
      (best, route) => (best && best.prefix.length >= route.prefix.length ? best : route),
      undefined,
    );
  }

  onChange(handler: (changed: Prefix) => void): void {
    this.#handler = handler;
  }

  /** For tests: `undefined` removes; the notification comes in a microtask. */
  set(
    prefixText: string,
    to: { ifindex: Ifindex; gateway?: string; protocol?: number; hops?: readonly RouteHop[] } | undefined,
  ): void {
    const parsed = parsePrefix(prefixText);
    if (!parsed.ok) throw new Error(parsed.error);
    const prefix = parsed.value;
    this.#routes = this.#routes.filter((r) => r.prefix.network !== prefix.network || r.prefix.length !== prefix.length);
    if (to) {
      const gateway = to.gateway === undefined ? undefined : ip(to.gateway);
      const several = to.hops && { hops: to.hops };
      this.#routes.push({ ifindex: to.ifindex, gateway, prefix, protocol: to.protocol ?? 4, ...several });
    }
    queueMicrotask(() => this.#handler?.(prefix));
  }

  /** For tests: the device is gone, and with it its routes. */
  forget(ifindex: Ifindex): void {
    this.#routes = this.#routes.filter((route) => route.ifindex !== ifindex);
  }
}

export interface Delivery extends Packet {
  readonly ifindex: Ifindex;
}

export class FakeKernel {
  readonly clock: FakeClock;
  readonly mroute: FakeMroute;
  readonly links = new FakeLinks();
  readonly routes: FakeRoutes;
  readonly membership: FakeMembership;
  readonly igmp: FakeIgmp;
  readonly addressWatch: FakeAddressWatch;
  /** The truth; the link port hears of it a microtask later. */
  readonly #devices = new Map<Ifindex, Link>();
  readonly #delivered = new Map<Ifindex, Packet[]>();
  #packets = 0;
  #nextIfindex = 1;

  constructor(clock = new FakeClock()) {
    this.clock = clock;
    const exists = (ifindex: Ifindex) => this.#devices.has(ifindex);
    this.mroute = new FakeMroute(clock, {
      exists,
      passes: (ifindex) => this.#devices.get(ifindex)?.running === true,
      deliver: (ifindex, packet) => this.#deliveries(ifindex).push(packet),
    });
    this.membership = new FakeMembership(exists);
    this.igmp = new FakeIgmp(exists);
    this.addressWatch = new FakeAddressWatch(exists);
    this.routes = new FakeRoutes(() => [...this.#devices.values()].filter((device) => device.up));
  }

  /** Adds a device, up; `address` such as '10.0.1.1/24'. The link port knows it at once (it was there at start). */
  addDevice(name: string, address?: string, overrides: Partial<Link> = {}): Ifindex {
    const ifindex = overrides.ifindex ?? (this.#nextIfindex as Ifindex);
    this.#nextIfindex = Math.max(this.#nextIfindex, ifindex) + 1;
    const flags = { up: true, running: true, loopback: false, pointToPoint: false, multicast: true, mtu: 1500 };
    const parts = { port: undefined, altNames: [], addresses: address ? [linkAddress(address)] : [] };
    const link = { name, ...flags, ...parts, ...overrides, ifindex };
    this.#devices.set(ifindex, link);
    this.links.learn(ifindex, link);
    return ifindex;
  }

  changeDevice(ifindex: Ifindex, change: Partial<Omit<Link, 'ifindex'>>): void {
    const link = { ...this.#devices.get(ifindex)!, ...change };
    this.#devices.set(ifindex, link);
    queueMicrotask(() => this.links.learn(ifindex, link));
  }

  /** The vif goes at once and silently, entries keep its number; the link port hears of it in a microtask. */
  deleteDevice(ifindex: Ifindex): void {
    this.#devices.delete(ifindex);
    this.mroute.deviceGone(ifindex);
    this.routes.forget(ifindex);
    queueMicrotask(() => this.links.learn(ifindex, undefined));
  }

  /** A multicast packet comes in on a device; returns its number. TTL 8 unless given. */
  packet(source: IpAddress, group: IpAddress, ifindex: Ifindex, ttl = 8): number {
    const id = ++this.#packets;
    const device = this.#devices.get(ifindex);
    if (device?.running) this.mroute.input({ id, source, group, ttl, bytes: 100, arrival: ifindex });
    return id;
  }

  /** What left by the device so far, in order. */
  delivered(ifindex: Ifindex): readonly Packet[] {
    return this.#deliveries(ifindex);
  }

  /** How often each of these packets left by the device: [1, 1, ...] when none was lost or duplicated. */
  timesDelivered(ifindex: Ifindex, ids: readonly number[]): readonly number[] {
    const times = new Map<number, number>();
    for (const { id } of this.#deliveries(ifindex)) times.set(id, (times.get(id) ?? 0) + 1);
    return ids.map((id) => times.get(id) ?? 0);
  }

  #deliveries(ifindex: Ifindex): Packet[] {
    let list = this.#delivered.get(ifindex);
    if (!list) this.#delivered.set(ifindex, (list = []));
    return list;
  }
}

function linkAddress(text: string): LinkAddress {
  const [address = '', length = '24'] = text.split('/');
  return { address: ip(address), prefixLength: Number(length), secondary: false, scope: 'global', peer: undefined };
}
