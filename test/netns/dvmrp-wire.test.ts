/** DVMRP between two real daemons, the chain of dvmrp.md section 21, and an independent decoder on the link between them. */
// needs: tshark tcpdump
import { expect } from 'vitest';
import { Capture } from '../support/capture.js';
import { GROUP, config, prunesOf, routeTo, arrives, oneCopy } from '../support/dvmrp-daemons.js';
import { eventually } from '../support/eventually.js';
import { netnsTest } from '../support/topology.js';

netnsTest(
  'a chain of two routers: neighbours, routes, a stream, a prune, a graft; a leave, a graceful stop and a restart',
  async (net) => {
    // given source - (lan) r1 (mid) - (mid) r2 (lan) - host
    const [r1, r2] = [net.router('r1'), net.router('r2')];
    const source = net.host('source', r1, 'lan', '10.1.0');
    const host = net.host('host', r2, 'lan', '10.2.0');
    net.link([r1, 'mid', '10.9.0.1/24'], [r2, 'mid', '10.9.0.2/24']);
    const wire = await Capture.start(net, r1, 'mid');
    const d1 = await r1.daemon(config(['lan', 'mid'], ['lan']));
    let d2 = await r2.daemon(config(['lan', 'mid'], ['lan']));
    const converged = () =>
      eventually(
        'the route to the source, and the dependency on it',
        () =>
          routeTo(d2, '10.1.0.0/24')?.fromGateway === '10.9.0.1' &&
          routeTo(d1, '10.1.0.0/24')?.dependents.includes('mid 10.9.0.2') === true,
        { withinMs: 15_000 },
      );
    await converged();
    expect(routeTo(d2, '10.1.0.0/24')).toMatchObject({ metric: 2, state: 'up' });
    expect(routeTo(d1, '10.2.0.0/24')).toMatchObject({ metric: 2, fromGateway: '10.9.0.2' });
    // when somebody sends and nobody listens, the second router prunes
    const sender = await source.sender({ from: '10.1.0.2', groups: [GROUP], ratePerSec: 100 });
    const pruned = () => prunesOf(d1).some(({ direction, group }) => direction === 'received' && group === GROUP);
    await eventually('the prune', pruned);
    expect(prunesOf(d2)).toMatchObject([{ direction: 'sent', originSubnet: '10.1.0.0/24', group: GROUP }]);
    // when a host joins, it gets the stream within a second
    const receiver = await host.receiver({ address: '10.2.0.2' });
    await receiver.join(GROUP);
    await arrives(receiver, 'the stream after the graft', 1000);
    expect(prunesOf(d1)).toEqual([]);
    expect(d2.ctl('show', 'dvmrp', 'grafts')).toEqual([]);
    // when it leaves, the prune comes again
    await receiver.leave(GROUP);
    await eventually('the next prune', pruned);
    // DVMRP-061: when the second router stops, the first one knows at once that its network is unreachable
    expect(await d2.stop()).toBe(0);
    await eventually('the route in hold-down', () => routeTo(d1, '10.2.0.0/24')?.state === 'hold', { withinMs: 1000 });
    // DVMRP-128: when it starts again, its prunes are void, and a member has the stream within a Probe interval or two
    await receiver.join(GROUP);
    d2 = await r2.daemon(config(['lan', 'mid'], ['lan']));
    await converged();
    expect(prunesOf(d1)).toEqual([]);
    await arrives(receiver, 'the stream after the restart');
    await oneCopy(receiver, 'after the restart');
    await sender.stop();
    // DVMRP-015, DVMRP-101: an independent decoder has nothing to say against what passed
    const messages = wire.packets().filter(({ dvmrpCode }) => dvmrpCode > 0);
    expect(new Set(messages.map(({ source: from }) => from))).toEqual(new Set(['10.9.0.1', '10.9.0.2']));
    expect(new Set(messages.map(({ dvmrpCode }) => dvmrpCode))).toEqual(new Set([1, 2, 7, 8, 9]));
    // what it remarks on a TTL of 1 to one address is the specification's choice (dvmrp.md section 2)
    for (const { complaints, destination, checksumsGood, ttl, tos, routerAlert, headerBytes } of messages)
      expect({ complaints, checksumsGood, ttl, tos, routerAlert, headerBytes }).toEqual({
        complaints: destination === '224.0.0.4' ? '' : '"Time To Live" only 1',
        checksumsGood: true,
        ttl: 1,
        tos: 0xc0,
        routerAlert: 0,
        headerBytes: 24,
      });
  },
  60_000,
);
