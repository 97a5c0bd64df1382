/** Logging as pure code sees it. `evt` is stable, dotted, subject.verb in the past tense; operators and tests match it, never the sentence. */
export interface Fields {
  readonly evt: string;
  readonly [field: string]: unknown;
}

export interface Log {
  /** The daemon does not do what was configured. */
  error(fields: Fields, message: string): void;
  /** It does, but look. */
  warn(fields: Fields, message: string): void;
  /** A state change a human would tell a colleague. */
  info(fields: Fields, message: string): void;
  /** Packets and timers. */
  debug(fields: Fields, message: string): void;
  readonly debugEnabled: boolean;
  child(bindings: Readonly<Record<string, unknown>>): Log;
}
