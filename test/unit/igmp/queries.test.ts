/** What the querier sends (igmp.md section 8). */
import { expect, test } from 'vitest';
import {
  allow,
  block,
  isEx,
  isIn,
  leaveV2,
  queryV3,
  reportV1,
  reportV2,
  reportV3,
  toEx,
  toIn,
} from '../../support/packet-builder.js';
import { Bed, ETH1, link, src } from './bed.js';

const G = '239.1.2.3';

test('a query of version 2 that was answered is not repeated: it would lower the timers of other routers again (E1)', () => {
  const bed = new Bed({ config: { version: 2, lastMemberQueryCount: 4 } });
  bed.hear(reportV2(G), { to: G });
  bed.goTo(10);
  bed.hear(leaveV2(G), { to: '224.0.0.2' });
  bed.goTo(11.5);
  bed.hear(reportV2(G), { from: '10.0.0.8', to: G });
  bed.goTo(20);
  expect(bed.asked()).toEqual([`10 Q(${G}) v2`, `11 Q(${G}) v2`]);
  // and what is left the next time is asked about anew
  bed.hear(leaveV2(G), { from: '10.0.0.8', to: '224.0.0.2' });
  bed.goTo(30);
  expect(bed.asked()).toEqual([20, 21, 22, 23].map((at) => `${at} Q(${G}) v2`));
  expect(bed.state(G)).toBe('none');
});

test('the first query goes out at once, SQC-1 more at SQI, then one every QI (IGMP-080)', () => {
  const bed = new Bed({ config: { startupQueryCount: 3 } });
  bed.goTo(400);
  expect(bed.generalQueriesAt()).toEqual([0, 31.25, 62.5, 187.5, 312.5]);
});

test.each([
  [3, 10_000, '1164ec1e00000000027d0000'],
  [2, 10_000, '1164ee9b00000000'],
  [1, 10_000, '1100eeff00000000'],
] as const)('a General Query of version %i (IGMP-081)', (version, queryResponseIntervalMs, bytes) => {
  const bed = new Bed({ config: { version, queryResponseIntervalMs } });
  expect(bed.wire.sent).toMatchObject([{ source: '10.0.0.2', destination: '224.0.0.1', hex: bytes }]);
});

test('a response interval of 30 s is capped at 25.5 s by version 2 and rounded down by version 3 (IGMP-082)', () => {
  const code = (version: 2 | 3) =>
    new Bed({ config: { version, queryResponseIntervalMs: 30_000 } }).wire.sent[0]!.hex.slice(2, 4);
  expect(code(2)).toBe('ff');
  expect(code(3)).toBe('92');
});

test('Q(G) goes out LMQC times, LMQI apart, to the group, with LMQI as code (IGMP-083)', () => {
  const bed = new Bed({ config: { lastMemberQueryCount: 4, lastMemberQueryIntervalMs: 500 } });
  bed.hear(reportV3(toEx(G)));
  bed.wire.sent.length = 0;
  bed.goTo(10);
  bed.hear(reportV3(toIn(G)));
  expect(bed.state(G)).toBe('EXCLUDE({},{}) 2');
  bed.goTo(20);
  expect(bed.wire.sent[0]).toMatchObject({ source: '10.0.0.2', destination: G });
  expect(bed.wire.sent[0]!.hex.slice(0, 4)).toBe('1105');
  expect(bed.asked()).toEqual([`10 Q(${G}) S=0`, `10.5 Q(${G}) S=0`, `11 Q(${G}) S=0`, `11.5 Q(${G}) S=0`]);
  expect(bed.state(G)).toBe('none');
});

test('version 2 asks in 8 bytes (IGMP-083)', () => {
  const bed = new Bed({ config: { version: 2 } });
  bed.hear(reportV2(G), { to: G });
  bed.hear(leaveV2(G), { to: '224.0.0.2' });
  expect(bed.wire.sent.at(-1)!.hex).toBe('110afdf0ef010203');
});

test('sources that were answered for are asked again with S=1, the others with S=0 (IGMP-085)', () => {
  const bed = new Bed();
  bed.hear(reportV3(allow(G, src('a'), src('b'))));
  bed.goTo(10);
  bed.hear(reportV3(block(G, src('a'), src('b'))));
  bed.goTo(10.3);
  bed.hear(reportV3(isIn(G, src('a'))));
  bed.goTo(13);
  expect(bed.asked()).toEqual([`10 Q(${G},{a,b}) S=0`, `11 Q(${G},{a}) S=1`, `11 Q(${G},{b}) S=0`]);
  expect(bed.state(G)).toBe('INCLUDE(a:267.3)');
});

test('a second leave restarts nothing for what is at LMQT already (E1) (IGMP-086, IGMP-091)', () => {
  const bed = new Bed();
  bed.hear(reportV3(allow(G, src('a'), src('b'))));
  bed.goTo(10);
  bed.hear(reportV3(block(G, src('a'))));
  bed.goTo(10.5);
  bed.hear(reportV3(block(G, src('a'), src('b'))));
  expect(bed.state(G)).toBe('INCLUDE(a:1.5,b:2)');
  bed.goTo(13);
  // the new source is asked for at once, and again an LMQI later, whatever the pending one does
  expect(bed.asked()).toEqual([
    `10 Q(${G},{a}) S=0`,
    `10.5 Q(${G},{b}) S=0`,
    `11 Q(${G},{a}) S=0`,
    `11.5 Q(${G},{b}) S=0`,
  ]);
  expect(bed.state(G)).toBe('none');
});

test('a second v2 leave during the cycle changes nothing (IGMP-091)', () => {
  const bed = new Bed();
  bed.hear(reportV2(G), { to: G });
  bed.goTo(10);
  bed.hear(leaveV2(G));
  bed.goTo(11.5);
  bed.hear(leaveV2(G));
  bed.goTo(12);
  expect(bed.state(G)).toBe('none');
  expect(bed.asked()).toEqual([`10 Q(${G}) S=0`, `11 Q(${G}) S=0`]);
});

test('when Q(G) goes out, the S=1 message about its sources is spared (IGMP-087)', () => {
  const bed = new Bed();
  bed.hear(reportV3(toEx(G), allow(G, src('a'), src('b'))));
  bed.goTo(10);
  bed.hear(reportV3(toIn(G)));
  bed.goTo(10.2);
  bed.hear(reportV3(allow(G, src('a'))));
  bed.goTo(12);
  expect(bed.asked()).toEqual([`10 Q(${G}) S=0`, `10 Q(${G},{a,b}) S=0`, `11 Q(${G}) S=0`, `11 Q(${G},{b}) S=0`]);
  expect(bed.state(G)).toBe('INCLUDE(a:268.2)');
});

test('leaves in several records of one report are asked about in one query', () => {
  const bed = new Bed();
  bed.hear(reportV3(allow(G, src('a'), src('b'))));
  bed.asked();
  bed.hear(reportV3(block(G, src('a')), block(G, src('b'))));
  expect(bed.asked()).toEqual([`0 Q(${G},{a,b}) S=0`]);
});

test('400 sources at MTU 1500 are asked about in packets of 366 and 34 (IGMP-018)', () => {
  const bed = new Bed({ config: { maxSourcesPerGroup: 1000 } });
  const sources = Array.from({ length: 400 }, (_, n) => `198.18.${n >> 8}.${n & 255}`);
  const channel = '232.1.2.3';
  bed.hear(reportV3(allow(channel, ...sources.slice(0, 300)), allow(channel, ...sources.slice(300))));
  bed.wire.sent.length = 0;
  bed.hear(reportV3(toIn(channel)));
  expect(bed.wire.sent.map((s) => Number.parseInt(s.hex.slice(20, 24), 16))).toEqual([366, 34]);
});

test('current-state records ask nobody (IGMP-088)', () => {
  const bed = new Bed();
  bed.hear(reportV3(isEx(G, src('a'), src('b'))));
  bed.hear(reportV3(isIn(G, src('c')), isEx(G, src('a')), isEx(G), isIn(G)));
  bed.hear(reportV3(isIn('232.1.2.3', src('a'), src('b')), isIn('232.1.2.3', src('a'))));
  bed.goTo(30);
  expect(bed.asked()).toEqual([]);
});

test('no query follows a group that is gone, or a link that is down (IGMP-089)', () => {
  const bed = new Bed({ config: { lastMemberQueryCount: 7 } });
  bed.hear(reportV3(toEx(G), allow('232.1.1.1', src('a'))));
  bed.hear(reportV3(toIn(G), block('232.1.1.1', src('a'))));
  bed.goTo(2.5);
  expect(bed.asked()).toHaveLength(6);
  bed.links.change(link(ETH1, '10.0.0.2', { running: false }));
  bed.goTo(60);
  expect(bed.asked()).toEqual([]);
});

test.each([
  [100, [0, 0.1]],
  [25_500, [0, 25.5]],
])('an LMQI of %i ms is kept (IGMP-090)', (lastMemberQueryIntervalMs, seconds) => {
  const bed = new Bed({ config: { lastMemberQueryIntervalMs } });
  bed.hear(reportV3(toEx(G)));
  bed.hear(reportV3(toIn(G)));
  bed.goTo(60);
  expect(bed.asked()).toEqual(seconds.map((sec) => `${sec} Q(${G}) S=0`));
});

test('a v1 report ends the questions about its group', () => {
  const bed = new Bed();
  bed.hear(reportV3(toEx(G)));
  bed.hear(reportV3(toIn(G)));
  bed.goTo(0.5);
  bed.hear(reportV1(G), { to: G });
  bed.goTo(5);
  expect(bed.asked()).toEqual([`0 Q(${G}) S=0`]);
  expect(bed.state(G)).toBe('EXCLUDE({},{}) 265.5');
});

test('questions that are pending when the role is lost are asked to the end (IGMP-112)', () => {
  const bed = new Bed();
  bed.hear(reportV3(toEx(G)));
  bed.hear(reportV3(toIn(G)));
  bed.hearQuery(queryV3());
  expect(bed.role()).toBe('non-querier');
  bed.goTo(2);
  expect(bed.asked()).toEqual([`0 Q(${G}) S=0`, `1 Q(${G}) S=0`]);
  expect(bed.state(G)).toBe('none');
});

test('the same leave twice in one tick is asked about once (IGMP-091)', () => {
  const bed = new Bed();
  bed.hear(reportV3(allow(G, src('a'))));
  bed.hear(reportV3(block(G, src('a'))));
  bed.hear(reportV3(block(G, src('a'))));
  bed.goTo(1);
  expect(bed.asked()).toEqual([`0 Q(${G},{a}) S=0`, `1 Q(${G},{a}) S=0`]);
});

test('a source that another router had everybody refuse is asked for no more', () => {
  const bed = new Bed({ config: { lastMemberQueryCount: 7, strictQuerySource: false } });
  bed.hear(reportV3(toEx(G), block(G, src('a'))));
  // given another router's query gives less time than ours
  bed.hearQuery(queryV3({ group: G, code: 15, qrv: 1, sources: [src('a')] }), '10.0.0.7', G);
  bed.goTo(1.5);
  expect(bed.state(G)).toBe('EXCLUDE({},{a}) 268.5');
  bed.asked();
  bed.goTo(10);
  expect(bed.asked()).toEqual([]);
});
