/** The table of runs: what was done to the service how often, and what the network noticed. */
import { appendFileSync } from 'node:fs';
import { type Bed, ROUTER_UPSTREAM } from './bed.js';
import { eventually } from '../support/eventually.js';
import type { Service } from './service.js';
import type { Gap, WireIgmp } from './streams.js';

/** A quick look: everything is done, but only so often. */
const MOST_TIMES = Number(process.env['MGMD_TIMES'] || Number.POSITIVE_INFINITY);
/** One second of all the streams. */
const SECOND = 5_000;
/** After the end of a restart window, which is when a flow that nobody asked for again would end. */
const HALF_A_SECOND = 2_500;
const WINDOW_ENDS_WITHIN_MS = 10_000;
/** Hosts have answered the query of a start within half a second; the bound is for a busy machine. */
const SAME_WITHIN_MS = 8_000;

const TO_INCLUDE = 3;
const BLOCK = 6;
const LEAVE_V2 = 0x17;

export interface Row {
  readonly run: string;
  times: number;
  sent: number;
  lost: number;
  duplicated: number;
  leaves: number;
  /** How often the DVMRP router beside us has lost us as a neighbour. */
  lostNeighbor: number;
  ownership: string;
  groups: string;
  dvmrp: string;
  seconds: number;
}

/** What DVMRP asks for because somebody inside sends there is asked again when flows are decided anew: with the window's end. */
const AFTER_THE_WINDOW = /^\* \S+ dv dvmrp$/;

const COMPARED = ['ownership', 'groups', 'dvmrp'] as const;

/** What the service tells of itself, one line each. */
export type State = Readonly<Record<(typeof COMPARED)[number], readonly string[]>>;

export interface Options {
  /** A cold start loses packets and leaves: the proof that this bed sees it. */
  readonly cold?: boolean;
  /** Ends what the action has begun, before the state is compared. */
  readonly settle?: () => Promise<void>;
  /** Sent after each time; a second of them, if it is not said. */
  readonly packets?: number;
}

/** Groups that the router has left, as the upstream saw it. Both kinds of message; a repeat counts again. */
function leavesIn(messages: readonly WireIgmp[]): readonly string[] {
  return messages
    .filter(({ from }) => from === ROUTER_UPSTREAM)
    .flatMap(({ type, records }) =>
      records
        .filter(([record]) => type === LEAVE_V2 || record === TO_INCLUDE || record === BLOCK)
        .map(([record, group, sources]) => `${record} ${group} ${sources.join(' ')}`.trim()),
    );
}

export class Runs {
  readonly rows: Row[] = [];
  /** What was left upstream in the last run. */
  leaves: readonly string[] = [];
  readonly #bed: Bed;
  readonly #service: Service;
  readonly #file: string | undefined;
  #before: State = { ownership: [], groups: [], dvmrp: [] };
  #neighborLosses = 0;

  constructor(bed: Bed, service: Service, file: string | undefined) {
    this.#bed = bed;
    this.#service = service;
    this.#file = file;
  }

  /** From here on: what the service has now is what it must have after every run. */
  async begin(): Promise<State> {
    const [ownership, groups, dvmrp] = await Promise.all(COMPARED.map((what) => this.#service[what]()));
    this.#before = { ownership: ownership!, groups: groups!, dvmrp: dvmrp! };
    await this.#bed.streams.tally();
    await this.#bed.streams.wireIgmp();
    this.#lossesOfNeighbor();
    return this.#before;
  }

  /**
   * Does it so many times, each time with a second of traffic behind it, the last time until the restart window is over. No
   * packet and no message between two runs goes uncounted. Returns what was wrong, nothing if all was well.
   */
  async run(
    name: string,
    times: number,
    act: (n: number) => Promise<void>,
    { cold = false, settle, packets = SECOND }: Options = {},
  ): Promise<string[]> {
    const zero = { times: 0, sent: 0, lost: 0, duplicated: 0, leaves: 0, lostNeighbor: 0 };
    const row: Row = { run: name, ...zero, ownership: 'equal', groups: 'equal', dvmrp: 'equal', seconds: 0 };
    this.rows.push(row);
    this.leaves = [];
    const began = performance.now();
    const complaints: string[] = [];
    const last = Math.min(times, MOST_TIMES);
    try {
      for (row.times = 1; row.times <= last; row.times++) {
        const journal = this.#service.journalFromNow();
        await act(row.times - 1);
        await settle?.();
        const [different] = await Promise.all([
          this.#difference(row, row.times === last),
          this.#bed.streams.sendMore(packets),
        ]);
        const starts = row.times === last ? await this.#windowEnds(journal) : journal();
        const found = [...different, ...(await this.#look(row))];
        if (starts.includes('"warm":false')) found.push('it started without what its predecessor left');
        complaints.push(...(cold ? different : found).map((complaint) => `${name}, number ${row.times}: ${complaint}`));
      }
      row.times = last;
    } finally {
      row.seconds = Math.round((performance.now() - began) / 100) / 10;
      if (this.#file) appendFileSync(this.#file, `${JSON.stringify(row)}\n`);
    }
    return complaints;
  }

  /** After a start with a predecessor: until what nobody has asked for again would be gone. */
  async #windowEnds(journal: () => string): Promise<string> {
    const text = await eventually(
      'the end of the restart window',
      () => {
        const now = journal();
        const started = now.lastIndexOf('"evt":"daemon.started"');
        if (started >= 0 && now.indexOf('"warm":true', started) < 0) return now || 'nothing';
        return now.indexOf('"evt":"daemon.warm-start.ended"', Math.max(started, 0)) >= 0 || started < 0
          ? now || 'nothing'
          : '';
      },
      { withinMs: WINDOW_ENDS_WITHIN_MS, everyMs: 200 },
    );
    await this.#bed.streams.sendMore(HALF_A_SECOND);
    return text;
  }

  async #look(row: Row): Promise<string[]> {
    const { streams } = this.#bed;
    const { sent, lost, duplicated, gaps } = await streams.tally();
    const leaves = leavesIn(await streams.wireIgmp());
    this.leaves = [...this.leaves, ...leaves];
    const lostNeighbor = this.#lossesOfNeighbor();
    row.sent += sent;
    row.lost += lost;
    row.duplicated += duplicated;
    row.leaves += leaves.length;
    row.lostNeighbor += lostNeighbor;
    return [
      ...(lost > 0 ? [`${lost} packets lost: ${tellGaps(gaps)}`] : []),
      ...(duplicated > 0 ? [`${duplicated} packets duplicated`] : []),
      ...(leaves.length > 0 ? [`${leaves.length} leaves upstream: ${some(leaves)}`] : []),
      ...(lostNeighbor > 0 ? [`the DVMRP router beside it has lost it ${lostNeighbor} times`] : []),
    ];
  }

  /** Since the last time. */
  #lossesOfNeighbor(): number {
    const { length } = this.#bed.neighbor!.events('dvmrp.neighbor.down');
    const more = length - this.#neighborLosses;
    this.#neighborLosses = length;
    return more;
  }

  async #difference(row: Row, atTheEnd: boolean): Promise<string[]> {
    const complaints: string[] = [];
    const due = (lines: readonly string[]) => (atTheEnd ? lines : lines.filter((line) => !AFTER_THE_WINDOW.test(line)));
    for (const what of COMPARED) {
      const before = due(this.#before[what]);
      let now: readonly string[] = [];
      await eventually(
        `${what} as before`,
        async () => {
          now = due(await this.#service[what]());
          return now.join('\n') === before.join('\n');
        },
        { withinMs: SAME_WITHIN_MS, everyMs: 150 },
      ).catch(() => {
        row[what] = 'NOT EQUAL';
        complaints.push(`${what}: ${tellDifference(before, now)}`);
      });
    }
    return complaints;
  }
}

function tellDifference(before: readonly string[], now: readonly string[]): string {
  const gone = before.filter((line) => !now.includes(line)).map((line) => `-${line}`);
  const come = now.filter((line) => !before.includes(line)).map((line) => `+${line}`);
  return some([...gone, ...come]);
}

function tellGaps(gaps: readonly Gap[]): string {
  return some(
    gaps.map(({ receiver, group, packets, afterMs }) => `${packets} of ${group} at ${receiver} after ${afterMs} ms`),
  );
}

/** The first ones, for people. */
function some(all: readonly string[], most = 8): string {
  const more = all.length > most ? `, and ${all.length - most} more` : '';
  return `${all.slice(0, most).join(', ')}${more}`;
}
