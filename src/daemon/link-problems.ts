/** What keeps IGMP and routing from working on an interface, in words for its operator. */
import type { Ifindex, Link } from '../port/kernel.js';

type NameOf = (ifindex: Ifindex) => string;

/** Kinds of masters whose ports keep their packets: all others take them before IP sees them. */
const TRANSPARENT: readonly string[] = ['vrf'];

/** Why IGMP and routing cannot work there; undefined: they can. */
export function portProblem({ name, port }: Link, nameOf: NameOf): string | undefined {
  if (!port || TRANSPARENT.includes(port.kind)) return undefined;
  const master = nameOf(port.master);
  return `${name} is a port of ${master}${port.kind === '' ? '' : ` (${port.kind})`}, which takes its packets; configure ${master}`;
}

/** F38: WireGuard and some tunnels come without it, and everything looks fine. */
export function flagProblem({ name, multicast }: Link): string | undefined {
  if (multicast) return undefined;
  return `${name} lacks the MULTICAST flag, so nothing will be heard there; "ip link set dev ${name} multicast on" sets it`;
}

export function vrfAdvice({ name, port }: Link, nameOf: NameOf): string | undefined {
  if (port?.kind !== 'vrf') return undefined;
  return `${name} belongs to the VRF ${nameOf(port.master)}; mgmd routes there only with the table of the VRF as "table" and "rpf.table"`;
}
