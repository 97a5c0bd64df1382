/**
 * The Report message (dvmrp.md section 6.1): lists of networks that share a mask, each network as many octets wide as the
 * mask needs. What is received is collected first and applied when the whole message has proved sound.
 */
import { type IpAddress, ipv4, isUnicast, maskOf, type Prefix, toU32 } from '../../base/ip.js';
import { BODY_LIMIT, CODE, type DecodeError, HEADER_LENGTH, sealed, writeHeader } from './header.js';

/** As large as a metric gets (dvmrp.md section 6.2); this much more means "I depend on you". */
export const INFINITY = 32;
const METRIC_LIMIT = 2 * INFINITY;
const LAST = 0x80;

/** Why one entry of a sound message is skipped; names of counters. */
export type EntryDrop = 'badMetric' | 'badNetwork' | 'duplicate';

/** The entries of one message, column by column; one such object serves all messages. */
export class ReportEntries {
  readonly networks: IpAddress[] = [];
  readonly lengths: number[] = [];
  /** As on the wire, 1..63. */
  readonly metrics: number[] = [];
  readonly skipped: Record<EntryDrop, number> = { badMetric: 0, badNetwork: 0, duplicate: 0 };
  count = 0;
  /** Whether networks and masks have come in ascending order so far, in which there can be no duplicate. */
  #ascending = true;

  clear(): void {
    this.count = 0;
    this.#ascending = true;
    this.skipped.badMetric = 0;
    this.skipped.badNetwork = 0;
    this.skipped.duplicate = 0;
  }

  add(network: IpAddress, length: number, metric: number): void {
    const n = this.count++;
    this.networks[n] = network;
    this.lengths[n] = length;
    this.metrics[n] = metric;
    if (n > 0 && compareKeys(this.networks[n - 1]!, this.lengths[n - 1]!, network, length) >= 0)
      this.#ascending = false;
  }

  /** Of entries with the same prefix the first stays. */
  dropDuplicates(): void {
    if (this.#ascending) return;
    const seen = new Set<number>();
    let kept = 0;
    for (let n = 0; n < this.count; n++) {
      const key = toU32(this.networks[n]!) * 64 + this.lengths[n]!;
      if (seen.has(key)) {
        this.skipped.duplicate++;
        continue;
      }
      seen.add(key);
      this.networks[kept] = this.networks[n]!;
      this.lengths[kept] = this.lengths[n]!;
      this.metrics[kept++] = this.metrics[n]!;
    }
    this.count = kept;
  }
}

/** Octets of a network under a mask of this length: the position of the mask's last octet that is not zero. */
export function networkWidth(length: number): number {
  return length <= 8 ? 1 : (length + 7) >> 3;
}

/**
 * Reads a checked Report into `into`. A message that ends without a "last" bit is read up to its end. An error means that
 * nothing of the message may be applied.
 */
export function decodeReport(b: Uint8Array, into: ReportEntries): DecodeError | undefined {
  into.clear();
  for (let at = HEADER_LENGTH; at < b.length; ) {
    if (b.length < at + 3) return { kind: 'malformed', at };
    const length = maskLength(b, at);
    if (length === undefined) return { kind: 'malformed', at };
    const end = readList(b, at + 3, length, into);
    if (end === undefined) return { kind: 'malformed', at };
    at = end;
  }
  into.dropDuplicates();
  return undefined;
}

/** 8..32 from the last three octets of a mask, undefined where it has gaps. */
function maskLength(b: Uint8Array, at: number): number | undefined {
  const hostBits = ~((0xff << 24) | (b[at]! << 16) | (b[at + 1]! << 8) | b[at + 2]!);
  if ((hostBits & (hostBits + 1)) !== 0) return undefined;
  return Math.clz32(hostBits);
}

/** One list: pairs up to the one marked as last. Returns the offset behind it, undefined when a pair is cut. */
function readList(b: Uint8Array, from: number, length: number, into: ReportEntries): number | undefined {
  const width = networkWidth(length);
  let at = from;
  do {
    if (b.length < at + width + 1) return undefined;
    let network = 0;
    for (let n = 0; n < width; n++) network |= b[at + n]! << (24 - 8 * n);
    const metric = b[at + width]!;
    collect(network >>> 0, length, metric & ~LAST, into);
    at += width + 1;
    if ((metric & LAST) !== 0) return at;
  } while (at < b.length);
  return at;
}

function collect(network: number, maskBits: number, metric: number, into: ReportEntries): void {
  // Network 0 under the shortest mask is the default route, never 0/8.
  const length = maskBits === 8 && network === 0 ? 0 : maskBits;
  const address = ipv4(network);
  if (metric === 0 || metric >= METRIC_LIMIT) into.skipped.badMetric++;
  else if (!isRoutable(address, length)) into.skipped.badNetwork++;
  else into.add(address, length, metric);
}

/** Whether a network can hold senders: no host bits, not 127/8, 0/8, class D or E; the default route can. */
export function isRoutable(network: IpAddress, length: number): boolean {
  if (length === 0) return toU32(network) === 0;
  return (toU32(network) & ~toU32(maskOf(length))) === 0 && isUnicast(network);
}

/** By mask, then network: the order that old peers want. */
export function compareRoutes(a: Prefix, b: Prefix): number {
  return compareKeys(a.network, a.length, b.network, b.length);
}

function compareKeys(network: IpAddress, length: number, otherNetwork: IpAddress, otherLength: number): number {
  if (length !== otherLength) return length - otherLength;
  return network < otherNetwork ? -1 : network > otherNetwork ? 1 : 0;
}

/** Packs routes into as few Reports as it takes; each is whole by itself. */
export class ReportWriter {
  readonly #out: Uint8Array;
  readonly #end: number;
  readonly #emit: (message: Uint8Array) => void;
  #at = HEADER_LENGTH;
  /** Mask length of the open list; -1: none is open. */
  #length = -1;
  #lastMetricAt = 0;

  /** `emit` gets each finished message; its bytes are good until the next call of this object. */
  constructor(emit: (message: Uint8Array) => void, bodyLimit = BODY_LIMIT) {
    this.#emit = emit;
    this.#end = HEADER_LENGTH + bodyLimit;
    this.#out = new Uint8Array(this.#end);
  }

  /** Appends a route; the caller sorts. Metric 1..63. False: a length of 1..7 cannot be expressed. */
  add(network: IpAddress, length: number, metric: number): boolean {
    if (length > 0 && length < 8) return false;
    const pair = networkWidth(length) + 1;
    if (this.#at + pair + (length === this.#length ? 0 : 3) > this.#end) this.flush();
    if (length !== this.#length) this.#openList(length);
    const address = toU32(network);
    for (let n = 0; n < pair - 1; n++) this.#out[this.#at++] = address >>> (24 - 8 * n);
    this.#lastMetricAt = this.#at;
    this.#out[this.#at++] = metric;
    return true;
  }

  /** Sends what has been collected. */
  flush(): void {
    if (this.#length < 0) return;
    this.#closeList();
    writeHeader(this.#out, CODE.report);
    const length = sealed(this.#out, this.#at);
    this.#at = HEADER_LENGTH;
    this.#length = -1;
    this.#emit(this.#out.subarray(0, length));
  }

  #openList(length: number): void {
    if (this.#length >= 0) this.#closeList();
    // The first octet of a mask is not sent: it is always 255, or that of the default route.
    const mask = toU32(maskOf(length));
    this.#out[this.#at++] = mask >>> 16;
    this.#out[this.#at++] = mask >>> 8;
    this.#out[this.#at++] = mask;
    this.#length = length;
  }

  #closeList(): void {
    this.#out[this.#lastMetricAt]! |= LAST;
  }
}
