/** What the laboratory has seen so far: the streams at the hosts, the daemon's events, the pauses. */
import type { InterfaceView, ManagerEvent } from '../../mgm/snapshot.js';
import { eventLine } from './display.js';
import type { Counted, FromHost, Sent } from '../traffic/messages.js';
import { PauseLedger } from './pauses.js';
import { type HostName, HOSTS, type StreamName } from '../machines/plan.js';
import { type Outcome, type StreamResult, streamResult } from './verdict.js';

/** Events that a change of owner ends with. */
const CHANGES: ReadonlySet<ManagerEvent['evt']> = new Set<ManagerEvent['evt']>([
  'interface.taken',
  'interface.released',
  'interface.handed-over',
]);

const REMEMBERED_LINES = 8;

export class Observations {
  readonly ledger = new PauseLedger();
  /** What went wrong besides the streams and the pauses, as sentences. */
  readonly failures: string[] = [];
  /** The last events as lines, oldest first. */
  readonly happened: string[] = [];
  /** As the daemon showed them last. */
  interfaces: readonly InterfaceView[] = [];
  /** Changes of owner, whoever asked for them. */
  changes = 0;
  readonly #counted = new Map<HostName, Counted>();
  #sent: Sent = { kind: 'sent', packets: { asm: 0, ssm: 0 }, refused: 0, stopped: false };
  readonly #startedMs: number;

  /** `startedMs`: what the lines count from, by the machine's clock. */
  constructor(startedMs: number) {
    this.#startedMs = startedMs;
  }

  heard(message: FromHost): void {
    if (message.kind === 'report') this.ledger.report(message);
    else if (message.kind === 'sent') this.#sent = message;
    else if (message.kind === 'counted') this.#counted.set(message.host, message);
  }

  /** Returns the event as a line when it is one to be shown. */
  event(event: ManagerEvent, arrivedMs: number): string | undefined {
    this.ledger.event(event, arrivedMs);
    if (CHANGES.has(event.evt) && event['client'] !== 'igmp') this.changes++;
    const line = eventLine(event, this.ledger.machineMs(event.atMs) - this.#startedMs);
    if (line === undefined) return undefined;
    this.happened.push(line);
    if (this.happened.length > REMEMBERED_LINES) this.happened.shift();
    return line;
  }

  /** While the sender sends, packets on their way are not lost: only a gap below the highest number is. */
  streams(): readonly StreamResult[] {
    const { stopped, packets } = this.#sent;
    return (Object.keys(HOSTS) as HostName[]).flatMap((host) =>
      Object.entries(this.#counted.get(host)?.streams ?? {}).map(([name, counts]) => {
        const stream = name as StreamName;
        return streamResult(host, stream, counts, stopped ? packets[stream] : counts.next);
      }),
    );
  }

  /** Those whose counting has begun: before that, gaps are nobody's fault. */
  measured(): readonly StreamResult[] {
    return this.streams().filter(({ host, stream }) => (this.#counted.get(host)?.streams[stream]?.base ?? 0) > 0);
  }

  /** Every stream of every host has brought something. */
  allFlowing(): boolean {
    const expected = Object.values(HOSTS).reduce((sum, { streams }) => sum + streams.length, 0);
    const streams = this.streams();
    return streams.length === expected && streams.every(({ received }) => received > 0);
  }

  /** The sender has stopped and nothing is missing. */
  allHere(): boolean {
    return this.#sent.stopped && this.streams().every(({ lost }) => lost === 0);
  }

  outcome(): Outcome {
    return {
      streams: this.streams(),
      socketDrops: Object.fromEntries([...this.#counted].map(([host, { socketDrops }]) => [host, socketDrops])),
      refused: this.#sent.refused,
      changes: this.changes,
      pauses: this.ledger.closed().length,
      crossings: this.ledger.crossings(),
      failures: this.failures,
    };
  }
}
