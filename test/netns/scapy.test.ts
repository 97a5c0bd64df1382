/**
 * Packets of a foreign builder: what scapy makes of IGMP is understood, what it breaks is counted by reason and leaves no
 * trace, and what mgmd sends is dissected by scapy and tshark without a complaint. Sent as whole frames, so nothing of the
 * sender's kernel has a hand in them.
 */
// needs: tshark tcpdump scapy
import { expect } from 'vitest';
import { Capture } from '../support/capture.js';
import type { Daemon } from '../support/daemon.js';
import { eventually } from '../support/eventually.js';
import { type IgmpGroup, IgmpView } from '../support/igmp-view.js';
import { ScapyHost } from '../support/scapy.js';
import { type Net, netnsTest } from '../support/topology.js';

const G = '239.1.2.3';
const ROUTER = '10.2.0.5';
/** Higher than the router's, so that its queries win no election. */
const HOST = '10.2.0.7';
const LOWER = '10.2.0.3';

interface Scene {
  readonly daemon: Daemon;
  readonly view: IgmpView;
  readonly scapy: ScapyHost;
}

async function scene(net: Net, igmp: string, lastMemberQueryInterval = '100ms'): Promise<Scene> {
  const router = net.router('router');
  const host = net.namespace('host');
  net.link([router, 'lan', `${ROUTER}/24`], [host, 'eth0', `${HOST}/24`]);
  const [daemon, scapy] = await Promise.all([
    router.daemon(
      (socket) => `
control: { socket: ${socket} }
interfaces:
  lan: { igmp: { lastMemberQueryInterval: ${lastMemberQueryInterval}, ${igmp} } }
`,
    ),
    ScapyHost.start(host, HOST),
  ]);
  return { daemon, scapy, view: await IgmpView.of(daemon) };
}

const compatible = (with_: string) => (row: IgmpGroup) => row.compatibility === with_;
const sourcesOf = (row: IgmpGroup) =>
  row.sources.map(({ source, wanted }) => (wanted ? source : `not ${source}`)).sort();

/** Waits until a counter of drops has grown to this; it then has exactly this, and no group is known. */
async function dropped({ view }: Scene, reason: string, count: number): Promise<void> {
  await eventually(`${count} counted as ${reason}`, async () => ((await view.dropped('lan'))[reason] ?? 0) >= count);
  expect((await view.dropped('lan'))[reason], reason).toBe(count);
  expect(await view.groups('lan'), reason).toEqual([]);
}

netnsTest(
  'reports and leaves built by scapy make and end groups as their version says (IGMP-021, IGMP-027, F26)',
  async (net) => {
    // given
    const { view, scapy, daemon } = await scene(net, '');
    for (const alert of ['True', 'False']) {
      // when a host of version 3 asks for one source, then for another, and gives them up
      await scapy.send(
        `to("224.0.0.22", report(IGMPv3gr(rtype=5, maddr="${G}", srcaddrs=["10.9.0.1"])), alert=${alert})`,
      );
      await scapy.send(
        `to("224.0.0.22", report(IGMPv3gr(rtype=1, maddr="${G}", srcaddrs=["10.9.0.2"])), alert=${alert})`,
      );
      // then
      expect(await view.knows('lan', G, (row) => row.sources.length === 2)).toMatchObject({
        mode: 'include',
        compatibility: 'v3',
      });
      await scapy.send(
        `to("224.0.0.22", report(IGMPv3gr(rtype=6, maddr="${G}", srcaddrs=["10.9.0.1", "10.9.0.2"])), alert=${alert})`,
      );
      await view.forgets('lan', G);
      // and when it asks for everything but one source, in two ways, and leaves
      await scapy.send(
        `to("224.0.0.22", report(IGMPv3gr(rtype=4, maddr="${G}", srcaddrs=["10.9.0.1"])), alert=${alert})`,
      );
      expect(sourcesOf(await view.knows('lan', G, (row) => row.mode === 'exclude'))).toEqual(['not 10.9.0.1']);
      await scapy.send(`to("224.0.0.22", report(IGMPv3gr(rtype=2, maddr="${G}")), alert=${alert})`);
      await view.knows('lan', G, (row) => row.sources.length === 0);
      await scapy.send(`to("224.0.0.22", report(IGMPv3gr(rtype=3, maddr="${G}")), alert=${alert})`);
      await view.forgets('lan', G);
      // and when hosts of version 2 report, and leave in both ways
      for (const to of ['224.0.0.2', G]) {
        await scapy.send(`to("${G}", IGMP(type=0x16, mrcode=0, gaddr="${G}"), alert=${alert})`);
        await view.knows('lan', G, compatible('v2'));
        await scapy.send(`to("${to}", IGMP(type=0x17, mrcode=0, gaddr="${G}"), alert=${alert})`);
        await view.forgets('lan', G);
      }
    }
    // and a host of version 1, which never has the router alert option
    await scapy.send(`to("${G}", IGMP(type=0x12, mrcode=0, gaddr="${G}"), alert=False)`);
    await view.knows('lan', G, compatible('v1'));
    // and the tool tells the same
    const shown = daemon.ctl<IgmpGroup[]>('show', 'igmp', 'groups');
    expect(shown).toMatchObject([{ interface: 'lan', group: G, mode: 'exclude', compatibility: 'v1' }]);
  },
);

netnsTest(
  'queries built by scapy decide who is querier (IGMP-026, IGMP-028, IGMP-100, IGMP-101, IGMP-106, F21, F24, F25)',
  async (net) => {
    // given a querier
    const on = await scene(net, 'queryInterval: 1s, queryResponseInterval: 200ms, startupQueryInterval: 100ms');
    const { view, scapy } = on;
    await view.role('lan', 'querier', ROUTER);
    const general = 'IGMPv3(type=0x11, mrcode=2) / IGMPv3mq(qrv=1, qqic=2)';
    // when queries come that decide nothing: from a higher address, from nobody, to the wrong group, too far travelled
    await scapy.send(`to("224.0.0.1", ${general})`);
    await scapy.send(`to("224.0.0.1", ${general}, source="0.0.0.0")`);
    await scapy.send(`to("224.0.0.22", ${general}, source="${LOWER}")`);
    await scapy.send(`to("224.0.0.1", ${general}, source="${LOWER}", ttl=2)`);
    await scapy.send(`to("224.0.0.1", ${general}, source="192.0.2.1")`);
    await scapy.send(`to("${G}", IGMPv3(type=0x11, mrcode=2) / IGMPv3mq(gaddr="${G}", qrv=2), source="${LOWER}")`);
    // then the role is what it was, and each has its reason
    await eventually('the last one to be heard', async () => ((await view.received('lan'))['queries'] ?? 0) >= 2);
    await view.role('lan', 'querier', ROUTER);
    expect(await view.dropped('lan')).toMatchObject({ zeroSource: 1, badDestination: 1, badTtl: 1, offSubnet: 1 });
    // when a router with a lower address asks, in each version
    for (const [to, query, robustness, queryIntervalMs] of [
      ['224.0.0.1', general, 1, 2000],
      ['224.0.0.1', 'IGMP(type=0x11, mrcode=100)', 2, 1000],
      ['224.0.0.1', 'IGMP(type=0x11, mrcode=0)', 2, 1000],
      [ROUTER, general, 1, 2000],
    ] as const) {
      await scapy.send(`to("${to}", ${query}, source="${LOWER}")`);
      // then it is querier, with its own times where it tells them, until it is silent for the other-querier interval
      const other = await view.role('lan', 'non-querier', LOWER);
      expect(other).toMatchObject({ robustness, queryIntervalMs });
      const again = await view.role('lan', 'querier', ROUTER, { withinMs: 8_000 });
      expect(again).toMatchObject({ robustness: 2, queryIntervalMs: 1000 });
    }
  },
);

netnsTest(
  'broken messages are counted by reason and leave no state (IGMP-004, IGMP-007, IGMP-010, IGMP-012, IGMP-013, IGMP-014, IGMP-170, IGMP-171, F26)',
  async (net) => {
    // given
    const on = await scene(net, 'maxGroups: 100, maxSourcesPerGroup: 20');
    const { scapy, view } = on;
    const joins = (...records: string[]) => `to("224.0.0.22", report(${records.join(', ')}))`;
    const whole = `report(IGMPv3gr(rtype=5, maddr="${G}", srcaddrs=["10.9.0.1"]))`;
    // when and then: short, in every way
    await scapy.send(`to("${G}", cut(IGMP(type=0x16, gaddr="${G}"), 4))`);
    await scapy.send(`to("224.0.0.22", cut(${whole}, 7))`);
    await dropped(on, 'tooShort', 2);
    await scapy.send(`to("224.0.0.22", cut(${whole}, 8))`);
    await scapy.send(`to("224.0.0.22", cut(${whole}, 15))`);
    await scapy.send(`to("224.0.0.22", cut(${whole}, 19))`);
    await dropped(on, 'malformed', 3);
    // a wrong checksum, and one that leaves the last bytes out
    await scapy.send(`to("${G}", IGMP(type=0x16, mrcode=0, gaddr="${G}", chksum=0x1234))`);
    await scapy.send(`to("224.0.0.22", IGMPv3(bytes(${whole})[:2] + b"\\1\\2" + bytes(${whole})[4:]))`);
    await scapy.send(`to("${G}", Raw(bytes(IGMP(type=0x16, mrcode=0, gaddr="${G}")) + b"more"))`);
    await dropped(on, 'badChecksum', 3);
    // more sources and more records than there are, up to what overflows 16 bits
    for (const count of [2, 300, 16_384, 65_535])
      await scapy.send(joins(`IGMPv3gr(rtype=5, maddr="${G}", numsrc=${count}, srcaddrs=["10.9.0.1"])`));
    await scapy.send(`to("224.0.0.22", IGMPv3(type=0x22, mrcode=0) / IGMPv3mr(numgrp=65535, records=[]))`);
    await scapy.send(joins(`IGMPv3gr(rtype=4, maddr="${G}", auxdlen=255)`));
    await dropped(on, 'malformed', 9);
    // queries of impossible lengths, and with more sources than there are
    await scapy.send(`to("224.0.0.1", cut(IGMPv3(type=0x11, mrcode=10) / IGMPv3mq(), 10))`);
    await dropped(on, 'badQueryLength', 1);
    await scapy.send(`to("${G}", IGMPv3(type=0x11, mrcode=10) / IGMPv3mq(gaddr="${G}", numsrc=65535))`);
    await dropped(on, 'malformed', 10);
    // unknown kinds of records and messages
    await scapy.send(joins(`IGMPv3gr(rtype=7, maddr="${G}")`, `IGMPv3gr(rtype=255, maddr="${G}")`));
    await dropped(on, 'unknownRecord', 2);
    // groups that are none
    await scapy.send(joins('IGMPv3gr(rtype=4, maddr="10.9.0.1")', 'IGMPv3gr(rtype=4, maddr="255.255.255.255")'));
    await dropped(on, 'badGroup', 2);
    await scapy.send(joins('IGMPv3gr(rtype=4, maddr="224.0.0.251")'));
    expect(await view.groups('lan')).toEqual([]);
    // and when what is right is only large: auxiliary data is passed over, the limits hold, nothing is lost below them
    await scapy.send(
      joins(
        `with_auxiliary(IGMPv3gr(rtype=5, maddr="239.2.0.1", srcaddrs=["10.9.0.1"]), ${'0xdeadbeef, '.repeat(200)})`,
        'IGMPv3gr(rtype=4, maddr="239.2.0.2")',
      ),
    );
    expect(sourcesOf(await view.knows('lan', '239.2.0.1'))).toEqual(['10.9.0.1']);
    await view.knows('lan', '239.2.0.2');
    await scapy.send(
      joins('IGMPv3gr(rtype=5, maddr="239.2.0.3", srcaddrs=["10.9.%d.%d" % (n >> 8, n & 255) for n in range(1, 361)])'),
    );
    expect((await view.knows('lan', '239.2.0.3')).sources).toHaveLength(20);
    expect((await view.dropped('lan'))['sourceLimit']).toBeGreaterThan(0);
    // a thousand records in one report, which comes in six fragments
    const thousand = '[IGMPv3gr(rtype=4, maddr="239.3.%d.%d" % (n >> 8, n & 255)) for n in range(1000)]';
    await scapy.send(`fragment(to("224.0.0.22", report(*${thousand})), fragsize=1400)`);
    await eventually('as many groups as may be', async () => (await view.groups('lan')).length === 100);
    expect((await view.dropped('lan'))['groupLimit']).toBe(1000 - 97);
  },
);

netnsTest('the thirteen byte vectors do on a real wire what they say (IGMP-001)', async (net) => {
  // given a router that heeds specific queries of whoever sends them
  const { view, scapy } = await scene(net, 'strictQuerySource: false');
  const send = (to: string, bytes: string) => scapy.send(`to("${to}", vector("${bytes}"))`);
  const SSM = '232.1.2.3';
  // V10: everything is wanted; V5 is another router's query with the S flag, which lowers nothing; V11: the leave
  await send('224.0.0.22', '2200e8f9 00000001 04000000 ef010203');
  await view.knows('lan', G, (row) => row.mode === 'exclude' && row.compatibility === 'v3');
  await send(G, '110af367 ef010203 0a890000');
  await eventually('V5 to be heard', async () => (await view.received('lan'))['queries'] === 1);
  expect(await view.group('lan', G)).toBeDefined();
  await send('224.0.0.22', '2200e9f9 00000001 03000000 ef010203');
  await view.forgets('lan', G);
  // V8 and V9: the same in version 2
  await send(G, '1600f8fa ef010203');
  await view.knows('lan', G, compatible('v2'));
  await send('224.0.0.2', '1700f7fa ef010203');
  await view.forgets('lan', G);
  // V13: auxiliary data in front of the second record
  await send('224.0.0.22', '2200de49 00000002 01010001 e8010203 c0000201 deadbeef 02000001 ef010203 c0000207');
  expect(sourcesOf(await view.knows('lan', SSM))).toEqual(['192.0.2.1']);
  expect(sourcesOf(await view.knows('lan', G))).toEqual(['not 192.0.2.7']);
  // V3: somebody asks whether anybody wants the group, and nobody answers within twice its second
  await send(G, '110afdf0 ef010203');
  await view.forgets('lan', G);
  // V12, then V6: the same about two sources
  await send('224.0.0.22', '22007ae6 00000002 05000001 e8010203 c0000201 06000001 e8010203 c0000209');
  expect(sourcesOf(await view.knows('lan', SSM))).toEqual(['192.0.2.1']);
  await send(SSM, '110a7e66 e8010203 027d0002 c0000201 c0000209');
  await view.forgets('lan', SSM);
  // V7
  await send(G, '1200fcfa ef010203');
  await view.knows('lan', G, compatible('v1'));
  // V1, V2, V4: general queries of a router that has a higher address
  const before = (await view.received('lan'))['queries']!;
  await send('224.0.0.1', '1100eeff 00000000');
  await send('224.0.0.1', '1164ee9b 00000000');
  await send('224.0.0.1', '1164ec1e 00000000 027d0000');
  await eventually('three more queries', async () => (await view.received('lan'))['queries'] === before + 3);
  await view.role('lan', 'querier', ROUTER);
  const { ownMessage: _, ...drops } = await view.dropped('lan');
  expect(Object.values(drops).reduce((sum, count) => sum + count)).toBe(0);
});

netnsTest(
  'all that mgmd sends in three versions is dissected by scapy and by tshark without a complaint (IGMP-015, IGMP-081, IGMP-083)',
  async (net) => {
    // given a LAN per version, each with a capture and a host that speaks it
    const router = net.router('router');
    const hosts = [1, 2, 3].map((version) => {
      const host = net.host(`v${version}`, router, `lan${version}`, `10.${version}.0`);
      host.sysctl('net.ipv4.conf.eth0.force_igmp_version', version);
      return host;
    });
    const captures = await Promise.all(hosts.map((host) => Capture.start(net, host, 'eth0')));
    const scapy = await ScapyHost.start(hosts[0]!, '10.1.0.2');
    const timing = 'startupQueryInterval: 100ms, lastMemberQueryInterval: 200ms';
    const daemon = await router.daemon(
      (socket) => `
control: { socket: ${socket} }
interfaces:
${[1, 2, 3].map((version) => `  lan${version}: { igmp: { version: ${version}, ${timing} } }`).join('\n')}
`,
    );
    const view = await IgmpView.of(daemon);
    // when hosts join and leave, with sources where there are any
    for (const version of [2, 3]) {
      const receiver = await hosts[version - 1]!.receiver({ address: `10.${version}.0.2` });
      await receiver.join(G);
      await view.knows(`lan${version}`, G);
      await receiver.leave(G);
      await view.forgets(`lan${version}`, G);
      if (version === 2) continue;
      for (const source of ['10.9.0.1', '10.9.0.2']) await receiver.join(G, source);
      await view.knows('lan3', G, (row) => row.sources.length === 2);
      for (const source of ['10.9.0.1', '10.9.0.2']) await receiver.leave(G, source);
      await view.forgets('lan3', G);
    }
    // then each of them saw queries of its own version, and neither judge has anything against one of them
    const layers = [['IGMP'], ['IGMP'], ['IGMPv3', 'IGMPv3mq']];
    for (const [n, capture] of captures.entries()) {
      const own = `10.${n + 1}.0.1`;
      const captured = capture.queries().filter(({ source }) => source === own);
      const dissected = (await scapy.dissect(capture.file)).filter(({ fields }) => fields['type'] === 0x11);
      expect(dissected).toHaveLength(captured.length);
      expect(captured.length).toBeGreaterThanOrEqual([2, 4, 6][n]!);
      for (const query of captured)
        expect(query).toMatchObject({ complaints: '', checksumsGood: true, version: n + 1 });
      for (const query of dissected)
        expect(query).toMatchObject({ layers: layers[n], leftover: '', checksumsGood: true, alert: true, ttl: 1 });
    }
  },
);

netnsTest(
  'a query that arrives while a leave counts down neither stops nor restarts the countdown (IGMP-112, F23)',
  async (net) => {
    // given a group whose last member leaves: two queries a second apart, gone after two
    const { scapy, view } = await scene(net, '', '1s');
    const leaves = async () => {
      await scapy.send(`to("224.0.0.22", report(IGMPv3gr(rtype=4, maddr="${G}")))`);
      await view.knows('lan', G, (row) => row.expiresInMs! > 100_000);
      await scapy.send(`to("224.0.0.22", report(IGMPv3gr(rtype=3, maddr="${G}")))`);
      await view.knows('lan', G, (row) => row.expiresInMs! < 2_001);
    };
    for (const [from, role] of [
      [HOST, 'querier'],
      [LOWER, 'non-querier'],
    ] as const) {
      await leaves();
      // when a router asks everybody meanwhile, one that loses the election and one that wins it
      await scapy.send(`to("224.0.0.1", IGMPv3(type=0x11, mrcode=100) / IGMPv3mq(), source="${from}")`);
      // then the group is gone in time all the same
      expect((await view.knows('lan', G)).expiresInMs).toBeLessThan(2_001);
      await view.forgets('lan', G, { withinMs: 4_000 });
      await view.role('lan', role);
    }
  },
);
