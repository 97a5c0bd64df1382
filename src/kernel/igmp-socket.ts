/**
 * Raw IGMP (IP protocol 2) and the upcalls of the multicast forwarding code, which share one socket (linux.md A5, E).
 * Sorts only: IP protocol 0 is an upcall, the first byte of IGMP picks the subscriber. It checks no checksum, length, TTL
 * or source, and drops nothing for what it says; that is the subscriber's business.
 */
import type { KernelError } from '../base/errors.js';
import { readU32 } from '../base/bytes.js';
import { formatIp, type IpAddress, ipv4, toU32 } from '../base/ip.js';
import { type IgmpPacket, type IgmpPort, type Ifindex, type Upcall, type Vif, VIFS } from '../port/kernel.js';
import {
  type NativeIgmpSocket,
  SLOT_BYTES,
  SLOT_HEADER_BYTES,
  SLOT_ROUTER_ALERT,
  SLOT_TRUNCATED,
  SLOT_UPCALL,
  SLOTS,
} from './addon.js';
import { type InterfaceName, numbered, refusal } from './errno.js';

/** What the socket delivered since it was opened. */
export interface IgmpSocketCounters {
  readonly packets: number;
  readonly upcalls: number;
  /** IGMP of a type that nobody subscribed to. */
  readonly unknownType: number;
  /** Without a payload, longer than a slot, or an upcall that makes no sense. */
  readonly malformed: number;
}

/** The six words in front of a packet; positions in units of four bytes. */
const WORD = { length: 0, ifindex: 1, source: 2, destination: 3, flags: 4, payloadAt: 5 } as const;
const WORDS_PER_SLOT = SLOT_BYTES / 4;

/** struct igmpmsg (linux/mroute.h) in place of the IP header; 8 bytes of a mock IGMP header end a header-only upcall. */
const IGMPMSG = { type: 8, vifLow: 10, vifHigh: 11, source: 12, group: 16, bytes: 20, mockBytes: 8 } as const;
const UPCALL_KINDS = [undefined, 'nocache', 'wrongvif', 'wholepkt', 'wrvifwhole'] as const;

class ReusedPacket implements IgmpPacket {
  ifindex = 0 as Ifindex;
  source: IpAddress = ipv4(0);
  destination: IpAddress = ipv4(0);
  ttl = 0;
  routerAlert = false;
  payload: Uint8Array = new Uint8Array(0);
}

export class IgmpSocket implements IgmpPort {
  readonly #native: NativeIgmpSocket;
  readonly #nameOf: InterfaceName;
  readonly #slab: Uint8Array;
  readonly #words: Uint32Array;
  readonly #packet = new ReusedPacket();
  /** The payload view each slot had last: reports of one kind are equally long, so it usually fits again. */
  readonly #payloads: Uint8Array[];
  readonly #subscribers: (((packet: IgmpPacket) => void) | undefined)[] = Array.from({ length: 256 });
  #onUpcalls: (upcalls: readonly Upcall[]) => void = () => {};
  #pendingUpcalls: Upcall[] = [];
  readonly #counts = { packets: 0, upcalls: 0, unknownType: 0, malformed: 0 };

  /** `nameOf`: of an interface, for people. */
  constructor(native: NativeIgmpSocket, nameOf: InterfaceName = numbered) {
    this.#native = native;
    this.#nameOf = nameOf;
    this.#slab = native.slab;
    this.#words = new Uint32Array(this.#slab.buffer, this.#slab.byteOffset, SLOTS * WORDS_PER_SLOT);
    this.#payloads = Array.from({ length: SLOTS }, () => this.#packet.payload);
  }

  /** Throws when a type has a subscriber already: two modules for one protocol are a mistake of the wiring. */
  subscribe(types: readonly number[], handler: (packet: IgmpPacket) => void): void {
    for (const type of types) {
      if (this.#subscribers[type]) throw new Error(`IGMP type 0x${type.toString(16)} has a subscriber already`);
      this.#subscribers[type] = handler;
    }
  }

  send(ifindex: Ifindex, source: IpAddress, destination: IpAddress, payload: Uint8Array): KernelError | undefined {
    const errno = this.#native.send(ifindex, toU32(source), toU32(destination), payload);
    if (errno === 0) return undefined;
    const target = `${this.#nameOf(ifindex)} (from ${formatIp(source)} to ${formatIp(destination)})`;
    return refusal('sending IGMP', target, errno);
  }

  /** For the mroute port, whose handler gets the upcalls of one wake-up, newest first. */
  onUpcalls(handler: (upcalls: readonly Upcall[]) => void): void {
    this.#onUpcalls = handler;
  }

  /** Starts to deliver. Call it when every subscriber is there. */
  start(): KernelError | undefined {
    return refusal(
      'polling',
      'the raw IGMP socket',
      this.#native.start((count) => this.#receive(count)),
    );
  }

  counters(): IgmpSocketCounters {
    return { ...this.#counts };
  }

  #receive(count: number): void {
    if (count === 0) return this.#deliverUpcalls();
    for (let slot = 0; slot < count; slot++) this.#sort(slot);
  }

  #sort(slot: number): void {
    const at = slot * WORDS_PER_SLOT;
    const flags = this.#words[at + WORD.flags]!;
    if (flags & SLOT_TRUNCATED) this.#counts.malformed++;
    else if (flags & SLOT_UPCALL) this.#collectUpcall(slot, this.#words[at + WORD.length]!);
    else this.#deliverPacket(slot, at, flags);
  }

  #deliverPacket(slot: number, at: number, flags: number): void {
    const words = this.#words;
    const payload = this.#payloadOf(slot, words[at + WORD.payloadAt]!, words[at + WORD.length]!);
    if (payload.length === 0) {
      this.#counts.malformed++;
      return;
    }
    const subscriber = this.#subscribers[payload[0]!];
    if (!subscriber) {
      this.#counts.unknownType++;
      return;
    }
    this.#counts.packets++;
    const packet = this.#packet;
    packet.ifindex = words[at + WORD.ifindex]! as Ifindex;
    packet.source = ipv4(words[at + WORD.source]!);
    packet.destination = ipv4(words[at + WORD.destination]!);
    packet.ttl = flags & 0xff;
    packet.routerAlert = (flags & SLOT_ROUTER_ALERT) !== 0;
    packet.payload = payload;
    subscriber(packet);
  }

  /** The packet from `payloadAt` to its `length`; both count from the start of the packet. */
  #payloadOf(slot: number, payloadAt: number, length: number): Uint8Array {
    const from = this.#slab.byteOffset + slot * SLOT_BYTES + SLOT_HEADER_BYTES + payloadAt;
    const size = Math.max(0, length - payloadAt);
    const last = this.#payloads[slot]!;
    if (last.byteOffset === from && last.length === size) return last;
    const payload = new Uint8Array(this.#slab.buffer, from, size);
    this.#payloads[slot] = payload;
    return payload;
  }

  #collectUpcall(slot: number, length: number): void {
    const from = slot * SLOT_BYTES + SLOT_HEADER_BYTES;
    const upcall = decodeUpcall(this.#slab.subarray(from, from + length));
    if (!upcall) {
      this.#counts.malformed++;
      return;
    }
    this.#counts.upcalls++;
    this.#pendingUpcalls.push(upcall);
  }

  #deliverUpcalls(): void {
    if (this.#pendingUpcalls.length === 0) return;
    const upcalls = this.#pendingUpcalls.reverse();
    this.#pendingUpcalls = [];
    this.#onUpcalls(upcalls);
  }
}

/**
 * Reads a `struct igmpmsg`. The packet of 'nocache' and 'wrongvif' is the IP header in which the kernel has written over
 * TTL, protocol and checksum; that of the whole-packet kinds is what follows the message.
 */
export function decodeUpcall(b: Uint8Array): Upcall | undefined {
  if (b.length < IGMPMSG.bytes) return undefined;
  const kind = UPCALL_KINDS[b[IGMPMSG.type]!];
  const vif = b[IGMPMSG.vifLow]! | (b[IGMPMSG.vifHigh]! << 8);
  if (kind === undefined || vif >= VIFS) return undefined;
  const headerOnly = kind === 'nocache' || kind === 'wrongvif';
  return {
    kind,
    vif: vif as Vif,
    source: ipv4(readU32(b, IGMPMSG.source)),
    group: ipv4(readU32(b, IGMPMSG.group)),
    packet: headerOnly ? b.slice(0, Math.max(IGMPMSG.bytes, b.length - IGMPMSG.mockBytes)) : b.slice(IGMPMSG.bytes),
  };
}
