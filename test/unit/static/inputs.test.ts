/** Routes with several inputs: one is active, another one takes over when it falls silent (F46). */
import { expect, test } from 'vitest';
import { ip } from '../../../src/base/ip.js';
import type { Ifindex } from '../../../src/port/kernel.js';
import { CONFIG, link, RECV, route, SEND, started } from './fakes.js';

const [A, B, C] = [SEND, link(4, 'b'), link(5, 'c')];
const FLOW = '10.1.0.2 239.1.1.1';

/** An instance that owns send, b, c and recv, with one route from the first three to recv. */
function bed() {
  const all = started({ ...CONFIG, joins: [], routes: [route({ group: '239.1.0.0/16', from: ['send', 'b', 'c'] })] });
  for (const one of [B, C]) all.links.add(one);
  for (const { ifindex } of [A, B, C, RECV]) void all.module.take(ifindex);
  all.mgm.calls.length = 0;
  const arrives = (arrival: Ifindex | undefined, source = '10.1.0.2', group = '239.1.1.1') =>
    all.callbacks.rpf!({
      source: ip(source),
      group: ip(group),
      ifindex: RECV.ifindex,
      upstreamNeighbor: undefined,
      arrival,
      packet: new Uint8Array(),
      route: undefined,
    });
  /** So many packets came by the entry's input, and by others. */
  const counted = (right: number, wrong: number) =>
    all.mgm.counters.set(FLOW, { inPackets: right + wrong, differentIfPackets: wrong });
  return { ...all, arrives, counted, active: () => all.module.inputs().map(({ active }) => active) };
}

test('the input where packets come first is active, for every flow of the group (F46)', () => {
  const { arrives, active } = bed();
  expect(arrives(B.ifindex)).toEqual({ ifindex: B.ifindex, outputs: [RECV.ifindex] });
  expect(arrives(A.ifindex, '10.9.0.2')).toEqual({ ifindex: B.ifindex, outputs: [RECV.ifindex] });
  expect(active()).toEqual(['b']);
});

test('while packets come by the active input nothing changes, whatever comes by the others (F46)', async () => {
  const { arrives, counted, clock, mgm } = bed();
  void arrives(A.ifindex);
  for (let n = 1; n <= 20; n++) {
    counted(n, 100 * n);
    await clock.run(500);
  }
  expect(mgm.calls).toEqual([]);
});

test('a silent input is given up within one and a half times failoverAfter, and it is told (F46)', async () => {
  // given a group on send, with b sending too
  const { arrives, counted, clock, mgm, log, told } = bed();
  void arrives(A.ifindex);
  void arrives(A.ifindex, '10.9.0.2');
  mgm.counters.set('10.9.0.2 239.1.1.1', { inPackets: 0, differentIfPackets: 0 });
  counted(10, 10);
  await clock.run(500);
  // when send falls silent
  counted(10, 60);
  await clock.run(500);
  expect(mgm.calls).toEqual([]);
  counted(10, 110);
  await clock.run(500);
  // then every flow of the group moves to the next input, in place
  expect(mgm.calls).toEqual(['set 10.1.0.2 239.1.1.1 4', 'set 10.9.0.2 239.1.1.1 4']);
  const change = { evt: 'static.input.changed', group: '239.1.1.1', from: 'send', to: 'b', reason: 'silent' };
  expect(told).toMatchObject([change]);
  expect(log.of('static.input.changed')).toMatchObject([{ level: 'warn', fields: change }]);
});

test('a stream with a packet in a while, or one that ends everywhere, moves nothing (F46)', async () => {
  const { arrives, counted, clock, mgm } = bed();
  void arrives(A.ifindex);
  // given one packet by each input in five seconds
  for (let n = 1; n <= 5; n++) {
    counted(n, n);
    await clock.run(5000);
  }
  // when both end
  await clock.run(60_000);
  expect(mgm.calls).toEqual([]);
});

test('a third input has its turn when the second is silent as well (F46)', async () => {
  const { arrives, counted, clock, active } = bed();
  void arrives(A.ifindex);
  counted(0, 0);
  for (let n = 1; n <= 4; n++) {
    counted(0, 100 * n);
    await clock.run(500);
  }
  expect(active()).toEqual(['c']);
});

test('an input whose link goes down is given up at once (F46)', () => {
  const { arrives, links, mgm, told } = bed();
  void arrives(A.ifindex);
  links.replace(A, { ...A, running: false });
  expect(mgm.calls).toEqual(['set 10.1.0.2 239.1.1.1 4']);
  expect(told).toMatchObject([{ from: 'send', to: 'b', reason: 'down' }]);
});

test('an input that the instance owns no more is given up at once (F46)', () => {
  const { arrives, callbacks, mgm, active } = bed();
  void arrives(A.ifindex);
  callbacks.interfaceLost!(A.ifindex, 'handed over');
  expect(mgm.calls).toEqual(['set 10.1.0.2 239.1.1.1 4']);
  expect(active()).toEqual(['b']);
});

test('a group whose entries have gone is forgotten, and its timer with it (F46)', async () => {
  const { arrives, clock, active } = bed();
  void arrives(A.ifindex);
  await clock.run(1000);
  expect(active()).toEqual([]);
  expect(clock.due()).toBe(0);
});

test('ten thousand groups are looked at, and moved, some in each turn of the loop (F46)', async () => {
  // given ten thousand groups on send
  const { arrives, clock, mgm, links, active } = bed();
  let reads = 0;
  const get = mgm.counters.get.bind(mgm.counters);
  mgm.counters.get = (key) => {
    reads++;
    return get(key);
  };
  for (let n = 0; n < 10_000; n++) {
    const group = `239.1.${n >> 8}.${n & 255}`;
    void arrives(A.ifindex, '10.1.0.2', group);
    mgm.counters.set(`10.1.0.2 ${group}`, { inPackets: 1, differentIfPackets: 0 });
  }
  // when their first look is due
  clock.advance(500);
  expect(active()).toHaveLength(10_000);
  expect(reads).toBeLessThan(25_000);
  // and when their input goes down
  links.replace(A, { ...A, running: false });
  expect(mgm.calls.length).toBeLessThan(1000);
  await clock.run(0);
  expect(mgm.calls).toHaveLength(10_000);
});
