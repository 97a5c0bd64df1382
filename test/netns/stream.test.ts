/**
 * A real television stream (ffmpeg: MPEG-TS with video and sound over UDP) through the proxy to a receiver, while things
 * happen that must not touch it. The judge is the continuity counter of every packet that came.
 */
// needs: ffmpeg
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import { ControlClient } from '../../src/control/client.js';
import type { Child } from '../support/child.js';
import type { Daemon } from '../support/daemon.js';
import { eventually } from '../support/eventually.js';
import { Member } from '../support/member.js';
import { continuityOf } from '../support/mpeg-ts.js';
import { type Namespace, type Net, netnsTest } from '../support/topology.js';

const G = '239.1.1.1';
const PORT = 5000;
const SOURCE = '10.0.1.2';
const RECORDER = fileURLToPath(new URL('../support/helpers/recorder.py', import.meta.url));

/** Two megabits per second with null packets in between, as a broadcaster sends it: seven packets in a datagram. */
const ENCODER = [
  ...['-nostdin', '-hide_banner', '-loglevel', 'error', '-re'],
  ...['-f', 'lavfi', '-i', 'testsrc2=size=320x240:rate=25', '-f', 'lavfi', '-i', 'sine=frequency=440'],
  ...['-c:v', 'mpeg2video', '-b:v', '1500k', '-maxrate', '1500k', '-bufsize', '500k', '-c:a', 'mp2'],
  ...['-f', 'mpegts', '-muxrate', '2000k', '-flush_packets', '1'],
  `udp://${G}:${PORT}?pkt_size=1316&ttl=8&localaddr=${SOURCE}`,
];

class Recorder {
  readonly #child: Child;
  readonly #file: string;

  constructor(child: Child, file: string) {
    this.#child = child;
    this.#file = file;
  }

  /** What came while `body` ran. */
  async during(body: () => Promise<void>): Promise<Uint8Array> {
    await this.more(100_000);
    await this.#ask(`record ${this.#file}`);
    await body();
    await this.more(100_000);
    await this.#ask('stop');
    return readFileSync(this.#file);
  }

  /** Waits for so many bytes more. */
  async more(bytes: number): Promise<void> {
    const before = await this.#ask('count');
    await eventually(`${bytes} bytes more`, async () => (await this.#ask('count')) >= before + bytes, {
      withinMs: 20_000,
      everyMs: 50,
    });
  }

  async #ask(command: string): Promise<number> {
    this.#child.tell(command);
    return (JSON.parse(await this.#child.line()) as { received: number }).received;
  }
}

interface Scene {
  readonly router: Namespace;
  readonly second: Namespace;
  readonly host: Namespace;
  readonly daemon: Daemon;
  readonly recorder: Recorder;
}

/** A source on the first upstream, something on the second, a receiver behind the proxy; the stream arrives. */
async function scene(net: Net): Promise<Scene> {
  const router = net.router('router');
  const [source, second] = [net.host('source', router, 'wan1', '10.0.1'), net.host('second', router, 'wan2', '10.0.2')];
  const host = net.host('host', router, 'lan', '10.2.0');
  const daemon = await router.daemon(
    (socket) => `
control: { socket: ${socket} }
interfaces:
  wan1: { owner: proxy }
  wan2: { owner: proxy }
  lan: { owner: proxy, igmp: { queryInterval: 4s, queryResponseInterval: 1s } }
proxy:
  upstreams:
    - { interface: wan1, groups: [{ allow: 239.1.0.0/16 }] }
    - { interface: wan2 }
static: { red: {} }
`,
  );
  await host.linksPass();
  const child = host.spawn('/usr/bin/python3', [RECORDER, '10.2.0.2', G, String(PORT)]);
  await child.line();
  const recorder = new Recorder(child, join(net.temporaryDirectory(), 'stream.ts'));
  source.spawn('ffmpeg', ENCODER);
  await recorder.more(100_000);
  return { router, second, host, daemon, recorder };
}

interface ProxyGroupRow {
  readonly group: string;
  readonly held: boolean;
}

interface UpstreamRow {
  readonly interface: string;
  readonly state: string;
}

function isComplete(stream: Uint8Array): void {
  const { pids, packets, errors, duplicates, unsynchronised } = continuityOf(stream);
  process.stderr.write(`stream: ${packets} packets, PIDs ${[...pids.keys()].join(' ')}, ${errors.length} errors\n`);
  expect({ errors, duplicates, unsynchronised }).toEqual({ errors: [], duplicates: 0, unsynchronised: 0 });
  expect(packets).toBeGreaterThan(1000);
  // two tables, the description of the service, video, sound
  expect([...pids.keys()].sort((a, b) => a - b)).toEqual([0, 17, 256, 257, 4096]);
}

netnsTest(
  'a television stream through the proxy has no continuity error while a second upstream goes down and up (IGMP-150)',
  async (net) => {
    // given a stream from the first upstream, and a group asked for on the second
    const { router, second, host, daemon, recorder } = await scene(net);
    const other = await Member.start(host, '10.2.0.2');
    await other.join('239.9.9.9');
    await second.sender({ from: '10.0.2.2', groups: ['239.9.9.9'], ratePerSec: 200 });
    await other.gets('10.0.2.2', '239.9.9.9');
    const state = () =>
      daemon.ctl<UpstreamRow[]>('show', 'igmp', 'proxy', 'upstreams').find((row) => row.interface === 'wan2')?.state;
    // when the second upstream loses its cable, and is switched off, five times
    const stream = await recorder.during(async () => {
      for (let flap = 0; flap < 5; flap++) {
        const [namespace, device] = flap % 2 === 0 ? [second, 'eth0'] : [router, 'wan2'];
        namespace.ip('link', 'set', device, 'down');
        await eventually('the second upstream to be down', () => state() === 'down');
        namespace.ip('link', 'set', device, 'up');
        await eventually('the second upstream to be up', () => state() === 'up');
        second.ip('route', 'replace', 'default', 'via', '10.0.2.1');
        await other.gets('10.0.2.2', '239.9.9.9');
      }
    });
    // then
    isComplete(stream);
  },
);

netnsTest(
  'a television stream has no continuity error while the receiver side changes hands twenty times between the proxy and a static instance (MGM-OWN-18)',
  async (net) => {
    // given a stream
    const { daemon, recorder } = await scene(net);
    const control = await ControlClient.connect(daemon.controlSocket);
    const held = async () =>
      (await control.rows<ProxyGroupRow>('igmp.proxy')).some((row) => row.group === G && row.held);
    // when
    const stream = await recorder.during(async () => {
      for (let n = 0; n < 20; n++) {
        const [from, to] = n % 2 === 0 ? ['proxy', 'red'] : ['red', 'proxy'];
        daemon.ctl('handover', 'lan', '--from', from!, '--to', to!);
        // whoever owns the receivers' side: the proxy goes on asking for what they want
        expect(await held()).toBe(true);
      }
    });
    // then
    isComplete(stream);
    expect(daemon.ctl<{ name: string; owner: string }[]>('show', 'interfaces')).toContainEqual(
      expect.objectContaining({ name: 'lan', owner: 'proxy' }),
    );
  },
);
