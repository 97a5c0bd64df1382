/** From the counts and the ledger to a verdict with reasons. Pure. */
import { type HostName, HOSTS, STREAMS, type StreamName } from '../machines/plan.js';
import { lostOf, type StreamCounts } from '../traffic/sequence.js';

export interface StreamResult {
  readonly host: HostName;
  readonly stream: StreamName;
  /** Numbered since counting began. */
  readonly sent: number;
  readonly received: number;
  readonly lost: number;
  readonly duplicated: number;
  readonly reordered: number;
}

export interface Outcome {
  readonly streams: readonly StreamResult[];
  /** Packets that reached a host and were dropped at its own socket, per host. */
  readonly socketDrops: Readonly<Partial<Record<HostName, number>>>;
  /** Packets that the sender's kernel did not take. */
  readonly refused: number;
  readonly changes: number;
  readonly pauses: number;
  readonly crossings: readonly string[];
  /** What went wrong besides: refused changes, wishes that never came, a daemon that died. */
  readonly failures: readonly string[];
}

export interface Verdict {
  readonly passed: boolean;
  /** Empty when passed. */
  readonly reasons: readonly string[];
}

/** `sent`: packets of the stream numbered so far. */
export function streamResult(host: HostName, stream: StreamName, counts: StreamCounts, sent: number): StreamResult {
  const { base, received, duplicated, reordered } = counts;
  const lost = lostOf(counts, sent);
  return { host, stream, sent: Math.max(sent - base, 0), received, lost, duplicated, reordered };
}

export function judge(outcome: Outcome): Verdict {
  const reasons = [
    ...outcome.streams.flatMap((stream) => streamReasons(stream)),
    ...excuses(outcome),
    ...outcome.crossings,
    ...outcome.failures,
    ...(outcome.changes > 0 && outcome.pauses < outcome.changes
      ? [`${outcome.changes} changes of owner, but only ${outcome.pauses} pauses were seen`]
      : []),
  ];
  return { passed: reasons.length === 0, reasons };
}

function streamReasons({ host, stream, sent, received, lost, duplicated }: StreamResult): readonly string[] {
  const { group } = STREAMS[stream];
  const where = `${group} at ${host} (IGMPv${HOSTS[host].igmp})`;
  return [
    ...(sent === 0 || received === 0 ? [`${where}: nothing was received, so nothing was measured`] : []),
    ...(lost > 0 ? [`${where}: ${lost} of ${sent} packets lost`] : []),
    ...(duplicated > 0 ? [`${where}: ${duplicated} packets came twice`] : []),
  ];
}

/** Losses that are not the router's: they spoil the measurement all the same. */
function excuses({ socketDrops, refused }: Outcome): readonly string[] {
  const drops = Object.entries(socketDrops).filter(([, count]) => count > 0);
  return [
    ...drops.map(
      ([host, count]) =>
        `${count} packets reached ${host} and did not fit into its socket: this machine was too busy to measure, try again`,
    ),
    ...(refused > 0 ? [`${refused} packets were refused by the sender's own kernel`] : []),
  ];
}
