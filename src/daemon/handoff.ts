/**
 * `--handoff PATH`: a successor that is started with the same path gets our sockets over it, and we end. For machines and
 * containers without systemd; what the successor does then is the same as after a restart.
 */
import { chmodSync, closeSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import type { Addon } from '../kernel/addon.js';
import type { Log } from '../port/log.js';
import type { NamedDescriptor } from './descriptors.js';
import { kindAt } from './files.js';

/** A successor asks at once. */
const ASKING_MS = 10_000;

export interface HandoffParts {
  readonly path: string;
  readonly addon: Pick<Addon, 'passDescriptors'>;
  readonly log: Log;
  readonly peerUid: (socket: Socket) => number | undefined;
  /** Duplicates of the sockets, which this closes; serving goes on. */
  readonly descriptors: () => readonly NamedDescriptor[];
  /** The successor has them: lets go of everything. */
  readonly letGo: () => Promise<unknown>;
  /** Nothing is left to do. */
  readonly done: () => void;
}

/**
 * "take" from root or our own user, the sockets to them, "taken" from them, and only then mgmd lets go and closes. Whoever
 * connects and says nothing, or goes in between, changes nothing.
 */
export class HandoffServer {
  readonly #parts: HandoffParts;
  readonly #server: Server;
  #taken = false;

  constructor(parts: HandoffParts) {
    this.#parts = parts;
    this.#server = createServer((socket) => this.#connected(socket));
    this.#server.on('error', (error) => this.#refused(error.message));
    const there = kindAt(parts.path);
    if (there !== undefined && there !== 'a socket') {
      this.#refused(`there is ${there}, which stays; move it away or name another path`);
      return;
    }
    // A socket that is there belongs to nobody: who listened has just been asked.
    rmSync(parts.path, { force: true });
    this.#server.listen(parts.path, () => chmodSync(parts.path, 0o600));
  }

  close(): void {
    this.#server.close();
  }

  #connected(socket: Socket): void {
    const uid = this.#parts.peerUid(socket);
    socket.on('error', () => undefined);
    if (uid !== 0 && uid !== process.getuid?.()) {
      socket.destroy();
      return;
    }
    socket.setTimeout(ASKING_MS, () => socket.destroy());
    onWord(socket, 'take\n', () => this.#pass(socket));
  }

  #pass(socket: Socket): void {
    const { addon, descriptors } = this.#parts;
    const passed = descriptors();
    const names = passed.map(({ name }) => name).join(':');
    const errno = addon.passDescriptors(
      descriptorOf(socket),
      names,
      Int32Array.from(passed, ({ fd }) => fd),
    );
    for (const { fd } of passed) closeSync(fd);
    if (errno !== 0) {
      this.#refused(`the sockets could not be sent (errno ${errno}); mgmd goes on, try again`);
      socket.destroy();
      return;
    }
    socket.setTimeout(0);
    onWord(socket, 'taken\n', () => void this.#end(socket));
  }

  async #end(socket: Socket): Promise<void> {
    const { log, path, letGo, done } = this.#parts;
    if (this.#taken) return;
    this.#taken = true;
    log.info({ evt: 'daemon.handed-off', path }, `a successor has taken over by ${path}; mgmd lets go and ends`);
    this.close();
    await letGo();
    socket.destroy();
    done();
  }

  #refused(why: string): void {
    const { log, path } = this.#parts;
    log.error({ evt: 'daemon.handoff.failed', path, why }, `no successor can take over by ${path}: ${why}`);
  }
}

/** Node keeps it to itself; without it nobody can be served. */
function descriptorOf(socket: Socket): number {
  const handle = (socket as unknown as { readonly _handle?: { readonly fd?: number } | null })._handle;
  return handle?.fd ?? 0;
}

/** Goes on after this word and nothing else. */
function onWord(socket: Socket, word: string, then: () => void): void {
  socket.once('data', (said) => {
    if (said.toString('latin1') === word) then();
    else socket.destroy();
  });
}
