/**
 * Start of the process to ready: the daemon's control socket answers, the reference prints its line. The processor time
 * until then does not depend on what else the machine does.
 */
import { median, round, summarize } from './lib/figures.mjs';
import { startDaemon, startReference } from './lib/subjects.mjs';
import { resetTopology } from './lib/topology.mjs';

const STARTS = 10;

async function starts(start) {
  const wall = [];
  const cpu = [];
  for (let i = 0; i < STARTS; i++) {
    resetTopology();
    const subject = await start();
    wall.push(round(subject.startMs));
    cpu.push(subject.startCpuMs);
    await subject.stop();
  }
  return [{ p50_ms: median(wall), min_ms: Math.min(...wall), max_ms: Math.max(...wall), cpu_p50_ms: median(cpu) }];
}

export async function start(context) {
  const reference = await starts(() => startReference(context.reference));
  const daemon = context.referenceOnly ? [] : await starts(() => startDaemon());
  return summarize({ reference, daemon }, [], 'p50_ms');
}
