/**
 * 10,000 groups joined in one burst while all their streams flow, by v3 reports of 180 records and by v2 reports.
 * `last_refused_ms` is when the last packet did not come out: groups are asked in random order, so that is close to
 * the truth. `all_seen_ms` is when a packet of every group had come out; asking all takes the generator 40 to 80 ms.
 */
import { ratio, summarize } from './lib/figures.mjs';
import { interleaved } from './lib/interleaved.mjs';
import { traffic } from './lib/traffic.mjs';

export const GROUPS = 10_000;
const COUNTS = ['never', 'lost', 'duplicated', 'early'];

async function oneVersion(context, version) {
  const runs = await interleaved(context, async (subject, base) => {
    const run = await traffic(context.reference, 'burst', subject, { groups: GROUPS, version, base });
    const { primed, last_refused_ms, all_forward_ms: all_seen_ms, reports_sent_ms, cpu_ms, cpu_settled_ms } = run;
    const counts = Object.fromEntries(COUNTS.map((key) => [key, run[key]]));
    return { primed, last_refused_ms, all_seen_ms, reports_sent_ms, cpu_ms, cpu_settled_ms, ...counts };
  });
  const figures = summarize(runs, COUNTS, 'cpu_settled_ms');
  return {
    ...figures,
    ratio_time: figures.daemon ? ratio(figures.daemon.last_refused_ms, figures.reference.last_refused_ms) : null,
  };
}

export const burst = async (context) => ({ v3: await oneVersion(context, 3), v2: await oneVersion(context, 2) });
