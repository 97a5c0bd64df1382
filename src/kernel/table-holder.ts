/**
 * Who holds the multicast routing table? The kernel does not say. What it shows is who has a raw IGMP socket open in this
 * network namespace (linux.md A1), and a routing daemon is one of those; so these are suspects, not culprits (F01).
 */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

export interface Suspect {
  readonly pid: number;
  /** The name of the process, at most 15 characters. */
  readonly comm: string;
}

/** Bounds of the search, so that a host with very many processes does not stall the start. */
export interface SearchBounds {
  readonly processes: number;
  readonly descriptorsPerProcess: number;
  readonly suspects: number;
}

const BOUNDS: SearchBounds = { processes: 8192, descriptorsPerProcess: 1024, suspects: 5 };

/** IP protocol 2 as /proc/net/raw shows it in place of a port. */
const IGMP_PORT = ':0002';
const INODE_FIELD = 9;

/** The inodes of raw IGMP sockets in the text of /proc/net/raw. Lines it does not understand are passed over. */
export function rawIgmpInodes(table: string): ReadonlySet<string> {
  const inodes = new Set<string>();
  for (const line of table.split('\n').slice(1)) {
    const fields = line.trim().split(/\s+/);
    const inode = fields[INODE_FIELD];
    if (fields[1]?.endsWith(IGMP_PORT) && inode !== undefined && /^[1-9]\d*$/.test(inode)) inodes.add(inode);
  }
  return inodes;
}

/** Other processes with a raw IGMP socket in this network namespace; empty when /proc shows none or forbids to look. */
export function suspects(procRoot = '/proc', bounds: SearchBounds = BOUNDS): readonly Suspect[] {
  const inodes = rawIgmpInodes(readText(`${procRoot}/thread-self/net/raw`));
  const found: Suspect[] = [];
  if (inodes.size === 0) return found;
  const pids = list(procRoot).filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid);
  for (const pid of pids.slice(0, bounds.processes)) {
    if (found.length >= bounds.suspects) break;
    if (!holdsOneOf(`${procRoot}/${pid}/fd`, inodes, bounds.descriptorsPerProcess)) continue;
    found.push({ pid: Number(pid), comm: readText(`${procRoot}/${pid}/comm`).trim() });
  }
  return found;
}

/** "smcrouted (pid 812), pimd (pid 900)"; empty for nobody. */
export function formatSuspects(found: readonly Suspect[]): string {
  return found.map(({ pid, comm }) => `${comm} (pid ${pid})`).join(', ');
}

function holdsOneOf(fdFolder: string, inodes: ReadonlySet<string>, limit: number): boolean {
  return list(fdFolder)
    .slice(0, limit)
    .some((fd) => inodes.has(/^socket:\[(\d+)\]$/.exec(readLink(`${fdFolder}/${fd}`))?.[1] ?? ''));
}

// A process may end, or be hidden from us, between two of these reads; then it simply is no suspect.

function list(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

function readLink(link: string): string {
  try {
    return readlinkSync(link);
  } catch {
    return '';
  }
}
