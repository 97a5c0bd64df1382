/** The module's kernel joins: made through the membership gate, and tried again while the kernel refuses them. */
import { formatIp, type IpAddress } from '../base/ip.js';
import { TokenBucket } from '../base/token-bucket.js';
import type { Clock, Timer } from '../port/clock.js';
import type { Ifindex, MembershipFilter, MembershipPort } from '../port/kernel.js';
import type { Log } from '../port/log.js';

/** The holders' names behind the gate: configured joins, and what is pulled. */
export type JoinHolder = 'igmp-join' | 'igmp-pull';

/** ENOBUFS, or an interface on its way out: asked for again after this long. */
const AGAIN_MS = 30_000;

interface Parts {
  readonly membership: MembershipPort;
  readonly clock: Clock;
  readonly log: Log;
}

interface Join {
  readonly holder: JoinHolder;
  readonly ifindex: Ifindex;
  readonly ifname: string;
  readonly group: IpAddress;
  readonly filter: MembershipFilter | undefined;
}

export class KernelJoins {
  readonly #parts: Parts;
  readonly #refused = new Map<string, Join>();
  readonly #lines: TokenBucket;
  #timer: Timer | undefined;

  constructor(parts: Parts) {
    this.#parts = parts;
    this.#lines = new TokenBucket(10, 0.1, parts.clock.nowMs());
  }

  /** `filter` undefined: nothing any more. */
  set(join: Join): void {
    const { holder, ifindex, group, filter } = join;
    const key = `${holder} ${ifindex} ${group}`;
    this.#refused.delete(key);
    const error = this.#parts.membership.set(holder, ifindex, group, filter);
    if (error === undefined || filter === undefined) return;
    this.#refused.set(key, join);
    this.#timer ??= this.#parts.clock.after(AGAIN_MS, this.#tryAgain);
    const heldBack = this.#lines.take(this.#parts.clock.nowMs());
    if (heldBack === undefined) return;
    this.#parts.log.warn(
      { evt: 'igmp.join.refused', ifname: join.ifname, group: formatIp(group), code: error.code, heldBack },
      `${error.message} The join is tried again in ${AGAIN_MS / 1000} s.`,
    );
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#refused.clear();
  }

  readonly #tryAgain = (): void => {
    this.#timer = undefined;
    for (const join of [...this.#refused.values()]) this.set(join);
  };
}
