/** Reference and daemon take turns in fresh topologies, so that a busy minute of the machine hits both. */

import { sleep, startDaemon, startReference } from './subjects.mjs';
import { resetTopology } from './topology.mjs';
import { freshBase } from './traffic.mjs';

/** Long enough for the start-up queries to be out. */
const SETTLE_MS = 400;

async function once(start, measure) {
  resetTopology();
  const subject = await start();
  try {
    await sleep(SETTLE_MS);
    return await measure(subject, freshBase());
  } finally {
    await subject.stop();
  }
}

/** `measure(subject, base)` gives one run's figures. Without a daemon (`--reference`) its list is empty. */
export async function interleaved(context, measure, { repeats = context.repeats, daemon = {}, reference = {} } = {}) {
  const nodeArgs = context.profiles ? ['--cpu-prof', `--cpu-prof-dir=${context.profiles}`] : [];
  const runs = { reference: [], daemon: [] };
  for (let i = 0; i < repeats; i++) {
    runs.reference.push(await once(() => startReference(context.reference, reference), measure));
    if (!context.referenceOnly) runs.daemon.push(await once(() => startDaemon({ ...daemon, nodeArgs }), measure));
  }
  return runs;
}
