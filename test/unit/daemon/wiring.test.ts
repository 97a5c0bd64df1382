/** Whole daemons on kernels in memory, driven through their control sockets: two of them in one process. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ip } from '../../../src/base/ip.js';
import { formatComplaint, parseConfig } from '../../../src/config/parse.js';
import { ControlClient, ControlError } from '../../../src/control/client.js';
import { LogThreshold } from '../../../src/daemon/pino-log.js';
import { Daemon } from '../../../src/daemon/wiring.js';
import type { Ifindex } from '../../../src/port/kernel.js';
import { eventually } from '../../support/eventually.js';
import { settle } from '../../support/fake-clock.js';
import { FakeKernel } from '../../support/fake-kernel.js';
import { reportV3, toEx } from '../../support/packet-builder.js';
import { RecordingLog } from '../../support/recording-log.js';

let folder: string;
const closers: (() => unknown)[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'mgmd-daemon-'));
});

afterEach(async () => {
  for (const closer of closers.splice(0).reverse()) await closer();
  rmSync(folder, { recursive: true });
});

const CONFIG = `
interfaces:
  send: { igmp: true }
  recv: { owner: red, igmp: true }
  ppp0: { owner: blue }
static:
  red: { joins: [{ interface: send, group: 239.1.1.1 }] }
  blue: {}
`;

function given(name = 'a', text = CONFIG) {
  const socket = join(folder, `${name}.sock`);
  const parsed = parseConfig(`control: { socket: ${socket} }${text}`, 'mgmd.yaml');
  if (!parsed.ok) throw new Error(parsed.error.map(formatComplaint).join('\n'));
  const kernel = new FakeKernel();
  kernel.addDevice('send', '10.1.0.1/24');
  kernel.addDevice('recv', '10.2.0.1/24');
  const log = new RecordingLog();
  const threshold = new LogThreshold();
  const { clock } = kernel;
  const control = { peerUid: () => 0 };
  const parts = { config: parsed.value.config, kernel, clock, log, threshold, version: '1.2.3', control };
  const daemon = new Daemon({ ...parts, lostLines: () => 3 });
  return { daemon, kernel, clock, log, threshold, socket };
}

async function started(name?: string, text?: string) {
  const it = given(name, text);
  expect(await it.daemon.start()).toBeUndefined();
  closers.push(() => it.daemon.stop());
  const client = await ControlClient.connect(it.socket);
  closers.push(() => client.close());
  const call = (method: string, params: Record<string, unknown> = {}) =>
    client.call<Record<string, unknown>>(method, params);
  const why = async (method: string, params: Record<string, unknown>): Promise<string> => {
    const error = await call(method, params).catch((refused: unknown) => refused);
    expect(error).toBeInstanceOf(ControlError);
    return (error as ControlError).message;
  };
  const shown = async () =>
    (await client.rows<Record<string, unknown>>('interfaces')).map(
      (row) =>
        `${row['name']} ${row['status']} ${row['owner'] ?? '-'} ${row['igmp'] ? 'igmp' : '-'} wants ${row['wantedOwner'] ?? '-'}`,
    );
  return { ...it, client, call, why, shown };
}

test('when the control socket accepts, everything configured that exists is served (F50)', async () => {
  const { shown, client } = await started();
  expect(await shown()).toEqual([
    'send steady - igmp wants -',
    'recv steady red igmp wants red',
    'ppp0 absent - - wants blue',
  ]);
  expect(client.hello.views).toEqual([
    'interfaces',
    'owners',
    'groups',
    'mfc',
    'clients',
    'rib',
    'counters',
    'joins',
    'host-groups',
    'igmp',
    'igmp.interfaces',
    'igmp.groups',
    'igmp.sources',
    'igmp.hosts',
    'igmp.querier',
    'igmp.statistics',
    'static.routes',
    'static.inputs',
  ]);
});

test('every view gives rows that are plain JSON', async () => {
  const { client } = await started();
  for (const view of client.hello.views) expect(Array.isArray(await client.rows(view))).toBe(true);
  expect(await client.rows('igmp')).toMatchObject([{ interface: 'send' }, { interface: 'recv', role: 'querier' }]);
  expect(await client.rows('joins')).toContainEqual({
    interface: 'send',
    group: '239.1.1.1',
    mode: 'exclude',
    sources: [],
    by: 'red',
    held: true,
    problem: null,
  });
});

test('lines of the log that were lost are among the counters (B2)', async () => {
  const { client } = await started();
  expect(await client.rows('counters')).toContainEqual({ name: 'log.lost', value: 3 });
});

test('two daemons in one process do not know of each other', async () => {
  const a = await started('a');
  const b = await started('b');
  await a.call('handover', { interface: 'recv', from: 'red', to: 'blue' });
  await a.clock.run(0);
  expect((await a.shown())[1]).toBe('recv steady blue igmp wants blue');
  expect((await b.shown())[1]).toBe('recv steady red igmp wants red');
});

test('a take of an owned interface is refused with the owner and what to do, and nothing changes (F41)', async () => {
  const { clock, call, why, shown } = await started();
  const before = await shown();
  expect(await why('take', { interface: 'recv', client: 'blue' })).toBe(
    'cannot give recv to blue: red owns it; "mgmctl handover recv --from red --to blue" moves it',
  );
  expect(await shown()).toEqual(before);
  expect(await call('release', { interface: 'recv' })).toMatchObject({ message: 'took recv away from red' });
  expect(await call('take', { interface: 'recv', client: 'blue' })).toMatchObject({ message: 'gave recv to blue' });
  await clock.run(0);
  expect((await shown())[1]).toBe('recv steady blue igmp wants blue');
});

test('a dry run of a handover changes nothing, a real one is remembered', async () => {
  const { clock, call, shown } = await started();
  const words = { interface: 'recv', from: 'red', to: 'blue' };
  expect(await call('handover', { ...words, dryRun: true })).toMatchObject({ done: false, igmp: true });
  expect((await shown())[1]).toBe('recv steady red igmp wants red');
  expect(await call('handover', words)).toMatchObject({ done: true });
  await clock.run(0);
  expect((await shown())[1]).toBe('recv steady blue igmp wants blue');
});

test('IGMP can be put on an interface that the configuration does not list', async () => {
  const { kernel, call, client } = await started();
  kernel.addDevice('eth9', '10.9.0.1/24');
  expect(await call('take', { interface: 'eth9', client: 'igmp' })).toMatchObject({ message: 'gave eth9 to igmp' });
  expect(await client.rows('igmp')).toContainEqual(expect.objectContaining({ interface: 'eth9', version: 3 }));
});

test('what cannot be done is answered with why and what there is', async () => {
  const { why } = await started();
  const refused = async (method: string, params: Record<string, unknown>) =>
    (await why(method, params)).split(': ').slice(1).join(': ');
  expect(await refused('take', { interface: 'ppp0', client: 'red' })).toBe(
    'ppp0 does not exist now; it is served as configured as soon as it appears',
  );
  expect(await refused('take', { interface: 'nix', client: 'red' })).toBe(
    'there is no interface nix; there is send, recv',
  );
  expect(await refused('take', { interface: 'send', client: 'pim' })).toBe(
    'there is no protocol "pim"; there is igmp, red, blue',
  );
  expect(await refused('take', { interface: 'recv', client: 'red' })).toBe('red is on recv already');
  expect(await refused('release', { interface: 'send' })).toBe(
    'no protocol owns send; IGMP alone is on it, "mgmctl release send --by igmp" takes it away',
  );
  expect(await refused('release', { interface: 'recv', client: 'blue' })).toBe('blue is not on recv; red owns it');
  expect(await refused('handover', { interface: 'recv', from: 'red', to: 'pim' })).toBe(
    'no protocol named pim is registered; there is igmp, red, blue',
  );
  expect(await refused('log.level', { level: 'loud' })).toBe('must be one of error, warn, info, debug (got "loud")');
});

test('an interface that comes, goes and comes again is served as it was last (F07, F08)', async () => {
  const { kernel, call, shown } = await started();
  const first = kernel.addDevice('ppp0', '10.3.0.1/24');
  await settle();
  expect((await shown()).at(-1)).toBe('ppp0 steady blue - wants blue');
  await call('handover', { interface: 'ppp0', from: 'blue', to: 'red' });
  await call('join', { interface: 'ppp0', group: '239.5.5.5' });
  kernel.deleteDevice(first);
  await settle();
  expect((await shown()).at(-1)).toBe('ppp0 absent - - wants red');
  const second = kernel.addDevice('ppp0', '10.3.0.1/24');
  await settle();
  expect((await shown()).at(-1)).toBe('ppp0 steady red - wants red');
  expect(kernel.membership.list()).toContainEqual(expect.objectContaining({ holder: 'manual', ifindex: second }));
});

test('the 33rd interface is refused with the count and shown as refused, the others are served (F14)', async () => {
  const names = Array.from({ length: 31 }, (_, n) => `a${n}`);
  const lines = names.map((name) => `  ${name}: { owner: red }\n`).join('');
  const it = given('a', `\ninterfaces:\n  send: { owner: red }\n  recv: { owner: red }\n${lines}static: { red: {} }\n`);
  for (const name of names) it.kernel.addDevice(name);
  await it.daemon.start();
  closers.push(() => it.daemon.stop());
  const client = await ControlClient.connect(it.socket);
  closers.push(() => client.close());
  const rows = await client.rows<{ name: string; status: string; problem: string | null }>('owners');
  expect(rows.filter(({ status }) => status === 'steady')).toHaveLength(32);
  expect(rows.find(({ name }) => name === 'a30')).toMatchObject({ status: 'refused', problem: /32/ });
  expect(it.log.of('interface.refused').map(({ fields }) => [fields['ifname'], fields['detail']])).toEqual([
    ['a30', 'noVif'],
  ]);
});

test('the monitor hears of a change of owner', async () => {
  const { client, call } = await started();
  const heard: string[] = [];
  client.onEvent(({ evt }) => heard.push(evt));
  await call('monitor.start');
  await call('handover', { interface: 'recv', from: 'red', to: 'blue' });
  await eventually('the events', () => heard.includes('interface.handed-over'));
  expect(heard.indexOf('igmp.disabled')).toBeLessThan(heard.indexOf('igmp.enabled'));
});

test('the log level can be changed while it runs', async () => {
  const { call, threshold } = await started();
  await call('log.level', { level: 'debug' });
  expect(threshold.level).toBe('debug');
  expect(await call('daemon.status')).toMatchObject({ logLevel: 'debug', version: '1.2.3', absent: ['ppp0'] });
});

test('a control socket that is held by another daemon stops the start with that reason', async () => {
  await started();
  const second = given();
  const problem = await second.daemon.start();
  expect(problem).toMatchObject({ inUse: true, message: /another mgmd answers on the control socket/ });
  await second.daemon.stop();
  expect(second.clock.due()).toBe(0);
});

test('stop releases every interface, leaves every group, empties the kernel and leaves no timer', async () => {
  const { daemon, kernel, clock, socket } = given();
  await daemon.start();
  await daemon.stop();
  expect(kernel.membership.list()).toEqual([]);
  expect(await kernel.mroute.dump()).toMatchObject({ entries: [], vifs: [] });
  expect(clock.due()).toBe(0);
  await expect(ControlClient.connect(socket)).rejects.toThrow('there is no such socket');
});

const RENAMED = `
interfaces:
  eth0: { owner: red, igmp: { groupFilter: [{ deny: 239.0.0.0/8 }] }, threshold: 3 }
  eth1: { owner: red, igmp: true }
static:
  red: {}
`;

/** What the daemon says of a report for 239.1.2.3 there: the number of groups. */
async function reportOn({ kernel, client }: Awaited<ReturnType<typeof started>>, ifindex: Ifindex): Promise<string[]> {
  const payload = reportV3(toEx('239.1.2.3'));
  kernel.igmp.receive({ ifindex, source: ip('10.9.0.7'), destination: ip('224.0.0.22'), payload });
  return (await client.rows<{ interface: string; group: string }>('igmp.groups')).map(
    (row) => `${row.interface} ${row.group}`,
  );
}

test('a renamed interface has the configuration of its new name, whichever way it came there (C6)', async () => {
  const it = await started('a', RENAMED);
  const { kernel, clock, client } = it;
  const [one, two] = [kernel.addDevice('eth1', '10.9.0.1/24'), kernel.addDevice('eth2', '10.9.0.2/24')];
  await clock.run(0);
  expect(await reportOn(it, one)).toEqual(['eth1 239.1.2.3']);
  const rename = async (ifindex: Ifindex, ...names: readonly string[]) => {
    for (const name of names) kernel.changeDevice(ifindex, { name });
    await clock.run(0);
  };
  // eth0 denies what eth1 admits
  await rename(one, 'eth0');
  expect(await client.rows('groups')).not.toContainEqual(expect.objectContaining({ group: '239.1.2.3' }));
  expect(await reportOn(it, one)).toEqual([]);
  // a name without a configuration, and back again within one turn
  await rename(one, 'eth7', 'eth1', 'eth0', 'eth1');
  expect(await reportOn(it, one)).toEqual(['eth1 239.1.2.3']);
  // a swap
  await rename(two, 'eth0');
  kernel.changeDevice(one, { name: 'tmp' });
  kernel.changeDevice(two, { name: 'eth1' });
  await rename(one, 'eth0');
  expect(await reportOn(it, one)).toEqual([]);
  expect(await reportOn(it, two)).toEqual(['eth1 239.1.2.3']);
  // one that was deleted, and another one with its ifindex within the same turn
  kernel.deleteDevice(two);
  kernel.deleteDevice(one);
  await settle();
  kernel.addDevice('eth1', '10.9.0.1/24', { ifindex: one });
  await clock.run(0);
  expect(await reportOn(it, one)).toEqual(['eth1 239.1.2.3']);
  expect((await it.shown()).slice(-2)).toEqual(['eth1 steady red igmp wants red', 'eth0 absent - - wants red']);
});

test('a rename in the middle of a hand-over ends it, and the new name is served (C6)', async () => {
  const it = await started('a', `${RENAMED}  blue: {}\n`);
  const { kernel, clock, call } = it;
  const one = kernel.addDevice('eth1', '10.9.0.1/24');
  await clock.run(0);
  const moved = call('handover', { interface: 'eth1', from: 'red', to: 'blue' }).catch(() => undefined);
  kernel.changeDevice(one, { name: 'eth0' });
  await moved;
  await clock.run(0);
  await clock.run(6000);
  expect((await it.shown()).slice(-2)).toEqual([
    'eth0 steady red igmp wants red',
    expect.stringContaining('eth1 absent'),
  ]);
});
