/** Static routes under traffic: both directions, ranges by the first packet, blocks, fail-over (issue of smcroute's users). */
import { expect } from 'vitest';
import type { Daemon } from '../support/daemon.js';
import { eventually } from '../support/eventually.js';
import { Member } from '../support/member.js';
import { type Namespace, type Net, netnsTest } from '../support/topology.js';

function lans(net: Net): { router: Namespace; a: Namespace; b: Namespace; c: Namespace } {
  const router = net.router('router');
  return {
    router,
    a: net.host('a', router, 'lan-a', '10.1.0'),
    b: net.host('b', router, 'lan-b', '10.2.0'),
    c: net.host('c', router, 'lan-c', '10.3.0'),
  };
}

const config =
  (routes: string, igmp = '') =>
  (socket: string): string =>
    `
control: { socket: ${socket} }
interfaces:
  lan-a: { owner: video }
  lan-b: { owner: video }
  lan-c: { owner: video${igmp} }
static:
  video:
    routes:
${routes}
`;

async function sends(host: Namespace, from: string, group: string, count = 0) {
  return host.sender({ from, groups: [group], ratePerSec: 200, count, ttl: 8 });
}

netnsTest('both directions of one group pass, each by its own outputs (G)', async (net) => {
  // given a group from a to b, and from b to a and c
  const { router, a, b, c } = lans(net);
  await router.daemon(
    config(`      - { group: 239.1.1.1, from: lan-a, to: [lan-b] }
      - { group: 239.1.1.1, from: lan-b, to: [lan-a, lan-c] }`),
  );
  const [atA, atB, atC] = [
    await Member.start(a, '10.1.0.2'),
    await Member.start(b, '10.2.0.2'),
    await Member.start(c, '10.3.0.2'),
  ];
  for (const member of [atA, atB, atC]) await member.join('239.1.1.1');
  // when both sides send
  await sends(a, '10.1.0.2', '239.1.1.1');
  await sends(b, '10.2.0.2', '239.1.1.1');
  // then b has a's, a and c have b's, and c has nothing of a
  await atB.gets('10.1.0.2', '239.1.1.1', 100);
  await atA.gets('10.2.0.2', '239.1.1.1', 100);
  await atC.gets('10.2.0.2', '239.1.1.1', 100);
  expect(await atC.flow('10.1.0.2', '239.1.1.1')).toMatchObject({ received: 0 });
  expect(await atB.flow('10.1.0.2', '239.1.1.1')).toMatchObject({ lost: 0, duplicated: 0 });
});

netnsTest(
  'a range forwards groups by their first packets, without losing one; the longest range counts (G)',
  async (net) => {
    const { router, a, b, c } = lans(net);
    await router.daemon(
      config(`      - { group: 239.1.0.0/16, from: lan-a, to: [lan-b] }
      - { source: 10.1.0.0/24, group: 239.1.5.0/24, from: lan-a, to: [lan-c] }`),
    );
    const [atB, atC] = [await Member.start(b, '10.2.0.2'), await Member.start(c, '10.3.0.2')];
    for (const member of [atB, atC]) for (const group of ['239.1.7.7', '239.1.5.5']) await member.join(group);
    // when two groups of the ranges are sent
    for (const group of ['239.1.7.7', '239.1.5.5']) await (await sends(a, '10.1.0.2', group, 200)).done();
    // then every packet has come, the first one too, and only where it should
    await eventually('all of them', async () => (await atC.flow('10.1.0.2', '239.1.5.5')).received === 200);
    expect(await atB.flow('10.1.0.2', '239.1.7.7')).toMatchObject({ received: 200, lost: 0, duplicated: 0 });
    expect(await atB.flow('10.1.0.2', '239.1.5.5')).toMatchObject({ received: 0 });
    expect(await atC.flow('10.1.0.2', '239.1.7.7')).toMatchObject({ received: 0 });
  },
);

netnsTest('a route without outputs blocks its groups, also for hosts that report them (G)', async (net) => {
  const { router, a, c } = lans(net);
  await router.daemon(config('      - { group: 239.1.1.0/24, from: lan-a, to: [] }', ', igmp: true'));
  const atC = await Member.start(c, '10.3.0.2');
  for (const group of ['239.1.1.1', '239.1.2.1']) await atC.join(group);
  await sends(a, '10.1.0.2', '239.1.1.1');
  await sends(a, '10.1.0.2', '239.1.2.1');
  await atC.gets('10.1.0.2', '239.1.2.1', 200);
  expect(await atC.flow('10.1.0.2', '239.1.1.1')).toMatchObject({ received: 0 });
});

interface InputRow {
  readonly group: string;
  readonly active: string;
}

const active = (daemon: Daemon) => daemon.ctl<readonly InputRow[]>('show', 'static', 'inputs')[0]?.active;

netnsTest(
  'of two inputs receivers get one copy; the other takes over when it falls silent, and it is told (F46)',
  async (net) => {
    // given one group that two senders feed, each on its own side
    const { router, a, b, c } = lans(net);
    const daemon = await router.daemon(
      config('      - { group: 239.1.1.1, from: [lan-a, lan-b], to: [lan-c], failoverAfter: 300ms }'),
    );
    const atC = await Member.start(c, '10.3.0.2');
    await atC.join('239.1.1.1');
    const first = await sends(a, '10.1.0.2', '239.1.1.1');
    await atC.gets('10.1.0.2', '239.1.1.1', 20);
    await sends(b, '10.2.0.2', '239.1.1.1');
    // when both send, then one copy comes
    await atC.gets('10.1.0.2', '239.1.1.1', 200);
    expect(await atC.flow('10.2.0.2', '239.1.1.1')).toMatchObject({ received: 0 });
    expect(active(daemon)).toBe('lan-a');
    // when the active one ends
    await first.stop();
    // then the other one comes, and stays
    await atC.gets('10.2.0.2', '239.1.1.1', 200);
    expect(active(daemon)).toBe('lan-b');
    expect(daemon.events('static.input.changed')).toMatchObject([{ from: 'lan-a', to: 'lan-b', reason: 'silent' }]);
    await sends(a, '10.1.0.2', '239.1.1.1');
    const before = await atC.flow('10.1.0.2', '239.1.1.1');
    await atC.gets('10.2.0.2', '239.1.1.1', 200);
    expect(await atC.flow('10.1.0.2', '239.1.1.1')).toEqual(before);
    // when its cable is pulled, then the first one is back at once
    b.ip('link', 'set', 'eth0', 'down');
    await atC.gets('10.1.0.2', '239.1.1.1', 100);
    expect(active(daemon)).toBe('lan-a');
  },
);

netnsTest('of five inputs the one that has the stream takes over directly (G, F46)', async (net) => {
  // given a group on the first of five inputs, and on the last
  const router = net.router('router');
  const names = ['a', 'b', 'c', 'd', 'e', 'out'];
  const hosts = names.map((name, n) => net.host(name, router, `lan-${name}`, `10.${n + 1}.0`));
  const daemon = await router.daemon(
    (socket) => `
control: { socket: ${socket} }
interfaces: { ${names.map((name) => `lan-${name}: { owner: video }`).join(', ')} }
static:
  video:
    routes:
      - { group: 239.1.1.1, from: [lan-a, lan-b, lan-c, lan-d, lan-e], to: [lan-out], failoverAfter: 300ms }
`,
  );
  const member = await Member.start(hosts[5]!, '10.6.0.2');
  await member.join('239.1.1.1');
  const first = await sends(hosts[0]!, '10.1.0.2', '239.1.1.1');
  await member.gets('10.1.0.2', '239.1.1.1', 20);
  await sends(hosts[4]!, '10.5.0.2', '239.1.1.1');
  await eventually('the kernel has told', () => daemon.ctlText('show', 'counters').includes('upcall.wrongvif'));
  // when the first falls silent, then the last takes over, and none between them
  await first.stop();
  await member.gets('10.5.0.2', '239.1.1.1', 100);
  expect(daemon.events('static.input.changed')).toMatchObject([{ from: 'lan-a', to: 'lan-e', reason: 'silent' }]);
});

const LOSSES: readonly (readonly [string, string, (router: Namespace) => void])[] = [
  ['gets another name', 'gone', (router) => router.ip('link', 'set', 'lan-a', 'name', 'lan-z')],
  [
    'becomes a port of a bridge',
    'released',
    (router) => {
      router.ip('link', 'add', 'br0', 'type', 'bridge');
      router.ip('link', 'set', 'lan-a', 'master', 'br0');
    },
  ],
];
for (const [what, reason, lose] of LOSSES)
  netnsTest(`an active input that ${what} is given up at once, also while routes lead there (G, C6)`, async (net) => {
    // given one source that both sides have, and a route to it by the first
    const { router, a, b, c } = lans(net);
    for (const host of [a, b]) host.ip('address', 'add', '10.9.0.9/32', 'dev', 'eth0');
    router.ip('route', 'add', '10.9.0.9/32', 'via', '10.1.0.2');
    const daemon = await router.daemon(config('      - { group: 239.1.1.1, from: [lan-a, lan-b], to: [lan-c] }'));
    const atC = await Member.start(c, '10.3.0.2');
    await atC.join('239.1.1.1');
    await sends(a, '10.9.0.9', '239.1.1.1');
    await atC.gets('10.9.0.9', '239.1.1.1', 20);
    await sends(b, '10.9.0.9', '239.1.1.1');
    // when the first goes
    lose(router);
    await eventually('the move', () => active(daemon) === 'lan-b');
    // then the stream goes on by the second
    await atC.gets('10.9.0.9', '239.1.1.1', 200);
    expect(daemon.events('static.input.changed')).toMatchObject([{ from: 'lan-a', to: 'lan-b', reason }]);
  });

netnsTest(
  'an input that moves to another namespace is given up at once, and taken again when it is back (G, C6)',
  async (net) => {
    // given a group on two inputs, a range on the first, and joins there
    const { router, a, b, c } = lans(net);
    const elsewhere = net.namespace('elsewhere');
    const daemon = await router.daemon(
      config(`      - { group: 239.1.1.1, from: [lan-a, lan-b], to: [lan-c] }
      - { group: 239.2.0.0/16, from: lan-a, to: [lan-c] }
    joins: [{ interface: lan-a, group: 239.2.0.0/28 }]`),
    );
    const joined = () => Number(router.run('sh', '-c', 'grep -c 02EF /proc/net/igmp || true'));
    const atC = await Member.start(c, '10.3.0.2');
    for (const group of ['239.1.1.1', '239.2.1.1']) await atC.join(group);
    for (const group of ['239.1.1.1', '239.2.1.1']) await sends(a, '10.1.0.2', group);
    await atC.gets('10.1.0.2', '239.1.1.1', 20);
    await sends(b, '10.2.0.2', '239.1.1.1');
    // when it moves away
    router.ip('link', 'set', 'lan-a', 'netns', elsewhere.name);
    // then the other input is active, and that it has gone is told
    await eventually('the move', () => active(daemon) === 'lan-b');
    await atC.gets('10.2.0.2', '239.1.1.1', 100);
    await eventually('the line', () => daemon.events('interface.lost').length === 1);
    // when it is back, then everything of it is there again
    elsewhere.ip('link', 'set', 'lan-a', 'netns', router.name);
    router.ip('link', 'set', 'lan-a', 'up');
    router.ip('address', 'add', '10.1.0.1/24', 'dev', 'lan-a');
    await atC.gets('10.1.0.2', '239.2.1.1', 100);
    expect(joined()).toBe(16);
  },
);
