/** A DVMRP daemon that is killed and comes back without a memory, between real daemons in namespaces. */
import { expect } from 'vitest';
import { arrives, config, GROUP, neighborsOf, prunesOf, routeTo, twoWay } from '../support/dvmrp-daemons.js';
import { eventually } from '../support/eventually.js';
import { netnsTest } from '../support/topology.js';

netnsTest(
  'a router that is killed and comes back without its state gets the stream that it had pruned in its earlier life (F)',
  async (net) => {
    // given source - r1 - r2 - host, and a stream that r2 has pruned, for two hours
    const [r1, r2] = [net.router('r1'), net.router('r2')];
    const source = net.host('source', r1, 'lan', '10.1.0');
    const host = net.host('host', r2, 'lan', '10.2.0');
    net.link([r1, 'mid', '10.9.0.1/24'], [r2, 'mid', '10.9.0.2/24']);
    const d1 = await r1.daemon(config(['lan', 'mid'], []));
    const first = await r2.daemon(config(['lan', 'mid'], ['lan']));
    await eventually(
      'r2 to depend on r1',
      () => twoWay(d1) === 1 && routeTo(d1, '10.1.0.0/24')?.dependents.includes('mid 10.9.0.2') === true,
      { withinMs: 15_000 },
    );
    const sender = await source.sender({ from: '10.1.0.2', groups: [GROUP], ratePerSec: 100 });
    const held = () => prunesOf(d1).filter(({ direction, group }) => direction === 'received' && group === GROUP);
    await eventually('the prune', () => held().length === 1);
    const idOf = () => (neighborsOf(d1)[0] as { generationId?: number } | undefined)?.generationId;
    const before = idOf();
    // when r2 is killed and its next process knows nothing, before r1 misses it
    first.process.signal('SIGKILL');
    await first.process.end();
    const second = await r2.daemon(config(['lan', 'mid'], ['lan']));
    const receiver = await host.receiver({ address: '10.2.0.2' });
    await receiver.join(GROUP);
    await eventually('the member', () =>
      second.ctl<{ group: string }[]>('show', 'groups').some(({ group }) => group === GROUP),
    );
    // then r1 has seen another generation id, and the stream is there after a Probe (10 s) and a flash update (5 s) at most
    await arrives(receiver, 'the stream', 20_000);
    expect(idOf()).not.toBe(before);
    expect(held()).toEqual([]);
    await sender.stop();
  },
  60_000,
);
