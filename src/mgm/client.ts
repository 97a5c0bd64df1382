/**
 * What a multicast routing protocol sees of the manager (types only): the calls it may make, the callbacks it may offer.
 * The model is the MGM API of Windows' routing service in IPv4; deviations and extensions carry their decision's name (D-...).
 *
 * Every call answers at once unless it had to wait for another client or was made from inside a request callback
 * (RPF, creation, local join, prune time-out, disable, enable, offer); then the answer is a promise. Notifications are
 * delivered after the call that caused them has returned, in the order the manager decided them.
 */
import type { Answer } from '../base/answer.js';
import type { IpAddress, Prefix } from '../base/ip.js';
import type { Ifindex } from '../port/kernel.js';

/** IANA multicast routing protocol numbers; private ids start at 1000 (D-ID-1). */
export const PROTOCOL = { static: 3, dvmrp: 4, pimSm: 8, pimDm: 9, igmp: 10, igmpProxy: 1000 } as const;

/** MGM_JOIN_STATE_FLAG: membership, counts for alerts. */
export const JOIN = 1;
/** MGM_FORWARD_STATE_FLAG: a touch on one existing entry. */
export const FORWARD = 2;

export type MgmCode =
  | 'NO_ERROR'
  | 'ERROR_NOT_ENOUGH_MEMORY'
  | 'ERROR_INVALID_PARAMETER'
  | 'ERROR_INSUFFICIENT_BUFFER'
  | 'ERROR_ALREADY_EXISTS'
  | 'ERROR_MORE_DATA'
  | 'ERROR_NO_MORE_ITEMS'
  | 'ERROR_CAN_NOT_COMPLETE'
  | 'ERROR_NOT_FOUND';

/** The machine-readable word beside a code (D-PROG-2). */
export type MgmDetail =
  | 'badHandle'
  | 'alreadyRegistered'
  | 'igmpAlreadyRegistered'
  | 'callbackMissing'
  | 'tooManyClients'
  | 'tooManyMemberships'
  | 'ownsInterfaces'
  | 'transitionPending'
  | 'ownedByOther'
  | 'alreadyTaken'
  | 'notOwner'
  | 'noSuchInterface'
  | 'noVif'
  | 'nextHopUnsupported'
  | 'kernelRefused'
  | 'igmpDisabled'
  | 'badMask'
  | 'badGroup'
  | 'badSource'
  | 'badFlags'
  | 'wildcardForward'
  | 'noSuchEntry'
  | 'noSuchMfe'
  | 'notIifOwner'
  | 'noRibPreference'
  | 'badLimit'
  | 'badType'
  | 'refusedByNewOwner'
  | 'noSuchClient'
  | 'interfaceGone'
  | 'shuttingDown';

export interface MgmStatus {
  readonly code: MgmCode;
  readonly detail?: MgmDetail;
  /** For a person: who owns the interface, what the kernel said. */
  readonly message?: string;
}

declare const handleBrand: unique symbol;
/** Opaque; never reused within the daemon's life. */
export type Handle = number & { readonly [handleBrand]: true };

/** A membership key. Wildcards are ANY4; (s,*) does not exist (D-KEY-1). */
export interface MembershipKey {
  readonly source: IpAddress;
  readonly group: IpAddress;
}

/** A key with the masks of the wire API: 0 or all ones (D-KEY-1). Absent masks follow from the address. */
export interface MaskedKey extends MembershipKey {
  readonly sourceMask?: IpAddress;
  readonly groupMask?: IpAddress;
}

export interface RouteUsed {
  readonly network: IpAddress;
  readonly mask: IpAddress;
  /** RTPROT_* number of the feeder. */
  readonly protocol: number;
}

export interface RpfRequest extends MembershipKey {
  /** The interface that the look-up of the source gave. */
  readonly ifindex: Ifindex;
  readonly upstreamNeighbor: IpAddress | undefined;
  /** The interface the packet came in on; it may be another one. Undefined when no packet caused the question. */
  readonly arrival: Ifindex | undefined;
  /** IP header of the packet, empty when no packet caused the question. */
  readonly packet: Uint8Array;
  readonly route: RouteUsed | undefined;
  /** Extension: whose route it is: 'static' (an override), 'unicast', or a client's name. */
  readonly feeder?: string | undefined;
}

export interface RpfReply {
  /** Another interface of the same client (D-RPF-2). */
  readonly ifindex?: Ifindex;
  readonly upstreamNeighbor?: IpAddress;
  readonly route?: RouteUsed;
  /** Extension: seconds that an entry lives before it is looked at again, clamped to 10..86400; 900 where nobody says. */
  readonly lifetimeSec?: number;
  /** Extension: data of this source is not accepted; a negative entry silences it for a minute, as in D-RPF-3. */
  readonly refuse?: boolean;
  /**
   * Extension (ADR 11): of the client's own interfaces, those that the flow leaves by because the client says so. Its
   * memberships then do not count for this flow; those of others do. Asked again when the client gets an interface.
   */
  readonly outputs?: readonly Ifindex[];
}

/** Extension (coexistence.md section 7): a protocol's route, for the multicast view of the routing table. */
export interface FedRoute {
  readonly prefix: Prefix;
  /** Where data of sources in `prefix` comes in; an interface that the client owns. Undefined: the route is withdrawn. */
  readonly ifindex: Ifindex | undefined;
  /** The router that sends it. Undefined: the sources are on the link. */
  readonly neighbor?: IpAddress | undefined;
  readonly metric?: number;
}

export interface CreationOif {
  readonly ifindex: Ifindex;
  readonly nextHop: IpAddress;
  /** IGMP is enabled there. */
  readonly igmp: boolean;
  /** Preset true. */
  readonly enabled: boolean;
}

export interface CreationRequest extends MembershipKey {
  readonly iif: Ifindex;
  readonly oifs: readonly CreationOif[];
}

export interface CreationReply {
  /** The candidates this flow must not leave by. */
  readonly disabled: readonly Ifindex[];
}

export interface JoinAlert extends MembershipKey {
  /** True: somebody added membership. False: an entry's outgoing list became non-empty. */
  readonly memberUpdate: boolean;
}

export interface PruneAlert extends MembershipKey {
  /** Where receiving is to stop; undefined for wildcard keys (D-PA-1). */
  readonly ifindex: Ifindex | undefined;
  /** The interface whose membership went away, where one did. */
  readonly causeInterface: Ifindex | undefined;
  readonly memberDelete: boolean;
}

export interface PruneReply {
  /** Seconds the negative entry stays, clamped to 10..86400; only heeded when `memberDelete` is false (D-PA-2). */
  readonly timeoutSec?: number;
}

export interface LocalJoin extends MembershipKey {
  readonly ifindex: Ifindex;
  /** The existing entries the join is about to open the interface for. */
  readonly entries: readonly MembershipKey[];
}

export interface LocalJoinReply {
  /** Entries (of `entries`) that must not leave by this interface (D-LJ-2). */
  readonly refuse: readonly MembershipKey[];
}

export interface LocalLeave extends MembershipKey {
  readonly ifindex: Ifindex;
}

/** What IGMP knows beyond membership: every EXCLUDE member refuses this source now, or no longer. */
export interface LocalSource extends MembershipKey {
  readonly ifindex: Ifindex;
  readonly refused: boolean;
}

/** Whether this router is the IGMP querier of the link. */
export interface LocalQuerier {
  readonly ifindex: Ifindex;
  readonly querier: boolean;
}

export interface WrongInterface extends MembershipKey {
  /** Where the packet came in. */
  readonly ifindex: Ifindex;
  readonly packet: Uint8Array;
}

/** A missing callback means "not interested"; decision callbacks then take their defaults (D-REG-1). */
export interface ClientCallbacks {
  rpf?(request: RpfRequest): Answer<RpfReply | undefined>;
  creationAlert?(request: CreationRequest): Answer<CreationReply | undefined>;
  joinAlert?(alert: JoinAlert): void;
  /** A request when `memberDelete` is false, otherwise a notification. */
  pruneAlert?(alert: PruneAlert): Answer<PruneReply | undefined | void>;
  localJoin?(join: LocalJoin): Answer<LocalJoinReply | undefined | void>;
  localLeave?(leave: LocalLeave): void;
  /** Extension (ADR 6): advice of IGMP about an interface the client owns; sent when it changes. Refusals are per group. */
  localSource?(advice: LocalSource): void;
  /** Extension (ADR 6): sent when the client becomes owner of an interface with IGMP, and when it changes. */
  localQuerier?(advice: LocalQuerier): void;
  /**
   * Extension (ADR 6), IGMP only: whether members behind an interface where IGMP is alone would not have packets of this flow.
   * Asked for each entry that a join of IGMP is about to open the interface for; a look-up, answered at once.
   */
  refusesSource?(flow: MembershipKey, ifindex: Ifindex): boolean;
  wrongInterface?(event: WrongInterface): void;
  /**
   * Extension (D-RST-1), after a restart: whether somebody who has not spoken yet may want packets of the flow, which the
   * predecessor let out by the interface. From the configuration, answered at once. Absent: yes.
   */
  mayStillWant?(flow: MembershipKey, ifindex: Ifindex): boolean;
  /**
   * Extension (D-RST-1): whether the configuration lets a flow of the predecessor in by `iif` and out by `oif`. Absent: yes. Who has it
   * answers `rpf` from the configuration alone, so that flows which come in by its interfaces are decided at once.
   */
  mayPass?(flow: MembershipKey, iif: Ifindex, oif: Ifindex): boolean;
  /**
   * Extension: the look-up of the source leads to an interface that nobody serves, and the flow comes in by `arrival`, which the client
   * decides for. Whether its configuration lets it; a look-up, answered at once. Absent, or undefined: no (D-RPF-3).
   */
  expects?(flow: MembershipKey, arrival: Ifindex): RpfReply | undefined;
  /** IGMP only, and IGMP must have both: from now on no Add and no Delete on the interface. Answering acknowledges. */
  disableIgmp?(ifindex: Ifindex): Answer<void>;
  /** IGMP only: the change is over. Add everything again in a later turn, never from inside, then say `resyncDone`. */
  enableIgmp?(ifindex: Ifindex): Answer<void>;
  /** Extension D-OWN-8. */
  interfaceGone?(ifindex: Ifindex): void;
  /** Extension D-OWN-13: the interface was handed to another client. */
  interfaceLost?(ifindex: Ifindex, reason: string): void;
  /** Extension D-OWN-13: an operator offers the interface; false refuses. Nothing has changed yet. Absent callback = accepted. */
  interfaceOffered?(ifindex: Ifindex): Answer<boolean>;
  /** Extension D-OWN-13: the offered interface is owned now. Add memberships, then say `resyncDone`. */
  interfaceGranted?(ifindex: Ifindex): void;
  /** Extension D-MFE-5: an entry timed out or was removed. */
  mfeDeleted?(key: MembershipKey): void;
}

export interface Registration {
  readonly protocolId: number;
  readonly componentId: number;
  /** Unique word for operators: 'igmp', 'static', 'dvmrp'. */
  readonly name: string;
  readonly callbacks: ClientCallbacks;
  /** MRT_PIM while it owns an interface: wrong-interface messages also for interfaces that are no outputs (D-LIN-7). */
  readonly pimUpcalls?: boolean;
  /** Extension: whose routes count first, 1..255 and smaller first; static overrides are 0, the kernel's routes 200. */
  readonly ribPreference?: number;
}

export interface ProtocolOnInterface extends MgmStatus {
  readonly protocolId?: number;
  readonly componentId?: number;
  readonly name?: string;
  /** IGMP is on the interface, alone or beside the owner. */
  readonly igmp?: boolean;
}

/** A forwarding entry as the manager reports it; times in seconds (D-MFE-6). */
export interface Mfe extends MembershipKey {
  readonly sourceMask: IpAddress;
  readonly upstreamNeighbor: IpAddress | undefined;
  readonly iif: Ifindex;
  /** Name of the client that decides for the iif; undefined when nobody does. */
  readonly iifProtocol: string | undefined;
  readonly route: RouteUsed | undefined;
  readonly upTime: number;
  /** Null: does not age. */
  readonly expiresIn: number | null;
  readonly timeout: number;
  readonly oifs: readonly { readonly ifindex: Ifindex; readonly nextHop: IpAddress }[];
}

/** MGM_MFE_STATS_0; null where Linux has no such figure (D-LIN-9). */
export interface MfeStats extends MembershipKey {
  readonly inPackets: number;
  readonly inOctets: number;
  readonly differentIfPackets: number;
  readonly queueOverflow: null;
  readonly oifs: readonly {
    readonly ifindex: Ifindex;
    readonly nextHop: IpAddress;
    readonly outPackets: null /** Of the whole vif. */;
    readonly vifOutPackets: number | null;
    readonly ttlTooLow: null;
  }[];
  /** MGM_MFE_STATS_1 from here; absent with STATS_0. */
  readonly uninitMfe?: null;
  readonly negativeMfe?: number | null;
  readonly inDiscards?: null;
  readonly inHdrErrors?: null;
  readonly totalOutPackets?: null;
}

export const MFE_STATS_0 = 1;
export const MFE_STATS_1 = 2;

export interface MfePage<T> extends MgmStatus {
  readonly items: readonly T[];
}

export type EnumerationType = 'ALL_SOURCES' | 'ANY_SOURCE';

/**
 * The manager's calls. Status codes are those of the Windows pages; `ERROR_...` never throws.
 * Interfaces are named by ifindex; `nextHop` must be 0 on Linux (D-TAKE-2).
 */
export interface MgmClient {
  register(registration: Registration): MgmStatus & { readonly handle?: Handle };
  deregister(handle: Handle): MgmStatus;
  /** One transition per interface at a time; later requests wait in arrival order (D-OWN-4). */
  takeInterface(handle: Handle, ifindex: Ifindex, nextHop?: IpAddress): Answer<MgmStatus>;
  releaseInterface(handle: Handle, ifindex: Ifindex, nextHop?: IpAddress): Answer<MgmStatus>;
  getProtocolOnInterface(ifindex: Ifindex, nextHop?: IpAddress): ProtocolOnInterface;
  addMembership(
    handle: Handle,
    key: MaskedKey,
    ifindex: Ifindex,
    flags: number,
    nextHop?: IpAddress,
  ): Answer<MgmStatus>;
  deleteMembership(
    handle: Handle,
    key: MaskedKey,
    ifindex: Ifindex,
    flags: number,
    nextHop?: IpAddress,
  ): Answer<MgmStatus>;
  /**
   * Extension (coexistence.md section 7): changes of the client's routes. Forgotten when the client deregisters or dies; a route
   * does not count while the client does not own its interface. Entries whose source is covered are decided again (D-MFE-4).
   */
  feedRoutes(handle: Handle, changes: readonly FedRoute[]): Answer<MgmStatus>;
  setMfe(
    handle: Handle,
    key: MembershipKey,
    change: { readonly upstreamNeighbor?: IpAddress; readonly iif?: Ifindex },
  ): MgmStatus;
  getMfe(key: MembershipKey): MgmStatus & { readonly mfe?: Mfe };
  /** `limit`: 1..1000 entries (D-ENUM-1); order is group, then source. */
  getFirstMfe(limit: number): MfePage<Mfe>;
  getNextMfe(after: MembershipKey, limit: number): MfePage<Mfe>;
  /** `flag`: MFE_STATS_0 or MFE_STATS_1. */
  getMfeStats(key: MembershipKey, flag: number): MgmStatus & { readonly stats?: MfeStats };
  getFirstMfeStats(limit: number, flag: number): MfePage<MfeStats>;
  getNextMfeStats(after: MembershipKey, limit: number, flag: number): MfePage<MfeStats>;
  groupEnumerationStart(handle: Handle, type: EnumerationType): MgmStatus & { readonly enumeration?: number };
  groupEnumerationGetNext(enumeration: number, limit: number): MfePage<Required<MaskedKey>>;
  groupEnumerationEnd(enumeration: number): MgmStatus;
  /**
   * Extension (ADR 6), IGMP only: every EXCLUDE member behind the interface refuses the source, or no longer. The owner hears of
   * it and decides; where IGMP is alone an existing entry is changed at once. Held back in a pause like membership (D-CB-3).
   */
  adviseSource(handle: Handle, key: MembershipKey, ifindex: Ifindex, refused: boolean): Answer<MgmStatus>;
  /** Extension (ADR 6), IGMP only: this router is the querier of the link, or not. */
  adviseQuerier(handle: Handle, ifindex: Ifindex, querier: boolean): MgmStatus;
  /** Extension D-EN-2 (IGMP) and D-OWN-13 (the new owner of a handover): everything wanted on the interface has been added again. */
  resyncDone(handle: Handle, ifindex: Ifindex): MgmStatus;
}

/**
 * What the daemon needs of a protocol module beside its callbacks: to serve an interface or to stop serving it.
 * The module makes the Take and Release calls itself, with what belongs around them.
 */
export interface Protocol {
  readonly name: string;
  /**
   * What the next process of this router needs so that the neighbours do not notice the change: a JSON value, in which times are
   * what was left of them. `leaving`: the next process follows at once. It gets it back as `savedState` before its start. Changes nothing; whoever wants a restart like
   * this does not call `stop`, which says goodbye to the neighbours.
   */
  saveState?(leaving: boolean): unknown;
  /** Before `saveState`, where there is much to save: does in slices what it would do in one turn. */
  prepareState?(): Answer<void>;
  /** Nothing that this protocol will want is still unknown to it, so that a restart window need not wait for it. */
  hasSaidAll?(): boolean;
  /** Registers with the manager. */
  start(): MgmStatus;
  /** Releases everything and deregisters; leaves no timer behind. */
  stop(): Answer<MgmStatus>;
  take(ifindex: Ifindex): Answer<MgmStatus>;
  release(ifindex: Ifindex): Answer<MgmStatus>;
}

/** What `saveState` gave in the process before. Read with care: what does not fit is left out, with one line in the log. */
export interface SavedProtocolState {
  readonly state: unknown;
  /** How long ago it was saved, by a clock that went on meanwhile. */
  readonly ageMs: number;
}
