/**
 * 10,000 groups joined in one burst while all their streams flow, by v3 reports of 180 records and by v2 reports: the
 * first burst after the start, and one of 10,000 further groups after it (`warm_`), when the code has been compiled.
 *
 * `last_refused_ms` is when the last packet did not come out: groups are asked in random order, so that is close to
 * the truth. `all_seen_ms` is when a packet of every group had come out; asking all takes the generator 40 to 80 ms.
 */
import { ratio, summarize } from './lib/figures.mjs';
import { interleaved } from './lib/interleaved.mjs';
import { traffic } from './lib/traffic.mjs';

export const GROUPS = 10_000;
const COUNTS = ['never', 'lost', 'duplicated', 'early'];

async function twoBursts(context, version, subject, base) {
  const run = (from) => traffic(context.reference, 'burst', subject, { groups: GROUPS, version, base: from });
  const first = await run(base);
  const second = await run(base + GROUPS);
  return {
    primed: Math.min(first.primed, second.primed),
    last_refused_ms: first.last_refused_ms,
    all_seen_ms: first.all_forward_ms,
    reports_sent_ms: first.reports_sent_ms,
    cpu_ms: first.cpu_settled_ms,
    warm_last_refused_ms: second.last_refused_ms,
    warm_all_seen_ms: second.all_forward_ms,
    warm_cpu_ms: second.cpu_settled_ms,
    ...Object.fromEntries(COUNTS.map((key) => [key, first[key] + second[key]])),
  };
}

async function oneVersion(context, version) {
  const runs = await interleaved(context, (subject, base) => twoBursts(context, version, subject, base));
  const figures = summarize(runs, COUNTS, 'cpu_ms');
  const { daemon, reference } = figures;
  if (!daemon) return figures;
  const of = (key) => ratio(daemon[key], reference[key]);
  return { ...figures, ratio_warm: of('warm_cpu_ms'), ratio_time: of('last_refused_ms') };
}

export const burst = async (context) => ({ v3: await oneVersion(context, 3), v2: await oneVersion(context, 2) });
