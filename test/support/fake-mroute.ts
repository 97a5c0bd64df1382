/**
 * The kernel's IPv4 multicast forwarding in memory, as it was measured: 32 vifs, outputs dropped at write when their vif
 * does not exist, entries that outlive their vifs and come alive again when a number is reused, one upcall per
 * unresolved flow with room for four packets, WRONGVIF at most every 3 s and entry. Whatever the kernel does in another
 * turn (upcalls, notifications) comes in a microtask here.
 */
import { KernelError } from '../../src/base/errors.js';
import { formatIp, type IpAddress, isLinkLocalGroup, isMulticast, toU32 } from '../../src/base/ip.js';
import {
  type DumpedMfc,
  type Ifindex,
  type Mfc,
  type MfcChange,
  type MfcCounters,
  type MroutePort,
  type MrouteDump,
  type TableState,
  type Upcall,
  type Vif,
  type VifCounters,
  VIFS,
} from '../../src/port/kernel.js';
import type { FakeClock } from './fake-clock.js';

const ERRNO = {
  ENOENT: 2,
  ENODEV: 19,
  EINVAL: 22,
  ENFILE: 23,
  EADDRINUSE: 98,
  EADDRNOTAVAIL: 99,
  ENOBUFS: 105,
  EPERM: 1,
} as const;
export type ErrnoCode = keyof typeof ERRNO;

export function kernelError(op: string, target: string, code: ErrnoCode): KernelError {
  return new KernelError(
    op,
    target,
    ERRNO[code],
    code,
    'The fake kernel was asked to refuse this, or the real one would.',
  );
}

/** A multicast packet on its way through the router. `id` is unique per sent packet. */
export interface Packet {
  readonly id: number;
  readonly source: IpAddress;
  readonly group: IpAddress;
  readonly ttl: number;
  readonly bytes: number;
  readonly arrival: Ifindex;
}

/** What the forwarding needs to know of the devices around it. */
export interface Devices {
  exists(ifindex: Ifindex): boolean;
  /** Up and with carrier: packets pass. */
  passes(ifindex: Ifindex): boolean;
  deliver(ifindex: Ifindex, packet: Packet): void;
}

interface VifSlot {
  readonly ifindex: Ifindex;
  readonly static: boolean;
  packetsIn: number;
  bytesIn: number;
  packetsOut: number;
  bytesOut: number;
}

interface Entry {
  readonly source: IpAddress;
  readonly group: IpAddress;
  iif: Vif;
  ttls: Uint8Array;
  static: boolean;
  packets: number;
  bytes: number;
  wrongIf: number;
  lastAssertMs: number;
}

interface Unresolved {
  readonly source: IpAddress;
  readonly group: IpAddress;
  readonly untilMs: number;
  readonly queue: Packet[];
}

const UNRESOLVED_MS = 10_000;
const QUEUED_PACKETS = 4;
const ASSERT_MS = 3_000;

const keyOf = (source: IpAddress, group: IpAddress) => `${source} ${group}`;
const flowText = (source: IpAddress, group: IpAddress) => `(${formatIp(source)}, ${formatIp(group)})`;

/** Calls that reached the kernel, refused ones included. */
export interface MrouteCalls {
  addVif: number;
  delVif: number;
  addMfc: number;
  delMfc: number;
  flushAll: number;
  flushOwn: number;
}

export class FakeMroute implements MroutePort {
  readonly calls: MrouteCalls = { addVif: 0, delVif: 0, addMfc: 0, delMfc: 0, flushAll: 0, flushOwn: 0 };
  /** Every accepted addMfc, in order, with its outputs as written. */
  readonly written: Mfc[] = [];
  pim = false;
  asserts = true;
  /** A kernel that does not keep 224.0.0.0/24 to its link: only what is above it does then. */
  linkLocalToo = false;
  readonly #clock: FakeClock;
  readonly #devices: Devices;
  readonly #vifs: (VifSlot | undefined)[] = new Array<VifSlot | undefined>(VIFS).fill(undefined);
  readonly #entries = new Map<string, Entry>();
  readonly #unresolved = new Map<string, Unresolved>();
  #upcalls: Upcall[] = [];
  #onUpcalls: ((upcalls: readonly Upcall[]) => void) | undefined;
  #onChange: ((change: MfcChange | undefined) => void) | undefined;
  #onVifChange: (() => void) | undefined;
  #isLost = false;
  #refusals: { op: keyof MrouteCalls; code: ErrnoCode; times: number }[] = [];

  constructor(clock: FakeClock, devices: Devices) {
    this.#clock = clock;
    this.#devices = devices;
  }

  addVif(vif: Vif, ifindex: Ifindex): KernelError | undefined {
    const target = `vif ${vif} (ifindex ${ifindex})`;
    const refused = this.#called('addVif', 'MRT_ADD_VIF', target);
    if (refused) return refused;
    return this.#addVif(vif, ifindex, false);
  }

  delVif(vif: Vif): KernelError | undefined {
    const refused = this.#called('delVif', 'MRT_DEL_VIF', `vif ${vif}`);
    if (refused) return refused;
    if (!this.#vifs[vif]) return kernelError('MRT_DEL_VIF', `vif ${vif}`, 'EADDRNOTAVAIL');
    this.#vifs[vif] = undefined; // entries that name the number stay as they are (linux.md J4)
    return undefined;
  }

  addMfc(entry: Mfc): KernelError | undefined {
    const refused = this.#called('addMfc', 'MRT_ADD_MFC', flowText(entry.source, entry.group));
    return refused ?? this.#addMfc(entry, false);
  }

  delMfc(source: IpAddress, group: IpAddress): KernelError | undefined {
    const refused = this.#called('delMfc', 'MRT_DEL_MFC', flowText(source, group));
    return refused ?? this.#delMfc(source, group);
  }

  flushAll(): KernelError | undefined {
    const refused = this.#called('flushAll', 'MRT_FLUSH', 'the multicast routing table');
    if (refused) return refused;
    for (const entry of [...this.#entries.values()]) this.#delMfc(entry.source, entry.group);
    for (const flow of [...this.#unresolved.values()]) this.#forget(flow);
    this.#vifs.fill(undefined);
    return undefined;
  }

  flushOwn(): KernelError | undefined {
    const refused = this.#called('flushOwn', 'MRT_FLUSH', 'the multicast routing table');
    if (refused) return refused;
    for (const entry of [...this.#entries.values()]) if (!entry.static) this.#delMfc(entry.source, entry.group);
    for (const flow of [...this.#unresolved.values()]) this.#forget(flow);
    for (const [vif, slot] of this.#vifs.entries()) if (slot && !slot.static) this.#vifs[vif] = undefined;
    return undefined;
  }

  setPim(on: boolean): KernelError | undefined {
    this.pim = on;
    this.asserts = true;
    return undefined;
  }

  mfcCounters(source: IpAddress, group: IpAddress): MfcCounters | KernelError {
    const entry = this.#entries.get(keyOf(source, group));
    if (!entry) return kernelError('SIOCGETSGCNT', flowText(source, group), 'EADDRNOTAVAIL');
    return { packets: entry.packets, bytes: entry.bytes, wrongIf: entry.wrongIf };
  }

  vifCounters(vif: Vif): VifCounters | KernelError {
    const slot = this.#vifs[vif];
    const aboveAll = this.#vifs.findLastIndex(Boolean) < vif;
    if (!slot) return kernelError('SIOCGETVIFCNT', `vif ${vif}`, aboveAll ? 'EINVAL' : 'EADDRNOTAVAIL');
    const { packetsIn, bytesIn, packetsOut, bytesOut } = slot;
    return { packetsIn, bytesIn, packetsOut, bytesOut };
  }

  dump(): Promise<MrouteDump | KernelError> {
    return Promise.resolve(this.table());
  }

  state(): Promise<TableState | KernelError> {
    return Promise.resolve({ vifs: this.table().vifs, asserts: this.asserts, pim: this.pim });
  }

  onVifChange(handler: () => void): void {
    this.#onVifChange = handler;
  }

  reclaim(): boolean {
    const lost = this.#isLost;
    this.#isLost = false;
    return lost;
  }

  onUpcalls(handler: (upcalls: readonly Upcall[]) => void): void {
    this.#onUpcalls = handler;
  }

  onChange(handler: (change: MfcChange | undefined) => void): void {
    this.#onChange = handler;
  }

  // From here on: what only tests call.

  /** What a dump would show now. */
  table(): MrouteDump {
    this.#expire();
    const entries = [...this.#entries.values()].map((entry) => this.#dumped(entry));
    const unresolved = [...this.#unresolved.values()].map(dumpedUnresolved);
    const vifs = this.#vifs.flatMap((slot, vif) =>
      slot ? [{ vif: vif as Vif, ifindex: slot.ifindex, static: slot.static }] : [],
    );
    return { entries: [...entries, ...unresolved], vifs };
  }

  /** Resolved entries only. */
  size(): number {
    return this.#entries.size;
  }

  entry(source: IpAddress, group: IpAddress): DumpedMfc | undefined {
    const entry = this.#entries.get(keyOf(source, group));
    return entry && this.#dumped(entry);
  }

  /** The entry with the vif numbers it holds, also of vifs that are gone: what a reused number would leak to. */
  rawOutputs(source: IpAddress, group: IpAddress): readonly number[] {
    const entry = this.#entries.get(keyOf(source, group));
    return entry ? [...entry.ttls.keys()].filter((vif) => isOutput(entry.ttls[vif]!)) : [];
  }

  vifOf(ifindex: Ifindex): Vif | undefined {
    const vif = this.#vifs.findLastIndex((slot) => slot?.ifindex === ifindex);
    return vif < 0 ? undefined : (vif as Vif);
  }

  /** A process that does not own the table but may write it (failures.md M4): its entries are static. */
  readonly foreign = {
    addMfc: (entry: Mfc): KernelError | undefined => this.#addMfc(entry, true),
    delMfc: (source: IpAddress, group: IpAddress): KernelError | undefined => this.#delMfc(source, group),
    addVif: (vif: Vif, ifindex: Ifindex): KernelError | undefined => {
      queueMicrotask(() => this.#onVifChange?.());
      return this.#addVif(vif, ifindex, true);
    },
    delVif: (vif: Vif): void => {
      queueMicrotask(() => this.#onVifChange?.());
      this.#vifs[vif] = undefined;
    },
    setAssert: (on: boolean): void => {
      this.asserts = on;
    },
    /** Somebody with the same socket: MRT_DONE. */
    giveUp: (): void => {
      this.flushOwn();
      this.#isLost = true;
      queueMicrotask(() => this.#onVifChange?.());
    },
  };

  /** The next `times` calls of `op` fail. */
  refuse(op: keyof MrouteCalls, code: ErrnoCode, times = 1): void {
    this.#refusals.push({ op, code, times });
  }

  /** Notifications were lost: the handler is told that a dump is due. */
  loseNotifications(): void {
    queueMicrotask(() => this.#onChange?.(undefined));
  }

  /** The device was deleted: its vifs go without a word, entries keep their numbers. */
  deviceGone(ifindex: Ifindex): void {
    for (const [vif, slot] of this.#vifs.entries()) if (slot?.ifindex === ifindex) this.#vifs[vif] = undefined;
  }

  /** A packet came in. */
  input(packet: Packet): void {
    this.#expire();
    const arrival = this.vifOf(packet.arrival);
    if (arrival === undefined || (isLinkLocalGroup(packet.group) && !this.linkLocalToo)) return;
    const entry = this.#entries.get(keyOf(packet.source, packet.group));
    if (entry) this.#forward(entry, packet, arrival);
    else this.#await(packet, arrival);
  }

  #called(op: keyof MrouteCalls, option: string, target: string): KernelError | undefined {
    this.calls[op]++;
    const refusal = this.#refusals.find((candidate) => candidate.op === op && candidate.times > 0);
    if (!refusal) return undefined;
    refusal.times--;
    return kernelError(option, target, refusal.code);
  }

  #addVif(vif: Vif, ifindex: Ifindex, isStatic: boolean): KernelError | undefined {
    const target = `vif ${vif} (ifindex ${ifindex})`;
    if (vif < 0 || vif >= VIFS) return kernelError('MRT_ADD_VIF', target, 'ENFILE');
    if (this.#vifs[vif]) return kernelError('MRT_ADD_VIF', target, 'EADDRINUSE');
    if (!this.#devices.exists(ifindex)) return kernelError('MRT_ADD_VIF', target, 'EADDRNOTAVAIL');
    this.#vifs[vif] = { ifindex, static: isStatic, packetsIn: 0, bytesIn: 0, packetsOut: 0, bytesOut: 0 };
    return undefined;
  }

  #addMfc({ source, group, iif, ttls }: Mfc, isStatic: boolean): KernelError | undefined {
    if (iif < 0 || iif >= VIFS) return kernelError('MRT_ADD_MFC', flowText(source, group), 'ENFILE');
    if (!isMulticast(group)) return kernelError('MRT_ADD_MFC', flowText(source, group), 'EINVAL');
    const kept = ttls.map((ttl, vif) => (this.#vifs[vif] && isOutput(ttl) ? ttl : 0));
    const key = keyOf(source, group);
    let entry = this.#entries.get(key);
    if (entry) {
      entry.iif = iif;
      entry.ttls = kept;
      entry.static ||= isStatic;
    } else {
      const fresh = { packets: 0, bytes: 0, wrongIf: 0, lastAssertMs: Number.NEGATIVE_INFINITY };
      entry = { source, group, iif, ttls: kept, static: isStatic, ...fresh };
      this.#entries.set(key, entry);
    }
    if (!isStatic) this.written.push({ source, group, iif, ttls: ttls.slice() });
    this.#changed('added', this.#dumped(entry));
    this.#resolve(key, entry);
    return undefined;
  }

  #delMfc(source: IpAddress, group: IpAddress): KernelError | undefined {
    const entry = this.#entries.get(keyOf(source, group));
    if (!entry) return kernelError('MRT_DEL_MFC', flowText(source, group), 'ENOENT');
    this.#entries.delete(keyOf(source, group));
    this.#changed('deleted', this.#dumped(entry));
    return undefined;
  }

  /** The packets that waited for the entry are forwarded by it. */
  #resolve(key: string, entry: Entry): void {
    const waiting = this.#unresolved.get(key);
    if (!waiting) return;
    this.#unresolved.delete(key);
    for (const packet of waiting.queue) {
      const arrival = this.vifOf(packet.arrival);
      if (arrival !== undefined) this.#forward(entry, packet, arrival);
    }
  }

  #forward(entry: Entry, packet: Packet, arrival: Vif): void {
    entry.packets++;
    entry.bytes += packet.bytes;
    if (this.#vifs[entry.iif]?.ifindex !== packet.arrival) return this.#wrongInterface(entry, packet, arrival);
    const input = this.#vifs[entry.iif]!;
    input.packetsIn++;
    input.bytesIn += packet.bytes;
    for (const [vif, ttl] of entry.ttls.entries()) {
      const output = this.#vifs[vif];
      if (!output || !isOutput(ttl) || packet.ttl <= ttl || !this.#devices.passes(output.ifindex)) continue;
      output.packetsOut++;
      output.bytesOut += packet.bytes;
      this.#devices.deliver(output.ifindex, { ...packet, ttl: packet.ttl - 1 });
    }
  }

  #wrongInterface(entry: Entry, packet: Packet, arrival: Vif): void {
    entry.wrongIf++;
    const told = this.pim || isOutput(entry.ttls[arrival]!);
    if (!told || this.#clock.nowMs() - entry.lastAssertMs < ASSERT_MS) return;
    entry.lastAssertMs = this.#clock.nowMs();
    this.#upcall('wrongvif', packet, arrival);
  }

  /** No entry: the first packet asks, up to four wait, the rest is dropped. */
  #await(packet: Packet, arrival: Vif): void {
    const key = keyOf(packet.source, packet.group);
    const waiting = this.#unresolved.get(key);
    if (waiting) {
      if (waiting.queue.length < QUEUED_PACKETS) waiting.queue.push(packet);
      return;
    }
    const flow = {
      source: packet.source,
      group: packet.group,
      untilMs: this.#clock.nowMs() + UNRESOLVED_MS,
      queue: [packet],
    };
    this.#unresolved.set(key, flow);
    this.#changed('added', dumpedUnresolved(flow));
    this.#upcall('nocache', packet, arrival);
  }

  #upcall(kind: Upcall['kind'], { source, group, ttl }: Packet, vif: Vif): void {
    const packet = new Uint8Array(20);
    packet.set([0x45, 0, 0, 0, 0, 0, 0, 0, ttl, 0]);
    new DataView(packet.buffer).setUint32(12, toU32(source));
    new DataView(packet.buffer).setUint32(16, toU32(group));
    if (this.#upcalls.push({ kind, vif, source, group, packet }) > 1) return;
    queueMicrotask(() => {
      const batch = this.#upcalls.reverse(); // newest first
      this.#upcalls = [];
      this.#onUpcalls?.(batch);
    });
  }

  #changed(kind: MfcChange['kind'], entry: DumpedMfc): void {
    queueMicrotask(() => this.#onChange?.({ kind, entry }));
  }

  /** Unresolved flows end after 10 s; done when somebody looks, so that no timer of the kernel shows in the clock. */
  #expire(): void {
    for (const flow of this.#unresolved.values()) if (flow.untilMs <= this.#clock.nowMs()) this.#forget(flow);
  }

  #forget(flow: Unresolved): void {
    this.#unresolved.delete(keyOf(flow.source, flow.group));
    this.#changed('deleted', dumpedUnresolved(flow));
  }

  #dumped(entry: Entry): DumpedMfc {
    const oifs = [...entry.ttls.entries()].flatMap(([vif, ttl]) => {
      const slot = this.#vifs[vif];
      return slot && isOutput(ttl) ? [{ ifindex: slot.ifindex, ttl }] : [];
    });
    const { source, group, packets, wrongIf } = entry;
    const iif = this.#vifs[entry.iif]?.ifindex;
    return { source, group, unresolved: false, static: entry.static, iif, oifs, packets, wrongIf };
  }
}

/** 0 and 255 mean "not an output". */
function isOutput(ttl: number): boolean {
  return ttl > 0 && ttl < 255;
}

function dumpedUnresolved({ source, group }: Unresolved): DumpedMfc {
  return { source, group, unresolved: true, static: false, iif: undefined, oifs: [], packets: 0, wrongIf: 0 };
}
