/** What comes in by the wire and what goes out: dvmrp.md sections 2, 14 and 17, with a neighbour made by hand. */
import { expect, test } from 'vitest';
import { formatIp, ip } from '../../../src/base/ip.js';
import type { DvmrpConfig } from '../../../src/config/types.js';
import type { Ifindex } from '../../../src/port/kernel.js';
import * as made from '../../support/dvmrp-builder.js';
import { GROUP, Routers } from '../../support/dvmrp-routers.js';

const PEER = '10.9.0.7';
const G = '239.5.5.5';

/** A router with a LAN and a link, on which the test plays the neighbour. */
async function alone(dvmrp: Partial<DvmrpConfig> = {}, capabilities = 0x2e) {
  const world = new Routers();
  const [lan, link] = [world.lan('10.1.0'), world.lan('10.9.0')];
  const router = world.router({ dvmrp });
  const [inside, out] = [router.attach(lan, 1), router.attach(link, 1)];
  await router.owns(inside, out);
  const from = async (
    source: string,
    payload: Uint8Array,
    { destination = '224.0.0.4', ttl = 1, ifindex = out as Ifindex } = {},
  ) => {
    router.kernel.igmp.receive({ ifindex, source: ip(source), destination: ip(destination), payload, ttl });
    await world.settle();
  };
  const hears = (payload: Uint8Array, options?: Parameters<typeof from>[2]) => from(PEER, payload, options);
  const probes = () => hears(made.probe(0x3704, ['10.9.0.1'], { capabilities }));
  const dropped = (name = 'eth1') => router.dvmrp.views.statistics().find((row) => row.interface === name)!.dropped;
  const said = (code: number) =>
    router.kernel.igmp.sent
      .filter(({ payload }) => payload[1] === code)
      .map(({ destination, payload }) => ({
        to: formatIp(destination),
        payload: Buffer.from(payload).toString('hex'),
      }));
  return { world, lan, link, router, inside, out, from, hears, probes, dropped, said };
}

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

test('Probes of mrouted, 0x0e and 0x0f with a generation id in host order, make a neighbour (DVMRP-122)', async () => {
  for (const capabilities of [0x0e, 0x0f]) {
    const { router, probes } = await alone({}, capabilities);
    await probes();
    expect(router.neighbors()).toEqual([`${PEER} two-way`]);
  }
});

test('what is not for us is counted by its reason and changes nothing (DVMRP-002, DVMRP-003, DVMRP-004, DVMRP-033)', async () => {
  const { router, from, hears, dropped } = await alone();
  const good = made.probe(1, ['10.9.0.1']);
  const bad = good.slice();
  bad[2]! ^= 1;
  await hears(bad);
  await hears(good.slice(0, 7));
  await hears(made.dvmrp(99, []));
  await hears(made.dvmrp(3, []));
  await hears(made.dvmrp(10, []));
  await from('10.9.0.1', good);
  await from('10.8.0.7', good);
  await from('10.9.0.255', good);
  await from('10.9.0.0', good);
  await from('224.0.0.9', good);
  await hears(good, { destination: '10.9.0.44' });
  expect(dropped()).toEqual({
    badChecksum: 1,
    tooShort: 1,
    unknownCode: 1,
    obsoleteCode: 2,
    ownMessage: 1,
    offSubnet: 1,
    badSource: 3,
    badDestination: 1,
  });
  expect(router.neighbors()).toEqual([]);
});

test('strangers and one-way neighbours are not listened to, and their Grafts are not acknowledged (DVMRP-032, DVMRP-112)', async () => {
  const { hears, dropped, said, router } = await alone();
  await hears(made.probe(1, []));
  expect(router.neighbors()).toEqual([`${PEER} one-way`]);
  await hears(made.report([['10.77.0.0/16', 1]]));
  await hears(made.prune('10.1.0.10', G, 100));
  await hears(made.graft('10.1.0.10', G));
  await hears(made.graftAck('10.1.0.10', G));
  expect(dropped()).toEqual({ unknownNeighbor: 4 });
  expect(said(9)).toEqual([]);
  expect(router.way('10.77.0.0/16')).toBe('none');
});

test('a Report with an error anywhere is dropped as a whole, and does not keep its sender alive (DVMRP-009)', async () => {
  const { world, hears, probes, router, dropped } = await alone();
  await probes();
  await world.run(30);
  const report = made.report([
    ['10.77.0.0/16', 1],
    ['10.78.0.0/16', 1],
  ]);
  await hears(made.dvmrp(2, [...report.slice(8, -1)]));
  expect(router.way('10.77.0.0/16')).toBe('none');
  expect(dropped()['malformed']).toBe(1);
  await world.run(6);
  expect(router.neighbors()).toEqual([]);
});

test('every Graft of a neighbour is acknowledged with what it had, also without state, unicast (DVMRP-112, DVMRP-113)', async () => {
  const { hears, probes, said } = await alone();
  await probes();
  await hears(made.graft('10.1.0.10', G));
  await hears(made.graft('10.1.0.10', G, '255.255.255.0'));
  await hears(made.graft('172.16.0.1', G, '255.0.255.0'));
  expect(said(9)).toEqual([
    { to: PEER, payload: hex(made.graftAck('10.1.0.10', G)) },
    { to: PEER, payload: hex(made.graftAck('10.1.0.10', G, '255.255.255.0')) },
    { to: PEER, payload: hex(made.graftAck('172.16.0.1', G, '255.0.255.0')) },
  ]);
});

test('unicast Prunes, Grafts and acknowledgements with TTL 255, as mrouted sends them, are accepted (DVMRP-121)', async () => {
  const { world, lan, router, hears, probes } = await alone();
  await probes();
  await hears(made.report([['10.1.0.0/24', 33]]));
  const S = ip('10.1.0.10');
  await world.sends(lan, S, GROUP);
  expect(router.entry(S, GROUP)).toBe('eth0 -> eth1');
  // dvmrp.md section 21: with a mask of the network, without one, and with the network's address in the source field
  const unicast = { destination: '10.9.0.1', ttl: 255 };
  for (const payload of [
    made.prune('10.1.0.10', G, 7200, '255.255.255.0'),
    made.prune('10.1.0.10', G, 7200),
    made.prune('10.1.0.0', G, 7200),
  ]) {
    await hears(payload, unicast);
    expect(router.entry(S, GROUP)).toBe('eth0 -> ');
    await hears(made.graft('10.1.0.10', G), unicast);
    expect(router.entry(S, GROUP)).toBe('eth0 -> eth1');
  }
});

test.each([
  ['no mask to a neighbour that has not announced it (DVMRP-101)', 0x0e, 20],
  ['a mask to one that has', 0x2e, 24],
] as const)('%s', async (_what, capabilities, length) => {
  const { world, link, said, hears, probes } = await alone({}, capabilities);
  await probes();
  await hears(made.report([['10.77.0.0/16', 1]]));
  await world.sends(link, ip('10.77.0.5'), GROUP);
  const [prune] = said(7);
  expect(prune?.to).toBe(PEER);
  expect(prune?.payload).toHaveLength(2 * length);
  // 0.75 of two hours
  const mask = length === 24 ? '255.255.0.0' : undefined;
  expect(prune?.payload).toBe(hex(made.prune('10.77.0.5', G, 5400, mask)));
});

test('a lost neighbour: routes in hold-down, dependencies and prunes gone, its entries empty (DVMRP-036)', async () => {
  const { world, lan, link, router, hears, probes } = await alone();
  await probes();
  await hears(
    made.report([
      ['10.1.0.0/24', 33],
      ['10.77.0.0/24', 1],
    ]),
  );
  const [S, far] = [ip('10.1.0.10'), ip('10.77.0.5')];
  await world.sends(lan, S, GROUP);
  await world.sends(link, far, GROUP);
  expect(router.entry(far, GROUP)).toBe('eth1 -> ');
  await world.run(36);
  expect(router.way('10.77.0.0/24')).toBe('hold');
  expect(router.entry(far, GROUP)).toBeUndefined();
  expect(router.entry(S, GROUP)).toBe('eth0 -> ');
  expect(router.dvmrp.views.prunes()).toEqual([]);
  expect(router.dvmrp.views.routes()[0]?.dependents).toEqual([]);
});

test('Neighbors2 is answered to who is on the link, unicast; with "off" to nobody (DVMRP-124)', async () => {
  const asks = made.dvmrp(5, []);
  const { from, probes, said, router } = await alone();
  await probes();
  await from('10.9.0.99', asks, { destination: '10.9.0.1' });
  expect(said(6)).toHaveLength(1);
  const [{ to, payload } = { to: '', payload: '' }] = said(6);
  expect(to).toBe('10.9.0.99');
  // 10.1.0.1 (1,1,leaf) -> 0.0.0.0; 10.9.0.1 (1,1) -> the peer
  const body = ['0a010001', '01018001', '00000000', '0a090001', '01010001', '0a090007'].join('');
  expect(payload.slice(16)).toBe(body);
  await from('10.8.0.99', asks, { destination: '10.9.0.1' });
  expect(said(6)).toHaveLength(1);
  expect(router.neighbors()).toHaveLength(1);
  const off = await alone({ neighbors2: 'off' });
  await off.from('10.9.0.99', asks);
  expect(off.said(6)).toEqual([]);
  expect(off.dropped()).toEqual({ notAnswered: 1 });
});

test('of many questions only the first few are answered, and one a second from then on (DVMRP-124)', async () => {
  const asks = made.dvmrp(5, []);
  const { from, said, dropped, world } = await alone();
  for (let n = 0; n < 100; n++) await from('10.9.0.99', asks, { destination: '10.9.0.1' });
  expect(said(6)).toHaveLength(5);
  expect(dropped()).toEqual({ notAnswered: 95 });
  await world.run(1);
  for (let n = 0; n < 100; n++) await from('10.9.0.99', asks, { destination: '10.9.0.1' });
  expect(said(6)).toHaveLength(6);
});

test('limits are kept and told of (DVMRP-034, DVMRP-060)', async () => {
  const { router, hears, probes, dropped } = await alone({ maxRoutes: 3 });
  await probes();
  await hears(
    made.report([
      ['10.77.0.0/16', 1],
      ['10.78.0.0/16', 1],
    ]),
  );
  expect(router.dvmrp.views.routes()).toHaveLength(3);
  expect(dropped()).toEqual({ routeLimit: 1 });
  expect(router.log.lines.filter(({ fields }) => fields.evt === 'dvmrp.limit.reached')).toHaveLength(1);
});

test('lines about what strangers do are held back', async () => {
  const { router, from } = await alone({ acceptCompat: false });
  for (let n = 2; n < 200; n++) await from(`10.9.0.${n}`, made.probe(1, [], { version: '3.254' }));
  const lines = router.log.lines.filter(({ fields }) => fields.evt === 'dvmrp.neighbor.refused');
  expect(lines.length).toBeLessThan(20);
});

test('an interface without an address, and the loopback, are taken or refused with a reason', async () => {
  const { router } = await alone();
  const bare = router.kernel.addDevice('eth9');
  expect((await router.dvmrp.take(bare)).code).toBe('NO_ERROR');
  expect(router.dvmrp.views.interfaces().at(-1)).toMatchObject({
    interface: 'eth9',
    state: 'down',
    localAddress: null,
  });
  const lo = router.kernel.addDevice('lo', '127.0.0.1/8', { loopback: true });
  expect(await router.dvmrp.take(lo)).toMatchObject({ code: 'ERROR_CAN_NOT_COMPLETE' });
});

test('Probes come from the address that speaks, as it changes (C2)', async () => {
  const { router, world } = await alone();
  const one = (text: string, scope: 'global' | 'link' = 'global') =>
    ({ address: ip(text), prefixLength: 24, secondary: false, scope, peer: undefined }) as const;
  const lone = router.kernel.addDevice('eth9', undefined, {
    addresses: [one('239.9.9.9'), one('169.254.0.1', 'link')],
  });
  await router.owns(lone);
  const last = () => router.kernel.igmp.sent.filter(({ ifindex }) => ifindex === lone).at(-1)!.source;
  expect(last()).toBe(ip('169.254.0.1'));
  router.kernel.changeDevice(lone, { addresses: [one('239.9.9.9'), one('169.254.0.1', 'link'), one('10.77.0.1')] });
  await world.settle();
  expect(last()).toBe(ip('10.77.0.1'));
  expect(router.dvmrp.views.interfaces().at(-1)).toMatchObject({ localAddress: '10.77.0.1' });
});

test('a router to which a route leads by the interface is a neighbour behind a bare /32; others are told once (C3)', async () => {
  const { router, world } = await alone();
  const lone = router.kernel.addDevice('eth9', '10.77.0.1/32');
  await router.owns(lone);
  router.kernel.routes.set('10.77.0.9/32', { ifindex: lone });
  const probe = async (source: string) => {
    const payload = made.probe(1, []);
    router.kernel.igmp.receive({ ifindex: lone, source: ip(source), destination: ip('224.0.0.4'), payload });
    await world.settle();
  };
  await probe('10.77.0.9');
  for (let n = 0; n < 20; n++) await probe('10.77.0.8');
  expect(router.neighbors().map((text) => text.split(' ')[0])).toEqual(['10.77.0.9']);
  const lines = router.log.of('dvmrp.message.refused');
  expect(lines).toHaveLength(1);
  expect(lines[0]?.fields).toMatchObject({ ifname: 'eth9', from: '10.77.0.8', reason: 'offSubnet' });
});

test('through a tunnel whose far end nobody has named: a neighbour, its unicast beside the tunnel, and no strangers (DVMRP-125)', async () => {
  // given a tunnel device with the address of the local end, over a network that DVMRP is not on
  const { router, world, inside } = await alone();
  router.kernel.addDevice('net0', '192.0.2.1/24');
  const net = router.kernel.links.byName('net0')!.ifindex;
  const tunnel = router.kernel.addDevice('tun0', '192.0.2.1/32', { pointToPoint: true });
  await router.owns(tunnel);
  const says = async (
    payload: Uint8Array,
    { ifindex = tunnel as Ifindex, source = '192.0.2.2', destination = '224.0.0.4' } = {},
  ) => {
    router.kernel.igmp.receive({ ifindex, source: ip(source), destination: ip(destination), payload });
    await world.settle();
  };
  const beside = (payload: Uint8Array, source = '192.0.2.2') =>
    says(payload, { ifindex: net, source, destination: '192.0.2.1' });
  // before its first Probe nothing unicast is listened to, through the tunnel or beside it
  await says(made.graft('10.1.0.10', G), { destination: '192.0.2.1' });
  await beside(made.graft('10.1.0.10', G));
  expect(router.sent(9)).toBe(0);
  await says(made.probe(1, ['192.0.2.1']));
  await says(
    made.report([
      ['10.1.0.0/24', 33],
      ['10.77.0.0/16', 2],
    ]),
  );
  expect(router.neighbors()).toEqual(['192.0.2.2 two-way']);
  expect([router.way('10.77.0.0/16'), router.way('192.0.2.1/32')]).toEqual(['3 from 192.0.2.2', 'none']);
  // then a flow goes in until a Prune comes, in either way
  router.kernel.packet(ip('10.1.0.10'), GROUP, inside);
  await world.settle();
  for (const send of [beside, says]) {
    expect(router.entry(ip('10.1.0.10'), GROUP)).toBe('eth0 -> tun0');
    await send(made.prune('10.1.0.10', G, 7200));
    expect(router.entry(ip('10.1.0.10'), GROUP)).toBe('eth0 -> ');
    await send(made.graft('10.1.0.10', G));
  }
  expect(router.sent(9)).toBe(2);
  // Probes and Reports do not come beside it, and from nobody else does anything
  await beside(made.report([['10.77.0.0/16', 32]]));
  await beside(made.probe(1, []));
  await beside(made.prune('10.1.0.10', G, 7200), '192.0.2.9');
  expect([router.neighbors(), router.way('10.77.0.0/16')]).toEqual([['192.0.2.2 two-way'], '3 from 192.0.2.2']);
  expect(router.entry(ip('10.1.0.10'), GROUP)).toBe('eth0 -> tun0');
});
