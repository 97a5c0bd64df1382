/**
 * `--handoff PATH`: a successor that is started with the same path gets our sockets over it, and we end when it serves. For
 * machines and containers without systemd; what the successor does then is the same as after a restart.
 */
import { chmodSync, closeSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import type { Addon } from '../../kernel/addon.js';
import type { Clock } from '../../port/clock.js';
import type { Log } from '../../port/log.js';
import type { NamedDescriptor } from './descriptors.js';
import { kindAt } from './files.js';
import { abortableSleep } from '../process/sleep.js';

/** A successor asks at once. */
const ASKING_MS = 10_000;
/** What it may take from our letting go until it serves. */
export const SERVING_MS = 30_000;

/** What the two say after "take" and the descriptors: the successor first. */
export const WORD = {
  taken: 'taken\n',
  /** With the path of what the successor should know: a line. */
  yours: 'yours ',
  serving: 'serving\n',
  /** Instead of "yours", or after it: the successor has to end. */
  back: 'back\n',
} as const;

export interface HandoffParts {
  readonly path: string;
  readonly addon: Pick<Addon, 'passDescriptors'>;
  readonly log: Log;
  readonly peerUid: (socket: Socket) => number | undefined;
  /** Duplicates of the sockets, which this closes; serving goes on. */
  readonly descriptors: () => readonly NamedDescriptor[];
  /** The successor has them. Nobody else is served from now on. */
  readonly taken: (successor: Successor) => void;
}

/**
 * "take" from root or our own user, the sockets to them, "taken" from them; then mgmd lets go and says "yours". It ends when
 * they say "serving", and goes on if they do not. Whoever connects and says nothing, or goes in between, changes nothing.
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

  /** Who has the sockets by now hears that they are not given up. */
  close(): void {
    this.#taken = true;
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
    onWord(socket, WORD.taken, () => this.#end(socket));
  }

  #end(socket: Socket): void {
    if (this.#taken) return void socket.end(WORD.back);
    this.#taken = true;
    this.close();
    this.#parts.taken(new Successor(socket));
  }

  #refused(why: string): void {
    const { log, path } = this.#parts;
    log.error({ evt: 'daemon.handoff.failed', path, why }, `no successor can take over by ${path}: ${why}`);
  }
}

/** Who has the sockets, and does not serve yet. */
export class Successor {
  readonly #socket: Socket;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  /**
   * Tells it that we act no more, and where the state is; resolves when it serves. False: it has gone or takes too long, and has
   * been told to end.
   */
  async serves(statePath: string, clock: Clock, stop: AbortSignal): Promise<boolean> {
    const socket = this.#socket;
    const over = new AbortController();
    let serves = false;
    onWord(socket, WORD.serving, () => {
      serves = true;
      over.abort();
    });
    socket.once('close', () => over.abort());
    stop.addEventListener('abort', () => over.abort(), { signal: over.signal });
    socket.write(`${WORD.yours}${statePath}\n`);
    if (!socket.destroyed && !stop.aborted) await abortableSleep(clock, SERVING_MS, over.signal);
    over.abort();
    // Told to stop, we leave it to the successor.
    if (serves || stop.aborted) socket.destroy();
    else socket.end(WORD.back);
    return serves || stop.aborted;
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
