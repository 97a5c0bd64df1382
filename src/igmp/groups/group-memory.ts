/**
 * What hosts want, carried over to the next process of this router: the groups of an interface as plain values, and back. Times
 * are what is left of them. Hosts that are tracked are not carried over: until they are heard again, leaves are asked about.
 */
import { type IpAddress, ipv4, toU32 } from '../../base/ip.js';
import type { IgmpInterfaceConfig } from '../../config/types.js';
import { admitsSource, groupRefusal } from './admission.js';
import type { Group, Mode } from './group.js';
import type { RecordEnv } from './group-v3.js';
import { longestMembershipMs } from '../intervals.js';

export interface SavedSource {
  readonly address: IpAddress;
  /** 0 in EXCLUDE: refused. */
  readonly leftMs: number;
  /** For whom it counts (limits.ts). */
  readonly host: IpAddress;
}

export interface SavedGroup {
  readonly address: IpAddress;
  readonly mode: Mode;
  /** In EXCLUDE. */
  readonly leftMs: number;
  readonly v1LeftMs: number;
  readonly v2LeftMs: number;
  readonly lastReporter: IpAddress;
  /** For whom it counts. */
  readonly host: IpAddress;
  readonly sources: readonly SavedSource[];
}

/** Numbers before the sources of a group: address, mode, three times, reporter, host. */
const FIXED = 7;
/** Numbers of a source: address, time, host. */
const PER_SOURCE = 3;

/** One group as a row of numbers: its own, then those of each source. */
export function packGroup(group: Group, nowMs: number): readonly number[] {
  const left = (untilMs: number): number => Math.max(0, Math.ceil(untilMs - nowMs));
  const { address, mode, timerMs, v1HostMs, v2HostMs, lastReporter, host } = group;
  const row = [toU32(address), mode === 'exclude' ? 1 : 0, left(timerMs), left(v1HostMs), left(v2HostMs)];
  row.push(toU32(lastReporter), toU32(host));
  for (const source of group.sources?.values() ?? []) {
    const leftMs = source.expiryMs === 0 ? 0 : Math.max(1, left(source.expiryMs));
    row.push(toU32(source.address), leftMs, toU32(source.host));
  }
  return row;
}

/** Undefined for what is no such row. `ageMs`: how long ago it was packed. */
export function unpackGroup(row: unknown, ageMs: number): SavedGroup | undefined {
  if (!Array.isArray(row) || row.length < FIXED || (row.length - FIXED) % PER_SOURCE !== 0) return undefined;
  const numbers = row as readonly unknown[];
  if (!numbers.every((value): value is number => Number.isInteger(value) && Number(value) >= 0)) return undefined;
  const [group = 0, exclude = 0, leftMs = 0, v1 = 0, v2 = 0, reporter = 0, host = 0] = numbers;
  const aged = (ms: number): number => Math.max(0, Math.ceil(ms - ageMs));
  const sources: SavedSource[] = [];
  for (let at = FIXED; at < numbers.length; at += PER_SOURCE) {
    const [address = 0, sourceLeftMs = 0, sourceHost = 0] = numbers.slice(at, at + PER_SOURCE);
    const left = sourceLeftMs === 0 ? 0 : Math.max(1, aged(sourceLeftMs));
    sources.push({ address: ipv4(address), leftMs: left, host: ipv4(sourceHost) });
  }
  return {
    address: ipv4(group),
    mode: exclude === 1 ? 'exclude' : 'include',
    leftMs: Math.max(1, aged(leftMs)),
    v1LeftMs: aged(v1),
    v2LeftMs: aged(v2),
    lastReporter: ipv4(reporter),
    host: ipv4(host),
    sources,
  };
}

/** What of the group hosts may ask for today, and no longer than they could; undefined: nothing. Sources that are named stay. */
export function admitted(saved: SavedGroup, config: IgmpInterfaceConfig): SavedGroup | undefined {
  const { address, mode } = saved;
  if (groupRefusal(config, address, false) !== undefined) return undefined;
  const most = longestMembershipMs(config);
  const within = (ms: number): number => Math.min(ms, most);
  const anySource = mode === 'exclude' && groupRefusal(config, address, true) === undefined;
  const sources = saved.sources
    .filter((source) => admitsSource(config, source.address) && (anySource || source.leftMs > 0))
    .slice(0, config.maxSourcesPerGroup)
    .map((source) => ({ ...source, leftMs: within(source.leftMs) }));
  if (!anySource && sources.length === 0) return undefined;
  const times = { leftMs: within(saved.leftMs), v1LeftMs: within(saved.v1LeftMs), v2LeftMs: within(saved.v2LeftMs) };
  return { ...saved, ...times, mode: anySource ? 'exclude' : 'include', sources };
}

/** Into an empty group. Routing is told, of refusals first: not one packet of a refused source leaves. */
export function recall(
  group: Group,
  saved: SavedGroup,
  env: Pick<RecordEnv, 'nowMs' | 'changes'>,
  takeSource: (group: Group, host: IpAddress) => boolean,
): void {
  const until = (leftMs: number): number => (leftMs === 0 ? 0 : env.nowMs + leftMs);
  group.mode = saved.mode;
  group.timerMs = saved.mode === 'exclude' ? until(saved.leftMs) : 0;
  group.v1HostMs = until(saved.v1LeftMs);
  group.v2HostMs = until(saved.v2LeftMs);
  group.lastReporter = saved.lastReporter;
  for (const { address, leftMs, host } of saved.sources) {
    group.sources ??= new Map();
    if (!takeSource(group, host)) continue;
    group.sources.set(address, { address, expiryMs: until(leftMs), queriesLeft: 0, nextQueryMs: 0, seenIn: 0, host });
  }
  for (const { address, expiryMs } of group.sources?.values() ?? []) {
    if (saved.mode === 'include') env.changes.joinSource(group.address, address);
    else if (expiryMs === 0) env.changes.refuseSource(group.address, address);
  }
  if (saved.mode === 'exclude') env.changes.joinGroup(group.address);
}
