/**
 * `--handoff`: a daemon gives its sockets to a successor and ends when that serves; streams and hosts notice neither that nor a
 * successor that fails on the way.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import { Daemon } from '../support/daemon.js';
import { eventually } from '../support/eventually.js';
import { type Namespace, type Net, netnsTest } from '../support/topology.js';
import type { Receiver } from '../support/traffic.js';
import { config, FIRST, GROUPS } from '../support/twenty-groups.js';

const SUCCESSOR = fileURLToPath(new URL('../support/helpers/successor.py', import.meta.url));
interface Scene {
  readonly router: Namespace;
  readonly receiver: Receiver;
  readonly path: string;
  readonly first: Daemon;
}

/** isp - wan router lan - host, and a third network; twenty groups flow. */
async function scene(net: Net): Promise<Scene> {
  const router = net.router('router');
  const isp = net.host('isp', router, 'wan', '10.0.0');
  const host = net.host('host', router, 'lan', '10.1.0');
  net.host('spare', router, 'spare', '10.2.0');
  const path = join(net.temporaryDirectory(), 'handoff');
  const first = await started(net, router, path).ready();
  const receiver = await host.receiver({ address: '10.1.0.2' });
  await receiver.joinAll(FIRST, GROUPS);
  await isp.sender({ from: '10.0.0.2', groups: { first: FIRST, count: GROUPS }, ratePerSec: 2000, ttl: 8 });
  await eventually('all groups to flow', async () => (await receiver.report()).flows === GROUPS);
  return { router, receiver, path, first };
}

function started(net: Net, router: Namespace, path: string, written = config): Daemon {
  return net.keepDaemon(new Daemon(router, net.temporaryDirectory(), written, '--handoff', path));
}

async function unnoticed({ receiver }: Scene, body: () => Promise<void>): Promise<void> {
  const before = await receiver.report();
  await body();
  const seen = (await receiver.report()).received;
  await eventually('the streams to go on', async () => (await receiver.report()).received > seen + 1000);
  const { lost, duplicated } = await receiver.report();
  expect({ lost, duplicated }).toEqual({ lost: before.lost, duplicated: before.duplicated });
}

netnsTest('a successor takes over by --handoff, and the predecessor ends when it serves (B4)', async (net) => {
  const on = await scene(net);
  on.first.ctl('take', 'spare', '--by', 'other');
  await unnoticed(on, async () => {
    // its control socket, and with it state.json, is in another folder
    const second = started(net, on.router, on.path);
    expect(await on.first.process.end()).toBe(0);
    await second.ready();
    expect(second.events('daemon.warm-start')).toMatchObject([{ entries: GROUPS, vifs: 3 }]);
    const owners = second.ctl<readonly { name: string; owner: string | null }[]>('show', 'owners');
    expect(owners.find(({ name }) => name === 'spare')?.owner).toBe('other');
    await eventually('the restart window to end', () => second.events('daemon.warm-start.ended').length > 0);
    expect(second.events('daemon.warm-start.ended')).toMatchObject([{ adopted: GROUPS, kept: GROUPS, swept: 0 }]);
  });
});

netnsTest('a successor that dies, whenever it does, leaves everything with the predecessor (B4)', async (net) => {
  const on = await scene(net);
  for (const step of ['connect', 'ask', 'receive', 'take', 'wait'])
    await unnoticed(on, async () => {
      const before = on.first.events('daemon.started').length;
      const said = on.router.run('/usr/bin/python3', SUCCESSOR, on.path, step);
      expect(said.trim()).toBe(step === 'wait' ? 'yours' : '');
      if (step === 'take' || step === 'wait')
        await eventually('the predecessor to go on', () => on.first.events('daemon.started').length > before);
      expect(on.first.ctl<readonly unknown[]>('show', 'mfc')).toHaveLength(GROUPS);
    });
  expect(on.first.events('daemon.handoff.taken-back')).toHaveLength(2);
  expect(on.first.events('daemon.cold-start')).toHaveLength(1);
  // one that cannot serve, because its control socket has no place
  await unnoticed(on, async () => {
    const failing = started(net, on.router, on.path, () => config('/proc/nowhere/mgmd.sock'));
    expect(await failing.process.end()).not.toBe(0);
    await eventually('the predecessor to go on', () => on.first.events('daemon.handoff.taken-back').length === 3);
  });
  // and one that can
  await unnoticed(on, async () => {
    const second = started(net, on.router, on.path);
    expect(await on.first.process.end()).toBe(0);
    await second.ready();
  });
});

netnsTest('a reload to a configuration that cannot be served goes on with the one before (B4)', async (net) => {
  const on = await scene(net);
  await unnoticed(on, async () => {
    writeFileSync(on.first.configFile, config('/proc/nowhere/mgmd.sock'));
    on.first.process.signal('SIGHUP');
    await eventually('the reload to be refused', () => on.first.events('daemon.reload.refused').length > 0);
    await eventually('it to go on', () => on.first.events('daemon.started').length === 2);
    expect(on.first.ctl<readonly unknown[]>('show', 'mfc')).toHaveLength(GROUPS);
  });
});
