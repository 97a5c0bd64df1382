/**
 * The daemon ends in every way there is and comes back, under streams: the sockets outlive it, so the kernel goes on
 * forwarding, and nobody on the networks around notices. The service manager is a small one of the tests' own; the same
 * under real systemd is in test/systemd.
 */
import { expect } from 'vitest';
import { Capture, IGMP_TYPE } from '../support/capture.js';
import { eventually } from '../support/eventually.js';
import { Service } from '../support/service.js';
import { type Namespace, type Net, netnsTest } from '../support/topology.js';
import type { Receiver } from '../support/traffic.js';

const FIRST = '239.1.1.1';
const GROUPS = 20;
const QUICK =
  'queryInterval: 10s, queryResponseInterval: 1s, lastMemberQueryInterval: 200ms, startupQueryInterval: 500ms';

interface Scene {
  readonly net: Net;
  readonly isp: Namespace;
  readonly router: Namespace;
  readonly host: Namespace;
  readonly upstream: Capture;
  readonly service: Service;
  readonly receiver: Receiver;
}

function config(socket: string): string {
  return `
control: { socket: ${socket} }
restart: { window: 4s }
interfaces:
  wan: { owner: proxy }
  lan: { owner: proxy, igmp: { ${QUICK} } }
  spare: { igmp: { ${QUICK} } }
proxy:
  upstreams: [{ interface: wan }]
static:
  other: {}
`;
}

/** isp - wan router lan - host, and a third network; twenty groups flow. */
async function scene(net: Net, ...words: string[]): Promise<Scene> {
  const router = net.router('router');
  const isp = net.host('isp', router, 'wan', '10.0.0');
  const host = net.host('host', router, 'lan', '10.1.0');
  net.host('spare', router, 'spare', '10.2.0');
  const upstream = await Capture.start(net, isp, 'eth0');
  const service = await new Service(net, router, config, ...words).start();
  const receiver = await host.receiver({ address: '10.1.0.2' });
  await receiver.joinAll(FIRST, GROUPS);
  await isp.sender({ from: '10.0.0.2', groups: { first: FIRST, count: GROUPS }, ratePerSec: 2000, ttl: 8 });
  await eventually('all groups to flow', async () => (await receiver.report()).flows === GROUPS);
  return { net, isp, router, host, upstream, service, receiver };
}

/** Whatever happens in `body`: every packet came once, and nobody upstream heard of a leave. */
async function unnoticed({ receiver, upstream }: Scene, body: () => Promise<void>): Promise<void> {
  const before = await receiver.report();
  await body();
  const seen = (await receiver.report()).received;
  await eventually('the streams to go on', async () => (await receiver.report()).received > seen + 1000);
  const after = await receiver.report();
  expect({ lost: after.lost, duplicated: after.duplicated }).toEqual({
    lost: before.lost,
    duplicated: before.duplicated,
  });
  expect(leaves(upstream)).toEqual([]);
}

function leaves(upstream: Capture): readonly string[] {
  const left = /^(TO_IN|BLOCK) /;
  return upstream.packets().flatMap(({ type, records, groups }) => {
    if (type === IGMP_TYPE.leaveV2) return [`leave ${groups.join(' ')}`];
    return records.filter((record) => left.test(record));
  });
}

async function groupsAreBack({ service }: Scene): Promise<void> {
  await eventually('IGMP to know all groups again', () => {
    const rows = service.ctl<readonly { interface: string }[]>('show', 'igmp', 'groups');
    return rows.filter(({ interface: name }) => name === 'lan').length === GROUPS;
  });
}

netnsTest('F04 MGM-RST: restarts, kills and reloads lose no packet and no membership', async (net) => {
  const on = await scene(net);
  expect(on.service.stored()).toEqual(['mroute4', 'member4.0']);
  for (const signal of ['SIGTERM', 'SIGKILL', 'SIGHUP', 'SIGKILL', 'SIGHUP', 'SIGTERM', 'SIGABRT'] as const)
    await unnoticed(on, () => on.service.signal(signal));
  await groupsAreBack(on);
  await unnoticed(on, async () => {
    await eventually('the restart window to end', () => on.service.events('daemon.warm-start.ended').length > 0);
  });
  expect(on.service.events('daemon.warm-start.ended').at(-1)).toMatchObject({
    adopted: GROUPS,
    kept: GROUPS,
    swept: 0,
  });
  // Sockets of predecessors have been given up, the present ones are stored.
  await eventually('what predecessors had to be given up', () => on.service.stored().length === 2);
});
