/** One router heard on an interface (dvmrp.md section 5). Plain data: neighbors.ts changes it. */
import type { IpAddress } from '../../base/ip.js';
import type { TokenBucket } from '../../base/token-bucket.js';
import type { Ifindex } from '../../port/kernel.js';
import { CAPABILITY } from '../wire/header.js';
import type { NeighborState } from './neighbor-fsm.js';
import { lastingCapabilities, type Traits, traitsOf } from '../wire/versions.js';

/** Why a router that is heard is not wanted. */
export type Refusal = 'oldVersion' | 'nonPruner' | 'denied';

/** How a person is told. */
export const REFUSAL_TEXTS: Readonly<Record<Refusal, string>> = {
  oldVersion: 'it speaks a version before 3.255; "acceptCompat" takes those',
  nonPruner: 'it cannot prune; "allowNonPruners" takes those',
  denied: 'the neighborFilter of the interface denies it',
};

export class Neighbor {
  state: NeighborState = 'none';
  /** Host-order number as read; undefined of versions without one. */
  generationId: number | undefined;
  /** Without the bits that come and go. */
  capabilities = 0;
  major = 0;
  minor = 0;
  traits: Traits = traitsOf(0, 0, 0);
  expiryMs = 0;
  /** When it was first heard, and when it last came up or restarted. */
  readonly sinceMs: number;
  upSinceMs = 0;
  /** Since when it may hold prunes of ours that we do not know of; undefined: it has started anew since. */
  doubtSinceMs: number | undefined;
  refusedFor: Refusal | undefined;

  constructor(
    readonly ifindex: Ifindex,
    readonly address: IpAddress,
    nowMs: number,
    /** What each coming up and each restart takes from. */
    readonly resets: TokenBucket,
  ) {
    this.sinceMs = nowMs;
  }

  /** Whether its Reports, Prunes and Grafts count. */
  get isUp(): boolean {
    return this.state === 'two-way' || this.state === 'compat';
  }

  get version(): string {
    return `${this.major}.${this.minor}`;
  }

  /** Masks may be sent to it in Prunes and Grafts. */
  get takesMasks(): boolean {
    return (this.capabilities & CAPABILITY.netmask) !== 0;
  }

  /** It understands Prunes and Grafts. */
  get prunes(): boolean {
    return this.traits.prunes;
  }

  /** Takes over what a header and a Probe say. */
  learn(major: number, minor: number, capabilities: number, generationId: number | undefined): void {
    this.major = major;
    this.minor = minor;
    this.capabilities = lastingCapabilities(capabilities);
    this.traits = traitsOf(major, minor, capabilities);
    this.generationId = generationId;
  }

  /** Whether a Probe that says this comes from another life of the router. */
  differs(major: number, minor: number, capabilities: number, generationId: number | undefined): boolean {
    return (
      this.generationId !== generationId ||
      this.major !== major ||
      this.minor !== minor ||
      this.capabilities !== lastingCapabilities(capabilities)
    );
  }
}
