/** Several mgmd on one LAN: who asks the hosts, who takes over, and what the hosts and their streams notice of it. */
import { expect } from 'vitest';
import type { Daemon } from '../support/daemon.js';
import { eventually } from '../support/eventually.js';
import { IgmpView } from '../support/igmp-view.js';
import { lan } from '../support/lan.js';
import { type Flow, Member } from '../support/member.js';
import { type Namespace, type Net, netnsTest } from '../support/topology.js';

const G = '239.1.1.1';
const G2 = '239.1.1.2';
const SOURCE = '10.1.0.2';
const [LOWEST, MIDDLE, HIGHEST, HOST] = ['10.2.0.1', '10.2.0.5', '10.2.0.9', '10.2.0.20'] as const;

/** Another querier counts as gone after 2 s and half the response interval; a member 3.6 s after its last report. */
const SLOW = 'queryInterval: 1s, queryResponseInterval: 800ms';
const FAST = 'queryInterval: 1s, queryResponseInterval: 100ms';
const SOON = { withinMs: 10_000 };

/** The router in this namespace serves `recv`, and `send` where it has one. */
function daemon(router: Namespace, igmp = SLOW): Promise<Daemon> {
  return router.daemon(
    (socket) => `
control: { socket: ${socket} }
interfaces:
  recv: { igmp: { ${igmp} } }
  send: { igmp: true }
`,
  );
}

interface Scene {
  readonly routers: readonly Namespace[];
  readonly source: Namespace;
  readonly host: Member;
}

/** Routers with these addresses and a host on one LAN; a source behind the last of them. */
async function scene(net: Net, ...addresses: readonly string[]): Promise<Scene> {
  const routers = addresses.map((_, n) => net.router(`router${n}`));
  const host = net.namespace('host');
  lan(net, 'lan', ...routers.map((router, n) => [router, 'recv', `${addresses[n]}/24`] as const), [
    host,
    'eth0',
    `${HOST}/24`,
  ]);
  const source = net.host('source', routers.at(-1)!, 'send', '10.1.0');
  return { routers, source, host: await Member.start(host, HOST) };
}

/** The stream that the last router forwards to the host, once it is steady. */
async function stream({ source, host }: Scene, last: IgmpView): Promise<Flow> {
  await host.join(G);
  await last.knows('recv', G);
  await source.sender({ from: SOURCE, groups: [G], ratePerSec: 200 });
  return host.gets(SOURCE, G);
}

async function unharmed({ host }: Scene, { lost, duplicated }: Flow): Promise<void> {
  await host.gets(SOURCE, G);
  expect(await host.flow(SOURCE, G)).toMatchObject({ lost, duplicated });
}

netnsTest(
  'of two mgmd the lower address asks; when it is killed the other takes over, and gives way when it comes back; no member is lost (IGMP-100, IGMP-101, IGMP-103, F21)',
  async (net) => {
    // given a stream through the router that is not querier
    const on = await scene(net, LOWEST, HIGHEST);
    const [lower, higher] = on.routers as [Namespace, Namespace];
    const other = await IgmpView.of(await daemon(higher));
    await other.role('recv', 'querier', HIGHEST);
    const first = await daemon(lower);
    await (await IgmpView.of(first)).role('recv', 'querier', LOWEST);
    await other.role('recv', 'non-querier', LOWEST, SOON);
    const before = await stream(on, other);
    // when the querier dies without a word
    first.process.signal('SIGKILL');
    const died = performance.now();
    // then the other is it, after the other-querier-present interval and not earlier
    await other.role('recv', 'querier', HIGHEST, SOON);
    expect(performance.now() - died).toBeGreaterThan(1_000);
    await unharmed(on, before);
    // and when it starts again, it is querier at once, and knows the members as soon as they have answered
    const again = await IgmpView.of(await daemon(lower));
    await again.role('recv', 'querier', LOWEST);
    await other.role('recv', 'non-querier', LOWEST, SOON);
    await again.knows('recv', G);
    await unharmed(on, before);
  },
);

netnsTest(
  'a router that does not ask knows what the querier knows, and forgets a group with it (IGMP-062, IGMP-108, IGMP-110)',
  async (net) => {
    // given a member behind two routers
    const on = await scene(net, LOWEST, HIGHEST);
    const views = [];
    for (const router of on.routers)
      views.push(await IgmpView.of(await daemon(router, `${FAST}, lastMemberQueryInterval: 200ms`)));
    await views[1]!.role('recv', 'non-querier', LOWEST, SOON);
    await on.host.join(G);
    await on.host.join(G2, SOURCE);
    for (const view of views) {
      await view.knows('recv', G, (row) => row.mode === 'exclude');
      await view.knows('recv', G2, (row) => row.mode === 'include');
    }
    // when it leaves
    await on.host.leave(G);
    await on.host.leave(G2, SOURCE);
    // then the querier's questions end the groups in both
    for (const view of views) {
      await view.forgets('recv', G);
      await view.forgets('recv', G2);
    }
  },
);

netnsTest(
  'of three mgmd, when the best dies the middle one becomes querier, and the third stays silent and follows it (IGMP-104, F22, E2)',
  async (net) => {
    // given three routers, the third of which waits longer than the second
    const on = await scene(net, LOWEST, MIDDLE, HIGHEST);
    const [one, two, three] = on.routers as [Namespace, Namespace, Namespace];
    const best = await daemon(one);
    const middle = await IgmpView.of(await daemon(two, FAST));
    const last = await daemon(three, SLOW);
    const third = await IgmpView.of(last);
    await middle.role('recv', 'non-querier', LOWEST, SOON);
    await third.role('recv', 'non-querier', LOWEST, SOON);
    const before = await stream(on, third);
    // when the best one dies
    best.process.signal('SIGKILL');
    // then the middle one asks, and the third finds the dead one gone in its own time; it has heard the middle one by then
    await middle.role('recv', 'querier', MIDDLE, SOON);
    await third.role('recv', 'non-querier', MIDDLE, SOON);
    expect(last.events('igmp.querier.gained')).toHaveLength(0);
    await unharmed(on, before);
    // and it stays so
    await third.role('recv', 'non-querier', MIDDLE);
    await middle.role('recv', 'querier', MIDDLE);
  },
);

netnsTest(
  'two routers with the same address on a link: both tell it, with the MAC of the other, until one of them is gone (E7)',
  async (net) => {
    // given a router that is alone: it is querier, and takes none of its own queries for another's
    const on = await scene(net, LOWEST, LOWEST);
    const [one, two] = on.routers as [Namespace, Namespace];
    const first = await daemon(one, FAST);
    const view = await IgmpView.of(first);
    await eventually('the startup queries', async () => (await view.sent('recv'))['generalQueries']! >= 3);
    expect(await view.interface('recv')).toMatchObject({ role: 'querier', problem: null });
    expect((await view.dropped('recv'))['duplicateAddress']).toBe(0);
    // when the other one starts
    const second = await daemon(two, FAST);
    const other = await IgmpView.of(second);
    // then both ask, and both say why
    for (const [shown, process, mac] of [
      [view, first, macOf(two)],
      [other, second, macOf(one)],
    ] as const) {
      const problem = `${LOWEST} is also used by another machine (${mac})`;
      await eventually('the duplicate', async () => (await shown.interface('recv')).problem === problem);
      expect((await shown.interface('recv')).role).toBe('querier');
      expect((await shown.dropped('recv'))['duplicateAddress']).toBeGreaterThan(0);
      expect(process.events('igmp.address.duplicated')).toMatchObject([{ ifname: 'recv', address: LOWEST, mac }]);
    }
    expect(first.ctlText('show', 'igmp', 'interfaces')).toContain(`${LOWEST} is also used by`);
    // and it is over when the other one is gone
    other.close();
    await second.stop();
    await eventually('the end of it', async () => (await view.interface('recv')).problem === null);
    expect(first.events('igmp.address.cleared')).toMatchObject([{ ifname: 'recv', address: LOWEST }]);
    expect(first.events('igmp.address.duplicated')).toHaveLength(1);
    view.close();
  },
);

function macOf(router: Namespace): string {
  return router.ipJson<{ address: string }[]>('link', 'show', 'dev', 'recv')[0]!.address;
}
