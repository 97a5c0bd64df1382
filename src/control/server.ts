/**
 * The control socket (docs/control-protocol.md): a Unix stream socket. Whoever can open it may read; changes are for uid 0
 * and for the user the daemon runs as, by the credentials the kernel tells (SO_PEERCRED).
 */
import { chmodSync, chownSync, existsSync, lstatSync, mkdirSync, unlinkSync } from 'node:fs';
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import { dirname } from 'node:path';
import { LogLimiter } from '../base/log-limiter.js';
import { err, ok, type Result } from '../base/result.js';
import type { ManagerEvent } from '../mgm/snapshot.js';
import type { Clock, Timer } from '../port/clock.js';
import type { Log } from '../port/log.js';
import { Connection } from './connection.js';
import { Counters } from './counters.js';
import { ERROR, type Hello, PROTOCOL_VERSION } from './messages.js';
import type { Operator } from './operator.js';
import { whoGives } from './places.js';
import { Turns } from './turns.js';

/** How long a socket file's possible owner has to answer before a start gives up on it. */
const PROBE_MS = 1000;
/** How long a client may take to read the last answers when the daemon ends. */
const FAREWELL_MS = 500;
/** How often connections are looked at for cursors that nobody uses, and readers that do not read. */
const LOOK_MS = 5000;
/** Log lines of a kind: this many at once, then one in ten seconds. */
const LOG_BURST = 3;
const LOG_PER_SECOND = 0.1;

const MACHINE: Clock = {
  nowMs: () => performance.now(),
  after: (delayMs, fire) => {
    const timer = setTimeout(fire, delayMs);
    return { cancel: () => clearTimeout(timer) };
  },
};

export interface ControlOptions {
  readonly path: string;
  readonly operator: Operator;
  readonly log: Log;
  /** By default this machine's. */
  readonly clock?: Clock;
  readonly counters?: Counters;
  readonly version: string;
  /** The uid at the other end; undefined when the kernel does not tell, then the peer may only read. */
  readonly peerUid: (socket: Socket) => number | undefined;
  /** The group that may open the socket beside root; undefined: the daemon's own. */
  readonly groupId?: number | undefined;
  /** Whoever answers at the path was told to end, and may have died in its sleep: its socket is replaced. */
  readonly replaces?: boolean;
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
  readonly #counters: Counters;
  readonly #turns: Turns;
  readonly #limiter = new LogLimiter(LOG_BURST, LOG_PER_SECOND);
  readonly #clock: Clock;
  readonly #nowMs: () => number;
  readonly #wallTime: () => string;
  #look: Timer | undefined;
  #lastEvent: ManagerEvent | undefined;
  #lastLine = '';

  private constructor(options: ControlOptions) {
    this.#options = options;
    this.#counters = options.counters ?? new Counters();
    this.#clock = options.clock ?? MACHINE;
    this.#nowMs = () => this.#clock.nowMs();
    this.#wallTime = options.wallTime ?? (() => new Date().toISOString());
    this.#turns = new Turns(this.#nowMs);
    this.#server = createServer((socket) => this.#connected(socket));
  }

  /** Resolves when the socket accepts. A file that a dead daemon left is removed, one that answers is not. */
  static async listen(options: ControlOptions): Promise<Result<ControlServer, ControlProblem>> {
    const problem = prepareFolder(options.path) ?? (await removeStale(options));
    if (problem) return err(problem);
    const control = new ControlServer(options);
    const refused = await control.#listen();
    return refused ? err(refused) : ok(control);
  }

  /** Says goodbye to everybody and removes the socket file. */
  async close(): Promise<void> {
    this.#look?.cancel();
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
      const refused = (error: Error) => resolve(notOpened(path, error));
      this.#server.once('error', refused);
      this.#server.listen(path, () => {
        // Until here the file has the mode the umask leaves, and a stranger could at most read.
        if (groupId !== undefined) chownSync(path, process.getuid?.() ?? 0, groupId);
        chmodSync(path, 0o660);
        this.#server.off('error', refused);
        this.#server.on('error', (error) => this.#notAccepted(error));
        this.#lookLater();
        resolve(undefined);
      });
    });
  }

  /** Out of descriptors or memory: whoever connects now is turned away, and the next one may find room. */
  #notAccepted(error: Error): void {
    this.#counters.count('control.accept.failed');
    const heldBack = this.#limiter.take('accept', this.#nowMs());
    if (heldBack === undefined) return;
    this.#options.log.warn(
      { evt: 'control.accept.failed', code: (error as NodeJS.ErrnoException).code, heldBack },
      `cannot accept a control connection: ${error.message}; raise LimitNOFILE of the service if there are too many open files`,
    );
  }

  #lookLater(): void {
    this.#look = this.#clock.after(LOOK_MS, () => {
      for (const connection of this.#connections.values()) connection.look();
      this.#lookLater();
    });
  }

  #connected(socket: Socket): void {
    const { operator, log, peerUid, version } = this.#options;
    const uid = peerUid(socket);
    const mayWrite = uid !== undefined && (uid === 0 || uid === process.getuid?.());
    const who = uid === undefined ? 'a peer the kernel does not name' : `uid ${uid}`;
    const connection = new Connection({
      socket,
      operator,
      log,
      counters: this.#counters,
      turns: this.#turns,
      nowMs: this.#nowMs,
      mayWrite,
      who,
      eventLine: (event) => this.#lineOf(event),
      wallTime: this.#wallTime,
      limiter: this.#limiter,
    });
    if (!this.#makeRoom(connection)) return;
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

  /** False: there is no place for it, which it has been told. */
  #makeRoom(newcomer: Connection): boolean {
    const gives = whoGives([...this.#connections.values()], newcomer);
    if (gives === undefined) return true;
    const isRefused = gives === 'refused';
    const leaves = isRefused ? newcomer : gives;
    this.#counters.count(isRefused ? 'control.refused' : 'control.displaced');
    this.#tellOfFull(leaves, newcomer);
    leaves.farewell(
      ERROR.noPlace,
      isRefused
        ? 'too many control connections, and none of yours is idle; close some of them'
        : 'there were too many control connections, and this one was idle longest',
    );
    for (const [socket, one] of this.#connections) if (one === gives) this.#connections.delete(socket);
    return !isRefused;
  }

  #tellOfFull(leaves: Connection, newcomer: Connection): void {
    const heldBack = this.#limiter.take('places', this.#nowMs());
    if (heldBack === undefined) return;
    const { who } = newcomer;
    const [field, text] =
      leaves === newcomer
        ? ['refused', `refused a control connection of ${who}: no place is free and no connection is idle; close some`]
        : [
            'displaced',
            `closed the control connection of ${leaves.who} that was idle longest, to make room for ${who}`,
          ];
    this.#options.log.warn({ evt: 'control.full', who, [field]: leaves.who, heldBack }, text);
  }

  /** Made once for all who monitor: the manager tells them one after the other. */
  #lineOf(event: ManagerEvent): string {
    if (event !== this.#lastEvent) {
      this.#lastEvent = event;
      this.#lastLine = JSON.stringify({
        jsonrpc: '2.0',
        method: 'event',
        params: { time: this.#wallTime(), ...event },
      });
    }
    return this.#lastLine;
  }
}

/** Not by `recursive`: below a folder in which nothing can be made, as /proc, Node.js then tries for ever. */
function makeFolder(path: string): void {
  if (existsSync(path)) return;
  if (dirname(path) !== path) makeFolder(dirname(path));
  mkdirSync(path, { mode: 0o755 });
}

function prepareFolder(path: string): ControlProblem | undefined {
  try {
    makeFolder(dirname(path));
    return undefined;
  } catch (error) {
    return notOpened(path, error);
  }
}

async function removeStale({ path, replaces }: ControlOptions): Promise<ControlProblem | undefined> {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (!stat) return undefined;
  if (!stat.isSocket())
    return {
      inUse: false,
      message: `the control socket's place ${path} holds something else; move it away or set control.socket`,
    };
  if (!replaces && (await answers(path)))
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
