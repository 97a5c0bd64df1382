/**
 * A dense and a sparse protocol in one router (interop.md section 6): DVMRP inside, the proxy's upstream outside, and a link
 * where IGMP is alone. Real daemons, real packets; the judge on the upstream is tshark.
 */
import { expect } from 'vitest';
import { Capture } from '../support/capture.js';
import type { Daemon } from '../support/daemon.js';
import { arrives, config, GROUP, prunesOf, routeTo } from '../support/dvmrp-daemons.js';
import { eventually } from '../support/eventually.js';
import { type Namespace, type Net, netnsTest } from '../support/topology.js';

const OUTSIDE = '10.0.0.2';
const NEAR = '10.1.0.2';
const DEEP = '10.2.0.2';
const LEAF = '10.3.0.2';
/** What the proxy asks for when somebody wants everything; what DVMRP always asks for. */
const WILD = '239.7.7.7';
const PULLED = '239.8.8.8';

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
      { withinMs: 20_000, everyMs: 100 },
    );
  }

  /** The second router wants what comes from outside. */
  async dependsOnDefault(): Promise<void> {
    await eventually(
      'the second router to depend on the default route',
      () => routeTo(this.daemon, '0.0.0.0/0')?.dependents.includes('mid 10.9.0.2') === true,
      { withinMs: 15_000, everyMs: 100 },
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
    await eventually(`the entry ${wanted}`, () => this.entry(source, group, daemon) === wanted, { everyMs: 50 });
  }

  /** What was asked upstream, in order: "TO_EX 239.5.5.5". */
  asked(): readonly string[] {
    const all = this.wire
      .packets()
      .filter(({ source }) => source === '10.0.0.1')
      .flatMap(({ records }) => records)
      .filter((record) => !record.includes(' 224.0.0.') && !record.startsWith('IS_'));
    return all.filter((record, at) => record !== all[at - 1]);
  }

  async asks(wanted: string): Promise<void> {
    await eventually(`${wanted} upstream`, () => this.asked().includes(wanted), { everyMs: 100 });
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
  'INT-028 a source inside DVMRP and a host on a link where IGMP is alone: a join there is a Graft, the leave a Prune',
  async (net) => {
    // given a flow that nobody here wants, the upstream included
    const on = await Scene.start(net, { upstream: `groups: [{ deny: ${GROUP}/32 }]` });
    const sender = await on.deep.sender(stream(DEEP));
    await eventually('the prune', () => on.pruned());
    // when the host joins, and leaves
    const host = await on.leaf.receiver({ address: LEAF });
    await host.join(GROUP);
    await arrives(host, 'the stream after the graft', 1000);
    expect(on.pruned()).toBe(false);
    expect(on.entry(DEEP)).toBe('mid -> leaf');
    await host.leave(GROUP);
    await eventually('the next prune', () => on.pruned());
    expect(on.asked()).toEqual([]);
    await sender.stop();
  },
  60_000,
);

netnsTest(
  'INT-028 a source inside DVMRP and the proxy’s upstream: all of it goes up, so no Prune; what the upstream does not admit is pruned',
  async (net) => {
    const on = await Scene.start(net, {
      upstream: 'groups: [{ deny: 239.6.6.6/32 }]',
      dvmrp: 'membersAreSenders: false',
    });
    const senders = [await on.deep.sender(stream(DEEP)), await on.deep.sender(stream(DEEP, '239.6.6.6'))];
    await eventually('the prune of what may not go up', () => on.pruned('239.6.6.6'));
    await on.entryIs('mid -> wan', DEEP);
    const before = on.gotOutside();
    await eventually('packets at the provider', () => on.gotOutside() > before + 100);
    expect([on.pruned(), on.asked()]).toEqual([false, []]);
    for (const sender of senders) await sender.stop();
  },
  60_000,
);

netnsTest(
  'INT-028 INT-014 INT-015 the worked flow: (*,*) asks for the proxy’s list alone, a member for its group, leaves undo it; and the reverse',
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
    const reverse = await on.near.sender(stream(NEAR, '239.6.6.6'));
    await on.entryIs('near -> wan', NEAR, '239.6.6.6');
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
  'INT-028 INT-029 members deep inside get an outside source: of a group somebody inside sends to, and of one that is always pulled',
  async (net) => {
    const on = await Scene.start(net, { dvmrp: `originateDefault: true, pullGroups: [${PULLED}]` });
    await on.asks(`TO_EX ${PULLED}`);
    await on.dependsOnDefault();
    // given outside sources of both groups and members behind the second router, of whom this one does not know
    const senders = [await on.isp.sender(stream(OUTSIDE)), await on.isp.sender(stream(OUTSIDE, PULLED))];
    const [host, viewer] = [await on.deep.receiver({ address: DEEP }), await on.deep.receiver({ address: DEEP })];
    await host.join(GROUP);
    await viewer.join(PULLED);
    await arrives(viewer, 'the stream that is always pulled');
    expect(on.asked()).not.toContain(`TO_EX ${GROUP}`);
    // when somebody inside sends to the group
    const inside = await on.near.sender(stream(NEAR));
    await on.asks(`TO_EX ${GROUP}`);
    await arrives(host, 'the stream from inside and outside');
    expect(on.entry(OUTSIDE)).toBe('wan -> mid');
    // when the last place inside where it is sent is left, it is not asked for any more
    on.daemon.ctl('release', 'near');
    await on.asks(`TO_IN ${GROUP}`);
    for (const sender of [...senders, inside]) await sender.stop();
  },
  60_000,
);

netnsTest(
  'INT-028 RPF of outside sources inside: without originateDefault they are dropped one hop in, with it they arrive',
  async (net) => {
    // given a member that the border router itself has on the link to the second one
    const igmp = `${IGMP}, staticGroups: [{ group: ${GROUP} }]`;
    const on = await Scene.start(net, { igmp });
    const sender = await on.isp.sender(stream(OUTSIDE));
    const host = await on.deep.receiver({ address: DEEP });
    await host.join(GROUP);
    await on.entryIs('wan -> mid', OUTSIDE);
    // then the packets cross one link and no other one
    await eventually(
      'the second router to have dropped a hundred of them',
      () => on.packetsInside(OUTSIDE) > 100 && on.entry(OUTSIDE, GROUP, on.inner) === 'mid -> ',
    );
    expect((await host.report()).received).toBe(0);
    // when a default route is told
    await on.restart({ igmp, dvmrp: 'originateDefault: 3' });
    await on.dependsOnDefault();
    expect(routeTo(on.inner, '0.0.0.0/0')).toMatchObject({ metric: 4, fromGateway: '10.9.0.1' });
    await arrives(host, 'the stream from outside');
    expect(on.entry(OUTSIDE, GROUP, on.inner)).toBe('mid -> lan');
    await sender.stop();
  },
  60_000,
);

netnsTest(
  'INT-028 RPF of sources inside: the DVMRP route beats the unicast one that points outside, until the preference says otherwise',
  async (net) => {
    const on = await Scene.start(net, {}, (border) => border.ip('route', 'add', '10.2.0.0/24', 'via', OUTSIDE));
    const host = await on.leaf.receiver({ address: LEAF });
    await host.join(GROUP);
    const sender = await on.deep.sender(stream(DEEP));
    await arrives(host, 'the stream by the DVMRP route');
    expect(on.entry(DEEP)).toBe('mid -> leaf,wan');
    // when the kernel's routes, with 200, come first
    await on.restart({ dvmrp: 'preference: 201' });
    await on.entryIs('wan -> leaf', DEEP);
    await sender.stop();
  },
  60_000,
);
