/** DVMRP daemons in namespaces: their configuration with short timers, what they tell, what a receiver gets. */
import { expect } from 'vitest';
import type { Daemon } from './daemon.js';
import { eventually } from './eventually.js';
import type { Namespace, Net } from './topology.js';
import type { Receiver } from './traffic.js';

export const GROUP = '239.5.5.5';
const QUICK = 'probeInterval: 1s, neighborTimeout: 4s';

/** A router that runs DVMRP on all of its interfaces, IGMP on those with hosts. */
export function config(interfaces: readonly string[], hosts: readonly string[], more = ''): (socket: string) => string {
  const igmp = '{ queryInterval: 5s, queryResponseInterval: 1s, lastMemberQueryInterval: 200ms }';
  const lines = interfaces.map(
    (name) => `  ${name}: { owner: dvmrp, dvmrp: { ${QUICK} }${hosts.includes(name) ? `, igmp: ${igmp}` : ''} }`,
  );
  return (socket) => `
control: { socket: ${socket} }
log: { level: debug }
interfaces:
${lines.join('\n')}
dvmrp: { reportInterval: 10s }
${more}`;
}

interface NeighborRow {
  readonly neighbor: string;
  readonly state: string;
}

interface RouteRow {
  readonly originSubnet: string;
  readonly fromGateway: string | null;
  readonly metric: number;
  readonly state: string;
  readonly dependents: readonly string[];
  readonly forwarders: readonly string[];
}

interface PruneRow {
  readonly direction: string;
  readonly originSubnet: string;
  readonly group: string;
}

export const neighborsOf = (daemon: Daemon) => daemon.ctl<NeighborRow[]>('show', 'dvmrp', 'neighbors');
export const routesOf = (daemon: Daemon) => daemon.ctl<RouteRow[]>('show', 'dvmrp', 'routes');
export const prunesOf = (daemon: Daemon) => daemon.ctl<PruneRow[]>('show', 'dvmrp', 'prunes');

export const routeTo = (daemon: Daemon, prefix: string) =>
  routesOf(daemon).find(({ originSubnet }) => originSubnet === prefix);

/** Packets the receiver gets more from now on. */
export async function arrives(receiver: Receiver, what: string, withinMs = 5000): Promise<void> {
  const { received } = await receiver.report();
  await eventually(what, async () => (await receiver.report()).received > received + 20, { withinMs, everyMs: 20 });
}

/** A LAN with any number of routers and hosts: a bridge of its own, without snooping. */
export function lan(net: Net, label: string, ends: readonly (readonly [Namespace, string, string])[]): void {
  const sw = net.namespace(label);
  sw.ip('link', 'add', 'br0', 'type', 'bridge', 'mcast_snooping', '0');
  sw.ip('link', 'set', 'br0', 'up');
  for (const [n, [node, device, address]] of ends.entries()) {
    net.link([sw, `p${n}`], [node, device, address]);
    sw.ip('link', 'set', `p${n}`, 'master', 'br0');
  }
}

/** Packets the receiver has got twice and more, from now on for `sec` seconds of a stream that runs. */
export async function oneCopy(receiver: Receiver, what: string): Promise<void> {
  const before = await receiver.report();
  await eventually(
    `a hundred packets ${what}`,
    async () => (await receiver.report()).received >= before.received + 100,
    { withinMs: 10_000, everyMs: 50 },
  );
  const after = await receiver.report();
  expect({ duplicated: after.duplicated - before.duplicated, lost: after.lost - before.lost }, what).toEqual({
    duplicated: 0,
    lost: 0,
  });
}

export const twoWay = (daemon: Daemon) => neighborsOf(daemon).filter(({ state }) => state === 'two-way').length;
