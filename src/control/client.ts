/** A client of the control socket, for the tool, the laboratory and the tests. One object per connection. */
import { createConnection, type Socket } from 'node:net';
import { LineReader, LineWriter } from './frame.js';
import { type Answer, type ErrorData, type Hello, PROTOCOL_VERSION, type Row, type RowsPage } from './messages.js';

/** Far above a page of rows; only a stranger at the other end would exceed it. */
const ANSWER_LIMIT = 64 * 1024 * 1024;
const OUTGOING_LIMIT = 8 * 1024 * 1024;
const HELLO_MS = 5000;

/** The daemon's answer was an error. */
export class ControlError extends Error {
  override readonly name = 'ControlError';
  constructor(
    /** One of `ERROR`. */
    readonly code: number,
    message: string,
    readonly data?: ErrorData,
  ) {
    super(message);
  }
}

/** There is no daemon at the other end, or it went away. */
export class DaemonAway extends Error {
  override readonly name = 'DaemonAway';
}

interface Waiting {
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: Error) => void;
}

export type EventMessage = Readonly<Record<string, unknown>> & { readonly evt: string; readonly time: string };

export class ControlClient {
  readonly path: string;
  readonly #socket: Socket;
  readonly #writer: LineWriter;
  readonly #reader = new LineReader(ANSWER_LIMIT);
  readonly #waiting = new Map<number, Waiting>();
  readonly #onEvent = new Set<(event: EventMessage) => void>();
  readonly #greeted: Promise<void>;
  #greet: Waiting | undefined;
  #hello: Hello | undefined;
  #lastId = 0;
  /** Why the daemon is about to close the connection, in its words. */
  #farewell: string | undefined;
  #closed: DaemonAway | undefined;
  #onClosed: () => void = () => undefined;
  /** Resolves when the connection has ended, by whichever side. */
  readonly closed = new Promise<void>((resolve) => {
    this.#onClosed = resolve;
  });

  private constructor(path: string) {
    this.path = path;
    this.#greeted = new Promise((resolve, reject) => {
      this.#greet = { resolve: () => resolve(), reject };
    });
    this.#socket = createConnection(path);
    this.#writer = new LineWriter(this.#socket, OUTGOING_LIMIT, () => this.#end('it does not read requests'));
    this.#socket.setTimeout(HELLO_MS, () => this.#end('it accepts but says nothing'));
    this.#socket.on('data', (chunk) => this.#received(chunk));
    this.#socket.on('error', (error: NodeJS.ErrnoException) => this.#end(reason(error)));
    this.#socket.on('close', () => this.#end(this.#farewell ?? 'it closed the connection'));
  }

  /** Resolves after the daemon's hello. Throws DaemonAway. */
  static async connect(path: string): Promise<ControlClient> {
    const client = new ControlClient(path);
    await client.#greeted;
    return client;
  }

  get hello(): Hello {
    return this.#hello!;
  }

  /** Throws ControlError for a refusal, DaemonAway when the connection ends first. */
  call<T = unknown>(method: string, params: Readonly<Record<string, unknown>> = {}): Promise<T> {
    if (this.#closed) return Promise.reject(this.#closed);
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve: (result) => resolve(result as T), reject });
      this.#writer.write(JSON.stringify({ jsonrpc: '2.0', id, method, params }));
    });
  }

  /** All rows of a view, however many pages they take. */
  async rows<T extends object = Row>(view: string): Promise<readonly T[]> {
    return (await this.view(view)).rows as unknown as readonly T[];
  }

  /** The same with the columns that a table for people shows. */
  async view(view: string): Promise<RowsPage> {
    let page = await this.call<RowsPage>(`show.${view}`);
    const { columns } = page;
    const rows = [...page.rows];
    while (page.more !== undefined) {
      page = await this.call<RowsPage>('show.more', { more: page.more });
      for (const row of page.rows) rows.push(row);
    }
    return { rows, ...(columns && { columns }) };
  }

  /** Events come after `monitor.start` was called. Returns the way to unsubscribe. */
  onEvent(handler: (event: EventMessage) => void): () => void {
    this.#onEvent.add(handler);
    return () => void this.#onEvent.delete(handler);
  }

  close(): void {
    this.#end('this side closed the connection');
  }

  #received(chunk: Uint8Array): void {
    const lines = this.#reader.push(chunk);
    if (lines === 'too-long') return this.#end('it sends a line without end');
    for (const line of lines) {
      if (this.#closed) return;
      this.#message(line);
    }
  }

  #message(line: string): void {
    let message: Partial<Answer> & { readonly method?: string; readonly params?: unknown };
    try {
      message = JSON.parse(line) as typeof message;
    } catch {
      return this.#end('it does not speak JSON');
    }
    if (message.method === 'hello') return this.#met(message.params as Hello);
    if (message.method === 'event') {
      for (const handler of this.#onEvent) handler(message.params as EventMessage);
      return;
    }
    this.#answered(message);
  }

  #met(hello: Hello): void {
    if (hello.protocol !== PROTOCOL_VERSION) {
      this.#end(
        `it speaks version ${hello.protocol} of the control protocol, this side ${PROTOCOL_VERSION}; use the tool of mgmd ${hello.version}`,
      );
      return;
    }
    this.#socket.setTimeout(0);
    this.#hello = hello;
    this.#greet?.resolve(undefined);
    this.#greet = undefined;
  }

  #answered(message: Partial<Answer>): void {
    const waiting = this.#waiting.get(message.id as number);
    if (!waiting) {
      if ('error' in message && message.error) this.#farewell = message.error.message; // an answer to nothing we asked
      return;
    }
    this.#waiting.delete(message.id as number);
    if (!('error' in message) || !message.error) return waiting.resolve((message as { result?: unknown }).result);
    const { code, message: text, data } = message.error;
    waiting.reject(new ControlError(code, text, data));
  }

  #end(why: string): void {
    if (this.#closed) return;
    this.#closed = new DaemonAway(`mgmd is away: ${this.path}: ${why}`);
    this.#socket.destroy();
    this.#greet?.reject(this.#closed);
    for (const waiting of this.#waiting.values()) waiting.reject(this.#closed);
    this.#waiting.clear();
    this.#onClosed();
  }
}

function reason(error: NodeJS.ErrnoException): string {
  switch (error.code) {
    case 'ENOENT':
      return 'there is no such socket; is the daemon running, and is this its control.socket?';
    case 'ECONNREFUSED':
      return 'nobody answers on it; the daemon has ended without removing it';
    case 'EACCES':
      return 'this user may not open it; become root or a member of its group';
    case 'ECONNRESET':
    case 'EPIPE':
      return 'it closed the connection';
    default:
      return error.message;
  }
}
