/**
 * The network interfaces and their IPv4 addresses: complete when `open` returns, then kept up by netlink events.
 * Links change event by event, because an interface that goes and one that comes with the same ifindex are two
 * (linux.md J); addresses are read again as a whole after a batch of events, because only a dump shows their order.
 */
import type { KernelError } from '../../base/errors.js';
import { err, ok, type Result } from '../../base/result.js';
import type { Ifindex, Link, LinkAddress, LinkChange, LinkPort } from '../../port/kernel.js';
import type { Log } from '../../port/log.js';
import type { Addon } from '../addon.js';
import { kernelError, refusal } from '../errno.js';
import {
  ADDRESS_ATTRIBUTES,
  addressDumpRequest,
  decodeAddress,
  decodeLink,
  LINK_ATTRIBUTES,
  type LinkInfo,
  linkDumpRequest,
} from '../netlink/link-messages.js';
import {
  Attributes,
  type NetlinkMessage,
  RTM_DELADDR,
  RTM_DELLINK,
  RTM_NEWADDR,
  RTM_NEWLINK,
  RTNLGRP_IPV4_IFADDR,
  RTNLGRP_LINK,
} from '../netlink/netlink.js';
import { NetlinkQuestions } from '../netlink/netlink-ask.js';
import { NetlinkEvents } from '../netlink/netlink-events.js';

const TARGET = 'the list of network interfaces';
/** Room for some thousand events; when it overflows the kernel says so and everything is read again. */
const RECEIVE_BUFFER_BYTES = 1024 * 1024;

export class Links implements LinkPort {
  readonly #questions: NetlinkQuestions;
  readonly #log: Log;
  readonly #links = new Map<Ifindex, Link>();
  readonly #handlers: ((change: LinkChange) => void)[] = [];
  readonly #linkAttributes = new Attributes(LINK_ATTRIBUTES);
  readonly #addressAttributes = new Attributes(ADDRESS_ATTRIBUTES);
  #events: NetlinkEvents | undefined;
  #addressesDue = false;

  private constructor(questions: NetlinkQuestions, log: Log) {
    this.#questions = questions;
    this.#log = log;
  }

  /** Reads everything before it returns; handlers hear what changes from then on. */
  static open(addon: Addon, log: Log): Result<Links, KernelError> {
    const questions = NetlinkQuestions.open(addon, TARGET);
    if (!questions.ok) return questions;
    const links = new Links(questions.value, log);
    const error = links.#begin(addon);
    if (!error) return ok(links);
    links.close();
    return err(error);
  }

  /** In the kernel's order; a snapshot. */
  links(): readonly Link[] {
    return [...this.#links.values()];
  }

  byIndex(ifindex: Ifindex): Link | undefined {
    return this.#links.get(ifindex);
  }

  /** By the present name; a renamed link is not found by its old one. */
  byName(name: string): Link | undefined {
    for (const link of this.#links.values()) if (link.name === name) return link;
    return undefined;
  }

  onChange(handler: (change: LinkChange) => void): () => void {
    this.#handlers.push(handler);
    return () => {
      const at = this.#handlers.indexOf(handler);
      if (at >= 0) this.#handlers.splice(at, 1);
    };
  }

  close(): void {
    this.#events?.close();
    this.#questions.close();
  }

  /** Listens first and reads then, so that nothing falls in between. */
  #begin(addon: Addon): KernelError | undefined {
    const events = NetlinkEvents.open(addon, {
      target: TARGET,
      groups: [RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR],
      receiveBufferBytes: RECEIVE_BUFFER_BYTES,
      log: this.#log,
      onMessage: (view, message) => this.#event(view, message),
      onBatchEnd: () => this.#batchEnd(),
      onLost: () => this.#warnUnless(this.#readAll()),
    });
    if (!events.ok) return events.error;
    this.#events = events.value;
    return refusal('reading', TARGET, this.#readAll()) ?? events.value.start();
  }

  #event(view: DataView, message: NetlinkMessage): void {
    if (message.type === RTM_NEWADDR || message.type === RTM_DELADDR) this.#addressesDue = true;
    else this.#applyLinkEvent(view, message);
  }

  #batchEnd(): void {
    if (!this.#addressesDue) return;
    this.#addressesDue = false;
    this.#warnUnless(this.#readAddresses());
  }

  #applyLinkEvent(view: DataView, message: NetlinkMessage): void {
    if (message.type !== RTM_NEWLINK && message.type !== RTM_DELLINK) return;
    const info = decodeLink(view, message, this.#linkAttributes);
    if (!info) return;
    if (message.type === RTM_DELLINK) this.#remove(info.ifindex);
    else this.#put({ ...info, addresses: this.#links.get(info.ifindex)?.addresses ?? [] });
  }

  #warnUnless(errno: number): void {
    if (errno === 0) return;
    const error = kernelError('reading', TARGET, errno);
    this.#log.warn({ evt: 'kernel.read.failed', code: error.code }, error.message);
  }

  /** Compares all links with what is known and tells the differences. Returns 0 or the errno. */
  #readAll(): number {
    const { rows, errno } = this.#questions.dump(linkDumpRequest(), (view, message) =>
      message.type === RTM_NEWLINK ? decodeLink(view, message, this.#linkAttributes) : undefined,
    );
    if (errno !== 0) return errno;
    const names = new Map(rows.map((row) => [row.ifindex, row.name]));
    // Also those with another name, all before the first new one: two interfaces may have swapped theirs.
    for (const { ifindex, name } of this.#links.values()) if (names.get(ifindex) !== name) this.#remove(ifindex);
    const addresses = this.#dumpAddresses();
    if (typeof addresses === 'number') return addresses;
    for (const row of rows) this.#put({ ...row, addresses: addresses.get(row.ifindex) ?? [] });
    return 0;
  }

  #readAddresses(): number {
    const addresses = this.#dumpAddresses();
    if (typeof addresses === 'number') return addresses;
    for (const link of this.#links.values()) this.#put({ ...link, addresses: addresses.get(link.ifindex) ?? [] });
    return 0;
  }

  /** In kernel order for each link, or the errno. */
  #dumpAddresses(): ReadonlyMap<Ifindex, readonly LinkAddress[]> | number {
    const { rows, errno } = this.#questions.dump(addressDumpRequest(), (view, message) =>
      message.type === RTM_NEWADDR ? decodeAddress(view, message, this.#addressAttributes) : undefined,
    );
    if (errno !== 0) return errno;
    const byLink = new Map<Ifindex, LinkAddress[]>();
    for (const { ifindex, address } of rows) {
      const list = byLink.get(ifindex);
      if (list) list.push(address);
      else byLink.set(ifindex, [address]);
    }
    return byLink;
  }

  /** Tells only a real difference: the kernel announces many things that are none here. */
  #put(link: Link): void {
    const before = this.#links.get(link.ifindex);
    if (before && before.name !== link.name) return this.#rename(before, link);
    if (before && sameLink(before, link)) return;
    this.#links.set(link.ifindex, link);
    this.#tell(before ? { kind: 'changed', link, before } : { kind: 'added', link });
  }

  #rename(before: Link, link: Link): void {
    this.#links.delete(link.ifindex);
    this.#tell({ kind: 'removed', link: before, renamed: link.name });
    this.#links.set(link.ifindex, link);
    this.#tell({ kind: 'added', link, renamed: before.name });
  }

  #remove(ifindex: Ifindex): void {
    const link = this.#links.get(ifindex);
    if (!link) return;
    this.#links.delete(ifindex);
    this.#tell({ kind: 'removed', link });
  }

  #tell(change: LinkChange): void {
    for (const handler of this.#handlers.slice()) handler(change);
  }
}

const INFO_FIELDS: readonly (keyof LinkInfo)[] = [
  'ifindex',
  'name',
  'up',
  'running',
  'loopback',
  'pointToPoint',
  'multicast',
  'mtu',
  'mac',
];

function sameLink(a: Link, b: Link): boolean {
  return (
    INFO_FIELDS.every((field) => a[field] === b[field]) &&
    a.port?.master === b.port?.master &&
    a.port?.kind === b.port?.kind &&
    a.altNames.join() === b.altNames.join() &&
    a.addresses.length === b.addresses.length &&
    a.addresses.every((address, i) => sameAddress(address, b.addresses[i]!))
  );
}

function sameAddress(a: LinkAddress, b: LinkAddress): boolean {
  return (
    a.address === b.address &&
    a.prefixLength === b.prefixLength &&
    a.secondary === b.secondary &&
    a.scope === b.scope &&
    a.peer === b.peer
  );
}
