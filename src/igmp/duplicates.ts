/**
 * Another machine of a link that uses an address of this router: neither hears the other, so both are querier, both forward,
 * and receivers get packets twice. RFC 9776 section 6.6.2 elects by address and knows no remedy; the operator is told.
 * Belongs to module.ts, which alone uses it.
 */
import { formatIp, type IpAddress } from '../base/ip.js';
import { LogLimiter } from '../base/log-limiter.js';
import type { IgmpInterfaceConfig } from '../config/types.js';
import type { Clock, Timer } from '../port/clock.js';
import type { AddressUse, AddressWatchPort, Ifindex, Link } from '../port/kernel.js';
import type { Log } from '../port/log.js';
import type { Counters } from './counters.js';
import { otherQuerierPresentIntervalMs } from './intervals.js';

const LINES_PER_SECOND = 1 / 60;

/** The one heard last. */
interface Duplicate {
  readonly address: IpAddress;
  readonly mac: string | undefined;
  readonly lastMs: number;
  /** A warning was logged, not held back. */
  readonly told: boolean;
}

interface Watched {
  readonly name: string;
  readonly counters: Counters;
  /** The duplicate is believed to be there for so long. */
  readonly silentMs: number;
  duplicate: Duplicate | undefined;
  timer: Timer | undefined;
}

/** What is served, as far as it matters here. */
export interface WatchedInterface {
  readonly config: IgmpInterfaceConfig;
  readonly igmp: { readonly counters: Counters };
}

export class Duplicates {
  readonly #port: AddressWatchPort | undefined;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #watched = new Map<Ifindex, Watched>();
  readonly #lines = new LogLimiter(1, LINES_PER_SECOND);
  #saidUnwatched = false;

  /** `port` undefined: nothing is watched. */
  constructor(port: AddressWatchPort | undefined, clock: Clock, log: Log) {
    this.#port = port;
    this.#clock = clock;
    this.#log = log;
    port?.onUse((use) => this.#used(use));
  }

  /** Watches the interface from now on; harmless when it does so already. */
  begin(link: Link, { config, igmp }: WatchedInterface): void {
    if (!this.#watched.has(link.ifindex))
      this.#watched.set(link.ifindex, {
        name: link.name,
        counters: igmp.counters,
        silentMs: otherQuerierPresentIntervalMs(config),
        duplicate: undefined,
        timer: undefined,
      });
    this.linkChanged(link);
  }

  linkChanged({ ifindex, addresses }: Link): void {
    const watched = this.#watched.get(ifindex);
    if (!watched) return;
    const own = addresses.map(({ address }) => address);
    this.#watch(ifindex, own);
    const { duplicate } = watched;
    if (duplicate && !own.includes(duplicate.address)) this.#over(watched, duplicate, 'is no longer ours');
  }

  /** The interface is no longer served. */
  end(ifindex: Ifindex): void {
    const watched = this.#watched.get(ifindex);
    if (!watched) return;
    watched.timer?.cancel();
    this.#watched.delete(ifindex);
    this.#port?.watch(ifindex, []);
  }

  stop(): void {
    for (const ifindex of [...this.#watched.keys()]) this.end(ifindex);
  }

  /** The problem as a sentence; null: there is none. */
  problem(ifindex: Ifindex): string | null {
    const duplicate = this.#watched.get(ifindex)?.duplicate;
    return duplicate ? `${formatIp(duplicate.address)} is also used by ${machine(duplicate)}` : null;
  }

  #watch(ifindex: Ifindex, addresses: readonly IpAddress[]): void {
    const error = this.#port?.watch(ifindex, addresses);
    // An interface that has just gone is no news here.
    if (!error || error.code === 'ENODEV' || this.#saidUnwatched) return;
    this.#saidUnwatched = true;
    const then =
      'another router with an address of this one would go unnoticed; tried again when the interface changes';
    this.#log.warn({ evt: 'igmp.address.unwatched', code: error.code, errno: error.errno }, `${error.message} ${then}`);
  }

  #used({ ifindex, address, mac }: AddressUse): void {
    const watched = this.#watched.get(ifindex);
    if (!watched) return;
    watched.counters.dropped.duplicateAddress++;
    const told = this.#warn(watched.name, address, mac) || watched.duplicate?.told === true;
    watched.duplicate = { address, mac, lastMs: this.#clock.nowMs(), told };
    watched.timer ??= this.#wait(watched, watched.silentMs);
  }

  #warn(name: string, address: IpAddress, mac: string | undefined): boolean {
    const heldBack = this.#lines.take(name, this.#clock.nowMs());
    if (heldBack === undefined) return false;
    const own = formatIp(address);
    const fields = { evt: 'igmp.address.duplicated', ifname: name, address: own, mac, heldBack } as const;
    const what = `${machine({ mac })} on ${name} also uses ${own}, an address of this router`;
    const then = 'neither hears the other, so both may query and forward; give one of them another address';
    this.#log.warn(fields, `${what}; ${then}`);
    return true;
  }

  #wait(watched: Watched, ms: number): Timer {
    return this.#clock.after(ms, () => this.#looked(watched));
  }

  #looked(watched: Watched): void {
    watched.timer = undefined;
    const { duplicate, silentMs } = watched;
    if (!duplicate) return;
    const leftMs = duplicate.lastMs + silentMs - this.#clock.nowMs();
    if (leftMs > 0) watched.timer = this.#wait(watched, leftMs);
    else this.#over(watched, duplicate, `has been used by nobody else for ${silentMs / 1000} s`);
  }

  #over(watched: Watched, { address, told }: Duplicate, why: string): void {
    watched.timer?.cancel();
    watched.timer = undefined;
    watched.duplicate = undefined;
    if (!told) return;
    const own = formatIp(address);
    this.#log.info(
      { evt: 'igmp.address.cleared', ifname: watched.name, address: own },
      `${own} on ${watched.name} ${why}`,
    );
  }
}

function machine({ mac }: Pick<Duplicate, 'mac'>): string {
  return mac === undefined ? 'another machine' : `another machine (${mac})`;
}
