/** Resident memory and processor time of a router with nothing to do, with 10,000 groups, with their streams. */
import { readFileSync } from 'node:fs';
import { GROUPS } from './burst.mjs';
import { summarize } from './lib/figures.mjs';
import { interleaved } from './lib/interleaved.mjs';
import { cpuNs, sleep } from './lib/subjects.mjs';
import { traffic } from './lib/traffic.mjs';

const IDLE_MS = 10_000;
/** V8 collects once, within 20 s of a start; that is the start's and not idling. */
const CALM_MS = 30_000;
const STEADY = { groups: GROUPS, pps: 10_000, ms: 5000 };

function residentKb(pid) {
  return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]);
}

async function busyPercent(pid, ms) {
  const [from, before] = [process.hrtime.bigint(), cpuNs(pid)];
  await sleep(ms);
  return ((cpuNs(pid) - before) / Number(process.hrtime.bigint() - from)) * 100;
}

/** Bytes of heap and array buffers after a collection; the reference has no heap to ask, its resident size tells. */
async function heldBytes(subject) {
  if (!subject.ask) return residentKb(subject.pid) * 1024;
  const { heapUsed, external } = await subject.ask('memory');
  return heapUsed + external;
}

async function fromOutside(context, subject, base) {
  await sleep(CALM_MS);
  const rss = residentKb(subject.pid);
  const idle = await busyPercent(subject.pid, IDLE_MS);
  await traffic(context.reference, 'report', subject, { groups: GROUPS, base });
  await sleep(1000);
  const joinedRss = residentKb(subject.pid);
  await traffic(context.reference, 'burst', subject, { groups: GROUPS, prime: 0, base });
  const steady = await traffic(context.reference, 'stream', subject, { ...STEADY, base });
  return {
    rss_mb: rss / 1024,
    cpu_idle_percent: idle,
    rss_10000_groups_mb: joinedRss / 1024,
    rss_10000_streams_mb: residentKb(subject.pid) / 1024,
    cpu_10000_streams_percent: steady.router_cpu_percent,
  };
}

async function perGroup(context, subject, base) {
  const empty = await heldBytes(subject);
  await traffic(context.reference, 'report', subject, { groups: GROUPS, base });
  await sleep(1000);
  const joined = await heldBytes(subject);
  await traffic(context.reference, 'burst', subject, { groups: GROUPS, prime: 0, base });
  await sleep(500);
  const streaming = await heldBytes(subject);
  return { bytes_per_group: (joined - empty) / GROUPS, bytes_per_group_with_stream: (streaming - empty) / GROUPS };
}

export async function idle(context) {
  const outside = await interleaved(context, (subject, base) => fromOutside(context, subject, base), { repeats: 1 });
  const options = { repeats: 1, daemon: { probe: true } };
  const inside = await interleaved(context, (subject, base) => perGroup(context, subject, base), options);
  const joined = (side) => outside[side].map((run, i) => ({ ...run, ...inside[side][i] }));
  return summarize({ reference: joined('reference'), daemon: joined('daemon') }, [], 'rss_mb');
}
