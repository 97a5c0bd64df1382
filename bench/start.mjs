/** Start of the process to ready: the daemon's control socket answers, the reference prints its line. */

import { round, summarize } from './lib/figures.mjs';
import { startDaemon, startReference } from './lib/subjects.mjs';
import { resetTopology } from './lib/topology.mjs';

const STARTS = 10;

async function startTimes(start) {
  const times = [];
  for (let i = 0; i < STARTS; i++) {
    resetTopology();
    const subject = await start();
    times.push(subject.startMs);
    await subject.stop();
  }
  return times.sort((a, b) => a - b).map(round);
}

export async function start(context) {
  const side = (times) => (times.length ? [{ p50_ms: times[STARTS / 2], min_ms: times[0], max_ms: times.at(-1) }] : []);
  const reference = await startTimes(() => startReference(context.reference));
  const daemon = context.referenceOnly ? [] : await startTimes(() => startDaemon());
  return summarize({ reference: side(reference), daemon: side(daemon) }, [], 'p50_ms');
}
