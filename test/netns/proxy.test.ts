/**
 * The proxy on the real kernel: an upstream LAN with a source (and what a router there would see), a router with the real
 * daemon, two downstream LANs with hosts. The judge on the upstream is tcpdump with tshark.
 */
// needs: tshark tcpdump
import { expect } from 'vitest';
import { Capture, type CapturedIgmp, IGMP_TYPE } from '../support/capture.js';
import type { Daemon } from '../support/daemon.js';
import { eventually } from '../support/eventually.js';
import { allow, block, type BuiltRecord, queryV2, queryV3, reportV3, toHex } from '../support/packet-builder.js';
import { type Namespace, type Net, netnsTest } from '../support/topology.js';
import type { Receiver } from '../support/traffic.js';

const G = '239.1.1.1';
const H = '239.1.1.2';
const SOURCE = '10.0.0.2';
const ROUTER = '10.0.0.1';
const SSDP = '239.255.255.250';
const LINK_LOCAL = '224.0.0.250';

interface Scene {
  readonly isp: Namespace;
  readonly router: Namespace;
  readonly one: Namespace;
  readonly two: Namespace;
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
  /** Before the daemon starts. */
  readonly prepare?: (on: Omit<Scene, 'wire' | 'daemon'>) => void;
}

/** Timers short enough for a test; hosts answer within a second. */
const QUICK =
  'queryInterval: 4s, queryResponseInterval: 1s, lastMemberQueryInterval: 200ms, startupQueryInterval: 200ms';

/** isp (10.0.0.2) - wan router lan1 (10.1.0.5), lan2 (10.2.0.5) - hosts with address .9. Room below for other queriers. */
async function scene(net: Net, { proxy = '', upstream = '', igmp = QUICK, prepare }: Options = {}): Promise<Scene> {
  const router = net.router('router');
  const [isp, one, two] = [net.namespace('isp'), net.namespace('one'), net.namespace('two')];
  net.link([router, 'wan', `${ROUTER}/24`], [isp, 'eth0', `${SOURCE}/24`]);
  isp.ip('route', 'add', 'default', 'via', ROUTER);
  for (const [n, host] of [one, two].entries()) {
    net.link([router, `lan${n + 1}`, `10.${n + 1}.0.5/24`], [host, 'eth0', `10.${n + 1}.0.9/24`]);
    host.ip('route', 'add', 'default', 'via', `10.${n + 1}.0.5`);
  }
  prepare?.({ isp, router, one, two });
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
`,
  );
  return { isp, router, one, two, wire, daemon };
}

/** What the router sent on the upstream. */
function sent(wire: Capture): readonly CapturedIgmp[] {
  return wire.packets().filter(({ source }) => source === ROUTER);
}

/** Records of its v3 reports about groups that are no link-local ones, in order; a repeat of the one before is left out. */
function records(wire: Capture): readonly string[] {
  const all = sent(wire).flatMap((packet) => packet.records);
  const wanted = all.filter((record) => !record.includes(' 224.0.0.'));
  return wanted.filter((record, at) => record !== wanted[at - 1]);
}

async function reported(wire: Capture, ...wanted: readonly string[]): Promise<void> {
  await eventually(
    `the upstream to see ${wanted.join(', ')}`,
    () => wanted.every((one) => records(wire).includes(one)),
    { withinMs: 10_000, everyMs: 100 },
  );
}

/** Waits until more packets have come in than now. */
async function receives(receiver: Receiver, what: string, packets = 5): Promise<void> {
  const before = (await receiver.report()).received;
  await eventually(what, async () => (await receiver.report()).received > before + packets);
}

interface Mfc {
  readonly source: string;
  readonly group: string;
  readonly iif: string;
  readonly oifs: readonly string[];
}

/** "wan -> lan1,lan2"; undefined without an entry. */
function entry({ daemon }: Scene, group: string, source = SOURCE): string | undefined {
  const found = daemon.ctl<Mfc[]>('show', 'mfc').find((one) => one.group === group && one.source === source);
  return found && `${found.iif} -> ${[...found.oifs].sort().join()}`;
}

async function entryIs(on: Scene, group: string, wanted: string, source = SOURCE): Promise<void> {
  await eventually(`the entry ${wanted}`, () => entry(on, group, source) === wanted, {
    withinMs: 10_000,
    everyMs: 100,
  });
}

interface GroupRow {
  readonly group: string;
  readonly upstream: string | null;
  readonly mode: string;
  readonly sources: readonly string[];
  readonly held: boolean;
  readonly wantedBy: readonly string[];
}

function proxied({ daemon }: Pick<Scene, 'daemon'>): readonly GroupRow[] {
  return daemon.ctl<GroupRow[]>('show', 'igmp', 'proxy');
}

/** A message as no kernel would send it. `from` is an address of the namespace. */
function says(host: Namespace, from: string, to: string, payload: Uint8Array): void {
  host.run('python3', '-c', SEND, from, to, toHex(payload));
}

const SEND = `
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_IGMP)
s.setsockopt(socket.IPPROTO_IP, socket.IP_OPTIONS, bytes.fromhex('94040000'))
s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 1)
s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(sys.argv[1]))
s.bind((sys.argv[1], 0))
s.sendto(bytes.fromhex(sys.argv[3]), (sys.argv[2], 0))
`;

function reports(host: Namespace, from: string, ...records: readonly BuiltRecord[]): void {
  says(host, from, '224.0.0.22', reportV3(...records));
}

netnsTest(
  'the first member is reported upstream, zapping and a second one are not, the last leave is (IGMP-141, IGMP-142, IGMP-145, F20, F31)',
  async (net) => {
    const on = await scene(net, { proxy: 'leaveDelay: 2s', igmp: `${QUICK}, fastLeave: true` });
    const one = await on.one.receiver({ address: '10.1.0.9' });
    const two = await on.two.receiver({ address: '10.2.0.9' });
    const stream = await on.isp.sender({ from: SOURCE, groups: [G], ratePerSec: 200 });
    await one.join(G);
    await reported(on.wire, `TO_EX ${G}`);
    await receives(one, 'the stream on the first LAN');
    // when the host zaps, and another one joins; link-local groups are reported by hosts as well
    for (let zap = 0; zap < 5; zap++) {
      await one.leave(G);
      await one.join(G);
    }
    await two.join(LINK_LOCAL);
    await two.join(G);
    await receives(one, 'the stream on the first LAN after zapping');
    await receives(two, 'the stream on the second LAN');
    expect(proxied(on)).toMatchObject([
      { group: G, upstream: 'wan', mode: 'exclude', held: true, wantedBy: ['lan1', 'lan2'] },
    ]);
    // when a host of the upstream's LAN is a member: nobody's business
    const stranger = await on.isp.receiver({ address: SOURCE });
    await stranger.join(H);
    await one.leave(G);
    await two.leave(G);
    await reported(on.wire, `TO_IN ${G}`);
    // then the upstream saw one join and one leave, no query, and nothing of what is link-local
    expect(records(on.wire)).toEqual([`TO_EX ${G}`, `TO_IN ${G}`]);
    expect(sent(on.wire).filter(({ type }) => type === IGMP_TYPE.query)).toEqual([]);
    expect(sent(on.wire).flatMap(({ groups }) => groups)).not.toContain(LINK_LOCAL);
    expect(sent(on.wire).filter(({ complaints }) => complaints !== '')).toEqual([]);
    expect(proxied(on)).toEqual([]);
    await stream.stop();
  },
);

netnsTest(
  'data goes to members where we are querier and always upstream, whatever came first (IGMP-146, IGMP-147, IGMP-148, F16, F17)',
  async (net) => {
    const other = '198.51.100.9';
    const on = await scene(net, {
      upstream: 'sources: [198.51.100.0/24]',
      prepare: ({ isp, router, one }) => {
        isp.ip('address', 'add', `${other}/32`, 'dev', 'eth0');
        one.ip('address', 'add', '10.1.0.2/24', 'dev', 'eth0');
        // The way to everywhere else is not mgmd's.
        router.ip('link', 'add', 'inet', 'type', 'veth', 'peer', 'name', 'far');
        router.ip('address', 'add', '192.0.2.1/24', 'dev', 'inet');
        for (const device of ['inet', 'far']) router.ip('link', 'set', device, 'up');
        router.ip('route', 'add', 'default', 'via', '192.0.2.2');
      },
    });
    const one = await on.one.receiver({ address: '10.1.0.9' });
    const two = await on.two.receiver({ address: '10.2.0.9' });
    // F16: data first
    const streams = [await on.isp.sender({ from: SOURCE, groups: [G], ratePerSec: 200 })];
    await entryIs(on, G, 'wan -> ');
    await one.join(G);
    await receives(one, 'the stream after the report');
    expect(entry(on, G)).toBe('wan -> lan1');
    // altnet: the routing table looks for this source elsewhere
    streams.push(await on.isp.sender({ from: other, groups: [H], ratePerSec: 200 }));
    await one.join(H);
    await entryIs(on, H, 'wan -> lan1', other);
    // F17: the report first, then a source on another interface than the one before; it goes upstream as well
    await two.join(H);
    streams.push(await on.one.sender({ from: '10.1.0.9', groups: [H], ratePerSec: 200 }));
    await entryIs(on, H, 'lan1 -> lan2,wan', '10.1.0.9');
    await entryIs(on, H, 'wan -> lan1,lan2', other);
    // when another router with a lower address asks on the first LAN
    says(on.one, '10.1.0.2', '224.0.0.1', queryV3({ code: 10, qqic: 4 }));
    await entryIs(on, G, 'wan -> ');
    expect(entry(on, H, other)).toBe('wan -> lan2');
    expect(entry(on, H, '10.1.0.9')).toBe('lan1 -> lan2,wan');
    // then nothing more comes there, until that one is silent (8.5 s with these times)
    const { received } = await one.report();
    await receives(two, 'the other LAN goes on');
    expect((await one.report()).received).toBe(received);
    await eventually('the role to come back', () => entry(on, G) === 'wan -> lan1', { withinMs: 20_000, everyMs: 200 });
    await receives(one, 'the stream again');
    for (const stream of streams) await stream.stop();
  },
);

netnsTest('two receivers on one LAN: when one leaves, the other does not miss a packet (F19)', async (net) => {
  const on = await scene(net, {
    prepare: ({ two }) => {
      // the second LAN is a switch with two hosts
      two.ip('link', 'add', 'br0', 'type', 'bridge', 'mcast_snooping', '0');
      two.ip('address', 'flush', 'dev', 'eth0');
      two.ip('link', 'set', 'eth0', 'master', 'br0');
      two.ip('address', 'add', '10.2.0.9/24', 'dev', 'br0');
      two.ip('link', 'set', 'br0', 'up');
    },
  });
  const third = net.namespace('third');
  net.link([on.two, 'port2', ''], [third, 'eth0', '10.2.0.10/24']);
  on.two.ip('link', 'set', 'port2', 'master', 'br0');
  third.ip('route', 'add', 'default', 'via', '10.2.0.5');
  const stays = await on.two.receiver({ address: '10.2.0.9' });
  const goes = await third.receiver({ address: '10.2.0.10' });
  await stays.join(G);
  await goes.join(G);
  const stream = await on.isp.sender({ from: SOURCE, groups: [G], ratePerSec: 500 });
  await receives(stays, 'the stream at both');
  await receives(goes, 'the stream at both');
  // the kernel keeps four packets of a flow that has no entry yet; what comes before mgmd has answered is lost
  const { lost } = await stays.report();
  for (let round = 0; round < 3; round++) {
    await goes.leave(G);
    // two queries of 200 ms each, and a leave upstream half a second later: a second's worth of packets
    await receives(stays, 'the stream after the leave', 500);
    await goes.join(G);
    await receives(goes, 'the stream after the new join');
  }
  await stream.stop();
  expect(await stays.report()).toMatchObject({ lost, duplicated: 0 });
  expect(records(on.wire)).toEqual([`TO_EX ${G}`]);
});

netnsTest(
  'a thousand groups and 25 sources of one are joined upstream with stock sysctls (IGMP-144, F13)',
  async (net) => {
    const on = await scene(net, { igmp: 'maxGroups: 2000, lastMemberQueryInterval: 200ms' });
    expect(on.router.run('cat', '/proc/sys/net/ipv4/igmp_max_memberships').trim()).toBe('20');
    expect(on.router.run('cat', '/proc/sys/net/ipv4/igmp_max_msf').trim()).toBe('10');
    const sources = Array.from({ length: 25 }, (_, n) => `10.0.0.${n + 100}`);
    reports(on.two, '10.2.0.9', allow('232.1.1.1', ...sources));
    const one = await on.one.receiver({ address: '10.1.0.9' });
    await one.joinAll('239.2.0.1', 1000);
    await eventually('the kernel to hold them all', () => proxied(on).filter(({ held }) => held).length === 1001, {
      withinMs: 20_000,
      everyMs: 200,
    });
    expect(proxied(on)[0]).toMatchObject({ group: '232.1.1.1', mode: 'include', sources });
    const held = on.daemon.ctl<{ interface: string; group: string }[]>('show', 'host-groups');
    expect(held.filter(({ interface: name, group }) => name === 'wan' && group.startsWith('239.2.'))).toHaveLength(
      1000,
    );
    // the wire has all of them and all sources
    const asked = () =>
      new Set(sent(on.wire).flatMap(({ records: all }) => all.filter((one) => one.startsWith('TO_EX 239.2.'))));
    await eventually('all reports', () => asked().size === 1000, { withinMs: 10_000, everyMs: 200 });
    const allowed = sent(on.wire).flatMap(({ records: all }) => all.filter((one) => one.includes(' 232.1.1.1 ')));
    expect(new Set(allowed.flatMap((one) => one.split(' ').slice(2)))).toEqual(new Set(sources));
    // one source less is BLOCKed
    reports(on.two, '10.2.0.9', block('232.1.1.1', sources[3]!));
    await reported(on.wire, `BLOCK 232.1.1.1 ${sources[3]}`);
    expect(on.daemon.events('proxy.join.refused')).toEqual([]);
  },
  180_000,
);

netnsTest(
  'under an upstream querier that speaks version 2 the reports are of version 2, and sources cause none (IGMP-149, F30)',
  async (net) => {
    const on = await scene(net, { proxy: 'leaveDelay: 0s' });
    const one = await on.one.receiver({ address: '10.1.0.9' });
    says(on.isp, SOURCE, '224.0.0.1', queryV2(10));
    await eventually('the host side to follow', () => upstreamVersion(on) === 2);
    await one.join(G);
    await olderSeen(on.wire, IGMP_TYPE.reportV2, G);
    // a member with sources of its own changes nothing upstream
    reports(on.two, '10.2.0.9', allow(G, SOURCE));
    await eventually('the second LAN to be known', () => proxied(on)[0]?.wantedBy.length === 2);
    reports(on.two, '10.2.0.9', block(G, SOURCE));
    await one.leave(G);
    await olderSeen(on.wire, IGMP_TYPE.leaveV2, G);
    expect(records(on.wire)).toEqual([]);
  },
);

function upstreamVersion({ daemon }: Scene): number | null | undefined {
  return daemon.ctl<{ version: number | null }[]>('show', 'igmp', 'proxy', 'upstreams')[0]?.version;
}

async function olderSeen(wire: Capture, type: number, group: string): Promise<void> {
  const is = (packet: CapturedIgmp) => packet.type === type && packet.groups[0] === group;
  await eventually(`a message of type ${type}`, () => sent(wire).some(is), { withinMs: 15_000, everyMs: 100 });
}

netnsTest(
  'SSDP can be kept out by a filter, a configured version is spoken upstream, and a stop leaves all and puts it back (F32)',
  async (net) => {
    const setting = '/proc/sys/net/ipv4/conf/wan/force_igmp_version';
    const on = await scene(net, {
      upstream: `version: 2, groups: [{ deny: ${SSDP}/32 }]`,
      proxy: 'requireQuerier: false',
      prepare: ({ router, one }) => {
        router.run('sh', '-c', `echo 3 > ${setting}`);
        one.ip('address', 'add', '10.1.0.2/24', 'dev', 'eth0');
      },
    });
    expect(on.router.run('cat', setting).trim()).toBe('2');
    const one = await on.one.receiver({ address: '10.1.0.9' });
    const two = await on.two.receiver({ address: '10.2.0.9' });
    const streams = [
      await on.isp.sender({ from: SOURCE, groups: [SSDP, G], ratePerSec: 100 }),
      await on.two.sender({ from: '10.2.0.9', groups: [SSDP], ratePerSec: 100 }),
    ];
    for (const group of [SSDP, G]) await one.join(group);
    await two.join(SSDP);
    await olderSeen(on.wire, IGMP_TYPE.reportV2, G);
    await entryIs(on, G, 'wan -> lan1');
    expect(entry(on, SSDP)).toBe('wan -> ');
    await entryIs(on, SSDP, 'lan2 -> lan1', '10.2.0.9');
    expect(sent(on.wire).flatMap(({ groups }) => groups)).not.toContain(SSDP);
    // IGMP-146: the knob is off, so a lower router on the link does not stop the stream
    says(on.one, '10.1.0.2', '224.0.0.1', queryV3({ code: 10, qqic: 4 }));
    await eventually('the role to be lost', () => on.daemon.events('igmp.querier.lost').length > 0);
    expect(entry(on, G)).toBe('wan -> lan1');
    await receives(one, 'the stream goes on');
    for (const stream of streams) await stream.stop();
    // when mgmd ends
    expect(await on.daemon.stop()).toBe(0);
    await olderSeen(on.wire, IGMP_TYPE.leaveV2, G);
    expect(on.router.run('cat', setting).trim()).toBe('3');
  },
);

netnsTest(
  'when the first upstream loses its carrier the groups are joined on the second and the stream comes from there, and back (IGMP-150)',
  async (net) => {
    const router = net.router('router');
    const [isp1, isp2, host] = [net.namespace('isp1'), net.namespace('isp2'), net.namespace('host')];
    net.link([router, 'wan1', `${ROUTER}/24`], [isp1, 'eth0', `${SOURCE}/24`]);
    net.link([router, 'wan2', '10.9.0.1/24'], [isp2, 'eth0', '10.9.0.2/24']);
    net.link([router, 'lan1', '10.1.0.5/24'], [host, 'eth0', '10.1.0.9/24']);
    host.ip('route', 'add', 'default', 'via', '10.1.0.5');
    const wires = [await Capture.start(net, isp1, 'eth0'), await Capture.start(net, isp2, 'eth0')] as const;
    const daemon = await router.daemon(
      (socket) => `
control: { socket: ${socket} }
interfaces:
  wan1: { owner: proxy }
  wan2: { owner: proxy }
  lan1: { owner: proxy, igmp: { ${QUICK} } }
proxy: { upstreams: [{ interface: wan1 }, { interface: wan2 }] }
`,
    );
    const on = { daemon } as Scene;
    const receiver = await host.receiver({ address: '10.1.0.9' });
    const first = await isp1.sender({ from: SOURCE, groups: [G], ratePerSec: 200 });
    const second = await isp2.sender({ from: '10.9.0.2', groups: [G], ratePerSec: 200 });
    await receiver.join(G);
    await reported(wires[0], `TO_EX ${G}`);
    await receives(receiver, 'the stream of the first upstream');
    expect((await receiver.report()).flows).toBe(1);
    expect(records(wires[1])).toEqual([]);
    // when the line goes
    isp1.ip('link', 'set', 'eth0', 'down');
    await eventually('the second upstream', () => proxied(on)[0]?.upstream === 'wan2');
    await entryIs(on, G, 'wan2 -> lan1', '10.9.0.2');
    await receives(receiver, 'the stream of the second upstream');
    expect(daemon.ctl('show', 'igmp', 'proxy', 'upstreams')).toMatchObject([
      { interface: 'wan1', state: 'down', groups: 0 },
      { interface: 'wan2', state: 'up', groups: 1 },
    ]);
    // when it comes back: joined there again, left on the second
    isp1.ip('link', 'set', 'eth0', 'up');
    isp1.ip('route', 'replace', '224.0.0.0/4', 'dev', 'eth0');
    await eventually('the first upstream', () => proxied(on)[0]?.upstream === 'wan1');
    const left = () => wires[1].packets().flatMap((packet) => packet.records);
    await eventually('the leave on the second', () => left().includes(`TO_IN ${G}`), {
      withinMs: 10_000,
      everyMs: 100,
    });
    await entryIs(on, G, 'wan1 -> lan1');
    await receives(receiver, 'the stream of the first upstream again');
    await first.stop();
    await second.stop();
  },
);
