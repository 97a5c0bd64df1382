/**
 * One connection to the control socket: lines in, answers and events out, in the bounds of a guest. What is asked is worked
 * on in small steps, one request after the other, when it is this connection's turn (turns.ts).
 */
import type { Socket } from 'node:net';
import { isLater } from '../base/answer.js';
import type { LogLimiter } from '../base/log-limiter.js';
import type { ManagerEvent } from '../mgm/snapshot.js';
import type { Log } from '../port/log.js';
import type { Counters } from './counters.js';
import { LineReader, LineWriter } from './frame.js';
import { Handlers } from './handlers.js';
import { ERROR, type ErrorObject, type Failure, REQUEST_LIMIT, type RequestId } from './messages.js';
import type { Operator } from './operator.js';
import { Page } from './pages.js';
import { RequestError } from './params.js';
import type { Activity, Guest } from './places.js';
import type { Turns, Worker } from './turns.js';

/** Requests without an answer yet; beyond, the connection is not read. */
const OUTSTANDING = 64;
/** Answers that wait for the reader, in bytes; beyond, the connection is not read. */
const ANSWERS_WAITING = 256 * 1024;
/** Events that wait for the reader beside them; beyond, events are dropped. */
const EVENTS_WAITING = 512 * 1024;
/** What a monitor hears after a gap, as an event. */
const EVENTS_LOST = 'monitor.lost';
/** A monitor that has taken nothing for so long, and missed so many, is disconnected. */
const LOSING_MS = 2000;
const MOST_LOST = 10_000;
/** Nothing exceeds this: a page, what may wait, and a little. */
const OUTGOING_LIMIT = 2 * 1024 * 1024;
/** A peer that takes nothing of what waits for it for so long is disconnected. */
const STALLED_MS = 60_000;

export interface ConnectionParts {
  readonly socket: Socket;
  readonly operator: Operator;
  readonly log: Log;
  readonly counters: Counters;
  readonly turns: Turns;
  readonly nowMs: () => number;
  readonly mayWrite: boolean;
  /** "uid 1000". */
  readonly who: string;
  /** The message for an event: made once, for everybody. */
  readonly eventLine: (event: ManagerEvent) => string;
  /** The wall clock's time for events, ISO 8601. */
  readonly wallTime: () => string;
  readonly limiter: LogLimiter;
}

/** A page under way, and the request it answers. */
interface Making {
  readonly id: RequestId;
  readonly method: string;
  readonly page: Page;
}

export class Connection implements Worker, Guest {
  readonly #parts: ConnectionParts;
  readonly #reader = new LineReader(REQUEST_LIMIT);
  readonly #writer: LineWriter;
  readonly #handlers: Handlers;
  /** What was read and is not worked on yet, cut into lines on the way; nothing more is read before its end. */
  #lines: Iterator<string | undefined, undefined> | undefined;
  /** The first one is being made. */
  readonly #making: Making[] = [];
  #outstanding = 0;
  #eventsLost = 0;
  #losesSinceMs = 0;
  #stalled: { readonly progress: number; readonly sinceMs: number } | undefined;
  askedMs: number;

  constructor(parts: ConnectionParts) {
    this.#parts = parts;
    this.askedMs = parts.nowMs();
    const { socket, operator, mayWrite, who } = parts;
    this.#writer = new LineWriter(socket, OUTGOING_LIMIT, () => this.#giveUp());
    this.#handlers = new Handlers(operator, { mayWrite, who, notify: (event) => this.#notify(event) });
    socket.on('data', (chunk) => this.#received(chunk));
    socket.on('drain', () => this.#drained());
    socket.on('error', () => socket.destroy()); // the peer is gone; 'close' follows
    socket.on('close', () => this.#handlers.close());
  }

  get who(): string {
    return this.#parts.who;
  }

  get mayWrite(): boolean {
    return this.#parts.mayWrite;
  }

  get activity(): Activity {
    const asks = this.#lines !== undefined || this.#making.length > 0 || this.#outstanding > 0;
    if (asks || (this.#writer.waiting > 0 && !this.#handlers.monitors)) return 'busy';
    return this.#handlers.monitors ? 'monitor' : 'idle';
  }

  greet(hello: object): void {
    this.#send({ jsonrpc: '2.0', method: 'hello', params: hello });
  }

  /** What was said goes out first. */
  end(): void {
    this.#handlers.close();
    this.#lines = undefined;
    this.#making.length = 0;
    this.#writer.flush();
    this.#parts.socket.destroySoon();
  }

  /** Says why, and ends without waiting for what the peer has not read. */
  farewell(code: number, message: string): void {
    this.#send(failure(null, { code, message }));
    this.#writer.flush();
    this.#handlers.close();
    this.#parts.socket.destroy();
  }

  /** To be called every few seconds. */
  look(): void {
    const nowMs = this.#parts.nowMs();
    this.#handlers.pages.forgetIdle(nowMs);
    const { progress } = this.#writer;
    if (progress === undefined) this.#stalled = undefined;
    else if (this.#stalled?.progress !== progress) this.#stalled = { progress, sinceMs: nowMs };
    else if (nowMs - this.#stalled.sinceMs >= STALLED_MS) this.#giveUp();
  }

  step(): boolean {
    const { socket } = this.#parts;
    if (socket.destroyed || socket.writableEnded) return false;
    const [making] = this.#making;
    if (making) this.#make(making);
    else if (!this.#busy()) this.#nextLine();
    if (!this.#lines) socket.resume();
    return this.#hasWork();
  }

  #hasWork(): boolean {
    return this.#making.length > 0 || (this.#lines !== undefined && !this.#busy());
  }

  #received(chunk: Uint8Array): void {
    this.askedMs = this.#parts.nowMs();
    this.#lines = this.#reader.cut(chunk);
    this.#parts.socket.pause();
    this.#parts.turns.add(this);
  }

  #nextLine(): void {
    const next = this.#lines?.next();
    if (next?.done !== false) this.#lines = undefined;
    else if (next.value === undefined) this.#tooLong();
    else if (next.value !== '') this.#request(next.value);
  }

  #tooLong(): void {
    const message = `a line of more than ${REQUEST_LIMIT} bytes; the connection is closed`;
    this.farewell(ERROR.invalidRequest, message);
  }

  #drained(): void {
    this.#sayWhatWasLost();
    if (this.#hasWork()) this.#parts.turns.add(this);
  }

  #busy(): boolean {
    return this.#outstanding >= OUTSTANDING || this.#writer.waiting >= ANSWERS_WAITING;
  }

  #request(line: string): void {
    const request = readRequest(line);
    if ('error' in request) {
      this.#send(request);
      return;
    }
    const { id, method, params } = request;
    try {
      const answer = this.#handlers.call(method, params);
      if (isLater(answer)) this.#later(id, method, answer);
      else this.#answer(id, method, answer);
    } catch (error) {
      this.#send(this.#failed(id, method, error));
    }
  }

  #answer(id: RequestId, method: string, result: unknown): void {
    if (result instanceof Page) this.#making.push({ id, method, page: result });
    else this.#send({ jsonrpc: '2.0', id, result });
  }

  /** Makes one row of the page. */
  #make({ id, method, page }: Making): void {
    try {
      if (page.step()) return;
      const result = this.#handlers.pages.complete(page, this.#parts.nowMs());
      this.#writer.write(`{"jsonrpc":"2.0","id":${JSON.stringify(id)},"result":${result}}`);
    } catch (error) {
      this.#send(this.#failed(id, method, error));
    }
    this.#making.shift();
  }

  #later(id: RequestId, method: string, answer: Promise<unknown>): void {
    this.#outstanding++;
    void answer
      .then(
        (result) => this.#answer(id, method, result),
        (error: unknown) => this.#send(this.#failed(id, method, error)),
      )
      .then(() => {
        this.#outstanding--;
        this.#parts.turns.add(this);
      });
  }

  /** A mistake in our own code must not take the router down from here; it is logged with its stack. */
  #failed(id: RequestId, method: string, error: unknown): Failure {
    if (error instanceof RequestError) {
      const { code, message, data } = error;
      return failure(id, data === undefined ? { code, message } : { code, message, data });
    }
    const { log, limiter, nowMs } = this.#parts;
    const stack = error instanceof Error ? error.stack : String(error);
    const heldBack = limiter.take('failed', nowMs());
    if (heldBack !== undefined)
      log.error({ evt: 'control.request.failed', method, stack, heldBack }, `the request ${method} failed inside mgmd`);
    return failure(id, { code: ERROR.internal, message: `${method} failed inside mgmd; its log has the details` });
  }

  /** Events wait for a slow reader only so far, then they are dropped; once it reads again it hears how many. */
  #notify(event: ManagerEvent): void {
    if (this.#writer.waiting < EVENTS_WAITING) {
      this.#sayWhatWasLost();
      this.#writer.write(this.#parts.eventLine(event));
      return;
    }
    const { counters, limiter, log, nowMs, who } = this.#parts;
    if (this.#eventsLost++ === 0) this.#losesSinceMs = nowMs();
    counters.count('control.events.lost');
    if (this.#eventsLost >= MOST_LOST && nowMs() - this.#losesSinceMs >= LOSING_MS) return this.#giveUp();
    const heldBack = this.#eventsLost === 1 ? limiter.take('events', nowMs()) : undefined;
    if (heldBack === undefined) return;
    log.warn(
      { evt: 'control.events.lost', who, heldBack },
      `a monitor (${who}) reads slower than events come; it misses some of them`,
    );
  }

  #sayWhatWasLost(): void {
    if (this.#eventsLost === 0 || this.#writer.waiting >= ANSWERS_WAITING) return;
    const { nowMs, wallTime } = this.#parts;
    const params = { time: wallTime(), evt: EVENTS_LOST, atMs: nowMs(), lost: this.#eventsLost };
    this.#send({ jsonrpc: '2.0', method: 'event', params });
    this.#eventsLost = 0;
  }

  #send(message: object): void {
    this.#writer.write(JSON.stringify(message));
  }

  #giveUp(): void {
    const { socket, log, who, counters, limiter, nowMs } = this.#parts;
    counters.count('control.dropped');
    const heldBack = limiter.take('dropped', nowMs());
    if (heldBack !== undefined)
      log.warn(
        { evt: 'control.client.dropped', who, waiting: this.#writer.waiting, heldBack },
        `disconnected a control client (${who}): it does not read what it asked for`,
      );
    this.#handlers.close();
    socket.destroy();
  }
}

function failure(id: RequestId | null, error: ErrorObject): Failure {
  return { jsonrpc: '2.0', id, error };
}

interface ReadRequest {
  readonly id: RequestId;
  readonly method: string;
  readonly params: unknown;
}

/** Batches and notifications of JSON-RPC are not spoken here: every message gets its own answer. */
function readRequest(line: string): ReadRequest | Failure {
  let raw: unknown;
  try {
    raw = JSON.parse(line);
  } catch {
    return failure(null, { code: ERROR.parse, message: 'a line that is not JSON' });
  }
  const { jsonrpc, id, method, params } = (typeof raw === 'object' && raw !== null ? raw : {}) as Record<
    string,
    unknown
  >;
  const known = (typeof id === 'string' && id.length <= 256) || typeof id === 'number' ? id : null;
  if (jsonrpc !== '2.0' || known === null || typeof method !== 'string') {
    const message = 'not a request: it takes {"jsonrpc":"2.0","id":1,"method":"show.interfaces","params":{}}';
    return failure(known, { code: ERROR.invalidRequest, message });
  }
  return { id: known, method, params };
}
