/** Own addresses on the wire, in memory: a test lets another machine speak from one of them. */
import type { KernelError } from '../../src/base/errors.js';
import { formatIp, ip, type IpAddress } from '../../src/base/ip.js';
import type { AddressUse, AddressWatchPort, Ifindex } from '../../src/port/kernel.js';

export class FakeAddressWatch implements AddressWatchPort {
  /** What is watched, by interface. */
  readonly watched = new Map<Ifindex, readonly string[]>();
  /** The next calls fail with this. */
  refusal: KernelError | undefined;
  #handler: (use: AddressUse) => void = () => undefined;

  watch(ifindex: Ifindex, addresses: readonly IpAddress[]): KernelError | undefined {
    this.watched.delete(ifindex);
    if (addresses.length === 0) return undefined;
    if (!this.refusal) this.watched.set(ifindex, addresses.map(formatIp));
    return this.refusal;
  }

  onUse(handler: (use: AddressUse) => void): void {
    this.#handler = handler;
  }

  /** The machine with this MAC sends IGMP. */
  hear(ifindex: Ifindex, address: string, mac: string | undefined): void {
    if (this.watched.get(ifindex)?.includes(address)) this.#handler({ ifindex, address: ip(address), mac });
  }
}
