/**
 * A successor takes over 10,000 groups while their streams flow at 20,000 packets/s: the process is made, takes the sockets
 * of the one before (`--handoff`), takes up its entries and is ready. The reference starts with an empty table: it has no
 * such thing.
 */
import { GROUPS } from './burst.mjs';
import { summarize } from './lib/figures.mjs';
import { startDaemon, startReference } from './lib/subjects.mjs';
import { resetTopology } from './lib/topology.mjs';
import { freshBase, startTraffic, traffic } from './lib/traffic.mjs';

const STREAM = { groups: GROUPS, pps: 20_000, ms: 60_000 };
/** What the streams are watched for after the successor is ready. */
const AFTER_MS = 2000;

async function cold(context) {
  resetTopology();
  const subject = await startReference(context.reference);
  await subject.stop();
  return { ready_ms: subject.startMs, cpu_ms: subject.startCpuMs };
}

async function warm(context) {
  resetTopology();
  const base = freshBase();
  const words = ['--handoff', `/run/handoff-${base}`];
  const predecessor = await startDaemon({ words });
  const joined = await traffic(context.reference, 'burst', predecessor, { groups: GROUPS, prime: 0, base });
  if (joined.never) throw new Error(`${joined.never} of ${GROUPS} groups do not forward before the restart`);
  const stream = startTraffic(context.reference, 'stream', { pid: process.pid }, { ...STREAM, base });
  await stream.started;
  const successor = await startDaemon({ words });
  await new Promise((resolve) => setTimeout(resolve, AFTER_MS));
  const { sent, lost, duplicated, silent_groups } = await stream.stop();
  await successor.stop();
  await predecessor.stop();
  return { ready_ms: successor.startMs, cpu_ms: successor.startCpuMs, sent, lost, duplicated, silent_groups };
}

export async function restart(context) {
  const runs = { reference: [], daemon: [] };
  for (let i = 0; i < context.repeats; i++) {
    runs.reference.push(await cold(context));
    if (!context.referenceOnly) runs.daemon.push(await warm(context));
  }
  const { daemon, reference, ...rest } = summarize(runs, [], 'ready_ms');
  const counted = (key) => runs.daemon.reduce((sum, run) => sum + run[key], 0);
  const counts = daemon && {
    lost: counted('lost'),
    duplicated: counted('duplicated'),
    silent_groups: counted('silent_groups'),
  };
  return { daemon: daemon && { ...daemon, ...counts }, reference, ...rest };
}
