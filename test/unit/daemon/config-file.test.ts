/** The configuration file as it lies there: what is no text is answered with a place, what is no file with its kind. */
import { execFileSync } from 'node:child_process';
import { closeSync, constants, mkdtempSync, openSync, rmSync, symlinkSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { cannotRead, checkConfigFile, readConfigFile } from '../../../src/daemon/config-file.js';
import { FakeClock } from '../../support/fake-clock.js';

let folder: string;
let path: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'mgmd-config-'));
  path = join(folder, 'mgmd.yaml');
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

function said(): string {
  const read = readConfigFile(path, undefined);
  return 'config' in read ? 'accepted' : read.join('\n').replaceAll(path, 'F');
}

test('a file, also behind a link, is read; a byte order mark and CRLF do not matter (A7, B5)', () => {
  writeFileSync(join(folder, 'other.yaml'), '\ufefftable: 5\r\n');
  symlinkSync('other.yaml', path);
  expect(said()).toBe('accepted');
});

test.each([
  ['a pipe', () => execFileSync('mkfifo', [path]), /it is a pipe.*write it to a file, or check it with --check/],
  ['a device without an end', () => symlinkSync('/dev/zero', path), /it is a device, not a regular file/],
  ['a directory', () => symlinkSync(folder, path), /it is a directory, not a regular file/],
  ['a file of /proc, which claims no size', () => symlinkSync('/proc/self/maps', path), /^F:1:/],
  ['a file of 10 MB', () => writeFileSync(path, Buffer.alloc(10_000_000, 0x23)), /larger than 2 MiB/],
  ['nothing', () => undefined, /ENOENT/],
])('%s in its place is refused (A7, B5)', (_what, plant, why) => {
  plant();
  expect(said()).toMatch(why);
});

test.each([
  [[0x61, 0x3a, 0x20, 0xff], 'F:1:4: not UTF-8; save the file as UTF-8'],
  [[0x0a, 0x0a, 0xc3, 0x28], 'F:3:1: not UTF-8; save the file as UTF-8'],
  [[0xff, 0xfe, 0x61, 0x00], 'F:1:1: not UTF-8; it looks like UTF-16, save it as UTF-8'],
  [[0x61, 0x00], 'F:1:1: "a\\u0000" contains the control character U+0000; remove it'],
])('bytes %j are refused with their place (A7)', (bytes, complaint) => {
  writeFileSync(path, Buffer.from(bytes));
  expect(said().slice(0, complaint.length)).toBe(complaint);
});

/** A pipe with a writer: `body` writes to it by its number, and closes it when it likes. */
async function piped(body: (fd: number) => void, clock = new FakeClock()): Promise<string> {
  execFileSync('mkfifo', [path]);
  // opened for both, so that it needs no reader
  const fd = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
  const writer = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK);
  const checked = checkConfigFile(path, undefined, clock);
  closeSync(fd);
  body(writer);
  for (let at = 0; at < 2000; at++) await clock.run(10);
  const read = await checked;
  return 'config' in read ? `table ${read.config.table}` : read.join('\n').replaceAll(path, 'F');
}

test('a check reads a pipe to its end, in pieces (A7, B5)', async () => {
  const clock = new FakeClock();
  const answer = piped((writer) => {
    writeSync(writer, 'tab');
    clock.after(500, () => writeSync(writer, 'le: 7\n'));
    clock.after(1000, () => closeSync(writer));
  }, clock);
  expect(await answer).toBe('table 7');
});

test.each([
  ['never ends', () => undefined, /did not end within 10 s/],
  ['says nothing', closeSync, /nothing came through the pipe/],
  ['says what is wrong', (fd: number) => (writeSync(fd, 'tabel: 7'), closeSync(fd)), /^F:1:1: .*table/],
])('a check of a pipe whose writer %s is answered (A7, B5)', async (_what, body, why) => {
  expect(await piped(body)).toMatch(why);
});

test('a check of a file, and of one that is missing, is as ever (A7, B5)', async () => {
  expect(await checkConfigFile(path, undefined, new FakeClock())).toMatchObject([expect.stringContaining('ENOENT')]);
  writeFileSync(path, 'table: 5');
  expect(await checkConfigFile(path, undefined, new FakeClock())).toMatchObject({ config: { table: 5 } });
});

test('a file that cannot be opened for want of descriptors is not to be replaced by another (A3)', () => {
  expect(cannotRead('F', 'EMFILE: too many open files')[0]).toContain('raise LimitNOFILE of the service');
  expect(cannotRead('F', 'ENFILE: file table overflow')[0]).toContain('raise fs.file-max');
  expect(cannotRead('F', 'ENOENT: no such file or directory')[0]).toContain('start with --config FILE');
});
