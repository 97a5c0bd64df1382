/** The proxy whole: from a host's report to the join upstream and to the forwarding entry. */
import { expect, test } from 'vitest';
import { ip, ipv4 } from '../../../src/base/ip.js';
import { ALL, any, S0, S1, S2, S3, sg } from '../../support/manager-bed.js';
import { allow, block, isIn, leaveV2, reportV2, reportV3, toEx, toIn } from '../../support/packet-builder.js';
import { Bed, G, H, settle, SSM, TWO, upstream } from './bed.js';

const SSDP = '239.255.255.250';
const [s0, s1, s7] = ['10.0.0.9', '10.0.1.9', '10.7.7.7'];

test('the first member is asked for upstream, and after the last one the group is left (IGMP-141)', async () => {
  const bed = await new Bed().serve();
  expect(bed.calls()).toEqual([]);
  await bed.hears(bed.eth1, reportV2(G));
  expect(bed.calls()).toEqual([`join eth0 ${G} exclude`]);
  await bed.hears(bed.eth1, leaveV2(G));
  await bed.clock.run(2000); // IGMP asks whether anybody is left
  await bed.clock.run(500);
  expect(bed.calls()).toEqual([`leave eth0 ${G}`]);
  expect(bed.events).toEqual([
    { evt: 'proxy.upstream.changed', interface: 'eth0', state: 'up' },
    { evt: 'proxy.group.joined', group: G, interface: 'eth0', mode: 'exclude', sources: [] },
    { evt: 'proxy.group.left', group: G, interface: 'eth0' },
  ]);
  expect(bed.log.complaints()).toEqual([]);
});

test('a second member of the group, on the same downstream or another, causes no call (IGMP-142)', async () => {
  const bed = await new Bed().serve();
  await bed.hears(bed.eth1, reportV2(G));
  bed.calls();
  await bed.hears(bed.eth1, reportV2(G));
  await bed.hears(bed.eth2, reportV2(G));
  expect(bed.calls()).toEqual([]);
  // nor does the end of one of two
  await bed.hears(bed.eth1, leaveV2(G));
  await bed.clock.run(5000);
  expect(bed.calls()).toEqual([]);
});

test('modes and sources of several downstreams appear upstream merged, whenever they change (IGMP-143)', async () => {
  const bed = await new Bed().serve();
  await bed.hears(bed.eth1, reportV3(isIn(G, s0)));
  expect(bed.calls()).toEqual([`join eth0 ${G} include ${s0}`]);
  await bed.hears(bed.eth2, reportV3(isIn(G, s1)));
  expect(bed.calls()).toEqual([`join eth0 ${G} include ${s0},${s1}`]);
  await bed.hears(bed.eth1, reportV3(toEx(G, s7)));
  expect(bed.calls()).toEqual([`join eth0 ${G} exclude ${s7}`]);
  // a source that one downstream refuses and another one wants is asked for
  await bed.hears(bed.eth2, reportV3(allow(G, s7)));
  expect(bed.calls()).toEqual([`join eth0 ${G} exclude`]);
  await bed.hears(bed.eth1, reportV3(toIn(G, s0)));
  await bed.clock.run(2000);
  expect(bed.held()).toEqual([`eth0 ${G} include ${s0},${s1},${s7}`]);
});

test('data from upstream reaches downstreams that want it and where we are querier, and stops when the role is lost (IGMP-146)', async () => {
  const bed = await new Bed().serve();
  await bed.hears(bed.eth1, reportV2(G));
  expect(await bed.flows(S0, G, bed.eth0)).toBe('eth0 -> eth1');
  // when another router becomes querier: existing entries change in the same turn (IGMP-148)
  await bed.queriedBy('10.0.1.2', bed.eth1);
  expect(bed.shown(S0, G)).toBe('eth0 -> ');
  // and entries made meanwhile do not get the interface, nor by a join
  await bed.hears(bed.eth1, reportV2(H));
  expect(await bed.flows(S0, H, bed.eth0)).toBe('eth0 -> ');
  // when the other one is silent
  await bed.clock.run(255_000);
  expect(bed.igmpModule.interfaces()[0]).toMatchObject({ role: 'querier' });
  await bed.hears(bed.eth1, reportV2(G));
  await bed.hears(bed.eth1, reportV2(H));
  expect(bed.shown(S0, G)).toBe('eth0 -> eth1');
  expect(bed.shown(S0, H)).toBe('eth0 -> eth1');
});

test('a thousand entries follow a change of upstream, in turns of their own (IGMP-148)', async () => {
  const bed = await new Bed(TWO).serve();
  await bed.proxy.take(bed.eth3);
  const groups = Array.from({ length: 1000 }, (_, n) => ipv4(0xef02_0000 + n));
  for (const group of groups) bed.kernel.packet(S1, group, bed.eth1);
  await bed.turn();
  const shown = () => new Set(groups.map((group) => bed.entry(S1, group)));
  expect([...shown()]).toEqual(['eth1 -> eth0']);
  bed.kernel.changeDevice(bed.eth0, { running: false });
  await settle();
  expect([...shown()].sort()).toEqual(['eth1 -> eth0', 'eth1 -> eth3']);
  await bed.turn();
  expect([...shown()]).toEqual(['eth1 -> eth3']);
});

test('without requireQuerier a link that another router asks on is served all the same (IGMP-146)', async () => {
  const bed = await new Bed({ requireQuerier: false }).serve();
  await bed.queriedBy('10.0.1.2', bed.eth1);
  await bed.hears(bed.eth1, reportV2(G));
  expect(await bed.flows(S0, G, bed.eth0)).toBe('eth0 -> eth1');
});

test('data from a downstream always goes upstream, to downstreams that want it, and never back (IGMP-147)', async () => {
  const bed = await new Bed().serve();
  expect(await bed.flows(S1, G, bed.eth1)).toBe('eth1 -> eth0');
  await bed.hears(bed.eth2, reportV2(G));
  await bed.hears(bed.eth1, reportV2(G));
  expect(bed.shown(S1, G)).toBe('eth1 -> eth0,eth2');
  expect(await bed.flows(S2, G, bed.eth2)).toBe('eth2 -> eth0,eth1');
});

test('a join opens existing entries in its turn, a leave closes them in its turn (IGMP-148)', async () => {
  const bed = await new Bed().serve();
  expect(await bed.flows(S0, G, bed.eth0)).toBe('eth0 -> ');
  await bed.hears(bed.eth1, reportV3(toEx(G)));
  expect(bed.shown(S0, G)).toBe('eth0 -> eth1');
  await bed.hears(bed.eth1, reportV3(block(G, s0)));
  await bed.clock.run(2000);
  expect(bed.shown(S0, G)).toBe('eth0 -> ');
  expect(bed.held()).toEqual([`eth0 ${G} exclude ${s0}`]);
  await bed.hears(bed.eth1, reportV3(allow(G, s0)));
  expect(bed.shown(S0, G)).toBe('eth0 -> eth1');
  expect(bed.held()).toEqual([`eth0 ${G} exclude`]);
});

test('when the upstream is down its groups are joined on the next one before they are left on it, and entries move (IGMP-150)', async () => {
  const bed = new Bed(TWO);
  await bed.serve(bed.eth0, bed.eth3);
  await bed.hears(bed.eth1, reportV2(G));
  bed.kernel.routes.set('10.7.0.0/16', { ifindex: bed.eth0 });
  expect(await bed.flows(ip(s7), G, bed.eth0)).toBe('eth0 -> eth1');
  expect(await bed.flows(S1, H, bed.eth1)).toBe('eth1 -> eth0');
  expect(bed.calls()).toEqual([`join eth0 ${G} exclude`]);
  // when its carrier goes
  bed.kernel.changeDevice(bed.eth0, { running: false });
  await settle();
  expect(bed.shown(ip(s7), G)).toBe('eth3 -> eth1');
  expect(bed.shown(S1, H)).toBe('eth1 -> eth3');
  await bed.turn();
  expect(bed.calls()).toEqual([`join eth3 ${G} exclude`, `leave eth0 ${G}`]);
  // when it comes back
  bed.kernel.changeDevice(bed.eth0, { running: true });
  await bed.turn();
  expect(bed.calls()).toEqual([`join eth0 ${G} exclude`, `leave eth3 ${G}`]);
  expect(bed.shown(ip(s7), G)).toBe('eth0 -> eth1');
});

test('an upstream that is down and has no substitute keeps its groups', async () => {
  const bed = await new Bed().serve();
  await bed.hears(bed.eth1, reportV2(G));
  bed.calls();
  bed.kernel.changeDevice(bed.eth0, { running: false });
  await bed.turn();
  await bed.hears(bed.eth1, reportV2(H));
  bed.kernel.changeDevice(bed.eth0, { running: true });
  await bed.turn();
  expect(bed.calls()).toEqual([`join eth0 ${H} exclude`]);
});

test('groups are split over upstreams by their filters, in both directions (F32)', async () => {
  const rule = (action: 'allow' | 'deny', text: string) => ({ action, prefix: { network: ip(text), length: 32 } });
  const bed = new Bed({
    upstreams: [upstream('eth0', { groups: [rule('allow', G)] }), upstream('eth3', { groups: [rule('deny', SSDP)] })],
  });
  await bed.serve(bed.eth0, bed.eth3);
  for (const group of [G, H, SSDP]) await bed.hears(bed.eth1, reportV2(group));
  expect(bed.held()).toEqual([`eth0 ${G} exclude`, `eth3 ${H} exclude`]);
  expect(await bed.flows(S1, G, bed.eth1)).toBe('eth1 -> eth0');
  expect(await bed.flows(S1, H, bed.eth1)).toBe('eth1 -> eth3');
  expect(await bed.flows(S2, SSDP, bed.eth2)).toBe('eth2 -> eth1');
  expect(await bed.flows(S3, SSDP, bed.eth3)).toBe('eth3 -> ');
  // a source that the routes look for on the other upstream is expected where its group is asked
  expect(await bed.flows(S3, G, bed.eth0)).toBe('eth0 -> eth1');
});

test('any source of a source-specific group is not asked upstream, but counted and told, and its sources are (IGMP-151)', async () => {
  const bed = await new Bed().serve();
  const other = await bed.client('pim', [bed.eth3]);
  await other.add(any(ip(SSM)), bed.eth3);
  await bed.turn();
  expect(bed.held()).toEqual([]);
  expect(bed.proxy.counters()).toMatchObject({ anySourceRefused: 1, joinsRefused: 0 });
  expect(bed.log.of('proxy.ssm.refused')).toHaveLength(1);
  await bed.hears(bed.eth1, reportV2(SSM));
  expect(bed.held()).toEqual([]);
  await bed.hears(bed.eth1, reportV3(isIn(SSM, s0)));
  expect(bed.held()).toEqual([`eth0 ${SSM} include ${s0}`]);
  expect(await bed.flows(S0, SSM, bed.eth0)).toContain('eth1');
});

test('zapping back within the delay costs no call, and after it the group is left once (F20)', async () => {
  const bed = await new Bed({}, { fastLeave: true }).serve();
  await bed.hears(bed.eth1, reportV2(G));
  bed.calls();
  for (let zap = 0; zap < 10; zap++) {
    await bed.hears(bed.eth1, leaveV2(G));
    await bed.clock.run(200);
    await bed.hears(bed.eth1, reportV2(G));
  }
  expect(bed.calls()).toEqual([]);
  await bed.hears(bed.eth1, leaveV2(G));
  expect(bed.proxy.groups()).toMatchObject([{ group: G, leavingInMs: 500, wantedBy: [] }]);
  await bed.clock.run(499);
  expect(bed.calls()).toEqual([]);
  await bed.clock.run(1);
  expect(bed.calls()).toEqual([`leave eth0 ${G}`]);
  // with a group that stays
  await bed.hears(bed.eth1, reportV2(H));
  await bed.hears(bed.eth1, reportV2(G));
  await bed.hears(bed.eth1, leaveV2(G));
  await bed.clock.run(500);
  expect(bed.calls()).toEqual([`join eth0 ${H} exclude`, `join eth0 ${G} exclude`, `leave eth0 ${G}`]);
});

test('without a delay a group is left in the turn after the last leave', async () => {
  const bed = await new Bed({ leaveDelayMs: 0 }, { fastLeave: true }).serve();
  await bed.hears(bed.eth1, reportV2(G));
  await bed.hears(bed.eth1, leaveV2(G));
  expect(bed.calls()).toEqual([`join eth0 ${G} exclude`, `leave eth0 ${G}`]);
});

test('a (*,G) join of another client reaches the proxy although a dense client holds (*,*), and so does its leave (INT-015)', async () => {
  const bed = await new Bed({ wildcardGroups: [ip(H)] }).serve();
  const dense = await bed.client('dense', [bed.eth3]);
  await dense.add(ALL, bed.eth3);
  await bed.turn();
  expect(bed.calls()).toEqual([`join eth0 ${H} exclude`]);
  // (*,G) from a host on the dense protocol's own link, attributed to it
  await bed.igmpModule.take(bed.eth3);
  await bed.turn();
  await bed.hears(bed.eth3, reportV2(G));
  expect(bed.calls()).toEqual([`join eth0 ${G} exclude`]);
  expect(bed.proxy.groups()).toMatchObject([{ group: G, wantedBy: ['others'] }, { group: H }]);
  expect(await bed.flows(S0, G, bed.eth0)).toBe('eth0 -> eth3');
  await bed.hears(bed.eth3, leaveV2(G));
  await bed.clock.run(2500);
  expect(bed.calls()).toEqual([`leave eth0 ${G}`]);
  await dense.remove(ALL, bed.eth3);
  await bed.clock.run(500);
  expect(bed.calls()).toEqual([`leave eth0 ${H}`]);
});

test('another protocol that wants one source behind the upstream gets it joined, and left by its prune', async () => {
  const bed = await new Bed().serve();
  const dense = await bed.client('dense', [bed.eth3]);
  await dense.add(sg(S0, ip(G)), bed.eth3);
  await bed.turn();
  expect(bed.calls()).toEqual([`join eth0 ${G} include ${s0}`]);
  await bed.hears(bed.eth1, reportV3(isIn(G, s7)));
  expect(bed.calls()).toEqual([`join eth0 ${G} include ${s0},${s7}`]);
  await dense.remove(sg(S0, ip(G)), bed.eth3);
  await bed.turn();
  expect(bed.calls()).toEqual([`join eth0 ${G} include ${s7}`]);
});

test('a source that somebody wants already is asked as soon as the upstream towards it is taken', async () => {
  const bed = new Bed();
  const dense = await bed.client('dense', [bed.eth3]);
  await dense.add(sg(S0, ip(G)), bed.eth3);
  await bed.serve();
  expect(bed.calls()).toEqual([`join eth0 ${G} include ${s0}`]);
  await dense.remove(sg(S0, ip(G)), bed.eth3);
  await bed.clock.run(500);
  expect(bed.calls()).toEqual([`leave eth0 ${G}`]);
});

test('a group that a downstream and another protocol want stays joined until neither does (F45)', async () => {
  const bed = await new Bed().serve();
  const other = await bed.client('static', [bed.eth3]);
  await other.add(any(ip(G)), bed.eth3);
  await bed.hears(bed.eth1, reportV2(G));
  expect(await bed.flows(S0, G, bed.eth0)).toBe('eth0 -> eth1,eth3');
  expect(bed.calls()).toEqual([`join eth0 ${G} exclude`]);
  await other.remove(any(ip(G)), bed.eth3);
  await bed.clock.run(5000);
  expect(bed.shown(S0, G)).toBe('eth0 -> eth1');
  await other.add(any(ip(G)), bed.eth3);
  await bed.hears(bed.eth1, leaveV2(G));
  await bed.clock.run(5000);
  expect(bed.shown(S0, G)).toBe('eth0 -> eth3');
  expect(bed.calls()).toEqual([]);
});

test("an upstream has no router side: nothing is sent there, and what hosts report there is nobody's wish (IGMP-145)", async () => {
  const bed = await new Bed().serve();
  await bed.hears(bed.eth0, reportV2(G));
  await bed.clock.run(300_000);
  expect(bed.kernel.igmp.sent.filter(({ ifindex }) => ifindex === bed.eth0)).toEqual([]);
  expect(bed.memberships()).toEqual(['(*,*) eth0 proxy']);
  // not even when an operator puts IGMP on it
  await bed.igmpModule.take(bed.eth0);
  await bed.turn();
  await bed.hears(bed.eth0, reportV2(G));
  expect(bed.held()).toEqual([]);
});

test('link-local groups are never asked upstream (F31)', async () => {
  const bed = await new Bed().serve();
  await bed.hears(bed.eth1, reportV2('224.0.0.251'));
  expect(bed.calls()).toEqual([]);
  expect(bed.proxy.groups()).toEqual([]);
});

test('a flow whose source no route covers moves with it (F17)', async () => {
  const bed = await new Bed().serve();
  await bed.hears(bed.eth1, reportV2(G));
  await bed.hears(bed.eth2, reportV2(G));
  expect(await bed.flows(ip(s7), G, bed.eth1)).toBe('eth1 -> eth0,eth2');
  expect(await bed.flows(ip(s7), G, bed.eth2)).toBe('eth2 -> eth0,eth1');
  await bed.clock.run(3000); // the kernel tells of a flow on the wrong interface at most so often
  expect(await bed.flows(ip(s7), G, bed.eth0)).toBe('eth0 -> eth1,eth2');
});

test('the version of an upstream is forced while it is served, and put back', async () => {
  const bed = new Bed({ upstreams: [upstream('eth0', { version: 2 })] });
  await bed.serve();
  expect(bed.hostIgmp.calls).toEqual([`force ${bed.eth0} 2`]);
  expect(bed.proxy.upstreams()).toMatchObject([{ interface: 'eth0', state: 'up', version: 2, configuredVersion: 2 }]);
  await bed.proxy.release(bed.eth0);
  expect(bed.hostIgmp.calls).toEqual([`force ${bed.eth0} 2`, `restore ${bed.eth0}`]);
  expect(bed.proxy.upstreams()).toMatchObject([{ state: 'released' }]);
});

test('at its end the proxy has left every group, and the clock has nothing of it', async () => {
  const bed = new Bed(TWO);
  const idle = bed.clock.due();
  await bed.serve(bed.eth0, bed.eth3);
  await bed.hears(bed.eth1, reportV2(G));
  await bed.igmpModule.stop();
  expect(await bed.proxy.stop()).toMatchObject({ code: 'NO_ERROR' });
  await settle();
  expect(bed.held()).toEqual([]);
  expect(bed.memberships()).toEqual([]);
  expect(bed.clock.due()).toBe(idle);
  expect(bed.log.complaints()).toEqual([]);
});
