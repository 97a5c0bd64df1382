/**
 * The C++ addon as TypeScript sees it: the only file that loads it. Every call is one system call (or one batch);
 * results are 0 or a positive errno unless said otherwise. Addresses are host-order uint32 numbers, ports of the kernel's
 * structs stay in C++. A descriptor never reaches JavaScript: JavaScript holds objects with `close()`.
 */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

/** One slot of the receive slab: six uint32 (length, ifindex, source, destination, flags, offset of the payload), then the packet. */
export const SLOT_HEADER_BYTES = 24;
export const SLOT_BYTES = 24 + 9216;
export const SLOTS = 8;
/** Bits of a slot's flags: the low byte is the TTL. */
export const SLOT_ROUTER_ALERT = 0x100;
export const SLOT_TRUNCATED = 0x200;
/** `im_mbz` is 0: a message of the multicast forwarding code, not IGMP. */
export const SLOT_UPCALL = 0x400;

/** A raw IGMP socket (AF_INET, SOCK_RAW, IPPROTO_IGMP) with packet info; becomes the routing socket through Mroute. */
export interface NativeIgmpSocket {
  /** Asks for SO_RCVBUFFORCE, falls back to SO_RCVBUF; returns the size the kernel granted in bytes, or -errno. */
  setReceiveBuffer(bytes: number): number;
  /**
   * Starts polling: recvmmsg into one reused slab of SLOTS slots, at most 32 rounds or 8 ms per wake-up, `onBatch(count)` once per
   * round, then `onBatch(0)` once at the end of the wake-up. A throw inside goes to `uncaughtException`.
   */
  start(onBatch: (count: number) => void): number;
  readonly slab: Uint8Array;
  /** Pauses and resumes polling without losing what is queued in the kernel. */
  stop(): void;
  /** TTL 1, TOS 0xc0, router alert; the interface and source go by IP_PKTINFO. `source` 0 lets the kernel choose. */
  send(ifindex: number, source: number, destination: number, payload: Uint8Array): number;
  /** Stops polling, then closes the descriptor. Harmless twice. */
  close(): void;
  /** Duplicates the descriptor and returns its number, for a service manager or a successor; the caller owns it. -errno on failure. */
  duplicate(): number;
}

/** MRT_* options on an IgmpSocket's descriptor (linux.md A). */
export interface NativeMroute {
  /** MRT_TABLE when the table is not 253, then MRT_INIT. */
  init(): number;
  done(): number;
  addVif(vif: number, ifindex: number): number;
  delVif(vif: number): number;
  /** `ttls`: 32 bytes. */
  addMfc(source: number, group: number, iif: number, ttls: Uint8Array): number;
  delMfc(source: number, group: number): number;
  /** Bits: 1 entries, 2 static entries, 4 vifs, 8 static vifs. */
  flush(bits: number): number;
  setAssert(on: boolean): number;
  /** 0 off, 1 on, 4 with WRVIFWHOLE. */
  setPim(value: number): number;
  /** SIOCGETSGCNT: writes packets, bytes, wrongIf into `out` (length 3). */
  mfcCounters(source: number, group: number, out: Float64Array): number;
  /** Many at once: `keys` holds source, group pairs; `out` 3 per key; `errnos` 1 per key. Returns how many succeeded. */
  mfcCountersMany(keys: Uint32Array, out: Float64Array, errnos: Int32Array): number;
  /** SIOCGETVIFCNT: packetsIn, bytesIn, packetsOut, bytesOut into `out` (length 4). */
  vifCounters(vif: number, out: Float64Array): number;
}

/** A pool of UDP sockets that hold memberships, 20 on each (linux.md C2). Slots are the pool's business, not JavaScript's. */
export interface NativeMembershipSocket {
  join(ifindex: number, group: number): number;
  leave(ifindex: number, group: number): number;
  joinSource(ifindex: number, group: number, source: number): number;
  leaveSource(ifindex: number, group: number, source: number): number;
  /** MCAST_MSFILTER: replaces the whole filter of a joined group; `include` with no source leaves. */
  setFilter(ifindex: number, group: number, include: boolean, sources: Uint32Array): number;
  close(): void;
  duplicate(): number;
}

/**
 * A program in the kernel that refuses membership calls (IPv4) of every process of the host with EAGAIN, in this thread's
 * network namespace, while they name what is in its list. Gone when closed, or with the process.
 */
export interface NativePauseGate {
  /** SO_MARK of sockets that it lets through, never 0. */
  readonly mark: number;
  /** Calls that name this interface; with ifindex 0 those that name this address, and with both 0 those that name nothing. */
  refuse(ifindex: number, address: number): number;
  allow(ifindex: number, address: number): number;
  close(): void;
}

/** Which step was refused, and the verifier's words, if any. */
export interface NativeRefusal {
  readonly step: string;
  readonly errno: number;
  readonly detail: string;
}

/** An AF_NETLINK socket of NETLINK_ROUTE. */
export interface NativeNetlink {
  /** Joins a multicast group (RTNLGRP_*). */
  subscribe(group: number): number;
  setReceiveBuffer(bytes: number): number;
  /** Sends one request. */
  send(message: Uint8Array): number;
  /**
   * Sends one request and reads, blocking at most 1 s, until its last answer (NLMSG_DONE or a single message or error).
   * Returns all answers' bytes, or a positive errno.
   */
  request(message: Uint8Array): Uint8Array | number;
  /** Starts polling: `onData(length, errno)` per datagram batch in `slab`; errno ENOBUFS (105) means notifications were lost. */
  start(onData: (length: number, errno: number) => void): number;
  readonly slab: Uint8Array;
  close(): void;
}

/** IGMP from an address of this machine, as it came from the wire. */
export interface WatchedPacket {
  readonly source: number;
  /** Link-layer address; empty where the link has none. */
  readonly sender: Uint8Array;
}

/** A packet socket on one interface that gets IGMP from given addresses and nothing else. */
export interface NativePacketWatch {
  /** Starts polling, or goes on after `stop`: `onHeard` once per wake-up with the few packets that the socket holds. */
  start(onHeard: (packets: readonly WatchedPacket[]) => void): number;
  stop(): void;
  close(): void;
}

export interface Addon {
  /** Returns the socket or a positive errno. `adoptFd`: take over a descriptor that was passed in instead of opening one. */
  openIgmpSocket(adoptFd?: number): NativeIgmpSocket | number;
  /** Never fails: options on the socket's descriptor, kept alive by it. `table` 253 is the default table. */
  mrouteOf(socket: NativeIgmpSocket, table: number): NativeMroute;
  /** `mark`: SO_MARK of all its sockets. */
  openMembershipSocket(adoptFd?: number, mark?: number): NativeMembershipSocket | number;
  /** Only the first 64 addresses count. */
  openPacketWatch(ifindex: number, addresses: Uint32Array): NativePacketWatch | number;
  openPauseGate(): NativePauseGate | NativeRefusal;
  openNetlink(): NativeNetlink | number;
  /** Sends up to 253 descriptors with their names ("a:b:c", at most 16 KiB) over a connected Unix stream socket; they stay open here. */
  passDescriptors(socketFd: number, names: string, fds: Int32Array): number;
  /**
   * Connects to a Unix socket and asks for descriptors, without waiting. The caller owns the descriptor of the connection. -errno:
   * ENOENT (2) and ECONNREFUSED (111): nobody listens there; EAGAIN (11): too many wait there already.
   */
  askForDescriptors(path: string): number;
  /**
   * Takes what `passDescriptors` sent over this connection, without waiting; the caller owns the descriptors. EAGAIN (11):
   * nothing has come; ECONNRESET (104): closed without a word.
   */
  takeDescriptors(socketFd: number): { readonly names: string; readonly fds: readonly number[] } | number;
  /**
   * Writes to a stream what it takes now, or within `waitMs`. Returns how many bytes that was, or -errno; -EAGAIN when it
   * takes none.
   */
  writeSome(fd: number, bytes: Uint8Array, waitMs: number): number;
  /** SO_PEERCRED of a Unix socket by descriptor number. */
  peerCredentials(fd: number): { readonly pid: number; readonly uid: number; readonly gid: number } | number;
}

/** The one that this checkout built, else the one that a package brings along. */
export function loadAddon(): Addon {
  const root = fileURLToPath(new URL('../..', import.meta.url));
  const built = [`${root}build/Release/mgmd.node`, `${root}prebuilds/linux-${process.arch}/mgmd.node`];
  const file = process.env['MGMD_ADDON'] ?? built.find((name) => existsSync(name)) ?? built[0]!;
  return createRequire(import.meta.url)(file) as Addon;
}
