/**
 * The log: one JSON object a line with a stable `evt`, in the order in which they were said. Under journald each line begins with its priority (`<3>` to `<7>`, sd-daemon(3)) and has no time.
 */
import { fstatSync } from 'node:fs';
import { type Logger, pino, stdTimeFunctions } from 'pino';
import type { LogLevel } from '../config/types.js';
import type { Fields, Log } from '../port/log.js';

export const LOG_LEVELS: readonly LogLevel[] = ['error', 'warn', 'info', 'debug'];

const PRIORITY: Readonly<Record<string, string>> = { error: '<3>', warn: '<4>', info: '<6>', debug: '<7>' };

/** The level of a log and all its children, which can change while they live. */
export class LogThreshold {
  #level: LogLevel = 'info';
  #passes = LOG_LEVELS.indexOf('info');

  get level(): LogLevel {
    return this.#level;
  }

  set level(level: LogLevel) {
    this.#level = level;
    this.#passes = LOG_LEVELS.indexOf(level);
  }

  /** `rank`: 0 error, 1 warn, 2 info, 3 debug. */
  passes(rank: number): boolean {
    return rank <= this.#passes;
  }
}

export interface LogTarget {
  /** One line with its end mark. */
  write(line: string): void;
}

export class PinoLog implements Log {
  readonly #pino: Logger;
  readonly #threshold: LogThreshold;

  private constructor(logger: Logger, threshold: LogThreshold) {
    this.#pino = logger;
    this.#threshold = threshold;
  }

  /** `journal`: the target is journald. */
  static to(target: LogTarget, threshold: LogThreshold, journal: boolean): PinoLog {
    const options = {
      level: 'debug',
      base: null,
      timestamp: journal ? false : stdTimeFunctions.isoTime,
      formatters: { level: (level: string) => ({ level }) },
    } as const;
    return new PinoLog(pino(options, journal ? withPriority(target) : target), threshold);
  }

  get debugEnabled(): boolean {
    return this.#threshold.passes(3);
  }

  error(fields: Fields, message: string): void {
    this.#pino.error(fields, message);
  }

  warn(fields: Fields, message: string): void {
    if (this.#threshold.passes(1)) this.#pino.warn(fields, message);
  }

  info(fields: Fields, message: string): void {
    if (this.#threshold.passes(2)) this.#pino.info(fields, message);
  }

  debug(fields: Fields, message: string): void {
    if (this.#threshold.passes(3)) this.#pino.debug(fields, message);
  }

  child(bindings: Readonly<Record<string, unknown>>): Log {
    return new PinoLog(this.#pino.child(bindings), this.#threshold);
  }
}

/** systemd names the device and inode of the stream it connected to the journal; what was redirected since is another one. */
export function isJournal(journalStream: string | undefined, fd = 1): boolean {
  if (journalStream === undefined) return false;
  const { dev, ino } = fstatSync(fd);
  return journalStream === `${dev}:${ino}`;
}

/** Every line begins with its level, because no other field comes before it. */
function withPriority(target: LogTarget): LogTarget {
  return {
    write: (line) => target.write(`${PRIORITY[/^\{"level":"(\w+)"/.exec(line)?.[1] ?? ''] ?? '<6>'}${line}`),
  };
}
