/**
 * What we have asked of the upstream router for one (source network, group): nothing, a prune, or a graft that is not
 * acknowledged yet (dvmrp.md sections 10.3, 10.4, 11.2, 11.4). It outlives the kernel's entry (8.4): a prune that is in
 * force upstream must be taken back whether or not packets came lately. Times and chance come from the caller.
 */
import type { IpAddress } from '../../base/ip.js';
import type { Ifindex } from '../../port/kernel.js';
import type { Random } from '../../port/random.js';
import { SHORTEST_LIFETIME_MS } from '../wire/prune.js';

export interface Upstream {
  readonly ifindex: Ifindex;
  readonly neighbor: IpAddress;
}

export function sameUpstream(a: Upstream | undefined, b: Upstream | undefined): boolean {
  return a?.ifindex === b?.ifindex && a?.neighbor === b?.neighbor;
}

const PRUNE_RETRANSMIT_MS = 3000;
const GRAFT_RETRANSMIT_MS = 5000;
const LONGEST_INTERVAL_MS = 300_000;
/** After messages at 0, 5, 15 and 35 s, at 75 s. */
const LONGEST_GUESS_MS = 8 * GRAFT_RETRANSMIT_MS;
const NEVER = Number.POSITIVE_INFINITY;

/** Downwards only: an upstream may clamp what is longer than two hours (dvmrp.md section 10.3). */
export function randomLifetimeMs(configuredMs: number, random: Random): number {
  return configuredMs * (0.5 + 0.5 * random.next());
}

export type UpstreamState = 'none' | 'pruned' | 'grafting';

export class UpstreamRecord {
  state: UpstreamState = 'none';
  /** The host that the messages name. */
  source: IpAddress | undefined;
  to: Upstream | undefined;
  /** Until when the prune is in force. */
  expiresMs = NEVER;
  /** When the message is due again, or for a prune: when to look whether data still comes. */
  nextMs = NEVER;
  /** The graft is for a prune that the upstream may not even have. */
  isGuess = false;
  /** When the last message left. */
  sentMs = 0;
  #intervalMs = 0;

  get dueMs(): number {
    return Math.min(this.nextMs, this.expiresMs);
  }

  /** A prune is about to be sent; a pending graft is over. False: too short to be worth it, nothing has changed. */
  prune(nowMs: number, source: IpAddress, to: Upstream, lifetimeMs: number, random: Random): boolean {
    if (lifetimeMs <= SHORTEST_LIFETIME_MS) return false;
    this.state = 'pruned';
    this.source = source;
    this.to = to;
    this.expiresMs = nowMs + lifetimeMs;
    this.sentMs = nowMs;
    this.#intervalMs = PRUNE_RETRANSMIT_MS;
    this.#lookAgain(nowMs, random);
    return true;
  }

  /** It is time to look. With data since the last message true: the prune is to be sent again, with what is left of it. */
  pruneAgain(nowMs: number, dataCame: boolean, random: Random): boolean {
    const worthIt = dataCame && this.expiresMs - nowMs > SHORTEST_LIFETIME_MS;
    if (worthIt) {
      this.sentMs = nowMs;
      this.#intervalMs = Math.min(2 * this.#intervalMs, LONGEST_INTERVAL_MS);
    }
    this.#lookAgain(nowMs, random);
    return worthIt;
  }

  /** The prune is not repeated, whatever comes. */
  stay(): void {
    this.nextMs = NEVER;
  }

  remainingMs(nowMs: number): number {
    return this.state === 'pruned' ? Math.max(0, this.expiresMs - nowMs) : 0;
  }

  /** A graft is about to be sent: the prune is forgotten, the graft repeated until it is acknowledged. */
  graft(nowMs: number): void {
    this.state = 'grafting';
    this.isGuess = false;
    this.expiresMs = NEVER;
    this.sentMs = nowMs;
    this.#intervalMs = GRAFT_RETRANSMIT_MS;
    this.nextMs = nowMs + this.#intervalMs;
  }

  /** A graft is about to be sent for a prune that we do not know of. */
  graftUnknown(nowMs: number, source: IpAddress, to: Upstream): void {
    this.source = source;
    this.to = to;
    this.graft(nowMs);
    this.isGuess = true;
  }

  /** Asked in vain often enough: who does not answer by now knows no grafts. */
  get isVainGuess(): boolean {
    return this.isGuess && this.#intervalMs >= LONGEST_GUESS_MS;
  }

  graftAgain(nowMs: number): void {
    this.sentMs = nowMs;
    this.#intervalMs = Math.min(2 * this.#intervalMs, LONGEST_INTERVAL_MS);
    this.nextMs = nowMs + this.#intervalMs;
  }

  /** True: the acknowledgement is for the pending graft, and from whom it went to. */
  acknowledge(source: IpAddress, from: Upstream): boolean {
    if (this.state !== 'grafting' || this.source !== source || !sameUpstream(this.to, from)) return false;
    this.reset();
    return true;
  }

  /** A prune of an earlier life of ours that the upstream still honours. */
  goOnPruned(nowMs: number, source: IpAddress, to: Upstream, expiresMs: number, random: Random): void {
    this.prune(nowMs, source, to, expiresMs - nowMs, random);
  }

  /** A graft of an earlier life of ours that may not have been acknowledged: it is sent again at once. */
  goOnGrafting(nowMs: number, source: IpAddress, to: Upstream): void {
    this.source = source;
    this.to = to;
    this.graft(nowMs);
    this.nextMs = nowMs;
  }

  reset(): void {
    this.state = 'none';
    this.source = undefined;
    this.to = undefined;
    this.expiresMs = NEVER;
    this.nextMs = NEVER;
  }

  #lookAgain(nowMs: number, random: Random): void {
    this.nextMs = nowMs + this.#intervalMs * (0.9 + 0.2 * random.next());
  }
}
