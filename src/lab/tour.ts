/**
 * The tour: under traffic, each interface goes from IGMP alone to one protocol, by hand-over to another, and back. During
 * every pause the hosts on that LAN join and leave other groups, and so does the router itself, so that there is
 * something to be held; afterwards all of it must have come, once.
 */
import type { CountersView } from '../mgm/snapshot.js';
import type { OtherGroups } from './messages.js';
import type { PauseLedger } from './pauses.js';
import { otherGroup, ownGroup, PROTOCOLS, type RouterInterface } from './plan.js';
import { monotonicMs, sleep } from './time.js';

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
}

interface Change {
  readonly interface: RouterInterface;
  readonly sentence: string;
  run(control: RouterControl): Promise<void>;
}

const [FIRST, SECOND] = PROTOCOLS;

/** One round: six changes of owner. */
export const ROUND: readonly Change[] = (['recv', 'send'] as const).flatMap((name) => [
  { interface: name, sentence: `${FIRST} takes ${name}`, run: (control) => control.take(name, FIRST) },
  {
    interface: name,
    sentence: `${name} is handed over from ${FIRST} to ${SECOND}`,
    run: (control) => control.handover(name, FIRST, SECOND),
  },
  { interface: name, sentence: `${SECOND} releases ${name}`, run: (control) => control.release(name, SECOND) },
]);

/** What was wished for in a pause has to show within this time after it. */
const APPEAR_MS = 3_000;
const LOOK_EVERY_MS = 20;

export class Tour {
  readonly failures: string[] = [];
  changes = 0;
  readonly #parts: TourParts;
  /** Where the previous change happened: what was joined then is left in the next pause on the same interface. */
  readonly #joined = new Map<RouterInterface, number>();
  #inside: Promise<void> | undefined;
  #current: RouterInterface | undefined;

  constructor(parts: TourParts) {
    this.#parts = parts;
  }

  /** Whole rounds, at least one, as many as fit into `durationMs`, spread evenly. `stopped` ends it after a change. */
  async run(durationMs: number, stopped: () => boolean): Promise<void> {
    const rounds = Math.max(1, Math.floor(durationMs / (ROUND.length * 1_300)));
    const everyMs = durationMs / (rounds * ROUND.length);
    const startMs = monotonicMs();
    for (let n = 0; n < rounds * ROUND.length && !stopped(); n++) {
      await this.#change(ROUND[n % ROUND.length]!);
      await sleep(startMs + (n + 1) * everyMs - monotonicMs());
    }
  }

  /** To be called when IGMP was disabled on an interface: the pause has begun. */
  pauseBegan(name: RouterInterface): void {
    if (name === this.#current) this.#inside = this.#fillPause(name, this.changes);
  }

  async #change(change: Change): Promise<void> {
    const { control, ledger } = this.#parts;
    this.changes++;
    this.#current = change.interface;
    this.#inside = undefined;
    this.#parts.onChange(change.sentence);
    ledger.reading(membershipCalls(await control.counters()));
    try {
      await change.run(control);
      await this.#inside;
    } catch (error) {
      this.failures.push(`${change.sentence}: ${error instanceof Error ? error.message : String(error)}`);
    }
    this.#current = undefined;
    if (this.#inside) await this.#wishesCame(change.interface, this.changes);
    this.#joined.set(change.interface, this.changes);
  }

  /** Hosts and router change their minds, and the daemon's counters are read until the pause is over. */
  async #fillPause(name: RouterInterface, n: number): Promise<void> {
    const { control, ledger, tellHosts } = this.#parts;
    const before = this.#joined.get(name);
    tellHosts(name, (host) => ({
      kind: 'others',
      join: [otherGroup(n, host)],
      leave: before === undefined ? [] : [otherGroup(before, host)],
    }));
    const wishes = [
      control.join(name, ownGroup(n, 1)),
      control.join(name, ownGroup(n, 2)),
      control.leave(name, ownGroup(n, 2)),
      ...(before === undefined ? [] : [control.leave(name, ownGroup(before, 1))]),
    ];
    while (ledger.open(name)) ledger.reading(membershipCalls(await control.counters()));
    await Promise.all(wishes);
  }

  /** Section 4 of the design: the net difference is issued once, after the pause; a join and leave in it leave no trace. */
  async #wishesCame(name: RouterInterface, n: number): Promise<void> {
    const { control, ledger } = this.#parts;
    const hosts = this.#parts.tellHosts(name, () => ({ kind: 'others', join: [], leave: [] }));
    const wanted = Array.from({ length: hosts }, (_, host) => otherGroup(n, host));
    const untilMs = monotonicMs() + APPEAR_MS;
    for (let missing = await this.#missing(name, n, wanted); missing.length > 0; ) {
      if (monotonicMs() > untilMs) return void this.failures.push(...missing);
      await sleep(LOOK_EVERY_MS);
      missing = await this.#missing(name, n, wanted);
    }
    if (ledger.reported(ownGroup(n, 2), 'join') || ledger.reported(ownGroup(n, 2), 'leave'))
      this.failures.push(
        `${ownGroup(n, 2)} was joined and left inside one pause, and the router reported it all the same`,
      );
    ledger.reading(membershipCalls(await control.counters()));
  }

  async #missing(name: RouterInterface, n: number, wanted: readonly string[]): Promise<readonly string[]> {
    const groups = await this.#parts.control.groups(name, 'igmp');
    return [
      ...wanted
        .filter((group) => !groups.includes(group))
        .map((group) => `a host joined ${group} during a pause of ${name}, and IGMP has not added it after the pause`),
      ...(this.#parts.ledger.reported(ownGroup(n, 1), 'join')
        ? []
        : [`the router joined ${ownGroup(n, 1)} during a pause of ${name}, and no report was seen after the pause`]),
    ];
  }
}

/** System calls that change a membership, made by the daemon since its start. */
export function membershipCalls(counters: CountersView): number {
  return (
    (counters['membership.joins'] ?? 0) + (counters['membership.leaves'] ?? 0) + (counters['membership.filters'] ?? 0)
  );
}
