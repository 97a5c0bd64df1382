/** Another program with CAP_NET_ADMIN takes vifs, entries or modes away from the running daemon: noticed, mended and said (C5). */
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import type { Daemon } from '../support/daemon.js';
import { eventually } from '../support/eventually.js';
import { Member } from '../support/member.js';
import { type Namespace, type Net, netnsTest } from '../support/topology.js';

const BREAKER = fileURLToPath(new URL('../support/helpers/table-breaker.py', import.meta.url));
/** The issue asks for a second; the rest is for a busy machine. */
const SOON = { withinMs: 2500 };
const [SOURCE, GROUP] = ['10.1.0.2', '239.1.1.1'];

const config = (socket: string): string => `
control: { socket: ${socket} }
interfaces:
  lan-a: { owner: video, igmp: true }
  lan-b: { owner: video, igmp: true }
static:
  video: {}
`;

interface Place {
  readonly router: Namespace;
  readonly daemon: Daemon;
  readonly member: Member;
  readonly breaks: (...words: string[]) => string;
}

/** A stream from a to a host that has joined it at b. */
async function streaming(net: Net): Promise<Place> {
  const router = net.router('router');
  const [a, b] = [net.host('a', router, 'lan-a', '10.1.0'), net.host('b', router, 'lan-b', '10.2.0')];
  const daemon = await router.daemon(config);
  const member = await Member.start(b, '10.2.0.2');
  await member.join(GROUP);
  await a.sender({ from: SOURCE, groups: [GROUP], ratePerSec: 200, ttl: 8 });
  await member.gets(SOURCE, GROUP, 50);
  const breaks = (...words: string[]) => router.run('python3', BREAKER, ...words).trim();
  expect(table(router)).toEqual(WHOLE);
  expect(breaks('modes')).toBe('1 0');
  return { router, daemon, member, breaks };
}

/** What the kernel has: "number device" of vifs, and where the flow comes in and leaves. */
function table(router: Namespace): { vifs: readonly string[]; entries: readonly string[] } {
  const rows = (file: string) =>
    router
      .run('cat', `/proc/net/${file}`)
      .trim()
      .split('\n')
      .slice(1)
      .map((row) => row.trim().split(/\s+/));
  const vifs = rows('ip_mr_vif').map(([number, device]) => `${number} ${device}`);
  const nameOf = (number: string) => vifs.find((vif) => vif.startsWith(`${number} `))?.split(' ')[1];
  const entries = rows('ip_mr_cache').map(([, , iif, , , , ...oifs]) => {
    const out = oifs.map((oif) => nameOf(oif.split(':')[0]!));
    return `${nameOf(iif!)} -> ${out.join()}`;
  });
  return { vifs, entries };
}

const WHOLE = { vifs: ['0 lan-a', '1 lan-b'], entries: ['lan-a -> lan-b'] };

/** The table is as it was, and packets pass again. */
async function isMended({ router, member }: Place): Promise<void> {
  await eventually(
    'the table to be as it was',
    () => JSON.stringify(table(router)) === JSON.stringify(WHOLE) || Promise.reject(new Error(router.state())),
    SOON,
  );
  const { received } = await member.flow(SOURCE, GROUP);
  await member.gets(SOURCE, GROUP, received + 50);
}

const told = ({ daemon }: Place, why: string) =>
  daemon
    .events('kernel.repaired')
    .filter((line) => line['why'] === why)
    .map(({ ifname }) => ifname);

netnsTest(
  'somebody deletes the vifs: they come back with the entries that name them, and it is said (C5)',
  async (net) => {
    const place = await streaming(net);
    place.breaks('del-vif', '0', '1');
    await isMended(place);
    expect([...told(place, 'vif')].sort()).toEqual(['lan-a', 'lan-b']);
    // and again for one of them
    place.breaks('del-vif', '1');
    await isMended(place);
    expect(told(place, 'vif')).toHaveLength(3);
  },
);

netnsTest(
  'somebody adds a second vif to a device, which takes its input: it is removed, and said (C5)',
  async (net) => {
    const place = await streaming(net);
    place.breaks('add-vif', '7', 'lan-a');
    await isMended(place);
    expect(told(place, 'vif')).toEqual(['lan-a']);
  },
);

netnsTest('somebody switches modes of the table: they are as they were, and it is said (C5)', async (net) => {
  const place = await streaming(net);
  for (const mode of [
    ['assert', '0'],
    ['pim', '1'],
  ]) {
    const before = told(place, 'mode').length;
    place.breaks('mode', ...mode);
    await eventually('the modes to be as they were', () => place.breaks('modes') === '1 0', SOON);
    await eventually('a line about it', () => told(place, 'mode').length > before, SOON);
  }
  await isMended(place);
});

netnsTest(
  'somebody gives the table up through a copy of the socket: taken back with all in it, and said (C5)',
  async (net) => {
    const place = await streaming(net);
    place.breaks('done', String(place.daemon.process.pid));
    await isMended(place);
    expect(place.breaks('modes')).toBe('1 0');
    expect(told(place, 'table')).toHaveLength(1);
    // and mgmd is still its only owner: a program that wants it is refused
    expect(place.daemon.process.running()).toBe(true);
    expect(await place.daemon.stop()).toBe(0);
  },
);
