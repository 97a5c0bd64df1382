/**
 * The daemon ends in every way there is and comes back, under streams: the sockets outlive it, so the kernel goes on
 * forwarding, and nobody on the networks around notices. The service manager is a small one of the tests' own; the same
 * under real systemd is in test/systemd.
 */
// needs: tshark tcpdump
import { readFileSync, writeFileSync } from 'node:fs';
import { expect } from 'vitest';
import { ControlClient } from '../../src/control/client.js';
import { Capture, IGMP_TYPE } from '../support/capture.js';
import { eventually } from '../support/eventually.js';
import { Service } from '../support/service.js';
import { type Net, netnsTest } from '../support/topology.js';
import type { Receiver } from '../support/traffic.js';
import { config, FIRST, GROUPS } from '../support/twenty-groups.js';

interface Scene {
  readonly upstream: Capture;
  readonly service: Service;
  readonly receiver: Receiver;
}

/** isp - wan router lan - host, and a third network; twenty groups flow. */
async function scene(net: Net): Promise<Scene> {
  const router = net.router('router');
  const isp = net.host('isp', router, 'wan', '10.0.0');
  const host = net.host('host', router, 'lan', '10.1.0');
  net.host('spare', router, 'spare', '10.2.0');
  const upstream = await Capture.start(net, isp, 'eth0');
  const service = await new Service(net, router, config).start();
  const receiver = await host.receiver({ address: '10.1.0.2' });
  await receiver.joinAll(FIRST, GROUPS);
  await isp.sender({ from: '10.0.0.2', groups: { first: FIRST, count: GROUPS }, ratePerSec: 2000, ttl: 8 });
  await eventually('all groups to flow', async () => (await receiver.report()).flows === GROUPS);
  return { upstream, service, receiver };
}

/** Whatever happens in `body`: every packet came once, and nobody upstream heard of a leave but of `leaving`. */
async function unnoticed(
  { receiver, upstream }: Omit<Scene, 'service'>,
  body: () => Promise<void>,
  leaving = 'nothing',
): Promise<void> {
  const before = await receiver.report();
  await body();
  const seen = (await receiver.report()).received;
  await eventually('the streams to go on', async () => (await receiver.report()).received > seen + 1000);
  const after = await receiver.report();
  expect({ lost: after.lost, duplicated: after.duplicated }).toEqual({
    lost: before.lost,
    duplicated: before.duplicated,
  });
  expect(leaves(upstream).filter((record) => !record.split(' ').includes(leaving))).toEqual([]);
}

function leaves(upstream: Capture): readonly string[] {
  const left = /^(TO_IN|BLOCK) /;
  return upstream.packets().flatMap(({ type, records, groups }) => {
    if (type === IGMP_TYPE.leaveV2) return [`leave ${groups.join(' ')}`];
    return records.filter((record) => left.test(record));
  });
}

function owners({ service }: Scene): Record<string, string | null> {
  const rows = service.ctl<readonly { name: string; owner: string | null }[]>('show', 'owners');
  return Object.fromEntries(rows.filter(({ name }) => name !== 'lo').map(({ name, owner }) => [name, owner]));
}

async function groupsAreBack({ service }: Scene): Promise<void> {
  await eventually('IGMP to know all groups again', () => {
    const rows = service.ctl<readonly { interface: string }[]>('show', 'igmp', 'groups');
    return rows.filter(({ interface: name }) => name === 'lan').length === GROUPS;
  });
}

netnsTest('restarts, kills and reloads lose no packet and no membership (F04)', async (net) => {
  const on = await scene(net);
  expect(on.service.stored()).toEqual(['mroute4', 'member4.0']);
  for (const signal of ['SIGTERM', 'SIGKILL', 'SIGHUP', 'SIGKILL', 'SIGABRT'] as const)
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

netnsTest(
  'a reload with an unrelated change: the kernel counts on, and who is told READY is served at once (F05, F50)',
  async (net) => {
    const on = await scene(net);
    const counted = () => on.service.ctl<readonly { group: string; packets: number }[]>('show', 'mfc');
    const before = new Map(counted().map(({ group, packets }) => [group, packets]));
    await unnoticed(on, async () => {
      const changed = readFileSync(on.service.configFile, 'utf8').replace('other: {}', 'another: {}');
      writeFileSync(on.service.configFile, changed);
      await on.service.signal('SIGHUP');
      // no waiting here: the service manager starts what depends on us now
      expect(on.service.ctl<{ protocols: readonly string[] }>('status').protocols).toContain('another');
    });
    const after = counted();
    expect(after).toHaveLength(GROUPS);
    expect(after.filter(({ group, packets }) => !(packets > (before.get(group) ?? Infinity)))).toEqual([]);
  },
);

netnsTest('a reload that denies a group ends its stream at once, and the others lose nothing (D1)', async (net) => {
  const on = await scene(net);
  const out = () => on.service.ctl<readonly { group: string; oifs: readonly string[] }[]>('show', 'mfc');
  const denied = readFileSync(on.service.configFile, 'utf8').replaceAll(
    'igmp: {',
    'igmp: { groupFilter: [{ deny: 239.1.1.1/32 }],',
  );
  await unnoticed(
    on,
    async () => {
      writeFileSync(on.service.configFile, denied);
      await on.service.signal('SIGHUP');
      // no waiting here
      expect(out().filter(({ oifs }) => oifs.length > 0)).toHaveLength(GROUPS - 1);
      expect(out().find(({ group }) => group === FIRST)?.oifs ?? []).toEqual([]);
    },
    FIRST,
  );
  // an interface that goes as well, and nothing to repair
  await unnoticed(
    on,
    async () => {
      writeFileSync(on.service.configFile, denied.replace(/^ {2}spare: .*$/m, ''));
      await on.service.signal('SIGHUP');
    },
    FIRST,
  );
  await eventually('the restart window to end', () => on.service.events('daemon.warm-start.ended').length > 0);
  expect(on.service.events('kernel.repaired')).toEqual([]);
});

netnsTest('a reload with a mistake in the configuration changes nothing and says where it is', async (net) => {
  const on = await scene(net);
  writeFileSync(on.service.configFile, 'interfaces: { lan: { owner: nobody } }');
  await unnoticed(on, async () => {
    on.service.send('SIGHUP');
    await eventually('the reload to be refused', () => on.service.events('daemon.reload.refused').length > 0);
  });
  expect(String(on.service.events('daemon.reload.refused')[0]?.['msg'])).toContain('mgmd.yaml:1:');
  expect(owners(on)).toEqual({ wan: 'proxy', lan: 'proxy', spare: null });
  // a line with all of these would be longer than the log holds
  const wrong = Array.from({ length: 30_000 }, (_, n) => `  e${n}: { ownr: x }`).join('\n');
  writeFileSync(on.service.configFile, `interfaces:\n${wrong}\n`);
  on.service.send('SIGHUP');
  await eventually('the reload to be refused', () => on.service.events('daemon.reload.refused').length > 1, {
    withinMs: 30_000, // a large file, and processors that others may keep busy
  });
  expect(String(on.service.events('daemon.reload.refused')[1]?.['msg'])).toContain('; and 29980 more');
});

netnsTest(
  'a daemon that stands still for two seconds loses no packet, no member and no querier role (F49)',
  async (net) => {
    const on = await scene(net);
    await unnoticed(on, async () => {
      on.service.send('SIGSTOP');
      const seen = (await on.receiver.report()).received;
      await eventually('two seconds of streams', async () => (await on.receiver.report()).received > seen + 4000);
      on.service.send('SIGCONT');
    });
    await groupsAreBack(on);
    const roles = on.service.ctl<readonly { interface: string; role: string }[]>('show', 'igmp', 'querier');
    expect(roles.map(({ role }) => role)).toEqual(['querier', 'querier']);
  },
);

netnsTest('who was put where by an operator, and what was joined, is so after a crash (F04)', async (net) => {
  const on = await scene(net);
  on.service.ctl('take', 'spare', '--by', 'other');
  on.service.ctl('join', 'spare', '239.9.9.9');
  // changes that follow each other are saved within a second
  await eventually('the join to be saved', () => readFileSync(on.service.stateFile, 'utf8').includes('239.9.9.9'));
  const before = owners(on);
  expect(before).toEqual({ wan: 'proxy', lan: 'proxy', spare: 'other' });
  await unnoticed(on, () => on.service.signal('SIGKILL'));
  expect(owners(on)).toEqual(before);
  const joins = on.service.ctl<readonly { by: string; group: string }[]>('show', 'joins');
  expect(joins.filter(({ by }) => by === 'manual').map(({ group }) => group)).toEqual(['239.9.9.9']);
  // when the state is torn, then that costs a line in the log, and the configuration decides
  await unnoticed(on, async () => {
    const whole = readFileSync(on.service.stateFile);
    writeFileSync(on.service.stateFile, whole.subarray(0, whole.length / 2));
    await on.service.signal('SIGKILL');
  });
  expect(owners(on)).toEqual({ ...before, spare: null });
  expect(on.service.events('daemon.state.ignored')).toHaveLength(1);
});

netnsTest(
  'a crash in the middle of a hand-over leaves one owner or the other, and loses nothing (F04)',
  async (net) => {
    const on = await scene(net);
    for (let round = 0; round < 4; round++) {
      const owner = owners(on)['lan'] ?? '';
      const [from, to] = owner === 'proxy' ? ['proxy', 'other'] : ['other', 'proxy'];
      await unnoticed(on, async () => {
        const client = await ControlClient.connect(on.service.controlSocket);
        const answer = client.call('handover', { interface: 'lan', from, to }).catch(() => undefined);
        // in later rounds the hand-over gets further before the end comes
        for (let turn = 0; turn < round; turn++) await new Promise((resolve) => setImmediate(resolve));
        await on.service.signal('SIGKILL');
        await answer;
        client.close();
      });
      expect(['proxy', 'other']).toContain(owners(on)['lan']);
    }
  },
);

netnsTest(
  'descriptors that are not what their names say cost a line, and mgmd starts without them (F03)',
  async (net) => {
    const on = await scene(net);
    await on.service.forge();
    await on.service.signal('SIGKILL');
    expect(on.service.events('daemon.predecessor.refused')).toHaveLength(1);
    await eventually('the forged descriptors to be given up', () => on.service.stored().length === 2);
    const seen = (await on.receiver.report()).received;
    await eventually('the hosts to answer', async () => (await on.receiver.report()).received > seen + 1000);
  },
);
