/**
 * The proxy and IGMP on the real manager over the fake kernel. eth0 is the upstream, eth1 and eth2 are downstreams, eth3 is
 * the second upstream where a test wants one. Hosts speak real IGMP messages.
 */
import { formatIp, type IpAddress, ip } from '../../../src/base/ip.js';
import type { IgmpInterfaceConfig, ProxyConfig, ProxyUpstream } from '../../../src/config/types.js';
import { IgmpModule } from '../../../src/igmp/module.js';
import type { ForcedVersions, HostIgmpPort, Ifindex, IgmpVersionNumber } from '../../../src/port/kernel.js';
import { ProxyModule } from '../../../src/proxy/module.js';
import { settle } from '../../support/fake-clock.js';
import { Bed as ManagerBed } from '../../support/manager-bed.js';
import { queryV3 } from '../../support/packet-builder.js';
import { DEFAULTS, prefix } from '../igmp/bed.js';

export const G = '239.1.2.3';
export const H = '239.1.2.4';
export const SSM = '232.1.2.3';

export function upstream(name: string, change: Partial<ProxyUpstream> = {}): ProxyUpstream {
  return { interface: name, groups: [], sources: [], version: 'auto', ...change };
}

export const CONFIG: ProxyConfig = {
  upstreams: [upstream('eth0')],
  requireQuerier: true,
  leaveDelayMs: 500,
  maxJoins: 8192,
  wildcardGroups: [],
};

/** Two upstreams: eth0, then eth3. */
export const TWO: Partial<ProxyConfig> = { upstreams: [upstream('eth0'), upstream('eth3')] };

class RecordingHostIgmp implements HostIgmpPort {
  readonly calls: string[] = [];
  refreshes = 0;
  spoken: IgmpVersionNumber = 2;
  forcedNow: ForcedVersions = { own: undefined, all: undefined };
  version(): IgmpVersionNumber {
    return this.spoken;
  }
  refresh(then: () => void): void {
    this.refreshes++;
    then();
  }
  forced(): ForcedVersions {
    return this.forcedNow;
  }
  force(ifindex: Ifindex, version: IgmpVersionNumber | 'auto'): undefined {
    this.calls.push(`force ${ifindex} ${version}`);
    this.forcedNow = { ...this.forcedNow, own: version === 'auto' ? undefined : version };
  }
  restore(ifindex: Ifindex): void {
    this.calls.push(`restore ${ifindex}`);
  }
}

export class Bed extends ManagerBed {
  readonly hostIgmp = new RecordingHostIgmp();
  readonly igmpModule: IgmpModule;
  readonly proxy: ProxyModule;
  /** "join eth0 239.1.2.3 exclude 10.0.0.9", "leave eth0 239.1.2.3", in the order of the calls. */
  readonly asked: string[] = [];
  /** `proxy.*` as the monitor sees it. */
  readonly events: Readonly<Record<string, unknown>>[] = [];

  constructor(config: Partial<ProxyConfig> = {}, igmp: Partial<IgmpInterfaceConfig> = {}) {
    super();
    const { clock, log, kernel, manager: mgm } = this;
    const { links, membership } = kernel;
    const interfaces = new Map(['eth0', 'eth1', 'eth2', 'eth3'].map((name) => [name, { ...DEFAULTS, ...igmp }]));
    const ports = { igmp: kernel.igmp, links, membership };
    this.igmpModule = new IgmpModule({
      mgm,
      clock,
      log,
      ...ports,
      events: mgm.events,
      interfaces,
      maxGroups: 0,
      maxSources: 0,
    });
    this.igmpModule.start();
    // Room below, for routers that win an election.
    kernel.changeDevice(this.eth1, {
      addresses: [{ address: ip('10.0.1.5'), prefixLength: 24, secondary: false, scope: 'global', peer: undefined }],
    });
    this.#watchMembership();
    mgm.snapshot().onEvent(({ atMs: _, ...event }) => {
      if (event.evt.startsWith('proxy.')) this.events.push(event);
    });
    this.proxy = new ProxyModule({
      mgm,
      links,
      membership,
      hostIgmp: this.hostIgmp,
      clock,
      log,
      events: mgm.events,
      config: { ...CONFIG, ...config },
      ssmRanges: [prefix('232.0.0.0/8')],
    });
    this.proxy.start();
  }

  /** The proxy owns the upstreams, and the downstreams with IGMP beside it, as the configuration would have it. */
  async serve(...upstreams: readonly Ifindex[]): Promise<this> {
    for (const ifindex of upstreams.length > 0 ? upstreams : [this.eth0]) await this.proxy.take(ifindex);
    for (const ifindex of [this.eth1, this.eth2]) {
      await this.proxy.take(ifindex);
      await this.igmpModule.take(ifindex);
    }
    await this.turn();
    return this;
  }

  /** Everything that is due at once. */
  async turn(): Promise<void> {
    await this.clock.run(0);
    await this.clock.run(0);
  }

  /** A host on the interface says this. */
  async hears(ifindex: Ifindex, payload: Uint8Array): Promise<void> {
    const source = ip(`10.0.${this.name(ifindex).slice(3)}.9`);
    this.kernel.igmp.receive({ ifindex, source, destination: ip('224.0.0.22'), payload, ttl: 1, routerAlert: true });
    await this.turn();
  }

  /** A router with a lower address asks on the interface: we are querier no more. */
  async queriedBy(address: string, ifindex: Ifindex): Promise<void> {
    const payload = queryV3();
    this.kernel.igmp.receive({ ifindex, source: ip(address), destination: ip('224.0.0.1'), payload });
    await this.turn();
  }

  /** A flow that has an entry after this. */
  async flows(source: IpAddress, group: string, ifindex: Ifindex): Promise<string | undefined> {
    await this.flow(source, ip(group), ifindex);
    return this.entry(source, ip(group));
  }

  shown(source: IpAddress, group: string): string | undefined {
    return this.entry(source, ip(group));
  }

  /** The calls since last asked. */
  calls(): readonly string[] {
    return this.asked.splice(0);
  }

  /** "eth0 239.1.2.3 exclude 10.0.0.9": what the proxy wants of the kernel now. */
  held(): readonly string[] {
    return this.kernel.membership
      .list()
      .filter(({ holder }) => holder === 'proxy')
      .map(({ ifindex, group, filter }) => this.#wish(ifindex, group, filter))
      .sort();
  }

  #wish(ifindex: Ifindex, group: IpAddress, filter: { mode: string; sources: readonly IpAddress[] }): string {
    return `${this.name(ifindex)} ${formatIp(group)} ${filter.mode} ${filter.sources.map(formatIp).join()}`.trimEnd();
  }

  #watchMembership(): void {
    const { membership } = this.kernel;
    const set = membership.set.bind(membership);
    membership.set = (holder, ifindex, group, filter) => {
      if (holder === 'proxy')
        this.asked.push(
          filter ? `join ${this.#wish(ifindex, group, filter)}` : `leave ${this.name(ifindex)} ${formatIp(group)}`,
        );
      return set(holder, ifindex, group, filter);
    };
  }
}

export { settle };
