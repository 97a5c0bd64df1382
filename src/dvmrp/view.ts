/** What operators see of DVMRP: plain rows, times in milliseconds from now, addresses as text; mroutectl's words where it has one. */
import { formatIp, formatPrefix, type IpAddress } from '../base/ip.js';
import type { Ifindex } from '../port/kernel.js';
import type { RouterLink } from './link.js';
import type { Route } from './routes/route.js';
import type { Router } from './router.js';

export interface DvmrpInterfaceRow {
  readonly interface: string;
  /** 'down': no link or no address. 'leaf': no neighbours, hosts only. */
  readonly state: 'down' | 'leaf' | 'up';
  readonly localAddress: string | null;
  readonly metric: number;
  readonly threshold: number;
  readonly generationId: number;
  readonly neighbors: number;
  readonly subnets: readonly string[];
}

export interface DvmrpNeighborRow {
  readonly neighbor: string;
  readonly interface: string;
  readonly state: string;
  readonly version: string;
  readonly generationId: number | null;
  /** Letters of mroutectl: P prunes, G generation id, M traces, N masks. */
  readonly flags: string;
  /** Routes that come from it. */
  readonly routes: number;
  readonly upMs: number;
  readonly expiresInMs: number;
  /** Why it is not wanted; null where it is. */
  readonly refused: string | null;
}

export interface DvmrpRouteRow {
  readonly originSubnet: string;
  /** Null: the network is ours, or it is told on behalf of another protocol. */
  readonly fromGateway: string | null;
  readonly metric: number;
  readonly state: 'up' | 'hold';
  readonly kind: Route['origin'];
  readonly inInterface: string | null;
  /** Who expects the network's data from us: "eth2 10.9.0.2". */
  readonly dependents: readonly string[];
  /** Interfaces where another router forwards to hosts: "eth2 10.9.0.1". */
  readonly forwarders: readonly string[];
  readonly expiresInMs: number | null;
}

export interface DvmrpPruneRow {
  readonly originSubnet: string;
  readonly group: string;
  /** 'sent' to the upstream, 'received' from who depended on us. */
  readonly direction: 'sent' | 'received';
  readonly neighbor: string;
  readonly interface: string;
  /** A received prune that is only about one sender. */
  readonly host: string | null;
  readonly expiresInMs: number;
}

export interface DvmrpGraftRow {
  readonly originSubnet: string;
  readonly group: string;
  readonly neighbor: string;
  readonly interface: string;
  /** To the next repetition. */
  readonly repeatedInMs: number;
}

export interface DvmrpStatisticsRow {
  readonly interface: string;
  readonly received: Readonly<Record<string, number>>;
  readonly sent: Readonly<Record<string, number>>;
  readonly dropped: Readonly<Record<string, number>>;
}

export class DvmrpViews {
  readonly #router: Router;
  readonly #nowMs: () => number;

  constructor(router: Router, nowMs: () => number) {
    this.#router = router;
    this.#nowMs = nowMs;
  }

  interfaces(): readonly DvmrpInterfaceRow[] {
    return this.#links().map(({ config, isUp, address, subnets, neighbors }) => ({
      interface: config.name,
      state: !isUp ? 'down' : neighbors.isLeaf ? 'leaf' : 'up',
      localAddress: address === undefined ? null : formatIp(address),
      metric: config.dvmrp.metric,
      threshold: config.threshold,
      generationId: neighbors.generationId,
      neighbors: neighbors.upCount,
      subnets: subnets.map(formatPrefix),
    }));
  }

  neighbors(): readonly DvmrpNeighborRow[] {
    const nowMs = this.#nowMs();
    return this.#links().flatMap((link) =>
      [...link.neighbors.list()].map((one) => ({
        neighbor: formatIp(one.address),
        interface: link.config.name,
        state: one.state,
        version: one.version,
        generationId: one.generationId ?? null,
        flags: flagsOf(one.capabilities),
        routes: this.#router.table.routesFrom(link.ifindex, one.address),
        upMs: nowMs - (one.isUp ? one.upSinceMs : one.sinceMs),
        expiresInMs: Math.max(0, one.expiryMs - nowMs),
        refused: one.refusedFor ?? null,
      })),
    );
  }

  routes(): readonly DvmrpRouteRow[] {
    return [...this.eachRoute()];
  }

  /** As `routes`, row by row: reading may stop and go on later. */
  *eachRoute(): Generator<DvmrpRouteRow, void> {
    for (const route of this.#router.table.routes()) yield this.#route(route);
  }

  prunes(): readonly DvmrpPruneRow[] {
    return [...this.eachPrune()].filter((row) => row !== undefined);
  }

  /** Undefined stands for a branch, whether it has prunes or not, so that no step passes over many. */
  *eachPrune(): Generator<DvmrpPruneRow | undefined, void> {
    for (const { prefix, group, upstream, received } of this.#router.forwarding.branches()) {
      yield undefined;
      const nowMs = this.#nowMs();
      const about = { originSubnet: formatPrefix(prefix), group: formatIp(group) };
      if (upstream.state === 'pruned' && upstream.to)
        yield {
          ...about,
          direction: 'sent',
          ...this.#at(upstream.to.ifindex, upstream.to.neighbor),
          host: null,
          expiresInMs: upstream.remainingMs(nowMs),
        };
      for (const { ifindex, neighbor, host, expiresMs } of received)
        yield {
          ...about,
          direction: 'received',
          ...this.#at(ifindex, neighbor),
          host: host === undefined ? null : formatIp(host),
          expiresInMs: Math.max(0, expiresMs - nowMs),
        };
    }
  }

  grafts(): readonly DvmrpGraftRow[] {
    return [...this.eachGraft()].filter((row) => row !== undefined);
  }

  /** Undefined stands for a branch, grafted or not. */
  *eachGraft(): Generator<DvmrpGraftRow | undefined, void> {
    for (const { prefix, group, upstream } of this.#router.forwarding.branches()) {
      yield undefined;
      if (upstream.state !== 'grafting' || !upstream.to) continue;
      const { ifindex, neighbor } = upstream.to;
      const about = { originSubnet: formatPrefix(prefix), group: formatIp(group), ...this.#at(ifindex, neighbor) };
      yield { ...about, repeatedInMs: Math.max(0, upstream.nextMs - this.#nowMs()) };
    }
  }

  statistics(): readonly DvmrpStatisticsRow[] {
    return this.#links().map(({ config, received, sent, drops }) => ({
      interface: config.name,
      received: Object.fromEntries(received),
      sent: Object.fromEntries(sent),
      dropped: Object.fromEntries(drops),
    }));
  }

  #route(route: Route): DvmrpRouteRow {
    const { table } = this.#router;
    const elsewhere = this.#links().flatMap(({ ifindex, config }) => {
      const other = ifindex === route.iif ? undefined : table.otherForwarder(route, ifindex);
      return other === undefined ? [] : [`${config.name} ${formatIp(other)}`];
    });
    return {
      originSubnet: formatPrefix(route),
      fromGateway: route.upstream === undefined ? null : formatIp(route.upstream.address),
      metric: route.metric,
      state: route.state,
      kind: route.origin,
      inInterface: route.iif === undefined ? null : this.#nameOf(route.iif),
      dependents: table.dependents(route).map(({ peer }) => `${this.#nameOf(peer.ifindex)} ${formatIp(peer.address)}`),
      forwarders: elsewhere,
      expiresInMs: route.timerMs === Number.POSITIVE_INFINITY ? null : Math.max(0, route.timerMs - this.#nowMs()),
    };
  }

  #links(): readonly RouterLink[] {
    return [...this.#router.links.values()];
  }

  #at(ifindex: Ifindex, neighbor: IpAddress): { readonly neighbor: string; readonly interface: string } {
    return { neighbor: formatIp(neighbor), interface: this.#nameOf(ifindex) };
  }

  #nameOf(ifindex: Ifindex): string {
    return this.#router.links.get(ifindex)?.config.name ?? `#${ifindex}`;
  }
}

const FLAGS = [
  [0x02, 'P'],
  [0x04, 'G'],
  [0x08, 'M'],
  [0x20, 'N'],
] as const;

function flagsOf(capabilities: number): string {
  return FLAGS.map(([bit, letter]) => (capabilities & bit ? letter : '')).join('');
}
