/** A LAN of more than two: a bridge that floods everything, in a namespace of its own, with a cable to everybody. */
import type { Namespace, Net } from './topology.js';

/** `[namespace, device, 'address/length']`. */
export type Plug = readonly [namespace: Namespace, device: string, addresses: string];

export function lan(net: Net, label: string, ...plugs: readonly Plug[]): Namespace {
  const hub = net.namespace(label);
  hub.ip('link', 'add', 'hub', 'type', 'bridge', 'mcast_snooping', '0', 'forward_delay', '0');
  hub.ip('link', 'set', 'hub', 'up');
  for (const [n, plug] of plugs.entries()) {
    net.link([hub, `port${n}`, ''], plug);
    hub.ip('link', 'set', `port${n}`, 'master', 'hub');
  }
  return hub;
}
