/** Open files run out under a real daemon, and there is room again (A5). */
import { readdirSync } from 'node:fs';
import { expect } from 'vitest';
import { eventually } from '../support/eventually.js';
import { netnsTest } from '../support/topology.js';

const CONFIG = (socket: string) => `
control: { socket: ${socket} }
interfaces:
  wan: { owner: proxy }
  lan: { owner: proxy, igmp: true }
proxy: { upstreams: [{ interface: wan }] }
`;

netnsTest(
  'open files run out: the proxy asks for what fits, serves mgmctl, and asks for the rest afterwards (A5)',
  async (net) => {
    const router = net.router('router');
    net.host('isp', router, 'wan', '10.0.0');
    const host = net.host('host', router, 'lan', '10.1.0');
    const daemon = await router.daemon(CONFIG);
    const { pid } = daemon.process;
    const openFiles = () => readdirSync(`/proc/${pid}/fd`).length;
    const mayOpen = (soft: number) => router.run('prlimit', '--pid', `${pid}`, `--nofile=${soft}:`);
    const counters = () => daemon.ctl<Record<string, number>>('show', 'igmp', 'proxy', 'counters');
    // given 2,000 groups of one host and room for some of them
    mayOpen(120);
    const receiver = await host.receiver({ address: '10.1.0.2' });
    await receiver.joinAll('239.3.0.0', 2000);
    await eventually('joins to be refused', () => daemon.events('proxy.join.refused').length > 0, { withinMs: 20_000 });
    // then what is asked stays asked, the last descriptors are free, and it is said once
    const full = counters();
    expect(full['joinsHeld']).toBeGreaterThan(200);
    expect(openFiles()).toBeLessThanOrEqual(100);
    expect(daemon.events('proxy.join.refused')).toHaveLength(1);
    // and whoever has used them up does not make the router deaf, also when it begins again
    daemon.process.signal('SIGHUP');
    await eventually('the reload', () => daemon.events('daemon.started').length === 2, { withinMs: 20_000 });
    const control = daemon
      .ctl<{ by: string; held: boolean }[]>('show', 'joins')
      .filter(({ by }) => by === 'igmp-control');
    expect(control.map(({ held }) => held)).toEqual([true, true]);
    // when not even a connection can be accepted, it is turned away, and the next one is served
    mayOpen(10);
    expect(() => daemon.ctl('status')).toThrow();
    mayOpen(1024);
    expect(daemon.ctl('status')).toMatchObject({ pid });
    // and when there is room, the rest is asked, in order, without a further wish
    await eventually('the rest', () => (counters()['joinsHeld'] ?? 0) >= 2000, { withinMs: 40_000, everyMs: 1000 });
    expect(counters()['joinsWaiting']).toBe(0);
    // and when the groups are left, so are the sockets
    const most = openFiles();
    receiver.child.signal('SIGTERM');
    await eventually('sockets to be given back', () => openFiles() < most - 80, { withinMs: 20_000, everyMs: 200 });
    expect(await daemon.stop()).toBe(0);
  },
);
