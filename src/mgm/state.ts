/**
 * The manager's records: clients, interfaces, membership keys, forwarding entries. Plain data with the few derived
 * answers everybody needs; who changes what is said in `manager.ts`.
 */
import type { Aged } from '../base/age-list.js';
import type { Queued } from '../base/deadline-heap.js';
import { type IpAddress, type Prefix, prefixContains } from '../base/ip.js';
import type { Ifindex, Vif } from '../port/kernel.js';
import {
  type ClientCallbacks,
  type Handle,
  type MembershipKey,
  type MgmStatus,
  PROTOCOL,
  type RouteUsed,
} from './client.js';
import { type ChangePhase, type OwnershipRequest, type OwnershipState, stateOf } from './ownership/ownership.js';

export interface Client {
  readonly handle: Handle;
  readonly name: string;
  readonly protocolId: number;
  readonly componentId: number;
  readonly pimUpcalls: boolean;
  readonly ribPreference: number | undefined;
  readonly callbacks: ClientCallbacks;
  /** False from deregistration or death on: nothing is delivered any more. */
  alive: boolean;
  /** Its Take, Release or hand-over requests that wait or run (D-OWN-12). */
  requests: number;
  calls: number;
  delivered: number;
  failures: number;
  /** Its entries in the membership table. */
  memberships: number;
}

/** IGMP is recognised by its protocol id, not by its callbacks (D-ID-1). */
export function isIgmp(client: Client): boolean {
  return client.protocolId === PROTOCOL.igmp;
}

/** A change of owner from the request to its last alert. Written by `ownership-runner.ts` alone, but for what is put off here. */
export class OwnershipChange {
  /** The owner before: outputs that it named stay until the sweep, like stale memberships. */
  departed: Client | undefined;
  /** What was asked for has been made; false at the end of T: who should own the interface died. */
  done = false;
  /** Whose `resyncDone` ends the resync. */
  readonly awaited = new Set<Client>();
  /** Ends what the phase waits for: its time limit, or its slices. */
  cancel: (() => void) | undefined;
  result: MgmStatus | undefined;
  resolve: ((result: MgmStatus) => void) | undefined;
  /** What changed during T and R: compared with what was signalled, and told, at the end (D-OWN-5). */
  readonly unsignalledKeys: Set<KeyRecord>;
  readonly unsignalledEntries: Set<Entry>;

  constructor(
    readonly on: Interface,
    readonly request: OwnershipRequest,
    readonly client: Client,
    /** The new owner of a hand-over. */
    readonly to: Client | undefined,
    public phase: ChangePhase,
  ) {
    this.departed = on.change?.departed;
    this.unsignalledKeys = on.change?.unsignalledKeys ?? new Set();
    this.unsignalledEntries = on.change?.unsignalledEntries ?? new Set();
  }

  /** Who owns the interface afterwards. */
  get newOwner(): Client | undefined {
    return this.request === 'owner-takes' ? this.client : this.to;
  }
}

export class Interface {
  owner: Client | undefined;
  igmp: Client | undefined;
  /** The change of owner that is under way. */
  change: OwnershipChange | undefined;
  /** Nobody is on it any more, or the kernel removed the device: the vif may be another's by now. */
  closed = false;
  /** What IGMP said of its role on the link. */
  querier: boolean | undefined;
  /** Grows whenever memberships here cease to count; one increment marks them all. */
  epoch = 0;
  /** Memberships made before are stale: the epoch of the last change of owner (D-OWN-9). */
  countsFrom = 0;
  /** The same of IGMP's: it may have left since, its memberships are on their way out (D-OWN-2). */
  igmpCountsFrom = 0;
  /** Memberships here, stale ones too; those that count of the owner, and of IGMP. */
  held = 0;
  ownerHolds = 0;
  igmpHolds = 0;
  /** Every key with an entry on this interface, stale ones too. */
  readonly keys = new Set<KeyRecord>();

  constructor(
    readonly ifindex: Ifindex,
    readonly name: string,
    readonly vif: Vif,
    /** A packet leaves when its TTL is greater (D-LIN-4). */
    readonly threshold: number,
    /** Groups that do not pass it in either direction. */
    readonly boundary: readonly Prefix[] = [],
  ) {}

  /** The group's scope ends at this interface (RFC 2365). */
  isBoundaryOf(group: IpAddress): boolean {
    return this.boundary.some((prefix) => prefixContains(prefix, group));
  }

  /** All memberships become stale (D-OWN-9). */
  markAllStale(): void {
    this.countsFrom = this.igmpCountsFrom = ++this.epoch;
    this.ownerHolds = this.igmpHolds = 0;
  }

  markIgmpStale(): void {
    this.igmpCountsFrom = ++this.epoch;
    this.igmpHolds = 0;
  }

  get state(): OwnershipState {
    return stateOf(this.owner !== undefined, this.igmp !== undefined);
  }

  /** T: from disable-IGMP sent to enable-IGMP acknowledged. R: after it, until what nobody added again is gone. */
  get phase(): 'steady' | 'T' | 'R' {
    switch (this.change?.phase) {
      case 'pausing':
      case 'enabling':
        return 'T';
      case 'resyncing':
      case 'sweeping':
        return 'R';
      default:
        return 'steady';
    }
  }

  /** The owner on its way out: no callbacks about this interface any more (D-REL-2). */
  get leaving(): Client | undefined {
    return this.phase === 'T' && this.change?.request === 'owner-releases' ? this.change.client : undefined;
  }

  /** Who is asked about this interface: its owner, or IGMP where it is alone; nobody while the owner is leaving. */
  get decider(): Client | undefined {
    const client = this.owner ?? this.igmp;
    return client !== undefined && client !== this.leaving && client.alive ? client : undefined;
  }
}

/** One client's "there are receivers for this key behind this interface". */
export interface Member {
  readonly client: Client;
  readonly on: Interface;
  epoch: number;
  /** The owner has not answered the local join yet (D-LJ-2): counts for alerts, opens no entry. */
  pending: boolean;
}

export function isStale({ client, on, epoch }: Member): boolean {
  return epoch < (isIgmp(client) ? on.igmpCountsFrom : on.countsFrom);
}

/** For whom an entry counts: IGMP's on an owned interface counts for the owner (D-MEM-5). */
export function attributedTo(member: Member): Client {
  return member.client === member.on.igmp ? (member.on.owner ?? member.client) : member.client;
}

const NOBODY: readonly Client[] = [];

/** A membership key with everybody who holds it. */
export class KeyRecord implements MembershipKey {
  readonly members: Member[] = [];
  /** J(k) as it was when alerts were last sent (manager.md section 5.3); for (s,g) keys `signalledTo` is used instead. */
  signalled: readonly Client[] = NOBODY;
  /** The owner of the interface towards s that has been told to join (D-ALERT-3). */
  signalledTo: Client | undefined;

  constructor(
    readonly source: IpAddress,
    readonly group: IpAddress,
    /** Serial number in the table: the later made, the greater. */
    readonly serial = 0,
  ) {}

  find(client: Client, on: Interface): Member | undefined {
    return this.members.find((member) => member.client === client && member.on === on);
  }

  has(on: Interface): boolean {
    return this.members.some((member) => member.on === on);
  }

  /** J(k): the clients with at least one live entry, each once. */
  joined(): readonly Client[] {
    if (this.members.length === 1) {
      const only = this.members[0]!;
      return isStale(only) ? NOBODY : [attributedTo(only)];
    }
    const clients: Client[] = [];
    for (const member of this.members) {
      const client = attributedTo(member);
      if (!isStale(member) && !clients.includes(client)) clients.push(client);
    }
    return clients;
  }
}

export type Override = 'on' | 'off';

/** The outputs that who decides for an entry's iif has named (`RpfReply.outputs`), among the interfaces that it owns. */
export interface NamedOutputs {
  readonly client: Client;
  readonly ifindexes: readonly Ifindex[];
}

/** A forwarding entry (MFE) and what the kernel holds of it. */
export class Entry implements MembershipKey, Queued, Aged<Entry> {
  upstreamNeighbor: IpAddress | undefined;
  route: RouteUsed | undefined;
  /** Per interface, none where absent (D-FLAG-3). */
  overrides: Map<Interface, Override> | undefined;
  named: NamedOutputs | undefined;
  /** Outgoing interfaces as bits 1 << vif. */
  outputs = 0;
  /** Outputs that a predecessor had and nobody has spoken about yet: wanted until the restart window ends (D-RST-1). */
  kept = 0;
  /** What the kernel holds; -1: nothing. */
  writtenIif: Vif | -1 = -1;
  writtenOutputs = 0;
  /** The manager's write counter at the last write, for the reconciler. */
  writtenAt = 0;
  readonly createdAtMs: number;
  /** Start of the present life time. */
  startedAtMs: number;
  timeoutSec: number;
  /** A whole life of it, as who decides for the iif wants it. */
  lifetimeSec: number;
  /** Packets on the right interface when the life time was last checked. */
  seenPackets = 0;
  /** Whom the MFE-level alerts went to, and which (D-ALERT-4). */
  signalledTo: Client | undefined;
  signalledNonEmpty = false;
  /** Nobody was known towards the source when it was made (D-RPF-3). */
  unowned = false;
  deleted = false;
  /** Somebody else has written it: it is static in the kernel from then on (K-29). */
  isStatic = false;
  /** Kept by `entry-ages.ts`: which list the entry is in, since when, and its places there. */
  rank: 'none' | 'negative' | 'wanted' = 'none';
  rankedAtMs = 0;
  rankedInput: Interface | undefined;
  older: Entry | undefined;
  younger: Entry | undefined;
  queuedMs = 0;
  heapIndex = -1;

  constructor(
    readonly source: IpAddress,
    readonly group: IpAddress,
    public iif: Interface,
    nowMs: number,
    timeoutSec: number,
  ) {
    this.createdAtMs = nowMs;
    this.startedAtMs = nowMs;
    this.timeoutSec = timeoutSec;
    this.lifetimeSec = timeoutSec;
  }

  get deadlineMs(): number {
    return this.startedAtMs + this.timeoutSec * 1000;
  }

  setOverride(on: Interface, override: Override): void {
    this.overrides ??= new Map();
    this.overrides.set(on, override);
  }

  clearOverride(on: Interface, override?: Override): void {
    if (override === undefined || this.overrides?.get(on) === override) this.overrides?.delete(on);
    if (this.overrides?.size === 0) this.overrides = undefined;
  }
}
