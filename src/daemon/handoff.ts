/**
 * `--handoff PATH`: a successor that is started with the same path gets our sockets over it, and we end. For machines and
 * containers without systemd; what the successor does then is the same as after a restart.
 */
import { chmodSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import type { Addon } from '../kernel/addon.js';
import type { Log } from '../port/log.js';
import type { NamedDescriptor } from './descriptors.js';

export interface HandoffParts {
  readonly path: string;
  readonly addon: Addon;
  readonly log: Log;
  readonly peerUid: (socket: Socket) => number | undefined;
  /** Lets go of everything but the sockets, and names them; called once. */
  readonly letGo: () => Promise<readonly NamedDescriptor[]>;
  /** They have been sent: nothing is left to do. */
  readonly done: () => void;
}

export class HandoffServer {
  readonly #parts: HandoffParts;
  readonly #server: Server;
  #taken = false;

  constructor(parts: HandoffParts) {
    this.#parts = parts;
    this.#server = createServer((socket) => void this.#successor(socket));
    this.#server.on('error', (error) => this.#refused(error.message));
    // A file that is there belongs to nobody: who listened there has just been asked.
    rmSync(parts.path, { force: true });
    this.#server.listen(parts.path, () => chmodSync(parts.path, 0o600));
  }

  close(): void {
    this.#server.close();
  }

  async #successor(socket: Socket): Promise<void> {
    const { addon, log, path, peerUid } = this.#parts;
    const uid = peerUid(socket);
    if (this.#taken || (uid !== 0 && uid !== process.getuid?.())) {
      socket.destroy();
      return;
    }
    this.#taken = true;
    log.info({ evt: 'daemon.handed-off', path }, `a successor takes over by ${path}; mgmd lets go and ends`);
    this.close();
    const passed = await this.#parts.letGo();
    const errno = addon.passDescriptors(
      descriptorOf(socket),
      passed.map(({ name }) => name).join(':'),
      Int32Array.from(passed, ({ fd }) => fd),
    );
    if (errno !== 0)
      this.#refused(`the sockets could not be sent (errno ${errno}), so streams stop until hosts answer`);
    this.#parts.done();
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
