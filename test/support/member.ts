/** A host with source filters of its kernel (`IP_BLOCK_SOURCE` and its like), which also counts what reaches its cable. */
import { fileURLToPath } from 'node:url';
import type { Child } from './child.js';
import { eventually } from './eventually.js';
import { toHex } from './packet-builder.js';
import type { Namespace } from './topology.js';

const HELPER = fileURLToPath(new URL('./helpers/member.py', import.meta.url));

export interface Flow {
  readonly received: number;
  /** Numbers missing between the first and the last that came. */
  readonly lost: number;
  readonly duplicated: number;
}

const NONE: Flow = { received: 0, lost: 0, duplicated: 0 };

export class Member {
  readonly #child: Child;

  private constructor(child: Child) {
    this.#child = child;
  }

  static async start(host: Namespace, address: string, device = 'eth0'): Promise<Member> {
    await host.linksPass();
    const child = host.spawn('/usr/bin/python3', [HELPER, address, device]);
    await child.line(30_000);
    return new Member(child);
  }

  async join(group: string, source?: string): Promise<void> {
    await this.#ask({ join: group, source });
  }

  async leave(group: string, source?: string): Promise<void> {
    await this.#ask({ leave: group, source });
  }

  async block(group: string, source: string): Promise<void> {
    await this.#ask({ block: group, source });
  }

  /** Of a group it has joined: everything but these. */
  async exclude(group: string, ...sources: readonly string[]): Promise<void> {
    await this.#ask({ exclude: group, sources });
  }

  /** Sends one hand-made IGMP message, of which its kernel knows nothing. */
  async say(message: Uint8Array, to = '224.0.0.22'): Promise<void> {
    await this.#ask({ igmp: toHex(message), to });
  }

  /** What reached the cable of this flow, filtered or not. */
  async flow(source: string, group: string): Promise<Flow> {
    const flows = (await this.#ask({ report: true })) as Record<string, Flow>;
    return flows[`${source} ${group}`] ?? NONE;
  }

  /** Waits for more of a flow than there was. */
  async gets(source: string, group: string, more = 10, withinMs = 5_000): Promise<Flow> {
    const before = await this.flow(source, group);
    return eventually(
      `packets from ${source} to ${group}`,
      async () => {
        const flow = await this.flow(source, group);
        return flow.received >= before.received + more && flow;
      },
      { withinMs },
    );
  }

  /** Waits until a flow stands still for a moment. */
  async misses(source: string, group: string, withinMs = 5_000): Promise<Flow> {
    let before = await this.flow(source, group);
    return eventually(
      `no more packets from ${source} to ${group}`,
      async () => {
        const flow = await this.flow(source, group);
        const still = flow.received === before.received;
        before = flow;
        return still && flow;
      },
      { withinMs, everyMs: 150 },
    );
  }

  async #ask(command: object): Promise<Record<string, unknown>> {
    this.#child.tell(JSON.stringify(command));
    const answer = JSON.parse(await this.#child.line()) as Record<string, unknown>;
    if (answer['error'] !== undefined) throw new Error(`${JSON.stringify(command)}: ${String(answer['error'])}`);
    return answer;
  }
}
