/** Streams of numbered packets through the router: who sends them, who is to get them, and what came of each. */
import { fileURLToPath } from 'node:url';
import type { Child } from '../support/child.js';
import { eventually } from '../support/eventually.js';
import type { Namespace } from '../support/topology.js';

const HELPER = fileURLToPath(new URL('../support/helpers/numbered.py', import.meta.url));
const PORT = 5000;
/** What is on its way when the sources are asked has come after this long. */
const ON_THE_WAY_MS = 1_000;

export interface Flow {
  readonly id: number;
  readonly group: string;
  /** The sender's address of a source-specific group; undefined: any source. */
  readonly channel: string | undefined;
}

/** Numbers that each flow has reached, by its id. */
export type Mark = Readonly<Record<string, number>>;

export interface Gap {
  readonly receiver: string;
  readonly group: string;
  /** Packets missing in a row, and how long after the mark they were sent. */
  readonly packets: number;
  readonly afterMs: number;
}

export interface Tally {
  readonly sent: number;
  readonly lost: number;
  readonly duplicated: number;
  readonly gaps: readonly Gap[];
}

interface Count {
  readonly lost: number;
  readonly duplicated: number;
  readonly gaps: Readonly<Record<string, readonly (readonly [number, number])[]>>;
}

/** One report of hosts as it passed a wire. */
export interface WireIgmp {
  readonly at: number;
  readonly from: string;
  readonly type: number;
  readonly records: readonly (readonly [number, string, readonly string[]])[];
}

async function ask<T>(child: Child, command: object): Promise<T> {
  child.tell(JSON.stringify(command));
  const answer = JSON.parse(await child.line(30_000)) as { readonly error?: string };
  if (answer.error !== undefined) throw new Error(`${JSON.stringify(command)}: ${answer.error}`);
  return answer as T;
}

async function start(host: Namespace, role: string, options: object): Promise<Child> {
  const child = host.spawn('/usr/bin/python3', [HELPER, role, JSON.stringify({ port: PORT, ...options })]);
  await child.line(30_000);
  return child;
}

class Receiver {
  readonly name: string;
  readonly flows: readonly Flow[];
  readonly #child: Child;

  constructor(name: string, child: Child, flows: readonly Flow[]) {
    this.name = name;
    this.flows = flows;
    this.#child = child;
  }

  async join(): Promise<void> {
    for (const { group, channel } of this.flows) await ask(this.#child, { join: group, source: channel });
  }

  /** Numbers from `from` to below `to`, of its own flows. */
  count(from: Mark, to: Mark): Promise<Count> {
    const wanted = this.flows.map(({ id }) => [id, [from[id], to[id]]] as const);
    return ask(this.#child, { count: Object.fromEntries(wanted) });
  }

  igmp(): Promise<readonly WireIgmp[]> {
    return ask(this.#child, { igmp: true });
  }
}

export class Streams {
  readonly #sources: Child[] = [];
  readonly #receivers: Receiver[] = [];
  readonly #groups = new Map<number, string>();
  #wire: Receiver | undefined;
  #perFlowPerSec = 0;
  #mark: Mark = {};

  /** `ratePerSec` is the same for every flow of every source. */
  async source(host: Namespace, from: string, flows: readonly Flow[], perFlowPerSec: number): Promise<void> {
    for (const { id, group } of flows) this.#groups.set(id, group);
    this.#perFlowPerSec = perFlowPerSec;
    const numbers = flows.map(({ id, group }) => [id, group]);
    this.#sources.push(await start(host, 'source', { from, flows: numbers, ratePerSec: perFlowPerSec * flows.length }));
  }

  /** A live host: its kernel joins every flow. */
  async host(host: Namespace, address: string, flows: readonly Flow[]): Promise<void> {
    const receiver = new Receiver(host.label, await start(host, 'host', { address }), flows);
    this.#receivers.push(receiver);
    await receiver.join();
  }

  /** A wire where these flows are to pass, and whose IGMP is listened to. */
  async wire(host: Namespace, device: string, flows: readonly Flow[]): Promise<void> {
    this.#wire = new Receiver(host.label, await start(host, 'wire', { device }), flows);
    this.#receivers.push(this.#wire);
  }

  /** Waits until every receiver gets every flow of its own, without a gap, and counts from there. */
  async settle(withinMs: number): Promise<void> {
    let last: Tally | undefined;
    const what = 'every receiver to get all of its flows';
    await eventually(
      what,
      async () => {
        this.#mark = await this.#sent();
        await this.#sendMore(this.#mark, this.#groups.size * 5);
        last = await this.#tally();
        return last.lost === 0;
      },
      { withinMs, everyMs: 50 },
    ).catch((error: unknown) => {
      const missing = last?.gaps.map(({ receiver, group }) => `${group} at ${receiver}`) ?? [];
      throw new Error(`${what}: ${[...new Set(missing)].join(', ')} (${String(error)})`);
    });
  }

  /** Waits until so many packets more have been sent: the passing of time, as the receivers feel it. */
  async sendMore(packets: number): Promise<void> {
    await this.#sendMore(await this.#sent(), packets);
  }

  /** What was sent since the last time, and what came of it. */
  async tally(): Promise<Tally> {
    return this.#tally();
  }

  /** Which of its groups a receiver gets, whole, while so many packets are sent in all; and what it does not get. */
  async arriving(name: string, packets: number): Promise<{ readonly whole: string[]; readonly broken: string[] }> {
    const receiver = this.#receivers.find((one) => one.name === name)!;
    const from = await this.#sent();
    await this.#sendMore(from, packets);
    const to = await this.#sent();
    const { gaps } = await this.#final(receiver, from, to);
    const groups = (wanted: boolean) =>
      receiver.flows.filter(({ id }) => (gaps[id] === undefined) === wanted).map(({ group }) => group);
    return { whole: groups(true), broken: groups(false) };
  }

  /** IGMP of hosts that passed the wire since the last time. */
  wireIgmp(): Promise<readonly WireIgmp[]> {
    return this.#wire!.igmp();
  }

  async #tally(): Promise<Tally> {
    const [from, to] = [this.#mark, await this.#sent()];
    this.#mark = to;
    const counts = await Promise.all(this.#receivers.map((receiver) => this.#final(receiver, from, to)));
    const gaps = counts.flatMap((count, n) => this.#gaps(this.#receivers[n]!, count, from));
    return {
      sent: sum(Object.keys(to).map((id) => to[id]! - from[id]!)),
      lost: sum(counts.map(({ lost }) => lost)),
      duplicated: sum(counts.map(({ duplicated }) => duplicated)),
      gaps,
    };
  }

  /** Packets that are missing may only be late. */
  async #final(receiver: Receiver, from: Mark, to: Mark): Promise<Count> {
    const until = performance.now() + ON_THE_WAY_MS;
    let count = await receiver.count(from, to);
    let before = Number.POSITIVE_INFINITY;
    while (count.lost > 0 && count.lost < before && performance.now() < until) {
      before = count.lost;
      await new Promise((resolve) => setTimeout(resolve, 100));
      count = await receiver.count(from, to);
    }
    return count;
  }

  #gaps(receiver: Receiver, { gaps }: Count, from: Mark): readonly Gap[] {
    return Object.entries(gaps).flatMap(([id, holes]) =>
      holes.map(([first, packets]) => ({
        receiver: receiver.name,
        group: this.#groups.get(Number(id))!,
        packets,
        afterMs: Math.round(((first - from[id]!) * 1000) / this.#perFlowPerSec),
      })),
    );
  }

  async #sent(): Promise<Mark> {
    const each = await Promise.all(this.#sources.map((child) => ask<Mark>(child, { sent: true })));
    return Object.assign({}, ...each) as Mark;
  }

  async #sendMore(mark: Mark, packets: number): Promise<void> {
    const total = (numbers: Mark) => sum(Object.values(numbers));
    const wanted = total(mark) + packets;
    await eventually(`${packets} more packets to be sent`, async () => total(await this.#sent()) >= wanted, {
      withinMs: 30_000,
      everyMs: 50,
    });
  }
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
