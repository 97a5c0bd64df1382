/** What an operator reads when a limit is reached, or when messages are ignored for a reason that may leave a link without streams. */
import { formatIp, type IpAddress } from '../base/ip.js';
import type { IgmpInterfaceConfig } from '../config/types.js';
import type { DropReason } from './counters.js';

export interface Drop {
  readonly ifname: string;
  /** Who sent the message. */
  readonly source: IpAddress;
  readonly group: IpAddress | undefined;
  readonly config: IgmpInterfaceConfig;
}

/** Functions, because most drops cause no line. */
type Messages = Readonly<Partial<Record<DropReason, (drop: Drop) => string>>>;

/** Limits that an operator may want to raise. */
export const LIMIT_MESSAGES: Messages = {
  groupLimit: (drop) => `${cannotAdd(drop)}: ${reached(drop, 'maxGroups')}`,
  hostLimit: (drop) => `${cannotAdd(drop)}: ${reached(drop, 'maxGroupsPerHost')}`,
  allGroupsLimit: (drop) =>
    `${cannotAdd(drop)}: limit of all interfaces nearly reached (raise igmp.maxGroups if it is wanted)`,
  sourcesLimit: (drop) => `${cannotAdd(drop, 'a source of ')}: ${reached(drop, 'maxSources')}`,
  sourceLimit: (drop) => `${cannotAdd(drop, 'a source of ')}: ${reached(drop, 'maxSourcesPerGroup')}`,
  allSourcesLimit: (drop) =>
    `${cannotAdd(drop, 'a source of ')}: limit of all interfaces nearly reached (raise igmp.maxSources if it is wanted)`,
  hostShare: (drop) =>
    `${cannotAdd(drop, 'more of ')}: this host holds many groups or sources, and what is left is for others (raise maxGroups or maxSources if it is wanted)`,
  hostTableFull: (drop) =>
    `cannot track another host of a group on ${drop.ifname}: ${reached(drop, 'maxTrackedHosts')}; its leaves are asked about`,
  queryLimit: (drop) =>
    `cannot ask at once about all leaves on ${drop.ifname}: ${reached(drop, 'maxQueriesPerSec')}; the others wait for their turn`,
};

/** Why everything that a host says may be ignored, so that it gets nothing, and what to do. */
export const REFUSAL_MESSAGES: Messages = {
  offSubnet: (drop) =>
    `${ignored(drop)}: its address is in no network of ${drop.ifname}, and no route without a gateway leads to it there; add such a route, or accept its reports with "verifySourceSubnet: false"`,
  badTtl: (drop) =>
    `${ignored(drop)}: its TTL differs from 1, so it may have been routed; "requireTtl1: false" accepts it`,
  noRouterAlert: (drop) => `${ignored(drop)}: it lacks the router alert option; "requireRouterAlert: false" accepts it`,
  versionDisabled: (drop) =>
    `${ignored(drop)}: it is of a later version than ${drop.config.version}, which the interface speaks; "version: 3" accepts it`,
  notFromQuerier: (drop) =>
    `${ignored(drop)}: it asks who still wants a group, but its sender is not the querier of the link, and the group would end sooner; "strictQuerySource: false" accepts it`,
  notToGroup: (drop) =>
    `${ignored(drop)}: it asks who still wants ${nameOf(drop)}, but was not sent to that group, so members cannot answer; this looks like an attempt to end the group: find out who sent it`,
  ssmGroup: (drop) =>
    `${ignored(drop)}: it asks for any source of a source-specific group ("ssmRanges"), so it gets nothing; the host must name sources by IGMPv3`,
};

function cannotAdd(drop: Drop, what = ''): string {
  return `cannot add ${what}${nameOf(drop)} for ${formatIp(drop.source)} on ${drop.ifname}`;
}

function reached({ config }: Drop, key: keyof IgmpInterfaceConfig): string {
  return `limit reached (${key}: ${String(config[key])}; raise it if it is wanted)`;
}

function ignored({ source, ifname }: Drop): string {
  return `ignored a message of ${formatIp(source)} on ${ifname}`;
}

function nameOf({ group }: Drop): string {
  return group === undefined ? 'a group' : formatIp(group);
}
