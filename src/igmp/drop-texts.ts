/** What an operator reads about messages that were refused, and which key of the configuration decides. */
import type { IgmpInterfaceConfig } from '../config/types.js';
import type { DropReason } from './counters.js';

/** Undefined: the reason is no limit that an operator may want to raise. */
export function limitMessage(reason: DropReason, ifname: string, config: IgmpInterfaceConfig): string | undefined {
  const { maxGroups, maxSources, maxSourcesPerGroup, maxGroupsPerHost, maxTrackedHosts, maxQueriesPerSec } = config;
  switch (reason) {
    case 'groupLimit':
      return `${ifname} has ${maxGroups} groups, its limit; a new one was refused (raise maxGroups if they are wanted)`;
    case 'allGroupsLimit':
      return `${ifname} cannot have another group: all interfaces together have nearly as many as igmp.maxGroups allows (raise it if they are wanted)`;
    case 'sourcesLimit':
      return `${ifname} has ${maxSources} sources in its groups, its limit; a new one was refused (raise maxSources if they are wanted)`;
    case 'allSourcesLimit':
      return `${ifname} cannot have another source: all interfaces together have nearly as many as igmp.maxSources allows (raise it if they are wanted)`;
    case 'hostShare':
      return `a host on ${ifname} has so many groups or sources that the rest is kept for other hosts; a further one was refused (raise maxGroups or maxSources if it is wanted)`;
    case 'sourceLimit':
      return `a group on ${ifname} has ${maxSourcesPerGroup} sources, its limit (raise maxSourcesPerGroup if they are wanted)`;
    case 'hostLimit':
      return `a host on ${ifname} has ${maxGroupsPerHost} groups, its limit; a further one was refused (raise maxGroupsPerHost if it is wanted)`;
    case 'hostTableFull':
      return `${ifname} remembers ${maxTrackedHosts} hosts, its limit; leaves of the others are asked about (raise maxTrackedHosts)`;
    case 'queryLimit':
      return `leaves on ${ifname} would cause more than ${maxQueriesPerSec} queries a second; those beyond it wait for their turn (raise maxQueriesPerSec)`;
    default:
      return undefined;
  }
}

/** Why whole segments can get nothing, or could if it were heard, and the key for it; undefined: another kind of reason. */
export function deafnessMessage(
  reason: DropReason,
  ifname: string,
  { version }: IgmpInterfaceConfig,
): string | undefined {
  switch (reason) {
    case 'offSubnet':
      return `its address is in no network of ${ifname}, and no route without a gateway leads to it there; add such a route, or accept its reports with "verifySourceSubnet: false"`;
    case 'badTtl':
      return 'its TTL differs from 1, so it may have been routed; "requireTtl1: false" accepts it';
    case 'noRouterAlert':
      return 'it lacks the router alert option; "requireRouterAlert: false" accepts it';
    case 'versionDisabled':
      return `it is of a later version than ${version}, and the interface speaks version ${version}; "version: 3" accepts it`;
    case 'notFromQuerier':
      return 'it asks who still wants a group, but its sender is not the querier of the link, and the group would end sooner; "strictQuerySource: false" accepts it';
    case 'notToGroup':
      return 'it asks who still wants a group, but was not sent to that group, so no member hears it; that is how somebody ends the group of others';
    case 'ssmGroup':
      return 'it asks for any source of a source-specific group ("ssmRanges"), so it gets nothing; the host must name sources by IGMPv3';
    default:
      return undefined;
  }
}
