/** passDescriptors, takeDescriptors: sockets from process to process. */
import { execFile } from 'node:child_process';
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
    socket.once('data', (word) => {
      expect(word.toString()).toBe('take\n');
      expect(addon.passDescriptors(at, 'one:two', Int32Array.of(fd, fd))).toBe(0);
      socket.once('data', () => socket.destroy());
    });
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  const script = `const a = require('${ADDON}'); const fd = a.askForDescriptors('${path}');
    (function ask() {
      const t = a.takeDescriptors(fd);
      if (t === 11) return setImmediate(ask);
      console.log(t.names, t.fds.length, t.fds.every((fd) => require('fs').fstatSync(fd).isCharacterDevice()));
      require('fs').writeSync(fd, 'taken');
    })()`;
  const { stdout } = await promisify(execFile)(process.execPath, ['-e', script], { timeout: 10_000 });
  expect(stdout).toBe('one:two 2 true\n');
  expect(fstatSync(fd).isCharacterDevice()).toBe(true);
  closeSync(fd);
  await new Promise((resolve) => server.close(resolve));
  rmSync(directory, { recursive: true });
});

test('a path without a listener and wrong arguments return an error', () => {
  expect(addon.askForDescriptors('/nowhere/at/all')).toBe(-2);
  const file = openSync('/dev/null', 'r');
  expect(addon.passDescriptors(file, 'x', Int32Array.of(file))).toBe(ERRNO.ENOTSOCK);
  closeSync(file);
});
