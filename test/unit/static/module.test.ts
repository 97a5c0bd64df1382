import { expect, test } from 'vitest';
import { ip } from '../../../src/base/ip.js';
import { type MgmStatus, PROTOCOL, type RpfRequest } from '../../../src/mgm/client.js';
import { settle } from '../../support/fake-clock.js';
import { bed, CONFIG, link, OK, RECV, route, SEND, started } from './fakes.js';

const ROUTES_ON_RECV = ['add 0.0.0.0 239.1.1.1 3 1', 'add 10.1.0.2 232.1.1.1 3 1'];

function flow(source: string, group: string): RpfRequest {
  return {
    source: ip(source),
    group: ip(group),
    ifindex: RECV.ifindex,
    upstreamNeighbor: undefined,
    arrival: undefined,
    packet: new Uint8Array(),
    route: undefined,
  };
}

test('an instance registers as static with the component id and name of its configuration (MGM-REG-03)', () => {
  const { module, mgm } = bed();
  expect(module.start().code).toBe('NO_ERROR');
  expect(mgm.registration).toMatchObject({ protocolId: PROTOCOL.static, componentId: 2, name: 'static2' });
});

test('taking an interface adds membership for each route that leaves by it, after the Take has succeeded', () => {
  const { module, mgm } = started();
  expect(module.take(RECV.ifindex)).toEqual(OK);
  expect(mgm.calls).toEqual(['take 3', ...ROUTES_ON_RECV]);
});

test('an interface that no route leaves by is taken without any membership', () => {
  const { module, mgm } = started();
  void module.take(SEND.ifindex);
  expect(mgm.calls).toEqual(['take 2']);
});

test('a refused Take adds nothing and is not released at the end', () => {
  const { module, mgm } = started();
  mgm.answer = () => ({ code: 'ERROR_ALREADY_EXISTS', detail: 'ownedByOther' });
  expect(module.take(RECV.ifindex)).toMatchObject({ detail: 'ownedByOther' });
  void module.stop();
  expect(mgm.calls).toEqual(['take 3', 'deregister']);
});

test('a Take that is answered later adds its memberships when the answer comes', async () => {
  const { module, mgm } = started();
  let answer: (status: MgmStatus) => void = () => undefined;
  mgm.answer = (call) => (call === 'take 3' ? new Promise((resolve) => (answer = resolve)) : OK);
  const taken = module.take(RECV.ifindex);
  expect(mgm.calls).toEqual(['take 3']);
  answer(OK);
  expect(await taken).toEqual(OK);
  expect(mgm.calls).toEqual(['take 3', ...ROUTES_ON_RECV]);
});

test('a release deletes no membership itself, so that the manager can make before it breaks (D-OWN-9)', () => {
  const { module, mgm } = started();
  void module.take(RECV.ifindex);
  mgm.calls.length = 0;
  void module.release(RECV.ifindex);
  expect(mgm.calls).toEqual(['release 3']);
});

test('the RPF callback names the configured iif of (S,G) and of (*,G) while this instance owns it', () => {
  const { module, callbacks } = started();
  expect(callbacks.rpf!(flow('10.1.0.2', '232.1.1.1'))).toBeUndefined();
  void module.take(SEND.ifindex);
  expect(callbacks.rpf!(flow('10.1.0.2', '232.1.1.1'))).toEqual({ ifindex: SEND.ifindex, outputs: [RECV.ifindex] });
  expect(callbacks.rpf!(flow('10.7.7.7', '239.1.1.1'))).toEqual({ ifindex: SEND.ifindex, outputs: [RECV.ifindex] });
  expect(callbacks.rpf!(flow('10.7.7.7', '239.9.9.9'))).toBeUndefined();
  void module.release(SEND.ifindex);
  expect(callbacks.rpf!(flow('10.1.0.2', '232.1.1.1'))).toBeUndefined();
});

test('what hosts join by IGMP is forwarded: local joins and creation alerts take their defaults', () => {
  const { callbacks } = started();
  expect(callbacks.localJoin).toBeUndefined();
  expect(callbacks.creationAlert).toBeUndefined();
});

test('a granted interface gets its memberships, then the manager hears that the resync is done (D-OWN-13)', () => {
  const { mgm, callbacks } = started();
  callbacks.interfaceGranted!(RECV.ifindex);
  expect(mgm.calls).toEqual([...ROUTES_ON_RECV, 'resyncDone 3']);
});

test('the resync is done only when memberships that are answered later have been answered', async () => {
  const { mgm, callbacks } = started();
  let answer: (status: MgmStatus) => void = () => undefined;
  mgm.answer = (call) => (call === ROUTES_ON_RECV[1] ? new Promise((resolve) => (answer = resolve)) : OK);
  callbacks.interfaceGranted!(RECV.ifindex);
  await settle();
  expect(mgm.calls).toEqual(ROUTES_ON_RECV);
  answer(OK);
  await settle();
  expect(mgm.calls).toEqual([...ROUTES_ON_RECV, 'resyncDone 3']);
});

test('an offered interface is accepted when it exists', () => {
  const { callbacks, links } = started();
  expect(callbacks.interfaceOffered!(RECV.ifindex)).toBe(true);
  links.remove(RECV);
  expect(callbacks.interfaceOffered!(RECV.ifindex)).toBe(false);
});

test('an interface that was handed away or is gone is not released at the end', () => {
  const { module, mgm, callbacks } = started();
  void module.take(SEND.ifindex);
  void module.take(RECV.ifindex);
  callbacks.interfaceLost!(RECV.ifindex, 'handover');
  callbacks.interfaceGone!(SEND.ifindex);
  mgm.calls.length = 0;
  void module.stop();
  expect(mgm.calls).toEqual(['deregister']);
});

test('stopping releases in ascending order, although one release is refused, then deregisters', () => {
  const { module, mgm } = started();
  void module.take(RECV.ifindex);
  void module.take(SEND.ifindex);
  mgm.calls.length = 0;
  mgm.answer = (call) => (call === 'release 2' ? { code: 'ERROR_CAN_NOT_COMPLETE' } : OK);
  expect(module.stop()).toEqual(OK);
  expect(mgm.calls).toEqual(['release 2', 'release 3', 'deregister']);
  expect(module.take(RECV.ifindex)).toMatchObject({ detail: 'badHandle' });
});

test('a membership that the manager refuses is a warning with the code and the interface', () => {
  const { module, mgm, log } = started();
  mgm.answer = (call) => (call.startsWith('add 10') ? { code: 'ERROR_CAN_NOT_COMPLETE', detail: 'kernelRefused' } : OK);
  void module.take(RECV.ifindex);
  expect(log.of('static.route.refused')).toMatchObject([
    { level: 'warn', fields: { ifname: 'recv', code: 'ERROR_CAN_NOT_COMPLETE', detail: 'kernelRefused' } },
  ]);
});

test('configured joins are wished for at the start and dropped at the stop', () => {
  const { module, membership } = bed();
  module.start();
  void module.stop();
  expect(membership.calls).toEqual([
    'static2 2 239.1.1.1 exclude []',
    'static2 2 232.1.1.1 include [10.1.0.2]',
    'static2 2 239.1.1.1 nothing',
    'static2 2 232.1.1.1 nothing',
  ]);
});

test('an interface that is created again gets its joins again, under its new ifindex', () => {
  const { links, membership } = started();
  links.remove(SEND);
  expect(membership.calls).toEqual([]);
  links.add(link(9, 'send'));
  expect(membership.calls).toEqual(['static2 9 239.1.1.1 exclude []', 'static2 9 232.1.1.1 include [10.1.0.2]']);
});

test('a renamed interface gets the joins of its new name', () => {
  const { links, membership } = started();
  links.remove(SEND);
  links.add(link(2, 'wan'));
  expect(membership.calls).toEqual([]);
  links.remove(link(2, 'wan'));
  links.add(link(2, 'send'));
  expect(membership.calls).toEqual(['static2 2 239.1.1.1 exclude []', 'static2 2 232.1.1.1 include [10.1.0.2]']);
});

test('a join that the kernel refuses is a warning and is asked for again every 30 s, until it is granted', () => {
  const { module, membership, clock, log } = bed();
  membership.refuse = true;
  module.start();
  expect(log.of('static.join.refused')).toHaveLength(2);
  expect(clock.due()).toBe(1);
  membership.refuse = false;
  membership.calls.length = 0;
  clock.advance(30_000);
  expect(membership.calls).toHaveLength(2);
  expect(clock.due()).toBe(0);
});

test('nothing is left after the stop: no timer, no subscription', () => {
  const { module, membership, clock, links } = bed();
  membership.refuse = true;
  module.start();
  void module.stop();
  expect(clock.due()).toBe(0);
  expect(links.handlers.size).toBe(0);
});

test('a module that was not started takes nothing and stops at once', () => {
  const { module, mgm } = bed({ ...CONFIG, routes: [CONFIG.routes[0]!] });
  expect(module.take(RECV.ifindex)).toMatchObject({ code: 'ERROR_INVALID_PARAMETER' });
  expect(module.stop()).toEqual(OK);
  expect(mgm.calls).toEqual([]);
});

const WAN = link(4, 'wan');

/** `routes` on three interfaces that the instance owns. */
function owning(...routes: ReturnType<typeof route>[]) {
  const all = started({ ...CONFIG, routes, joins: [] });
  all.links.add(WAN);
  for (const { ifindex } of [SEND, RECV, WAN]) void all.module.take(ifindex);
  return all;
}

test('each direction of a group has its own outputs, by where its packets arrive (G)', () => {
  const both = [
    route({ group: '239.1.1.1', from: ['send'], to: ['recv'] }),
    route({ group: '239.1.1.1', from: ['recv'], to: ['send', 'wan'] }),
  ];
  const { callbacks } = owning(...both);
  const arriving = (arrival: number) =>
    callbacks.rpf!({ ...flow('10.1.0.2', '239.1.1.1'), arrival: link(arrival, '').ifindex });
  expect(arriving(2)).toEqual({ ifindex: 2, outputs: [3] });
  expect(arriving(3)).toEqual({ ifindex: 3, outputs: [2, 4] });
});

test('an entry that is decided anew without a packet stays on its input (G)', () => {
  const both = [
    route({ group: '239.1.1.1', from: ['send'], to: ['recv'] }),
    route({ group: '239.1.1.1', from: ['recv'], to: ['send'] }),
  ];
  const { callbacks, mgm } = owning(...both);
  mgm.iifs.set('10.1.0.2 239.1.1.1', SEND.ifindex);
  // the look-up of `flow` leads to recv
  expect(callbacks.rpf!(flow('10.1.0.2', '239.1.1.1'))).toEqual({ ifindex: 2, outputs: [3] });
});

test('a route without outputs refuses the flow, and adds no membership (G)', () => {
  const { callbacks, mgm } = owning(route({ group: '239.1.0.0/16', from: ['recv'], to: [] }));
  expect(callbacks.rpf!(flow('10.1.0.2', '239.1.7.7'))).toEqual({ refuse: true });
  expect(mgm.calls.filter((call) => call.startsWith('add'))).toEqual([]);
});

test('the routes are shown as they are written (G)', () => {
  const { module } = owning(
    route({ source: '10.0.0.0/8', group: '239.1.0.0/16' }),
    route({ group: '239.1.1.1', to: [] }),
  );
  expect([...module.eachRoute()]).toEqual([
    { instance: 'static2', source: '10.0.0.0/8', group: '239.1.0.0/16', from: ['send'], to: ['recv'] },
    { instance: 'static2', source: '*', group: '239.1.1.1', from: ['send'], to: [] },
  ]);
});
