/**
 * A router of FRRouting (zebra and pimd of Debian's package frr) in a namespace: its own directory, sockets and process ids,
 * nothing of the machine's. Its daemons become the user frr, so they need real root to start.
 */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Child } from './child.js';
import { eventually } from './eventually.js';
import type { Namespace, Net } from './topology.js';

const DAEMONS = '/usr/lib/frr';

export class Frr {
  readonly #namespace: Namespace;
  readonly #directory: string;
  readonly #daemons: readonly Child[];

  private constructor(namespace: Namespace, directory: string, daemons: readonly Child[]) {
    this.#namespace = namespace;
    this.#directory = directory;
    this.#daemons = daemons;
  }

  /** `config` is pimd's. Resolves when pimd answers and knows the interfaces. */
  static async start(net: Net, namespace: Namespace, config: string): Promise<Frr> {
    await namespace.linksPass();
    const directory = net.temporaryDirectory();
    for (const [file, text] of [
      ['zebra.conf', ''],
      ['pimd.conf', config],
      ['vtysh.conf', ''],
    ] as const)
      writeFileSync(join(directory, file), text);
    execFileSync('chown', ['-R', 'frr:frr', directory]);
    const start = (name: string) =>
      namespace.spawn(join(DAEMONS, name), [
        ...['--vty_socket', directory, '-z', join(directory, 'zserv.api')],
        ...['-i', join(directory, `${name}.pid`), '-f', join(directory, `${name}.conf`)],
        ...['-A', '127.0.0.1', '-P', '0', '--log', 'stdout'],
      ]);
    const frr = new Frr(namespace, directory, [start('zebra'), start('pimd')]);
    await eventually(
      'pimd of FRR to serve its interfaces',
      () => Object.keys(frr.show('ip igmp interface')).length > 0,
      { withinMs: 20_000, everyMs: 200 },
    );
    return frr;
  }

  /** `show ... json`, parsed. */
  show(what: string): Record<string, Record<string, unknown>> {
    const words = ['--config_dir', this.#directory, '--vty_socket', this.#directory, '-c', `show ${what} json`];
    const text = this.#namespace.run('vtysh', ...words);
    return JSON.parse(text.slice(text.indexOf('{'))) as Record<string, Record<string, unknown>>;
  }

  /** What its daemons wrote. */
  output(): string {
    return this.#daemons.flatMap(({ lines, errors }) => [...lines, ...errors]).join('\n');
  }

  /** Ends it without a word to anybody. */
  async kill(): Promise<void> {
    for (const daemon of this.#daemons) await daemon.kill();
  }
}
