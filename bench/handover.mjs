/**
 * 20 hand-overs of the receivers' interface with 10,000 groups while their streams flow at 20,000 packets/s. The
 * reference rewrites all entries in place instead: the most that a change of owner could have to do to the kernel.
 */

import { GROUPS } from './burst.mjs';
import { handOver, pausesOf } from './lib/control.mjs';
import { median, summarize } from './lib/figures.mjs';
import { interleaved } from './lib/interleaved.mjs';
import { sleep } from './lib/subjects.mjs';
import { startTraffic, traffic } from './lib/traffic.mjs';

const ROUNDS = 20;
const SPACING_MS = 150;
const STREAM = { groups: GROUPS, pps: 20_000, ms: ROUNDS * (SPACING_MS + 150) };

async function rewrites(subject) {
  const times = [];
  for (let i = 0; i < ROUNDS; i++, await sleep(SPACING_MS)) times.push((await subject.rewrite()) / 1000);
  return { pause_p50_ms: median(times), pause_max_ms: Math.max(...times) };
}

/** From one static instance to the other and back; the pause is igmp.disabled to igmp.enabled. */
async function handOvers(subject) {
  await subject.ask('reset');
  const pauses = await pausesOf(subject, async (session) => {
    for (let i = 0; i < ROUNDS; i++, await sleep(SPACING_MS)) {
      await handOver(session, 'recv', i % 2 ? ['two', 'one'] : ['one', 'two']);
    }
  });
  const loop = await subject.ask('loop');
  return {
    pauses: pauses.length,
    pause_p50_ms: median(pauses),
    pause_max_ms: Math.max(...pauses),
    loop_p99_ms: loop.p99Ms,
    loop_max_ms: loop.maxMs,
  };
}

async function underTraffic(context, subject, base) {
  const joined = await traffic(context.reference, 'burst', subject, { groups: GROUPS, prime: 0, base });
  if (joined.never) throw new Error(`${joined.never} of ${GROUPS} groups do not forward before the hand-over`);
  const stream = startTraffic(context.reference, 'stream', subject, { ...STREAM, base });
  await stream.started;
  const changes = await (subject.rewrite ? rewrites(subject) : handOvers(subject));
  const { sent, lost, duplicated, silent_groups, router_cpu_percent } = await stream.result;
  return { ...changes, sent, lost, duplicated, silent_groups, router_cpu_percent };
}

export async function handover(context) {
  const options = { repeats: 1, daemon: { probe: true } };
  const runs = await interleaved(context, (subject, base) => underTraffic(context, subject, base), options);
  return { changes: ROUNDS, ...summarize(runs, ['lost', 'duplicated', 'silent_groups'], 'pause_p50_ms') };
}
