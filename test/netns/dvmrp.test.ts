/** DVMRP between real daemons in namespaces: a LAN with two routers, a ring of four, an interface that changes hands. */
import { expect } from 'vitest';
import { GROUP, config, routeTo, arrives, oneCopy, twoWay, lan } from '../support/dvmrp-daemons.js';
import { eventually } from '../support/eventually.js';
import { type Namespace, netnsTest } from '../support/topology.js';

netnsTest(
  'two routers on a LAN with members: one copy of each packet, also when the forwarder dies; then the other one forwards (DVMRP-073)',
  async (net) => {
    // given a source LAN and a host LAN, both with both routers
    const [r1, r2] = [net.router('r1'), net.router('r2')];
    const [source, host] = [net.namespace('source'), net.namespace('host')];
    lan(net, 'sw1', [
      [r1, 'src', '10.1.0.1/24'],
      [r2, 'src', '10.1.0.3/24'],
      [source, 'eth0', '10.1.0.2/24'],
    ]);
    lan(net, 'sw2', [
      [r1, 'dst', '10.2.0.1/24'],
      [r2, 'dst', '10.2.0.3/24'],
      [host, 'eth0', '10.2.0.2/24'],
    ]);
    source.ip('route', 'add', 'default', 'via', '10.1.0.1');
    host.ip('route', 'add', 'default', 'via', '10.2.0.1');
    const d1 = await r1.daemon(config(['src', 'dst'], ['dst']));
    const d2 = await r2.daemon(config(['src', 'dst'], ['dst']));
    await eventually(
      'the second router to know who forwards',
      () => twoWay(d1) === 2 && routeTo(d2, '10.1.0.0/24')?.forwarders.includes('dst 10.2.0.1') === true,
      { withinMs: 15_000 },
    );
    expect(routeTo(d1, '10.1.0.0/24')?.forwarders).toEqual([]);
    const receiver = await host.receiver({ address: '10.2.0.2' });
    await receiver.join(GROUP);
    await eventually('both routers to know the member', () =>
      [d1, d2].every((one) => one.ctl<{ group: string }[]>('show', 'groups').some(({ group }) => group === GROUP)),
    );
    // when it is sent to, there is one copy of each packet
    const sender = await source.sender({ from: '10.1.0.2', groups: [GROUP], ratePerSec: 100 });
    await arrives(receiver, 'the stream');
    await oneCopy(receiver, 'with both routers');
    // when the forwarder is killed, the other one takes over when it counts as lost
    d1.process.signal('SIGKILL');
    await d1.process.end();
    await arrives(receiver, 'the stream from the other router', 8000);
    expect(routeTo(d2, '10.1.0.0/24')?.forwarders).toEqual([]);
    await oneCopy(receiver, 'from the other router');
    await sender.stop();
  },
  60_000,
);

netnsTest(
  'a ring of four routers: the lower address of two equal ways is taken, and a router that is killed is routed around',
  async (net) => {
    // given source - r1, r1 - r2 - r4, r1 - r3 - r4, r4 - host
    const [r1, r2, r3, r4] = ['r1', 'r2', 'r3', 'r4'].map((name) => net.router(name)) as [
      Namespace,
      Namespace,
      Namespace,
      Namespace,
    ];
    const source = net.host('source', r1, 'lan', '10.1.0');
    const host = net.host('host', r4, 'lan', '10.4.0');
    net.link([r1, 'to2', '10.12.0.1/24'], [r2, 'to1', '10.12.0.2/24']);
    net.link([r1, 'to3', '10.13.0.1/24'], [r3, 'to1', '10.13.0.3/24']);
    net.link([r2, 'to4', '10.24.0.2/24'], [r4, 'to2', '10.24.0.4/24']);
    net.link([r3, 'to4', '10.34.0.3/24'], [r4, 'to3', '10.34.0.4/24']);
    const daemons = [
      await r1.daemon(config(['lan', 'to2', 'to3'], [])),
      await r2.daemon(config(['to1', 'to4'], [])),
      await r3.daemon(config(['to1', 'to4'], [])),
      await r4.daemon(config(['lan', 'to2', 'to3'], ['lan'])),
    ] as const;
    const [d1, d2, , d4] = daemons;
    await eventually(
      'the way by the lower address, and r2 to be depended on',
      () =>
        routeTo(d4, '10.1.0.0/24')?.fromGateway === '10.24.0.2' &&
        routeTo(d2, '10.1.0.0/24')?.dependents.includes('to4 10.24.0.4') === true &&
        routeTo(d1, '10.1.0.0/24')?.dependents.length === 2,
      { withinMs: 25_000 },
    );
    const receiver = await host.receiver({ address: '10.4.0.2' });
    await receiver.join(GROUP);
    const sender = await source.sender({ from: '10.1.0.2', groups: [GROUP], ratePerSec: 100 });
    await arrives(receiver, 'the stream by r2');
    await oneCopy(receiver, 'by r2');
    // when r2 is killed: lost after the neighbour's time-out, then held down for two report intervals, then r3's offer
    d2.process.signal('SIGKILL');
    await d2.process.end();
    await eventually('the other way', () => routeTo(d4, '10.1.0.0/24')?.fromGateway === '10.34.0.3', {
      withinMs: 40_000,
      everyMs: 200,
    });
    await arrives(receiver, 'the stream by r3', 15_000);
    await oneCopy(receiver, 'by r3');
    await sender.stop();
  },
  120_000,
);

for (const ifname of ['recv', 'send'] as const) {
  netnsTest(
    `${ifname} goes from static to DVMRP and back, and from DVMRP to IGMP alone, under a stream: nothing is lost or doubled (MGM-OWN-18)`,
    async (net) => {
      // given a stream from one LAN to another through one router
      const router = net.router('router');
      const source = net.host('source', router, 'send', '10.1.0');
      const host = net.host('host', router, 'recv', '10.2.0');
      const daemon = await router.daemon(
        (socket) => `
control: { socket: ${socket} }
interfaces:
  send: { igmp: true }
  recv: { igmp: true }
static: { red: {} }
dvmrp: {}
`,
      );
      const receiver = await host.receiver({ address: '10.2.0.2' });
      await receiver.join(GROUP);
      await eventually('the member', () => daemon.ctl<unknown[]>('show', 'groups').length > 0);
      const sender = await source.sender({ from: '10.1.0.2', groups: [GROUP], ratePerSec: 1000 });
      await arrives(receiver, 'the stream');
      const before = await receiver.report();
      // when the interface changes hands
      daemon.ctl('take', ifname, '--by', 'red');
      for (const [from, to] of [
        ['red', 'dvmrp'],
        ['dvmrp', 'red'],
        ['red', 'dvmrp'],
      ] as const)
        daemon.ctl('handover', ifname, '--from', from, '--to', to);
      daemon.ctl('release', ifname);
      await eventually('the end of it', () =>
        daemon.ctl<{ name: string; phase: string }[]>('show', 'interfaces').every(({ phase }) => phase === 'steady'),
      );
      await sender.stop();
      // then every packet came once
      let last = await receiver.report();
      await eventually('the last packets', async () => {
        const now = await receiver.report();
        const still = now.received === last.received;
        last = now;
        return still;
      });
      expect({ lost: last.lost - before.lost, duplicated: last.duplicated }).toEqual({ lost: 0, duplicated: 0 });
    },
    60_000,
  );
}
