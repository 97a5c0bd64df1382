/**
 * The groups this host has joined, from the kernel (RTM_GETMULTICAST, RTNLGRP_IPV4_MCADDR; linux.md C4): what mgmd joined and
 * what every other program did. Kernels before 6.15 answer no IPv4 dump; there /proc/net/igmp is read when somebody asks.
 */
import type { KernelError } from '../../base/errors.js';
import { ipv4 } from '../../base/ip.js';
import type { HostGroup, HostGroupPort, Ifindex } from '../../port/kernel.js';
import type { Log } from '../../port/log.js';
import type { Addon } from '../addon.js';
import { parseProcIgmp, readProcNetLater } from '../membership/host-memberships.js';
import {
  AF_INET,
  Attributes,
  encodeRequest,
  LITTLE_ENDIAN,
  NLM_F_DUMP,
  type NetlinkMessage,
  RTM_DELMULTICAST,
  RTM_GETMULTICAST,
  RTM_NEWMULTICAST,
  RTNLGRP_IPV4_MCADDR,
} from '../netlink/netlink.js';
import { dumpLater } from '../netlink/netlink-ask.js';
import { NetlinkEvents } from '../netlink/netlink-events.js';

const TARGET = 'the groups joined on this host';
const RECEIVE_BUFFER_BYTES = 1024 * 1024;
/** ifaddrmsg: family u8, prefixlen u8, flags u8, scope u8, index u32. */
const IFADDRMSG_BYTES = 8;
const IFA_MULTICAST = 7;

type ChangeHandler = Parameters<HostGroupPort['onChange']>[0];

export class HostGroups implements HostGroupPort {
  readonly #addon: Addon;
  readonly #log: Log;
  readonly #attributes = new Attributes(IFA_MULTICAST);
  #events: NetlinkEvents | undefined;

  constructor(addon: Addon, log: Log) {
    this.#addon = addon;
    this.#log = log;
  }

  /** As the kernel has it now. */
  async listLater(): Promise<readonly HostGroup[]> {
    const decode = (view: DataView, message: NetlinkMessage) => this.#decode(view, message);
    const { rows, errno } = await dumpLater(this.#addon, dumpRequest(), decode);
    return errno === 0 ? rows : parseProcIgmp(await readProcNetLater('igmp'));
  }

  /** Nothing is watched before somebody asks: ten thousand joins are ten thousand notifications. */
  onChange(handler: ChangeHandler): KernelError | undefined {
    const events = NetlinkEvents.open(this.#addon, {
      target: TARGET,
      groups: [RTNLGRP_IPV4_MCADDR],
      receiveBufferBytes: RECEIVE_BUFFER_BYTES,
      log: this.#log,
      onMessage: (view, message) => this.#event(view, message, handler),
      // The list is read when somebody asks, so nothing is stale after a loss.
      onLost: () => undefined,
    });
    if (!events.ok) return events.error;
    this.#events?.close();
    this.#events = events.value;
    return events.value.start();
  }

  close(): void {
    this.#events?.close();
  }

  #event(view: DataView, message: NetlinkMessage, handler: ChangeHandler): void {
    if (message.type !== RTM_NEWMULTICAST && message.type !== RTM_DELMULTICAST) return;
    const changed = this.#decode(view, message);
    if (changed) handler({ kind: message.type === RTM_NEWMULTICAST ? 'joined' : 'left', ...changed });
  }

  #decode(view: DataView, { at, end }: NetlinkMessage): HostGroup | undefined {
    if (end - at < IFADDRMSG_BYTES || view.getUint8(at) !== AF_INET) return undefined;
    this.#attributes.read(view, at + IFADDRMSG_BYTES, end);
    const group = this.#attributes.ipv4(IFA_MULTICAST);
    const ifindex = view.getUint32(at + 4, LITTLE_ENDIAN) as Ifindex;
    return group === undefined ? undefined : { ifindex, group: ipv4(group) };
  }
}

function dumpRequest(): Uint8Array {
  return encodeRequest(RTM_GETMULTICAST, NLM_F_DUMP, AF_INET, IFADDRMSG_BYTES);
}
