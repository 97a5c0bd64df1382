/** Which upstream a group is asked on (igmp.md section 15.5): the first in the configured order that is up and admits it. */
import type { IpAddress } from '../base/ip.js';
import { admits } from '../base/prefix-filter.js';
import type { ProxyUpstream } from '../config/types.js';
import type { Ifindex } from '../port/kernel.js';

export interface ServedUpstream {
  readonly config: ProxyUpstream;
  readonly ifindex: Ifindex;
  running: boolean;
}

export class Upstreams {
  readonly #configs: readonly ProxyUpstream[];
  /** In the order of the configuration; those that are owned and exist. */
  #served: readonly ServedUpstream[] = [];

  constructor(configs: readonly ProxyUpstream[]) {
    this.#configs = configs;
  }

  /** Undefined: an interface of this name is no upstream. */
  configOf(name: string): ProxyUpstream | undefined {
    return this.#configs.find((config) => config.interface === name);
  }

  serve(config: ProxyUpstream, ifindex: Ifindex, running: boolean): void {
    const others = this.#served.filter((one) => one.ifindex !== ifindex);
    const place = ({ config: one }: ServedUpstream) => this.#configs.indexOf(one);
    this.#served = [...others, { config, ifindex, running }].sort((a, b) => place(a) - place(b));
  }

  unserve(ifindex: Ifindex): void {
    this.#served = this.#served.filter((one) => one.ifindex !== ifindex);
  }

  get(ifindex: Ifindex): ServedUpstream | undefined {
    return this.#served.find((one) => one.ifindex === ifindex);
  }

  all(): readonly ServedUpstream[] {
    return this.#served;
  }

  admits(ifindex: Ifindex, group: IpAddress): boolean {
    const upstream = this.get(ifindex);
    return upstream !== undefined && admits(upstream.config.groups, group);
  }

  /** Where none that admits the group is up, it stays where it is (`current`); undefined: none admits it at all. */
  carrier(group: IpAddress, current: Ifindex | undefined): Ifindex | undefined {
    let down: Ifindex | undefined;
    for (const { config, ifindex, running } of this.#served) {
      if (!admits(config.groups, group)) continue;
      if (running) return ifindex;
      if (down === undefined || ifindex === current) down = ifindex;
    }
    return down;
  }
}
