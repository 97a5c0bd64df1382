/**
 * The last bound on lines that come again and again (F54): a link that flaps, a program that writes to the table, a module that
 * fails at each packet. What has a limit of its own (`heldBack`), debug, and what mgmd says of itself passes.
 */
import { LogLimiter } from '../base/log-limiter.js';
import type { Clock } from '../port/clock.js';
import type { Fields, Log } from '../port/log.js';

/** Lines of one `evt` about one interface or client: some at once, then one in ten seconds. */
const [LINES, LINES_PER_SEC] = [20, 0.1];
const OWN_WORDS = /^(daemon|config|control)\./;

export class LimitedLog implements Log {
  readonly #log: Log;
  readonly #clock: Clock;
  readonly #limiter: LogLimiter;
  readonly #about: string;

  constructor(log: Log, clock: Clock, limiter = new LogLimiter(LINES, LINES_PER_SEC), about = '') {
    this.#log = log;
    this.#clock = clock;
    this.#limiter = limiter;
    this.#about = about;
  }

  get debugEnabled(): boolean {
    return this.#log.debugEnabled;
  }

  error(fields: Fields, message: string): void {
    const passed = this.#passed(fields);
    if (passed) this.#log.error(passed, message);
  }

  warn(fields: Fields, message: string): void {
    const passed = this.#passed(fields);
    if (passed) this.#log.warn(passed, message);
  }

  info(fields: Fields, message: string): void {
    const passed = this.#passed(fields);
    if (passed) this.#log.info(passed, message);
  }

  debug(fields: Fields, message: string): void {
    this.#log.debug(fields, message);
  }

  child(bindings: Readonly<Record<string, unknown>>): Log {
    const about = aboutOf(bindings) ?? this.#about;
    return new LimitedLog(this.#log.child(bindings), this.#clock, this.#limiter, about);
  }

  /** Undefined: held back. */
  #passed(fields: Fields): Fields | undefined {
    if ('heldBack' in fields || OWN_WORDS.test(fields.evt)) return fields;
    const about = aboutOf(fields) ?? this.#about;
    const heldBack = this.#limiter.take(`${fields.evt} ${about}`, this.#clock.nowMs());
    if (heldBack === undefined) return undefined;
    return heldBack === 0 ? fields : { ...fields, heldBack };
  }
}

function aboutOf(fields: Readonly<Record<string, unknown>>): string | undefined {
  const about = fields['ifname'] ?? fields['interface'] ?? fields['client'];
  return typeof about === 'string' ? about : undefined;
}
