/**
 * Whether a message is listened to at all: TTL, Router Alert, source and destination (igmp.md sections 1.1, 4 and 17.1).
 *
 * Reports of the router's own kernel are looped back with one of our addresses as source. They are ignored: the router's own
 * joins are not receivers behind the interface, and a packet for them is delivered locally without an outgoing interface.
 */
import { ipv4, type IpAddress, isAny, isMulticast, isUnicast } from '../../base/ip.js';
import type { OnLink } from '../../base/on-link.js';
import { HEADER_LENGTH, TYPE } from './packet.js';

export type ReceptionDrop =
  | 'badTtl'
  | 'noRouterAlert'
  | 'badSource'
  | 'ownMessage'
  | 'offSubnet'
  | 'zeroSource'
  | 'badDestination';

/** A received message; nothing of it is kept. */
export interface Message {
  readonly source: IpAddress;
  readonly destination: IpAddress;
  readonly ttl: number;
  readonly routerAlert: boolean;
  /** The IP payload, length and checksum already verified. */
  readonly payload: Uint8Array;
}

export interface ReceptionRules {
  readonly requireTtl1: boolean;
  readonly requireRouterAlert: boolean;
  readonly verifySourceSubnet: boolean;
}

/** All systems of the link (RFC 1112 section 4). */
export const ALL_SYSTEMS = ipv4(0xe0000001);

/** Why the message is not listened to, or undefined. */
export function refusal(message: Message, rules: ReceptionRules, onLink: OnLink): ReceptionDrop | undefined {
  if (rules.requireTtl1 && message.ttl !== 1) return 'badTtl';
  if (rules.requireRouterAlert && !message.routerAlert && !isVersion1(message.payload)) return 'noRouterAlert';
  const isQuery = message.payload[0] === TYPE.query;
  return sourceRefusal(message.source, isQuery, rules, onLink) ?? (isQuery ? queryRefusal(message) : undefined);
}

/** The table of igmp.md section 17.1. */
function sourceRefusal(
  source: IpAddress,
  isQuery: boolean,
  rules: ReceptionRules,
  onLink: OnLink,
): ReceptionDrop | undefined {
  // A host without an address yet may report (RFC 9776 section 4.2.13); a snooping switch's query decides nothing.
  if (isAny(source)) return isQuery ? 'zeroSource' : undefined;
  if (onLink.isOwn(source)) return 'ownMessage';
  if (!isUnicast(source) || onLink.isBroadcast(source)) return 'badSource';
  if (!isQuery && !rules.verifySourceSubnet) return undefined;
  return onLink.contains(source) ? undefined : 'offSubnet';
}

/** A General Query to a group other than 224.0.0.1 is not one (RFC 9776 section 9.1). */
function queryRefusal({ payload, destination }: Message): ReceptionDrop | undefined {
  const general = (payload[4]! | payload[5]! | payload[6]! | payload[7]!) === 0;
  return general && isMulticast(destination) && destination !== ALL_SYSTEMS ? 'badDestination' : undefined;
}

/** v1 hosts and routers do not know the Router Alert option. */
function isVersion1(payload: Uint8Array): boolean {
  return (
    payload[0] === TYPE.reportV1 || (payload[0] === TYPE.query && payload.length === HEADER_LENGTH && payload[1] === 0)
  );
}
