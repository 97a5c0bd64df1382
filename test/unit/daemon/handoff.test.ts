/** `--handoff`: the table goes to who has taken it, and stays with who has it otherwise. */
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { takenFromPredecessor } from '../../../src/daemon/descriptors.js';
import { HandoffServer } from '../../../src/daemon/handoff.js';
import { eventually } from '../../support/eventually.js';
import { RecordingLog } from '../../support/recording-log.js';

let folder: string;
let path: string;
let log: RecordingLog;
let events: string[];
let server: HandoffServer | undefined;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'mgmd-handoff-'));
  path = join(folder, 'handoff');
  log = new RecordingLog();
  events = [];
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
    letGo: async () => void events.push('let go'),
    done: () => void events.push('done'),
  });
  await eventually('the server to listen', () => statSync(path).isSocket());
}

/** Says these words one after the other, each after what it waits for, and goes. */
async function visitor(...words: readonly string[]): Promise<Socket> {
  const socket = connect(path);
  socket.on('error', () => undefined);
  await new Promise<void>((resolve) => socket.once('connect', () => resolve()));
  for (const [at, word] of words.entries()) {
    if (at > 0) await eventually('the sockets to be passed', () => events.includes('passed'));
    socket.write(word);
  }
  return socket;
}

test('the sockets are passed when they are asked for, and given up when they have been taken (B4)', async () => {
  await listening();
  await visitor('take\n', 'taken\n');
  await eventually('the end', () => events.includes('done'));
  expect(events).toEqual(['passed', 'let go', 'done']);
});

test('who connects and goes, says something else, or takes and goes, changes nothing (B4)', async () => {
  await listening();
  for (const words of [[], ['GET / HTTP/1.1\r\n'], ['take\n'], ['take\n', 'no\n']]) {
    events = [];
    (await visitor(...words)).end();
  }
  expect(events).not.toContain('let go');
  events = [];
  await visitor('take\n', 'taken\n');
  await eventually('the end', () => events.includes('done'));
});

test('sockets that cannot be sent stay, and so does who has them (B4)', async () => {
  await listening({ errno: 32 });
  const socket = await visitor('take\n');
  await new Promise((resolve) => socket.once('close', resolve));
  expect(events).toEqual(['passed']);
  expect(log.of('daemon.handoff.failed')[0]?.message).toContain('mgmd goes on');
});

test('a user who is neither root nor we is sent away (B4)', async () => {
  await listening({ uid: 12_345 });
  const socket = await visitor('take\n');
  await new Promise((resolve) => socket.once('close', resolve));
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
    letGo: async () => undefined,
    done: () => undefined,
  });
  expect(readFileSync(path, 'utf8')).toBe('precious');
  expect(log.of('daemon.handoff.failed')[0]?.message).toContain('there is a regular file, which stays');
});

test('a successor without an answer ends, because the table is not free; without anybody there it starts (B4)', () => {
  const answer = (errno: number) => takenFromPredecessor({ takeDescriptors: () => errno }, path, log);
  expect([2, 111].map(answer)).toEqual([[], []]);
  expect([110, 104, 1].map(answer)).toEqual([undefined, undefined, undefined]);
  expect(log.of('daemon.handoff.failed')).toHaveLength(3);
});
