/**
 * 10,000 groups joined in one burst of v3 reports, each of which is also asked upstream: by the proxy as a host, through the
 * kernel. `joined_ms` is when the kernel has joined the last of them; it is looked at every 5 ms. All their streams flow.
 */
import { openSync, closeSync, readSync } from 'node:fs';
import { GROUPS } from './burst.mjs';
import { summarize } from './lib/figures.mjs';
import { interleaved } from './lib/interleaved.mjs';
import { sleep } from './lib/subjects.mjs';
import { startTraffic } from './lib/traffic.mjs';

const LOOK_MS = 5;
const LIMIT_MS = 20_000;

/** How many groups the router's host side has joined on `send`: the first lines of /proc/net/igmp say it. */
function joinedOnSend(pid) {
  const file = openSync(`/proc/${pid}/net/igmp`, 'r');
  const head = Buffer.alloc(2048);
  readSync(file, head);
  closeSync(file);
  return Number(/\bsend +: +(\d+)/.exec(head.toString('latin1'))?.[1] ?? 0);
}

/** Waits until the first group is there, then until all are. */
async function watchJoins(pid) {
  const before = joinedOnSend(pid);
  const limit = performance.now() + LIMIT_MS;
  let firstMs;
  for (;;) {
    const joined = joinedOnSend(pid) - before;
    if (joined > 0) firstMs ??= performance.now();
    if (joined >= GROUPS) return performance.now() - firstMs;
    if (performance.now() > limit) throw new Error(`only ${joined} of ${GROUPS} groups were joined upstream`);
    await sleep(LOOK_MS);
  }
}

async function joinedUpstream(context, subject, base) {
  const traffic = startTraffic(context.reference, 'burst', subject, { groups: GROUPS, version: 3, base });
  const [joinedMs, run] = await Promise.all([watchJoins(subject.pid), traffic.result]);
  return {
    last_refused_ms: run.last_refused_ms,
    joined_ms: joinedMs,
    cpu_ms: run.cpu_settled_ms,
    never: run.never,
    lost: run.lost,
    duplicated: run.duplicated,
  };
}

export async function upstream(context) {
  const options = { daemon: { owners: 'proxy' }, reference: { words: ['upstream=send'] } };
  const runs = await interleaved(context, (subject, base) => joinedUpstream(context, subject, base), options);
  return summarize(runs, ['never', 'lost', 'duplicated'], 'cpu_ms');
}
