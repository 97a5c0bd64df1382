/**
 * The addon against the real kernel: the test's own process steps into a namespace while it opens a socket (a socket
 * belongs to the namespace it was made in, for good), so one process plays the router and its neighbours.
 */
import { closeSync, openSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { DataType, load, open } from 'ffi-rs';
import {
  type Addon,
  loadAddon,
  type NativeIgmpSocket,
  type NativeMembershipSocket,
  type NativeMroute,
  type NativeNetlink,
  SLOT_BYTES,
  SLOT_HEADER_BYTES,
} from '../../src/kernel/addon.js';
import { eventually } from './eventually.js';
import { type Namespace, type Net, netnsTest } from './topology.js';

export const addon: Addon = loadAddon();

const root = fileURLToPath(new URL('../..', import.meta.url));
/** For children, which load it themselves. */
export const addonPath = process.env['MGMD_ADDON'] ?? `${root}build/Release/mgmd.node`;
export const addonChild = fileURLToPath(new URL('./helpers/addon-child.mjs', import.meta.url));

export const ERRNO = {
  ENOENT: 2,
  EBADF: 9,
  EINVAL: 22,
  ENFILE: 23,
  ENODEV: 19,
  ENOTSOCK: 88,
  EADDRINUSE: 98,
  EADDRNOTAVAIL: 99,
  ENOBUFS: 105,
  ETIMEDOUT: 110,
  EALREADY: 114,
  EEXIST: 17,
} as const;

const CLONE_NEWNET = 0x4000_0000;

function setns(path: string): void {
  const fd = openSync(path, 'r');
  try {
    const status = load({
      library: 'c',
      funcName: 'setns',
      retType: DataType.I32,
      paramsType: [DataType.I32, DataType.I32],
      paramsValue: [fd, CLONE_NEWNET],
    });
    if (status !== 0) throw new Error(`setns to ${path} failed; the namespace tests need CAP_SYS_ADMIN`);
  } finally {
    closeSync(fd);
  }
}

open({ library: 'c', path: 'libc.so.6' });

/** Runs `body`, which must be synchronous, with this thread in the namespace. */
export function inside<T>(namespace: Namespace, body: () => T): T {
  const home = openSync('/proc/thread-self/ns/net', 'r');
  setns(`/run/netns/${namespace.name}`);
  try {
    return body();
  } finally {
    setns(`/proc/self/fd/${home}`);
    closeSync(home);
  }
}

/** A file under /proc/net of a namespace. */
export function procNet(namespace: Namespace, file: string): string {
  return inside(namespace, () => readFileSync(`/proc/thread-self/net/${file}`, 'latin1'));
}

/** `10.1.0.1` as the addon's number. */
export function ip(text: string): number {
  return text.split('.').reduce((value, part) => value * 256 + Number(part), 0);
}

export interface Received {
  readonly ifindex: number;
  readonly source: number;
  readonly destination: number;
  readonly flags: number;
  readonly packet: Uint8Array;
  readonly payload: Uint8Array;
}

/** Copies a slot of the slab out. */
export function readSlot(slab: Uint8Array, index: number): Received {
  const at = index * SLOT_BYTES;
  const header = new Uint32Array(slab.buffer, slab.byteOffset + at, 6);
  const packet = slab.slice(at + SLOT_HEADER_BYTES, at + SLOT_HEADER_BYTES + header[0]!);
  return {
    ifindex: header[1]!,
    source: header[2]!,
    destination: header[3]!,
    flags: header[4]!,
    packet,
    payload: packet.slice(header[5]!),
  };
}

/** Starts a socket and keeps what it receives. */
export class Inbox {
  readonly received: Received[] = [];
  /** The counts the addon called with, in order. */
  readonly batches: number[] = [];

  constructor(readonly socket: NativeIgmpSocket) {
    const error = this.start();
    if (error !== 0) throw new Error(`start failed: errno ${error}`);
  }

  start(): number {
    return this.socket.start((count) => {
      this.batches.push(count);
      for (let i = 0; i < count; i++) this.received.push(readSlot(this.socket.slab, i));
    });
  }

  async first(what: string, matches: (message: Received) => boolean): Promise<Received> {
    return eventually(what, () => this.received.find(matches), { everyMs: 5 });
  }
}

function opened<T>(what: string, socket: T | number): T {
  if (typeof socket === 'number') throw new Error(`${what} failed: errno ${socket}`);
  return socket;
}

/** What a test opened; closed at its end, whatever happened. */
export class Bed {
  readonly #open: { close(): void }[] = [];

  constructor(
    readonly net: Net,
    /** eth1 10.1.0.1 towards `host`, eth2 10.2.0.1 towards `peer`; both have eth0 with .2. */
    readonly router: Namespace,
    readonly host: Namespace,
    readonly peer: Namespace,
  ) {}

  igmp(namespace: Namespace, adoptFd?: number): NativeIgmpSocket {
    const socket = inside(namespace, () => addon.openIgmpSocket(adoptFd));
    return this.#keep(opened('openIgmpSocket', socket));
  }

  memberships(namespace: Namespace, adoptFd?: number): NativeMembershipSocket {
    const socket = inside(namespace, () => addon.openMembershipSocket(adoptFd));
    return this.#keep(opened('openMembershipSocket', socket));
  }

  netlink(namespace: Namespace): NativeNetlink {
    return this.#keep(
      opened(
        'openNetlink',
        inside(namespace, () => addon.openNetlink()),
      ),
    );
  }

  /** The router's multicast routing socket with vif 0 on eth1 and vif 1 on eth2. */
  mroute(): { readonly socket: NativeIgmpSocket; readonly mroute: NativeMroute } {
    const socket = this.igmp(this.router);
    const mroute = addon.mrouteOf(socket, 253);
    const errors = [
      mroute.init(),
      mroute.addVif(0, this.router.ifindex('eth1')),
      mroute.addVif(1, this.router.ifindex('eth2')),
    ];
    if (errors.some((error) => error !== 0)) throw new Error(`the routing socket was refused: errno ${errors.join()}`);
    return { socket, mroute };
  }

  /** Sends `count` UDP packets from the host's LAN and waits until they have left it. */
  async traffic(group: string, count: number): Promise<void> {
    const sender = await this.host.sender({ from: '10.1.0.2', groups: [group], ratePerSec: 2000, count, ttl: 8 });
    await sender.done();
  }

  #keep<T extends { close(): void }>(socket: T): T {
    this.#open.push(socket);
    return socket;
  }

  close(): void {
    for (const socket of this.#open) socket.close();
  }
}

/**
 * A test with a router between two LANs, all in namespaces of its own. The test's thread is in the router's namespace,
 * so that sockets which the addon opens later on its own (a full pool, a first netlink request) are made there too.
 */
export function addonTest(title: string, body: (bed: Bed) => Promise<void> | void): void {
  netnsTest(title, async (net) => {
    const router = net.router('router');
    const bed = new Bed(
      net,
      router,
      net.host('host', router, 'eth1', '10.1.0'),
      net.host('peer', router, 'eth2', '10.2.0'),
    );
    // A fresh veth drops what is sent before the kernel has noticed its carrier, up to a second later.
    const up = (namespace: Namespace) => namespace.ip('link').match(/ eth\d.* state UP /g)?.length ?? 0;
    await eventually('four ends that carry packets', () => up(router) + up(bed.host) + up(bed.peer) === 4);
    const home = openSync('/proc/thread-self/ns/net', 'r');
    setns(`/run/netns/${router.name}`);
    try {
      await body(bed);
    } finally {
      bed.close();
      setns(`/proc/self/fd/${home}`);
      closeSync(home);
    }
  });
}

/** 32 thresholds with 1 for each of these vifs. */
export function ttls(...outputs: number[]): Uint8Array {
  const result = new Uint8Array(32);
  for (const vif of outputs) result[vif] = 1;
  return result;
}
