/** `--handoff`: the table goes to who serves it, and stays with who has it otherwise. */
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { EXIT } from '../../../src/daemon/process/exit-codes.js';
import { HandoffServer, SERVING_MS, type Successor } from '../../../src/daemon/state/handoff.js';
import { takeOver } from '../../../src/daemon/state/takeover.js';
import { eventually } from '../../support/eventually.js';
import { FakeClock } from '../../support/fake-clock.js';
import { RecordingLog } from '../../support/recording-log.js';

let folder: string;
let path: string;
let log: RecordingLog;
let clock: FakeClock;
let events: string[];
let server: HandoffServer | undefined;
let successor: Successor | undefined;
let stop: AbortController;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'mgmd-handoff-'));
  path = join(folder, 'handoff');
  log = new RecordingLog();
  clock = new FakeClock();
  events = [];
  successor = undefined;
  stop = new AbortController();
});

afterEach(() => {
  server?.close();
  server = undefined;
  rmSync(folder, { recursive: true, force: true });
});

async function listening({ uid = process.getuid?.(), errno = 0 } = {}): Promise<void> {
  server = new HandoffServer({
    path,
    log,
    peerUid: () => uid,
    addon: { passDescriptors: () => (events.push('passed'), errno) },
    descriptors: () => [],
    taken: (one) => {
      events.push('taken');
      successor = one;
    },
  });
  await eventually('the server to listen', () => statSync(path).isSocket());
}

interface Visitor {
  readonly socket: Socket;
  readonly heard: () => string;
}

/** Says these words one after the other, each after what it waits for. */
async function visitor(...words: readonly string[]): Promise<Visitor> {
  const socket = connect(path);
  let heard = '';
  socket.on('data', (said) => (heard += said.toString()));
  socket.on('error', () => undefined);
  await new Promise<void>((resolve) => socket.once('connect', () => resolve()));
  for (const [at, word] of words.entries()) {
    if (at > 0) await eventually('the sockets to be passed', () => events.includes('passed'));
    socket.write(word);
  }
  return { socket, heard: () => heard };
}

async function taken(): Promise<Visitor> {
  await listening();
  const one = await visitor('take\n', 'taken\n');
  await eventually('the successor', () => successor !== undefined);
  return one;
}

const closed = (socket: Socket) => new Promise((resolve) => socket.once('close', resolve));

test('the sockets are passed when they are asked for, and given up when the successor serves (B4)', async () => {
  const { socket, heard } = await taken();
  const serves = successor!.serves('/run/state.json', clock, stop.signal);
  await eventually('the word', () => heard() === 'yours /run/state.json\n');
  socket.write('serving\n');
  expect(await serves).toBe(true);
  expect(events).toEqual(['passed', 'taken']);
});

test('a successor that goes, says something else or takes too long does not serve, and is told to end (B4)', async () => {
  const ends: readonly ((one: Visitor) => unknown)[] = [
    ({ socket }) => socket.destroy(),
    ({ socket }) => socket.end(),
    ({ socket }) => socket.write('no\n'),
    () => clock.advance(SERVING_MS),
  ];
  for (const end of ends) {
    const one = await taken();
    const serves = successor!.serves('/s', clock, stop.signal);
    await eventually('the word', () => one.heard() === 'yours /s\n');
    end(one);
    expect(await serves).toBe(false);
    one.socket.destroy();
    server?.close();
    successor = undefined;
    events = [];
  }
});

test('a successor that has gone before the predecessor has let go does not serve (B4)', async () => {
  const { socket } = await taken();
  socket.destroy();
  await closed(socket);
  expect(await successor!.serves('/s', clock, stop.signal)).toBe(false);
});

test('a predecessor that is told to stop leaves everything to its successor (B4)', async () => {
  const { socket } = await taken();
  const serves = successor!.serves('/s', clock, stop.signal);
  stop.abort();
  expect(await serves).toBe(true);
  socket.destroy();
});

test('who connects and goes, says something else, or takes and goes, changes nothing (B4)', async () => {
  await listening();
  for (const words of [[], ['GET / HTTP/1.1\r\n'], ['take\n'], ['take\n', 'no\n']]) {
    events = [];
    (await visitor(...words)).socket.end();
  }
  expect(events).not.toContain('taken');
  events = [];
  const { socket } = await visitor('take\n', 'taken\n');
  await eventually('the successor', () => events.includes('taken'));
  socket.destroy();
});

test('of two successors the second one is told to end (B4)', async () => {
  await listening();
  const [one, other] = [await visitor('take\n'), await visitor('take\n')];
  await eventually('both to be served', () => events.length === 2);
  one.socket.write('taken\n');
  await eventually('the first one', () => successor !== undefined);
  other.socket.write('taken\n');
  await closed(other.socket);
  expect(other.heard()).toBe('back\n');
  one.socket.destroy();
});

test('sockets that cannot be sent stay, and so does who has them (B4)', async () => {
  await listening({ errno: 32 });
  const { socket } = await visitor('take\n');
  await closed(socket);
  expect(events).toEqual(['passed']);
  expect(log.of('daemon.handoff.failed')[0]?.message).toContain('mgmd goes on');
});

test('a user who is neither root nor we is sent away (B4)', async () => {
  await listening({ uid: 12_345 });
  const { socket } = await visitor('take\n');
  await closed(socket);
  expect(events).toEqual([]);
});

test('only a socket is replaced at the path (B4)', () => {
  writeFileSync(path, 'precious');
  server = new HandoffServer({
    path,
    log,
    peerUid: () => 0,
    addon: { passDescriptors: () => 0 },
    descriptors: () => [],
    taken: () => undefined,
  });
  expect(readFileSync(path, 'utf8')).toBe('precious');
  expect(log.of('daemon.handoff.failed')[0]?.message).toContain('there is a regular file, which stays');
});

/** The successor's side, against a predecessor that says what it is told to. */
const ERRNO = { nobody: [2, 111], refused: [1, 104] };
const asking = (askForDescriptors: () => number) =>
  takeOver({ addon: { askForDescriptors, takeDescriptors: () => 104 }, path, log, clock, stop: stop.signal });

test('without anybody there it starts, and it ends where somebody keeps the sockets (B4)', async () => {
  for (const errno of ERRNO.nobody) expect(await asking(() => -errno)).toEqual({ ok: true, value: undefined });
  for (const errno of ERRNO.refused) expect(await asking(() => -errno)).toEqual({ ok: false, error: EXIT.unavailable });
  expect(log.of('daemon.handoff.failed')).toHaveLength(ERRNO.refused.length);
});

test('a predecessor without time has a minute, and a signal ends the waiting at once (B4)', async () => {
  const answer = asking(() => -11);
  await clock.run(59_000);
  expect(log.of('daemon.handoff.failed')).toEqual([]);
  await clock.run(2000);
  expect(await answer).toEqual({ ok: false, error: EXIT.unavailable });
  const stopped = asking(() => -11);
  stop.abort();
  expect(await stopped).toEqual({ ok: false, error: EXIT.done });
});

interface Asking {
  readonly predecessor: Socket;
  readonly answer: ReturnType<typeof takeOver>;
  readonly end: () => void;
}

async function asked(): Promise<Asking> {
  const accepted: Socket[] = [];
  const there: Server = createServer((socket) => accepted.push(socket.on('error', () => undefined)));
  await new Promise<void>((resolve) => there.listen(path, resolve));
  const socket = connect(path);
  await eventually('the connection', () => accepted.length > 0);
  const addon = { askForDescriptors: () => 99, takeDescriptors: () => ({ names: '', fds: [] }) };
  const answer = takeOver({ addon, path, log, clock, stop: stop.signal, open: () => socket });
  const end = () => {
    accepted[0]!.destroy();
    there.close();
  };
  return { predecessor: accepted[0]!, answer, end };
}

test('the successor begins when the predecessor has let go, and ends when that takes everything back (B4)', async () => {
  const { predecessor, answer, end } = await asked();
  predecessor.write('yours /run/a/state.json\n');
  const taking = await answer;
  if (!taking.ok || !taking.value) throw new Error('it did not take over');
  const { statePath, takenBack } = taking.value;
  expect([statePath, takenBack.aborted]).toEqual(['/run/a/state.json', false]);
  predecessor.write('back\n');
  await eventually('it to be taken back', () => takenBack.aborted);
  end();
});

test('a predecessor that dies after it gave the sockets leaves them to the successor (B4)', async () => {
  const { predecessor, answer, end } = await asked();
  predecessor.destroy();
  expect(await answer).toMatchObject({ ok: true, value: { statePath: undefined } });
  end();
});

test('a predecessor that refuses at the last moment, or is stuck, goes on without a successor (B4)', async () => {
  const refusing = await asked();
  refusing.predecessor.write('back\n');
  expect(await refusing.answer).toEqual({ ok: false, error: EXIT.unavailable });
  refusing.end();
  const stuck = await asked();
  await eventually('it to wait', () => clock.due() > 0);
  clock.advance(60_000);
  expect(await stuck.answer).toEqual({ ok: false, error: EXIT.unavailable });
  stuck.end();
});
