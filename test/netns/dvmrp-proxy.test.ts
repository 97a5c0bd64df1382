/**
 * A dense and a sparse protocol in one router (coexistence.md section 6): DVMRP inside, the proxy's upstream outside, and a link
 * where IGMP is alone. Real daemons, real packets; the judge on the upstream is tshark.
 */
// needs: tshark tcpdump
import { expect } from 'vitest';
import { Capture } from '../support/capture.js';
import type { Daemon } from '../support/daemon.js';
import { arrives, config, GROUP, prunesOf, routeTo } from '../support/dvmrp-daemons.js';
import { eventually } from '../support/eventually.js';
import { type Namespace, type Net, netnsTest } from '../support/topology.js';
import type { Receiver } from '../support/traffic.js';

const OUTSIDE = '10.0.0.2';
const NEAR = '10.1.0.2';
const DEEP = '10.2.0.2';
const LEAF = '10.3.0.2';
/** Asking a daemon starts a process. */
const SELDOM = { withinMs: 10_000, everyMs: 250 };
/** What the proxy asks for when somebody wants everything; what DVMRP always asks for. */
const WILD = '239.7.7.7';
const PULLED = '239.8.8.8';
/** What may not go up, and what the border router is a member of by itself. */
const INNER = '239.6.6.6';
const OWN = '239.9.9.9';

interface Keys {
  readonly dvmrp?: string;
  readonly proxy?: string;
  readonly upstream?: string;
  /** Keys of IGMP on the link to the second router. */
  readonly igmp?: string;
}

const IGMP = 'queryInterval: 5s, queryResponseInterval: 1s, lastMemberQueryInterval: 200ms';
const QUICK = 'dvmrp: { probeInterval: 1s, neighborTimeout: 4s }';

function borderConfig({ dvmrp = '', proxy = '', upstream = '', igmp = IGMP }: Keys): (socket: string) => string {
  return (socket) => `
control: { socket: ${socket} }
log: { level: debug }
interfaces:
  wan: { owner: proxy }
  near: { owner: dvmrp, ${QUICK}, igmp: { ${IGMP} } }
  mid: { owner: dvmrp, ${QUICK}, igmp: { ${igmp} } }
  leaf: { igmp: { ${IGMP} } }
proxy: { upstreams: [{ interface: wan, ${upstream} }], leaveDelay: 0s, ${proxy} }
dvmrp: { reportInterval: 10s, ${dvmrp} }
`;
}

class Scene {
  private constructor(
    readonly isp: Namespace,
    readonly near: Namespace,
    readonly leaf: Namespace,
    readonly deep: Namespace,
    readonly border: Namespace,
    readonly wire: Capture,
    readonly inner: Daemon,
    public daemon: Daemon,
  ) {}

  /** isp - (wan) border (mid) - inner - deep; border (near) - near, border (leaf) - leaf, where IGMP is alone. */
  static async start(net: Net, keys: Keys = {}, prepare?: (border: Namespace) => void): Promise<Scene> {
    const [border, inner] = [net.router('border'), net.router('inner')];
    const isp = net.host('isp', border, 'wan', '10.0.0');
    const near = net.host('near', border, 'near', '10.1.0');
    const leaf = net.host('leaf', border, 'leaf', '10.3.0');
    const deep = net.host('deep', inner, 'lan', '10.2.0');
    net.link([border, 'mid', '10.9.0.1/24'], [inner, 'mid', '10.9.0.2/24']);
    prepare?.(border);
    const wire = await Capture.start(net, isp, 'eth0');
    const [second, first] = await Promise.all([
      inner.daemon(config(['lan', 'mid'], ['lan'])),
      border.daemon(borderConfig(keys)),
    ]);
    const scene = new Scene(isp, near, leaf, deep, border, wire, second, first);
    await scene.converged();
    return scene;
  }

  async restart(keys: Keys): Promise<void> {
    expect(await this.daemon.stop()).toBe(0);
    this.daemon = await this.border.daemon(borderConfig(keys));
    await this.converged();
  }

  /** Each of the two knows that the other one wants what comes from its own LAN. */
  async converged(): Promise<void> {
    await eventually(
      'the routes and who depends on them',
      () =>
        routeTo(this.daemon, '10.2.0.0/24')?.state === 'up' &&
        routeTo(this.daemon, '10.1.0.0/24')?.dependents.includes('mid 10.9.0.2') === true &&
        routeTo(this.inner, '10.2.0.0/24')?.dependents.includes('mid 10.9.0.1') === true,
      { withinMs: 20_000, everyMs: 250 },
    );
  }

  /** The second router wants what comes from outside. */
  async dependsOnDefault(): Promise<void> {
    await eventually(
      'the second router to depend on the default route',
      () => routeTo(this.daemon, '0.0.0.0/0')?.dependents.includes('mid 10.9.0.2') === true,
      { withinMs: 15_000, everyMs: 250 },
    );
  }

  /** "mid -> leaf,wan"; undefined without an entry. */
  entry(source: string, group = GROUP, daemon = this.daemon): string | undefined {
    const found = daemon
      .ctl<{ source: string; group: string; iif: string; oifs: readonly string[] }[]>('show', 'mfc')
      .find((one) => one.source === source && one.group === group);
    return found && `${found.iif} -> ${[...found.oifs].sort().join()}`;
  }

  async entryIs(wanted: string, source: string, group = GROUP, daemon = this.daemon): Promise<void> {
    await eventually(`the entry ${wanted}`, () => this.entry(source, group, daemon) === wanted, SELDOM);
  }

  /** What was asked upstream, in order: "TO_EX 239.5.5.5". */
  asked(): readonly string[] {
    const all = this.wire
      .packets()
      .filter(({ source }) => source === '10.0.0.1')
      .flatMap(({ records }) => records)
      .filter((record) => !record.includes(' 224.0.0.') && !record.startsWith('IS_'));
    // The kernel says a change twice, and another one may come in between.
    const last = new Map<string, string>();
    return all.filter((record) => {
      const group = record.split(' ')[1]!;
      const isNew = last.get(group) !== record;
      last.set(group, record);
      return isNew;
    });
  }

  async asks(wanted: string): Promise<void> {
    await eventually(`${wanted} upstream`, () => this.asked().includes(wanted), SELDOM);
  }

  /** A prune of ours for the group is in force at the second router, or is not. */
  pruned(group = GROUP): boolean {
    return prunesOf(this.inner).some((one) => one.direction === 'received' && one.group === group);
  }

  /** Packets of the flow that the second router's kernel took in and threw away or forwarded. */
  packetsInside(source: string): number {
    type Row = { readonly source: string; readonly packets: number };
    return this.inner.ctl<Row[]>('show', 'mfc').find((one) => one.source === source)?.packets ?? 0;
  }

  /** Packets that the device of the provider has got. */
  gotOutside(): number {
    type Row = { readonly stats64: { readonly rx: { readonly packets: number } } };
    return this.isp.ipJson<Row[]>('-s', 'link', 'show', 'dev', 'eth0')[0]!.stats64.rx.packets;
  }
}

const stream = (from: string, group = GROUP) => ({ from, groups: [group], ratePerSec: 100 });

netnsTest(
  'sources inside: DVMRP’s route beats the unicast one; all goes up and is not pruned; what may not go up is, and is grafted for a host where IGMP is alone (INT-028)',
  async (net) => {
    // given a unicast route that looks for the source outside, and nobody who asks for anything
    const on = await Scene.start(
      net,
      { upstream: `groups: [{ deny: ${INNER}/32 }]`, dvmrp: 'membersAreSenders: false' },
      (border) => border.ip('route', 'add', '10.2.0.0/24', 'via', OUTSIDE),
    );
    const senders = [await on.deep.sender(stream(DEEP)), await on.deep.sender(stream(DEEP, INNER))];
    // then what may go up does, without a Prune
    await eventually('the prune of what may not go up', () => on.pruned(INNER), SELDOM);
    await on.entryIs('mid -> wan', DEEP);
    const before = on.gotOutside();
    await eventually('packets at the provider', () => on.gotOutside() > before + 100, SELDOM);
    expect([on.pruned(), on.asked()]).toEqual([false, []]);
    // when a host on a link of IGMP alone joins what was pruned, and leaves it
    const host = await on.leaf.receiver({ address: LEAF });
    await host.join(INNER);
    await arrives(host, 'the stream after the graft');
    expect([on.pruned(INNER), on.entry(DEEP, INNER)]).toEqual([false, 'mid -> leaf']);
    await host.leave(INNER);
    await eventually('the next prune', () => on.pruned(INNER), SELDOM);
    for (const sender of senders) await sender.stop();
  },
  60_000,
);

netnsTest(
  'the worked flow: (*,*) asks for the proxy’s list alone, a member for its group, leaves undo it; and the reverse (INT-028, INT-014, INT-015)',
  async (net) => {
    // 1: DVMRP's (*,*) makes the proxy ask for its list
    const on = await Scene.start(net, {
      proxy: `wildcardGroups: [${WILD}]`,
      dvmrp: 'originateDefault: true, membersAreSenders: false',
    });
    await on.asks(`TO_EX ${WILD}`);
    expect(on.asked()).toEqual([`TO_EX ${WILD}`]);
    await on.dependsOnDefault();
    // 2: a host on a link of DVMRP joins
    const host = await on.near.receiver({ address: NEAR });
    await host.join(GROUP);
    await on.asks(`TO_EX ${GROUP}`);
    // 3: data from outside; the other link only until the router there has pruned
    const sender = await on.isp.sender(stream(OUTSIDE));
    await arrives(host, 'the stream from outside');
    await on.entryIs('wan -> near', OUTSIDE);
    expect(prunesOf(on.daemon)).toMatchObject([{ direction: 'received', originSubnet: '0.0.0.0/0', group: GROUP }]);
    // the reverse: a source on the link of DVMRP goes up, and to nobody else
    const reverse = await on.near.sender(stream(NEAR, INNER));
    await on.entryIs('near -> wan', NEAR, INNER);
    await reverse.stop();
    // 4: the host leaves
    await host.leave(GROUP);
    await on.asks(`TO_IN ${GROUP}`);
    await on.entryIs('wan -> ', OUTSIDE);
    // 5: DVMRP leaves both of its links
    for (const name of ['near', 'mid']) on.daemon.ctl('release', name);
    await on.asks(`TO_IN ${WILD}`);
    expect(on.asked()).toEqual([`TO_EX ${WILD}`, `TO_EX ${GROUP}`, `TO_IN ${GROUP}`, `TO_IN ${WILD}`]);
    await sender.stop();
  },
  60_000,
);
netnsTest(
  'sources outside, members deep inside: dropped one hop in without originateDefault; with it, groups that are pulled, and those somebody inside sends to (INT-028, INT-029)',
  async (net) => {
    // given no default route, and a member that the border router itself has on the link to the second one
    const igmp = `${IGMP}, staticGroups: [{ group: ${OWN} }]`;
    const on = await Scene.start(net, { igmp });
    const hosts = await Promise.all([OWN, PULLED, GROUP].map(() => on.deep.receiver({ address: DEEP })));
    const [host, viewer, member] = hosts as [Receiver, Receiver, Receiver];
    const senders = [];
    for (const group of [OWN, PULLED, GROUP]) senders.push(await on.isp.sender(stream(OUTSIDE, group)));
    await host.join(OWN);
    // then the packets cross one link and no other one
    await on.entryIs('wan -> mid', OUTSIDE, OWN);
    await eventually('the second router to have dropped some', () => on.packetsInside(OUTSIDE) > 50, SELDOM);
    expect([on.entry(OUTSIDE, OWN, on.inner), (await host.report()).received]).toEqual(['mid -> ', 0]);
    // when a default route is told
    await on.restart({ igmp, dvmrp: `originateDefault: 3, pullGroups: [${PULLED}]` });
    await on.dependsOnDefault();
    expect(routeTo(on.inner, '0.0.0.0/0')).toMatchObject({ metric: 4, fromGateway: '10.9.0.1' });
    await arrives(host, 'the stream from outside');
    expect(on.entry(OUTSIDE, OWN, on.inner)).toBe('mid -> lan');
    // and members behind the second router, of whom this one does not know
    await viewer.join(PULLED);
    await arrives(viewer, 'the stream that is always pulled');
    await member.join(GROUP);
    expect(on.asked()).toContain(`TO_EX ${PULLED}`);
    expect(on.asked()).not.toContain(`TO_EX ${GROUP}`);
    // when somebody inside sends to their group, it is asked for outside
    const inside = await on.near.sender(stream(NEAR));
    await on.asks(`TO_EX ${GROUP}`);
    await arrives(member, 'the stream from inside and outside');
    expect(on.entry(OUTSIDE)).toBe('wan -> mid');
    // when the place where it is sent is left, it is not asked for any more
    on.daemon.ctl('release', 'near');
    await on.asks(`TO_IN ${GROUP}`);
    for (const sender of [...senders, inside]) await sender.stop();
  },
  60_000,
);
