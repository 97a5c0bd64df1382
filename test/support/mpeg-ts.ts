/** Continuity of an MPEG transport stream (ISO/IEC 13818-1 section 2.4.3): what a receiver misses or gets twice. */

const PACKET = 188;
const SYNC = 0x47;
const NULL_PID = 0x1fff;

export interface ContinuityError {
  readonly pid: number;
  /** Number of the packet in the stream. */
  readonly packet: number;
  readonly expected: number;
  readonly counter: number;
}

export interface Continuity {
  readonly packets: number;
  /** Of streams with a counter, by number of packets; null packets have none. */
  readonly pids: ReadonlyMap<number, number>;
  readonly errors: readonly ContinuityError[];
  /** Packets that came twice in a row. The standard admits one repetition; who knows that the sender makes none counts them as errors. */
  readonly duplicates: number;
  /** Packets that do not begin as they must; nothing else is looked at in them. */
  readonly unsynchronised: number;
}

/** `stream` begins at a packet; the first packet of each PID is taken as it is. */
export function continuityOf(stream: Uint8Array): Continuity {
  const last = new Map<number, number>();
  const pids = new Map<number, number>();
  const errors: ContinuityError[] = [];
  let [duplicates, unsynchronised, packets] = [0, 0, 0];
  for (let at = 0; at + PACKET <= stream.length; at += PACKET) {
    const packet = packets++;
    if (stream[at] !== SYNC) {
      unsynchronised++;
      continue;
    }
    const { pid, counter, hasPayload, restarts } = headerAt(stream, at);
    if (pid === NULL_PID) continue;
    pids.set(pid, (pids.get(pid) ?? 0) + 1);
    const before = last.get(pid);
    last.set(pid, counter);
    if (before === undefined || restarts) continue;
    const expected = hasPayload ? (before + 1) & 15 : before;
    if (counter === expected) continue;
    if (hasPayload && counter === before) duplicates++;
    else errors.push({ pid, packet, expected, counter });
  }
  return { packets, pids, errors, duplicates, unsynchronised };
}

interface Header {
  readonly pid: number;
  readonly counter: number;
  /** Only packets with a payload are counted. */
  readonly hasPayload: boolean;
  /** The discontinuity indicator: the counter may be anything. */
  readonly restarts: boolean;
}

function headerAt(stream: Uint8Array, at: number): Header {
  const control = stream[at + 3]!;
  const hasAdaptation = (control & 0x20) !== 0;
  return {
    pid: ((stream[at + 1]! & 0x1f) << 8) | stream[at + 2]!,
    counter: control & 15,
    hasPayload: (control & 0x10) !== 0,
    restarts: hasAdaptation && stream[at + 4]! > 0 && (stream[at + 5]! & 0x80) !== 0,
  };
}
