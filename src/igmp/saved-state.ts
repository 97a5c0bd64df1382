/**
 * What the next process of this router needs of IGMP.
 * - Who else is querier on a link, and who would be after it. Without it two routers would both be it until the other one asks
 *   again, and where only the querier forwards, packets would come twice.
 * - Which of the startup queries are still to be sent, so that a reload sends none anew.
 * - What hosts want, when the next process follows at once: it need not ask, and what its configuration forbids ends at once.
 *   After a longer gap reports were lost, and the hosts are asked as at any start.
 */
import { fieldsOf } from '../base/fields.js';
import { formatIp, isUnicast, parseIp } from '../base/ip.js';
import type { SavedProtocolState } from '../mgm/client.js';
import { type SavedGroup, unpackGroup } from './groups/group-memory.js';
import type { OtherQuerier } from './queries/querier.js';

/** Until then the messages of hosts wait in the socket. */
const FOLLOWS_AT_ONCE_MS = 3000;
/** Numbers of all groups and their sources, some 10 MB of text; hosts of interfaces beyond it are asked again. */
const MOST_NUMBERS = 1_000_000;

/** One interface as the process before left it. */
export interface SavedInterface {
  /** Version that was configured then. Where it is another now, hosts are asked. */
  readonly version: number;
  readonly startupLeft: number;
  /** Until the next general query. */
  readonly queryDueInMs: number;
  /** Until all hosts have had time to answer; 0: they had. */
  readonly knownInMs: number;
  readonly groups: readonly SavedGroup[];
}

/** A `SavedInterface` as it is written: groups are packed. */
export type LeftInterface = Omit<SavedInterface, 'groups'> & { readonly groups: readonly (readonly number[])[] };

/** By interface name. */
export type SavedQueriers = ReadonlyMap<string, readonly OtherQuerier[]>;

export function packState(queriers: SavedQueriers, left: ReadonlyMap<string, LeftInterface>): unknown {
  let room = MOST_NUMBERS;
  const interfaces = [...left].filter(([, { groups }]) => {
    const numbers = groups.reduce((sum, row) => sum + row.length, 0);
    if (numbers > room) return false;
    room -= numbers;
    return true;
  });
  return {
    queriers: [...queriers].flatMap(([name, others]) =>
      others.map((other) => ({ interface: name, ...other, address: formatIp(other.address) })),
    ),
    interfaces: interfaces.map(([name, one]) => ({ interface: name, ...one })),
  };
}

/** What does not fit is left out: the link then elects as after any start. */
export function readQueriers(saved: SavedProtocolState | undefined): Map<string, OtherQuerier[]> {
  const entries = listOf(fieldsOf(saved?.state)?.['queriers']);
  const queriers = new Map<string, OtherQuerier[]>();
  for (const [name, other] of entries.flatMap((entry) => readQuerier(entry, saved?.ageMs ?? 0)))
    queriers.set(name, [...(queriers.get(name) ?? []), other]);
  return queriers;
}

/** By interface name; empty when the process before ended too long ago, or left without a word. */
export function readInterfaces(saved: SavedProtocolState | undefined): Map<string, SavedInterface> {
  if (saved === undefined || saved.ageMs > FOLLOWS_AT_ONCE_MS) return new Map();
  const entries = listOf(fieldsOf(saved.state)?.['interfaces']);
  return new Map(entries.flatMap((entry) => readInterface(entry, saved.ageMs)));
}

function readInterface(entry: unknown, ageMs: number): readonly [string, SavedInterface][] {
  const { interface: name, groups: rows, ...fields } = fieldsOf(entry) ?? {};
  const [version, startupLeft, queryDueInMs, knownInMs] = ['version', 'startupLeft', 'queryDueInMs', 'knownInMs'].map(
    (key) => numberOf(fields[key]),
  );
  if (
    typeof name !== 'string' ||
    version === undefined ||
    startupLeft === undefined ||
    queryDueInMs === undefined ||
    knownInMs === undefined
  )
    return [];
  const groups = listOf(rows).map((row) => unpackGroup(row, ageMs));
  if (!groups.every((group) => group !== undefined)) return [];
  const left = (ms: number): number => Math.max(0, ms - ageMs);
  return [[name, { version, startupLeft, queryDueInMs: left(queryDueInMs), knownInMs: left(knownInMs), groups }]];
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? (value as readonly unknown[]) : [];
}

function readQuerier(entry: unknown, ageMs: number): readonly [string, OtherQuerier][] {
  const fields = fieldsOf(entry);
  if (!fields) return [];
  const { interface: name, address, version } = fields;
  const [robustness, queryIntervalMs, expiresInMs] = ['robustness', 'queryIntervalMs', 'expiresInMs'].map((key) =>
    numberOf(fields[key]),
  );
  if (typeof name !== 'string' || typeof address !== 'string' || (version !== 1 && version !== 2 && version !== 3))
    return [];
  const parsed = parseIp(address);
  if (!parsed.ok || !isUnicast(parsed.value)) return [];
  if (robustness === undefined || queryIntervalMs === undefined || expiresInMs === undefined) return [];
  const leftMs = expiresInMs - ageMs;
  if (leftMs <= 0) return [];
  return [[name, { address: parsed.value, version, robustness, queryIntervalMs, expiresInMs: leftMs }]];
}

function numberOf(value: unknown): number | undefined {
  return typeof value === 'number' && value >= 0 && Number.isFinite(value) ? value : undefined;
}
