/**
 * FRRouting's pimd, of Debian, as the other router: on the LAN of the hosts as a second querier, and upstream of the proxy.
 * It drops queries of another version than its own, so both speak version 3.
 */
// needs: frr root
import { expect } from 'vitest';
import type { Daemon } from '../support/daemon.js';
import { eventually } from '../support/eventually.js';
import { Frr } from '../support/frr.js';
import { IgmpView } from '../support/igmp-view.js';
import { lan } from '../support/lan.js';
import { Member } from '../support/member.js';
import { netnsTest } from '../support/topology.js';

const G = '239.1.1.1';
/** A question to FRR takes a program. */
const SOON = { withinMs: 15_000, everyMs: 300 };

/** QI 2 s and QRI 0.5 s on both sides: another querier counts as gone after 4.25 s. */
const OF_FRR = 'ip igmp\n ip igmp query-max-response-time 5\n ip igmp query-interval 2';
const OF_MGMD = 'queryInterval: 2s, queryResponseInterval: 500ms, lastMemberQueryInterval: 200ms';

const roleChanges = (daemon: Daemon) => [
  ...daemon.events('igmp.querier.lost'),
  ...daemon.events('igmp.querier.gained'),
];

netnsTest(
  'beside FRR the lower address asks, on both sides, and neither flaps (IGMP-100, IGMP-101, IGMP-103)',
  async (net) => {
    // given mgmd, a host and a router of FRR that has a lower address at first
    const [router, other, host] = [net.router('router'), net.router('frr'), net.namespace('host')];
    lan(net, 'lan', [router, 'recv', '10.2.0.5/24'], [other, 'eth0', '10.2.0.1/24'], [host, 'eth0', '10.2.0.20/24']);
    const member = await Member.start(host, '10.2.0.20');
    const daemon = await router.daemon(
      (socket) => `
control: { socket: ${socket} }
interfaces:
  recv: { igmp: { ${OF_MGMD} } }
`,
    );
    const view = await IgmpView.of(daemon);
    const start = () => Frr.start(net, other, `interface eth0\n ${OF_FRR}\n ip pim\n`);
    const lower = await start();
    // when both have heard each other, and a host joins
    await view.role('recv', 'non-querier', '10.2.0.1', SOON);
    await member.join(G);
    // then FRR asks, and both know the member
    await eventually('FRR to know the member', () => groupsOf(lower, 'eth0').includes(G), SOON);
    await view.knows('recv', G);
    expect(lower.show('ip igmp interface')['eth0']).toMatchObject({ querier: true, querierIp: '10.2.0.1' });
    // and when FRR dies, mgmd asks
    await lower.kill();
    await view.role('recv', 'querier', '10.2.0.5', SOON);
    expect(roleChanges(daemon)).toHaveLength(2);
    // and when it comes back with a higher address, it finds mgmd asking, and so it stays for some queries
    other.ip('address', 'flush', 'dev', 'eth0');
    other.ip('address', 'add', '10.2.0.9/24', 'dev', 'eth0');
    const higher = await start();
    await eventually(
      'FRR not to ask',
      () => higher.show('ip igmp interface')['eth0']!['querierIp'] === '10.2.0.5',
      SOON,
    );
    await eventually('FRR to know the member', () => groupsOf(higher, 'eth0').includes(G), SOON);
    expect(higher.show('ip igmp interface')['eth0']).not.toHaveProperty('querier'); // which it leaves out when it is not
    await view.role('recv', 'querier', '10.2.0.5');
    expect(roleChanges(daemon)).toHaveLength(2);
    expect(higher.output()).not.toMatch(/IGMP.*(version|checksum|invalid|bad)/i);
    // and when the host leaves, both forget the group
    await member.leave(G);
    await view.forgets('recv', G);
    await eventually('FRR to forget the group', () => !groupsOf(higher, 'eth0').includes(G), SOON);
  },
);

interface FrrGroup {
  readonly group: string;
}

/** The groups that FRR knows members of on an interface. */
function groupsOf(frr: Frr, ifname: string): readonly string[] {
  const groups = frr.show('ip igmp groups')[ifname]?.['groups'] as readonly FrrGroup[] | undefined;
  return (groups ?? []).map(({ group }) => group);
}

netnsTest(
  'through FRR upstream and the proxy a stream reaches a host, any-source and source-specific, and ends with its leave (IGMP-141)',
  async (net) => {
    // given source - FRR (its own rendezvous point) - mgmd with the proxy - host
    const [router, isp] = [net.router('router'), net.router('isp')];
    const source = net.host('source', isp, 'inside', '10.9.0');
    net.link([router, 'wan', '10.0.0.2/24'], [isp, 'customers', '10.0.0.1/24']);
    const host = net.host('host', router, 'lan', '10.2.0');
    router.ip('route', 'add', 'default', 'via', '10.0.0.1');
    const frr = await Frr.start(
      net,
      isp,
      `ip pim rp 10.9.0.1 224.0.0.0/4
interface customers
 ${OF_FRR}
 ip pim
interface inside
 ip pim
`,
    );
    const daemon = await router.daemon(
      (socket) => `
control: { socket: ${socket} }
interfaces:
  wan: { owner: proxy }
  lan: { owner: proxy, igmp: { ${OF_MGMD} } }
proxy:
  upstreams: [{ interface: wan }]
`,
    );
    const member = await Member.start(host, '10.2.0.2');
    await source.sender({ from: '10.9.0.2', groups: [G], ratePerSec: 100, ttl: 16 });
    await source.sender({ from: '10.9.0.2', groups: ['232.1.1.1'], ratePerSec: 100, ttl: 16 });
    expect(groupsOf(frr, 'customers')).toEqual([]);
    // when
    await member.join(G);
    await member.join('232.1.1.1', '10.9.0.2');
    // then FRR hears the proxy ask, and both streams come through
    await eventually('FRR to know both groups', () => groupsOf(frr, 'customers').length === 2, SOON);
    expect([...groupsOf(frr, 'customers')].sort()).toEqual(['232.1.1.1', G]);
    await member.gets('10.9.0.2', G, 10, 15_000);
    await member.gets('10.9.0.2', '232.1.1.1', 10, 15_000);
    expect(daemon.ctl<{ group: string; held: boolean }[]>('show', 'igmp', 'proxy')).toMatchObject([
      { group: '232.1.1.1', mode: 'include', sources: ['10.9.0.2'], held: true },
      { group: G, mode: 'exclude', sources: [], held: true },
    ]);
    // and when the host leaves, FRR forgets both
    await member.leave(G);
    await member.leave('232.1.1.1', '10.9.0.2');
    await eventually('FRR to forget both groups', () => groupsOf(frr, 'customers').length === 0, SOON);
    await member.misses('10.9.0.2', G);
  },
);
