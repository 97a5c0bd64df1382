/**
 * The promise of D-OWN-10 in namespaces: the real daemon, real streams, an interface that changes its owner again and
 * again, as outgoing and as incoming interface. Counted by the receiver; the pauses are checked on the wire and in the
 * daemon's own count of membership calls.
 */
import { expect } from 'vitest';
import type { Daemon } from '../support/daemon.js';
import { eventually } from '../support/eventually.js';
import { type Net, netnsTest } from '../support/topology.js';
import type { Receiver, Sender } from '../support/traffic.js';

interface Scene {
  readonly daemon: Daemon;
  readonly sender: Sender;
  readonly receiver: Receiver;
  /** Packets dropped while the entries were made: the kernel keeps four per new flow (linux.md B5). */
  readonly lostBefore: number;
}

const config = (socket: string) => `
control: { socket: ${socket} }
log: { level: info }
interfaces:
  send: { igmp: true }
  recv: { igmp: { maxGroups: 0 } }
static:
  red: {}
  blue: {}
`;

/** A sender's LAN, the router, a receiver's LAN with a live host; resolves when every stream arrives. */
async function streams(net: Net, groups: number, ratePerSec: number): Promise<Scene> {
  const router = net.router('router');
  const source = net.host('source', router, 'send', '10.1.0');
  const host = net.host('host', router, 'recv', '10.2.0');
  const daemon = await router.daemon(config);
  const receiver = await host.receiver({ address: '10.2.0.2' });
  const range = { first: '239.1.0.1', count: groups };
  await receiver.joinAll(range.first, range.count);
  await eventually(`${groups} groups in the manager`, () => daemon.ctl<unknown[]>('show', 'groups').length >= groups, {
    withinMs: 20_000,
    everyMs: 200,
  });
  const sender = await source.sender({ from: '10.1.0.2', groups: range, ratePerSec });
  const { lost: lostBefore } = await eventually(
    `${groups} streams at the receiver`,
    async () => {
      const report = await receiver.report();
      return report.flows === groups && report.received > 4 * groups ? report : undefined;
    },
    { withinMs: 30_000, everyMs: 200 },
  );
  return { daemon, sender, receiver, lostBefore };
}

interface Counters {
  readonly [name: string]: number;
}

/** IGMP alone -> red -> blue -> red -> ... -> IGMP alone: as many changes of owner as there are names, plus one. */
async function changeHands({ daemon }: Scene, ifname: string, times: number): Promise<void> {
  daemon.ctl('take', ifname, '--by', 'red');
  for (let n = 0; n < times; n++) {
    const [from, to] = n % 2 === 0 ? ['red', 'blue'] : ['blue', 'red'];
    daemon.ctl('handover', ifname, '--from', from, '--to', to);
  }
  daemon.ctl('release', ifname);
  await resynced(daemon, ifname);
}

async function resynced(daemon: Daemon, ifname: string): Promise<void> {
  await eventually(`${ifname} to be steady`, () =>
    daemon
      .ctl<{ name: string; phase: string }[]>('show', 'interfaces')
      .some(({ name, phase }) => name === ifname && phase === 'steady'),
  );
}

async function nothingLost({ sender, receiver, lostBefore }: Scene): Promise<void> {
  await sender.stop();
  let before = await receiver.report();
  const after = await eventually('the last packets to be read', async () => {
    const report = await receiver.report();
    const still = report.received === before.received;
    before = report;
    return still ? report : undefined;
  });
  expect({ lost: after.lost - lostBefore, duplicated: after.duplicated }).toEqual({ lost: 0, duplicated: 0 });
}

/** With 10,000 streams: bench/handover.mjs. */
for (const [groups, ratePerSec, times] of [
  [1, 2_000, 20],
  [2_000, 10_000, 10],
] as const) {
  for (const ifname of ['recv', 'send'] as const) {
    const role = ifname === 'recv' ? 'outgoing' : 'incoming';
    netnsTest(
      `when the ${role} interface changes owner ${times} times under ${groups} streams, nothing is lost or duplicated (MGM-OWN-18)`,
      async (net) => {
        // given live hosts and streams that all arrive
        const scene = await streams(net, groups, ratePerSec);
        const before = scene.daemon.ctl<Counters>('show', 'counters');
        // when the interface changes hands, in both directions, with a live IGMP beside every owner
        await changeHands(scene, ifname, times);
        // then the receiver has every packet once, and the agent made no membership call for all of it
        await nothingLost(scene);
        const after = scene.daemon.ctl<Counters>('show', 'counters');
        for (const call of ['membership.joins', 'membership.leaves', 'membership.filters'])
          expect(after[call], call).toBe(before[call]);
      },
      300_000,
    );
  }
}
