/** Sources and hosts of a topology: children that send numbered packets, join groups and count what arrives. */
import { fileURLToPath } from 'node:url';
import type { Child } from './child.js';
import type { Namespace } from './topology.js';

const helper = (name: string) => fileURLToPath(new URL(`./helpers/${name}`, import.meta.url));

export type Groups = readonly string[] | { readonly first: string; readonly count: number };

export interface SenderOptions {
  /** The sender's own address. */
  readonly from: string;
  readonly groups: Groups;
  readonly port?: number;
  readonly ratePerSec: number;
  /** Stops by itself after so many packets; 0 (the default): runs until stopped. */
  readonly count?: number;
  readonly ttl?: number;
}

export interface ReceiverOptions {
  /** The host's own address. */
  readonly address: string;
  readonly port?: number;
}

export interface Received {
  readonly received: number;
  readonly duplicated: number;
  readonly reordered: number;
  /** Numbers missing between the first and the last that arrived, summed over the flows. */
  readonly lost: number;
  readonly flows: number;
}

const PORT = 5000;

export class Sender {
  private constructor(readonly child: Child) {}

  static async start(host: Namespace, options: SenderOptions): Promise<Sender> {
    const child = host.spawn(process.execPath, [helper('sender.mjs'), JSON.stringify({ port: PORT, ...options })]);
    await child.line();
    return new Sender(child);
  }

  /** Resolves when it has sent `count` packets. */
  async done(withinMs = 60_000): Promise<{ readonly sent: number }> {
    return JSON.parse(await this.child.line(withinMs)) as { sent: number };
  }

  async stop(): Promise<{ readonly sent: number }> {
    this.child.signal('SIGTERM');
    return this.done();
  }
}

export class Receiver {
  private constructor(readonly child: Child) {}

  static async start(host: Namespace, options: ReceiverOptions): Promise<Receiver> {
    const child = host.spawn(process.execPath, [helper('receiver.mjs'), JSON.stringify({ port: PORT, ...options })]);
    await child.line();
    return new Receiver(child);
  }

  async join(group: string, source?: string): Promise<void> {
    await this.#ask({ join: group, source });
  }

  /** Joins a whole range, 20 groups per socket. */
  async joinAll(first: string, count: number): Promise<void> {
    await this.#ask({ joinAll: { first, count } });
  }

  async leave(group: string, source?: string): Promise<void> {
    await this.#ask({ leave: group, source });
  }

  async report(): Promise<Received> {
    return (await this.#ask({ report: true })) as unknown as Received;
  }

  async #ask(command: object): Promise<Record<string, unknown>> {
    this.child.tell(JSON.stringify(command));
    const answer = JSON.parse(await this.child.line(60_000)) as Record<string, unknown>;
    if (answer['error'] !== undefined) throw new Error(`${JSON.stringify(command)}: ${String(answer['error'])}`);
    return answer;
  }
}
