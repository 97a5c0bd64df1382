/**
 * A host that listens to what the router says of itself: the IGMP reports from the router's own address on this LAN. They are
 * the only outside trace of a membership call, so they tell whether one crossed a pause.
 */
import { loadAddon, SLOT_BYTES, SLOT_HEADER_BYTES } from '../../kernel/addon.js';
import { ipv4, formatIp } from '../../base/ip.js';
import { boundSocket, tell } from '../machines/hosts.js';
import { announced } from './reports.js';
import { monotonicMs } from '../time.js';

/** All IGMPv3 routers and all routers: where reports (RFC 3376 section 4.2.14) and leaves (RFC 2236 section 9) go. */
const CONTROL_GROUPS = ['224.0.0.22', '224.0.0.2'];

/** `address`: of this host; `router`: of the router on the same LAN. Throws when the kernel refuses the raw socket. */
export async function watchReports(address: string, router: string): Promise<void> {
  const member = await boundSocket('0.0.0.0', 0);
  for (const group of CONTROL_GROUPS) member.addMembership(group, address);
  const socket = loadAddon().openIgmpSocket();
  if (typeof socket === 'number') throw new Error(`a raw IGMP socket was refused (errno ${socket})`);
  const started = socket.start((count) => {
    const atMs = monotonicMs();
    for (let slot = 0; slot < count; slot++) see(socket.slab, slot, router, atMs);
  });
  if (started !== 0) throw new Error(`the raw IGMP socket cannot be polled (errno ${started})`);
}

function see(slab: Uint8Array, slot: number, router: string, atMs: number): void {
  const at = slot * SLOT_BYTES;
  const header = new DataView(slab.buffer, slab.byteOffset + at, SLOT_HEADER_BYTES);
  const from = formatIp(ipv4(header.getUint32(8, true)));
  if (from !== router) return;
  const length = header.getUint32(0, true);
  const packet = slab.subarray(at + SLOT_HEADER_BYTES, at + SLOT_HEADER_BYTES + length);
  for (const { group, change } of announced(packet.subarray(header.getUint32(20, true))))
    tell({ kind: 'report', atMs, from, group, change });
}
