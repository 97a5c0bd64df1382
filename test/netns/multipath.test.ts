/** Sources behind a route with several next hops, on the real kernel (C1). */
import { expect } from 'vitest';
import { eventually } from '../support/eventually.js';
import { type Namespace, netnsTest } from '../support/topology.js';

const SOURCES = 16;
const G = '239.1.1.1';

const config = (socket: string): string => `
control: { socket: ${socket} }
interfaces:
  wan1: { owner: static }
  wan2: { owner: static }
  lan: { igmp: { queryInterval: 10s, queryResponseInterval: 1s } }
static: { static: {} }
`;

async function sends(host: Namespace, from: string): Promise<void> {
  host.ip('address', 'add', `${from}/32`, 'dev', 'eth0');
  await host.sender({ from, groups: [G], ratePerSec: 20, ttl: 8 });
}

netnsTest(
  'sixteen sources by the two next hops of an object route all pass, and follow when one hop goes (C1)',
  async (net) => {
    const router = net.router('router');
    const first = net.host('first', router, 'wan1', '10.0.1');
    const second = net.host('second', router, 'wan2', '10.0.2');
    const host = net.host('host', router, 'lan', '10.2.0');
    router.sysctl('net.ipv4.nexthop_compat_mode', 0);
    router.ip('nexthop', 'add', 'id', '1', 'via', '10.0.1.2', 'dev', 'wan1');
    router.ip('nexthop', 'add', 'id', '2', 'via', '10.0.2.2', 'dev', 'wan2');
    router.ip('nexthop', 'add', 'id', '3', 'group', '1/2');
    router.ip('route', 'add', '172.16.0.0/24', 'nhid', '3');
    const daemon = await router.daemon(config);
    const receiver = await host.receiver({ address: '10.2.0.2' });
    await receiver.join(G);
    for (let n = 1; n <= SOURCES; n++) await sends(n % 2 === 0 ? first : second, `172.16.0.${n}`);
    await eventually('all of them', async () => (await receiver.report()).flows === SOURCES);
    const inputs = () => daemon.ctl<readonly { source: string; iif: string }[]>('show', 'mfc').map(({ iif }) => iif);
    expect(inputs().filter((name) => name === 'wan1')).toHaveLength(SOURCES / 2);
    // when one source moves to the other side of the network, which no route tells
    second.ip('address', 'add', '172.16.0.99/32', 'dev', 'eth0');
    const before = await second.sender({ from: '172.16.0.99', groups: [G], ratePerSec: 50, ttl: 8 });
    await eventually('one more', async () => (await receiver.report()).flows === SOURCES + 1);
    await before.stop();
    const moved = () =>
      daemon
        .ctl<readonly { source: string; iif: string }[]>('show', 'mfc')
        .find(({ source }) => source === '172.16.0.99')?.iif;
    expect(moved()).toBe('wan2');
    await sends(first, '172.16.0.99');
    await eventually('its entry to follow', () => moved() === 'wan1');
  },
);

netnsTest(
  'a default route with two next hops: one goes down and comes back, and all sources pass meanwhile and after (C1)',
  async (net) => {
    const router = net.router('router');
    const first = net.host('first', router, 'wan1', '10.0.1');
    const second = net.host('second', router, 'wan2', '10.0.2');
    const host = net.host('host', router, 'lan', '10.2.0');
    const twoHops = ['default', 'nexthop', 'via', '10.0.1.2', 'weight', '3', 'nexthop', 'via', '10.0.2.2'];
    router.ip('route', 'add', ...twoHops);
    const daemon = await router.daemon(config);
    const receiver = await host.receiver({ address: '10.2.0.2' });
    await receiver.join(G);
    for (let n = 1; n <= SOURCES; n++) await sends(n % 2 === 0 ? first : second, `172.16.0.${n}`);
    await eventually('all of them', async () => (await receiver.report()).flows === SOURCES);
    const by = (name: string) =>
      daemon.ctl<readonly { iif: string }[]>('show', 'mfc').filter(({ iif }) => iif === name).length;
    // when one side loses its carrier, its sources are expected on the other
    second.ip('link', 'set', 'eth0', 'down');
    await eventually('the entries to leave wan2', () => by('wan2') === 0);
    expect(by('wan1')).toBe(SOURCES);
    // and when it is back, they are taken where their packets arrive, while the others stay
    second.ip('link', 'set', 'eth0', 'up');
    second.ip('route', 'replace', 'default', 'via', '10.0.2.1');
    router.ip('route', 'replace', ...twoHops);
    await eventually('them to come back', () => by('wan2') === SOURCES / 2);
    const { received } = await receiver.report();
    await eventually('packets of all', async () => (await receiver.report()).received > received + SOURCES * 20);
    expect(by('wan1')).toBe(SOURCES / 2);
  },
);
