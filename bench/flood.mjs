/**
 * 100,000 v2 reports per second for 10,000 joined groups, for five seconds, while 1,000 packets per second flow: what it
 * costs, how long the event loop keeps others waiting, and whether a packet or a group is lost.
 */
import { GROUPS } from './burst.mjs';
import { openControl } from './lib/control.mjs';
import { summarize } from './lib/figures.mjs';
import { interleaved } from './lib/interleaved.mjs';
import { traffic } from './lib/traffic.mjs';

const FLOOD = { groups: GROUPS, pps: 1000, rate: 100_000, ms: 5000 };

/** v2 reports that the daemon has handled so far. */
async function handled(client) {
  const [recv] = (await client.rows('igmp.statistics')).filter((row) => row.interface === 'recv');
  return recv.received.reportsV2;
}

async function insideDaemon(subject, run) {
  const client = await openControl(subject);
  const before = await handled(client);
  await subject.ask('reset');
  const figures = await run();
  const loop = await subject.ask('loop');
  const share = ((await handled(client)) - before) / figures.reports;
  client.close();
  return { ...figures, loop_p99_ms: loop.p99Ms, loop_max_ms: loop.maxMs, handled_percent: share * 100 };
}

async function flooded(context, subject, base) {
  const joined = await traffic(context.reference, 'burst', subject, { groups: GROUPS, prime: 0, base });
  const run = () => traffic(context.reference, 'flood', subject, { ...FLOOD, base });
  const figures = await (subject.ask ? insideDaemon(subject, run) : run());
  const { reports, reports_per_s, lost, router_cpu_percent } = figures;
  const { loop_p99_ms, loop_max_ms, handled_percent } = figures;
  return {
    never: joined.never,
    reports,
    reports_per_s,
    cpu_percent: router_cpu_percent,
    loop_p99_ms,
    loop_max_ms,
    handled_percent,
    lost,
  };
}

export async function flood(context) {
  const options = { repeats: 1, daemon: { probe: true } };
  const runs = await interleaved(context, (subject, base) => flooded(context, subject, base), options);
  return summarize(runs, ['never', 'lost'], 'cpu_percent');
}
