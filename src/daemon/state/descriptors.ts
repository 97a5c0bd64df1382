/**
 * Sockets that outlive the process (docs/adr/0009-a-restart-keeps-the-sockets.md): the multicast routing socket and the pools of memberships, as
 * numbers with names. They come from whoever started us, in the way of systemd (sd_listen_fds(3)), or from a predecessor
 * over a Unix socket; they go to the service manager, to a successor, or to the next life in
 * this process.
 */
import { closeSync, fstatSync } from 'node:fs';
import type { KernelDescriptors } from '../../kernel/system.js';
import type { Log } from '../../port/log.js';

/** SD_LISTEN_FDS_START */
const FIRST = 3;
const MEMBERSHIPS = 'member4.';
const DEFAULT_TABLE = 253;

export interface NamedDescriptor {
  readonly name: string;
  readonly fd: number;
}

export type Environment = Record<string, string | undefined>;

/** What a predecessor left. The numbers are ours to close until the kernel layer has taken them over. */
export interface Predecessor {
  readonly routing: number;
  readonly memberships: readonly NamedDescriptor[];
  /** By number, to know them again. */
  readonly inodes: ReadonlyMap<number, number | undefined>;
}

/** Descriptors passed by the parent; the variables are taken out of `env`, so that no child takes them for its own. */
export function passedByParent(env: Environment, pid: number): readonly NamedDescriptor[] {
  const count = Number(env['LISTEN_FDS'] ?? 0);
  const names = (env['LISTEN_FDNAMES'] ?? '').split(':');
  const meant = Number(env['LISTEN_PID']) === pid;
  for (const name of ['LISTEN_FDS', 'LISTEN_FDNAMES', 'LISTEN_PID']) delete env[name];
  if (!meant || !Number.isInteger(count) || count < 0) return [];
  return Array.from({ length: count }, (_, at) => ({ name: names[at] ?? '', fd: FIRST + at }));
}

/** Sorts by name; what has no use is closed. Without the routing socket of our table nothing has. */
export function predecessorOf(
  passed: readonly NamedDescriptor[],
  table: number,
  log: Log,
): { readonly predecessor: Predecessor | undefined; readonly useless: readonly NamedDescriptor[] } {
  const routing = passed.find(({ name }) => name === routingName(table));
  const memberships = passed.filter(({ name }) => name.startsWith(MEMBERSHIPS));
  const used = routing ? [routing, ...memberships] : [];
  const useless = passed.filter((one) => !used.includes(one));
  for (const { fd } of useless) closeSync(fd);
  if (useless.length > 0)
    log.warn(
      { evt: 'daemon.descriptor.unknown', names: useless.map(({ name }) => name) },
      `descriptors that mgmd has no use for were passed to it and are closed: ${useless.map(({ name }) => name || '(no name)').join(', ')}`,
    );
  const inodes = new Map(used.map(({ fd }) => [fd, inodeOf(fd)]));
  return { predecessor: routing && { routing: routing.fd, memberships, inodes }, useless };
}

function routingName(table: number): string {
  return table === DEFAULT_TABLE ? 'mroute4' : `mroute4.${table}`;
}

/** Closes what the kernel layer has not closed yet: it may have taken over some, all or none of them before it gave up. */
export function discard({ inodes }: Predecessor): void {
  for (const [fd, inode] of inodes) if (inodeOf(fd) === inode) closeSync(fd);
}

/** Tells whether a number still is the descriptor it was; undefined when it is none. */
function inodeOf(fd: number): number | undefined {
  try {
    return fstatSync(fd).ino;
  } catch {
    return undefined;
  }
}

/** Each descriptor has one name for its whole life, which no predecessor's has: by it the service manager lets it go. */
export class DescriptorNames {
  readonly routing: string;
  readonly #inherited: readonly string[];
  #pools = 0;
  readonly #first: number;

  constructor(table: number, predecessor: Predecessor | undefined) {
    this.routing = routingName(table);
    this.#inherited = predecessor?.memberships.map(({ name }) => name) ?? [];
    this.#first = 1 + Math.max(-1, ...this.#inherited.map((name) => Number(name.slice(MEMBERSHIPS.length)) || 0));
  }

  /** Names the pool that was opened just now. */
  newPool(): string {
    return this.#pool(this.#pools++);
  }

  named({ routing, pools, inherited }: KernelDescriptors): readonly NamedDescriptor[] {
    return [
      { name: this.routing, fd: routing },
      ...pools.map((fd, at) => ({ name: this.#pool(at), fd })),
      ...inherited.map((fd, at) => ({ name: this.#inherited[at] ?? MEMBERSHIPS, fd })),
    ].filter(({ fd }) => fd >= 0);
  }

  #pool(at: number): string {
    return `${MEMBERSHIPS}${this.#first + at}`;
  }
}
