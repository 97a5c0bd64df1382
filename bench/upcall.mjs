/**
 * Upcall to entry: a wanted group's stream begins; four packets back to back, as many as the kernel holds meanwhile.
 * The time is packet in to packet out, so it holds the kernel's part (about 10 us) as well.
 */
import { summarize } from './lib/figures.mjs';
import { interleaved } from './lib/interleaved.mjs';
import { traffic } from './lib/traffic.mjs';

export async function upcall(context) {
  const runs = await interleaved(context, async (subject, base) => {
    const run = await traffic(context.reference, 'upcall', subject, { flows: 1000, train: 4, base });
    const { p50, p99, max, missing_flows, lost_first_packets } = run;
    return { p50_us: p50, p99_us: p99, max_us: max, missing_flows, lost_first_packets };
  });
  return summarize(runs, ['missing_flows', 'lost_first_packets'], 'p50_us');
}
