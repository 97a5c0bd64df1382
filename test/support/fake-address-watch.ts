/** Own addresses on the wire, in memory: a test lets another machine speak from one of them. */
import type { KernelError } from '../../src/base/errors.js';
import { formatIp, ip, type IpAddress } from '../../src/base/ip.js';
import { kernelError } from './fake-mroute.js';
import type { AddressUse, AddressWatchPort, Ifindex } from '../../src/port/kernel.js';

export class FakeAddressWatch implements AddressWatchPort {
  /** What is watched, by interface. */
  readonly watched = new Map<Ifindex, readonly string[]>();
  /** The next calls fail with this. */
  refusal: KernelError | undefined;
  readonly #exists: (ifindex: Ifindex) => boolean;
  #handler: (use: AddressUse) => void = () => undefined;

  constructor(exists: (ifindex: Ifindex) => boolean) {
    this.#exists = exists;
  }

  watch(ifindex: Ifindex, addresses: readonly IpAddress[]): KernelError | undefined {
    this.watched.delete(ifindex);
    if (addresses.length === 0) return undefined;
    const refusal = this.#exists(ifindex) ? this.refusal : kernelError('opening', `ifindex ${ifindex}`, 'ENODEV');
    if (!refusal) this.watched.set(ifindex, addresses.map(formatIp));
    return refusal;
  }

  onUse(handler: (use: AddressUse) => void): void {
    this.#handler = handler;
  }

  /** The machine with this MAC sends IGMP. */
  hear(ifindex: Ifindex, address: string, mac: string | undefined): void {
    if (this.watched.get(ifindex)?.includes(address)) this.#handler({ ifindex, address: ip(address), mac });
  }
}
