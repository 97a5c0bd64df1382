/** peerCredentials: who is at the other end of a Unix socket. */
import { closeSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { createConnection, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { addon, ERRNO } from '../support/addon.js';

const fdOf = (socket: Socket) => (socket as unknown as { _handle: { fd: number } })._handle.fd;

test('the credentials of a Unix peer are its process, user and group', async () => {
  // given a connection of this process to itself
  const directory = mkdtempSync(join(tmpdir(), 'mgmd-peer-'));
  const path = join(directory, 'socket');
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(path, resolve));
  const accepted = new Promise<Socket>((resolve) => server.once('connection', resolve));
  const client = createConnection(path);
  const peer = await accepted;
  // when either end is asked, then it names this process
  const self = { pid: process.pid, uid: process.getuid!(), gid: process.getgid!() };
  expect(addon.peerCredentials(fdOf(peer))).toEqual(self);
  expect(addon.peerCredentials(fdOf(client))).toEqual(self);
  client.destroy();
  peer.destroy();
  await new Promise((resolve) => server.close(resolve));
  rmSync(directory, { recursive: true });
});

test('a descriptor that is no socket, or none, answers with its errno', () => {
  const file = openSync('/dev/null', 'r');
  expect(addon.peerCredentials(file)).toBe(ERRNO.ENOTSOCK);
  closeSync(file);
  expect(addon.peerCredentials(4_000_000)).toBe(ERRNO.EBADF);
});
