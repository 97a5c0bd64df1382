/**
 * The last bound on lines that come again and again (F54): a link that flaps, a program that writes to the table, a module that
 * fails at each packet. What has a limit of its own (`heldBack`), debug, and what mgmd says of itself passes. The last line of
 * a burst comes later, with the number of those before it.
 */
import { LogLimiter } from '../base/log-limiter.js';
import type { Clock } from '../port/clock.js';
import type { Fields, Log } from '../port/log.js';

/** Lines of one `evt` about one interface or client: some at once, then one in ten seconds. */
const [LINES, LINES_PER_SEC] = [20, 0.1];
const OWN_WORDS = /^(daemon|config|control)\./;

const MOST_REMEMBERED = 256;

type Level = 'error' | 'warn' | 'info';

/** What a log shares with those made of it. */
class Limit {
  readonly limiter: LogLimiter;
  /** By reason, writes the line that was held back last; '' for any reason. */
  readonly #last = new Map<string, (heldBack: number) => void>();

  constructor(readonly clock: Clock) {
    const tell = (reason: string, heldBack: number): void => (this.#last.get(reason) ?? this.#last.get(''))?.(heldBack);
    this.limiter = new LogLimiter(LINES, LINES_PER_SEC, { clock, tell });
  }

  /** How many were held back before it; undefined: so is this one, and it is written when no other follows. */
  take(reason: string, write: (heldBack: number) => void): number | undefined {
    const heldBack = this.limiter.take(reason, this.clock.nowMs());
    if (heldBack !== undefined) this.#last.delete(reason);
    else {
      if (this.#last.size < MOST_REMEMBERED) this.#last.set(reason, write);
      this.#last.set('', write);
    }
    return heldBack;
  }
}

export class LimitedLog implements Log {
  readonly #log: Log;
  readonly #limit: Limit;
  readonly #about: string;

  constructor(log: Log, clock: Clock, limit = new Limit(clock), about = '') {
    this.#log = log;
    this.#limit = limit;
    this.#about = about;
  }

  get debugEnabled(): boolean {
    return this.#log.debugEnabled;
  }

  error(fields: Fields, message: string): void {
    this.#pass('error', fields, message);
  }

  warn(fields: Fields, message: string): void {
    this.#pass('warn', fields, message);
  }

  info(fields: Fields, message: string): void {
    this.#pass('info', fields, message);
  }

  debug(fields: Fields, message: string): void {
    this.#log.debug(fields, message);
  }

  child(bindings: Readonly<Record<string, unknown>>): Log {
    const about = aboutOf(bindings) ?? this.#about;
    return new LimitedLog(this.#log.child(bindings), this.#limit.clock, this.#limit, about);
  }

  #pass(level: Level, fields: Fields, message: string): void {
    if ('heldBack' in fields || OWN_WORDS.test(fields.evt)) return this.#log[level](fields, message);
    const about = aboutOf(fields) ?? this.#about;
    const heldBack = this.#limit.take(`${fields.evt} ${about}`, (count) =>
      this.#log[level]({ ...fields, heldBack: count - 1 }, message),
    );
    if (heldBack === undefined) return;
    this.#log[level](heldBack === 0 ? fields : { ...fields, heldBack }, message);
  }
}

function aboutOf(fields: Readonly<Record<string, unknown>>): string | undefined {
  const about = fields['ifname'] ?? fields['interface'] ?? fields['client'];
  return typeof about === 'string' ? about : undefined;
}
