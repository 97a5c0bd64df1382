/** Routes with several inputs: one is active, another one takes over when it falls silent (F46). */
import { expect, test } from 'vitest';
import { ip } from '../../../src/base/ip.js';
import type { SavedProtocolState } from '../../../src/mgm/client.js';
import type { Ifindex } from '../../../src/port/kernel.js';
import { CONFIG, link, RECV, route, SEND, started } from './fakes.js';

const [A, B, C] = [SEND, link(4, 'b'), link(5, 'c')];
const FLOW = '10.1.0.2 239.1.1.1';

/** An instance that owns send, b, c and recv, with one route from the first three to recv. */
function bed(from: readonly string[] = ['send', 'b', 'c'], savedState?: SavedProtocolState) {
  const all = started({ ...CONFIG, joins: [], routes: [route({ group: '239.1.0.0/16', from })] }, savedState);
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
  /** The kernel tells of a packet by another input than the active one. */
  const wrong = (arrival: Ifindex) =>
    all.callbacks.wrongInterface!({
      source: ip('10.1.0.2'),
      group: ip('239.1.1.1'),
      ifindex: arrival,
      packet: new Uint8Array(),
    });
  return { ...all, arrives, counted, wrong, active: () => [...all.module.eachInput()].map(({ active }) => active) };
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

/** The active input has no packets from now on, others have one in ten milliseconds. */
async function silent({ counted, clock }: ReturnType<typeof bed>, forMs: number, since = 0): Promise<void> {
  for (let ms = 0; ms < forMs; ms += 10) {
    counted(0, 1 + (since + ms) / 10);
    await clock.run(10);
  }
}

test('of many inputs the one where packets were told to come takes over directly (G, F46)', async () => {
  // given packets by c, and once, before that, by b
  const all = bed();
  void all.arrives(A.ifindex);
  for (const arrival of [B, C, C]) all.wrong(arrival.ifindex);
  // when the active one falls silent
  await silent(all, 1010);
  // then c is next, within the promised time
  expect(all.active()).toEqual(['c']);
  expect(all.told).toMatchObject([{ from: 'send', to: 'c', reason: 'silent' }]);
});

test('where the kernel has told of none the third input has its turn right after the second (G, F46)', async () => {
  const all = bed();
  void all.arrives(A.ifindex);
  await silent(all, 1200);
  expect(all.active()).toEqual(['c']);
  expect(all.log.of('static.input.changed').map(({ message }) => message)).toEqual([
    'switched 239.1.1.1 from send to b: no packet on send for 1000 ms',
    'switched 239.1.1.1 from b to c: no packet on b either',
  ]);
  // when nobody of them has the stream, but somebody else, then the next round takes its time
  await silent(all, 900, 1200);
  expect(all.told).toHaveLength(2);
});

test('an input that has taken over is no guess any more as soon as it brings a packet (G, F46)', async () => {
  const { arrives, counted, clock, active, ...all } = bed();
  void arrives(A.ifindex);
  await silent({ arrives, counted, clock, active, ...all }, 1010);
  expect(active()).toEqual(['b']);
  counted(1, 200);
  await clock.run(100);
  counted(1, 300);
  await clock.run(900);
  expect(active()).toEqual(['b']);
});

test('wrong-interface messages are asked for where there is a choice, and only there (G)', () => {
  expect(bed().mgm.registration?.pimUpcalls).toBe(true);
  expect(bed(['send', 'b']).mgm.registration?.pimUpcalls).toBe(false);
});

test('a packet that comes by one of several inputs is expected there, whatever the routes say (G)', () => {
  const { callbacks } = bed(['send', 'b']);
  const flow = { source: ip('10.1.0.2'), group: ip('239.1.1.1') };
  expect(callbacks.expects!(flow, B.ifindex)).toEqual({ ifindex: B.ifindex, outputs: [RECV.ifindex] });
  expect(callbacks.expects!(flow, C.ifindex)).toBeUndefined();
  expect(callbacks.expects!({ ...flow, group: ip('239.2.1.1') }, B.ifindex)).toBeUndefined();
  // one input alone is where the routes lead
  expect(bed(['send']).callbacks.expects!(flow, A.ifindex)).toBeUndefined();
});

test('an input with another name is lost under the name that it had (G, C6)', () => {
  const { arrives, links, callbacks, module, log, told } = bed();
  void arrives(A.ifindex);
  links.remove(A);
  links.add({ ...A, name: 'tmp' });
  callbacks.interfaceGone!(A.ifindex);
  expect([...module.eachInput()]).toMatchObject([{ active: 'b', switches: 1 }]);
  expect(told).toMatchObject([{ from: 'send', to: 'b', reason: 'gone' }]);
  expect(log.of('static.input.changed')[0]?.message).toContain('there is no send any more');
});

test('how often a group has changed its input is known after a reload (G)', () => {
  // given a group that has moved twice
  const before = bed();
  void before.arrives(A.ifindex);
  before.links.replace(A, { ...A, running: false });
  before.links.replace(B, { ...B, running: false });
  const savedState = { state: JSON.parse(JSON.stringify(before.module.saveState())) as unknown, ageMs: 10 };
  // when the next process sees it
  const after = bed(undefined, savedState);
  void after.arrives(C.ifindex);
  expect([...after.module.eachInput()]).toMatchObject([{ active: 'c', switches: 2 }]);
  // and what is no number is ignored
  const hostile = bed(undefined, { state: { switches: { '239.1.1.1 send,b,c': 'many' } }, ageMs: 10 });
  void hostile.arrives(A.ifindex);
  expect([...hostile.module.eachInput()]).toMatchObject([{ switches: 0 }]);
});

test('an input whose link goes down is given up at once (F46)', () => {
  const { arrives, links, mgm, told } = bed();
  void arrives(A.ifindex);
  links.replace(A, { ...A, running: false });
  expect(mgm.calls).toEqual(['set 10.1.0.2 239.1.1.1 4']);
  expect(told).toMatchObject([{ from: 'send', to: 'b', reason: 'down' }]);
});

test('an input that the instance owns no more is given up at once (F46)', () => {
  const { arrives, callbacks, mgm, active, told, log } = bed();
  void arrives(A.ifindex);
  callbacks.interfaceLost!(A.ifindex, 'handed over');
  expect(mgm.calls).toEqual(['set 10.1.0.2 239.1.1.1 4']);
  expect(told).toMatchObject([{ from: 'send', to: 'b', reason: 'released' }]);
  expect(log.of('static.input.changed')[0]?.message).toContain('static2 does not own send any more');
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
