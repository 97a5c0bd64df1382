/** What is counted per interface. A message or record that changed nothing has exactly one reason (igmp.md section 4). */
import type { GroupDrop } from './groups/group-table.js';
import type { DecodeError } from './wire/packet.js';
import type { ReceptionDrop } from './wire/reception.js';

export type DropReason =
  | DecodeError['kind']
  | ReceptionDrop
  | GroupDrop
  | 'duplicateAddress'
  | 'notEnabled'
  | 'unknownType'
  | 'versionDisabled'
  | 'notQuerier'
  | 'notFromQuerier'
  | 'notToGroup';

export interface Counters {
  readonly received: { queries: number; reportsV1: number; reportsV2: number; leavesV2: number; reportsV3: number };
  readonly sent: { generalQueries: number; groupQueries: number; sourceQueries: number; failed: number };
  readonly dropped: Record<DropReason, number>;
}

export function newCounters(): Counters {
  return {
    received: { queries: 0, reportsV1: 0, reportsV2: 0, leavesV2: 0, reportsV3: 0 },
    sent: { generalQueries: 0, groupQueries: 0, sourceQueries: 0, failed: 0 },
    dropped: {
      tooShort: 0,
      badChecksum: 0,
      notEnabled: 0,
      badTtl: 0,
      noRouterAlert: 0,
      badSource: 0,
      ownMessage: 0,
      duplicateAddress: 0,
      offSubnet: 0,
      zeroSource: 0,
      unknownType: 0,
      versionDisabled: 0,
      malformed: 0,
      badQueryLength: 0,
      badQuery: 0,
      badDestination: 0,
      badGroup: 0,
      linkLocalGroup: 0,
      ssmGroup: 0,
      unknownRecord: 0,
      badSources: 0,
      olderHostMode: 0,
      notQuerier: 0,
      notFromQuerier: 0,
      notToGroup: 0,
      boundary: 0,
      groupFilter: 0,
      sourceFilter: 0,
      olderVersion: 0,
      groupLimit: 0,
      allGroupsLimit: 0,
      sourceLimit: 0,
      sourcesLimit: 0,
      allSourcesLimit: 0,
      hostShare: 0,
      hostLimit: 0,
      hostTableFull: 0,
      queryLimit: 0,
    },
  };
}
