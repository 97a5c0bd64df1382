/**
 * Bridges with IGMP snooping: as the router's own interface, and as a switch between router and hosts (linux.md I; F33, F34).
 * The bridge's timers are short, so that what would end after 260 s ends after seconds here.
 */
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import type { Child } from '../support/child.js';
import type { Daemon } from '../support/daemon.js';
import { eventually } from '../support/eventually.js';
import { queryV2, toHex } from '../support/packet-builder.js';
import { type Namespace, type Net, netnsTest } from '../support/topology.js';

const G = '239.1.1.1';
const G2 = '239.2.2.2';
const SOURCE = '10.1.0.2';
const ROUTER = '10.2.0.100';
const [H1, H2] = ['10.2.0.11', '10.2.0.12'];

/** Hundredths of a second, as the kernel has them: members end after 3 s, silent queriers after 2.5 s. */
const TIMERS = {
  mcast_membership_interval: 300,
  mcast_querier_interval: 250,
  mcast_query_interval: 100,
  mcast_query_response_interval: 20,
  mcast_last_member_interval: 50,
};

/** Longer than any of these tests: who goes from the bridge's table before that was pruned. */
const REMEMBERS = { mcast_membership_interval: 26_000 };

/** For what takes a second on an idle machine. */
const SLOWLY = { withinMs: 20_000 };

/** mgmd's own times, of the same size. */
const QUICK = `queryInterval: 1s, queryResponseInterval: 200ms, startupQueryInterval: 250ms, lastMemberQueryInterval: 500ms`;

interface IgmpRow {
  readonly interface: string;
  readonly role: string;
  readonly querier: string | null;
  readonly bridge: {
    readonly name: string;
    readonly snooping: boolean;
    readonly querier: string | null;
    readonly querierPort: string | null;
    readonly routerPorts: readonly string[];
    readonly groups: number;
  } | null;
}

interface Lan {
  readonly router: Namespace;
  readonly source: Namespace;
  readonly h1: Namespace;
  readonly h2: Namespace;
  /** Where the bridge br0 is, with the ports p1 to h1 and p2 to h2. */
  readonly at: Namespace;
}

function makeBridge(at: Namespace, more: Readonly<Record<string, number>>): void {
  const timers = Object.entries({ ...TIMERS, ...more }).flatMap(([key, value]) => [key, String(value)]);
  at.ip('link', 'add', 'br0', 'type', 'bridge', 'forward_delay', '0', 'mcast_snooping', '1', ...timers);
}

function addPort(at: Namespace, port: string): void {
  at.ip('link', 'set', 'dev', port, 'master', 'br0');
}

function hostAt(net: Net, at: Namespace, label: string, port: string, address: string): Namespace {
  const host = net.namespace(label);
  net.link([at, port], [host, 'eth0', `${address}/24`]);
  host.ip('route', 'add', 'default', 'via', ROUTER);
  addPort(at, port);
  return host;
}

/** The router's LAN is a bridge of its own. */
function bridgedRouter(net: Net, more = {}): Lan {
  const router = net.router('router');
  const source = net.host('source', router, 'send', '10.1.0');
  makeBridge(router, more);
  router.ip('address', 'add', `${ROUTER}/24`, 'dev', 'br0');
  const h1 = hostAt(net, router, 'h1', 'p1', H1);
  const h2 = hostAt(net, router, 'h2', 'p2', H2);
  router.ip('link', 'set', 'dev', 'br0', 'up');
  return { router, source, h1, h2, at: router };
}

/** A switch stands between the router's port `lan` and the hosts. */
function switchedLan(net: Net, more = {}): Lan {
  const router = net.router('router');
  const source = net.host('source', router, 'send', '10.1.0');
  const at = net.namespace('switch');
  makeBridge(at, more);
  net.link([router, 'br0', `${ROUTER}/24`], [at, 'up0']);
  addPort(at, 'up0');
  const h1 = hostAt(net, at, 'h1', 'p1', H1);
  const h2 = hostAt(net, at, 'h2', 'p2', H2);
  at.ip('link', 'set', 'dev', 'br0', 'up');
  return { router, source, h1, h2, at };
}

/** The router's interface is called br0 in both beds. */
async function serve({ router, at }: Lan): Promise<Daemon> {
  await at.linksPass();
  return router.daemon(
    (socket) => `
control: { socket: ${socket} }
interfaces:
  send: { igmp: true }
  br0: { igmp: { ${QUICK} } }
`,
  );
}

function igmpRow(daemon: Daemon): IgmpRow {
  return daemon.ctl<IgmpRow[]>('show', 'igmp', 'interfaces').find((row) => row.interface === 'br0')!;
}

function groupsHeard(daemon: Daemon): readonly string[] {
  const rows = daemon.ctl<{ interface: string; group: string }[]>('show', 'igmp', 'groups');
  return rows.filter((row) => row.interface === 'br0').map(({ group }) => group);
}

interface Mdb {
  readonly mdb: readonly { readonly port: string; readonly grp: string }[];
  readonly router: Readonly<Record<string, readonly { readonly port: string }[]>>;
}

function mdb(at: Namespace): Mdb {
  const [table] = JSON.parse(at.run('bridge', '-json', '-details', 'mdb', 'show')) as Mdb[];
  return table!;
}

/** The ports of br0 that the bridge sends a group to. */
function memberPorts(at: Namespace, group: string): readonly string[] {
  return mdb(at).mdb.flatMap(({ port, grp }) => (grp === group ? [port] : []));
}

function routerPorts(at: Namespace): readonly string[] {
  return (mdb(at).router['br0'] ?? []).map(({ port }) => port);
}

function packetsOut(at: Namespace, port: string): number {
  type Counted = { stats64: { tx: { packets: number } } };
  return at.ipJson<Counted[]>('-statistics', 'link', 'show', 'dev', port)[0]!.stats64.tx.packets;
}

/** What left by the two ports during `work`. */
async function sentBy(at: Namespace, work: () => Promise<unknown>): Promise<readonly [p1: number, p2: number]> {
  const before = [packetsOut(at, 'p1'), packetsOut(at, 'p2')] as const;
  await work();
  return [packetsOut(at, 'p1') - before[0], packetsOut(at, 'p2') - before[1]];
}

/** Of 200 numbered packets, at least MOST is the stream (the first ones wait for mgmd, and not all can); less than SOME is queries. */
const MOST = 150;
const SOME = 50;

async function stream(lan: Lan, group = G, count = 200): Promise<void> {
  const sender = await lan.source.sender({ from: SOURCE, groups: [group], ratePerSec: 200, count });
  await sender.done();
}

/** The stream runs. Its first packets wait for mgmd, and the kernel keeps only some of those: what is lost then does not count. */
function flowing<T extends { readonly received: number }>(seen: T): T | undefined {
  return seen.received > 100 ? seen : undefined;
}

/** A host that is asked by `lan-host.py`; see there. */
async function scriptedHost(host: Namespace, address: string, deaf: number): Promise<Child> {
  const script = fileURLToPath(new URL('../support/helpers/lan-host.py', import.meta.url));
  const child = host.spawn('python3', [script, 'eth0', address, G, String(deaf)]);
  await child.line();
  return child;
}

interface Heard {
  readonly groupQueries: number;
  readonly answered: number;
  readonly received: number;
  readonly lost: number;
}

async function ask(child: Child): Promise<Heard> {
  child.tell('');
  return JSON.parse(await child.line()) as Heard;
}

/** A general query every 300 ms, version 2, from the host's own address. */
const QUERIER = `
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_IGMP)
s.setsockopt(socket.IPPROTO_IP, socket.IP_OPTIONS, bytes.fromhex('94040000'))
s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 1)
s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(sys.argv[1]))
while True:
    s.sendto(bytes.fromhex(sys.argv[2]), ('224.0.0.1', 0))
    time.sleep(0.3)
`;

netnsTest(
  'without a querier a bridge floods; with mgmd as querier it prunes, and members stay past its membership interval (F33)',
  async (net) => {
    // given a bridge that nobody asks on, and one member
    const lan = bridgedRouter(net);
    const member = await lan.h1.receiver({ address: H1 });
    await member.join(G);
    const local = await lan.router.sender({ from: ROUTER, groups: [G2], ratePerSec: 200, count: 200 });
    const flooded = await sentBy(lan.at, () => local.done());
    expect(Math.min(...flooded)).toBeGreaterThan(SOME);
    // when mgmd asks
    const daemon = await serve(lan);
    // then the bridge knows whose queries these are, and sends the stream to the member alone
    await eventually('the bridge to hear mgmd', () => igmpRow(daemon).bridge?.querier === ROUTER, SLOWLY);
    expect(igmpRow(daemon)).toMatchObject({
      role: 'querier',
      bridge: { name: 'br0', snooping: true, querier: ROUTER, querierPort: null, routerPorts: [] },
    });
    await eventually(
      'the member',
      () => groupsHeard(daemon).includes(G) && memberPorts(lan.at, G).join() === 'p1',
      SLOWLY,
    );
    const [p1, p2] = await sentBy(lan.at, () => stream(lan));
    expect(p1).toBeGreaterThan(MOST);
    expect(p2).toBeLessThan(SOME);
    // and that goes on for three times the 3 s after which the bridge forgets who is silent
    const before = (await member.report()).received;
    const again = await sentBy(lan.at, () => stream(lan, G, 1800));
    expect(again[0]).toBeGreaterThanOrEqual(1800);
    expect(again[1]).toBeLessThan(SOME);
    // Each sender numbers its packets from 0, so those of the first are here again as duplicates.
    const { received, duplicated } = await member.report();
    expect(received + duplicated - before).toBe(1800);
    expect(memberPorts(lan.at, G)).toEqual(['p1']);
  },
);

netnsTest('a switch learns where mgmd is from its queries, and sends it every report (F33)', async (net) => {
  // given members of version 2 and 3 behind a switch with snooping
  const lan = switchedLan(net);
  lan.h1.sysctl('net.ipv4.conf.eth0.force_igmp_version', 2);
  const daemon = await serve(lan);
  await eventually('the router port', () => routerPorts(lan.at).join() === 'up0', SLOWLY);
  // when
  const [first, second] = [await lan.h1.receiver({ address: H1 }), await lan.h2.receiver({ address: H2 })];
  await first.join(G);
  await second.join(G2);
  // then
  await eventually('both reports', () => [G, G2].every((group) => groupsHeard(daemon).includes(group)), SLOWLY);
  const [p1, p2] = await sentBy(lan.at, () => stream(lan));
  expect(p1).toBeGreaterThan(MOST);
  expect(p2).toBeLessThan(SOME);
  expect(igmpRow(daemon).bridge).toBeNull();
});

for (const version of [2, 3])
  netnsTest(
    `a leave of version ${version} prunes the port of the bridge after mgmd's group-specific query`,
    async (net) => {
      // given members at both ports
      const lan = bridgedRouter(net, REMEMBERS);
      for (const host of [lan.h1, lan.h2]) host.sysctl('net.ipv4.conf.eth0.force_igmp_version', version);
      const daemon = await serve(lan);
      const leaver = await lan.h1.receiver({ address: H1 });
      const stayer = await lan.h2.receiver({ address: H2 });
      await leaver.join(G);
      await stayer.join(G);
      await eventually(
        'both ports',
        () => memberPorts(lan.at, G).length === 2 && groupsHeard(daemon).includes(G),
        SLOWLY,
      );
      // when one leaves while the stream runs
      const sender = await lan.source.sender({ from: SOURCE, groups: [G], ratePerSec: 200 });
      const { lost } = await eventually('the stream', async () => flowing(await stayer.report()), SLOWLY);
      await leaver.leave(G);
      // then its port is pruned long before its membership would have ended, and the other misses nothing
      await eventually('the pruned port', () => memberPorts(lan.at, G).join() === 'p2', SLOWLY);
      const [p1, p2] = await sentBy(lan.at, async () => {
        const from = (await stayer.report()).received;
        await eventually('a second of the stream', async () => (await stayer.report()).received > from + 200, SLOWLY);
      });
      expect(p1).toBeLessThan(SOME);
      expect(p2).toBeGreaterThan(MOST);
      const { sent } = await sender.stop();
      expect(sent).toBeGreaterThan(200);
      expect((await stayer.report()).lost).toBe(lost);
      // and when the other leaves as well, nothing is left anywhere
      await stayer.leave(G);
      await eventually('the end of the group', () => !groupsHeard(daemon).includes(G), SLOWLY);
      await eventually('the end in the bridge', () => memberPorts(lan.at, G).length === 0, SLOWLY);
    },
  );

netnsTest(
  'with another querier behind a port the bridge names it, and reports still reach mgmd from everywhere (F33)',
  async (net) => {
    // given mgmd on a bridge, and a member that it knows of
    const lan = bridgedRouter(net);
    const daemon = await serve(lan);
    const first = await lan.h1.receiver({ address: H1 });
    await first.join(G);
    await eventually('the member', () => groupsHeard(daemon).includes(G), SLOWLY);
    // when a router with a lower address begins to ask behind p2
    const querier = lan.h2.spawn('python3', ['-c', QUERIER, H2, toHex(queryV2(2))]);
    // then mgmd gives way, and tells where the bridge sees whom
    await eventually('mgmd to give way', () => igmpRow(daemon).role === 'non-querier', SLOWLY);
    await eventually('the router port', () => igmpRow(daemon).bridge?.routerPorts.join() === 'p2', SLOWLY);
    expect(igmpRow(daemon)).toMatchObject({ querier: H2, bridge: { querier: H2, querierPort: 'p2', snooping: true } });
    expect(daemon.ctlText('show', 'igmp', 'querier')).toMatch(
      /BRIDGE QUERIER\n(?:.*\n)*br0 +non-querier .*10\.2\.0\.12 on p2\n/,
    );
    // and a join behind p1 is heard, though the bridge knows a router elsewhere
    await first.join(G2);
    await eventually('the report', () => groupsHeard(daemon).includes(G2), SLOWLY);
    const [p1] = await sentBy(lan.at, () => stream(lan, G2));
    expect(p1).toBeGreaterThan(MOST);
    // and when that router falls silent, mgmd asks again
    await querier.kill();
    await eventually('mgmd to ask again', () => igmpRow(daemon).role === 'querier', SLOWLY);
    await eventually('the bridge to hear it', () => igmpRow(daemon).bridge?.querier === ROUTER, SLOWLY);
    expect(groupsHeard(daemon)).toEqual(expect.arrayContaining([G, G2]));
  },
);

for (const { deaf, title } of [
  { deaf: 0, title: 'is answered before the group expires' },
  { deaf: 1, title: 'is sent once more when the first answer is lost' },
])
  netnsTest(
    `behind a switch that keeps reports from other hosts, the group-specific query ${title} (F34)`,
    async (net) => {
      // given two members that never hear each other, and a stream
      const lan = switchedLan(net, REMEMBERS);
      const daemon = await serve(lan);
      const leaver = await lan.h1.receiver({ address: H1 });
      await leaver.join(G);
      const stayer = await scriptedHost(lan.h2, H2, deaf);
      await eventually(
        'both members',
        () => memberPorts(lan.at, G).length === 2 && groupsHeard(daemon).includes(G),
        SLOWLY,
      );
      const sender = await lan.source.sender({ from: SOURCE, groups: [G], ratePerSec: 200 });
      const { lost } = await eventually('the stream', async () => flowing(await ask(stayer)), SLOWLY);
      // when the other one leaves
      await leaver.leave(G);
      // then the one that stays is asked, answers, and misses nothing
      await eventually('its answer', async () => (await ask(stayer)).answered > 0, SLOWLY);
      await eventually('the pruned port', () => memberPorts(lan.at, G).join() === 'p2', SLOWLY);
      const from = (await ask(stayer)).received;
      await eventually('a second of the stream', async () => (await ask(stayer)).received > from + 200, SLOWLY);
      const after = await ask(stayer);
      expect(after.lost).toBe(lost);
      expect(after.groupQueries).toBeGreaterThan(deaf);
      expect(groupsHeard(daemon)).toContain(G);
      await sender.stop();
    },
  );
