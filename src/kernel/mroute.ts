/**
 * The multicast routing socket of one table, and what netlink tells of that table (linux.md A, B).
 * Writing goes through the socket, one call an entry; reading back and noticing foreign writes goes through netlink.
 */
import type { KernelError } from '../base/errors.js';
import { formatIp, type IpAddress, toU32 } from '../base/ip.js';
import { err, ok, type Result } from '../base/result.js';
import type {
  DumpedMfc,
  DumpedVif,
  Ifindex,
  Mfc,
  MfcChange,
  MfcCounters,
  MrouteDump,
  MroutePort,
  TableState,
  Upcall,
  Vif,
  VifCounters,
} from '../port/kernel.js';
import type { Log } from '../port/log.js';
import type { Addon, NativeMroute } from './addon.js';
import { EADDRINUSE, EBUSY, type InterfaceName, kernelError, numbered, refusal } from './errno.js';
import type { IgmpSocket } from './igmp-socket.js';
import {
  decodeMfc,
  decodeTable,
  decodeVifs,
  isMcForwarding,
  MFC_ATTRIBUTES,
  mfcDumpRequest,
  vifDumpRequest,
} from './netlink/mroute-messages.js';
import {
  Attributes,
  RTM_DELROUTE,
  RTM_NEWLINK,
  RTM_NEWNETCONF,
  RTM_NEWROUTE,
  RTNLGRP_IPV4_MROUTE,
  RTNLGRP_IPV4_NETCONF,
} from './netlink/netlink.js';
import { type DecodeMessage, dumpLater, NetlinkQuestions } from './netlink/netlink-ask.js';
import { NetlinkEvents } from './netlink/netlink-events.js';
import { formatSuspects, suspects } from './table-holder.js';

/** The table that a kernel without further tables has. */
export const DEFAULT_TABLE = 253;

/** Entries, static entries, vifs, static vifs (MRT_FLUSH). */
const FLUSH_EVERYTHING = 15;
/** Entries and vifs, but not static ones. */
const FLUSH_OWN = 5;
/** Holds the change events of 10,000 writes in a row. */
const CHANGE_BUFFER_BYTES = 4 * 1024 * 1024;

const SOCKET = 'the IPv4 multicast routing socket';

export interface MrouteOptions {
  /** 253 is the default table. */
  readonly table: number;
  /** The socket came from a predecessor and owns the table already: nothing is emptied. */
  readonly inherited?: boolean;
  readonly log: Log;
  /** Names an interface for people. */
  readonly nameOf?: InterfaceName;
}

/** What an earlier life or another program had left in the table, and what is gone now (F03). */
export interface Leftovers {
  readonly entries: number;
  readonly vifs: number;
}

export interface OpenedMroute {
  readonly mroute: Mroute;
  readonly leftovers: Leftovers;
}

export class Mroute implements MroutePort {
  readonly #addon: Addon;
  readonly #native: NativeMroute;
  readonly #socket: IgmpSocket;
  readonly #table: number;
  readonly #log: Log;
  readonly #nameOf: InterfaceName;
  readonly #mfcCounters = new Float64Array(3);
  readonly #vifCounters = new Float64Array(4);
  #events: NetlinkEvents | undefined;
  #onChange: (change: MfcChange | undefined) => void = () => {};
  #onVifChange: () => void = () => {};

  private constructor(addon: Addon, native: NativeMroute, socket: IgmpSocket, options: MrouteOptions) {
    this.#addon = addon;
    this.#native = native;
    this.#socket = socket;
    this.#table = options.table;
    this.#log = options.log;
    this.#nameOf = options.nameOf ?? numbered;
  }

  /**
   * Takes the table and brings it into a known state: empty (unless inherited), asserts on, PIM mode off; the last two
   * are properties of the table that outlive sockets (linux.md A4).
   */
  static open(
    addon: Addon,
    native: NativeMroute,
    socket: IgmpSocket,
    options: MrouteOptions,
  ): Result<OpenedMroute, KernelError> {
    const mroute = new Mroute(addon, native, socket, options);
    const initError = mroute.#init(options.inherited === true);
    if (initError) return err(initError);
    let leftovers: Leftovers = { entries: 0, vifs: 0 };
    if (!options.inherited) {
      leftovers = mroute.#countLeftovers();
      const flushError = mroute.flushAll();
      if (flushError) return mroute.#giveUp(flushError);
    }
    const error = mroute.setPim(false) ?? mroute.#watch();
    return error ? mroute.#giveUp(error) : ok({ mroute, leftovers });
  }

  addVif(vif: Vif, ifindex: Ifindex): KernelError | undefined {
    const errno = this.#native.addVif(vif, ifindex);
    return refusal('MRT_ADD_VIF', `vif ${vif} for ${this.#nameOf(ifindex)}`, errno);
  }

  delVif(vif: Vif): KernelError | undefined {
    return refusal('MRT_DEL_VIF', `vif ${vif}`, this.#native.delVif(vif));
  }

  addMfc(entry: Mfc): KernelError | undefined {
    const errno = this.#native.addMfc(toU32(entry.source), toU32(entry.group), entry.iif, entry.ttls);
    return errno === 0 ? undefined : kernelError('MRT_ADD_MFC', flow(entry.source, entry.group), errno);
  }

  delMfc(source: IpAddress, group: IpAddress): KernelError | undefined {
    const errno = this.#native.delMfc(toU32(source), toU32(group));
    return errno === 0 ? undefined : kernelError('MRT_DEL_MFC', flow(source, group), errno);
  }

  flushAll(): KernelError | undefined {
    return refusal('MRT_FLUSH', this.#tableName(), this.#native.flush(FLUSH_EVERYTHING));
  }

  flushOwn(): KernelError | undefined {
    return refusal('MRT_FLUSH', this.#tableName(), this.#native.flush(FLUSH_OWN));
  }

  setPim(on: boolean): KernelError | undefined {
    // A change of the PIM mode drags the assert mode along, so that one is set after it, always.
    return (
      refusal('MRT_PIM', this.#tableName(), this.#native.setPim(on ? 1 : 0)) ??
      refusal('MRT_ASSERT', this.#tableName(), this.#native.setAssert(true))
    );
  }

  mfcCounters(source: IpAddress, group: IpAddress): MfcCounters | KernelError {
    const out = this.#mfcCounters;
    const errno = this.#native.mfcCounters(toU32(source), toU32(group), out);
    if (errno !== 0) return kernelError('SIOCGETSGCNT', flow(source, group), errno);
    return { packets: out[0]!, bytes: out[1]!, wrongIf: out[2]! };
  }

  vifCounters(vif: Vif): VifCounters | KernelError {
    const out = this.#vifCounters;
    const errno = this.#native.vifCounters(vif, out);
    if (errno !== 0) return kernelError('SIOCGETVIFCNT', `vif ${vif}`, errno);
    return { packetsIn: out[0]!, bytesIn: out[1]!, packetsOut: out[2]!, bytesOut: out[3]! };
  }

  /** Reads bit by bit, so that a table of many thousand entries does not hold up the event loop. */
  async dump(): Promise<MrouteDump | KernelError> {
    const vifs = await dumpLater(this.#addon, vifDumpRequest(), this.#vifsOf);
    const entries = await dumpLater(this.#addon, mfcDumpRequest(this.#table), this.#entryOf());
    const errno = vifs.errno || entries.errno;
    return errno === 0
      ? { entries: entries.rows, vifs: vifs.rows.flat() }
      : kernelError('reading', this.#tableName(), errno);
  }

  async state(): Promise<TableState | KernelError> {
    const decode: DecodeMessage<TableState> = (view, message) =>
      message.type === RTM_NEWLINK ? decodeTable(view, message, this.#table) : undefined;
    const { rows, errno } = await dumpLater(this.#addon, vifDumpRequest(), decode);
    if (errno !== 0) return kernelError('reading', this.#tableName(), errno);
    return rows[0] ?? { vifs: [], asserts: false, pim: false };
  }

  onVifChange(handler: () => void): void {
    this.#onVifChange = handler;
  }

  /** The owner of the table is refused MRT_INIT. */
  reclaim(): boolean {
    return this.#native.init() === 0;
  }

  onUpcalls(handler: (upcalls: readonly Upcall[]) => void): void {
    this.#socket.onUpcalls(handler);
  }

  onChange(handler: (change: MfcChange | undefined) => void): void {
    this.#onChange = handler;
  }

  /**
   * Gives the table up, and with it all that its owner wrote; what others wrote stays. A successor that shall find it full must
   * hold a duplicate and kill this one instead.
   */
  close(): void {
    this.#events?.close();
    this.#native.done();
  }

  /** Hears nothing more, and leaves the table as it is. */
  abandon(): void {
    this.#events?.close();
  }

  #init(inherited: boolean): KernelError | undefined {
    const errno = this.#native.init();
    // The answers of a socket that is the owner already: EBUSY to another table's number, EADDRINUSE to MRT_INIT.
    if (errno === 0 || (inherited && (errno === EADDRINUSE || errno === EBUSY))) return undefined;
    if (errno === EADDRINUSE) return kernelError('MRT_INIT', SOCKET, errno, this.#heldByAnother());
    return kernelError(this.#table === DEFAULT_TABLE ? 'MRT_INIT' : 'MRT_TABLE', SOCKET, errno);
  }

  #heldByAnother(): string {
    const found = formatSuspects(suspects());
    const who = found === '' ? '' : ` Processes with an IGMP socket: ${found}.`;
    return `Another multicast routing daemon holds ${this.#tableName()} in this network namespace; stop that one first.${who}`;
  }

  #giveUp(error: KernelError): Result<OpenedMroute, KernelError> {
    this.#events?.close();
    this.#native.done();
    return err(error);
  }

  /** Only a number for the log; a table that cannot be read counts as empty, for it is flushed all the same. */
  #countLeftovers(): Leftovers {
    const opened = NetlinkQuestions.open(this.#addon, this.#tableName());
    if (!opened.ok) return { entries: 0, vifs: 0 };
    const questions = opened.value;
    const entries = questions.dump(mfcDumpRequest(this.#table), this.#entryOf()).rows.length;
    const vifs = questions.dump(vifDumpRequest(), this.#vifsOf).rows.flat().length;
    questions.close();
    return { entries, vifs };
  }

  /** Watches from the start: a write between the first dump and a later begin would go unnoticed. */
  #watch(): KernelError | undefined {
    const attributes = new Attributes(MFC_ATTRIBUTES);
    const opened = NetlinkEvents.open(this.#addon, {
      target: this.#tableName(),
      groups: [RTNLGRP_IPV4_MROUTE, RTNLGRP_IPV4_NETCONF],
      receiveBufferBytes: CHANGE_BUFFER_BYTES,
      log: this.#log,
      onMessage: (view, message) => {
        if (message.type === RTM_NEWNETCONF && isMcForwarding(view, message)) this.#onVifChange();
        if (message.type !== RTM_NEWROUTE && message.type !== RTM_DELROUTE) return;
        const entry = decodeMfc(view, message, attributes, this.#table);
        if (entry) this.#onChange({ kind: message.type === RTM_NEWROUTE ? 'added' : 'deleted', entry });
      },
      onLost: () => this.#onChange(undefined),
    });
    if (!opened.ok) return opened.error;
    this.#events = opened.value;
    return opened.value.start();
  }

  #entryOf(): DecodeMessage<DumpedMfc> {
    const attributes = new Attributes(MFC_ATTRIBUTES);
    return (view, message) =>
      message.type === RTM_NEWROUTE ? decodeMfc(view, message, attributes, this.#table) : undefined;
  }

  readonly #vifsOf: DecodeMessage<readonly DumpedVif[]> = (view, message) =>
    message.type === RTM_NEWLINK ? decodeVifs(view, message, this.#table) : undefined;

  #tableName(): string {
    return `table ${this.#table}`;
  }
}

function flow(source: IpAddress, group: IpAddress): string {
  return `(${formatIp(source)}, ${formatIp(group)})`;
}
