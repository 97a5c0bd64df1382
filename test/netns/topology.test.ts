/** The namespaces, the sender and the receiver themselves: a direct link loses nothing. */
import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { eventually } from '../support/eventually.js';
import { netnsTest, withNet } from '../support/topology.js';

netnsTest(
  'a host on the same link receives every packet of the groups it joined and none of the others',
  async (net) => {
    // given two hosts on one wire, one of which joined 30 of 40 groups
    const [a, b] = [net.namespace('a'), net.namespace('b')];
    net.link([a, 'eth0', '10.0.0.1/24'], [b, 'eth0', '10.0.0.2/24']);
    const receiver = await b.receiver({ address: '10.0.0.2' });
    await receiver.joinAll('239.1.0.1', 30);
    // when the other sends 10 packets to each
    const sender = await a.sender({
      from: '10.0.0.1',
      groups: { first: '239.1.0.1', count: 40 },
      ratePerSec: 4000,
      count: 400,
    });
    expect((await sender.done()).sent).toBe(400);
    // then 300 arrive, once each
    await eventually('300 packets', async () => (await receiver.report()).received >= 300);
    expect(await receiver.report()).toEqual({ received: 300, duplicated: 0, reordered: 0, lost: 0, flows: 30 });
  },
);

test('a net leaves no namespace behind, not even when the test throws', async () => {
  let name = '';
  const failing = withNet(async (net) => {
    name = net.namespace('doomed').name;
    throw new Error('on purpose');
  });
  await expect(failing).rejects.toThrow('on purpose');
  expect(execFileSync('ip', ['netns', 'list'], { encoding: 'utf8' })).not.toContain(name);
});
