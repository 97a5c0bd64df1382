/** The control socket for real, in a temporary folder: hello, permissions, limits, left-over files. */
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createConnection, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ControlClient, ControlError, DaemonAway, type EventMessage } from '../../../src/control/client.js';
import { REQUEST_LIMIT } from '../../../src/control/messages.js';
import { type ControlOptions, ControlServer } from '../../../src/control/server.js';
import { eventually } from '../../support/eventually.js';
import { FakeOperator } from '../../support/fake-operator.js';
import { RecordingLog } from '../../support/recording-log.js';
import { runs } from '../../support/runs.js';

let folder: string;
let path: string;
let operator: FakeOperator;
let log: RecordingLog;
const closers: (() => unknown)[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'mgmd-control-'));
  path = join(folder, 'run', 'mgmd.sock');
  operator = new FakeOperator();
  log = new RecordingLog();
});

afterEach(async () => {
  for (const closer of closers.splice(0).reverse()) await closer();
  rmSync(folder, { recursive: true });
});

async function listen(options: Partial<ControlOptions> = {}): Promise<ControlServer> {
  const all = { path, operator, log, version: '1.2.3', peerUid: () => 0, wallTime: () => 'now', ...options };
  const server = await ControlServer.listen(all);
  if (!server.ok) throw new Error(server.error.message);
  closers.push(() => server.value.close());
  return server.value;
}

async function connect(): Promise<ControlClient> {
  const client = await ControlClient.connect(path);
  closers.push(() => client.close());
  return client;
}

/** A peer without manners: what it hears, line by line. */
function rawPeer(): { readonly socket: Socket; readonly heard: () => readonly Record<string, unknown>[] } {
  const socket = createConnection(path);
  socket.on('error', () => undefined);
  closers.push(() => socket.destroy());
  let text = '';
  socket.on('data', (chunk) => {
    text += chunk.toString();
  });
  const heard = () =>
    text
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  return { socket, heard };
}

test('the first message is a hello with version, access and views', async () => {
  await listen();
  const client = await connect();
  expect(client.hello).toEqual({
    protocol: 1,
    version: '1.2.3',
    pid: process.pid,
    access: 'write',
    views: ['interfaces', 'groups'],
  });
});

test('the socket has mode 0660 and goes away with the server', async () => {
  const server = await listen();
  expect(statSync(path).mode & 0o777).toBe(0o660);
  await server.close();
  expect(() => statSync(path)).toThrow('ENOENT');
});

test("root and the daemon's own user may write; others, and peers the kernel does not name, only read", async () => {
  const uids = [0, process.getuid!(), 4711, undefined];
  await listen({ peerUid: () => uids.shift() });
  const access: string[] = [];
  for (let i = 0; i < 4; i++) access.push((await connect()).hello.access);
  expect(access).toEqual(['write', 'write', 'read', 'read']);
});

test('calls in flight at the same time get their own answers, also when one comes later', async () => {
  await listen();
  let answer: (outcome: { code: string }) => void = () => undefined;
  operator.outcome = new Promise((resolve) => {
    answer = resolve;
  });
  const client = await connect();
  const take = client.call('take', { interface: 'eth1', client: 'static' });
  expect(await client.rows('interfaces')).toMatchObject([{ interface: 'eth1' }]);
  answer({ code: 'NO_ERROR' });
  expect(await take).toMatchObject({ message: 'static is on eth1 now' });
});

test('a refusal reaches the client with code, sentence and data', async () => {
  await listen();
  operator.outcome = { code: 'ERROR_ALREADY_EXISTS', detail: 'ownedByOther', message: 'static owns eth1' };
  const call = (await connect()).call('take', { interface: 'eth1', client: 'x' });
  await expect(call).rejects.toEqual(
    new ControlError(1, 'x does not take eth1: static owns eth1', {
      code: 'ERROR_ALREADY_EXISTS',
      detail: 'ownedByOther',
    }),
  );
});

test('a mistake inside the daemon is answered, logged with its stack, and takes nobody down', async () => {
  await listen();
  operator.show('broken', () => {
    throw new Error('inside');
  });
  const client = await connect();
  await expect(client.rows('broken')).rejects.toThrow('show.broken failed inside mgmd; its log has the details');
  expect(log.of('control.request.failed')[0]!.fields['stack']).toContain('Error: inside');
  expect(await client.rows('groups')).toEqual([]);
});

test('a table of many pages arrives whole', async () => {
  await listen();
  const rows = Array.from({ length: 20_000 }, (_, at) => ({ group: at, text: 'some text that fills the page' }));
  operator.show('groups', () => rows);
  expect(await (await connect()).rows('groups')).toEqual(rows);
});

test('events reach everybody who monitors, with the wall time', async () => {
  await listen();
  const events: EventMessage[] = [];
  for (let i = 0; i < 2; i++) {
    const client = await connect();
    client.onEvent((event) => events.push(event));
    await client.call('monitor.start');
  }
  operator.raise({ evt: 'mfe.created', atMs: 5, group: '239.1.1.1' });
  await eventually('both events', () => events.length === 2);
  expect(events[0]).toEqual({ evt: 'mfe.created', atMs: 5, group: '239.1.1.1', time: 'now' });
});

test('a monitor that does not read is disconnected, and the others go on', async () => {
  await listen();
  const { socket } = rawPeer();
  socket.write('{"jsonrpc":"2.0","id":1,"method":"monitor.start"}\n');
  await eventually('the monitor to be on', () => operator.handlers.size === 1);
  socket.pause();
  const filler = 'x'.repeat(100_000);
  await eventually(
    'the slow reader to be dropped',
    () => {
      for (let i = 0; i < 20; i++) operator.raise({ evt: 'mfe.changed', atMs: 1, filler });
      return log.of('control.client.dropped').length > 0;
    },
    { everyMs: 1 },
  );
  expect(operator.handlers.size).toBe(0);
  expect(await (await connect()).rows('groups')).toEqual([]);
});

test('a client that asks and does not read is no longer read itself', async () => {
  await listen();
  let asked = 0;
  operator.show('big', () => {
    asked++;
    return [{ text: 'x'.repeat(200_000) }];
  });
  const { socket } = rawPeer();
  socket.pause();
  for (let i = 0; i < 300; i++) socket.write(`{"jsonrpc":"2.0","id":${i},"method":"show.big"}\n`);
  await eventually('the first questions', () => asked > 0);
  const client = await connect();
  for (let i = 0; i < 20; i++) await client.rows('groups');
  expect(asked).toBeLessThan(50);
  expect(log.of('control.client.dropped')).toEqual([]);
  // when it reads at last, it gets everything
  socket.resume();
  await eventually('all questions to be answered', () => asked === 300);
});

test('a line beyond 1 MiB is refused and ends the connection', async () => {
  await listen();
  const { socket, heard } = rawPeer();
  socket.write('x'.repeat(REQUEST_LIMIT + 1));
  await eventually('the end of the connection', () => socket.closed || socket.readableEnded);
  expect(heard().at(-1)).toMatchObject({ id: null, error: { code: -32600, message: /more than 1048576 bytes/ } });
});

test('what is no request is answered as such and the connection lives on', async () => {
  await listen();
  const { socket, heard } = rawPeer();
  socket.write('nonsense\n[]\n{"jsonrpc":"2.0","id":7}\n{"id":1,"method":"x"}\n');
  await eventually('four answers', () => heard().length === 5);
  expect(
    heard()
      .slice(1)
      .map((message) => [message['id'], (message['error'] as { code: number }).code]),
  ).toEqual([
    [null, -32700],
    [null, -32600],
    [7, -32600],
    [1, -32600],
  ]);
  socket.write('{"jsonrpc":"2.0","id":8,"method":"show.groups"}\n');
  await eventually('the last answer', () => heard().length === 6);
  expect(heard().at(-1)).toEqual({ jsonrpc: '2.0', id: 8, result: { rows: [] } });
});

test('fuzz: whatever bytes a peer sends, the next one is served', async () => {
  await listen();
  await fc.assert(
    fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 5 }), async (chunks) => {
      const { socket } = rawPeer();
      for (const chunk of chunks) socket.write(chunk);
      socket.end('\n');
      await eventually('the end', () => socket.closed, { everyMs: 1 });
    }),
    { numRuns: runs(40) },
  );
  expect(await (await connect()).rows('groups')).toEqual([]);
  expect(log.of('control.request.failed')).toEqual([]);
});

test('the socket file of a daemon that died is replaced', async () => {
  // given a file nobody answers on: bound, then its server gone without removing it
  await (await listen()).close();
  const { execFileSync } = await import('node:child_process');
  const leave = `const s = require('net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`;
  try {
    execFileSync(process.execPath, ['-e', leave], { stdio: 'ignore' });
  } catch {
    // it was killed, as intended
  }
  expect(statSync(path).isSocket()).toBe(true);
  // when a daemon starts, then it serves there
  await listen();
  expect((await connect()).hello.version).toBe('1.2.3');
});

test('the socket of a daemon that lives is not taken', async () => {
  await listen();
  const second = await ControlServer.listen({ path, operator, log, version: '1', peerUid: () => 0 });
  expect(second).toEqual({
    ok: false,
    error: {
      inUse: true,
      message: `another mgmd answers on the control socket ${path}; stop that one or set control.socket`,
    },
  });
  expect((await connect()).hello.version).toBe('1.2.3');
});

test('a file that is no socket is not removed', async () => {
  const file = join(folder, 'precious');
  writeFileSync(file, 'text');
  const server = await ControlServer.listen({ path: file, operator, log, version: '1', peerUid: () => 0 });
  expect(server).toMatchObject({ ok: false, error: { inUse: false, message: /holds something else/ } });
  expect(statSync(file).size).toBe(4);
});

test('a client is told what is wrong when there is no daemon, and when it goes away in the middle', async () => {
  await expect(ControlClient.connect(path)).rejects.toEqual(
    new DaemonAway(
      `mgmd is away: ${path}: there is no such socket; is the daemon running, and is this its control.socket?`,
    ),
  );
  const server = await listen();
  operator.outcome = new Promise(() => undefined);
  const client = await connect();
  const call = client.call('take', { interface: 'eth1', client: 'static' });
  const ended = expect(call).rejects.toThrow(`mgmd is away: ${path}: it closed the connection`);
  await server.close();
  await ended;
  await client.closed;
  await expect(client.call('daemon.status')).rejects.toBeInstanceOf(DaemonAway);
});

test('a daemon that speaks another version of the protocol is refused with both versions', async () => {
  const { mkdirSync } = await import('node:fs');
  mkdirSync(join(folder, 'run'));
  const other = createServer((socket) =>
    socket.write('{"jsonrpc":"2.0","method":"hello","params":{"protocol":9,"version":"9.1"}}\n'),
  ).listen(path);
  closers.push(() => other.close());
  await eventually('the other daemon', () => statSync(path).isSocket());
  await expect(ControlClient.connect(path)).rejects.toThrow(
    'it speaks version 9 of the control protocol, this side 1; use the tool of mgmd 9.1',
  );
});
