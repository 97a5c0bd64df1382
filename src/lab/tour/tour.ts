/**
 * The tour: under traffic, each interface goes from IGMP alone to one protocol, by hand-over to another, and back. During
 * every pause the hosts on that LAN join and leave other groups, and so does the router itself, so that there is
 * something to be held; afterwards all of it must have come, once.
 */
import type { CountersView } from '../../mgm/snapshot.js';
import type { OtherGroups } from '../traffic/messages.js';
import type { PauseLedger } from './pauses.js';
import { otherGroup, ownGroup, PROTOCOLS, type RouterInterface } from '../machines/plan.js';
import { monotonicMs, sleep } from '../time.js';

/** What the tour asks of the daemon, over its control socket. */
export interface RouterControl {
  take(name: RouterInterface, client: string): Promise<void>;
  release(name: RouterInterface, client: string): Promise<void>;
  handover(name: RouterInterface, from: string, to: string): Promise<void>;
  join(name: RouterInterface, group: string): Promise<void>;
  leave(name: RouterInterface, group: string): Promise<void>;
  counters(): Promise<CountersView>;
  /** The groups that a client has on the interface. */
  groups(name: RouterInterface, client: string): Promise<readonly string[]>;
}

export interface TourParts {
  readonly control: RouterControl;
  readonly ledger: PauseLedger;
  /** Tells the hosts on the interface's LAN; returns how many there are. */
  tellHosts(name: RouterInterface, order: (host: number) => OtherGroups): number;
  /** A change begins: for the display. */
  onChange(sentence: string): void;
  /** What was wished for in a pause has to show within this time after it; 3 s by default. */
  readonly patienceMs?: number;
}

interface Change {
  readonly interface: RouterInterface;
  readonly sentence: string;
  run(control: RouterControl): Promise<void>;
}

const [FIRST, SECOND] = PROTOCOLS;

/** One round: six changes of owner. */
const ROUND: readonly Change[] = (['recv', 'send'] as const).flatMap((name) => [
  { interface: name, sentence: `${FIRST} takes ${name}`, run: (control) => control.take(name, FIRST) },
  {
    interface: name,
    sentence: `handed ${name} over from ${FIRST} to ${SECOND}`,
    run: (control) => control.handover(name, FIRST, SECOND),
  },
  { interface: name, sentence: `${SECOND} releases ${name}`, run: (control) => control.release(name, SECOND) },
]);

const PATIENCE_MS = 3_000;
const LOOK_EVERY_MS = 20;
/** Changes of owner this far apart leave time for everything to come; more rounds are made when there is more time. */
const COMFORTABLE_MS = 1_300;

/** What was wished for in one pause. */
interface Wishes {
  readonly interface: RouterInterface;
  readonly change: number;
  /** What the hosts on the LAN joined. */
  readonly groups: readonly string[];
  /** Membership calls that the router's own wishes come to, once the pause is over. */
  readonly calls: number;
  /** All orders have been given and answered. */
  readonly settled: Promise<unknown>;
}

export class Tour {
  readonly failures: string[] = [];
  changes = 0;
  readonly #parts: TourParts;
  /** The last change on each interface: what was joined then is left in the next pause. */
  readonly #joined = new Map<RouterInterface, number>();
  #current: RouterInterface | undefined;
  #wishes: Wishes | undefined;

  constructor(parts: TourParts) {
    this.#parts = parts;
  }

  /** Whole rounds, at least one, as many as fit into `durationMs`, spread evenly. `stopped` ends it after a change. */
  async run(durationMs: number, stopped: () => boolean): Promise<void> {
    const rounds = Math.max(1, Math.floor(durationMs / (ROUND.length * COMFORTABLE_MS)));
    const everyMs = durationMs / (rounds * ROUND.length);
    const startMs = monotonicMs();
    for (let n = 0; n < rounds * ROUND.length && !stopped(); n++) {
      await this.#change(ROUND[n % ROUND.length]!);
      await sleep(startMs + (n + 1) * everyMs - monotonicMs());
    }
    this.#checkPassing();
  }

  /** To be called when IGMP was disabled on an interface: the pause has begun. */
  pauseBegan(name: RouterInterface): void {
    if (name === this.#current) this.#wishes = this.#wish(name, this.changes);
  }

  async #change(change: Change): Promise<void> {
    const { control, onChange } = this.#parts;
    this.changes++;
    this.#current = change.interface;
    this.#wishes = undefined;
    onChange(change.sentence);
    try {
      const before = await this.#read();
      await change.run(control);
      const wishes = this.#wishes as Wishes | undefined;
      await wishes?.settled;
      if (wishes) await this.#wishesCame(wishes, before);
    } catch (error) {
      this.failures.push(`${change.sentence}: ${error instanceof Error ? error.message : String(error)}`);
    }
    this.#current = undefined;
    this.#joined.set(change.interface, this.changes);
  }

  /** Hosts and router change their minds, and the daemon's counters are read until the pause is over. */
  #wish(name: RouterInterface, change: number): Wishes {
    const { control, tellHosts } = this.#parts;
    const before = this.#joined.get(name);
    const hosts = tellHosts(name, (host) => ({
      kind: 'others',
      join: [otherGroup(change, host)],
      leave: before === undefined ? [] : [otherGroup(before, host)],
    }));
    const orders = [
      control.join(name, ownGroup(change, 1)),
      control.join(name, ownGroup(change, 2)),
      control.leave(name, ownGroup(change, 2)),
      ...(before === undefined ? [] : [control.leave(name, ownGroup(before, 1))]),
    ];
    const settled = Promise.all([...orders, this.#readUntilOver(name)]);
    settled.catch(() => undefined); // whoever awaits it hears of it
    const groups = Array.from({ length: hosts }, (_, host) => otherGroup(change, host));
    return { interface: name, change, groups, calls: before === undefined ? 1 : 2, settled };
  }

  async #readUntilOver(name: RouterInterface): Promise<void> {
    while (this.#parts.ledger.open(name)) await this.#read();
  }

  async #read(): Promise<number> {
    const calls = membershipCalls(await this.#parts.control.counters());
    this.#parts.ledger.reading(calls);
    return calls;
  }

  /** What was held back comes after the pause, each net difference as one call (D-OWN-9). */
  async #wishesCame(wishes: Wishes, callsBefore: number): Promise<void> {
    const untilMs = monotonicMs() + (this.#parts.patienceMs ?? PATIENCE_MS);
    for (let missing = await this.#missing(wishes); missing.length > 0; missing = await this.#missing(wishes)) {
      if (monotonicMs() > untilMs) return void this.failures.push(...missing);
      await sleep(LOOK_EVERY_MS);
    }
    const calls = (await this.#read()) - callsBefore;
    if (calls !== wishes.calls)
      this.failures.push(
        `change ${wishes.change} (${wishes.interface}): ${wishes.calls} membership calls were held, and ${calls} were made after the pause`,
      );
  }

  async #missing({ interface: name, change, groups }: Wishes): Promise<readonly string[]> {
    const { control, ledger } = this.#parts;
    const known = await control.groups(name, 'igmp');
    const own = ownGroup(change, 1);
    return [
      ...groups
        .filter((group) => !known.includes(group))
        .map((group) => `a host joined ${group} during a pause of ${name}, and IGMP has not added it after the pause`),
      ...(ledger.reported(own, 'join')
        ? []
        : [`the router joined ${own} during a pause of ${name}, and no report of it was seen after the pause`]),
    ];
  }

  /** What was joined and left inside one pause has left no trace on the wire. */
  #checkPassing(): void {
    const { ledger } = this.#parts;
    for (let change = 1; change <= this.changes; change++) {
      const group = ownGroup(change, 2);
      if (ledger.reported(group, 'join') || ledger.reported(group, 'leave'))
        this.failures.push(`${group} was joined and left inside one pause, and the router reported it all the same`);
    }
  }
}

/** System calls that change a membership, made by the daemon since its start. */
export function membershipCalls(counters: CountersView): number {
  return (
    (counters['membership.joins'] ?? 0) + (counters['membership.leaves'] ?? 0) + (counters['membership.filters'] ?? 0)
  );
}
