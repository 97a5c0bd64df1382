/**
 * The state of one group on one interface and of its sources (igmp.md section 6). Timers are expiry times in milliseconds
 * of the clock; 0 is "not running". Plain data: group-v3.ts, group-timers.ts, group-queries.ts and group-table.ts change it.
 */
import type { Queued } from '../../base/deadline-heap.js';
import { ANY4, type IpAddress } from '../../base/ip.js';
import type { TrackedHost } from './host-table.js';

export type Mode = 'include' | 'exclude';

export interface Source {
  readonly address: IpAddress;
  /** 0 in EXCLUDE: refused (the set Y). Otherwise wanted until then (A in INCLUDE, X in EXCLUDE). */
  expiryMs: number;
  /** Transmissions left of Q(G,S); WAITING: none was sent yet (questions.ts). */
  queriesLeft: number;
  /** When the next one of them is sent. */
  nextQueryMs: number;
  /** Number of the record that listed the source last; marks duplicates and what a record left out. */
  seenIn: number;
  /** For whom it counts (limits.ts). */
  readonly host: IpAddress;
}

export class Group implements Queued {
  mode: Mode = 'include';
  /** The group timer; runs in EXCLUDE only. */
  timerMs = 0;
  v1HostMs = 0;
  v2HostMs = 0;
  /** Transmissions left of Q(G); WAITING: none was sent yet (questions.ts). */
  queriesLeft = 0;
  /** When the next one of them is sent. Sources have due times of their own (igmp.md section 8.2). */
  nextQueryMs = 0;
  /** A query was asked for by the message being handled and goes out when all of it is applied. */
  queryAsked = false;
  lastReporter: IpAddress = ANY4;
  /** Made with the first source: most groups never have one. */
  sources: Map<IpAddress, Source> | undefined = undefined;
  /** Who was heard, by reporter; only where hosts are tracked (host-table.ts, its only writer). */
  hosts: Map<IpAddress, TrackedHost> | undefined = undefined;
  /** Until then there may be members that `hosts` does not know. */
  hostsUnknownMs = 0;
  queuedMs = 0;
  heapIndex = -1;

  constructor(
    readonly address: IpAddress,
    readonly createdMs: number,
    /** For whom it counts (limits.ts). */
    readonly host: IpAddress,
  ) {}

  get sourceCount(): number {
    return this.sources === undefined ? 0 : this.sources.size;
  }

  isRefused(source: IpAddress): boolean {
    return this.mode === 'exclude' && this.sources?.get(source)?.expiryMs === 0;
  }
}

/**
 * What routing is told (igmp.md sections 7.4 and 16). On a mode flip everything that is added comes before what is
 * deleted, so that a stream wanted before and after is never unwanted in between.
 */
export interface MembershipChanges {
  /** The group became EXCLUDE: (*,G) is wanted. */
  joinGroup(group: IpAddress): void;
  leaveGroup(group: IpAddress): void;
  /** INCLUDE: (S,G) is wanted. */
  joinSource(group: IpAddress, source: IpAddress): void;
  leaveSource(group: IpAddress, source: IpAddress): void;
  /** EXCLUDE: S entered Y, nobody wants it. */
  refuseSource(group: IpAddress, source: IpAddress): void;
  /** EXCLUDE: S left Y. */
  allowSource(group: IpAddress, source: IpAddress): void;
}
