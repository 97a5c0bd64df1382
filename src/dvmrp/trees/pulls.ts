/**
 * Groups that are asked for at the router's other components, which cannot be asked for "everything" (coexistence.md section 6):
 * those somebody inside sends to ("members are senders"), and those the configuration names. A (*,G) membership of ours
 * on an interface says so; several reasons for it are one membership.
 */
import type { IpAddress } from '../../base/ip.js';
import type { Ifindex } from '../../port/kernel.js';

export class Pulls {
  readonly #counts = new Map<Ifindex, Map<IpAddress, number>>();
  readonly #tell: (ifindex: Ifindex, group: IpAddress, wanted: boolean) => void;

  constructor(tell: (ifindex: Ifindex, group: IpAddress, wanted: boolean) => void) {
    this.#tell = tell;
  }

  add(ifindex: Ifindex, group: IpAddress): void {
    let groups = this.#counts.get(ifindex);
    if (!groups) this.#counts.set(ifindex, (groups = new Map<IpAddress, number>()));
    const count = groups.get(group) ?? 0;
    groups.set(group, count + 1);
    if (count === 0) this.#tell(ifindex, group, true);
  }

  delete(ifindex: Ifindex, group: IpAddress): void {
    const groups = this.#counts.get(ifindex);
    const count = groups?.get(group);
    if (!groups || count === undefined) return;
    if (count > 1) {
      groups.set(group, count - 1);
      return;
    }
    groups.delete(group);
    this.#tell(ifindex, group, false);
  }

  /** The interface is not ours any more, its memberships are gone. */
  forget(ifindex: Ifindex): void {
    this.#counts.delete(ifindex);
  }
}
