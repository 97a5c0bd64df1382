/** The real daemon as a child in a namespace, with a configuration and a control socket of its own. */
import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Child } from './child.js';
import { eventually } from './eventually.js';
import type { Namespace } from './topology.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
export const DAEMON = `${ROOT}dist/daemon/main.js`;
export const TOOL = `${ROOT}dist/cli/main.js`;

export class Daemon {
  readonly label: string;
  readonly configFile: string;
  readonly controlSocket: string;
  readonly process: Child;
  readonly #namespace: Namespace;

  constructor(
    namespace: Namespace,
    directory: string,
    config: (controlSocket: string) => string,
    ...words: readonly string[]
  ) {
    this.#namespace = namespace;
    this.label = namespace.label;
    this.controlSocket = join(directory, 'mgmd.sock');
    this.configFile = join(directory, 'mgmd.yaml');
    writeFileSync(this.configFile, config(this.controlSocket));
    this.process = namespace.spawn(process.execPath, [DAEMON, '--config', this.configFile, ...words]);
  }

  /** Resolves when the control socket accepts: by then everything configured has been taken. */
  async ready(): Promise<this> {
    await eventually(
      `the daemon in ${this.label} to serve its control socket`,
      async () => {
        if (!this.process.running()) return true;
        return accepts(this.controlSocket);
      },
      { withinMs: 20_000 },
    );
    if (!this.process.running()) throw new Error(`the daemon ended with ${this.process.exitCode()}:\n${this.output()}`);
    return this;
  }

  /** `mgmctl --json WORDS...`, parsed; throws with what the tool said when it fails. */
  ctl<T = unknown>(...words: string[]): T {
    return JSON.parse(this.ctlText('--json', ...words)) as T;
  }

  ctlText(...words: string[]): string {
    return this.#namespace.run(process.execPath, TOOL, '--socket', this.controlSocket, ...words);
  }

  /** Its log and whatever else it wrote. */
  output(): string {
    return [...this.process.lines, ...this.process.errors].join('\n');
  }

  /** The log lines with this `evt`. */
  events(evt: string): readonly Record<string, unknown>[] {
    return [...this.process.lines, ...this.process.errors].flatMap((line) => {
      const at = line.indexOf('{');
      if (at < 0 || !line.includes(`"${evt}"`)) return [];
      const fields = JSON.parse(line.slice(at)) as Record<string, unknown>;
      return fields['evt'] === evt ? [fields] : [];
    });
  }

  /** SIGTERM and the exit code. */
  async stop(): Promise<number | null> {
    this.process.signal('SIGTERM');
    return this.process.end();
  }
}

function accepts(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(socketPath);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
