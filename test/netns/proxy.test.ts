/**
 * The proxy on the real kernel: an upstream LAN with a source (and what a router there would see), a router with the real
 * daemon, two downstream LANs with hosts. The judge on the upstream is tcpdump with tshark.
 */
import { expect } from 'vitest';
import { Capture } from '../support/capture.js';
import type { Daemon } from '../support/daemon.js';
import { eventually } from '../support/eventually.js';
import { type Namespace, type Net, netnsTest } from '../support/topology.js';
import type { Receiver } from '../support/traffic.js';

const G = '239.1.1.1';
const SOURCE = '10.0.0.2';

interface Scene {
  readonly isp: Namespace;
  readonly router: Namespace;
  readonly lans: readonly [Namespace, Namespace];
  readonly wire: Capture;
  readonly daemon: Daemon;
}

interface Options {
  /** Keys of the proxy section beside `upstreams`. */
  readonly proxy?: string;
  /** Keys of the upstream. */
  readonly upstream?: string;
  /** Keys of `igmp` on the downstreams. */
  readonly igmp?: string;
  /** More of the file. */
  readonly more?: string;
}

/** Timers short enough for a test; hosts answer within a second. */
const QUICK =
  'queryInterval: 4s, queryResponseInterval: 1s, lastMemberQueryInterval: 200ms, startupQueryInterval: 200ms';

/** isp (10.0.0.2) - wan router lan1 (10.1.0.1), lan2 (10.2.0.1) - hosts with address .2. */
async function scene(net: Net, { proxy = '', upstream = '', igmp = QUICK, more = '' }: Options = {}): Promise<Scene> {
  const router = net.router('router');
  const isp = net.namespace('isp');
  net.link([router, 'wan', '10.0.0.1/24'], [isp, 'eth0', `${SOURCE}/24`]);
  const lans = [net.host('one', router, 'lan1', '10.1.0'), net.host('two', router, 'lan2', '10.2.0')] as const;
  const wire = await Capture.start(net, isp, 'eth0');
  const daemon = await router.daemon(
    (socket) => `
control: { socket: ${socket} }
interfaces:
  wan: { owner: proxy }
  lan1: { owner: proxy, igmp: { ${igmp} } }
  lan2: { owner: proxy, igmp: { ${igmp} } }
proxy:
  upstreams: [{ interface: wan, ${upstream} }]
  ${proxy}
${more}
`,
  );
  return { isp, router, lans, wire, daemon };
}

/** Records of v3 reports on the upstream about groups that are no link-local ones, in order, repeats left out. */
function records({ wire }: Pick<Scene, 'wire'>): readonly string[] {
  const all = wire.packets().flatMap((packet) => packet.records);
  const wanted = all.filter((record) => !record.includes(' 224.0.0.'));
  return wanted.filter((record, at) => wanted.indexOf(record) === at);
}

async function reported(on: Scene, ...wanted: readonly string[]): Promise<void> {
  await eventually(`the upstream to see ${wanted.join(', ')}`, () => wanted.every((one) => records(on).includes(one)), {
    withinMs: 10_000,
    everyMs: 100,
  });
}

/** Waits until more packets have come in than now. */
async function receives(receiver: Receiver, what: string): Promise<void> {
  const before = (await receiver.report()).received;
  await eventually(what, async () => (await receiver.report()).received > before + 5);
}

netnsTest(
  'IGMP-141 IGMP-142 IGMP-147 the first member is reported upstream, the stream comes, the last leave is reported',
  async (net) => {
    const on = await scene(net);
    const [one, two] = [
      await on.lans[0].receiver({ address: '10.1.0.2' }),
      await on.lans[1].receiver({ address: '10.2.0.2' }),
    ];
    const stream = await on.isp.sender({ from: SOURCE, groups: [G], ratePerSec: 200 });
    await one.join(G);
    await reported(on, `TO_EX ${G}`);
    await receives(one, 'the stream on the first LAN');
    // a second member: nothing upstream
    await two.join(G);
    await receives(two, 'the stream on the second LAN');
    await one.leave(G);
    await two.leave(G);
    await reported(on, `TO_IN ${G}`);
    expect(records(on)).toEqual([`TO_EX ${G}`, `TO_IN ${G}`]);
    await stream.stop();
  },
);
