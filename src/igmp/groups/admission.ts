/**
 * What hosts may ask for on an interface: address ranges (igmp.md section 13), the boundary (13.3), and the filters for groups
 * and sources (igmp.md section 18). Nothing here allocates: it is asked for every record and every source of one.
 */
import { type IpAddress, isLinkLocalGroup, isMulticast, type Prefix, prefixContains } from '../../base/ip.js';
import { admits, type PrefixFilter } from '../../base/prefix-filter.js';
import type { IgmpInterfaceConfig } from '../../config/types.js';
import { readSource } from '../wire/packet.js';

export type AdmissionDrop = 'badGroup' | 'linkLocalGroup' | 'ssmGroup' | 'boundary' | 'groupFilter';

/** Why hosts cannot ask for the group, or undefined. `anySource`: it is asked for without naming sources. */
export function groupRefusal(
  config: IgmpInterfaceConfig,
  group: IpAddress,
  anySource: boolean,
): AdmissionDrop | undefined {
  if (!isMulticast(group)) return 'badGroup';
  if (isLinkLocalGroup(group)) return 'linkLocalGroup';
  if (anySource && isWithin(config.ssmRanges, group)) return 'ssmGroup';
  if (isWithin(config.boundary, group)) return 'boundary';
  return passes(config.groupFilter, group) ? undefined : 'groupFilter';
}

/** Whether hosts may name the source; where they may not, it counts as refused by all of them. */
export function admitsSource(config: IgmpInterfaceConfig, source: IpAddress): boolean {
  return passes(config.sourceFilter, source);
}

/** Reads a source on the wire: undefined where no host can send from it, or where hosts may not name it. */
export type SourceReader = (bytes: Uint8Array, at: number) => IpAddress | undefined;

export function sourceReader({ sourceFilter }: IgmpInterfaceConfig): SourceReader {
  if (sourceFilter.length === 0) return readSource;
  return (bytes, at) => {
    const source = readSource(bytes, at);
    return source !== undefined && admits(sourceFilter, source) ? source : undefined;
  };
}

export function isWithin(ranges: readonly Prefix[], address: IpAddress): boolean {
  for (const range of ranges) if (prefixContains(range, address)) return true;
  return false;
}

function passes(filter: PrefixFilter, address: IpAddress): boolean {
  return filter.length === 0 || admits(filter, address);
}
