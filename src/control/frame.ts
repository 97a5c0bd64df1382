/**
 * Lines on a stream. Reading: complete lines come out, a line beyond the limit is an error before it has been stored.
 * Writing: lines of one turn go out together, and a peer that does not read is given up instead of buffered for.
 */
import type { Writable } from 'node:stream';

const NEWLINE = 10;

/** A line that came in more pieces than so many is joined, or many small ones would cost a multiple of their bytes. */
const PIECES = 64;

/** Cuts chunks into lines. Total: any bytes whatever are taken. */
export class LineReader {
  readonly #limit: number;
  #parts: Uint8Array[] = [];
  #held = 0;

  /** `limit`: bytes of the longest line, its end mark not counted. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** The lines completed by `chunk`, empty ones left out; 'too-long' when a line exceeds the limit, then nothing more may be pushed. */
  push(chunk: Uint8Array): readonly string[] | 'too-long' {
    const lines: string[] = [];
    for (const line of this.cut(chunk)) {
      if (line === undefined) return 'too-long';
      if (line !== '') lines.push(line);
    }
    return lines;
  }

  /** The same one by one, each made when it is asked for, empty ones too; undefined is a line that is too long, and the last. */
  *cut(chunk: Uint8Array): Generator<string | undefined, undefined> {
    let from = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, from)) {
      const held = this.#hold(chunk.subarray(from, end));
      yield held ? this.#takeLine() : undefined;
      if (!held) return;
      from = end + 1;
    }
    if (!this.#hold(chunk.subarray(from))) yield undefined;
  }

  #hold(part: Uint8Array): boolean {
    this.#held += part.length;
    if (this.#held > this.#limit) return false;
    if (part.length > 0) this.#parts.push(part);
    if (this.#parts.length > PIECES) this.#join();
    return true;
  }

  /** Short ones only from the end: so each byte is copied a few times, however long the line becomes. */
  #join(): void {
    let from = this.#parts.length;
    let length = 0;
    while (from > 0 && (this.#parts.length - from < 2 || this.#parts[from - 1]!.length <= length))
      length += this.#parts[--from]!.length;
    this.#parts.push(Buffer.concat(this.#parts.splice(from), length));
  }

  #takeLine(): string {
    const line = Buffer.concat(this.#parts, this.#held).toString('utf8').trim();
    this.#parts = [];
    this.#held = 0;
    return line;
  }
}

/** Collects the lines of one turn of the event loop into one write. */
export class LineWriter {
  readonly #stream: Writable;
  readonly #limit: number;
  readonly #onSlow: () => void;
  #pending = '';
  #writes = 0;
  #taken = 0;

  /** `limit`: characters that may wait for the peer when a further line comes; beyond, `onSlow` is called in place of writing. */
  constructor(stream: Writable, limit: number, onSlow: () => void) {
    this.#stream = stream;
    this.#limit = limit;
    this.#onSlow = onSlow;
  }

  /** How many writes the peer has taken whole; undefined: nothing waits for it. */
  get progress(): number | undefined {
    return this.#taken === this.#writes ? undefined : this.#taken;
  }

  /** What the peer has not taken yet, roughly in bytes. */
  get waiting(): number {
    return this.#pending.length + this.#stream.writableLength;
  }

  /** `line` has no end mark. */
  write(line: string): void {
    if (this.#stream.destroyed || this.#stream.writableEnded) return;
    if (this.waiting > this.#limit) {
      this.#onSlow();
      return;
    }
    if (this.#pending === '') queueMicrotask(() => this.flush());
    this.#pending += `${line}\n`;
  }

  /** Hands everything over to the stream now. */
  flush(): void {
    const text = this.#pending;
    this.#pending = '';
    if (text === '' || this.#stream.destroyed || this.#stream.writableEnded) return;
    this.#writes++;
    this.#stream.write(text, () => this.#taken++);
  }
}
