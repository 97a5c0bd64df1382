/**
 * The memberships of all programs on this host, as /proc/net/igmp and /proc/net/mcfilter tell them (linux.md C4): how many a group
 * has on an interface and how many of them include or exclude each source, but not whose they are.
 */
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { ip, type IpAddress, ipv4, toU32 } from '../../base/ip.js';
import type { Ifindex, MembershipFilter } from '../../port/kernel.js';
import type { OpenMembershipPool } from './membership-lanes.js';
import { LITTLE_ENDIAN } from '../netlink/netlink.js';

export interface HostMembership {
  readonly group: IpAddress;
  /** Memberships, of sockets and of the kernel itself. */
  readonly users: number;
  readonly sources: readonly SourceUse[];
}

export interface SourceUse {
  readonly source: IpAddress;
  /** How many of the memberships are in include mode and list it, and how many in exclude mode. */
  readonly included: number;
  readonly excluded: number;
}

export interface ProcIgmpRow {
  readonly ifindex: Ifindex;
  readonly group: IpAddress;
  readonly users: number;
}

const LOOPBACK = 1 as Ifindex;
const LOOPBACK_SOURCE = ip('127.0.0.1');
/** Of this many groups of 232.0.0.0/8 (source-specific) one is joined on loopback while mcfilter is read. */
const LEADERS = 65_536;
const ATTEMPTS = 8;

/**
 * Reads what the kernel has, in its own order (newest first). mcfilter has two quirks. It begins with the first device whose
 * newest group has sources, and leaves out all before: so such a group is made on loopback, the first device of a namespace.
 * And a change while it is read, which is done by the page, can hide lines: so it is read until nothing changes.
 */
export class HostMembershipReader {
  readonly #open: OpenMembershipPool;
  #leader = 0;

  constructor(open: OpenMembershipPool) {
    this.#open = open;
  }

  /** Undefined when it cannot be read completely. */
  read(ifindex: Ifindex): readonly HostMembership[] | undefined {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const [before, igmp, after] = this.#texts();
      if (before !== after || igmp === '') continue;
      if (parseProcMcfilter(after, LOOPBACK).has(ipv4(this.#leader))) return hostMemberships(igmp, after, ifindex);
    }
    return undefined;
  }

  #texts(): readonly [string, string, string] {
    this.#leader = 0xe8_ff_00_00 + ((this.#leader + 1) % LEADERS);
    const pool = this.#open();
    if (typeof pool === 'number') return ['', '', ''];
    pool.joinSource(LOOPBACK, this.#leader, toU32(LOOPBACK_SOURCE));
    const texts = [readProcNet('mcfilter'), readProcNet('igmp'), readProcNet('mcfilter')] as const;
    pool.close();
    return texts;
  }
}

/** Empty when it cannot be read. */
function readProcNet(file: string): string {
  try {
    return readFileSync(`/proc/thread-self/net/${file}`, 'utf8');
  } catch {
    return '';
  }
}

/** The same outside of the event loop: the kernel makes a long list slowly. */
export async function readProcNetLater(file: string): Promise<string> {
  try {
    return await readFile(`/proc/self/net/${file}`, 'utf8');
  } catch {
    return '';
  }
}

export function hostMemberships(igmp: string, mcfilter: string, ifindex: Ifindex): readonly HostMembership[] {
  const filters = parseProcMcfilter(mcfilter, ifindex);
  return parseProcIgmp(igmp)
    .filter((row) => row.ifindex === ifindex)
    .map(({ group, users }) => ({ group, users, sources: filters.get(group) ?? [] }));
}

/** A line "2 eth0 : 3 V3" per interface, below it a line "\t010101EF 1 0:00000000 0" per group, its bytes as memory has them. */
export function parseProcIgmp(text: string): readonly ProcIgmpRow[] {
  const rows: ProcIgmpRow[] = [];
  let ifindex = 0;
  for (const line of text.split('\n')) {
    const device = /^(\d+)\s/.exec(line)?.[1];
    const [, digits, users] = /^\s+([0-9A-F]{8})\s+(\d+)\s/.exec(line) ?? [];
    if (device !== undefined) ifindex = Number(device);
    else if (digits !== undefined)
      rows.push({ ifindex: ifindex as Ifindex, group: ipv4(fromMemory(digits)), users: Number(users) });
  }
  return rows;
}

/** A line "2 eth0 0xef010101 0x0a000001 1 0" per source, in network order: how many include it, how many exclude it. */
export function parseProcMcfilter(text: string, ifindex: Ifindex): ReadonlyMap<IpAddress, readonly SourceUse[]> {
  const byGroup = new Map<IpAddress, SourceUse[]>();
  for (const line of text.split('\n')) {
    const [index, , group, source, included, excluded] = line.trim().split(/\s+/);
    if (excluded === undefined || Number(index) !== ifindex) continue;
    const use = { source: ipv4(Number(source)), included: Number(included), excluded: Number(excluded) };
    const uses = byGroup.get(ipv4(Number(group)));
    if (uses) uses.push(use);
    else byGroup.set(ipv4(Number(group)), [use]);
  }
  return byGroup;
}

/**
 * The filter that all memberships make together (RFC 3376 section 3.2). Undefined: there is none.
 * The kernel does not tell how many of them are in exclude mode, so it is inferred. Where some include several sources and none
 * excludes any, the numbers can fit both modes; it is include then: one more membership of that filter changes nothing in either.
 */
export function filterOf({ users, sources }: Omit<HostMembership, 'group'>): MembershipFilter | undefined {
  if (users <= 0) return undefined;
  const included = sources.filter((use) => use.included > 0);
  const inclusions = included.reduce((sum, use) => sum + use.included, 0);
  const most = Math.max(0, ...sources.map((use) => use.excluded));
  if (most === 0 && users <= inclusions) return { mode: 'include', sources: included.map((use) => use.source) };
  // A source is shut out when every membership in exclude mode lists it, and none in include mode.
  const excluders = Math.max(1, users - inclusions);
  const blocked = sources.filter((use) => use.included === 0 && use.excluded === most && most >= excluders);
  return { mode: 'exclude', sources: blocked.map((use) => use.source) };
}

/** What is left of a membership without some of those that make it up. */
export function without(all: HostMembership, some: readonly MembershipFilter[]): HostMembership {
  const count = (mode: MembershipFilter['mode'], source: IpAddress) =>
    some.filter((one) => one.mode === mode && one.sources.includes(source)).length;
  const sources = all.sources.map(({ source, included, excluded }) => ({
    source,
    included: included - count('include', source),
    excluded: excluded - count('exclude', source),
  }));
  return { group: all.group, users: all.users - some.length, sources };
}

function fromMemory(digits: string): number {
  const stored = Number.parseInt(digits, 16);
  if (!LITTLE_ENDIAN) return stored;
  return ((stored & 0xff) << 24) | ((stored & 0xff00) << 8) | ((stored >>> 8) & 0xff00) | (stored >>> 24);
}
