/** The real daemon as a service: started, killed and started again by a manager that keeps its descriptors meanwhile. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Child } from './child.js';
import { DAEMON, TOOL } from './daemon.js';
import { eventually } from './eventually.js';
import type { Namespace, Net } from './topology.js';

const MANAGER = fileURLToPath(new URL('./helpers/service-manager.py', import.meta.url));

/** What the service told its manager, as sd_notify names it, or how it ended. */
export interface Told {
  readonly READY?: string;
  readonly STATUS?: string;
  readonly RELOADING?: string;
  readonly STOPPING?: string;
  readonly stored?: readonly string[];
  readonly ended?: number;
}

export class Service {
  readonly folder: string;
  readonly configFile: string;
  readonly controlSocket: string;
  readonly #namespace: Namespace;
  readonly #manager: Child;
  constructor(net: Net, namespace: Namespace, config: (controlSocket: string) => string) {
    this.#namespace = namespace;
    this.folder = net.temporaryDirectory();
    this.controlSocket = join(this.folder, 'mgmd.sock');
    this.configFile = join(this.folder, 'mgmd.yaml');
    writeFileSync(this.configFile, config(this.controlSocket));
    const command = [process.execPath, DAEMON, '--config', this.configFile];
    this.#manager = namespace.spawn('/usr/bin/python3', [MANAGER, join(this.folder, 'notify'), ...command]);
  }

  /** Resolves when it says that it is ready. */
  async start(): Promise<this> {
    await this.#tell('start');
    return this;
  }

  /** Sends the signal; resolves when it is ready again, as a new process unless the signal was SIGHUP. */
  async signal(name: 'SIGTERM' | 'SIGKILL' | 'SIGHUP' | 'SIGABRT'): Promise<void> {
    await this.#tell(name);
  }

  /** A signal after which it neither ends nor is ready anew. */
  send(name: 'SIGHUP' | 'SIGSTOP' | 'SIGCONT'): void {
    this.#manager.tell(name);
  }

  get stateFile(): string {
    return join(this.folder, 'state.json');
  }

  /** The manager holds something else from now on than the service believes. */
  async forge(): Promise<void> {
    this.#manager.tell('forge');
    await eventually('the descriptors to be forged', () => this.#manager.lines.some((line) => line.includes('forged')));
  }

  ctl<T = unknown>(...words: string[]): T {
    return JSON.parse(
      this.#namespace.run(process.execPath, TOOL, '--socket', this.controlSocket, '--json', ...words),
    ) as T;
  }

  /** The names of the descriptors that are stored now. */
  stored(): readonly string[] {
    const last = this.#manager.lines.findLast((line) => line.includes('"stored": ['));
    return last === undefined ? [] : ((JSON.parse(last) as Told).stored ?? []);
  }

  /** Its log. */
  events(evt: string): readonly Record<string, unknown>[] {
    return this.#manager.lines.flatMap((line) => {
      if (!line.includes(`"${evt}"`)) return [];
      const fields = JSON.parse(line) as Record<string, unknown>;
      return fields['evt'] === evt ? [fields] : [];
    });
  }

  async #tell(word: string): Promise<void> {
    this.#manager.tell(word);
    for (;;) {
      const told = JSON.parse(await this.#manager.line(20_000)) as Told;
      if (told.READY !== undefined) return;
    }
  }
}
