/**
 * The bound on forwarding entries (D-MFE-7): any packet to a new group makes one, so a stranger can make as many as it likes.
 *
 * Who goes first: the oldest entry without receivers (a negative one) of the input that has most of them, and never an entry with
 * receivers. 15/16 of the table are for wanted entries. Of these the last eighth is for inputs that hold less than is left of it, and
 * its first half for groups that do so too: whoever floods one input, or a group with members, leaves room to others.
 *
 * Many negative entries live shorter; of many wanted ones those without traffic end early. A wanted flow that is refused gets a
 * negative entry for a few seconds, so that it does not ask again with each packet. The kernel always gets an answer, because
 * each flow that waits for one makes every further new flow slower (linux.md B6).
 */
import { KernelError } from '../../base/errors.js';
import { keptOf, mayTake } from '../../base/fair-share.js';
import { formatIp } from '../../base/ip.js';
import { LogLimiter } from '../../base/log-limiter.js';
import type { Timer } from '../../port/clock.js';
import type { Core } from '../core.js';
import type { Entry } from '../state.js';

/** Seconds that a wanted flow beyond the budget is silenced. */
export const REFUSED_TIMEOUT_SEC = 10;
/** Life of negative entries, from few of them (an eighth of the budget) to many (half of it). */
const [LONG_MS, SHORT_MS] = [900_000, 10_000];
/** With more wanted entries than three quarters of the budget: how often each is looked at for traffic. */
const IDLE_MS = 30_000;
const LOOK_MS = 1000;
const PER_TURN = 256;
/** One line at once, then one a minute. */
const [LINES, LINES_PER_SEC] = [1, 1 / 60];

/** How many entries may have receivers. */
export function mostWanted(maxEntries: number): number {
  return maxEntries - maxEntries / 16;
}

export class EntryBudget {
  readonly #core: Core;
  readonly #expire: (entry: Entry) => void;
  readonly #limiter = new LogLimiter(LINES, LINES_PER_SEC);
  #timer: Timer | undefined;

  constructor(core: Core, expire: (entry: Entry) => void) {
    this.#core = core;
    this.#expire = expire;
  }

  /** Makes room for a new entry where it can. False: the entry must not be made. */
  admits(entry: Entry, isWanted: boolean): boolean {
    const { entries, config } = this.#core;
    this.#lookLater();
    if (isWanted && !this.#hasRoomForWanted(entry)) return this.#refuse(entry);
    if (entries.size < config.maxEntries) return true;
    const first = entries.ages.negative.oldestOfMost;
    if (!first) {
      this.#core.count('mfe.unkept');
      return false;
    }
    this.#core.count('mfe.evicted');
    const text = `forwarding table is full (${config.maxEntries} entries): removing the oldest entry without receivers for each new one`;
    this.#warn(
      'evicted',
      entry,
      `${text}; find out who sends to so many groups on ${entry.iif.name}, or raise mfe.maxEntries`,
    );
    this.#expire(first);
    return true;
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  /** What is kept for inputs, or groups, is for those that hold less of the table than would be left of it. */
  #hasRoomForWanted({ iif, group }: Entry): boolean {
    const { entries, config } = this.#core;
    const limit = mostWanted(config.maxEntries);
    const [kept, free] = [keptOf(limit), limit - entries.ages.wanted.size];
    return mayTake(free, kept, entries.ages.wanted.countOf(iif)) || entries.countOfGroup(group) < free - kept / 2;
  }

  #refuse(entry: Entry): boolean {
    this.#core.count('mfe.refused');
    const text = `cannot forward (${formatIp(entry.source)}, ${formatIp(entry.group)}) from ${entry.iif.name}: limit of entries with receivers reached`;
    const wanted = this.#core.entries.ages.wanted.size;
    this.#warn(
      'refused',
      entry,
      `${text} (${wanted}, mfe.maxEntries: ${this.#core.config.maxEntries}); mgmd tries again in ${REFUSED_TIMEOUT_SEC} s. Raise mfe.maxEntries, or find out who sends so many flows`,
    );
    return false;
  }

  #warn(reason: 'evicted' | 'refused', { source, group, iif }: Entry, text: string): void {
    const heldBack = this.#limiter.take(reason, this.#core.nowMs);
    if (heldBack === undefined) return;
    const { maxEntries } = this.#core.config;
    const fields = { reason, maxEntries, source: formatIp(source), group: formatIp(group), ifname: iif.name, heldBack };
    this.#core.ports.log.warn({ evt: 'mfe.limit.reached', ...fields }, text);
  }

  get #manyNegative(): boolean {
    return this.#core.entries.ages.negative.size > this.#core.config.maxEntries / 8;
  }

  get #manyWanted(): boolean {
    return this.#core.entries.ages.wanted.size > (this.#core.config.maxEntries * 3) / 4;
  }

  #lookLater(delayMs = LOOK_MS): void {
    if (this.#timer || this.#core.stopped || !(this.#manyNegative || this.#manyWanted)) return;
    this.#timer = this.#core.ports.clock.after(delayMs, () => {
      this.#timer = undefined;
      const finished = this.#endNegative() && this.#endIdle();
      this.#lookLater(finished ? LOOK_MS : 0);
    });
  }

  /** How long a negative entry may live while there are so many. */
  #negativeLifeMs(): number {
    const { maxEntries } = this.#core.config;
    const few = maxEntries / 8;
    const share = (this.#core.entries.ages.negative.size - few) / (maxEntries / 2 - few);
    return Math.max(SHORT_MS, LONG_MS - share * (LONG_MS - SHORT_MS));
  }

  /** False: there is more to do. */
  #endNegative(): boolean {
    const { negative } = this.#core.entries.ages;
    for (let left = PER_TURN; left > 0; left--) {
      const { oldest } = negative;
      if (!oldest || !this.#manyNegative || this.#core.nowMs - oldest.rankedAtMs < this.#negativeLifeMs()) return true;
      this.#core.count('mfe.shortened');
      this.#expire(oldest);
    }
    return false;
  }

  #endIdle(): boolean {
    const { ages } = this.#core.entries;
    for (let left = PER_TURN; left > 0; left--) {
      const { oldest } = ages.wanted;
      if (!oldest || !this.#manyWanted || this.#core.nowMs - oldest.rankedAtMs < IDLE_MS) return true;
      if (carriedTraffic(this.#core, oldest)) {
        ages.rank(oldest, this.#core.nowMs);
      } else {
        this.#core.count('mfe.shortened');
        this.#expire(oldest);
      }
    }
    return false;
  }
}

/** Packets on the right interface since the last look; the kernel's count includes the wrong ones (K-16). */
export function carriedTraffic(core: Core, entry: Entry): boolean {
  const counters = core.ports.mroute.mfcCounters(entry.source, entry.group);
  if (counters instanceof KernelError) return false;
  const right = counters.packets - counters.wrongIf;
  const carried = right > entry.seenPackets;
  entry.seenPackets = right;
  return carried;
}
