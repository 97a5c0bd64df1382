/** Host report to first forwarded packet: a stream flows, a host reports, when does the first packet leave towards it? */
import { summarize, sums } from './lib/figures.mjs';
import { interleaved } from './lib/interleaved.mjs';
import { traffic } from './lib/traffic.mjs';

/** A packet every 20 us, so that waiting for the next one adds 10 us on average to both. */
const SETTINGS = { rounds: 200, gap: 20 };

async function bothVersions(context, subject, base) {
  const run = (version) =>
    traffic(context.reference, 'first-packet', subject, { ...SETTINGS, version, base: base + version * 1000 });
  const v3 = await run(3);
  const v2 = await run(2);
  const counts = sums([v3, v2], 'failed', 'early', 'lost', 'duplicated');
  return { v3_p50_us: v3.p50, v3_p99_us: v3.p99, v2_p50_us: v2.p50, v2_p99_us: v2.p99, ...counts };
}

export async function firstPacket(context) {
  const runs = await interleaved(context, (subject, base) => bothVersions(context, subject, base));
  return summarize(runs, ['failed', 'early', 'lost', 'duplicated'], 'v3_p50_us');
}
