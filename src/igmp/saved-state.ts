/**
 * What the next process of this router needs of IGMP: who else is querier on a link. Without it two routers would both be it
 * until the other one asks again, and where only the querier forwards, packets would come twice. What hosts want is not
 * saved: they are asked at once.
 */
import { fieldsOf } from '../base/fields.js';
import { formatIp, parseIp } from '../base/ip.js';
import type { SavedProtocolState } from '../mgm/client.js';
import type { OtherQuerier } from './querier.js';

/** By interface name. */
export type OtherQueriers = ReadonlyMap<string, OtherQuerier>;

export function saveQueriers(queriers: OtherQueriers): unknown {
  return [...queriers].map(([name, other]) => ({ interface: name, ...other, address: formatIp(other.address) }));
}

/** What does not fit is left out: the link then elects as after any start. */
export function readQueriers(saved: SavedProtocolState | undefined): Map<string, OtherQuerier> {
  const entries = Array.isArray(saved?.state) ? (saved.state as readonly unknown[]) : [];
  return new Map(entries.flatMap((entry) => readQuerier(entry, saved?.ageMs ?? 0)));
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
  if (!parsed.ok || robustness === undefined || queryIntervalMs === undefined || expiresInMs === undefined) return [];
  const leftMs = expiresInMs - ageMs;
  if (leftMs <= 0) return [];
  return [[name, { address: parsed.value, version, robustness, queryIntervalMs, expiresInMs: leftMs }]];
}

function numberOf(value: unknown): number | undefined {
  return typeof value === 'number' && value >= 0 && Number.isFinite(value) ? value : undefined;
}
