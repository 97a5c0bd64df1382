/** DVMRP through a tunnel (dvmrp.md section 13). The kernel of a test machine may have no driver; then a process is the tunnel. */
// needs: tun
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import { graft, prune } from '../support/dvmrp-builder.js';
import { arrives, config, GROUP, neighborsOf, oneCopy, prunesOf, routeTo } from '../support/dvmrp-daemons.js';
import { eventually } from '../support/eventually.js';
import { toHex } from '../support/packet-builder.js';
import { type Namespace, netnsTest } from '../support/topology.js';

const TUNNEL = fileURLToPath(new URL('../support/helpers/tunnel.py', import.meta.url));
const [LEFT, RIGHT] = ['192.0.2.1', '192.0.2.2'];

async function tunnel(at: Namespace, local: string, remote: string): Promise<void> {
  const child = at.spawn('python3', [TUNNEL, 'tun0', local, remote]);
  await child.line();
  at.ip('address', 'add', `${local}/32`, 'dev', 'tun0');
  at.ip('link', 'set', 'tun0', 'up', 'multicast', 'on');
}

/** One message to the far end of the tunnel, but not through it. */
const BESIDE = `
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_IGMP)
s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b'net')
s.bind((sys.argv[1], 0))
s.sendto(bytes.fromhex(sys.argv[3]), (sys.argv[2], 0))
`;

interface Row {
  readonly group: string;
  readonly iif: string;
  readonly oifs: readonly string[];
}

netnsTest(
  'two routers through a tunnel: messages in it and beside it, the stream in it, and it counts as an output (DVMRP-125, DVMRP-087, INT-010)',
  async (net) => {
    // given two routers that see each other through a network that only carries unicast
    const [r1, r2] = [net.router('r1'), net.router('r2')];
    const source = net.host('source', r1, 'lan', '10.1.0');
    const host = net.host('host', r2, 'lan', '10.2.0');
    net.link([r1, 'net', `${LEFT}/24`], [r2, 'net', `${RIGHT}/24`]);
    await tunnel(r1, LEFT, RIGHT);
    await tunnel(r2, RIGHT, LEFT);
    const d1 = await r1.daemon(config(['lan', 'tun0'], []));
    const sender = await source.sender({ from: '10.1.0.2', groups: [GROUP], ratePerSec: 100 });
    const entry = () => d1.ctl<Row[]>('show', 'mfc').find(({ group }) => group === GROUP);
    // when nobody is at the other end yet, nothing goes there
    await eventually('the entry', () => entry());
    expect(entry()).toMatchObject({ iif: 'lan', oifs: [] });
    // when somebody is, both are neighbours by the addresses of the tunnel's ends
    const d2 = await r2.daemon(config(['lan', 'tun0'], ['lan']));
    await eventually('routes through the tunnel', () => routeTo(d2, '10.1.0.0/24')?.fromGateway === LEFT, {
      withinMs: 15_000,
      everyMs: 100,
    });
    expect(neighborsOf(d1)).toMatchObject([{ neighbor: RIGHT, state: 'two-way' }]);
    expect(routeTo(d1, `${LEFT}/32`)).toBeUndefined();
    const receiver = await host.receiver({ address: '10.2.0.2' });
    await receiver.join(GROUP);
    await arrives(receiver, 'the stream through the tunnel', 10_000);
    expect(entry()).toMatchObject({ iif: 'lan', oifs: ['tun0'] });
    await oneCopy(receiver, 'through the tunnel');
    // when a Prune comes beside the tunnel, as mrouted sends it, and then a Graft
    const beside = (payload: Uint8Array) => r2.run('python3', '-c', BESIDE, RIGHT, LEFT, toHex(payload));
    beside(prune('10.1.0.0', GROUP, 7200));
    await eventually('the prune', () => prunesOf(d1).some(({ direction }) => direction === 'received'));
    expect(entry()?.oifs).toEqual([]);
    beside(graft('10.1.0.2', GROUP));
    await arrives(receiver, 'the stream after the Graft');
    expect(entry()?.oifs).toEqual(['tun0']);
    // what is not from the tunnel's end is nobody's
    r2.ip('address', 'add', '192.0.2.9/24', 'dev', 'net');
    r2.run('python3', '-c', BESIDE, '192.0.2.9', LEFT, toHex(prune('10.1.0.0', GROUP, 7200)));
    await oneCopy(receiver, 'after a stranger’s Prune');
    await sender.stop();
  },
);
