/** state.json: what a successor believes, and that nothing else than a line in the log can come of a bad one. */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type SavedState, StateFile } from '../../../src/daemon/state/state-file.js';
import { RecordingLog } from '../../support/recording-log.js';

const STATE: SavedState = {
  table: 253,
  assignments: [{ name: 'eth0', configured: { owner: null, igmp: true }, now: { owner: 'red', igmp: true } }],
  joins: [{ interface: 'eth0', group: '239.1.1.1', source: null }],
  leaving: true,
  windowLeftMs: 0,
  guests: ['eth2'],
  protocols: { dvmrp: { anything: [1, 2, 3] } },
};

let folder: string;
let path: string;
let log: RecordingLog;
let file: StateFile;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'mgmd-state-'));
  path = join(folder, 'state.json');
  log = new RecordingLog();
  file = new StateFile(path, log);
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

function stored(): Record<string, unknown> {
  return JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;
}

test('what was saved is what is loaded, and nothing lies beside it', () => {
  expect(file.save(STATE)).toBe(true);
  expect(file.load(253)).toEqual({ ...STATE, ageMs: expect.any(Number) });
  expect(readdirSync(folder)).toEqual(['state.json']);
  expect(log.lines).toEqual([]);
});

const spoilt: readonly (readonly [string, (state: Record<string, unknown>) => unknown])[] = [
  ['of another format', (state) => ({ ...state, format: 2 })],
  ['of another boot', (state) => ({ ...state, life: 'another one' })],
  ['older than ten minutes', (state) => ({ ...state, savedAtMs: Number(state['savedAtMs']) - 600_001 })],
  ['from the future', (state) => ({ ...state, savedAtMs: Number(state['savedAtMs']) + 3_600_000 })],
  ['without a time', (state) => ({ ...state, savedAtMs: 'yesterday' })],
  ['of another table', (state) => ({ ...state, table: 100 })],
  ['with an assignment without a name', (state) => ({ ...state, assignments: [{ now: {}, configured: {} }] })],
  [
    'with an owner that is a number',
    (state) => ({
      ...state,
      assignments: [{ name: 'eth0', configured: { owner: null, igmp: true }, now: { owner: 5, igmp: true } }],
    }),
  ],
  ['with joins that are no list', (state) => ({ ...state, joins: 'all' })],
  ['with a join to nothing', (state) => ({ ...state, joins: [{ interface: 'eth0' }] })],
  ['with protocols that are a list', (state) => ({ ...state, protocols: [] })],
  ['that is a list', () => []],
  ['that is null', () => null],
];

test.each(spoilt)('a file %s is ignored with one line that says why', (_what, spoil) => {
  file.save(STATE);
  writeFileSync(path, JSON.stringify(spoil(stored())));
  expect(file.load(253)).toBeUndefined();
  expect(log.lines.map(({ fields }) => fields.evt)).toEqual(['daemon.state.ignored']);
});

test('a torn file is ignored, wherever it is torn', () => {
  file.save(STATE);
  const whole = readFileSync(path);
  for (let length = 0; length < whole.length; length += 7) {
    writeFileSync(path, whole.subarray(0, length));
    expect(file.load(253)).toBeUndefined();
  }
});

test('no file is ignored as well', () => {
  expect(file.load(253)).toBeUndefined();
  expect(log.lines[0]?.message).toContain('no such file');
});

test('a directory that is gone costs one line, not one every time, and the daemon goes on', () => {
  rmSync(folder, { recursive: true });
  expect(file.save(STATE)).toBe(false);
  expect(file.save(STATE)).toBe(false);
  expect(log.of('daemon.state.unwritten')).toHaveLength(1);
  mkdirSync(folder);
  expect(file.save(STATE)).toBe(true);
  expect(file.save(STATE)).toBe(true);
  expect(log.of('daemon.state.written')).toHaveLength(1);
  chmodSync(folder, 0o755);
  rmSync(folder, { recursive: true });
  expect(file.save(STATE)).toBe(false);
  expect(log.of('daemon.state.unwritten')).toHaveLength(2);
});

test('a write that fails leaves the file of before as it was', () => {
  file.save(STATE);
  mkdirSync(`${path}.new`);
  expect(file.save({ ...STATE, joins: [] })).toBe(false);
  expect(file.load(253)).toMatchObject(STATE);
});

/** What lies in the place of the file, and the word of the log that says so. */
const PLANTED: readonly (readonly [string, (at: string) => void, RegExp])[] = [
  ['a link to a state of somebody', (at) => symlinkSync(`${at}.true`, at), /symbolic link/],
  ['a link to /dev/zero', (at) => symlinkSync('/dev/zero', at), /symbolic link/],
  ['a pipe that nobody writes', (at) => execFileSync('mkfifo', [at]), /a pipe, not a regular file/],
  ['a directory', (at) => mkdirSync(at), /a directory, not a regular file/],
  ['a file of 100 MB', (at) => (writeFileSync(at, ''), truncateSync(at, 100_000_000)), /larger than 64 MiB/],
  ['a file that others can write', (at) => (writeFileSync(at, '{}'), chmodSync(at, 0o666)), /written by others/],
];

test.each(PLANTED)('%s in the place of the file is neither followed nor waited for (B5)', (_what, plant, why) => {
  file.save(STATE);
  writeFileSync(`${path}.true`, readFileSync(path));
  rmSync(path);
  plant(path);
  expect(file.load(253)).toBeUndefined();
  expect(log.of('daemon.state.ignored')[0]?.message).toMatch(why);
  const saved = file.save(STATE);
  // what a directory holds is not removed for it
  expect(saved).toBe(!lstatSync(path).isDirectory());
  if (saved) expect(file.load(253)).toMatchObject(STATE);
});

test('what lies beside the file for the next save is not written through (B5)', () => {
  writeFileSync(`${path}.victim`, 'untouched');
  symlinkSync(`${path}.victim`, `${path}.new`);
  expect(file.save(STATE)).toBe(true);
  execFileSync('mkfifo', [`${path}.new`]);
  expect(file.save(STATE)).toBe(true);
  expect(readFileSync(`${path}.victim`, 'utf8')).toBe('untouched');
  expect(file.load(253)).toMatchObject(STATE);
});

test('in a directory where others may replace the file it is neither read nor written (B5)', () => {
  file.save(STATE);
  chmodSync(folder, 0o777);
  expect(file.load(253)).toBeUndefined();
  expect(file.save(STATE)).toBe(false);
  expect(log.of('daemon.state.unwritten')[0]?.message).toContain('can be written by others');
  // as in /tmp, where everybody may add and nobody may replace
  chmodSync(folder, 0o1777);
  expect(file.load(253)).toMatchObject(STATE);
});

test('names of JavaScript, and nesting without an end, are nothing special in a state (B5)', () => {
  file.save(STATE);
  const whole = readFileSync(path, 'utf8');
  writeFileSync(path, whole.replace('"dvmrp"', '"__proto__"'));
  expect(Object.keys(file.load(253)?.protocols ?? {})).toEqual(['__proto__']);
  writeFileSync(path, whole.replace('[1,2,3]', `${'['.repeat(100_000)}${']'.repeat(100_000)}`));
  expect(file.load(253)?.table).toBe(253);
});
