/** Changes of an interface's owner through the daemon's control socket, and how long each kept IGMP paused. */
import { join } from 'node:path';
import { sleep } from './subjects.mjs';

const CLIENT = join(import.meta.dirname, '../../dist/control/client.js');
const RESYNC_LIMIT_MS = 10_000;
const LOOK_MS = 10;

export async function openControl(subject) {
  const { ControlClient } = await import(CLIENT);
  return ControlClient.connect(subject.socketPath);
}

/**
 * Hands `name` over and waits until IGMP has added its memberships again, which is when the change is over. Asks for it
 * instead of listening: a listener gets an event for each membership, which costs the daemon more than the change.
 */
export async function handOver(client, name, [from, to]) {
  const startedMs = performance.now();
  await client.call('handover', { interface: name, from, to });
  const answeredMs = performance.now() - startedMs;
  const limit = startedMs + RESYNC_LIMIT_MS;
  for (;;) {
    const on = (await client.rows('interfaces')).find((row) => row.name === name);
    if (on?.phase === 'steady') return answeredMs;
    if (performance.now() > limit)
      throw new Error(`${name} is still in phase ${on?.phase} after ${RESYNC_LIMIT_MS} ms`);
    await sleep(LOOK_MS);
  }
}

/** Runs `work()` and returns what each igmp.disabled to igmp.enabled took, in milliseconds of the daemon's clock. */
export async function pausesOf(client, work) {
  const pauses = [];
  let disabledMs;
  const forget = client.onEvent((event) => {
    if (event.evt === 'igmp.disabled') disabledMs = event.atMs;
    if (event.evt === 'igmp.enabled' && disabledMs !== undefined) pauses.push(event.atMs - disabledMs);
  });
  await client.call('monitor.start');
  await work();
  await client.call('monitor.stop');
  forget();
  return pauses;
}
