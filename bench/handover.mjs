/**
 * Hand-overs of the receivers' interface with 10,000 groups while their streams flow at 20,000 packets/s. The reference
 * rewrites all entries in place instead: the most that a change of owner could have to do to the kernel.
 */

import { GROUPS } from './burst.mjs';
import { handOver, openControl, pausesOf } from './lib/control.mjs';
import { median, summarize } from './lib/figures.mjs';
import { interleaved } from './lib/interleaved.mjs';
import { cpuNs, sleep } from './lib/subjects.mjs';
import { startTraffic, traffic } from './lib/traffic.mjs';

const ROUNDS = 20;
const WATCHED_ROUNDS = 10;
const SPACING_MS = 100;
const STREAM = { groups: GROUPS, pps: 20_000, ms: 60_000 };

/** What each of `count` changes returned, and the processor time that one took. */
async function changes(subject, count, change) {
  const results = [];
  const before = cpuNs(subject.pid);
  for (let i = 0; i < count; i++, await sleep(SPACING_MS)) results.push(await change(i));
  return { results, cpuMs: (cpuNs(subject.pid) - before) / 1e6 / count };
}

async function rewrites(subject) {
  const { results, cpuMs } = await changes(subject, ROUNDS, async () => (await subject.rewrite()) / 1000);
  return {
    changes: ROUNDS,
    pause_p50_ms: median(results),
    pause_max_ms: Math.max(...results),
    cpu_per_change_ms: cpuMs,
  };
}

/** From one static instance to the other and back. */
async function handOvers(subject) {
  const client = await openControl(subject);
  const change = (i) => handOver(client, 'recv', i % 2 ? ['two', 'one'] : ['one', 'two']);
  await subject.ask('reset');
  const { results, cpuMs } = await changes(subject, ROUNDS, change);
  const loop = await subject.ask('loop');
  const pauses = await pausesOf(client, () => changes(subject, WATCHED_ROUNDS, change));
  client.close();
  return {
    changes: ROUNDS + pauses.length,
    answer_p50_ms: median(results),
    pause_p50_ms: median(pauses),
    pause_max_ms: Math.max(...pauses),
    loop_p99_ms: loop.p99Ms,
    loop_max_ms: loop.maxMs,
    cpu_per_change_ms: cpuMs,
  };
}

async function underTraffic(context, subject, base) {
  const joined = await traffic(context.reference, 'burst', subject, { groups: GROUPS, prime: 0, base });
  if (joined.never) throw new Error(`${joined.never} of ${GROUPS} groups do not forward before the hand-over`);
  const stream = startTraffic(context.reference, 'stream', subject, { ...STREAM, base });
  await stream.started;
  const figures = await (subject.rewrite ? rewrites(subject) : handOvers(subject));
  const { sent, lost, duplicated, silent_groups } = await stream.stop();
  return { ...figures, sent, lost, duplicated, silent_groups };
}

export async function handover(context) {
  const options = { repeats: 1, daemon: { probe: true } };
  const runs = await interleaved(context, (subject, base) => underTraffic(context, subject, base), options);
  return summarize(runs, ['lost', 'duplicated', 'silent_groups'], 'cpu_per_change_ms');
}
