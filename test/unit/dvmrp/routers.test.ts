/**
 * The whole protocol with the real manager: routers on LANs in memory (test/support/dvmrp-routers.ts). Scenarios of dvmrp.md
 * section 21, the callbacks of dvmrp.md section 19, and the rules of coexistence.md that concern DVMRP.
 */
import { expect, test } from 'vitest';
import { ANY4, ip } from '../../../src/base/ip.js';
import { type ClientCallbacks, type Handle, JOIN } from '../../../src/mgm/client.js';
import type { Ifindex } from '../../../src/port/kernel.js';
import * as made from '../../support/dvmrp-builder.js';
import { settle } from '../../support/fake-clock.js';
import { chain, GROUP, Routers, type TestRouter } from '../../support/dvmrp-routers.js';

const [PROBE, REPORT, PRUNE, GRAFT, ACK] = [1, 2, 7, 8, 9];
const ALL = { source: ANY4, group: ANY4 };
const anySource = { source: ANY4, group: GROUP };

/** Another component on the same router, whose callbacks go into a journal. */
async function component(router: TestRouter, name: string, takes: readonly Ifindex[], callbacks: ClientCallbacks = {}) {
  const heard: string[] = [];
  const { handle } = router.manager.register({
    protocolId: 1000,
    componentId: name.length,
    name,
    callbacks: {
      joinAlert: ({ source, group, memberUpdate }) =>
        void heard.push(`join ${source === ANY4 ? '*' : 's'},${group === ANY4 ? '*' : 'g'} ${memberUpdate}`),
      pruneAlert: ({ source, group, memberDelete }) =>
        void heard.push(`prune ${source === ANY4 ? '*' : 's'},${group === ANY4 ? '*' : 'g'} ${memberDelete}`),
      ...callbacks,
    },
  });
  for (const ifindex of takes) await router.manager.takeInterface(handle!, ifindex);
  await settle();
  return { handle: handle!, heard, add: (key: typeof ALL, ifindex: Ifindex) => add(router, handle!, key, ifindex) };
}

async function add(router: TestRouter, handle: Handle, key: typeof ALL, ifindex: Ifindex): Promise<void> {
  await router.manager.addMembership(handle, key, ifindex, JOIN);
  await settle();
}

test('dvmrp.md section 21: neighbours, routes with their echoes, a prune, a graft with its acknowledgement, a prune again', async () => {
  const { world, source, middle, host, r1, r2, r2Host, S } = await chain();
  expect(r1.neighbors()).toEqual(['10.9.0.2 two-way']);
  expect(r2.way('10.1.0.0/24')).toBe('2 from 10.9.0.1');
  expect(r1.way('10.2.0.0/24')).toBe('2 from 10.9.0.2');
  expect(r1.dvmrp.views.routes()[0]).toMatchObject({ originSubnet: '10.1.0.0/24', dependents: ['eth1 10.9.0.2'] });
  // data reaches r2, which prunes
  await world.sends(source, S, GROUP, 5);
  expect(r2.sent(PRUNE)).toBe(1);
  expect(r1.entry(S, GROUP)).toBe('eth0 -> ');
  const unwanted = await world.sends(source, S, GROUP);
  expect(middle.copies(unwanted)).toEqual([0]);
  // a member: graft, acknowledged, and every packet arrives once
  await r2.hosts.joins(r2Host, GROUP);
  await world.settle();
  expect([r2.sent(GRAFT), r1.sent(ACK)]).toEqual([1, 1]);
  const wanted = await world.sends(source, S, GROUP, 12);
  expect(host.copies(wanted)).toEqual(wanted.map(() => 1));
  // it leaves
  await r2.hosts.leaves(r2Host, GROUP);
  await world.settle();
  expect(r2.sent(PRUNE)).toBe(2);
  expect(middle.copies(await world.sends(source, S, GROUP))).toEqual([0]);
});

test('with the interface comes 224.0.0.4 and a Probe; with its release go 32s, neighbours and the membership (DVMRP-126)', async () => {
  const { world, middle, r1, r2, r2Middle, r2Host } = await chain();
  const joined = () => r2.kernel.membership.groups(r2Middle).includes(ip('224.0.0.4'));
  expect(joined()).toBe(true);
  expect(r2.sent(PROBE)).toBeGreaterThan(2);
  middle.messages.length = 0;
  await r2.dvmrp.release(r2Middle);
  await world.settle();
  expect(joined()).toBe(false);
  const told = middle.messages.filter(({ payload }) => payload[1] === REPORT);
  expect(told.length).toBeGreaterThan(0);
  expect(r1.way('10.2.0.0/24')).toBe('hold');
  expect(r2.neighbors()).toEqual([]);
  expect(r2.manager.getProtocolOnInterface(r2Middle).code).toBe('ERROR_NOT_FOUND');
  // and the rest goes on
  expect(r2.manager.getProtocolOnInterface(r2Host).name).toBe('dvmrp');
});

test('a graceful stop tells 32 once to everybody and leaves no timer, no membership, no interface (DVMRP-061)', async () => {
  const { world, r1, r2 } = await chain();
  const before = r2.sent(REPORT);
  expect((await r2.dvmrp.stop()).code).toBe('NO_ERROR');
  await world.settle();
  expect(r2.sent(REPORT) - before).toBe(1);
  expect(r1.way('10.2.0.0/24')).toBe('hold');
  expect(r2.kernel.membership.list().filter(({ holder }) => holder === 'dvmrp')).toEqual([]);
  expect(
    r2.manager
      .snapshot()
      .clients()
      .map(({ name }) => name),
  ).toEqual(['igmp']);
  const sent = r2.kernel.igmp.sent.length;
  await world.run(30);
  expect(r2.kernel.igmp.sent).toHaveLength(sent);
});

test('a link that went down and up has a new generation id there: prunes are void, the stream is back in a moment (DVMRP-128, DVMRP-028)', async () => {
  const { world, source, host, r1, r2, r2Middle, r2Host, S } = await chain();
  await world.sends(source, S, GROUP);
  expect(r1.dvmrp.views.prunes()).toHaveLength(1);
  const idsBefore = r2.dvmrp.views.interfaces().map(({ generationId }) => generationId);
  r2.kernel.changeDevice(r2Middle, { running: false });
  await world.settle();
  expect(r2.neighbors()).toEqual([]);
  expect(r2.way('10.1.0.0/24')).toBe('hold');
  await r2.hosts.joins(r2Host, GROUP);
  r2.kernel.changeDevice(r2Middle, { running: true });
  await world.run(10);
  const ids = r2.dvmrp.views.interfaces().map(({ generationId }) => generationId);
  expect(ids[0]).toBeGreaterThan(idsBefore[0]!);
  expect(ids[1]).toBe(idsBefore[1]);
  expect(r1.dvmrp.views.prunes()).toEqual([]);
  await world.run(10);
  const wanted = await world.sends(source, S, GROUP, 3);
  expect(host.copies(wanted)).toEqual([1, 1, 1]);
});

test('dvmrp.md section 21: a router that is killed is missed after 35 s: its route is held down, nothing goes to the link', async () => {
  const { world, source, middle, r1, r2, r2Host, S } = await chain();
  await r2.hosts.joins(r2Host, GROUP);
  expect(middle.copies(await world.sends(source, S, GROUP))).toEqual([1]);
  middle.isCut = true;
  await world.run(36);
  middle.isCut = false;
  expect(r1.neighbors()).toEqual([]);
  expect(r1.way('10.2.0.0/24')).toBe('hold');
  expect(r1.entry(S, GROUP)).toBe('eth0 -> ');
});

test('two routers on a LAN with members: the lower address forwards, each packet comes once, also after a switch (DVMRP-071, DVMRP-073)', async () => {
  const world = new Routers();
  const [source, host] = [world.lan('10.1.0'), world.lan('10.2.0')];
  const routers = [world.router(), world.router()] as const;
  const ports = routers.map((router, n) => [router.attach(source, n + 1), router.attach(host, n + 1)] as const);
  for (const [n, router] of routers.entries()) {
    await router.owns(...ports[n]!);
    await router.hosts.take(ports[n]![1]);
  }
  await world.run(21);
  for (const [n, router] of routers.entries()) await router.hosts.joins(ports[n]![1], GROUP);
  const S = ip('10.1.0.10');
  const both = await world.sends(source, S, GROUP, 5);
  expect(host.copies(both)).toEqual([1, 1, 1, 1, 1]);
  const [first, second] = routers;
  expect(first.entry(S, GROUP)).toBe('eth0 -> eth1');
  expect(second.entry(S, GROUP)).toBe('eth0 -> ');
  // the forwarder goes; the other one hears it at once
  await first.dvmrp.stop();
  await world.settle();
  const one = await world.sends(source, S, GROUP, 5);
  expect(host.copies(one)).toEqual([1, 1, 1, 1, 1]);
  expect(second.entry(S, GROUP)).toBe('eth0 -> eth1');
});

test('a member on a LAN where another router forwards: not a packet of an existing entry, not even briefly (INT-034)', async () => {
  const world = new Routers();
  const [source, host] = [world.lan('10.1.0'), world.lan('10.2.0')];
  const [first, second] = [world.router(), world.router()];
  const here = [first.attach(source, 1), first.attach(host, 1)] as const;
  const there = [second.attach(source, 2), second.attach(host, 2)] as const;
  await first.owns(...here);
  await second.owns(...there);
  await second.hosts.take(there[1]);
  await world.run(21);
  const S = ip('10.1.0.10');
  await world.sends(source, S, GROUP);
  const written: string[] = [];
  second.manager.snapshot().onEvent(({ evt, oifs }) => {
    if (evt === 'mfe.changed' || evt === 'mfe.created') written.push(String(oifs));
  });
  await second.hosts.joins(there[1], GROUP);
  expect(second.entry(S, GROUP)).toBe('eth0 -> ');
  expect(written).toEqual([]);
});

test('data on the wrong interface is dropped, and data of a source without a route (DVMRP-080)', async () => {
  const { world, source, middle, host, r1, r2, r2Host, S } = await chain();
  await r2.hosts.joins(r2Host, GROUP);
  await world.sends(source, S, GROUP);
  // the same flow from the host's side
  const wrong = await world.sends(host, S, GROUP, 2);
  expect(middle.copies(wrong)).toEqual([0, 0]);
  // a source that nobody has told of, although the kernel has a route
  r1.kernel.routes.set('172.16.0.0/12', { ifindex: 1 as Ifindex });
  const strange = await world.sends(source, ip('172.16.0.1'), GROUP, 2);
  expect(middle.copies(strange)).toEqual([0, 0]);
  expect(r1.entry(ip('172.16.0.1'), GROUP)).toBe('eth0 -> ');
});

test('RPF from the route table, vetoes, the prune’s life as the life of the entry, grafts on alerts (DVMRP-127)', async () => {
  const { world, source, r2, S } = await chain();
  await world.sends(source, S, GROUP);
  const { mfe } = r2.manager.getMfe({ source: S, group: GROUP });
  // RPF: interface and upstream of the route; creation: hosts' interface vetoed; prune alert: 0.75 of two hours
  expect(mfe).toMatchObject({ iif: 1, upstreamNeighbor: ip('10.9.0.1'), oifs: [], timeout: 5400 });
  // join alert of another component's membership: graft
  const lone = r2.kernel.addDevice('eth9', '10.77.0.1/24');
  const other = await component(r2, 'other', [lone]);
  await other.add(anySource, lone);
  await world.settle();
  expect(r2.sent(GRAFT)).toBe(1);
  expect(r2.entry(S, GROUP)).toBe('eth0 -> eth9');
});

test('(*,*) at the start and at the stop of DVMRP; a (*,G) of its hosts reaches the other component all the same (INT-014, INT-015)', async () => {
  const world = new Routers();
  const router = world.router();
  const [lan, out] = [world.lan('10.1.0'), world.lan('10.2.0')];
  const [inside, outside] = [router.attach(lan, 1), router.attach(out, 1)];
  const other = await component(router, 'proxy', [outside]);
  await router.owns(inside);
  await router.hosts.take(inside);
  await settle();
  expect(other.heard.splice(0)).toEqual(['join *,* true']);
  await router.hosts.joins(inside, GROUP);
  expect(other.heard.splice(0)).toEqual(['join *,g true']);
  await router.hosts.leaves(inside, GROUP);
  expect(other.heard.splice(0)).toEqual(['prune *,g true']);
  await router.dvmrp.stop();
  await world.run(1);
  expect(other.heard).toEqual(['prune *,* true']);
});

test('the first sender inside joins its group outside, and leaves it when its last entry ends; configured groups are joined always (INT-029)', async () => {
  const world = new Routers();
  const router = world.router({ dvmrp: { pullGroups: [ip('239.9.9.9')] } });
  const [lan, out] = [world.lan('10.1.0'), world.lan('10.2.0')];
  const [inside, outside] = [router.attach(lan, 1), router.attach(out, 1)];
  const joined: string[] = [];
  await component(router, 'proxy', [outside], {
    joinAlert: ({ group, memberUpdate }) =>
      void (memberUpdate && group !== ANY4 && joined.push(`+${String(group === GROUP)}`)),
    pruneAlert: ({ group, memberDelete }) =>
      void (memberDelete && group !== ANY4 && joined.push(`-${String(group === GROUP)}`)),
  });
  await router.owns(inside);
  await settle();
  expect(joined.splice(0)).toEqual(['+false']);
  await world.sends(lan, ip('10.1.0.10'), GROUP);
  await world.sends(lan, ip('10.1.0.11'), GROUP);
  expect(joined.splice(0)).toEqual(['+true']);
  // nobody wants them: negative entries end after 900 s
  await world.clock.run(901_000);
  expect(joined.splice(0)).toEqual(['-true']);
});

test('a tunnel as the only output counts: the owner of the source’s side hears a join, and a prune when it is pruned (INT-010)', async () => {
  // given a source on another component's link, and a router beyond a tunnel that depends on our default route
  const world = new Routers();
  const router = world.router({ dvmrp: { originateDefault: 1 } });
  const outside = router.attach(world.lan('10.1.0'), 1);
  const tunnel = router.attach(world.lan('10.9.0'), 1, { pointToPoint: true });
  const other = await component(router, 'other', [outside]);
  await router.owns(tunnel);
  const from = async (payload: Uint8Array) => {
    router.kernel.igmp.receive({ ifindex: tunnel, source: ip('10.9.0.7'), destination: ip('224.0.0.4'), payload });
    await world.settle();
  };
  await from(made.probe(7, ['10.9.0.1']));
  await from(made.report([['0.0.0.0/0', 34]]));
  other.heard.splice(0);
  router.kernel.packet(ip('10.1.0.10'), GROUP, outside);
  await world.settle();
  expect([router.entry(ip('10.1.0.10'), GROUP), other.heard.splice(0)]).toEqual(['eth0 -> eth1', ['join s,g false']]);
  await from(made.prune('10.1.0.10', '239.5.5.5', 7200));
  expect([router.entry(ip('10.1.0.10'), GROUP), other.heard.splice(0)]).toEqual(['eth0 -> ', ['prune s,g false']]);
  await from(made.graft('10.1.0.10', '239.5.5.5'));
  expect(other.heard).toEqual(['join s,g false']);
});

test('two dense components: a prune in one domain is a Prune in the other, and a graft is a Graft (INT-030)', async () => {
  const { world, source, r2, S } = await chain();
  const far = r2.kernel.addDevice('eth9', '10.77.0.1/24');
  const dense = await component(r2, 'dense', [far]);
  await dense.add(ALL, far);
  await world.sends(source, S, GROUP);
  expect(r2.entry(S, GROUP)).toBe('eth0 -> eth9');
  expect(r2.sent(PRUNE)).toBe(0);
  await r2.manager.deleteMembership(dense.handle, { source: S, group: GROUP }, far, 2);
  await world.settle();
  expect(r2.sent(PRUNE)).toBe(1);
  await r2.manager.addMembership(dense.handle, { source: S, group: GROUP }, far, 2);
  await world.settle();
  expect(r2.sent(GRAFT)).toBe(1);
});

test('an interface with a member that leaves DVMRP and comes back: its flow is closed at no moment (MGM-OWN-18)', async () => {
  // given a stream to a host, on a router whose DVMRP goes on knowing the flow
  const { world, source, host, r2, r2Host, S } = await chain();
  await component(r2, 'other', []);
  await r2.hosts.joins(r2Host, GROUP);
  await world.settle();
  await world.sends(source, S, GROUP);
  const oifs: string[] = [];
  r2.manager.snapshot().onEvent((event) => {
    if (event.evt === 'mfe.changed') oifs.push(String(event['oifs']));
  });
  // when the host's interface changes hands, twice in each direction
  for (let n = 0; n < 2; n++) {
    for (const [from, to] of [
      ['dvmrp', 'other'],
      ['other', 'dvmrp'],
    ] as const) {
      expect(await r2.manager.handover(r2Host, from, to, false)).toMatchObject({ done: true });
      await world.settle();
      await world.run(1);
    }
  }
  // then it was an outgoing interface all the time
  expect(oifs.filter((names) => !names.includes('eth1'))).toEqual([]);
  const ids = await world.sends(source, S, GROUP, 3);
  expect(host.copies(ids)).toEqual([1, 1, 1]);
});

test('the wrong-interface message is nothing to DVMRP, INT-023 and a component that throws is nothing to the others (INT-024)', async () => {
  const { world, source, host, r2, r2Host, S } = await chain();
  const far = r2.kernel.addDevice('eth9', '10.77.0.1/24');
  const broken = await component(r2, 'broken', [far], {
    creationAlert: () => {
      throw new Error('broken');
    },
  });
  await broken.add(ALL, far);
  await r2.hosts.joins(r2Host, GROUP);
  const before = r2.kernel.igmp.sent.length;
  await world.sends(source, S, GROUP);
  expect(r2.entry(S, GROUP)).toBe('eth0 -> eth1,eth9');
  await world.sends(host, S, GROUP, 3);
  expect(r2.kernel.igmp.sent).toHaveLength(before);
});

test('nothing leaves by a point-to-point link before its other end hears us (DVMRP-087)', async () => {
  const world = new Routers();
  const [lan, link] = [world.lan('10.1.0'), world.lan('10.9.0')];
  const [near, far] = [world.router(), world.router()];
  const inside = near.attach(lan, 1);
  const out = near.attach(link, 1, { pointToPoint: true });
  const back = far.attach(link, 2, { pointToPoint: true });
  await near.owns(inside, out);
  await near.hosts.take(out);
  await near.hosts.joins(out, GROUP);
  const S = ip('10.1.0.10');
  expect(link.copies(await world.sends(lan, S, GROUP))).toEqual([0]);
  await far.owns(back);
  await world.run(11);
  expect(near.neighbors()).toEqual(['10.9.0.2 two-way']);
  expect(link.copies(await world.sends(lan, S, GROUP))).toEqual([1]);
});

test('a default route that a router originates is the way to sources outside, for the routers inside (DVMRP-062)', async () => {
  const { world, host, r2 } = await chain({ dvmrp: { originateDefault: 3 } });
  expect(r2.way('0.0.0.0/0')).toBe('3 from here');
  // each of two originates its own; take it from one that does not
  const leaf = world.router();
  const lan = world.lan('10.3.0');
  const [up, down] = [leaf.attach(host, 9), leaf.attach(lan, 1)];
  await leaf.owns(up, down);
  await leaf.hosts.take(down);
  await world.run(21);
  expect(leaf.way('0.0.0.0/0')).toBe('4 from 10.2.0.1');
  await leaf.hosts.joins(down, GROUP);
  await world.settle();
  // data from outside, brought in by another component of r2
  const outside = r2.kernel.addDevice('eth9', '10.77.0.1/24');
  const proxy = await component(r2, 'proxy', [outside]);
  expect(proxy.handle).toBeDefined();
  const S = ip('172.16.0.1');
  r2.kernel.routes.set('172.16.0.0/12', { ifindex: outside });
  r2.kernel.packet(S, GROUP, outside);
  await world.settle();
  expect(r2.entry(S, GROUP)).toBe('eth9 -> eth1');
  expect([...lan.data.values()]).toEqual([1]);
});

test('a boundary is honoured on the way out and on the way in, and the upstream is told (INT-025, DVMRP-083)', async () => {
  // given a scope that ends at the link between the routers, on r2's side
  const { world, source, middle, host, r2, r2Host, S } = await chain(
    { boundary: { eth0: ['239.5.0.0/16'] } },
    'second',
  );
  await r2.hosts.joins(r2Host, GROUP);
  const inside = await world.sends(source, S, ip('239.6.6.6'));
  const scoped = await world.sends(source, S, GROUP, 3);
  // then it comes to the link, does not come in, and is pruned; other groups are as ever
  expect(host.copies(scoped)).toEqual([0, 0, 0]);
  expect(middle.copies(scoped)).toEqual([1, 0, 0]);
  expect(r2.sent(PRUNE)).toBe(2);
  await r2.hosts.joins(r2Host, ip('239.6.6.6'));
  await world.settle();
  expect(host.copies(await world.sends(source, S, ip('239.6.6.6')))).toEqual([1]);
  expect(host.copies(inside)).toEqual([0]);
  // and on the way out: a sender behind r2
  const out = await world.sends(host, ip('10.2.0.10'), GROUP);
  expect(middle.copies(out)).toEqual([0]);
});

test('224.0.0.0/24 neither makes an entry nor reaches DVMRP (DVMRP-082, INT-026)', async () => {
  // given a kernel that tells of such packets, which Linux does not, and a neighbour that wants all of the network
  const { world, source, middle, r1, S } = await chain();
  r1.kernel.mroute.linkLocalToo = true;
  const { callbacks: before } = r1.manager
    .snapshot()
    .clients()
    .find(({ name }) => name === 'dvmrp')!;
  expect(middle.copies(await world.sends(source, S, ip('224.0.0.251'), 2))).toEqual([0, 0]);
  expect(r1.manager.getMfe({ source: S, group: ip('224.0.0.251') }).code).toBe('ERROR_NOT_FOUND');
  const { callbacks: after } = r1.manager
    .snapshot()
    .clients()
    .find(({ name }) => name === 'dvmrp')!;
  expect(after).toBe(before);
  expect(middle.copies(await world.sends(source, S, ip('224.0.1.0')))).toEqual([1]);
});

test('cacheLifetime: an entry lives that long and as long again with data; a pruned one as long as its prune', async () => {
  const { world, source, r1, r2, S } = await chain({ dvmrp: { cacheLifetimeMs: 120_000 } });
  const lone = r2.kernel.addDevice('eth9', '10.77.0.1/24');
  const other = await component(r2, 'other', [lone]);
  await other.add(anySource, lone);
  await world.sends(source, S, GROUP);
  const life = () => r2.manager.getMfe({ source: S, group: GROUP }).mfe?.timeout;
  expect([r1.entry(S, GROUP), life()]).toEqual(['eth0 -> eth1', 120]);
  // with data in its first life it has a second one, without data in that no third one
  await world.sends(source, S, GROUP);
  await world.run(125);
  expect(life()).toBe(120);
  await world.run(120);
  expect([r1.entry(S, GROUP), r2.entry(S, GROUP)]).toEqual([undefined, undefined]);
  // what nobody wants is pruned upstream, and remembered for that long (dvmrp.md section 8.4)
  await world.sends(source, S, ip('239.7.7.7'));
  expect(r2.manager.getMfe({ source: S, group: ip('239.7.7.7') }).mfe?.timeout).toBe(5400);
});

test('with 1000 routes and 1000 (S,G) the timers are right, one timer serves all, and a minute costs little (DVMRP-129)', async () => {
  // given a chain where r1 has 1000 networks behind it, and 1000 of their senders send to a group nobody wants
  const { world, middle, r1, r2 } = await chain();
  const networks = Array.from({ length: 1000 }, (_, n) => `172.${16 + (n >> 8)}.${n & 255}`);
  const peer = made.probe(7, ['10.1.0.1']);
  const from = (payload: Uint8Array) =>
    r1.kernel.igmp.receive({ ifindex: 1 as Ifindex, source: ip('10.1.0.7'), destination: ip('224.0.0.4'), payload });
  from(peer);
  for (let at = 0; at < networks.length; at += 100)
    from(made.report(networks.slice(at, at + 100).map((network) => [`${network}.0/24`, 1] as const)));
  await world.run(6);
  expect(r2.dvmrp.views.routes()).toHaveLength(1003);
  const senders = networks.map((network) => ip(`${network}.9`));
  for (const sender of senders) r2.kernel.packet(sender, GROUP, 1 as Ifindex);
  await world.run(0.1);
  expect(r2.dvmrp.views.prunes()).toHaveLength(1000);
  expect(middle.messages.filter(({ payload }) => payload[1] === PRUNE)).toHaveLength(1000);
  // when a minute passes without data
  const timers = world.clock.due();
  const started = process.cpuUsage();
  await world.run(60);
  const { user } = process.cpuUsage(started);
  // then nothing is sent again, there are no more timers than before, and 240 steps took a small part of the minute
  expect(r2.sent(PRUNE)).toBe(1000);
  expect(world.clock.due()).toBeLessThanOrEqual(timers);
  expect(timers).toBeLessThan(20);
  expect(user / 1e6).toBeLessThan(20);
});
