/**
 * Several routers in one process: each has a fake kernel, the real manager and the real DVMRP module; all share one clock.
 * LANs carry their messages and their data. Hosts join through an IGMP that does what the manager's rules want.
 */
import { ANY4, formatIp, type IpAddress, ip, isMulticast, type Prefix } from '../../src/base/ip.js';
import { dvmrpInterfaceOf, dvmrpOf } from '../../src/config/dvmrp.js';
import { dvmrpInterfaceSchema, fileSchema } from '../../src/config/schema.js';
import type { DvmrpConfig } from '../../src/config/types.js';
import { DvmrpModule } from '../../src/dvmrp/module.js';
import { type Handle, JOIN, type MembershipKey, PROTOCOL, type SavedProtocolState } from '../../src/mgm/client.js';
import { Manager } from '../../src/mgm/manager.js';
import type { Ifindex, Link } from '../../src/port/kernel.js';
import { FakeClock, settle } from './fake-clock.js';
import { FakeKernel } from './fake-kernel.js';
import { prefixOf } from './manager-bed.js';
import { RecordingLog } from './recording-log.js';

interface Port {
  readonly router: TestRouter;
  readonly ifindex: Ifindex;
  readonly lan: Lan;
}

export class Lan {
  readonly ports: Port[] = [];
  /** What passed: "10.9.0.1 > 224.0.0.4 13 01". */
  readonly messages: { readonly from: IpAddress; readonly to: IpAddress; readonly payload: Uint8Array }[] = [];
  /** Packets that routers put on it, by their number. */
  readonly data = new Map<number, number>();
  isCut = false;
  /** Nobody hears what it says. */
  losesFrom: TestRouter | undefined;

  constructor(readonly subnet: string) {}

  /** How often the packets were seen here. */
  copies(ids: readonly number[]): readonly number[] {
    return ids.map((id) => this.data.get(id) ?? 0);
  }
}

/** IGMP as far as the manager needs it: membership of hosts, told again after each change of owner. */
class HostSide {
  #handle: Handle | undefined;
  readonly #wanted = new Map<Ifindex, Map<string, MembershipKey>>();

  constructor(
    readonly manager: Manager,
    readonly clock: FakeClock,
  ) {}

  start(): void {
    this.#handle = this.manager.register({
      protocolId: PROTOCOL.igmp,
      componentId: 0,
      name: 'igmp',
      callbacks: { disableIgmp: () => undefined, enableIgmp: (ifindex) => this.#again(ifindex) },
    }).handle;
  }

  async take(ifindex: Ifindex): Promise<void> {
    await this.manager.takeInterface(this.#handle!, ifindex);
  }

  async joins(ifindex: Ifindex, group: IpAddress, source = ANY4): Promise<void> {
    const key = { source, group };
    this.#of(ifindex).set(`${formatIp(source)} ${formatIp(group)}`, key);
    await this.manager.addMembership(this.#handle!, key, ifindex, JOIN);
    await settle();
  }

  async leaves(ifindex: Ifindex, group: IpAddress, source = ANY4): Promise<void> {
    this.#of(ifindex).delete(`${formatIp(source)} ${formatIp(group)}`);
    await this.manager.deleteMembership(this.#handle!, { source, group }, ifindex, JOIN);
    await settle();
  }

  #of(ifindex: Ifindex): Map<string, MembershipKey> {
    let keys = this.#wanted.get(ifindex);
    if (!keys) this.#wanted.set(ifindex, (keys = new Map<string, MembershipKey>()));
    return keys;
  }

  #again(ifindex: Ifindex): void {
    this.clock.after(0, () => {
      for (const key of this.#of(ifindex).values()) void this.manager.addMembership(this.#handle!, key, ifindex, JOIN);
      this.manager.resyncDone(this.#handle!, ifindex);
    });
  }
}

export interface RouterOptions {
  readonly dvmrp?: Partial<DvmrpConfig>;
  readonly chance?: number;
  /** Scopes that end at an interface, by its name. */
  readonly boundary?: Readonly<Record<string, readonly string[]>>;
  /** What an earlier life of the router left. */
  readonly savedState?: SavedProtocolState;
}

export class TestRouter {
  readonly kernel: FakeKernel;
  readonly log = new RecordingLog();
  readonly manager: Manager;
  readonly hosts: HostSide;
  dvmrp: DvmrpModule;
  /** Numbers of packets that left, per interface, already carried on. */
  readonly carried = new Map<Ifindex, number>();
  readonly ports = new Map<Ifindex, Port>();
  readonly #world: Routers;
  readonly #options: RouterOptions;

  constructor(world: Routers, options: RouterOptions) {
    this.#world = world;
    this.#options = options;
    this.kernel = new FakeKernel(world.clock);
    const { kernel, log } = this;
    this.manager = new Manager({
      log,
      ...kernel,
      config: {
        mfeExpiry: 'refresh',
        maxEntries: 65_536,
        foreign: 'leave',
        rpfRoutes: [],
        thresholdOf: () => 1,
        boundaryOf: (name) => this.#boundaryOf(name),
        watchMs: 60_000,
        reconcileMs: 60_000,
      },
    });
    this.manager.start();
    this.hosts = new HostSide(this.manager, world.clock);
    this.hosts.start();
    this.dvmrp = this.module();
  }

  /** A new life of the module on the same kernel socket would be a second subscriber: a fresh port each. */
  module(): DvmrpModule {
    const { kernel, log, manager: mgm } = this;
    const config = { ...dvmrpOf(fileSchema.parse({ dvmrp: {} }))!, ...this.#options.dvmrp };
    const linkConfigOf = (name: string) => ({
      name,
      threshold: 1,
      boundary: this.#boundaryOf(name),
      dvmrp: dvmrpInterfaceOf(dvmrpInterfaceSchema.parse({})),
    });
    return new DvmrpModule({
      mgm,
      igmp: kernel.igmp,
      membership: kernel.membership,
      links: kernel.links,
      routes: kernel.routes,
      clock: this.#world.clock,
      random: { next: () => this.#options.chance ?? 0.5 },
      events: mgm.events,
      log,
      config,
      linkConfigOf,
      savedState: this.#options.savedState,
    });
  }

  #boundaryOf(name: string): readonly Prefix[] {
    return (this.#options.boundary?.[name] ?? []).map(prefixOf);
  }

  /** A device on the LAN; `host` is the last part of its address. */
  attach(lan: Lan, host: number, overrides: Partial<Link> = {}): Ifindex {
    const name = `eth${this.ports.size}`;
    const ifindex = this.kernel.addDevice(name, `${lan.subnet}.${host}/24`, overrides);
    const port = { router: this, ifindex, lan };
    this.ports.set(ifindex, port);
    lan.ports.push(port);
    return ifindex;
  }

  /** Its process is gone: nothing comes from it or reaches it any more. */
  vanish(): void {
    for (const { lan } of this.ports.values())
      lan.ports.splice(
        lan.ports.findIndex(({ router }) => router === this),
        1,
      );
    this.#world.routers.splice(this.#world.routers.indexOf(this), 1);
  }

  async owns(...ifindexes: readonly Ifindex[]): Promise<void> {
    for (const ifindex of ifindexes) await this.dvmrp.take(ifindex);
  }

  neighbors(): readonly string[] {
    return this.dvmrp.views.neighbors().map(({ neighbor, state }) => `${neighbor} ${state}`);
  }

  /** "10.1.0.0/24 metric 2 from 10.9.0.1", "... hold". */
  way(prefix: string): string {
    const row = this.dvmrp.views.routes().find(({ originSubnet }) => originSubnet === prefix);
    if (!row) return 'none';
    return row.state === 'hold' ? 'hold' : `${row.metric} from ${row.fromGateway ?? 'here'}`;
  }

  entry(source: IpAddress, group: IpAddress): string | undefined {
    const { mfe } = this.manager.getMfe({ source, group });
    const name = (ifindex: Ifindex) => this.kernel.links.byIndex(ifindex)?.name ?? String(ifindex);
    return mfe && `${name(mfe.iif)} -> ${mfe.oifs.map((oif) => name(oif.ifindex)).join()}`;
  }

  sent(code: number): number {
    return this.kernel.igmp.sent.filter(({ payload }) => payload[1] === code).length;
  }
}

export class Routers {
  readonly clock = new FakeClock();
  readonly routers: TestRouter[] = [];
  readonly lans: Lan[] = [];

  lan(subnet: string): Lan {
    const lan = new Lan(subnet);
    this.lans.push(lan);
    return lan;
  }

  router(options: RouterOptions = {}): TestRouter {
    const router = new TestRouter(this, options);
    this.routers.push(router);
    router.dvmrp.start();
    return router;
  }

  /** Time goes on in steps in which what was sent arrives. */
  async run(sec: number): Promise<void> {
    const stepMs = 250;
    for (let left = sec * 1000; left > 0; left -= stepMs) {
      await this.clock.run(Math.min(stepMs, left));
      await this.settle();
    }
  }

  /** Everything that is on its way arrives, messages and data. */
  async settle(): Promise<void> {
    for (let quiet = false; !quiet; ) {
      await settle();
      quiet = !this.#carryMessages() && !this.#carryData();
    }
  }

  /** A host sends on a LAN; returns the numbers of the packets. */
  async sends(lan: Lan, source: IpAddress, group: IpAddress, count = 1): Promise<readonly number[]> {
    const ids: number[] = [];
    for (let n = 0; n < count; n++) {
      const id = ++this.#packets;
      ids.push(id);
      this.#arrives(lan, { id, source, group, ttl: 32 }, undefined);
      await this.settle();
    }
    return ids;
  }

  #packets = 0;

  #arrives(
    lan: Lan,
    { id, source, group, ttl }: { id: number; source: IpAddress; group: IpAddress; ttl: number },
    from: Port | undefined,
  ): void {
    if (lan.isCut) return;
    for (const port of lan.ports) {
      if (port === from) continue;
      port.router.kernel.mroute.input({ id, source, group, ttl, bytes: 100, arrival: port.ifindex });
    }
  }

  #carryData(): boolean {
    let moved = false;
    for (const router of this.routers) {
      for (const port of router.ports.values()) {
        const delivered = router.kernel.delivered(port.ifindex);
        const from = router.carried.get(port.ifindex) ?? 0;
        router.carried.set(port.ifindex, delivered.length);
        for (const packet of delivered.slice(from)) {
          moved = true;
          port.lan.data.set(packet.id, (port.lan.data.get(packet.id) ?? 0) + 1);
          this.#arrives(port.lan, { ...packet, ttl: packet.ttl - 1 }, port);
        }
      }
    }
    return moved;
  }

  readonly #read = new Map<TestRouter, number>();

  #carryMessages(): boolean {
    let moved = false;
    for (const router of this.routers) {
      const { sent } = router.kernel.igmp;
      for (let at = this.#read.get(router) ?? 0; at < sent.length; at++) {
        this.#read.set(router, at + 1);
        moved = true;
        const { ifindex, source, destination, payload } = sent[at]!;
        const port = router.ports.get(ifindex);
        if (port) this.#deliver(port, source, destination, payload);
      }
    }
    return moved;
  }

  #deliver(from: Port, source: IpAddress, destination: IpAddress, payload: Uint8Array): void {
    const { lan } = from;
    lan.messages.push({ from: source, to: destination, payload });
    if (lan.isCut || lan.losesFrom === from.router) return;
    for (const port of lan.ports) {
      if (port === from || !hears(port, destination)) continue;
      port.router.kernel.igmp.receive({ ifindex: port.ifindex, source, destination, payload: payload.slice() });
    }
  }
}

/** A group only where it has been joined, as in the kernel. */
function hears({ router, ifindex }: Port, destination: IpAddress): boolean {
  if (isMulticast(destination)) return router.kernel.membership.groups(ifindex).includes(destination);
  const link = router.kernel.links.byIndex(ifindex);
  return link?.running === true && link.addresses.some(({ address }) => address === destination);
}

export const GROUP = ip('239.5.5.5');

/** source LAN 10.1.0 - r1 - 10.9.0 - r2 - host LAN 10.2.0, neighbours and routes told. */
export async function chain(options: RouterOptions = {}, whose: 'both' | 'second' = 'both') {
  const world = new Routers();
  const [source, middle, host] = [world.lan('10.1.0'), world.lan('10.9.0'), world.lan('10.2.0')];
  const [r1, r2] = [world.router(whose === 'both' ? options : {}), world.router(options)];
  const [r1Source, r1Middle] = [r1.attach(source, 1), r1.attach(middle, 1)];
  const [r2Middle, r2Host] = [r2.attach(middle, 2), r2.attach(host, 1)];
  await r1.owns(r1Source, r1Middle);
  await r2.owns(r2Middle, r2Host);
  await r2.hosts.take(r2Host);
  await world.run(21);
  return { world, source, middle, host, r1, r2, r1Source, r1Middle, r2Middle, r2Host, S: ip('10.1.0.10') };
}
