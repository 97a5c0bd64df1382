/**
 * The control socket (docs/control-protocol.md): a Unix stream socket. Whoever can open it may read; changes are for uid 0
 * and for the user the daemon runs as, by the credentials the kernel tells (SO_PEERCRED).
 */
import { chmodSync, chownSync, lstatSync, mkdirSync, unlinkSync } from 'node:fs';
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import { dirname } from 'node:path';
import { err, ok, type Result } from '../base/result.js';
import type { Log } from '../port/log.js';
import { Connection } from './connection.js';
import { type Hello, PROTOCOL_VERSION } from './messages.js';
import type { Operator } from './operator.js';

const CONNECTIONS = 64;
/** How long a socket file's possible owner has to answer before a start gives up on it. */
const PROBE_MS = 1000;
/** How long a client may take to read the last answers when the daemon ends. */
const FAREWELL_MS = 500;

export interface ControlOptions {
  readonly path: string;
  readonly operator: Operator;
  readonly log: Log;
  readonly version: string;
  /** The uid at the other end; undefined when the kernel does not tell, then the peer may only read. */
  readonly peerUid: (socket: Socket) => number | undefined;
  /** The group that may open the socket beside root; undefined: the daemon's own. */
  readonly groupId?: number | undefined;
  /** ISO 8601. */
  readonly wallTime?: () => string;
}

/** Why there is no control socket: a sentence, and whether another daemon answers on it. */
export interface ControlProblem {
  readonly inUse: boolean;
  readonly message: string;
}

export class ControlServer {
  readonly #options: ControlOptions;
  readonly #server: Server;
  readonly #connections = new Map<Socket, Connection>();

  private constructor(options: ControlOptions) {
    this.#options = options;
    this.#server = createServer((socket) => this.#connected(socket));
    this.#server.maxConnections = CONNECTIONS;
  }

  /** Resolves when the socket accepts. A file that a dead daemon left is removed, one that answers is not. */
  static async listen(options: ControlOptions): Promise<Result<ControlServer, ControlProblem>> {
    const problem = prepareFolder(options.path) ?? (await removeStale(options.path));
    if (problem) return err(problem);
    const control = new ControlServer(options);
    const refused = await control.#listen();
    return refused ? err(refused) : ok(control);
  }

  /** Says goodbye to everybody and removes the socket file. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const connection of this.#connections.values()) connection.end();
    const impatient = setTimeout(() => {
      for (const socket of this.#connections.keys()) socket.destroy();
    }, FAREWELL_MS);
    await closed;
    clearTimeout(impatient);
  }

  #listen(): Promise<ControlProblem | undefined> {
    const { path, groupId } = this.#options;
    return new Promise((resolve) => {
      this.#server.once('error', (error) => resolve(notOpened(path, error)));
      this.#server.listen(path, () => {
        // Until here the file has the mode the umask leaves, and a stranger could at most read.
        if (groupId !== undefined) chownSync(path, process.getuid?.() ?? 0, groupId);
        chmodSync(path, 0o660);
        resolve(undefined);
      });
    });
  }

  #connected(socket: Socket): void {
    const { operator, log, peerUid, version, wallTime = () => new Date().toISOString() } = this.#options;
    const uid = peerUid(socket);
    const mayWrite = uid !== undefined && (uid === 0 || uid === process.getuid?.());
    const who = uid === undefined ? 'a peer the kernel does not name' : `uid ${uid}`;
    const connection = new Connection({ socket, operator, log, mayWrite, who, wallTime });
    this.#connections.set(socket, connection);
    socket.once('close', () => this.#connections.delete(socket));
    const hello: Hello = {
      protocol: PROTOCOL_VERSION,
      version,
      pid: process.pid,
      access: mayWrite ? 'write' : 'read',
      views: [...operator.views.keys()],
    };
    connection.greet(hello);
  }
}

function prepareFolder(path: string): ControlProblem | undefined {
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
    return undefined;
  } catch (error) {
    return notOpened(path, error);
  }
}

async function removeStale(path: string): Promise<ControlProblem | undefined> {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (!stat) return undefined;
  if (!stat.isSocket())
    return {
      inUse: false,
      message: `the control socket's place ${path} holds something else; move it away or set control.socket`,
    };
  if (await answers(path))
    return {
      inUse: true,
      message: `another mgmd answers on the control socket ${path}; stop that one or set control.socket`,
    };
  try {
    unlinkSync(path);
    return undefined;
  } catch (error) {
    return notOpened(path, error);
  }
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createConnection(path);
    const done = (answer: boolean) => {
      probe.destroy();
      resolve(answer);
    };
    probe.setTimeout(PROBE_MS, () => done(true)); // it is held, even if by somebody who is stuck
    probe.once('connect', () => done(true));
    probe.once('error', () => done(false));
  });
}

function notOpened(path: string, error: unknown): ControlProblem {
  const why = error instanceof Error ? error.message : String(error);
  return {
    inUse: false,
    message: `the control socket ${path} cannot be opened: ${why}; check the folder or set control.socket`,
  };
}
