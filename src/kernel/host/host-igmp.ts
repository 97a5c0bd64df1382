/**
 * The kernel's own host side of IGMP: which version it speaks on an interface, and pinning it (igmp.md sections 11.3 and
 * 14.5). /proc and nothing else: neither has a netlink counterpart.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { KernelError } from '../../base/errors.js';
import { linkName } from '../../base/link-name.js';
import type { ForcedVersions, HostIgmpPort, Ifindex, IgmpVersionNumber, LinkPort } from '../../port/kernel.js';
import { errnoName } from '../errno.js';
import { SOURCES_PER_MEMBERSHIP } from '../membership/membership-plan.js';

const SETTING = 'force_igmp_version';
const READ_ONLY =
  'A sandbox may forbid it (ProtectKernelTunables of the service); "sysctl net.ipv4.conf.IFNAME.force_igmp_version" sets it from outside, and the upstream\'s "version" can stay auto.';
const GONE = 'The interface does not exist (any more); it is set again as soon as it is back.';

export class HostIgmp implements HostIgmpPort {
  readonly #links: Pick<LinkPort, 'byIndex'>;
  readonly #proc: string;
  /** What was there before, by interface. */
  readonly #before = new Map<Ifindex, string>();

  readonly #nowMs: () => number;
  #versions: ReadonlyMap<number, IgmpVersionNumber> = new Map();
  /** The read that was begun last. */
  #read: { readonly atMs: number; readonly done: Promise<void> } | undefined;

  /** `proc`: another root than /proc, for tests. */
  constructor(links: Pick<LinkPort, 'byIndex'>, nowMs: () => number, proc = '/proc') {
    this.#links = links;
    this.#nowMs = nowMs;
    this.#proc = proc;
  }

  version(ifindex: Ifindex): IgmpVersionNumber | undefined {
    return this.#versions.get(ifindex);
  }

  refresh(then: () => void, maxAgeMs = 0): void {
    const nowMs = this.#nowMs();
    if (!this.#read || nowMs - this.#read.atMs >= maxAgeMs) this.#read = { atMs: nowMs, done: this.#readVersions() };
    void this.#read.done.then(then);
  }

  /** Outside of the event loop: with 50,000 groups the kernel makes the list in 0.1 s or more. */
  async #readVersions(): Promise<void> {
    // A kernel without IGMP speaks none.
    const text = await readFile(join(this.#proc, 'net/igmp'), 'utf8').catch(() => '');
    this.#versions = versionsIn(text);
  }

  forced(ifindex: Ifindex): ForcedVersions {
    return { own: this.#forcedIn(this.#name(ifindex)), all: this.#forcedIn('all') };
  }

  #forcedIn(name: string): IgmpVersionNumber | undefined {
    const value = readNumber(join(this.#proc, 'sys/net/ipv4/conf', name, SETTING));
    return value === 1 || value === 2 || value === 3 ? value : undefined;
  }

  /** Writes only where something else is set. */
  force(ifindex: Ifindex, version: IgmpVersionNumber | 'auto'): KernelError | undefined {
    const wanted = version === 'auto' ? '0' : `${version}`;
    try {
      const now = readFileSync(this.#file(ifindex), 'utf8').trim();
      if (now === wanted) return undefined;
      writeFileSync(this.#file(ifindex), wanted);
      this.#read = undefined;
      if (!this.#before.has(ifindex)) this.#before.set(ifindex, now);
      return undefined;
    } catch (error) {
      return refused(error, this.#name(ifindex));
    }
  }

  restore(ifindex: Ifindex): void {
    const before = this.#before.get(ifindex);
    this.#before.delete(ifindex);
    if (before === undefined) return;
    try {
      writeFileSync(this.#file(ifindex), before);
    } catch {
      // It went with its interface.
    }
  }

  #name(ifindex: Ifindex): string {
    return linkName(this.#links, ifindex);
  }

  #file(ifindex: Ifindex): string {
    return join(this.#proc, 'sys/net/ipv4/conf', this.#name(ifindex), SETTING);
  }
}

/** Undefined when the file cannot be read or holds no number. */
function readNumber(file: string): number | undefined {
  try {
    const text = readFileSync(file, 'utf8').trim();
    return /^\d+$/.test(text) ? Number(text) : undefined;
  } catch {
    return undefined;
  }
}

/** How long an answer counts. */
const READ_EVERY_MS = 1000;

/** How many sources the filter of one membership holds now (net.ipv4.igmp_max_msf); read at most once a second. */
export function sourceLimit(nowMs: () => number, proc = '/proc'): () => number {
  let limit = SOURCES_PER_MEMBERSHIP;
  let readAtMs = -Infinity;
  return () => {
    if (nowMs() - readAtMs >= READ_EVERY_MS) {
      limit = readNumber(join(proc, 'sys/net/ipv4/igmp_max_msf')) ?? SOURCES_PER_MEMBERSHIP;
      readAtMs = nowMs();
    }
    return limit;
  };
}

/** By ifindex, from the lines of the interfaces: "2	eth0      :     2      V3". */
export function versionsIn(procNetIgmp: string): ReadonlyMap<number, IgmpVersionNumber> {
  const versions = new Map<number, IgmpVersionNumber>();
  for (const [, index, version] of procNetIgmp.matchAll(/^(\d+)\s.*\sV([123])\s*$/gm))
    versions.set(Number(index), Number(version) as IgmpVersionNumber);
  return versions;
}

function refused(error: unknown, ifname: string): KernelError {
  const errno = error instanceof Error && 'errno' in error ? Math.abs(Number(error.errno)) : 0;
  const code = errnoName(errno);
  return new KernelError(`setting ${SETTING}`, ifname, errno, code, code === 'ENOENT' ? GONE : READ_ONLY);
}
