/** What a person sees: a few lines that redraw on a terminal, plain lines otherwise. */
import type { InterfaceView, ManagerEvent } from '../../mgm/snapshot.js';
import { HOLD_MS, HOSTS, STREAMS } from '../machines/plan.js';
import type { Outcome, StreamResult, Verdict } from './verdict.js';

export interface Scene {
  readonly elapsedMs: number;
  readonly doing: string;
  readonly interfaces: readonly InterfaceView[];
  readonly streams: readonly StreamResult[];
  readonly changes: number;
  readonly pauses: number;
  /** The last things that happened, oldest first. */
  readonly happened: readonly string[];
}

/** The lines of the live picture. */
export function picture(scene: Scene): readonly string[] {
  return [
    `mgmd hand-over lab  ${clockText(scene.elapsedMs)}  ${scene.doing}`,
    `  changes of owner: ${scene.changes}   pauses of IGMP: ${scene.pauses}`,
    '',
    ...scene.interfaces.map(ownerLine),
    '',
    `  ${'stream at host'.padEnd(34)}${['sent', 'received', 'lost', 'twice', 'reordered'].map(cell).join('')}`,
    ...scene.streams.map((stream) => `  ${streamName(stream).padEnd(34)}${streamCells(stream)}`),
    '',
    ...scene.happened.map((line) => `  ${line}`),
  ];
}

/** One plain line about the streams, for a pipe or a log. */
export function streamsLine(streams: readonly StreamResult[]): string {
  return streams
    .map(
      (s) =>
        `${s.stream}@${s.host} ${s.received}/${s.sent} lost ${s.lost} twice ${s.duplicated} reordered ${s.reordered}`,
    )
    .join(', ');
}

export function ownerLine({ name, state, phase, owner, igmp, paused, memberships }: InterfaceView): string {
  const who = `${owner ?? 'nobody'}${igmp ? ' + igmp' : ''}`;
  const passing = paused ? 'IGMP paused' : phase === 'R' ? 'IGMP adds again' : '';
  return `  ${name.padEnd(6)} owner ${who.padEnd(16)} state ${state.padEnd(3)} groups ${String(memberships).padEnd(4)}${passing}`.trimEnd();
}

/** An event of the manager as a line, `elapsedMs` into the run; undefined for those that come too often to be watched. */
export function eventLine(event: ManagerEvent, elapsedMs: number): string | undefined {
  const where = event['interface'] === undefined ? '' : ` ${String(event['interface'])}`;
  const who = ['client', 'from', 'to', 'owner']
    .filter((field) => event[field] !== undefined && event[field] !== null)
    .map((field) => ` ${field} ${String(event[field])}`)
    .join('');
  return SHOWN.has(event.evt) ? `${clockText(elapsedMs)} ${event.evt}${where}${who}` : undefined;
}

const SHOWN: ReadonlySet<ManagerEvent['evt']> = new Set<ManagerEvent['evt']>([
  'igmp.disabled',
  'igmp.enabled',
  'interface.taken',
  'interface.released',
  'interface.handed-over',
  'interface.resynced',
  'interface.gone',
  'client.died',
  'kernel.foreign-change',
  'kernel.refused',
]);

/** The end: figures, reasons, the word. `pausesMs` ascending. */
export function verdictLines(outcome: Outcome, verdict: Verdict, pausesMs: readonly number[]): readonly string[] {
  const median = (pausesMs[pausesMs.length >> 1] ?? 0).toFixed(1);
  return [
    '',
    ...outcome.streams.map(
      (one) =>
        `${streamName(one)}: ${one.sent} sent, ${one.received} received, ${one.lost} lost, ` +
        `${one.duplicated} duplicated, ${one.reordered} reordered`,
    ),
    `${outcome.changes} changes of owner; ${outcome.pauses} pauses of IGMP, median ${median} ms (the lab holds each open ` +
      `for ${HOLD_MS} ms); ${outcome.crossings.length} membership calls, changes or reports crossed a pause`,
    ...verdict.reasons.map((reason) => `  - ${reason}`),
    verdict.passed ? 'verdict: PASSED' : 'verdict: FAILED',
  ];
}

function streamName({ stream, host }: StreamResult): string {
  const { group, source } = STREAMS[stream];
  return `(${source ?? '*'}, ${group}) at ${host} v${HOSTS[host].igmp}`;
}

function streamCells({ sent, received, lost, duplicated, reordered }: StreamResult): string {
  return [sent, received, lost, duplicated, reordered].map(cell).join('');
}

function cell(value: string | number): string {
  return String(value).padStart(10);
}

/** "   1.234 s" */
export function clockText(ms: number): string {
  return `${(ms / 1000).toFixed(3).padStart(8)} s`;
}

/** Where the lines go. On a terminal the picture is drawn over the previous one and plain lines are left out. */
export class Screen {
  readonly #out: NodeJS.WriteStream;
  #drawn = 0;

  constructor(out: NodeJS.WriteStream) {
    this.#out = out;
  }

  get live(): boolean {
    return this.#out.isTTY;
  }

  /** On a terminal only. */
  draw(lines: readonly string[]): void {
    if (!this.live) return;
    const width = this.#out.columns || 80;
    const up = this.#drawn > 0 ? `\x1b[${this.#drawn}A` : '';
    const fitting = lines.slice(0, (this.#out.rows || 24) - 1).map((line) => line.slice(0, width - 1));
    this.#out.write(`${up}\r\x1b[J${fitting.join('\n')}\n`);
    this.#drawn = fitting.length;
  }

  /** Elsewhere only. */
  line(text: string): void {
    if (!this.live) this.#out.write(`${text}\n`);
  }

  /** Stays, on a terminal as well: below the picture. */
  say(text: string): void {
    this.#out.write(`${text}\n`);
    this.#drawn = 0;
  }
}
