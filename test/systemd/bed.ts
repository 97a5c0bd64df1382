/**
 * The network around the service: the container's own namespace is the router, where systemd runs mgmd; every other machine is
 * a namespace with real hosts, sources, and a DVMRP router (a second mgmd, not under test) in it.
 *
 *   source 10.0.1.2 ── src ┐                      ┌ wan ── isp 10.0.3.1: a source, and what a router upstream sees
 *   host3  10.0.2.3 ┐      ├─ router (systemd) ───┤
 *   host2  10.0.2.4 ┴─ lan ┘        │             └ dv ── neighbor ── remote 10.0.5.2: a source and a host
 *                                  mov ── guest 10.0.6.2: the interface that changes hands
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { Child } from '../support/child.js';
import type { Daemon } from '../support/daemon.js';
import { eventually } from '../support/eventually.js';
import { type Namespace, Net } from '../support/topology.js';
import { type Flow, Streams } from './streams.js';

/** 50 flows of 100 packets/s. */
const PER_FLOW_PER_SEC = 100;

/** Timers short enough for a test; hosts answer within half a second. */
export const QUICK =
  '{ queryInterval: 4s, queryResponseInterval: 500ms, lastMemberQueryInterval: 200ms, startupQueryInterval: 200ms }';
const DVMRP = '{ probeInterval: 1s, neighborTimeout: 15s }';

export const CONFIG = `
restart: { window: 3s }
interfaces:
  src: { owner: proxy, igmp: ${QUICK} }
  lan: { owner: proxy, igmp: ${QUICK} }
  wan: { owner: proxy }
  dv: { owner: dvmrp, dvmrp: ${DVMRP} }
  mov: { owner: left, igmp: ${QUICK} }
proxy: { upstreams: [{ interface: wan }] }
static: { left: {}, right: {} }
dvmrp: { reportInterval: 10s, originateDefault: true }
`;

const neighborConfig = (socket: string) => `
control: { socket: ${socket} }
interfaces:
  eth0: { owner: dvmrp, dvmrp: ${DVMRP} }
  inner: { owner: dvmrp, igmp: ${QUICK}, dvmrp: ${DVMRP} }
dvmrp: { reportInterval: 10s }
`;

export const ROUTER_UPSTREAM = '10.0.3.2';

/** Half of them any-source, half source-specific. */
function flowsOf(site: number, from: string, count: number): readonly Flow[] {
  return Array.from({ length: count }, (_, n) => {
    const specific = n >= count / 2;
    const group = `${specific ? 232 : 239}.${site}.0.${n + 1}`;
    return { id: site * 100 + n, group, channel: specific ? from : undefined };
  });
}

export const FLOWS = {
  lan: flowsOf(1, '10.0.1.2', 30),
  upstream: flowsOf(2, '10.0.3.1', 10),
  dvmrp: flowsOf(3, '10.0.5.2', 10),
} as const;

const isAsm = ({ channel }: Flow) => channel === undefined;

export function ip(...args: string[]): string {
  return execFileSync('ip', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

export class Bed {
  readonly streams = new Streams();
  readonly #changes: Child;
  readonly #net: Net;
  readonly #hosts = new Map<string, Namespace>();
  neighbor: Daemon | undefined;

  private constructor(net: Net) {
    this.#net = net;
    this.#changes = net.keep(new Child('stdbuf', ['-oL', 'ip', '-tshort', 'monitor', 'mroute']));
  }

  /** Everything but the router's service. */
  static build(net = new Net()): Bed {
    const bed = new Bed(net);
    execFileSync('sh', ['-c', ROUTER_SYSCTLS]);
    bed.#link('src', '10.0.1.1/24', bed.#host('source'), '10.0.1.2/24');
    bed.#link('wan', `${ROUTER_UPSTREAM}/24`, bed.#host('isp'), '10.0.3.1/24');
    bed.#link('dv', '10.0.4.1/24', bed.#host('neighbor'), '10.0.4.2/24');
    bed.#link('mov', '10.0.6.1/24', bed.#host('guest'), '10.0.6.2/24');
    bed.#lan();
    const [isp, neighbor, remote] = [bed.at('isp'), bed.at('neighbor'), bed.#host('remote')];
    net.link([neighbor, 'inner', '10.0.5.1/24'], [remote, 'eth0', '10.0.5.2/24']);
    remote.ip('route', 'add', 'default', 'via', '10.0.5.1');
    neighbor.ip('route', 'add', 'default', 'via', '10.0.4.1');
    ip('route', 'add', '10.0.5.0/24', 'via', '10.0.4.2');
    isp.ip('route', 'add', '10.0.0.0/16', 'via', ROUTER_UPSTREAM);
    for (const [name, gateway] of GATEWAYS) bed.at(name).ip('route', 'add', 'default', 'via', gateway);
    return bed;
  }

  at(name: string): Namespace {
    return this.#hosts.get(name)!;
  }

  /** The DVMRP router beside ours, and the witness upstream. Before the service, whose first reports he is to see. */
  async before(): Promise<void> {
    for (const host of this.#hosts.values()) await host.linksPass();
    this.neighbor = await this.at('neighbor').daemon(neighborConfig);
    await this.streams.wire(this.at('isp'), 'eth0', FLOWS.lan);
  }

  /** Sources and hosts; resolves when every flow arrives wherever it is wanted. */
  async traffic(): Promise<void> {
    const { lan, upstream, dvmrp } = FLOWS;
    const all = [...lan, ...upstream, ...dvmrp];
    const few = [...lan.slice(0, 5), ...lan.slice(15, 20)];
    await this.streams.source(this.at('source'), '10.0.1.2', lan, PER_FLOW_PER_SEC);
    await this.streams.source(this.at('isp'), '10.0.3.1', upstream, PER_FLOW_PER_SEC);
    await this.streams.source(this.at('remote'), '10.0.5.2', dvmrp, PER_FLOW_PER_SEC);
    await this.streams.host(
      this.at('host3'),
      '10.0.2.3',
      all.filter((flow, n) => !isAsm(flow) || n % 2 === 0),
    );
    await this.streams.host(
      this.at('host2'),
      '10.0.2.4',
      all.filter((flow, n) => isAsm(flow) && n % 3 !== 0),
    );
    await this.streams.host(this.at('remote'), '10.0.5.2', few);
    await this.streams.host(this.at('guest'), '10.0.6.2', [...few, ...upstream.slice(3, 7)]);
    await this.streams.settle(30_000);
  }

  /** What somebody looks at first when a run went wrong. */
  report(): string {
    const router = [['mroute'], ['maddress', 'show', 'dev', 'wan']].map(
      (args) => `$ ip ${args.join(' ')}\n${ip(...args)}`,
    );
    const changes = ['$ ip monitor mroute', ...this.#changes.lines];
    return [...router, ...changes, this.#net.report()].join('\n');
  }

  async close(): Promise<void> {
    await this.#net.close(); // and with the other end of each pair goes the router's
  }

  #host(label: string): Namespace {
    const host = this.#net.namespace(label);
    this.#hosts.set(label, host);
    return host;
  }

  /** A veth pair from the router's `device` to eth0 of a host. */
  #link(device: string, address: string, host: Namespace, hostAddress: string): void {
    ip('link', 'add', device, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', host.name);
    ip('address', 'add', address, 'dev', device);
    ip('link', 'set', device, 'up');
    if (hostAddress) host.ip('address', 'add', hostAddress, 'dev', 'eth0');
    host.ip('link', 'set', 'eth0', 'up');
  }

  /** Two hosts on one wire: IGMPv3 as it comes, and version 2. */
  #lan(): void {
    const wire = this.#net.namespace('switch');
    wire.ip('link', 'add', 'br0', 'type', 'bridge', 'mcast_snooping', '0');
    this.#link('lan', '10.0.2.1/24', wire, '');
    for (const [name, address] of [
      ['host3', '10.0.2.3/24'],
      ['host2', '10.0.2.4/24'],
    ] as const)
      this.#net.link([wire, name, ''], [this.#host(name), 'eth0', address]);
    for (const port of ['eth0', 'host3', 'host2']) wire.ip('link', 'set', port, 'master', 'br0');
    wire.ip('link', 'set', 'br0', 'up');
    this.at('host2').sysctl('net.ipv4.conf.eth0.force_igmp_version', 2);
  }
}

const GATEWAYS = [
  ['source', '10.0.1.1'],
  ['host3', '10.0.2.1'],
  ['host2', '10.0.2.1'],
  ['guest', '10.0.6.1'],
] as const;

const ROUTER_SYSCTLS = `
echo 1 >/proc/sys/net/ipv4/ip_forward
for policy in all default; do
  echo 0 >/proc/sys/net/ipv4/conf/$policy/rp_filter
  echo 1 >/proc/sys/net/ipv6/conf/$policy/disable_ipv6
done
`;

/** Neither entries nor interfaces, as the kernel tells them. */
export async function tableIsEmpty(): Promise<void> {
  await eventually('the kernel to have no multicast entry', () => ip('mroute').trim() === '');
  const [, ...vifs] = readFileSync('/proc/net/ip_mr_vif', 'utf8').trim().split('\n');
  if (vifs.length > 0) throw new Error(`the kernel still routes multicast on ${vifs.join('; ')}`);
}
