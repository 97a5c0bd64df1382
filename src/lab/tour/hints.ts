/** What a newcomer can do with a laboratory that stays up. */
import { readlinkSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { PROTOCOLS, ROUTER, RUN } from '../machines/plan.js';

/**
 * Our process id as the rest of the machine sees it: /proc was mounted outside of our process namespace. Through it
 * the files and namespaces of the laboratory can be reached by who started it.
 */
function outsidePid(): string {
  return readlinkSync('/proc/self');
}

/** `ownUser`: the laboratory has a user namespace of its own, which nsenter has to enter first. */
export function exploreHints(ownUser: boolean): string {
  const pid = outsidePid();
  const cli = fileURLToPath(new URL('../../cli/main.js', import.meta.url));
  const mgmctl = `node ${cli} --socket /proc/${pid}/root${RUN.socket}`;
  const [first, second] = PROTOCOLS;
  const user = ownUser ? '--user --preserve-credentials ' : '';
  return `
The laboratory stays up. In another terminal:

  alias mgmctl='${mgmctl}'
  mgmctl show interfaces
  mgmctl take recv --by ${first}
  mgmctl handover recv --from ${first} --to ${second}
  mgmctl monitor

A shell inside it, and then in the router:

  nsenter --target ${pid} ${user}--mount --net
  ip netns exec ${ROUTER} ip mroute

Ctrl-C ends it with a verdict and leaves nothing behind.
`;
}
