/** A long-running child of a test: its lines, its end. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { eventually } from './eventually.js';

export class Child {
  readonly lines: string[] = [];
  readonly errors: string[] = [];
  readonly #process: ChildProcess;
  readonly #ended: Promise<void>;
  #read = 0;

  constructor(command: string, args: readonly string[], env: Readonly<Record<string, string>> = {}) {
    this.#process = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'], env: { ...process.env, ...env } });
    createInterface({ input: this.#process.stdout! }).on('line', (line) => this.lines.push(line));
    createInterface({ input: this.#process.stderr! }).on('line', (line) => this.errors.push(line));
    this.#process.stdin!.on('error', () => undefined); // it may have ended before it read what it was told
    this.#ended = new Promise((resolve) => this.#process.once('close', () => resolve()));
  }

  get pid(): number {
    return this.#process.pid!;
  }

  /** Undefined while it runs; null when a signal ended it. */
  exitCode(): number | null | undefined {
    return this.running() ? undefined : this.#process.exitCode;
  }

  running(): boolean {
    return this.#process.exitCode === null && this.#process.signalCode === null;
  }

  /** The next line of output that was not returned before. */
  async line(withinMs = 10_000): Promise<string> {
    const line = await eventually(
      `a line from ${this.#process.spawnargs.join(' ')} (errors: ${this.errors.join(' / ')})`,
      () => this.lines[this.#read] ?? (this.running() ? undefined : '\0'),
      { withinMs, everyMs: 5 },
    );
    if (line === '\0') throw new Error(`ended without a word: ${this.errors.join('\n')}`);
    this.#read++;
    return line;
  }

  tell(line: string): void {
    this.#process.stdin!.write(`${line}\n`);
  }

  signal(signal: NodeJS.Signals): void {
    if (this.running()) this.#process.kill(signal);
  }

  /** Waits for the end; the exit code, null when a signal ended it. */
  async end(withinMs = 10_000): Promise<number | null> {
    await eventually(`the end of ${this.#process.spawnargs.join(' ')}`, () => !this.running(), { withinMs });
    await this.#ended;
    return this.#process.exitCode;
  }

  /** Ends it at once. Harmless when it has ended. */
  async kill(): Promise<void> {
    this.signal('SIGKILL');
    await this.#ended;
  }
}
