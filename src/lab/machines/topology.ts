/**
 * Builds the network: sender LAN - router - receiver LAN, each machine a network namespace, inside the laboratory's own
 * namespaces. The receiver LAN is a bridge without snooping, so both hosts hear each other as on a switch of the plain kind.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { HOSTS, ROUTER, ROUTER_ADDRESS, RUN, routerConfig, SENDER } from './plan.js';

export class TopologyError extends Error {
  override readonly name = 'TopologyError';
}

export function buildTopology(): void {
  run('mount', ['-t', 'tmpfs', '-o', 'mode=0755', 'tmpfs', '/run']);
  mkdirSync('/run/mgmd');
  writeFileSync(RUN.config, routerConfig());
  const hosts = Object.values(HOSTS);
  for (const name of [ROUTER, SENDER.namespace, ...hosts.map(({ namespace }) => namespace)]) addNamespace(name);
  ip('', [
    'link add lan type bridge mcast_snooping 0',
    'link add send netns router type veth peer name eth0 netns sender',
    'link add recv netns router type veth peer name port0',
    ...hosts.map(({ namespace }) => `link add eth0 netns ${namespace} type veth peer name ${namespace}`),
    ...['port0', ...hosts.map(({ namespace }) => namespace)].map((port) => `link set ${port} up master lan`),
    'link set lan up',
  ]);
  ip(ROUTER, [...up('send', ROUTER_ADDRESS.send), ...up('recv', ROUTER_ADDRESS.recv)]);
  ip(SENDER.namespace, [...up('eth0', SENDER.address), `route add default via ${ROUTER_ADDRESS.send}`]);
  for (const { namespace, address } of hosts)
    ip(namespace, [...up('eth0', address), `route add default via ${ROUTER_ADDRESS.recv}`]);
  for (const { namespace, igmp } of hosts)
    if (igmp !== 3) sysctl(namespace, 'net/ipv4/conf/eth0/force_igmp_version', igmp);
}

/** The argument vector of a command in one of the namespaces, for `spawn('ip', ...)`. */
export function inNamespace(namespace: string, command: readonly string[]): string[] {
  return ['netns', 'exec', namespace, ...command];
}

function addNamespace(name: string): void {
  run('ip', ['netns', 'add', name]);
  ip(name, ['link set lo up']);
}

function up(device: string, address: string): readonly string[] {
  return [`address add ${address}/24 dev ${device}`, `link set ${device} up`];
}

function sysctl(namespace: string, key: string, value: number): void {
  run('ip', inNamespace(namespace, ['sh', '-c', `echo ${value} > /proc/sys/${key}`]));
}

/** One `ip -batch` for all lines; `namespace` '' is the laboratory's own. */
function ip(namespace: string, lines: readonly string[]): void {
  run('ip', [...(namespace ? ['-n', namespace] : []), '-batch', '-'], `${lines.join('\n')}\n`);
}

function run(command: string, args: readonly string[], input = ''): void {
  try {
    execFileSync(command, args, { input, stdio: ['pipe', 'ignore', 'pipe'], encoding: 'utf8' });
  } catch (error) {
    const { code, stderr } = error as { code?: string; stderr?: string };
    const why = code === 'ENOENT' ? `${command} is not installed` : (stderr?.trim() ?? String(error));
    throw new TopologyError(`the lab's network could not be built: ${command} ${args.join(' ')}: ${why}`);
  }
}
