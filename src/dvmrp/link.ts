/**
 * One interface of ours between the wire and the rest of the protocol: reception with its checks (dvmrp.md section 17), its
 * neighbours, what it sends (dvmrp.md section 2). What an interface cannot decide alone goes to the router.
 */
import { formatIp, type IpAddress, isMulticast, maskOf, type Prefix, toU32 } from '../base/ip.js';
import { hasNetwork, type InterfaceAddress, linkNetworkOf, usableAddresses } from '../base/link-address.js';
import { OnLink } from '../base/on-link.js';
import { TokenBucket } from '../base/token-bucket.js';
import type { DvmrpInterfaceConfig } from '../config/types.js';
import type { Ifindex, Link } from '../port/kernel.js';
import type { Random } from '../port/random.js';
import { decodeGraft, encodeGraft, type Graft } from './wire/graft.js';
import { CODE, type Code, decodeHeader, type DecodeError, type Header } from './wire/header.js';
import type { Neighbor } from './neighbors/neighbor.js';
import type { NeighborEvent } from './neighbors/neighbor-fsm.js';
import { type NeighborDrop, type NeighborOutput, Neighbors, nextGenerationId } from './neighbors/neighbors.js';
import { encodeNeighbors2, type InterfaceBlock } from './wire/neighbors2.js';
import { PROBE_LENGTH } from './wire/probe.js';
import { decodePrune, encodePrune, type Prune } from './wire/prune.js';
import { ALL_DVMRP_ROUTERS, type ReceptionDrop, refusal } from './reception.js';
import { decodeReport, isRoutable, ReportEntries } from './wire/report.js';
import type { Refusal } from './neighbors/neighbor.js';
import type { PruneDrop } from './trees/forwarding.js';
import type { RouteDrop } from './routes/route-entries.js';
import type { SavedLink } from './saved-state.js';

/** Why something received changed nothing; names of counters. */
export type Drop =
  | DecodeError['kind']
  | ReceptionDrop
  | NeighborDrop
  | PruneDrop
  | RouteDrop
  | 'unknownCode'
  | 'obsoleteCode'
  | 'badMask'
  | 'unmatchedAck'
  | 'notAnswered'
  | 'badMetric'
  | 'badNetwork'
  | 'duplicate';

/** A network device as far as DVMRP cares. */
export interface LinkState {
  readonly running: boolean;
  readonly pointToPoint: boolean;
  readonly mtu: number;
  /** The first one is where our messages come from. */
  readonly addresses: readonly InterfaceAddress[];
  /** Whether a route puts a source on the link that no address covers. */
  readonly isRouted?: (source: IpAddress) => boolean;
}

export function linkStateOf(
  { running, pointToPoint, mtu, addresses }: Link,
  isRouted: (address: IpAddress) => boolean,
): LinkState {
  return { running, pointToPoint, mtu, addresses: usableAddresses(addresses), isRouted };
}

export interface LinkConfig {
  readonly name: string;
  readonly threshold: number;
  readonly boundary: readonly Prefix[];
  readonly dvmrp: DvmrpInterfaceConfig;
}

export interface Message {
  readonly source: IpAddress;
  readonly destination: IpAddress;
  readonly payload: Uint8Array;
}

/** What an interface asks of the router; the neighbour's steps of dvmrp.md section 5.2 go through unchanged. */
export interface LinkOutput {
  send(on: RouterLink, destination: IpAddress, payload: Uint8Array): void;
  report(on: RouterLink, neighbor: Neighbor, entries: ReportEntries): void;
  prune(on: RouterLink, neighbor: Neighbor, prune: Prune, maskLength: number | undefined): PruneDrop | undefined;
  graft(on: RouterLink, neighbor: Neighbor, graft: Graft, maskLength: number | undefined): void;
  graftAck(on: RouterLink, neighbor: Neighbor, graft: Graft): boolean;
  /** Undefined: such a question is not answered. */
  neighborsAnswer(on: RouterLink, asker: IpAddress): readonly InterfaceBlock[] | undefined;
  dropped(on: RouterLink, reason: Drop, source: IpAddress): void;
  /** Returns what it was in an earlier life of ours, if that is to go on. */
  up(on: RouterLink): SavedLink | undefined;
  /** Its neighbours of then are there again. */
  restored(on: RouterLink): void;
  /** Its neighbours have been lost already. */
  down(on: RouterLink): void;
  neighborUp(on: RouterLink, neighbor: Neighbor): void;
  neighborDown(on: RouterLink, neighbor: Neighbor, why: NeighborEvent): void;
  neighborRefused(on: RouterLink, neighbor: Neighbor, why: Refusal): void;
  neighborRestarted(on: RouterLink, neighbor: Neighbor): void;
  sendTable(on: RouterLink, neighbor: Neighbor): void;
  loseRoutes(on: RouterLink, neighbor: Neighbor): void;
  reelectForwarders(on: RouterLink, neighbor: Neighbor): void;
  flushEntries(on: RouterLink, neighbor: Neighbor): void;
  dropGrafts(on: RouterLink, neighbor: Neighbor): void;
  dropDependencies(on: RouterLink, neighbor: Neighbor): void;
  leafChanged(on: RouterLink): void;
  isElsewhere(on: RouterLink, address: IpAddress): boolean;
}

const NAMES: ReadonlyMap<number, string> = new Map(Object.entries(CODE).map(([name, code]) => [code, name]));
/** Ask-Neighbors, Neighbors, and mrouted's information messages. */
const OBSOLETE: readonly number[] = [3, 4, 10, 11];
/** Answers to Ask-Neighbors2: this many at once, then so many a second. */
const ANSWERS_BURST = 5;
const ANSWERS_PER_SECOND = 1;
const LARGEST_MESSAGE = 4 * 1024 + PROBE_LENGTH;

export class RouterLink implements NeighborOutput {
  readonly neighbors: Neighbors;
  /** 'probe' etc. -> number of messages. */
  readonly received = new Map<string, number>();
  readonly sent = new Map<string, number>();
  readonly drops = new Map<Drop, number>();
  isUp = false;
  pointToPoint = false;
  address: IpAddress | undefined;
  subnets: readonly Prefix[] = [];
  onLink = new OnLink([]);
  /** A point-to-point device whose far end nobody has named, as tunnels are: whoever speaks there is the far end. */
  #farEndUnknown = false;
  readonly #output: LinkOutput;
  readonly #out = new Uint8Array(LARGEST_MESSAGE);
  readonly #entries = new ReportEntries();
  #state: LinkState | undefined;
  #lastGenerationId: number | undefined;
  #answers: TokenBucket | undefined;

  constructor(
    readonly ifindex: Ifindex,
    readonly config: LinkConfig,
    compat: { readonly acceptCompat: boolean; readonly allowNonPruners: boolean },
    output: LinkOutput,
  ) {
    this.#output = output;
    this.neighbors = new Neighbors(ifindex, { ...config.dvmrp, ...compat }, this);
  }

  /** The device is as told; a change of the addresses is down and up (dvmrp.md section 12). */
  setState(nowMs: number, random: Random, state: LinkState): void {
    const [primary] = state.addresses;
    const usable = state.running && primary !== undefined;
    const changed = !sameAddresses(this.#state?.addresses ?? [], state.addresses);
    this.#state = state;
    if (this.isUp && (!usable || changed)) this.close(nowMs);
    if (!usable || this.isUp) return;
    this.isUp = true;
    this.pointToPoint = state.pointToPoint;
    this.address = primary.address;
    this.onLink = new OnLink(state.addresses, state.isRouted);
    this.#farEndUnknown = state.pointToPoint && !state.addresses.some(hasNetwork);
    this.subnets = state.addresses
      .filter(hasNetwork)
      .map(linkNetworkOf)
      .filter(({ network, length }) => isTellable(network, length));
    const before = this.#output.up(this);
    this.#lastGenerationId = before?.generationId ?? nextGenerationId(this.#lastGenerationId, random);
    if (before) {
      this.neighbors.restore(nowMs, primary.address, before.neighbors);
      this.#output.restored(this);
    }
    this.neighbors.start(nowMs, primary.address, this.#lastGenerationId);
  }

  /** Neighbours are lost, the interface is down as far as DVMRP goes. */
  close(nowMs: number): void {
    if (!this.isUp) return;
    this.neighbors.stop(nowMs);
    this.isUp = false;
    this.#output.down(this);
  }

  /** The group's scope ends here, or there is nobody yet at the other end of a point-to-point link (dvmrp.md section 5.1). */
  passes(group: IpAddress): boolean {
    if (!this.isUp || (this.pointToPoint && this.neighbors.isLeaf)) return false;
    return !this.config.boundary.some(({ network, length }) => contains(network, length, group));
  }

  /** The ends of a tunnel, whose Prunes, Grafts and acknowledgements may come beside it (dvmrp.md section 13). */
  isTunnelBetween(local: IpAddress, remote: IpAddress): boolean {
    return this.pointToPoint && this.address === local && this.neighbors.upNeighbor(remote) !== undefined;
  }

  /** What is for 224.0.0.4 was not routed; anything else counts from who has said something there before. */
  #isFarEnd(source: IpAddress, destination: IpAddress): boolean {
    if (!this.#farEndUnknown || (destination !== ALL_DVMRP_ROUTERS && !this.onLink.isOwn(destination))) return false;
    return destination === ALL_DVMRP_ROUTERS || this.neighbors.get(source) !== undefined;
  }

  receive(nowMs: number, { source, destination, payload }: Message, alien: boolean): void {
    if (!this.isUp) return this.drop('leafOnly', source);
    const header = decodeHeader(payload);
    if (!header.ok) return this.drop(header.error.kind, source);
    const { code } = header.value;
    const refused = refusal(source, destination, this.onLink);
    const asks = alien && code === CODE.askNeighbors2;
    const forgiven = refused === 'offSubnet' && (asks || this.#isFarEnd(source, destination));
    if (refused !== undefined && !forgiven) return this.drop(refused, source);
    count(this.received, NAMES.get(code) ?? 'other');
    this.#dispatch(nowMs, header.value, source, payload);
  }

  #dispatch(nowMs: number, header: Header, source: IpAddress, payload: Uint8Array): void {
    switch (header.code) {
      case CODE.probe:
        return this.neighbors.heardProbe(nowMs, source, header, payload);
      case CODE.report:
        return this.#report(nowMs, header, source, payload);
      case CODE.prune:
        return this.#prune(source, payload);
      case CODE.graft:
        return this.#graft(source, payload);
      case CODE.graftAck:
        return this.#graftAck(source, payload);
      case CODE.askNeighbors2:
        return this.#answer(nowMs, source);
      case CODE.neighbors2:
        return undefined; // an answer to somebody else's tool on this host
      default:
        return this.drop(OBSOLETE.includes(header.code) ? 'obsoleteCode' : 'unknownCode', source);
    }
  }

  #report(nowMs: number, header: Header, source: IpAddress, payload: Uint8Array): void {
    const entries = this.#entries;
    const error = decodeReport(payload, entries);
    if (error) return this.drop(error.kind, source);
    const neighbor = this.neighbors.heardReport(nowMs, source, header);
    if (!neighbor) return;
    for (const [reason, skipped] of Object.entries(entries.skipped) as [keyof typeof entries.skipped, number][])
      if (skipped > 0) this.drop(reason, source);
    this.#output.report(this, neighbor, entries);
  }

  #prune(source: IpAddress, payload: Uint8Array): void {
    const neighbor = this.neighbors.upNeighbor(source);
    if (!neighbor) return this.drop('unknownNeighbor', source);
    const prune = decodePrune(payload);
    if (!prune.ok) return this.drop(prune.error.kind, source);
    const length = maskLength(prune.value.mask);
    if (length === 'bad') return this.drop('badMask', source);
    const reason = this.#output.prune(this, neighbor, prune.value, length);
    if (reason) this.drop(reason, source);
  }

  /** Whatever comes of it, a neighbour's Graft is acknowledged (dvmrp.md section 11.3). */
  #graft(source: IpAddress, payload: Uint8Array): void {
    const neighbor = this.neighbors.upNeighbor(source);
    if (!neighbor) return this.drop('unknownNeighbor', source);
    const graft = decodeGraft(payload);
    if (!graft.ok) return this.drop(graft.error.kind, source);
    this.#send(neighbor.address, CODE.graftAck, encodeGraft(this.#out, CODE.graftAck, graft.value));
    const length = maskLength(graft.value.mask);
    if (length === 'bad') return this.drop('badMask', source);
    this.#output.graft(this, neighbor, graft.value, length);
  }

  #graftAck(source: IpAddress, payload: Uint8Array): void {
    const neighbor = this.neighbors.upNeighbor(source);
    if (!neighbor) return this.drop('unknownNeighbor', source);
    const ack = decodeGraft(payload);
    if (!ack.ok) return this.drop(ack.error.kind, source);
    if (!this.#output.graftAck(this, neighbor, ack.value)) this.drop('unmatchedAck', source);
  }

  /** An answer is larger than its question, so a stranger gets few (dvmrp.md section 14). */
  #answer(nowMs: number, asker: IpAddress): void {
    this.#answers ??= new TokenBucket(ANSWERS_BURST, ANSWERS_PER_SECOND, nowMs);
    if (this.#answers.take(nowMs) === undefined) return this.drop('notAnswered', asker);
    const blocks = this.#output.neighborsAnswer(this, asker);
    if (!blocks) return this.drop('notAnswered', asker);
    encodeNeighbors2(this.#out, blocks, (length) => {
      count(this.sent, 'neighbors2');
      this.#output.send(this, asker, this.#out.subarray(0, length));
    });
  }

  // What it sends

  sendPrune(to: IpAddress, prune: Omit<Prune, 'mask'>, network: Prefix): void {
    const mask = this.#maskFor(to, network);
    this.#send(to, CODE.prune, encodePrune(this.#out, { ...prune, mask }));
  }

  sendGraft(to: IpAddress, graft: Omit<Graft, 'mask'>, network: Prefix): void {
    const mask = this.#maskFor(to, network);
    this.#send(to, CODE.graft, encodeGraft(this.#out, CODE.graft, { ...graft, mask }));
  }

  sendReport(to: IpAddress, message: Uint8Array): void {
    count(this.sent, 'report');
    this.#output.send(this, to, message);
  }

  /** Only for those who have said that they understand it. */
  #maskFor(to: IpAddress, network: Prefix): IpAddress | undefined {
    return this.neighbors.get(to)?.takesMasks ? maskOf(network.length) : undefined;
  }

  /** To one neighbour, or on a point-to-point link to all (dvmrp.md section 2). */
  #send(to: IpAddress, code: Code, length: number): void {
    count(this.sent, NAMES.get(code)!);
    this.#output.send(this, this.pointToPoint ? ALL_DVMRP_ROUTERS : to, this.#out.subarray(0, length));
  }

  drop(reason: Drop, source: IpAddress): void {
    count(this.drops, reason);
    this.#output.dropped(this, reason, source);
  }

  // NeighborOutput

  sendProbe(): void {
    const length = this.neighbors.writeProbe(this.#out);
    count(this.sent, 'probe');
    this.#output.send(this, ALL_DVMRP_ROUTERS, this.#out.subarray(0, length));
  }

  neighborUp(neighbor: Neighbor): void {
    this.#output.neighborUp(this, neighbor);
  }

  sendTable(neighbor: Neighbor): void {
    this.#output.sendTable(this, neighbor);
  }

  neighborRestarted(neighbor: Neighbor): void {
    this.#output.neighborRestarted(this, neighbor);
  }

  loseRoutes(neighbor: Neighbor): void {
    this.#output.loseRoutes(this, neighbor);
  }

  reelectForwarders(neighbor: Neighbor): void {
    this.#output.reelectForwarders(this, neighbor);
  }

  flushEntries(neighbor: Neighbor): void {
    this.#output.flushEntries(this, neighbor);
  }

  dropGrafts(neighbor: Neighbor): void {
    this.#output.dropGrafts(this, neighbor);
  }

  dropDependencies(neighbor: Neighbor): void {
    this.#output.dropDependencies(this, neighbor);
  }

  leafChanged(): void {
    this.#output.leafChanged(this);
  }

  neighborDown(neighbor: Neighbor, why: NeighborEvent): void {
    this.#output.neighborDown(this, neighbor, why);
  }

  neighborRefused(neighbor: Neighbor, why: Refusal): void {
    this.#output.neighborRefused(this, neighbor, why);
  }

  dropped(reason: NeighborDrop, source: IpAddress): void {
    this.drop(reason, source);
  }

  isElsewhere(address: IpAddress): boolean {
    return this.#output.isElsewhere(this, address);
  }
}

function count<K>(counts: Map<K, number>, name: K): void {
  counts.set(name, (counts.get(name) ?? 0) + 1);
}

/** Lengths of 1 to 7 cannot be expressed in a Report. */
function isTellable(network: IpAddress, length: number): boolean {
  return length >= 8 && isRoutable(network, length);
}

function contains(network: IpAddress, length: number, group: IpAddress): boolean {
  return isMulticast(group) && ((toU32(network) ^ toU32(group)) & toU32(maskOf(length))) === 0;
}

/** Undefined without a mask, 'bad' with gaps in it. */
function maskLength(mask: IpAddress | undefined): number | undefined | 'bad' {
  if (mask === undefined) return undefined;
  const length = Math.clz32(~toU32(mask));
  return maskOf(length) === mask ? length : 'bad';
}

function sameAddresses(a: readonly InterfaceAddress[], b: readonly InterfaceAddress[]): boolean {
  const text = (all: readonly InterfaceAddress[]) =>
    all.map((one) => `${formatIp(one.address)}/${one.prefixLength}/${String(one.peer)}`).join();
  return text(a) === text(b);
}
