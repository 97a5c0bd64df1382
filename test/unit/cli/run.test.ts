/** The tool against a real socket and an operator that writes down what it is told: words, texts, exit codes. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { run } from '../../../src/cli/run.js';
import { ControlServer } from '../../../src/control/server.js';
import { eventually } from '../../support/eventually.js';
import { FakeOperator } from '../../support/fake-operator.js';
import { RecordingLog } from '../../support/recording-log.js';

let folder: string;
let path: string;
let operator: FakeOperator;
let server: ControlServer;
let mayWrite: boolean;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'mgmd-cli-'));
  path = join(folder, 'mgmd.sock');
  operator = new FakeOperator();
  mayWrite = true;
  const log = new RecordingLog();
  const peerUid = () => (mayWrite ? 0 : 4711);
  const listening = await ControlServer.listen({ path, operator, log, version: '1.2.3', peerUid });
  if (!listening.ok) throw new Error(listening.error.message);
  server = listening.value;
});

afterEach(async () => {
  await server.close();
  rmSync(folder, { recursive: true });
});

async function mgmctl(...argv: string[]): Promise<{ code: number; out: string; err: string }> {
  let out = '';
  let err = '';
  const code = await run({
    argv,
    version: '1.2.3',
    env: { MGMD_SOCKET: path },
    out: (text) => {
      out += text;
    },
    err: (text) => {
      err += text;
    },
    interrupted: new Promise(() => undefined),
  });
  return { code, out, err };
}

test('show prints a table for people and rows for programs, also by prefixes', async () => {
  const row = { interface: 'eth1', state: 'PG', owner: 'static', igmp: true, groups: 3 };
  expect(await mgmctl('sh', 'int')).toEqual({
    code: 0,
    out: 'INTERFACE  STATE  OWNER   IGMP  GROUPS\neth1       PG     static  yes        3\n',
    err: '',
  });
  for (const words of [
    ['--json', 'show', 'interfaces'],
    ['show', 'interfaces', '--json'],
    ['show', '--json', 'interfaces'],
  ])
    expect(JSON.parse((await mgmctl(...words)).out)).toEqual([row]);
});

test('an empty table says that it is empty', async () => {
  expect((await mgmctl('show', 'groups')).out).toBe('no groups\n');
  expect((await mgmctl('show', 'groups', '--json')).out).toBe('[]\n');
});

test('a view chooses its columns for people; programs get everything', async () => {
  operator.show('igmp', () => [{ interface: 'eth1', role: 'querier', nextQueryInMs: 1250 }], ['interface', 'role']);
  expect((await mgmctl('show', 'igmp')).out).toBe('INTERFACE  ROLE\neth1       querier\n');
  expect(JSON.parse((await mgmctl('show', 'igmp', '--json')).out)).toEqual([
    { interface: 'eth1', role: 'querier', nextQueryInMs: 1250 },
  ]);
});

test('what the fingers of FRR users type is understood', async () => {
  operator.show('mfc', () => [{ source: '10.0.0.1', group: '239.1.1.1' }]);
  operator.show('igmp.groups', () => [{ interface: 'eth1', group: '239.1.1.1' }]);
  operator.show('igmp.interfaces', () => [{ interface: 'eth1', role: 'querier' }]);
  expect((await mgmctl('show', 'ip', 'mroute')).out).toBe('SOURCE    GROUP\n10.0.0.1  239.1.1.1\n');
  expect((await mgmctl('show', 'ip', 'igmp', 'groups')).out).toBe((await mgmctl('show', 'igmp', 'groups')).out);
  expect((await mgmctl('sh', 'ip', 'igmp', 'interface')).out).toBe('INTERFACE  ROLE\neth1       querier\n');
});

test('counters are one object to a program', async () => {
  operator.show('counters', () => [
    { name: 'membership.joins', value: 3 },
    { name: 'upcall.nocache', value: 0 },
  ]);
  expect(JSON.parse((await mgmctl('--json', 'show', 'counters')).out)).toEqual({
    'membership.joins': 3,
    'upcall.nocache': 0,
  });
});

test('every change reaches the daemon and is confirmed in a sentence', async () => {
  expect(await mgmctl('take', 'eth1', '--by', 'static')).toEqual({ code: 0, out: 'gave eth1 to static\n', err: '' });
  expect((await mgmctl('release', 'eth1')).out).toBe('took eth1 away from its owner\n');
  expect((await mgmctl('rel', 'eth1', '--by', 'igmp')).out).toBe('took eth1 away from igmp\n');
  expect((await mgmctl('join', 'eth0', '239.1.1.1')).out).toBe('joined (*, 239.1.1.1) on eth0\n');
  expect((await mgmctl('leave', 'eth0', '232.1.1.1', '10.0.0.1')).out).toBe('left (10.0.0.1, 232.1.1.1) on eth0\n');
  expect((await mgmctl('log', 'debug')).out).toBe('set the log level to debug\n');
  expect(operator.calls).toEqual([
    'take eth1 static',
    'release eth1 undefined',
    'release eth1 igmp',
    'join eth0 239.1.1.1 *',
    'leave eth0 232.1.1.1 10.0.0.1',
    'log debug',
  ]);
});

test('handover says what was moved, a dry run what would be', async () => {
  const words = ['handover', 'eth1', '--from', 'static', '--to', 'static2'];
  expect((await mgmctl(...words)).out).toBe(
    'handed eth1 over from static to static2; IGMP paused meanwhile\n' +
      '  memberships there: 5; streams that come in by it: 1, that leave by it: 2\n',
  );
  expect((await mgmctl(...words, '--dry-run')).out).toBe(
    'would hand eth1 over from static to static2; IGMP would pause meanwhile\n' +
      '  memberships there: 5; streams that come in by it: 1, that leave by it: 2\n' +
      '  changed nothing (--dry-run)\n',
  );
  expect(JSON.parse((await mgmctl(...words, '--json')).out)).toMatchObject({ interface: 'eth1', done: true });
});

test('a refusal is exit code 1, a sentence for people and an object for programs', async () => {
  operator.outcome = { code: 'ERROR_ALREADY_EXISTS', detail: 'ownedByOther', message: 'static owns eth1' };
  expect(await mgmctl('take', 'eth1', '--by', 'dvmrp')).toEqual({
    code: 1,
    out: '',
    err: 'mgmctl: cannot give eth1 to dvmrp: static owns eth1\n',
  });
  expect(JSON.parse((await mgmctl('--json', 'take', 'eth1', '--by', 'dvmrp')).out)).toEqual({
    error: {
      code: 1,
      message: 'cannot give eth1 to dvmrp: static owns eth1',
      data: { code: 'ERROR_ALREADY_EXISTS', detail: 'ownedByOther' },
    },
  });
});

test('a user who may only look is told how to change things', async () => {
  mayWrite = false;
  expect(await mgmctl('take', 'eth1', '--by', 'static')).toMatchObject({
    code: 1,
    err: 'mgmctl: take: uid 4711 may look but not change anything; do it as root or as the user mgmd runs as\n',
  });
  expect((await mgmctl('status')).out).toContain('your access    read');
});

test.each([
  [['fly'], /there is no command "fly"; there is show, take/],
  [['show', 'nothing'], /there is no view "nothing"; there is interfaces, groups/],
  [['show'], /missing required argument 'view'/],
  [['take', 'eth1'], /required option '--by <client>' not specified/],
  [['handover', 'eth1', '--from', 'a'], /required option '--to <client>' not specified/],
  [['take', 'eth1', '--by', 'a', '--sideways'], /unknown option '--sideways'/],
  [['join', 'eth1', '10.0.0.1'], /"group" must be a multicast group .* \(got "10\.0\.0\.1"\)/],
])('%j is exit code 2 with what fits', async (words, message) => {
  const { code, err } = await mgmctl(...words);
  expect(err).toMatch(message);
  expect(code).toBe(2);
});

test('the version is that of the tool', async () => {
  expect(await mgmctl('--version')).toEqual({ code: 0, out: '1.2.3\n', err: '' });
});

test('help is exit code 0', async () => {
  const { code, out } = await mgmctl('--help');
  expect(code).toBe(0);
  for (const word of ['show', 'take', 'release', 'handover', 'join', 'leave', 'monitor']) expect(out).toContain(word);
});

test('a daemon that is away is exit code 69 with the path and what to look at', async () => {
  expect(await mgmctl('--socket', join(folder, 'none.sock'), 'show', 'groups')).toEqual({
    code: 69,
    out: '',
    err: `mgmctl: mgmd is away: ${folder}/none.sock: there is no such socket; is the daemon running, and is this its control.socket?\n`,
  });
});

test('status says who answers', async () => {
  expect((await mgmctl('status')).out).toBe(
    'mgmd 1.2.3, pid 42, up 7 s, table 253, log level info\n' +
      '  configuration  /etc/mgmd/mgmd.yaml\n' +
      '  protocols      igmp,static\n' +
      '  absent         ppp0\n' +
      '  pause scope    agent\n' +
      '  your access    write\n',
  );
});

test('monitor prints one line per event until it is interrupted', async () => {
  for (const json of [false, true]) {
    let out = '';
    let interrupt: () => void = () => undefined;
    const ended = run({
      argv: json ? ['mon', '--json'] : ['monitor'],
      version: '1.2.3',
      env: { MGMD_SOCKET: path },
      out: (text) => {
        out += text;
      },
      err: () => undefined,
      interrupted: new Promise((resolve) => {
        interrupt = resolve;
      }),
    });
    await eventually('the monitor', () => operator.handlers.size === 1);
    operator.raise({ evt: 'interface.taken', atMs: 1, interface: 'eth1', client: 'static' });
    await eventually('a line', () => out.endsWith('\n'));
    interrupt();
    expect(await ended).toBe(0);
    await eventually('the daemon to notice', () => operator.handlers.size === 0);
    if (json) expect(JSON.parse(out)).toMatchObject({ evt: 'interface.taken', interface: 'eth1', atMs: 1 });
    else expect(out).toMatch(/^\d\d:\d\d:\d\d\.\d{3}  interface\.taken        interface=eth1 client=static\n$/);
  }
});

test('--instance names the socket of one service among several, in both places and before MGMD_SOCKET (F53)', async () => {
  const away = 'mgmctl: mgmd is away: /run/mgmd-no.such_1/mgmd.sock: ';
  for (const words of [
    ['--instance', 'no.such_1', 'status'],
    ['sta', '--instance', 'no.such_1'],
  ]) {
    const { code, err } = await mgmctl(...words);
    expect({ code, err: err.slice(0, away.length) }).toEqual({ code: 69, err: away });
  }
});

test('an instance is a name, and not a second way to say where the socket is', async () => {
  expect(await mgmctl('status', '--instance', '../etc')).toEqual({
    code: 2,
    out: '',
    err: 'mgmctl: "../etc" is no name of an instance: mgmd@NAME.service is named by letters, digits, - _ . :\n',
  });
  expect(await mgmctl('status', '--instance', 'a', '--socket', path)).toEqual({
    code: 2,
    out: '',
    err: 'mgmctl: --socket and --instance both say which daemon is meant; name one\n',
  });
});

test('monitor ends with 69 when the daemon goes away', async () => {
  const ended = mgmctl('monitor');
  await eventually('the monitor', () => operator.handlers.size === 1);
  await server.close();
  expect(await ended).toMatchObject({ code: 69, err: `mgmctl: mgmd is away: ${path}: it closed the connection\n` });
});
