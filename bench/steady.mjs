/**
 * 10,000 groups through two query intervals: each query is answered for all of them, a few packets flow. Ten seconds an
 * interval instead of 125, so what the router does per interval is told as well as what that is of a core by default.
 */
import { GROUPS } from './burst.mjs';
import { summarize } from './lib/figures.mjs';
import { interleaved } from './lib/interleaved.mjs';
import { traffic } from './lib/traffic.mjs';

const INTERVAL_MS = 10_000;
const DEFAULT_INTERVAL_MS = 125_000;
const STEADY = { groups: GROUPS, pps: 1000, interval: INTERVAL_MS, answer: 5000, intervals: 2 };
const IGMP = { queryInterval: '10s', queryResponseInterval: '5s' };

async function twoIntervals(context, subject, base) {
  const joined = await traffic(context.reference, 'burst', subject, { groups: GROUPS, prime: 0, base });
  const run = await traffic(context.reference, 'steady', subject, { ...STEADY, base });
  const perIntervalMs = (run.router_cpu_percent / 100) * INTERVAL_MS;
  return {
    never: joined.never,
    cpu_per_interval_ms: perIntervalMs,
    cpu_percent: (perIntervalMs / DEFAULT_INTERVAL_MS) * 100,
    lost: run.lost,
    silent_groups: run.silent_groups,
  };
}

export async function steady(context) {
  const options = { repeats: 1, daemon: { igmp: IGMP } };
  const runs = await interleaved(context, (subject, base) => twoIntervals(context, subject, base), options);
  return summarize(runs, ['never', 'lost', 'silent_groups'], 'cpu_per_interval_ms');
}
