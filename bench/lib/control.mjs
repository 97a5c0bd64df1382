/** Changes of an interface's owner through the daemon's control socket, and how long each kept IGMP paused. */
import { join } from 'node:path';

const CLIENT = join(import.meta.dirname, '../../dist/control/client.js');
const RESYNC_LIMIT_MS = 5000;

export async function openControl(subject) {
  const { ControlClient } = await import(CLIENT);
  return ControlClient.connect(subject.socketPath);
}

/** Hands `name` over and waits until IGMP has added its memberships again, which is when the change is over. */
export async function handOver(client, name, [from, to]) {
  const resynced = nextEvent(client, 'interface.resynced');
  const answer = await client.call('handover', { interface: name, from, to });
  await resynced;
  return answer;
}

function nextEvent(client, evt) {
  return new Promise((resolve, reject) => {
    const limit = setTimeout(() => reject(new Error(`no ${evt} within ${RESYNC_LIMIT_MS} ms`)), RESYNC_LIMIT_MS);
    const forget = client.onEvent((event) => {
      if (event.evt !== evt) return;
      clearTimeout(limit);
      forget();
      resolve(event);
    });
  });
}

/** Runs `work(client)`; returns each igmp.disabled to igmp.enabled, in milliseconds of the daemon's clock. */
export async function pausesOf(subject, work) {
  const client = await openControl(subject);
  const pauses = [];
  let disabledMs;
  client.onEvent((event) => {
    if (event.evt === 'igmp.disabled') disabledMs = event.atMs;
    if (event.evt === 'igmp.enabled' && disabledMs !== undefined) pauses.push(event.atMs - disabledMs);
  });
  await client.call('monitor.start');
  try {
    await work(client);
  } finally {
    client.close();
  }
  return pauses;
}
