/** passDescriptors, takeDescriptors, replaceProcess: sockets from process to process. */
import { execFile, execFileSync } from 'node:child_process';
import { closeSync, fstatSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { addon, ERRNO } from '../support/addon.js';

const ADDON = process.env['MGMD_ADDON'] ?? fileURLToPath(new URL('../../build/Release/mgmd.node', import.meta.url));

test('descriptors go over a connection of Node to a process that asks for them, and stay open here', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'mgmd-handover-'));
  const path = join(directory, 'socket');
  const fd = openSync('/dev/null', 'r');
  const server = createServer((socket: Socket) => {
    const { fd: at } = (socket as unknown as { _handle: { fd: number } })._handle;
    expect(addon.passDescriptors(at, 'one:two', Int32Array.of(fd, fd))).toBe(0);
    socket.destroy();
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  // asking blocks, so another process does it
  const script = `const a = require('${ADDON}'); const t = a.takeDescriptors('${path}', 5000);
    console.log(t.names, t.fds.length, t.fds.every((fd) => require('fs').fstatSync(fd).isCharacterDevice()))`;
  const { stdout } = await promisify(execFile)(process.execPath, ['-e', script]);
  expect(stdout).toBe('one:two 2 true\n');
  expect(fstatSync(fd).isCharacterDevice()).toBe(true);
  closeSync(fd);
  await new Promise((resolve) => server.close(resolve));
  rmSync(directory, { recursive: true });
});

test('a process becomes another program with its descriptors as 3, 4, ... and its standard streams', () => {
  const script = `const fs = require('fs'); const a = require('${ADDON}');
    const fds = [fs.openSync('/dev/null'), fs.openSync('/dev/zero')];
    a.replaceProcess('/bin/sh', ['sh', '-c', 'readlink /proc/$$/fd/3 /proc/$$/fd/4; echo $WORD'], ['WORD=given', 'PATH=/bin:/usr/bin'], Int32Array.from(fds))`;
  expect(execFileSync(process.execPath, ['-e', script], { encoding: 'utf8' })).toBe('/dev/null\n/dev/zero\ngiven\n');
});

test('nobody who listens, a program that is not there and wrong arguments are told', () => {
  expect(addon.takeDescriptors('/nowhere/at/all', 10)).toBe(2);
  expect(addon.replaceProcess('/nowhere/at/all', ['x'], [], new Int32Array(0))).toBe(2);
  const file = openSync('/dev/null', 'r');
  expect(addon.passDescriptors(file, 'x', Int32Array.of(file))).toBe(ERRNO.ENOTSOCK);
  closeSync(file);
  const wrong = addon as unknown as { replaceProcess: (...words: unknown[]) => unknown };
  expect(() => wrong.replaceProcess('/bin/sh', 'sh', [], new Int32Array(0))).toThrow(TypeError);
  expect(() => wrong.replaceProcess('/bin/sh', [1], [], new Int32Array(0))).toThrow('an array of strings');
});
