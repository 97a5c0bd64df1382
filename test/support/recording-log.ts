/** A log that remembers, so that tests can match `evt` and fields. */
import type { Fields, Log } from '../../src/port/log.js';

export type Level = 'error' | 'warn' | 'info' | 'debug';

export interface LogLine {
  readonly level: Level;
  readonly fields: Fields;
  readonly message: string;
}

export class RecordingLog implements Log {
  readonly debugEnabled = true;
  readonly lines: LogLine[];
  readonly #bindings: Readonly<Record<string, unknown>>;

  constructor(lines: LogLine[] = [], bindings: Readonly<Record<string, unknown>> = {}) {
    this.lines = lines;
    this.#bindings = bindings;
  }

  error(fields: Fields, message: string): void {
    this.#write('error', fields, message);
  }

  warn(fields: Fields, message: string): void {
    this.#write('warn', fields, message);
  }

  info(fields: Fields, message: string): void {
    this.#write('info', fields, message);
  }

  debug(fields: Fields, message: string): void {
    this.#write('debug', fields, message);
  }

  /** Children write into the same list, with their bindings in the fields. */
  child(bindings: Readonly<Record<string, unknown>>): Log {
    return new RecordingLog(this.lines, { ...this.#bindings, ...bindings });
  }

  /** The lines of one event. */
  of(evt: string): readonly LogLine[] {
    return this.lines.filter((line) => line.fields.evt === evt);
  }

  /** What a healthy run must not have: errors and warnings. */
  complaints(): readonly LogLine[] {
    return this.lines.filter((line) => line.level === 'error' || line.level === 'warn');
  }

  #write(level: Level, fields: Fields, message: string): void {
    this.lines.push({ level, fields: { ...this.#bindings, ...fields }, message });
  }
}
