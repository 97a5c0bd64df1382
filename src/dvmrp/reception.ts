/** Whether a DVMRP message is listened to at all (dvmrp.md section 17): by its addresses, before its sender is looked up. */
import { ipv4, type IpAddress, isUnicast } from '../base/ip.js';
import type { OnLink } from '../base/on-link.js';

/** All DVMRP routers of the link. */
export const ALL_DVMRP_ROUTERS = ipv4(0xe0000004);

export type ReceptionDrop = 'ownMessage' | 'badSource' | 'offSubnet' | 'badDestination';

/** Why a message from `source` to `destination` is not listened to, or undefined. TTL and Router Alert prove nothing. */
export function refusal(source: IpAddress, destination: IpAddress, onLink: OnLink): ReceptionDrop | undefined {
  if (onLink.isOwn(source)) return 'ownMessage';
  if (!isUnicast(source) || onLink.isBroadcast(source) || onLink.isNetwork(source)) return 'badSource';
  if (!onLink.contains(source)) return 'offSubnet';
  if (destination !== ALL_DVMRP_ROUTERS && !onLink.isOwn(destination)) return 'badDestination';
  return undefined;
}
