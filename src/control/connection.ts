/** One connection to the control socket: lines in, answers and events out, in the bounds of a guest. */
import type { Socket } from 'node:net';
import { isLater } from '../base/answer.js';
import type { Log } from '../port/log.js';
import { LineReader, LineWriter } from './frame.js';
import { Handlers } from './handlers.js';
import { type Answer, ERROR, type ErrorObject, type Failure, REQUEST_LIMIT, type RequestId } from './messages.js';
import type { Operator } from './operator.js';
import { RequestError } from './params.js';

/** What may wait for a reader before it counts as too slow, in bytes. */
const OUTGOING_LIMIT = 8 * 1024 * 1024;
/** Requests without an answer yet; beyond, the connection is not read. */
const OUTSTANDING = 64;
/** Answers that wait for the reader, in bytes; beyond, the connection is not read. */
const ANSWERS_WAITING = 1024 * 1024;

export interface ConnectionParts {
  readonly socket: Socket;
  readonly operator: Operator;
  readonly log: Log;
  readonly mayWrite: boolean;
  /** "uid 1000". */
  readonly who: string;
  /** The wall clock's time for events, ISO 8601. */
  readonly wallTime: () => string;
}

export class Connection {
  readonly #parts: ConnectionParts;
  readonly #reader = new LineReader(REQUEST_LIMIT);
  readonly #writer: LineWriter;
  readonly #handlers: Handlers;
  /** Lines read and not yet worked on. */
  #queue: string[] = [];
  #outstanding = 0;

  constructor(parts: ConnectionParts) {
    this.#parts = parts;
    const { socket, operator, mayWrite, who, wallTime } = parts;
    this.#writer = new LineWriter(socket, OUTGOING_LIMIT, () => this.#giveUp());
    this.#handlers = new Handlers(operator, {
      mayWrite,
      who,
      notify: (event) => this.#send({ jsonrpc: '2.0', method: 'event', params: { time: wallTime(), ...event } }),
    });
    socket.on('data', (chunk) => this.#received(chunk));
    socket.on('drain', () => this.#work());
    socket.on('error', () => socket.destroy()); // the peer is gone; 'close' follows
    socket.on('close', () => this.#handlers.close());
  }

  greet(hello: object): void {
    this.#send({ jsonrpc: '2.0', method: 'hello', params: hello });
  }

  /** What was said goes out first. */
  end(): void {
    this.#handlers.close();
    this.#writer.flush();
    this.#parts.socket.destroySoon();
  }

  #received(chunk: Uint8Array): void {
    const lines = this.#reader.push(chunk);
    if (lines === 'too-long') {
      const message = `a line of more than ${REQUEST_LIMIT} bytes; the connection is closed`;
      this.#send(failure(null, { code: ERROR.invalidRequest, message }));
      this.#parts.socket.removeAllListeners('data');
      this.end();
      return;
    }
    this.#queue.push(...lines);
    this.#work();
  }

  #work(): void {
    const { socket } = this.#parts;
    while (this.#queue.length > 0 && !this.#busy() && !socket.destroyed) this.#request(this.#queue.shift()!);
    if (this.#queue.length > 0) socket.pause();
    else socket.resume();
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
      else this.#send({ jsonrpc: '2.0', id, result: answer });
    } catch (error) {
      this.#send(this.#failed(id, method, error));
    }
  }

  #later(id: RequestId, method: string, answer: Promise<unknown>): void {
    this.#outstanding++;
    void answer
      .then(
        (result): Answer => ({ jsonrpc: '2.0', id, result }),
        (error: unknown) => this.#failed(id, method, error),
      )
      .then((message) => {
        this.#outstanding--;
        this.#send(message);
        this.#work();
      });
  }

  /** A mistake in our own code must not take the router down from here; it is logged with its stack. */
  #failed(id: RequestId, method: string, error: unknown): Failure {
    if (error instanceof RequestError) {
      const { code, message, data } = error;
      return failure(id, data === undefined ? { code, message } : { code, message, data });
    }
    const stack = error instanceof Error ? error.stack : String(error);
    this.#parts.log.error({ evt: 'control.request.failed', method, stack }, `the request ${method} failed inside mgmd`);
    return failure(id, { code: ERROR.internal, message: `${method} failed inside mgmd; its log has the details` });
  }

  #send(message: object): void {
    this.#writer.write(JSON.stringify(message));
  }

  #giveUp(): void {
    const { socket, log, who } = this.#parts;
    log.warn(
      { evt: 'control.client.dropped', who, waiting: this.#writer.waiting },
      `a control client (${who}) does not read what it asked for; it is disconnected`,
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
