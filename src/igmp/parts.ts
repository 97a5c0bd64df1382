/** What the IGMP module needs of the world. */
import type { IgmpInterfaceConfig } from '../config/types.js';
import type { Handle, MgmClient, SavedProtocolState } from '../mgm/client.js';
import type { Clock } from '../port/clock.js';
import type { Events } from '../port/events.js';
import type { AddressWatchPort, IgmpPort, LinkPort, MembershipPort, RoutePort } from '../port/kernel.js';
import type { Log } from '../port/log.js';
import type { Pull } from './host-side.js';
import type { KernelJoins } from './kernel-joins.js';
import type { SharedBudgets } from './groups/limits.js';

export interface IgmpModuleParts {
  readonly mgm: MgmClient;
  readonly igmp: IgmpPort;
  readonly membership: MembershipPort;
  readonly links: LinkPort;
  /** Who is on a link by a route; absent: nobody. */
  readonly routes?: Pick<RoutePort, 'lookup'>;
  /** Absent: a second holder of an address goes unnoticed. */
  readonly addressWatch?: AddressWatchPort;
  readonly clock: Clock;
  readonly log: Log;
  readonly events: Events;
  /** By interface name; an interface without an entry cannot be taken. */
  readonly interfaces: ReadonlyMap<string, IgmpInterfaceConfig>;
  /** Groups on all interfaces together; 0: no limit. */
  readonly maxGroups: number;
  /** Sources of all groups on all interfaces together; 0: no limit. */
  readonly maxSources: number;
  /** What `saveState` of the process before this one gave. */
  readonly savedState?: SavedProtocolState | undefined;
  /** What the process before forwarded was for hosts that it had heard: it was in no restart window. */
  readonly predecessorKnewAll?: boolean;
}

/** What its interfaces share. */
export interface SharedParts extends IgmpModuleParts {
  readonly handle: Handle;
  readonly budgets: SharedBudgets;
  readonly joins: KernelJoins;
  /** Undefined: no interface pulls. */
  readonly pull: Pull | undefined;
}
