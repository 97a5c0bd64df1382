/**
 * `--handoff PATH`, the successor's side: asks a running mgmd for its sockets, waits until it has let go, and tells it when
 * this process serves. Nothing here blocks, so signals and timers are heard meanwhile.
 */
import { closeSync } from 'node:fs';
import { Socket } from 'node:net';
import { err, ok, type Result } from '../../base/result.js';
import type { Addon } from '../../kernel/addon.js';
import type { Clock } from '../../port/clock.js';
import type { Log } from '../../port/log.js';
import type { NamedDescriptor } from './descriptors.js';
import { EXIT, type ExitCode } from '../process/exit-codes.js';
import { WORD } from './handoff.js';
import { abortableSleep } from '../process/sleep.js';

/** What a predecessor that is busy may take to answer, and then to let go. */
const LIMIT_MS = 60_000;
const RETRY_MS = 20;
const ENOENT = 2;
const EAGAIN = 11;
const ECONNREFUSED = 111;
const ETIMEDOUT = 110;

export interface TakeoverParts {
  readonly addon: Pick<Addon, 'askForDescriptors' | 'takeDescriptors'>;
  readonly path: string;
  readonly log: Log;
  readonly clock: Clock;
  /** Aborts the waiting. */
  readonly stop: AbortSignal;
  /** The connection of this number; a test has another one. */
  readonly open?: (fd: number) => Socket;
}

/** What a predecessor gave, and the connection to it: it takes everything back if that closes before we serve. */
export interface Takeover {
  readonly descriptors: readonly NamedDescriptor[];
  /** Where the predecessor has saved its state; undefined when it died before. */
  readonly statePath: string | undefined;
  /** Aborted when the predecessor has taken everything back: this process must not go on. */
  readonly takenBack: AbortSignal;
  /** The predecessor ends. */
  serving(): void;
}

/** Undefined when nobody is there, an exit code when somebody is there and keeps its sockets, or when told to stop. */
export async function takeOver(parts: TakeoverParts): Promise<Result<Takeover | undefined, ExitCode>> {
  const { addon, path, stop, clock, open = (fd) => new Socket({ fd }) } = parts;
  const dueMs = clock.nowMs() + LIMIT_MS;
  const connection = await untilAnswered(parts, dueMs, () => {
    const fd = addon.askForDescriptors(path);
    return fd < 0 ? -fd : { fd };
  });
  if (connection === ENOENT || connection === ECONNREFUSED) return ok(undefined);
  if (typeof connection === 'number') return refused(parts, connection);
  const { fd } = connection;
  const taken = await untilAnswered(parts, dueMs, () => addon.takeDescriptors(fd));
  if (typeof taken === 'number') {
    closeSync(fd);
    return refused(parts, taken);
  }
  const names = taken.names.split(':');
  const descriptors = taken.fds.map((one, at) => ({ name: names[at] ?? '', fd: one }));
  const predecessor = new PredecessorConnection(open(fd), descriptors);
  if (await predecessor.hasLetGo(clock, stop)) return ok(predecessor);
  predecessor.giveUp();
  return refused(parts, ETIMEDOUT);
}

class PredecessorConnection implements Takeover {
  readonly descriptors: readonly NamedDescriptor[];
  readonly #socket: Socket;
  readonly #takenBack = new AbortController();
  #heard = '';
  #changed: () => void = () => undefined;

  constructor(socket: Socket, descriptors: readonly NamedDescriptor[]) {
    this.descriptors = descriptors;
    this.#socket = socket;
    socket.on('data', (said) => this.#hear(said.toString('latin1')));
    socket.on('error', () => undefined);
    socket.on('close', () => this.#changed());
  }

  get statePath(): string | undefined {
    return this.#heard.startsWith(WORD.yours)
      ? this.#heard.slice(WORD.yours.length, this.#heard.indexOf('\n'))
      : undefined;
  }

  get takenBack(): AbortSignal {
    return this.#takenBack.signal;
  }

  /** One that closes without a word has died: what it gave is ours then. */
  async hasLetGo(clock: Clock, stop: AbortSignal): Promise<boolean> {
    this.#socket.write(WORD.taken);
    const limit = new AbortController();
    this.#changed = () => limit.abort();
    const ended = () => this.#heard.includes('\n') || this.#socket.destroyed;
    stop.addEventListener('abort', this.#changed);
    if (!ended() && !stop.aborted) await abortableSleep(clock, LIMIT_MS, limit.signal);
    stop.removeEventListener('abort', this.#changed);
    return ended() && !stop.aborted && !this.takenBack.aborted;
  }

  serving(): void {
    this.#socket.write(WORD.serving);
  }

  giveUp(): void {
    this.#socket.destroy();
    for (const { fd } of this.descriptors) closeSync(fd);
  }

  #hear(said: string): void {
    this.#heard += said;
    if (this.#heard.endsWith(WORD.back)) this.#takenBack.abort();
    this.#changed();
  }
}

/** Asks again while the answer is EAGAIN. */
async function untilAnswered<T>(
  { clock, stop }: TakeoverParts,
  dueMs: number,
  ask: () => number | T,
): Promise<number | T> {
  for (;;) {
    const answer = ask();
    if (answer !== EAGAIN) return answer;
    if (stop.aborted || clock.nowMs() >= dueMs) return ETIMEDOUT;
    await abortableSleep(clock, RETRY_MS, stop);
  }
}

function refused({ path, log, stop }: TakeoverParts, errno: number): Result<never, ExitCode> {
  if (stop.aborted) return err(EXIT.done);
  const what = `the mgmd that listens at ${path} keeps the table and goes on`;
  log.error(
    { evt: 'daemon.handoff.failed', path, errno },
    `cannot take over: ${what} (errno ${errno}; it has ${LIMIT_MS / 1000} s to answer); start mgmd again, or stop the other first`,
  );
  return err(EXIT.unavailable);
}
