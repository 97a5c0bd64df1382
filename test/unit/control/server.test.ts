/** The control socket for real, in a temporary folder: hello, permissions, limits, left-over files. */
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createConnection, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ControlClient, ControlError, DaemonAway, type EventMessage } from '../../../src/control/client.js';
import { Counters } from '../../../src/control/counters.js';
import { REQUEST_LIMIT } from '../../../src/control/messages.js';
import { type ControlOptions, ControlServer } from '../../../src/control/server.js';
import { FakeClock } from '../../support/fake-clock.js';
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

test('a folder that nobody can make is a problem at once, not a loop (B4)', async () => {
  await expect(listen({ path: '/proc/mgmd-nowhere/deeper/mgmd.sock' })).rejects.toThrow('ENOENT');
});

test('a socket that answers stays, unless whoever answers was told to end (B4)', async () => {
  await listen();
  await expect(listen()).rejects.toThrow('another mgmd answers');
  await listen({ replaces: true });
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
  expect(await take).toMatchObject({ message: 'gave eth1 to static' });
});

test('a refusal reaches the client with code, sentence and data', async () => {
  await listen();
  operator.outcome = { code: 'ERROR_ALREADY_EXISTS', detail: 'ownedByOther', message: 'static owns eth1' };
  const call = (await connect()).call('take', { interface: 'eth1', client: 'x' });
  await expect(call).rejects.toEqual(
    new ControlError(1, 'cannot give eth1 to x: static owns eth1', {
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

test('a line beyond 64 KiB is refused and ends the connection', async () => {
  await listen();
  const { socket, heard } = rawPeer();
  socket.write('x'.repeat(REQUEST_LIMIT + 1));
  await eventually('the end of the connection', () => socket.closed || socket.readableEnded);
  expect(heard().at(-1)).toMatchObject({ id: null, error: { code: -32600, message: /more than 65536 bytes/ } });
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

test('what one user asks in bulk does not keep another waiting: users take turns, row by row (A4)', async () => {
  const uids = [...Array.from({ length: 20 }, () => 4711), 0];
  await listen({ peerUid: () => uids.shift() });
  let made = 0;
  operator.views.set('groups', {
    *rows() {
      for (; made < 400_000; made++) yield { group: made, text: 'x'.repeat(20) };
    },
  });
  const readers = await Promise.all(Array.from({ length: 20 }, connect));
  const all = readers.map((reader) => reader.rows('groups').catch(() => []));
  const root = await connect();
  await eventually('the readers to be served', () => made > 0);
  const before = made;
  for (let i = 0; i < 10; i++) expect(await root.rows('interfaces')).toHaveLength(1);
  expect(made).toBeGreaterThan(before);
  expect(made).toBeLessThan(400_000);
  for (const reader of readers) reader.close();
  await Promise.all(all);
});

test('a view that passes over much and shows little keeps nobody waiting (A4)', async () => {
  const uids = [4711, 0];
  await listen({ peerUid: () => uids.shift() });
  let passed = 0;
  operator.views.set('groups', {
    *rows() {
      for (; passed < 2_000_000; passed++) yield undefined;
      yield { group: 'last' };
    },
  });
  const reader = (await connect()).rows('groups');
  const root = await connect();
  await eventually('the reader to be served', () => passed > 0);
  expect(await root.rows('interfaces')).toHaveLength(1);
  expect(passed).toBeLessThan(2_000_000);
  expect(await reader).toEqual([{ group: 'last' }]);
});

test('empty lines are passed over a few a turn, as requests are (A4)', async () => {
  const uids = [4711, 0];
  await listen({ peerUid: () => uids.shift() });
  const { socket, heard } = rawPeer();
  await eventually('the hello', () => heard().length === 1);
  socket.write(`${'\n'.repeat(2_000_000)}x\n`);
  const root = await connect();
  for (let i = 0; i < 3; i++) expect(await root.rows('interfaces')).toHaveLength(1);
  expect(heard()).toHaveLength(1);
  await eventually('the answer to what follows', () => heard().length === 2);
});

test('a reader that asks for many tables and reads none makes the daemon keep two pages, not the tables (A4)', async () => {
  await listen();
  let made = 0;
  operator.views.set('groups', {
    *rows() {
      for (let at = 0; at < 100_000; at++, made++) yield { at, text: 'x'.repeat(1000) };
    },
  });
  const { socket } = rawPeer();
  socket.pause();
  for (let i = 0; i < 64; i++) socket.write(`{"jsonrpc":"2.0","id":${i},"method":"show.groups"}\n`);
  await eventually('the first page', () => made > 200);
  const client = await connect();
  for (let i = 0; i < 50; i++) await client.call('daemon.status');
  expect(made).toBeLessThan(1500);
});

test('64 idle readers do not lock an administrator out, and who is displaced hears why (A4)', async () => {
  const uids = [...Array.from({ length: 64 }, () => 4711), 0];
  const counters = new Counters();
  await listen({ peerUid: () => uids.shift(), counters });
  const readers: ControlClient[] = [];
  for (let i = 0; i < 64; i++) readers.push(await connect());
  // eight places are not for readers: the ninth last took that of the first
  await readers[0]!.closed;
  await expect(readers[0]!.call('daemon.status')).rejects.toThrow('this one was idle longest');
  expect((await connect()).hello.access).toBe('write');
  expect(await readers[63]!.rows('groups')).toEqual([]);
  expect(counters.get('control.displaced')).toBe(8);
  expect(log.of('control.full')).toHaveLength(3);
});

test('64 idle connections of root itself do not lock root out either (A4)', async () => {
  await listen();
  for (let i = 0; i < 64; i++) await connect();
  expect(await (await connect()).rows('groups')).toEqual([]);
});

test('a user with many busy connections gives one up for another user, and is refused a further one (A4)', async () => {
  const uids = [...Array.from({ length: 57 }, () => 4711), 4712];
  await listen({ peerUid: () => uids.shift() });
  let asked = 0;
  operator.views.set('groups', { rows: () => new Promise(() => asked++) });
  const busy: Promise<unknown>[] = [];
  for (let i = 0; i < 56; i++) busy.push((await connect()).rows('groups').catch((error: unknown) => error));
  await eventually('all questions to arrive', () => asked === 56);
  await expect(connect()).rejects.toThrow('none of yours is idle');
  expect(await (await connect()).rows('interfaces')).toHaveLength(1);
  expect(await busy[0]).toMatchObject({ message: /idle longest/ });
});

test('thousands of small requests in one write are answered a few a turn (A4)', async () => {
  await listen();
  const { socket, heard } = rawPeer();
  socket.write('x\n'.repeat(5000));
  await eventually('all answers', () => heard().length === 5001);
  expect(heard()[5000]).toMatchObject({ error: { code: -32700 } });
});

test('deep nesting in a request is answered as any other nonsense (A4)', async () => {
  await listen();
  const { socket, heard } = rawPeer();
  socket.write(`{"jsonrpc":"2.0","id":1,"method":"take","params":${'['.repeat(30_000)}${']'.repeat(30_000)}}\n`);
  socket.write(`{"jsonrpc":"2.0","id":2,"method":"take","params":${'{"a":'.repeat(8000)}1${'}'.repeat(8000)}}\n`);
  await eventually('two answers', () => heard().length === 3);
  expect(heard().map(({ error }) => (error as { code?: number } | undefined)?.code)).toEqual([
    undefined,
    -32602,
    -32602,
  ]);
});

test('a monitor that reads again after a burst hears how many events it missed (A4)', async () => {
  const counters = new Counters();
  await listen({ counters });
  const { socket, heard } = rawPeer();
  socket.write('{"jsonrpc":"2.0","id":1,"method":"monitor.start"}\n');
  await eventually('the monitor to be on', () => operator.handlers.size === 1);
  socket.pause();
  for (let i = 0; i < 1000; i++) operator.raise({ evt: 'mfe.changed', atMs: i, filler: 'x'.repeat(2000) });
  const lost = counters.get('control.events.lost');
  expect(lost).toBeGreaterThan(500);
  expect(log.of('control.events.lost')).toHaveLength(1);
  socket.resume();
  const events = () => heard().map((message) => message['params'] as EventMessage | undefined);
  await eventually('the gap to be told', () => events().some((event) => event?.evt === 'monitor.lost'));
  expect(events().find((event) => event?.evt === 'monitor.lost')).toMatchObject({ lost, time: 'now' });
  expect(events().filter((event) => event?.evt === 'mfe.changed')).toHaveLength(1000 - lost);
});

test('an event is turned into text once, however many monitor (A4)', async () => {
  await listen();
  for (let i = 0; i < 5; i++) await (await connect()).call('monitor.start');
  let texts = 0;
  operator.raise({ evt: 'mfe.created', atMs: 1, at: { toJSON: () => texts++ } });
  expect(texts).toBe(1);
});

test('a reader that takes nothing for a minute is disconnected, and only then (A4)', async () => {
  const clock = new FakeClock();
  await listen({ clock });
  operator.show('big', () => [{ text: 'x'.repeat(2_000_000) }]);
  const { socket, heard } = rawPeer();
  await eventually('the greeting', () => heard().length === 1);
  socket.pause();
  socket.write('{"jsonrpc":"2.0","id":1,"method":"show.big"}\n');
  await eventually('the question to arrive', () => socket.writableLength === 0);
  for (let i = 0; i < 3; i++) await (await connect()).rows('groups');
  await clock.run(60_000);
  expect(log.of('control.client.dropped')).toEqual([]);
  await clock.run(10_000);
  expect(log.of('control.client.dropped')).toHaveLength(1);
});

test('connections that come and go at once leave nothing behind (A4)', async () => {
  await listen();
  for (let i = 0; i < 300; i++) rawPeer().socket.destroy();
  const half = Array.from({ length: 30 }, () => rawPeer().socket);
  for (const socket of half) socket.write('{"jsonrpc":"2.0","id":1,"method":"mon');
  expect(await (await connect()).rows('groups')).toEqual([]);
  expect(operator.handlers.size).toBe(0);
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
