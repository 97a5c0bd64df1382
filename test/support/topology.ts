/**
 * Routers and hosts as network namespaces with veth pairs between them. Everything a test makes has a name of its own
 * (process id and a counter), lives inside those namespaces and is removed at the end, whatever happened. Children are
 * ended by process id. When a test fails, the state of every namespace and the output of every daemon is printed.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'vitest';
import { Child } from './child.js';
import { Daemon } from './daemon.js';
import { eventually } from './eventually.js';
import { Receiver, type ReceiverOptions, Sender, type SenderOptions } from './traffic.js';

let counter = 0;

export class Namespace {
  readonly #net: Net;

  constructor(
    net: Net,
    /** The name the test uses. */
    readonly label: string,
    /** The name the kernel knows. */
    readonly name: string,
  ) {
    this.#net = net;
  }

  /** Runs a command inside and returns its output; throws with the command's complaint when it fails. */
  run(command: string, ...args: string[]): string {
    return execFileSync('ip', ['netns', 'exec', this.name, command, ...args], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  }

  /** `ip(8)` inside: `ns.ip('link', 'set', 'eth1', 'down')`. */
  ip(...args: string[]): string {
    return execFileSync('ip', ['-n', this.name, ...args], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  }

  /** `ip -json`, parsed. */
  ipJson<T>(...args: string[]): T {
    return JSON.parse(this.ip('-json', ...args) || '[]') as T;
  }

  sysctl(key: string, value: string | number): void {
    this.run('sh', '-c', `echo ${value} > /proc/sys/${key.replaceAll('.', '/')}`);
  }

  /** The ifindex of a device inside. */
  ifindex(device: string): number {
    return this.ipJson<{ ifindex: number }[]>('link', 'show', 'dev', device)[0]!.ifindex;
  }

  /** Starts a long-running child inside; it ends with the test at the latest. */
  spawn(command: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): Child {
    return this.#net.keep(new Child('ip', ['netns', 'exec', this.name, command, ...args], env));
  }

  /** Waits until every device with carrier passes packets. */
  async linksPass(): Promise<void> {
    await linksPass(`the links of ${this.label} to pass packets`, () => this.ipJson('link', 'show'));
  }

  /** Starts a sender and waits until it can send. */
  async sender(options: SenderOptions): Promise<Sender> {
    await this.linksPass();
    return Sender.start(this, options);
  }

  /** Starts a host that can join groups and count. */
  async receiver(options: ReceiverOptions): Promise<Receiver> {
    await this.linksPass();
    return Receiver.start(this, options);
  }

  /** Starts the real daemon (compiled, dist/) with the configuration that `config` gives for its control socket, and waits until it serves. */
  async daemon(config: (controlSocket: string) => string): Promise<Daemon> {
    await this.linksPass();
    return this.#net.keepDaemon(await this.daemonProcess(config).ready());
  }

  /** The same without waiting, for daemons that are meant to refuse. */
  daemonProcess(config: (controlSocket: string) => string): Daemon {
    return this.#net.keepDaemon(new Daemon(this, this.#net.temporaryDirectory(), config));
  }

  /** What to look at when a test failed. */
  state(): string {
    const looks = [
      ['ip', '-s', 'mroute'],
      ['cat', '/proc/net/ip_mr_vif'],
      ['cat', '/proc/net/igmp'],
      ['ip', '-brief', 'address'],
    ];
    return looks
      .map(([command, ...args]) => {
        try {
          return `$ ${command} ${args.join(' ')}\n${this.run(command!, ...args)}`;
        } catch (error) {
          return `$ ${command} ${args.join(' ')}: ${String(error)}\n`;
        }
      })
      .join('');
  }
}

interface LinkState {
  readonly operstate: string;
  readonly flags: readonly string[];
}

/**
 * The kernel may take a second after carrier came on before a device's queue lets packets through (it collects such
 * events when there are many); until then its operational state is not UP and what is sent is dropped.
 */
export async function linksPass(what: string, links: () => readonly LinkState[]): Promise<void> {
  const waits = ({ flags, operstate }: LinkState) =>
    flags.includes('LOWER_UP') && !flags.includes('LOOPBACK') && operstate !== 'UP' && operstate !== 'UNKNOWN';
  await eventually(what, () => !links().some(waits), { everyMs: 50 });
}

/** One end of a link: `[namespace, device, 'address/length']`; several addresses are separated by blanks. */
export type End = readonly [namespace: Namespace, device: string, addresses?: string];

export class Net {
  readonly #prefix = `mgmd-${process.pid}-${++counter}`;
  readonly #namespaces: Namespace[] = [];
  readonly #children: Child[] = [];
  readonly #daemons: Daemon[] = [];
  readonly #directories: string[] = [];

  /** A namespace with loopback up, IPv6 off (no noise on the wires) and rp_filter off. */
  namespace(label: string): Namespace {
    const namespace = new Namespace(this, label, `${this.#prefix}-${label}`);
    execFileSync('ip', ['netns', 'add', namespace.name], { stdio: ['ignore', 'pipe', 'pipe'] });
    this.#namespaces.push(namespace);
    namespace.ip('link', 'set', 'lo', 'up');
    namespace.sysctl('net.ipv6.conf.all.disable_ipv6', 1);
    namespace.sysctl('net.ipv6.conf.default.disable_ipv6', 1);
    namespace.sysctl('net.ipv4.conf.all.rp_filter', 0);
    namespace.sysctl('net.ipv4.conf.default.rp_filter', 0);
    return namespace;
  }

  /** A namespace that forwards unicast. */
  router(label: string): Namespace {
    const router = this.namespace(label);
    router.sysctl('net.ipv4.ip_forward', 1);
    return router;
  }

  /** A veth pair between two namespaces, addressed and up at both ends. */
  link(a: End, b: End): void {
    a[0].ip('link', 'add', a[1], 'type', 'veth', 'peer', 'name', b[1], 'netns', b[0].name);
    for (const [namespace, device, addresses = ''] of [a, b]) {
      for (const address of addresses.split(' ').filter(Boolean))
        namespace.ip('address', 'add', address, 'dev', device);
      namespace.ip('link', 'set', device, 'up');
    }
  }

  /** A host on a LAN of its own with the router: the default route leads to the router. */
  host(label: string, router: Namespace, device: string, subnet: string): Namespace {
    const host = this.namespace(label);
    this.link([router, device, `${subnet}.1/24`], [host, 'eth0', `${subnet}.2/24`]);
    host.ip('route', 'add', 'default', 'via', `${subnet}.1`);
    return host;
  }

  keep(child: Child): Child {
    this.#children.push(child);
    return child;
  }

  keepDaemon(daemon: Daemon): Daemon {
    if (!this.#daemons.includes(daemon)) this.#daemons.push(daemon);
    return daemon;
  }

  temporaryDirectory(): string {
    const directory = mkdtempSync(join(tmpdir(), `${this.#prefix}-`));
    this.#directories.push(directory);
    return directory;
  }

  /** Everything a person would look at first. */
  report(): string {
    const namespaces = this.#namespaces.map((namespace) => `--- ${namespace.label}\n${namespace.state()}`);
    const daemons = this.#daemons.map((daemon) => `--- daemon in ${daemon.label}\n${daemon.output()}`);
    return [...namespaces, ...daemons].join('\n');
  }

  async close(): Promise<void> {
    for (const child of this.#children) await child.kill();
    for (const { name } of this.#namespaces)
      execFileSync('ip', ['netns', 'delete', name], { stdio: ['ignore', 'ignore', 'pipe'] });
    for (const directory of this.#directories) rmSync(directory, { recursive: true, force: true });
  }
}

/** Runs `body` in a fresh net; prints its state when the body throws; removes it in any case. */
export async function withNet<T>(body: (net: Net) => Promise<T>): Promise<T> {
  const net = new Net();
  try {
    return await body(net);
  } catch (error) {
    process.stderr.write(`${net.report()}\n`);
    throw error;
  } finally {
    await net.close();
  }
}

/** A test with a net of its own. */
export function netnsTest(title: string, body: (net: Net) => Promise<void>, timeoutMs = 120_000): void {
  test(title, () => withNet(body), timeoutMs);
}
