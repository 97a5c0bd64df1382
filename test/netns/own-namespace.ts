/**
 * The kernel ports work in the namespace of the process that opens them, so each test file's process is put into one of its own
 * (setup.ts; pool "forks"), which ends with it.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { DataType, load, open } from 'ffi-rs';
import { type Kernel, type KernelOptions, openKernel } from '../../src/kernel/system.js';
import type { Clock } from '../../src/port/clock.js';
import type { Ifindex } from '../../src/port/kernel.js';
import { RecordingLog } from '../support/recording-log.js';

const CLONE_NEWNET = 0x40000000;

/** Moves this process into a new network namespace with loopback up. */
export function enterOwnNamespace(): void {
  open({ library: 'libc', path: 'libc.so.6' });
  const result = load({
    library: 'libc',
    funcName: 'unshare',
    retType: DataType.I32,
    paramsType: [DataType.I32],
    paramsValue: [CLONE_NEWNET],
  });
  if (result !== 0) throw new Error('unshare(CLONE_NEWNET) was refused: these tests need root or CAP_SYS_ADMIN');
  run('ip', 'link', 'set', 'lo', 'up');
}

export function run(command: string, ...args: string[]): string {
  return execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

/** `ip('link set a up')`. */
export function ip(words: string): string {
  return run('ip', ...words.split(' '));
}

/** Many lines in one call, without a turn of the event loop in between. */
export function ipBatch(lines: readonly string[]): void {
  execFileSync('ip', ['-batch', '-'], { input: lines.join('\n'), stdio: ['pipe', 'pipe', 'pipe'] });
}

/** A pair of devices of which the first is for the test and the second is its far end; both up. */
export function veth(name: string, address?: string): Ifindex {
  ip(`link add name ${name} type veth peer name ${name}-peer`);
  if (address) ip(`address add ${address} dev ${name}`);
  ip(`link set dev ${name} up`);
  ip(`link set dev ${name}-peer up`);
  return ifindexOf(name);
}

export function ifindexOf(name: string): Ifindex {
  const [link] = JSON.parse(ip(`-json link show dev ${name}`)) as { readonly ifindex: number }[];
  return link!.ifindex as Ifindex;
}

/** 'net.ipv4.igmp_max_memberships' and a value. */
export function sysctl(key: string, value: string | number): void {
  writeFileSync(`/proc/sys/${key.replaceAll('.', '/')}`, String(value));
}

/** The text of a file below /proc/net as this thread's namespace shows it. */
export function procNet(file: string): string {
  return readFileSync(`/proc/thread-self/net/${file}`, 'utf8');
}

/** The groups of a device in /proc/net/igmp, as 8 hexadecimal digits in network order, without 224.0.0.1. */
export function joinedGroups(device: string): readonly string[] {
  const groups: string[] = [];
  let current = '';
  for (const line of procNet('igmp').split('\n')) {
    const head = /^\d+\s+(\S+)\s*:/.exec(line);
    if (head) current = head[1]!;
    const group = /^\t+([0-9A-F]{8})\s/.exec(line)?.[1];
    // The digits are in the byte order of the machine.
    if (group && current === device) groups.push(group.match(/../g)!.reverse().join('').toLowerCase());
  }
  return groups.filter((group) => group !== 'e0000001');
}

const systemClock: Clock = {
  nowMs: () => performance.now(),
  after(delayMs, fire) {
    const timer = setTimeout(fire, delayMs);
    return { cancel: () => clearTimeout(timer) };
  },
};

export interface Opened {
  readonly kernel: Kernel;
  readonly log: RecordingLog;
}

export function openOwn(options: Partial<KernelOptions> = {}): Opened {
  const log = new RecordingLog();
  const opened = openKernel({ table: 253, clock: systemClock, log, ...options });
  if (!opened.ok) throw opened.error;
  return { kernel: opened.value, log };
}

/** Opens the kernel for the test and closes it and removes all devices afterwards. */
export async function withKernel(
  use: (opened: Opened) => Promise<void> | void,
  options: Partial<KernelOptions> = {},
): Promise<void> {
  const opened = openOwn(options);
  try {
    await use(opened);
  } finally {
    opened.kernel.close();
    removeDevices();
  }
}

/** Every device but loopback. */
export function removeDevices(): void {
  for (;;) {
    const links = JSON.parse(ip('-json link show')) as { readonly ifname: string }[];
    const next = links.find(({ ifname }) => ifname !== 'lo');
    if (!next) return;
    ip(`link delete dev ${next.ifname}`);
  }
}
