/** A host whose packets are built and dissected by scapy, which shares no code with mgmd nor with the tests' own builder. */
import { fileURLToPath } from 'node:url';
import type { Child } from './child.js';
import type { Namespace } from './topology.js';

const HELPER = fileURLToPath(new URL('./helpers/scapy_host.py', import.meta.url));
/** Debian's own Python has Debian's scapy, whatever else is on PATH. */
const PYTHON = '/usr/bin/python3';

export interface Dissected {
  readonly layers: readonly string[];
  readonly fields: Readonly<Record<string, unknown>>;
  /** Bytes that scapy could not make sense of, in hexadecimal. */
  readonly leftover: string;
  readonly checksumsGood: boolean;
  readonly alert: boolean;
  readonly destination: string;
  readonly ttl: number;
}

export class ScapyHost {
  readonly #child: Child;

  private constructor(child: Child) {
    this.#child = child;
  }

  /** `address` is the source of what it sends on eth0 unless the expression says otherwise. */
  static async start(host: Namespace, address: string): Promise<ScapyHost> {
    await host.linksPass();
    const child = host.spawn(PYTHON, [HELPER, address]);
    await child.line(30_000);
    return new ScapyHost(child);
  }

  /** Evaluates expressions of scapy (helpers/scapy_host.py has the names) and sends the packets in this order. */
  async send(...expressions: readonly string[]): Promise<void> {
    for (const send of expressions) await this.#ask({ send });
  }

  /** Every IGMP packet of a capture. */
  async dissect(file: string): Promise<readonly Dissected[]> {
    return (await this.#ask({ dissect: file }))['packets'] as readonly Dissected[];
  }

  async #ask(command: object): Promise<Record<string, unknown>> {
    this.#child.tell(JSON.stringify(command));
    const answer = JSON.parse(await this.#child.line(30_000)) as Record<string, unknown>;
    if (answer['error'] !== undefined) throw new Error(`${JSON.stringify(command)}: ${String(answer['error'])}`);
    return answer;
  }
}
