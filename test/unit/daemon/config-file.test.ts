/** The configuration file as it lies there: what is no text is answered with a place, what is no file with its kind. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { readConfigFile } from '../../../src/daemon/config-file.js';

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
  ['a pipe', () => execFileSync('mkfifo', [path]), /it is a pipe, not a regular file/],
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
