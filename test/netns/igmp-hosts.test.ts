/**
 * Linux hosts in all their versions, with and without source filters, behind a router on which IGMP is alone: what they
 * get, what they do not get, and that nobody's stream suffers from what another does.
 */
import { expect } from 'vitest';
import type { Daemon } from '../support/daemon.js';
import { eventually } from '../support/eventually.js';
import { type IgmpGroup, IgmpView } from '../support/igmp-view.js';
import { lan } from '../support/lan.js';
import { type Flow, Member } from '../support/member.js';
import { allow, isIn, reportV3, toEx } from '../support/packet-builder.js';
import { type Namespace, type Net, netnsTest } from '../support/topology.js';

const G = '239.1.1.1';
const S1 = '10.1.0.2';
const S2 = '10.4.0.2';
const HOST = '10.2.0.2';
const OTHER = '10.2.0.3';

interface Scene {
  readonly router: Namespace;
  /** Sends from S1, on a LAN of its own; so does `second` from S2. */
  readonly first: Namespace;
  readonly second: Namespace;
  /** Two hosts on one LAN, by their addresses. */
  readonly hosts: Readonly<Record<string, Namespace>>;
  readonly daemon: Daemon;
  readonly view: IgmpView;
}

/** GMI 2.2 s and LMQT 0.4 s unless `igmp` says otherwise. */
const QUICK = 'queryInterval: 1s, queryResponseInterval: 100ms, lastMemberQueryInterval: 200ms';

async function scene(net: Net, igmp = QUICK): Promise<Scene> {
  const router = net.router('router');
  const first = net.host('first', router, 'send', '10.1.0');
  const second = net.host('second', router, 'send2', '10.4.0');
  const [host, other] = [net.namespace('host'), net.namespace('other')];
  lan(net, 'lan', [router, 'recv', '10.2.0.1/24'], [host, 'eth0', `${HOST}/24`], [other, 'eth0', `${OTHER}/24`]);
  const daemon = await router.daemon(
    (socket) => `
control: { socket: ${socket} }
interfaces:
  send: { igmp: true }
  send2: { igmp: true }
  recv: { igmp: { ${igmp} } }
`,
  );
  return { router, first, second, hosts: { [HOST]: host, [OTHER]: other }, daemon, view: await IgmpView.of(daemon) };
}

/** Both sources send to the group, a thousand packets in ten seconds. */
async function streams({ first, second }: Scene, group = G): Promise<void> {
  await first.sender({ from: S1, groups: [group], ratePerSec: 100 });
  await second.sender({ from: S2, groups: [group], ratePerSec: 100 });
}

/** Once a stream is steady: the kernel keeps four packets while an entry is made (linux.md B5), so some may miss before. */
async function steady(host: Member, source = S1): Promise<Flow> {
  return host.gets(source, G);
}

/** Nothing of the stream was lost nor doubled since. */
async function unharmed(host: Member, since: Flow, source = S1): Promise<void> {
  const { lost, duplicated } = since;
  expect(await host.flow(source, G)).toMatchObject({ lost, duplicated });
}

const member = ({ hosts }: Scene, address: string) => Member.start(hosts[address]!, address);
const compatible = (version: string) => (row: IgmpGroup) => row.compatibility === version;
const OLD_HOST_GONE = { withinMs: 20_000 };
/** A host of version 1 takes up to 10 s to answer whatever is asked (RFC 1112): GMI 13 s, older host present 12.5 s. */
const PATIENT = 'robustness: 6, queryInterval: 2s, queryResponseInterval: 500ms, lastMemberQueryInterval: 100ms';

netnsTest(
  'while the version of a member changes, its group stays, its stream does not stop, and it can leave again (IGMP-120, IGMP-121, IGMP-123, IGMP-124, F29)',
  async (net) => {
    // given a member in version 3, another group of another host, and a stream
    const on = await scene(net, PATIENT);
    const { view, hosts } = on;
    const host = await member(on, HOST);
    const other = await member(on, OTHER);
    await host.join(G);
    await other.join('239.2.2.2');
    await view.knows('recv', G, compatible('v3'));
    await streams(on);
    const before = await steady(host);
    // when its kernel speaks older and older versions from the next query on, then the newest again
    for (const [version, shown] of [
      [2, 'v2'],
      [1, 'v1'],
      [3, 'v3'],
    ] as const) {
      hosts[HOST]!.sysctl('net.ipv4.conf.eth0.force_igmp_version', version);
      // then the group follows, and the other group on the LAN does not
      await view.knows('recv', G, compatible(shown), OLD_HOST_GONE);
      await view.knows('recv', '239.2.2.2', compatible('v3'));
    }
    // and nothing of the stream was lost, nor made double
    await unharmed(host, before);
    // and when it leaves in version 3, then in version 2, the group ends; in version 1 a host only falls silent
    for (const version of [3, 2]) {
      hosts[HOST]!.sysctl('net.ipv4.conf.eth0.force_igmp_version', version);
      if (version === 2) await host.join(G);
      await view.knows('recv', G, compatible(`v${version}`));
      await host.leave(G);
      await view.forgets('recv', G);
    }
    await host.misses(S1, G);
  },
);

netnsTest(
  'when one of two receivers leaves, and joins and leaves again, the stream of the other never pauses (F19)',
  async (net) => {
    // given two receivers of one stream on one LAN
    const on = await scene(net, 'queryInterval: 3s, queryResponseInterval: 500ms, lastMemberQueryInterval: 500ms');
    const [stays, leaves] = [await member(on, HOST), await member(on, OTHER)];
    await stays.join(G);
    await on.view.knows('recv', G);
    await streams(on);
    const before = { [S1]: await steady(stays), [S2]: await steady(stays, S2) };
    for (const version of [3, 2]) {
      for (const host of Object.values(on.hosts)) host.sysctl('net.ipv4.conf.eth0.force_igmp_version', version);
      for (let round = 0; round < 2; round++) {
        await leaves.join(G);
        await on.view.knows('recv', G, compatible(`v${version}`));
        // when one leaves, and the last-member time passes while 120 packets come
        await leaves.leave(G);
        await stays.gets(S1, G, 120);
      }
      // then
      for (const [source, flow] of Object.entries(before)) await unharmed(stays, flow, source);
    }
  },
);

netnsTest(
  'of an any-source and a source-specific member of one group, one teardown leaves the other (F27)',
  async (net) => {
    // given a host that wants one source and one that wants all
    const on = await scene(net);
    const [one, all] = [await member(on, HOST), await member(on, OTHER)];
    await one.join(G, S1);
    await all.join(G);
    await on.view.knows('recv', G, (row) => row.mode === 'exclude' && row.sources.some(({ source }) => source === S1));
    await streams(on);
    const before = await steady(one);
    await one.gets(S2, G); // on the cable
    // when the one for all leaves
    await all.leave(G);
    // then the wanted source goes on without a gap, and the other one ends
    await one.misses(S2, G);
    await on.view.knows('recv', G, (row) => row.mode === 'include');
    await one.gets(S1, G, 100);
    await unharmed(one, before);
    // and when it comes back and the source-specific one leaves, the same the other way around
    await all.join(G);
    await all.gets(S2, G);
    await one.leave(G, S1);
    await all.gets(S1, G, 100);
    await unharmed(one, before);
    await all.leave(G);
    await all.misses(S1, G);
    await on.view.forgets('recv', G);
  },
);

netnsTest('a report that includes no source makes no group and refreshes none (IGMP-065, F28)', async (net) => {
  // given a group that somebody once asked for
  const on = await scene(net);
  const host = await member(on, HOST);
  await host.say(reportV3(isIn('239.5.5.5'), allow('239.5.5.5')));
  await host.say(reportV3(toEx(G)));
  await on.view.knows('recv', G);
  // when nothing is said of it any more than that no source is included
  await eventually(
    'the group to end',
    async () => {
      await host.say(reportV3(isIn(G), allow(G)));
      return (await on.view.group('recv', G)) === undefined;
    },
    { everyMs: 100 },
  );
  // then it has ended, and the other never began
  expect(await on.view.groups('recv')).toEqual([]);
});

netnsTest(
  'a source that every member refuses is not forwarded where IGMP is alone, and comes back with the first member who wants it (INT-032)',
  async (net) => {
    // given a member of a group with two sources
    const on = await scene(net);
    const [refuses, wants] = [await member(on, HOST), await member(on, OTHER)];
    await refuses.join(G);
    await on.view.knows('recv', G);
    await streams(on);
    await steady(refuses);
    const before = await steady(refuses, S2);
    // when it blocks one of them
    await refuses.block(G, S1);
    // then that one does not leave by its interface any more, and the other does without a gap
    await refuses.misses(S1, G);
    await refuses.gets(S2, G, 50);
    await unharmed(refuses, before, S2);
    const entry = (await on.view.mfc()).find(({ source }) => source === S1);
    expect(entry?.oifs).toEqual([]);
    // when another host wants everything, then so it gets it
    await wants.join(G);
    await wants.gets(S1, G);
    // and when it leaves again, the refused source ends with what it was known for
    await wants.leave(G);
    await refuses.misses(S1, G, 8_000);
    await unharmed(refuses, before, S2);
    // and of a stream that begins while it is refused, not one packet passes
    const late = '239.1.1.2';
    await refuses.join(late);
    await refuses.exclude(late, S1);
    await on.view.knows('recv', late, (row) => row.sources.some(({ source, wanted }) => source === S1 && !wanted));
    await streams(on, late);
    await refuses.gets(S2, late, 50);
    expect((await refuses.flow(S1, late)).received).toBe(0);
  },
);

netnsTest(
  'a stream opens with the first report, and follows the route to its source to another interface (F16, F17, F18)',
  async (net) => {
    // given a stream that nobody wants, from an address that is behind `send`
    const on = await scene(net);
    const FLOATING = '10.9.0.9';
    for (const source of [on.first, on.second]) source.ip('address', 'add', `${FLOATING}/32`, 'dev', 'eth0');
    on.router.ip('route', 'add', FLOATING, 'dev', 'send');
    const host = await member(on, HOST);
    const stream = await on.first.sender({ from: FLOATING, groups: [G], ratePerSec: 200 });
    await eventually('an entry without receivers', async () =>
      (await on.view.mfc()).some(({ source, oifs }) => source === FLOATING && oifs.length === 0),
    );
    // when the first report comes
    await host.join(G);
    // then it opens at once
    await host.gets(FLOATING, G, 1, 500);
    // when the source appears on another interface, where it is not expected
    await stream.stop();
    await host.misses(FLOATING, G);
    await on.second.sender({ from: FLOATING, groups: [G], ratePerSec: 200 });
    await eventually('packets on the wrong interface', async () => {
      const counted = on.router.run('cat', '/proc/net/ip_mr_cache').trim().split('\n').at(-1)!.split(/\s+/);
      return Number(counted[5]) > 0;
    });
    expect((await host.misses(FLOATING, G)).duplicated).toBe(0);
    // then it passes as soon as it is expected there
    on.router.ip('route', 'replace', FLOATING, 'dev', 'send2');
    await host.gets(FLOATING, G, 10, 2_000);
    expect((await on.view.mfc()).find(({ source }) => source === FLOATING)?.iif).toBe('send2');
  },
);
