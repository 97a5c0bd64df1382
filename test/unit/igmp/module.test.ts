/** IGMP beside the manager: the pause around ownership changes, resync in slices, refused sources, links, and its end. */
import { expect, test } from 'vitest';
import { ip } from '../../../src/base/ip.js';
import type { CreationRequest, MgmStatus } from '../../../src/mgm/client.js';
import type { Ifindex } from '../../../src/port/kernel.js';
import {
  allow,
  block,
  isEx,
  isIn,
  leaveV2,
  queryV3,
  reportV2,
  reportV3,
  toEx,
  toIn,
} from '../../support/packet-builder.js';
import { Bed, ETH1, ETH2, type FakeLinks, link, src } from './bed.js';

const G = '239.1.2.3';
const disable = (bed: Bed, on: Ifindex = ETH1) => bed.mgm.callbacks.disableIgmp?.(on);
const enable = (bed: Bed, on: Ifindex = ETH1) => bed.mgm.callbacks.enableIgmp?.(on);
const groupNumber = (n: number) => `239.5.${n >> 8}.${n & 255}`;

function joined(bed: Bed, count: number): void {
  for (let n = 0; n < count; n += 150)
    bed.hear(reportV3(...Array.from({ length: Math.min(150, count - n) }, (_, k) => toEx(groupNumber(n + k)))));
}

test('the mapping to the manager, with what is added before what is deleted (IGMP-160)', () => {
  const bed = new Bed();
  bed.hear(reportV3(allow(G, src('a'), src('b'))));
  expect(bed.mgm.drain()).toEqual([`add (a,${G})`, `add (b,${G})`]);
  bed.hear(reportV3(isEx(G, src('b'), src('c'))));
  expect(bed.mgm.drain()).toEqual([`refuse (c,${G})`, `add (*,${G})`, `delete (a,${G})`, `delete (b,${G})`]);
  bed.hear(reportV3(allow(G, src('c'))));
  expect(bed.mgm.drain()).toEqual([`allow (c,${G})`]);
  bed.goTo(269);
  bed.hear(reportV3(isIn(G, src('c'))));
  bed.goTo(270);
  expect(bed.state(G)).toBe('INCLUDE(c:269)');
  expect(bed.mgm.drain()).toEqual([`refuse (b,${G})`, `add (c,${G})`, `delete (*,${G})`]);
  bed.hear(reportV3(block(G, src('c'))));
  bed.goTo(272);
  expect(bed.mgm.drain()).toEqual([`delete (c,${G})`]);
});

test('a new flow of a source that everybody refuses stays off the interface', () => {
  const bed = new Bed({ links: [link(ETH1, '10.0.0.2'), link(ETH2, '10.1.0.2')] });
  bed.hear(reportV3(isEx(G, src('a'))));
  const oifs = [ETH1, ETH2].map((ifindex) => ({ ifindex, nextHop: ip('0.0.0.0'), igmp: true, enabled: true }));
  const flow = (source: string): CreationRequest => ({ source: ip(source), group: ip(G), iif: 9 as Ifindex, oifs });
  expect(bed.mgm.callbacks.creationAlert?.(flow(src('a')))).toEqual({ disabled: [ETH1] });
  expect(bed.mgm.callbacks.creationAlert?.(flow(src('b')))).toBeUndefined();
});

test('in the pause nothing is added or deleted there, while queries and elections go on (IGMP-161, IGMP-163)', () => {
  const bed = new Bed({ links: [link(ETH1, '10.0.0.5'), link(ETH2, '10.1.0.2')] });
  bed.hear(reportV2(G), { to: G });
  bed.mgm.drain();
  // given
  void disable(bed);
  // when hosts join and leave, and sources are refused
  bed.hear(reportV3(toEx('239.9.9.9', src('a')), allow('232.1.1.1', src('b'))));
  bed.hear(leaveV2(G), { to: '224.0.0.2' });
  bed.goTo(5);
  expect(bed.state(G)).toBe('none');
  // then only the other interface speaks to the manager
  bed.hear(reportV2(G), { to: G, on: ETH2, from: '10.1.0.9' });
  expect(bed.mgm.drain()).toEqual([`eth2 add (*,${G})`]);
  // and the questions were asked
  expect(bed.asked()).toEqual([`0 Q(${G}) S=0`, `1 Q(${G}) S=0`]);
  bed.hearQuery(queryV3(), '10.0.0.1');
  expect(bed.role()).toBe('non-querier');
  expect(bed.module.interfaces()[0]!.memberships).toBe('paused');
});

test('after the pause all that is wanted then is added, in a later turn (IGMP-162)', () => {
  const bed = new Bed();
  bed.hear(reportV2(G), { to: G });
  bed.hear(reportV3(toEx('239.0.0.1')));
  void disable(bed);
  bed.hear(reportV3(isEx('239.9.9.9', src('a'), src('b')), allow('232.1.1.1', src('c'), src('d'))));
  bed.hear(leaveV2(G), { to: '224.0.0.2' });
  bed.goTo(5);
  bed.mgm.drain();
  // when
  void enable(bed);
  // then not from inside the callback
  expect(bed.mgm.drain()).toEqual([]);
  bed.clock.advance(0);
  expect(bed.mgm.drain()).toEqual([
    'add (*,239.0.0.1)',
    'refuse (a,239.9.9.9)',
    'refuse (b,239.9.9.9)',
    'add (*,239.9.9.9)',
    'add (c,232.1.1.1)',
    'add (d,232.1.1.1)',
    'resyncDone',
  ]);
  expect(bed.module.interfaces()[0]!.memberships).toBe('open');
});

test('the resync adds 256 memberships per turn', () => {
  const bed = new Bed();
  joined(bed, 1200);
  void disable(bed);
  bed.mgm.drain();
  const turns: number[] = [];
  const later = bed.clock.after.bind(bed.clock);
  bed.clock.after = (ms, fire) =>
    later(ms, () => {
      fire();
      turns.push(bed.mgm.drain().length);
    });
  void enable(bed);
  bed.clock.advance(0);
  // the last turn says that it is done, too
  expect(turns).toEqual([256, 256, 256, 256, 1200 - 1024 + 1]);
});

/** Starts a resync and does something between its first and its second slice. Returns the calls since then. */
function betweenSlices(bed: Bed, act: () => void): string[] {
  void disable(bed);
  void enable(bed);
  const later = bed.clock.after.bind(bed.clock);
  // the first slice is armed already
  let turns = 0;
  bed.clock.after = (ms, fire) =>
    later(ms, () => {
      if (ms === 0 && turns++ === 0) {
        bed.mgm.drain();
        act();
      }
      fire();
    });
  bed.clock.advance(0);
  return bed.mgm.drain();
}

test('hosts that join during the resync are told as usual', () => {
  const bed = new Bed();
  joined(bed, 600);
  bed.hear(reportV3(allow('232.1.1.1', src('a'))));
  const calls = betweenSlices(bed, () => {
    bed.hear(reportV3(toEx('239.77.0.1')));
    bed.hear(reportV3(allow('232.1.1.1', src('b'))));
  });
  expect(calls.at(-1)).toBe('resyncDone');
  for (const wanted of ['add (*,239.77.0.1)', 'add (a,232.1.1.1)', 'add (b,232.1.1.1)'])
    expect(calls).toContain(wanted);
});

const manySources = Array.from({ length: 600 }, (_, n) => `198.18.${n >> 8}.${n & 255}`);
const withManySources = (config = {}): Bed => {
  const bed = new Bed({ config: { maxSourcesPerGroup: 1000, ...config } });
  bed.hear(reportV3(allow(G, ...manySources.slice(0, 300)), allow(G, ...manySources.slice(300))));
  return bed;
};

test('a group that becomes EXCLUDE in the middle of its resync has no source added behind that', () => {
  const calls = betweenSlices(withManySources(), () => undefined);
  expect(calls).toHaveLength(600 - 256 + 1);
  const bed = withManySources();
  const flipped = betweenSlices(bed, () => {
    bed.hear(reportV3(isEx(G, ...manySources.slice(0, 300)), allow(G, manySources[599]!)));
  });
  expect(flipped.filter((call) => call.startsWith('add'))).toEqual([`add (*,${G})`]);
  expect(flipped.at(-1)).toBe('resyncDone');
});

test('a group that ends in the middle of its resync is not added again', () => {
  const bed = withManySources({ fastLeave: true });
  const calls = betweenSlices(bed, () => bed.hear(reportV3(toIn(G))));
  expect(calls.filter((call) => call.startsWith('add'))).toEqual([]);
  expect(calls.filter((call) => call.startsWith('delete'))).toHaveLength(600);
});

test('a disable in the resync cancels it, the next enable starts over (IGMP-164)', () => {
  const bed = new Bed();
  joined(bed, 600);
  void disable(bed);
  void enable(bed);
  bed.mgm.drain();
  void disable(bed);
  bed.clock.advance(0);
  expect(bed.mgm.drain()).toEqual([]);
  void enable(bed);
  bed.clock.advance(0);
  const calls = bed.mgm.drain();
  expect(calls).toHaveLength(601);
  expect(calls.at(-1)).toBe('resyncDone');
});

test('callbacks may repeat: one pause, one resync; an enable without a disable is harmless (IGMP-164)', () => {
  const bed = new Bed();
  bed.hear(reportV3(toEx(G)));
  bed.mgm.drain();
  void enable(bed);
  bed.clock.advance(0);
  expect(bed.mgm.drain()).toEqual([]);
  void disable(bed);
  void disable(bed);
  void enable(bed);
  void enable(bed);
  bed.clock.advance(0);
  expect(bed.mgm.drain()).toEqual([`add (*,${G})`, 'resyncDone']);
});

test('pauses of two interfaces overlap without mixing', () => {
  const bed = new Bed({ links: [link(ETH1, '10.0.0.2'), link(ETH2, '10.1.0.2')] });
  void disable(bed, ETH1);
  void disable(bed, ETH2);
  bed.hear(reportV3(toEx(G)));
  bed.hear(reportV3(toEx(G)), { on: ETH2, from: '10.1.0.9' });
  void enable(bed, ETH2);
  bed.clock.advance(0);
  expect(bed.mgm.drain()).toEqual([`eth2 add (*,${G})`, 'eth2 resyncDone']);
  void enable(bed, ETH1);
  bed.clock.advance(0);
  expect(bed.mgm.drain()).toEqual([`add (*,${G})`, 'resyncDone']);
});

test('link down deletes state and tells the manager, link up starts afresh (IGMP-174, F11)', () => {
  const bed = new Bed();
  bed.hear(reportV3(toEx(G), allow('232.1.1.1', src('a'))));
  bed.hearQuery(queryV3(), '10.0.0.1');
  bed.mgm.drain();
  bed.goTo(10);
  bed.links.change(link(ETH1, '10.0.0.2', { running: false }));
  expect(bed.mgm.drain()).toEqual([`delete (*,${G})`, 'delete (a,232.1.1.1)']);
  bed.hear(reportV3(toEx(G)));
  expect(bed.module.groups()).toEqual([]);
  expect(bed.dropped('notEnabled')).toBe(1);
  bed.goTo(20);
  for (let flap = 0; flap < 50; flap++) {
    bed.links.change(link(ETH1, '10.0.0.2'));
    bed.links.change(link(ETH1, '10.0.0.2', { running: false }));
  }
  bed.wire.sent.length = 0;
  bed.links.change(link(ETH1, '10.0.0.2'));
  bed.goTo(60);
  expect(bed.generalQueriesAt()).toEqual([20, 51.25]);
  expect(bed.clock.due()).toBe(1);
});

test('an interface that went away is forgotten without a call', () => {
  const bed = new Bed();
  bed.hear(reportV3(toEx(G)));
  bed.mgm.drain();
  bed.links.remove(ETH1);
  bed.mgm.callbacks.interfaceGone?.(ETH1);
  expect(bed.mgm.drain()).toEqual([]);
  expect(bed.module.interfaces()).toEqual([]);
  expect(bed.clock.due()).toBe(0);
});

test('stop releases and deregisters, and leaves no timer and no handler behind', () => {
  const bed = new Bed({ links: [link(ETH1, '10.0.0.2'), link(ETH2, '10.1.0.2')] });
  bed.hear(reportV3(toEx(G), allow(G, src('a'))));
  bed.hear(reportV3(toIn(G)));
  void disable(bed, ETH2);
  void enable(bed, ETH2);
  bed.mgm.drain();
  expect(bed.module.stop()).toMatchObject({ code: 'NO_ERROR' });
  expect(bed.mgm.drain()).toEqual(['release', 'eth2 release', 'deregister']);
  expect(bed.clock.due()).toBe(0);
  expect(bed.links.handlers).toBe(0);
  bed.hear(reportV3(toEx(G)));
  expect(bed.mgm.drain()).toEqual([]);
});

test('release stops serving; the manager deletes the memberships itself', () => {
  const bed = new Bed();
  bed.hear(reportV3(toEx(G)));
  bed.mgm.drain();
  expect(bed.module.release(ETH1)).toMatchObject({ code: 'NO_ERROR' });
  expect(bed.mgm.drain()).toEqual(['release']);
  expect(bed.clock.due()).toBe(0);
});

test('an interface that is not configured, or not there, is refused with a reason', () => {
  const bed = new Bed();
  expect(bed.module.take(ETH2)).toMatchObject({ code: 'ERROR_CAN_NOT_COMPLETE', detail: 'noSuchInterface' });
  (bed.links as FakeLinks).change(link(ETH2, '10.1.0.2'));
  expect((bed.module.take(ETH2) as MgmStatus).message).toContain('igmp is not configured on eth2');
});

test('a take that the manager refuses serves nothing', () => {
  const bed = new Bed({ take: false });
  bed.mgm.answer = { code: 'ERROR_CAN_NOT_COMPLETE', detail: 'noVif' };
  expect(bed.module.take(ETH1)).toMatchObject({ detail: 'noVif' });
  expect(bed.wire.sent).toEqual([]);
  expect(bed.module.interfaces()).toEqual([]);
});

test('a pause that begins before the take is answered is kept', async () => {
  const bed = new Bed({ take: false });
  let answer: (status: MgmStatus) => void = () => undefined;
  bed.mgm.takeInterface = () => new Promise<MgmStatus>((resolve) => (answer = resolve));
  const taken = bed.module.take(ETH1);
  expect(bed.wire.sent).toEqual([]);
  answer({ code: 'NO_ERROR' });
  void disable(bed);
  await taken;
  bed.hear(reportV3(toEx(G)));
  expect(bed.mgm.drain()).toEqual([]);
  void enable(bed);
  bed.clock.advance(0);
  expect(bed.mgm.drain()).toEqual([`add (*,${G})`, 'resyncDone']);
});

test('a membership that the manager refuses is warned about; a missing entry is not', () => {
  const bed = new Bed();
  bed.mgm.answer = { code: 'ERROR_NOT_FOUND', detail: 'noSuchEntry' };
  bed.hear(reportV3(isEx(G, src('a'))));
  expect(bed.log.complaints()).toEqual([]);
  bed.mgm.answer = { code: 'ERROR_CAN_NOT_COMPLETE', detail: 'kernelRefused', message: 'no' };
  for (let n = 0; n < 100; n++) bed.hear(reportV3(toEx(groupNumber(n))));
  expect(bed.log.of('igmp.membership.refused')).toHaveLength(3);
});

test('a daemon that reads only what it subscribed to gets the five IGMP types', () => {
  expect([...new Bed().wire.types].sort((a, b) => a - b)).toEqual([0x11, 0x12, 0x16, 0x17, 0x22]);
});

test('ten thousand groups come and go within one GMI, with one timer and nothing left (IGMP-172)', () => {
  const bed = new Bed();
  joined(bed, 10_000);
  expect(bed.clock.due()).toBe(1);
  bed.goTo(100);
  for (let n = 0; n < 5000; n++) bed.hear(leaveV2(groupNumber(n)), { to: '224.0.0.2' });
  bed.goTo(102);
  expect(bed.module.groups()).toHaveLength(5000);
  bed.goTo(270);
  expect(bed.module.groups()).toHaveLength(0);
  const calls = bed.mgm.drain();
  expect(calls.filter((call) => call.startsWith('add'))).toHaveLength(10_000);
  expect(calls.filter((call) => call.startsWith('delete'))).toHaveLength(10_000);
  expect(bed.clock.due()).toBe(1);
});
