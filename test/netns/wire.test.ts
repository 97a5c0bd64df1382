/**
 * What mgmd's querier sends, as tshark decodes it on the hosts' side of the wire: the real daemon, real hosts (the kernel's
 * own IGMP, in version 3 and forced to version 2), and hand-made reports where a kernel would not say just that.
 */
// needs: tshark tcpdump
import { expect } from 'vitest';
import { Capture, type CapturedIgmp } from '../support/capture.js';
import type { Daemon } from '../support/daemon.js';
import { eventually } from '../support/eventually.js';
import { allow, type BuiltRecord, block, reportV3, toHex } from '../support/packet-builder.js';
import { type Namespace, type Net, netnsTest } from '../support/topology.js';

const G = '239.1.1.1';
const S = ['10.9.0.1', '10.9.0.2', '10.9.0.3'] as const;
/** The primary address of the router's interface is neither its lowest nor its only one. */
const ROUTER = '10.2.0.9';
const HOST = '10.2.0.2';

/** What every query has in its IPv4 header: TTL 1, TOS 0xc0, router alert with value 0 and nothing else (igmp.md section 2). */
const HEADER = {
  source: ROUTER,
  headerBytes: 24,
  tos: 0xc0,
  ttl: 1,
  options: [148],
  routerAlert: 0,
  checksumsGood: true,
  complaints: '',
};
/** RV 2 and QI 125 s, which fit their fields as they are. */
const DEFAULTS = { version: 3, qrv: 2, qqic: 125 };
const V3_ONLY = { qrv: Number.NaN, qqic: Number.NaN, sourceCount: Number.NaN, sources: [] };

interface Scene {
  readonly daemon: Daemon;
  readonly host: Namespace;
  readonly capture: Capture;
}

/** The daemon on a LAN with one host and a capture that was there first. `igmp` is the interface's section. */
async function scene(net: Net, igmp: string, hostVersion = 3): Promise<Scene> {
  const router = net.router('router');
  const host = net.namespace('host');
  net.link([router, 'lan', `${ROUTER}/24 10.2.0.1/24`], [host, 'eth0', `${HOST}/24`]);
  host.ip('route', 'add', 'default', 'via', ROUTER);
  if (hostVersion !== 3) host.sysctl('net.ipv4.conf.eth0.force_igmp_version', hostVersion);
  const capture = await Capture.start(net, host, 'eth0');
  const daemon = await router.daemon(
    (socket) => `
control: { socket: ${socket} }
interfaces:
  lan: { igmp: { ${igmp} } }
`,
  );
  return { daemon, host, capture };
}

function general(packets: readonly CapturedIgmp[]): readonly CapturedIgmp[] {
  return packets.filter(({ groups }) => groups[0] === '0.0.0.0');
}

function specific(packets: readonly CapturedIgmp[]): readonly CapturedIgmp[] {
  return packets.filter(({ groups }) => groups[0] !== '0.0.0.0');
}

/** Waits for so many group-specific and group-and-source-specific queries and returns them. */
async function specificQueries({ capture }: Scene, count: number): Promise<readonly CapturedIgmp[]> {
  return eventually(
    `${count} specific queries`,
    () => {
      const seen = specific(capture.queries());
      return seen.length >= count && seen;
    },
    { withinMs: 20_000, everyMs: 100 },
  );
}

/** What IGMP knows of G: undefined, or its sources. */
function known({ daemon }: Scene): readonly string[] | undefined {
  const keys = daemon.ctl<{ group: string; source: string | null }[]>('show', 'groups');
  const sources = keys.filter(({ group }) => group === G).map(({ source }) => source ?? '*');
  return sources.length > 0 ? sources.sort() : undefined;
}

async function knows(on: Scene, ...sources: readonly string[]): Promise<void> {
  const wanted = sources.join();
  await eventually(`the daemon to know of ${wanted} in ${G}`, () => (known(on) ?? []).join() === wanted, {
    withinMs: 20_000,
    everyMs: 50,
  });
}

/** The host says exactly this, once; its kernel knows nothing of it and so adds nothing. */
function report(host: Namespace, ...records: readonly BuiltRecord[]): void {
  host.run('python3', '-c', SEND_REPORT, HOST, toHex(reportV3(...records)));
}

const SEND_REPORT = `
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_IGMP)
s.setsockopt(socket.IPPROTO_IP, socket.IP_OPTIONS, bytes.fromhex('94040000'))
s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 1)
s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(sys.argv[1]))
s.sendto(bytes.fromhex(sys.argv[2]), ('224.0.0.22', 0))
`;

/** 30 s is sent as 0x92, which is 28.8 s (igmp.md section 3); tshark shows the time and, in version 1, none. */
const QUICK = 'queryResponseInterval: 10s, startupQueryInterval: 100ms';

for (const { title, igmp, fields } of [
  {
    title: 'a version 3 general query (IGMP-015, IGMP-081)',
    igmp: `version: 3, ${QUICK}`,
    fields: { ...DEFAULTS, maxRespDs: 100, suppress: false, sourceCount: 0, sources: [] },
  },
  {
    title: 'a version 3 general query with times that need the float code (IGMP-015, IGMP-081, IGMP-082)',
    igmp: 'version: 3, robustness: 3, queryInterval: 200s, queryResponseInterval: 30s, startupQueryInterval: 100ms',
    fields: { version: 3, maxRespDs: 288, suppress: false, qrv: 3, qqic: 0x89, sourceCount: 0, sources: [] },
  },
  {
    title: 'a version 2 general query (IGMP-015, IGMP-081)',
    igmp: `version: 2, ${QUICK}`,
    fields: { version: 2, maxRespDs: 100, ...V3_ONLY },
  },
  {
    title: 'a version 2 general query of the longest response time (IGMP-015, IGMP-081)',
    igmp: 'version: 2, queryResponseInterval: 25.5s, startupQueryInterval: 100ms',
    fields: { version: 2, maxRespDs: 255, ...V3_ONLY },
  },
  {
    title: 'a version 1 general query (IGMP-015, IGMP-081)',
    igmp: `version: 1, ${QUICK}`,
    fields: { version: 1, maxRespDs: Number.NaN, ...V3_ONLY },
  },
]) {
  netnsTest(`${title} is decoded by tshark with the right fields and no complaint`, async (net) => {
    // given a daemon that starts
    const { capture } = await scene(net, igmp);
    // when it has sent the first query and a later one
    const queries = await eventually('two general queries', () => {
      const seen = general(capture.queries());
      return seen.length >= 2 && seen;
    });
    // then
    const expected = { ...HEADER, destination: '224.0.0.1', groups: ['0.0.0.0'], ...fields };
    for (const query of queries) expect(query).toMatchObject(expected);
  });
}

const LAST_MEMBER = 'lastMemberQueryInterval: 500ms';
const TO_G = { ...HEADER, destination: G, groups: [G] };

for (const { version, fields } of [
  { version: 2, fields: { version: 2, maxRespDs: 5, ...V3_ONLY } },
  { version: 3, fields: { ...DEFAULTS, maxRespDs: 5, suppress: false, sourceCount: 0, sources: [] } },
]) {
  netnsTest(
    `when a version ${version} host leaves, LMQC group-specific queries are decoded with the right fields (IGMP-015, IGMP-083)`,
    async (net) => {
      // given a host that is the group's only member
      const on = await scene(net, `version: ${version}, ${LAST_MEMBER}`, version);
      const receiver = await on.host.receiver({ address: HOST });
      await receiver.join(G);
      await knows(on, '*');
      // when
      await receiver.leave(G);
      // then: by the time the group is forgotten, all queries were sent
      await specificQueries(on, 2);
      await knows(on);
      const queries = specific(on.capture.queries());
      expect(queries).toHaveLength(2);
      for (const query of queries) expect(query).toMatchObject({ ...TO_G, ...fields });
    },
  );
}

netnsTest(
  'when a host leaves one source of several, then LMQC group-and-source-specific queries name it alone (IGMP-015)',
  async (net) => {
    // given
    const on = await scene(net, LAST_MEMBER);
    const receiver = await on.host.receiver({ address: HOST });
    for (const source of S) await receiver.join(G, source);
    await knows(on, ...S);
    // when the host's kernel sends BLOCK, twice
    await receiver.leave(G, S[1]);
    // then
    await specificQueries(on, 2);
    await knows(on, S[0], S[2]);
    const queries = specific(on.capture.queries());
    expect(queries).toHaveLength(2);
    const fields = { ...DEFAULTS, maxRespDs: 5, suppress: false, sourceCount: 1, sources: [S[1]] };
    for (const query of queries) expect(query).toMatchObject({ ...TO_G, ...fields });
  },
);

netnsTest(
  'when somebody answers a group-specific query, then its retransmission has the S flag (IGMP-084)',
  async (net) => {
    // given a group that its only member leaves
    const on = await scene(net, 'lastMemberQueryInterval: 4s');
    const receiver = await on.host.receiver({ address: HOST });
    await receiver.join(G);
    await knows(on, '*');
    await receiver.leave(G);
    await specificQueries(on, 1);
    // when it comes back before the retransmission
    await receiver.join(G);
    // then
    const queries = await specificQueries(on, 2);
    const fields = { ...DEFAULTS, maxRespDs: 40, sourceCount: 0, sources: [] };
    expect(queries).toMatchObject([
      { ...TO_G, ...fields, suppress: false },
      { ...TO_G, ...fields, suppress: true },
    ]);
    expect(known(on)).toEqual(['*']);
  },
);

netnsTest(
  'when one of two sources is wanted again, then the retransmission is split by the S flag (IGMP-085)',
  async (net) => {
    // given two sources that nobody may want any more
    const on = await scene(net, 'lastMemberQueryInterval: 4s');
    report(on.host, allow(G, ...S));
    await knows(on, ...S);
    report(on.host, block(G, S[0], S[1]));
    const [first] = await specificQueries(on, 1);
    // when one of them is answered for
    report(on.host, allow(G, S[0]));
    // then
    const [, second, third] = await specificQueries(on, 3);
    const fields = { ...TO_G, ...DEFAULTS, maxRespDs: 40 };
    expect(first).toMatchObject({ ...fields, suppress: false, sourceCount: 2 });
    expect([...first!.sources].sort()).toEqual([S[0], S[1]]);
    expect(second).toMatchObject({ ...fields, suppress: true, sourceCount: 1, sources: [S[0]] });
    expect(third).toMatchObject({ ...fields, suppress: false, sourceCount: 1, sources: [S[1]] });
    await knows(on, S[0], S[2]);
  },
);
