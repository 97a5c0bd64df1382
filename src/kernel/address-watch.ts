/**
 * Own addresses that other machines use too: a packet socket for each watched interface, because the kernel drops what comes
 * from the wire with an address of its own before any socket of IP hears it. A flood costs one look a second and interface.
 */
import type { KernelError } from '../base/errors.js';
import { ipv4, type IpAddress, toU32 } from '../base/ip.js';
import type { Clock, Timer } from '../port/clock.js';
import type { AddressUse, AddressWatchPort, Ifindex, LinkPort } from '../port/kernel.js';
import type { Addon, NativePacketWatch, WatchedPacket } from './addon.js';
import { type InterfaceName, kernelError, numbered, refusal } from './errno.js';
import { hardwareAddress } from './netlink/link-messages.js';

/** From one look at a socket to the next. What comes meanwhile and does not fit into its small buffer is lost. */
const REST_MS = 1000;

interface Watch {
  readonly addresses: string;
  readonly native: NativePacketWatch;
  rest: Timer | undefined;
}

export interface AddressWatchParts {
  readonly addon: Pick<Addon, 'openPacketWatch'>;
  readonly links: Pick<LinkPort, 'links'>;
  readonly clock: Clock;
  /** Names an interface for people. */
  readonly nameOf?: InterfaceName;
}

export class AddressWatch implements AddressWatchPort {
  readonly #parts: AddressWatchParts;
  readonly #watches = new Map<Ifindex, Watch>();
  #handler: (use: AddressUse) => void = () => undefined;

  constructor(parts: AddressWatchParts) {
    this.#parts = parts;
  }

  onUse(handler: (use: AddressUse) => void): void {
    this.#handler = handler;
  }

  watch(ifindex: Ifindex, addresses: readonly IpAddress[]): KernelError | undefined {
    const key = addresses.join();
    if ((this.#watches.get(ifindex)?.addresses ?? '') === key) return undefined;
    this.#end(ifindex);
    return addresses.length === 0 ? undefined : this.#begin(ifindex, addresses, key);
  }

  close(): void {
    for (const ifindex of [...this.#watches.keys()]) this.#end(ifindex);
  }

  #begin(ifindex: Ifindex, addresses: readonly IpAddress[], key: string): KernelError | undefined {
    const { addon, nameOf = numbered } = this.#parts;
    const target = `the packet socket of ${nameOf(ifindex)}`;
    const native = addon.openPacketWatch(ifindex, Uint32Array.from(addresses, toU32));
    if (typeof native === 'number') return kernelError('opening', target, native);
    const watch: Watch = { addresses: key, native, rest: undefined };
    const errno = this.#listen(ifindex, watch);
    if (errno === 0) this.#watches.set(ifindex, watch);
    else native.close();
    return refusal('polling', target, errno);
  }

  #end(ifindex: Ifindex): void {
    const watch = this.#watches.get(ifindex);
    this.#watches.delete(ifindex);
    watch?.rest?.cancel();
    watch?.native.close();
  }

  #listen(ifindex: Ifindex, watch: Watch): number {
    return watch.native.start((packets) => {
      watch.native.stop();
      watch.rest = this.#parts.clock.after(REST_MS, () => void this.#listen(ifindex, watch));
      for (const packet of packets) this.#tell(ifindex, packet);
    });
  }

  /** What this machine sent itself may come back: by a loop in the network, a bond, an access point. */
  #tell(ifindex: Ifindex, { source, sender }: WatchedPacket): void {
    const mac = hardwareAddress(sender);
    const isOwn = mac !== undefined && this.#parts.links.links().some((link) => link.mac === mac);
    if (!isOwn) this.#handler({ ifindex, address: ipv4(source), mac });
  }
}
