/** What the laboratory's processes say to each other, over the channel Node gives a parent and its child. */
import type { HostName, StreamName } from '../machines/plan.js';
import type { StreamCounts } from './sequence.js';

/** A membership of a host outside the streams. */
export interface OtherGroups {
  readonly kind: 'others';
  readonly join: readonly string[];
  readonly leave: readonly string[];
}

export type ToSender = OtherGroups | { readonly kind: 'start' } | { readonly kind: 'stop' };
export type ToReceiver = OtherGroups | { readonly kind: 'join-streams' } | { readonly kind: 'begin' };

/** One IGMP membership change that the router itself reported, seen by a host on its LAN. */
export interface ReportSeen {
  readonly kind: 'report';
  /** The host's monotonic clock, which all processes of a machine share. */
  readonly atMs: number;
  /** The router's address on that LAN. */
  readonly from: string;
  readonly group: string;
  readonly change: ReportChange;
}

/** 'state' answers a query and says nothing new; the others follow a membership call. */
export type ReportChange = 'join' | 'leave' | 'state';

export interface Sent {
  readonly kind: 'sent';
  /** Packets numbered from 0, per stream. */
  readonly packets: Readonly<Record<StreamName, number>>;
  /** Packets that the sender's kernel refused; they are numbered and count as lost. */
  readonly refused: number;
  readonly stopped: boolean;
}

export interface Counted {
  readonly kind: 'counted';
  readonly host: HostName;
  readonly streams: Readonly<Partial<Record<StreamName, StreamCounts>>>;
  /** Packets that arrived at the host and did not fit into its socket (Udp RcvbufErrors): not the router's doing. */
  readonly socketDrops: number;
}

export type FromHost = { readonly kind: 'ready' } | ReportSeen | Sent | Counted;
