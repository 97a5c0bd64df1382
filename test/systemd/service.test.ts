/**
 * The Debian package under a real systemd, in the container of scripts/test-systemd.mjs: installed, started, restarted in every way
 * there is under traffic, stopped, removed. One installation and one network: the order of the tests is the order of events.
 */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, expect, onTestFailed, test } from 'vitest';
import { eventually } from '../support/eventually.js';
import { Bed, CONFIG, ip, tableIsEmpty } from './bed.js';
import { twoInstances } from './instances.js';
import { killedInHandover, killedInPause, ownedByLeft } from './interrupted.js';
import { Runs } from './runs.js';
import { attempt, must, Service } from './service.js';

const RESULTS = process.env['MGMD_SYSTEMD_TEST']!;
const PACKAGES = { first: '/mgmd-packages/mgmd.deb', next: '/mgmd-packages/mgmd-next.deb' };
const CONFIG_FILE = '/etc/mgmd/mgmd.yaml';
const RUNTIME = '/run/mgmd';
const FILLED = `${RUNTIME}/filled`;

const service = new Service();
let bed: Bed;
let runs: Runs;

beforeAll(() => {
  must('mount', '--make-rshared', '/');
  bed = Bed.build();
  runs = new Runs(bed, service, `${RESULTS}/runs.jsonl`);
});

afterAll(() => bed.close());

/** Whatever a test has changed for itself. */
afterEach(() => {
  if (!existsSync(CONFIG_FILE)) return;
  service.removeDropIns();
  configure(CONFIG);
  attempt('mount', '-o', 'remount,rw', RUNTIME);
  rmSync(FILLED, { force: true });
});

/** A test of what the service does; when it fails the state of the network and the journal are printed. */
function serviceTest(title: string, body: () => Promise<void>): void {
  test(title, async () => {
    onTestFailed(() =>
      writeFileSync(`${RESULTS}/failed: ${title.slice(0, 60)}.txt`, `${bed.report()}\n${service.journal(200)}\n`),
    );
    await body();
  });
}

/** A run that nobody may notice. */
function unnoticed(title: string, run: string, times: number, act: (n: number) => Promise<void>): void {
  serviceTest(title, async () => {
    expect(await runs.run(run, times, act)).toEqual([]);
  });
}

/** A drop-in that the package brings along as an example. */
function example(name: string): string {
  return readFileSync(new URL(`../../packaging/examples/${name}.conf`, import.meta.url), 'utf8');
}

function configure(text: string): void {
  mkdirSync('/etc/mgmd', { recursive: true });
  writeFileSync(CONFIG_FILE, text);
}

serviceTest(
  'the package that is installed before there is a configuration does not start the service (F55)',
  async () => {
    must('dpkg', '-i', PACKAGES.first);
    expect(service.property('LoadState')).toBe('loaded');
    attempt('systemctl', 'start', service.unit);
    expect(service.property('ActiveState')).toBe('inactive');
    expect(ip('mroute').trim(), 'nothing of the table').toBe('');
  },
);

serviceTest('a client that is started after the service reaches it at once (F50)', async () => {
  configure(CONFIG);
  must('chgrp', 'mgmd', CONFIG_FILE);
  // A runtime directory of its own size, which can be filled and made read-only without touching the rest of /run.
  mkdirSync(RUNTIME);
  must('mount', '-t', 'tmpfs', '-o', 'size=256k,mode=0755', 'tmpfs', RUNTIME);
  await bed.before();
  writeFileSync(
    '/etc/systemd/system/client.service',
    `[Unit]\nRequires=${service.unit}\nAfter=${service.unit}\n[Service]\nType=oneshot\nExecStart=/usr/bin/mgmctl status\n`,
  );
  must('systemctl', 'daemon-reload');
  must('systemctl', 'start', 'client.service');
  expect(attempt('systemctl', 'is-failed', 'client.service').output).toBe('inactive');
});

serviceTest('streams reach every host before anything happens', async () => {
  await bed.traffic();
  const state = await runs.begin();
  writeFileSync(`${RESULTS}/before.json`, JSON.stringify(state, null, 1));
  expect(state.ownership).toEqual(OWNERSHIP);
  expect(state.groups.length, 'groups of hosts and of protocols').toBeGreaterThan(60);
  expect(await runs.run('nothing', 1, async () => undefined)).toEqual([]);
});

const OWNERSHIP = [
  'dv dvmrp igmp:false P steady',
  'lan proxy igmp:true PG steady',
  'mov left igmp:true PG steady',
  'src proxy igmp:true PG steady',
  'wan proxy igmp:false P steady',
];

unnoticed('ten restarts lose nothing (F04)', 'systemctl restart', 10, async () => service.does('restart'));

unnoticed('ten crashes lose nothing (F04)', 'SIGKILL', 10, async () => {
  const { pid } = service;
  service.signal('SIGKILL');
  await service.restarted(pid);
});

serviceTest('a process that stands still is replaced by the watchdog, and nothing is lost', async () => {
  service.dropIn('watchdog', '[Service]\nWatchdogSec=2s\n');
  const run = async () => {
    // The new time counts from the next start on.
    service.does('restart');
    const { pid } = service;
    service.signal('SIGSTOP');
    await service.restarted(pid);
  };
  expect(await runs.run('watchdog (SIGSTOP)', 1, run)).toEqual([]);
  expect(service.journal(100)).toContain('Watchdog timeout');
});

unnoticed('an upgrade and the way back lose nothing', 'dpkg -i, next and back', 2, async (n) => {
  const { pid } = service;
  must('dpkg', '-i', n === 0 ? PACKAGES.next : PACKAGES.first);
  await service.restarted(pid);
  expect(await service.version()).toMatch(n === 0 ? /\.\d+\.\d+\.1$/ : /^\d+\.\d+\.\d+$/);
});

serviceTest('twenty reloads lose nothing', async () => {
  const run = async (n: number) => {
    const { pid } = service;
    const journal = service.journalFromNow();
    configure(n % 2 === 0 ? CONFIG.replace('interfaces:', 'log: { level: debug }\ninterfaces:') : CONFIG);
    service.does('reload');
    await eventually('it to serve anew', () => journal().includes('"evt":"daemon.started"'), {
      withinMs: 20_000,
      everyMs: 150,
    });
    expect(service.pid, 'the same process').toBe(pid);
  };
  expect(await runs.run('systemctl reload', 20, run, { packets: 1_000 })).toEqual([]);
});

serviceTest('a crash in the middle of a hand-over loses nothing', async () => {
  const run = () => killedInHandover(service);
  expect(await runs.run('SIGKILL in a hand-over', 3, run, { settle: () => ownedByLeft(service) })).toEqual([]);
});

serviceTest('a crash in the middle of a pause of the whole host loses nothing', async () => {
  service.dropIn('pause', example('host-pause'));
  configure(`${CONFIG}pause: { scope: host }\n`);
  const run = async (n: number) => {
    if (n === 0) service.does('restart');
    await killedInPause(service);
  };
  const complaints = await runs.run('SIGKILL in a pause', 3, run, { settle: () => ownedByLeft(service) });
  expect(complaints).toEqual([]);
});

unnoticed('a full runtime directory loses nothing', 'restart, directory full', 1, async () => {
  attempt('dd', 'if=/dev/zero', `of=${FILLED}`, 'bs=1k');
  service.does('restart');
  rmSync(FILLED);
});

serviceTest('a runtime directory that is read-only when it stops loses nothing', async () => {
  service.dropIn(
    'read-only',
    `[Service]\nExecStopPost=+/usr/bin/nsenter --target 1 --mount /bin/mount -o remount,rw ${RUNTIME}\n`,
  );
  const run = async () => {
    must('mount', '-o', 'remount,ro', RUNTIME);
    service.does('restart');
  };
  expect(await runs.run('restart, directory read-only', 1, run)).toEqual([]);
});

serviceTest('it becomes an unprivileged user and root again, and nothing is lost (F40)', async () => {
  const run = async (n: number) => {
    service.dropIn('unprivileged', n === 0 ? example('unprivileged') : '[Service]\n');
    service.does('restart');
    expect(must('ps', '-o', 'user=', '-p', String(service.pid))).toBe(n === 0 ? 'mgmd' : 'root');
  };
  expect(await runs.run('restart as User=mgmd, and back', 2, run)).toEqual([]);
});

serviceTest('a stop empties the table and leaves upstream; this bed sees what a cold start costs (F03)', async () => {
  const joined = joinedUpstream();
  expect(joined.length, 'groups asked upstream').toBeGreaterThan(30);
  const run = async () => {
    service.does('stop');
    await tableIsEmpty();
    service.does('start');
  };
  const complaints = await runs.run('stop and cold start', 1, run, { cold: true });
  expect(complaints, 'it comes back all the same').toEqual([]);
  const left = new Set(runs.leaves.map((record) => record.split(' ')[1]!));
  expect([...left].sort(), 'all groups left upstream').toEqual(joined);
  expect(runs.rows.at(-1)!.lost, 'packets lost').toBeGreaterThan(1000);
});

serviceTest('the journal tells of no fault', async () => {
  const journal = attempt('journalctl', '--no-pager', '-o', 'cat', '-u', service.unit).output.split('\n');
  expect(journal.filter((line) => line.includes('"level":"error"'))).toEqual([]);
  service.does('stop');
  await tableIsEmpty();
});

serviceTest('without a privilege it ends, says which one, and is not started again (F40)', async () => {
  service.dropIn('unprivileged', example('unprivileged').replace('CAP_NET_RAW CAP_NET_ADMIN', 'CAP_NET_ADMIN'));
  expect(attempt('systemctl', 'start', service.unit).status).not.toBe(0);
  expect(service.property('ExecMainStatus')).toBe('77');
  expect(service.property('ActiveState')).toBe('failed');
  expect(service.journal(20)).toContain('CAP_NET_RAW');
});

serviceTest('two instances with two tables do not mix (F53)', () => twoInstances(bed));

test('a purge leaves nothing', () => {
  must('dpkg', '--purge', 'mgmd');
  for (const path of ['/usr/lib/mgmd', '/usr/sbin/mgmd', '/usr/bin/mgmctl', '/lib/systemd/system/mgmd.service'])
    expect(existsSync(path), path).toBe(false);
});

/** Groups that the router's kernel is a member of upstream, but for its own. */
function joinedUpstream(): readonly string[] {
  const rows = JSON.parse(ip('-json', '-4', 'maddress', 'show', 'dev', 'wan')) as { maddr: { address: string }[] }[];
  return rows
    .flatMap(({ maddr }) => maddr.map(({ address }) => address))
    .filter((group) => !group.startsWith('224.0.0.'))
    .sort();
}
