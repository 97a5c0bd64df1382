/** Read-only views of the manager, for the control socket, the tests and the laboratory. Plain values: they go to JSON as they are. */
import type { MonitorEvt } from '../port/events.js';
import type { MgmDetail } from './client.js';

export interface InterfaceView {
  readonly ifindex: number;
  readonly name: string;
  readonly vif: number | null;
  /** U nobody, G IGMP alone, P an owner, PG an owner and IGMP (manager.md section 4.1). */
  readonly state: 'U' | 'G' | 'P' | 'PG';
  /** T: changing owner, between IGMP's disable and enable; R: IGMP is adding its memberships again. */
  readonly phase: 'steady' | 'T' | 'R';
  readonly owner: string | null;
  readonly igmp: boolean;
  /** True between the disable and the enable callback. */
  readonly paused: boolean;
  /** Membership entries on the interface, without the stale ones. */
  readonly memberships: number;
  readonly stale: number;
  readonly counters: {
    readonly packetsIn: number;
    readonly bytesIn: number;
    readonly packetsOut: number;
    readonly bytesOut: number;
  } | null;
}

export interface ClientView {
  readonly name: string;
  readonly protocolId: number;
  readonly componentId: number;
  /** Names of the interfaces it owns (IGMP: is enabled on). */
  readonly interfaces: readonly string[];
  readonly memberships: number;
  readonly calls: number;
  readonly callbacks: number;
  /** Callbacks whose answer did not come in time or threw. */
  readonly failures: number;
}

export interface MembershipView {
  /** "*" or dotted. */
  readonly source: string;
  /** "*" or dotted. */
  readonly group: string;
  readonly interface: string;
  readonly client: string;
  readonly stale: boolean;
}

export interface MfcView {
  readonly source: string;
  readonly group: string;
  readonly iif: string;
  readonly iifOwner: string | null;
  readonly oifs: readonly string[];
  readonly upstreamNeighbor: string | null;
  /** Seconds. */
  readonly upTime: number;
  readonly expiresIn: number | null;
  readonly packets: number | null;
  readonly bytes: number | null;
  readonly wrongIf: number | null;
  readonly state: 'forwarding' | 'negative' | 'foreign' | 'unresolved';
}

/** A route that a protocol fed. */
export interface RibView {
  readonly prefix: string;
  readonly interface: string;
  /** Null: the sources are on the link. */
  readonly neighbor: string | null;
  readonly metric: number | null;
  readonly feeder: string;
  readonly preference: number;
}

/** name -> value; names are stable and dotted. */
export type CountersView = Readonly<Record<string, number>>;

/** What `monitor` shows. `evt` is stable; further fields are named in docs/events.md. */
export interface ManagerEvent {
  readonly evt: MonitorEvt;
  /** Monotonic milliseconds of the daemon's clock. */
  readonly atMs: number;
  readonly [field: string]: unknown;
}

/** The answer to a dry run, and to a real handover. */
export interface HandoverView {
  readonly interface: string;
  readonly from: string;
  readonly to: string;
  readonly igmp: boolean;
  readonly memberships: number;
  readonly entriesAsIif: number;
  readonly entriesAsOif: number;
  readonly done: boolean;
  readonly code: string;
  readonly detail?: MgmDetail;
  readonly message?: string;
}

export interface ManagerSnapshot {
  interfaces(): readonly InterfaceView[];
  clients(): readonly ClientView[];
  memberships(): readonly MembershipView[];
  mfc(): readonly MfcView[];
  rib(): readonly RibView[];
  /**
   * The same row by row, for tables that may be long: reading may stop and go on later, and who stops holds nothing. What is
   * there from the first row to the last comes once.
   */
  eachMembership(): Iterable<MembershipView>;
  eachMfc(): Iterable<MfcView>;
  eachRoute(): Iterable<RibView>;
  counters(): CountersView;
  /** Groups with members, a wildcard counting as one; entries of ours. */
  totals(): { readonly groups: number; readonly flows: number };
  /** Returns the way to unsubscribe. */
  onEvent(handler: (event: ManagerEvent) => void): () => void;
}
