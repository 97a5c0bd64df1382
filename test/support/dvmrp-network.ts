/**
 * Routers with DVMRP route tables on links in memory: no kernel, no sockets, time that stands still until a test moves it.
 * Neighbours of a link hear each other at once; a link that is cut, or a router that is killed, is noticed after 35 s.
 */
import { formatIp, formatPrefix, type IpAddress, ipv4, type Prefix } from '../../src/base/ip.js';
import { decodeReport, ReportEntries } from '../../src/dvmrp/wire/report.js';
import type { Route } from '../../src/dvmrp/routes/route.js';
import { RouteTable } from '../../src/dvmrp/routes/route-table.js';
import type { Ifindex } from '../../src/port/kernel.js';

export const NEIGHBOR_TIMEOUT_MS = 35_000;

export interface LinkPlan {
  readonly name: string;
  /** Router names, with the metric of their interface here. */
  readonly routers: Readonly<Record<string, number>>;
}

interface Port {
  readonly link: Link;
  readonly ifindex: Ifindex;
  readonly address: IpAddress;
  /** The neighbours that count, by address, as the router sees them. */
  readonly peers: Set<IpAddress>;
}

class Link {
  readonly ports = new Map<SimRouter, Port>();
  isCut = false;
  constructor(
    readonly name: string,
    readonly prefix: Prefix,
  ) {}
}

export class SimRouter {
  readonly table: RouteTable;
  readonly ports: Port[] = [];
  readonly events: string[] = [];
  isAlive = true;
  /** The largest metric that was told for a network. */
  readonly worstTold = new Map<string, number>();

  constructor(
    readonly name: string,
    readonly network: Network,
  ) {
    const ignore = () => undefined;
    this.table = new RouteTable(
      { reportIntervalMs: 60_000, bodyLimit: 508, maxRoutes: 20_000, maxRoutesPerNeighbor: 10_000 },
      {
        sendReport: (ifindex, to, message) => network.carry(this, ifindex, to, message.slice()),
        dependentAdded: ignore,
        dependentRemoved: ignore,
        dfChanged: ignore,
        routeChanged: (at, route) => void this.events.push(`${formatPrefix(at)} ${route ? route.metric : 'gone'}`),
        upstreamChanged: ignore,
        lost: ignore,
        ignored: ignore,
      },
    );
  }

  port(link: string): Port {
    const port = this.ports.find((one) => one.link.name === link);
    if (port === undefined) throw new Error(`${this.name} is not on ${link}`);
    return port;
  }

  /** "lan1 .2 metric 3", "connected", "hold", "none". */
  way(link: string): string {
    const route = this.route(link);
    if (route === undefined) return 'none';
    if (!route.isUp) return 'hold';
    if (route.upstream === undefined) return 'connected';
    const through = this.ports.find(({ ifindex }) => ifindex === route.iif)!.link;
    const upstream = this.network.routerAt(through, route.upstream.address);
    return `${through.name} ${upstream?.name ?? formatIp(route.upstream.address)} ${route.metric}`;
  }

  route(link: string): Route | undefined {
    return this.table.get(this.network.link(link).prefix);
  }
}

interface Message {
  readonly from: SimRouter;
  readonly port: Port;
  readonly to: IpAddress;
  readonly bytes: Uint8Array;
}

export class Network {
  readonly routers = new Map<string, SimRouter>();
  readonly #links = new Map<string, Link>();
  readonly #messages: Message[] = [];
  readonly #later: { readonly atMs: number; readonly run: () => void }[] = [];
  readonly #entries = new ReportEntries();
  nowMs = 0;

  /** The nth link is 10.n.0.0/24; routers get .1, .2, ... there, in the order of the first plan that names them. */
  constructor(plans: readonly LinkPlan[]) {
    const names = [...new Set(plans.flatMap(({ routers }) => Object.keys(routers)))];
    for (const name of names) {
      const router = new SimRouter(name, this);
      router.table.start(0);
      this.routers.set(name, router);
    }
    plans.forEach(({ name, routers }, n) => {
      const base = 0x0a000000 + (n + 1) * 0x10000;
      const link = new Link(name, { network: ipv4(base), length: 24 });
      this.#links.set(name, link);
      for (const [router, metric] of Object.entries(routers))
        this.#attach(this.router(router), link, ipv4(base + 1 + names.indexOf(router)), metric);
    });
    for (const link of this.#links.values()) this.#meet(link);
    this.#deliver();
  }

  router(name: string): SimRouter {
    return this.routers.get(name)!;
  }

  link(name: string): Link {
    return this.#links.get(name)!;
  }

  get links(): readonly Link[] {
    return [...this.#links.values()];
  }

  routerAt(link: Link, address: IpAddress): SimRouter | undefined {
    for (const [router, port] of link.ports) if (port.address === address) return router;
    return undefined;
  }

  /** From now on nothing crosses the link; its routers lose each other when they notice. */
  cut(name: string): void {
    const link = this.link(name);
    link.isCut = true;
    this.#after(NEIGHBOR_TIMEOUT_MS, () => {
      for (const [router, port] of link.ports) for (const address of [...port.peers]) this.#lose(router, port, address);
    });
  }

  /** The link is whole again: everybody on it is a new neighbour. */
  mend(name: string): void {
    const link = this.link(name);
    link.isCut = false;
    this.#meet(link);
    this.#deliver();
  }

  /** The router's interface goes down: it knows at once, the others when they notice. */
  unplug(router: SimRouter, name: string): void {
    const port = router.port(name);
    for (const address of [...port.peers]) this.#lose(router, port, address);
    router.table.interfaceDown(this.nowMs, port.ifindex);
    port.link.ports.delete(router);
    this.#after(NEIGHBOR_TIMEOUT_MS, () => this.#mourn(port.link, port.address));
    this.#deliver();
  }

  kill(router: SimRouter): void {
    router.isAlive = false;
    this.#after(NEIGHBOR_TIMEOUT_MS, () => {
      for (const { link, address } of router.ports) this.#mourn(link, address);
    });
  }

  advance(ms: number): void {
    const untilMs = this.nowMs + ms;
    for (let next = this.#next(); next <= untilMs; next = this.#next()) {
      this.nowMs = Math.max(this.nowMs, next);
      this.#runLater();
      for (const router of this.routers.values())
        if (router.isAlive && router.table.nextDeadlineMs <= this.nowMs) router.table.timeout(this.nowMs);
      this.#deliver();
    }
    this.nowMs = untilMs;
  }

  carry(from: SimRouter, ifindex: Ifindex, to: IpAddress, bytes: Uint8Array): void {
    const port = from.ports.find((one) => one.ifindex === ifindex)!;
    this.#messages.push({ from, port, to, bytes });
  }

  #attach(router: SimRouter, link: Link, address: IpAddress, metric: number): void {
    const ifindex = (router.ports.length + 1) as Ifindex;
    const port: Port = { link, ifindex, address, peers: new Set() };
    router.ports.push(port);
    link.ports.set(router, port);
    router.table.interfaceUp(0, ifindex, address, [link.prefix], {
      metric,
      advertisedOffset: 0,
      filterIn: [],
      filterOut: [],
      pointToPoint: false,
    });
  }

  #meet(link: Link): void {
    for (const [router, port] of link.ports)
      for (const [other, { address }] of link.ports) {
        if (other === router || !other.isAlive || port.peers.has(address)) continue;
        port.peers.add(address);
        router.table.peerUp(port.ifindex, address);
        router.table.sendTable(port.ifindex, address);
      }
  }

  #mourn(link: Link, address: IpAddress): void {
    for (const [router, port] of link.ports) if (port.peers.has(address)) this.#lose(router, port, address);
  }

  #lose(router: SimRouter, { ifindex, peers }: Port, address: IpAddress): void {
    if (!router.isAlive) return;
    peers.delete(address);
    router.table.loseRoutes(this.nowMs, ifindex, address);
    router.table.reelectWithout(ifindex, address);
    router.table.dropDependencies(ifindex, address);
    router.table.peerDown(ifindex, address);
  }

  #deliver(): void {
    for (let message = this.#messages.shift(); message !== undefined; message = this.#messages.shift()) {
      const { from, port, to, bytes } = message;
      if (decodeReport(bytes, this.#entries) !== undefined) throw new Error('a Report does not decode');
      this.#remember(from);
      if (port.link.isCut || !from.isAlive || !port.link.ports.has(from)) continue;
      for (const [router, other] of port.link.ports) {
        const addressed = to === ipv4(0xe0000004) || to === other.address;
        if (router === from || !router.isAlive || !addressed) continue;
        router.table.heardReport(this.nowMs, other.ifindex, port.address, this.#entries);
      }
    }
  }

  #remember(from: SimRouter): void {
    for (let n = 0; n < this.#entries.count; n++) {
      const text = formatPrefix({ network: this.#entries.networks[n]!, length: this.#entries.lengths[n]! });
      from.worstTold.set(text, Math.max(from.worstTold.get(text) ?? 0, this.#entries.metrics[n]!));
    }
  }

  #after(ms: number, run: () => void): void {
    this.#later.push({ atMs: this.nowMs + ms, run });
  }

  #runLater(): void {
    for (let n = 0; n < this.#later.length; ) {
      if (this.#later[n]!.atMs > this.nowMs) n++;
      else this.#later.splice(n, 1)[0]!.run();
    }
  }

  #next(): number {
    let earliestMs = Math.min(Number.POSITIVE_INFINITY, ...this.#later.map(({ atMs }) => atMs));
    for (const { table, isAlive } of this.routers.values())
      if (isAlive) earliestMs = Math.min(earliestMs, table.nextDeadlineMs);
    return earliestMs;
  }
}

/**
 * How often a packet from the network of link `source` is put onto each link when every router floods it: onto interfaces
 * with dependents (with `members` onto all), where it is the designated forwarder (`elects`: false, everywhere). The packet
 * is on its own link once, on a cut one never.
 */
export function copies(network: Network, source: string, members: boolean, elects = true): Map<string, number> {
  const counts = new Map(network.links.map(({ name }) => [name, name === source ? 1 : 0]));
  const queue = [network.link(source)];
  for (let link = queue.shift(); link !== undefined; link = queue.shift())
    for (const [router, port] of link.ports) {
      const route = router.isAlive ? router.route(source) : undefined;
      if (route === undefined || !route.isUp || route.iif !== port.ifindex) continue;
      for (const out of router.ports) {
        if (out === port || out.link.isCut || !out.link.ports.has(router)) continue;
        const wanted = members || router.table.dependents(route).some(({ peer }) => peer.ifindex === out.ifindex);
        if (!wanted || (elects && !router.table.isForwarder(route, out.ifindex))) continue;
        counts.set(out.link.name, counts.get(out.link.name)! + 1);
        queue.push(out.link);
      }
    }
  return counts;
}
