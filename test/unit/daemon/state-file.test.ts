/** state.json: what a successor believes, and that nothing else than a line in the log can come of a bad one. */
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type SavedState, StateFile } from '../../../src/daemon/state-file.js';
import { RecordingLog } from '../../support/recording-log.js';

const STATE: SavedState = {
  table: 253,
  assignments: [{ name: 'eth0', configured: { owner: null, igmp: true }, now: { owner: 'red', igmp: true } }],
  joins: [{ interface: 'eth0', group: '239.1.1.1', source: null }],
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
