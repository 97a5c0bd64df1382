/** What the control socket lets people do, as the daemon offers it. `src/daemon` implements it; tests bring a fake. */
import type { Answer } from '../base/answer.js';
import type { IpAddress } from '../base/ip.js';
import type { HandoverView, ManagerEvent } from '../mgm/snapshot.js';
import type { DaemonStatus, Row } from './messages.js';

/** A status of the manager: 'NO_ERROR' or why not, with a sentence. */
export interface Outcome {
  readonly code: string;
  readonly detail?: string;
  readonly message?: string;
}

export interface View {
  /** What a table for people shows, as names of fields; absent: everything. */
  readonly columns?: readonly string[];
  /**
   * Each made when it is read. Reading may stop and go on later, while what they are made of changes. Undefined is no row:
   * a view that has few rows of many things gives one for each it passes over, so that none takes long.
   */
  rows(): Answer<Iterable<Row | undefined>>;
}

/** Interfaces are named as the kernel names them, protocols as they are registered. */
export interface Operator {
  /** What `show.NAME` knows; dots part a name ("igmp.groups"). Modules add their own. */
  readonly views: ReadonlyMap<string, View>;
  status(): DaemonStatus;
  take(interfaceName: string, client: string): Answer<Outcome>;
  /** Undefined client: whoever owns it. */
  release(interfaceName: string, client: string | undefined): Answer<Outcome>;
  handover(interfaceName: string, from: string, to: string, dryRun: boolean): Answer<HandoverView>;
  /** The router itself becomes a member (IP_ADD_MEMBERSHIP). Undefined source: any. */
  join(interfaceName: string, group: IpAddress, source: IpAddress | undefined): Answer<Outcome>;
  leave(interfaceName: string, group: IpAddress, source: IpAddress | undefined): Answer<Outcome>;
  setLogLevel(level: string): Outcome;
  /** Returns the way to unsubscribe. */
  onEvent(handler: (event: ManagerEvent) => void): () => void;
}
