/** The four worked traces of the specification's igmp.md section 20, timer expiry (7.3), and what routing is told meanwhile. */
import { expect, test } from 'vitest';
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
import { Bed, src } from './bed.js';

const G = '239.1.2.3';

test('trace 1, IGMP-075: a v3 member leaves, two queries, gone two seconds later', () => {
  const bed = new Bed();
  bed.hear(reportV3(toEx(G)));
  expect(bed.state(G)).toBe('EXCLUDE({},{}) 270');
  bed.goTo(10);
  bed.hear(reportV3(toIn(G)));
  expect(bed.state(G)).toBe('EXCLUDE({},{}) 2');
  bed.goTo(11);
  expect(bed.state(G)).toBe('EXCLUDE({},{}) 1');
  // the stream goes on until LMQT is over
  bed.clock.advance(999);
  expect(bed.mgm.drain()).toEqual([`add (*,${G})`]);
  bed.clock.advance(1);
  expect(bed.state(G)).toBe('none');
  expect(bed.mgm.drain()).toEqual([`delete (*,${G})`]);
  expect(bed.asked()).toEqual([`10 Q(${G}) S=0`, `11 Q(${G}) S=0`]);
});

test('trace 2, IGMP-084: a v2 member leaves, another one answers, the second query has S=1', () => {
  const bed = new Bed();
  bed.hear(reportV2(G), { to: G });
  expect(bed.state(G)).toBe('EXCLUDE({},{}) 270');
  expect(bed.module.groups()[0]).toMatchObject({ compatibility: 'v2', v2HostForMs: 260_000 });
  bed.goTo(10);
  bed.hear(leaveV2(G), { to: '224.0.0.2' });
  expect(bed.state(G)).toBe('EXCLUDE({},{}) 2');
  bed.goTo(10.4);
  bed.hear(reportV2(G), { to: G, from: '10.0.0.8' });
  expect(bed.state(G)).toBe('EXCLUDE({},{}) 270');
  bed.goTo(12);
  expect(bed.asked()).toEqual([`10 Q(${G}) S=0`, `11 Q(${G}) S=1`]);
  expect(bed.mgm.drain()).toEqual([`add (*,${G})`]);
});

test('trace 3, IGMP-072: sources asked for, a mode flip, and INCLUDE again when the group timer runs out', () => {
  const bed = new Bed();
  bed.hear(reportV3(allow(G, src('a'), src('b'))));
  bed.goTo(5);
  bed.hear(reportV3(block(G, src('a'), src('c'))));
  expect(bed.state(G)).toBe('INCLUDE(a:2,b:265)');
  bed.goTo(6);
  expect(bed.state(G)).toBe('INCLUDE(a:1,b:264)');
  bed.goTo(7);
  expect(bed.state(G)).toBe('INCLUDE(b:263)');
  bed.goTo(8);
  bed.hear(reportV3(toEx(G, src('b'), src('d'))));
  expect(bed.state(G)).toBe('EXCLUDE({b:2},{d}) 270');
  bed.goTo(8.5);
  bed.hear(reportV3(isIn(G, src('b'))));
  bed.goTo(9);
  expect(bed.asked()).toEqual([`5 Q(${G},{a}) S=0`, `6 Q(${G},{a}) S=0`, `8 Q(${G},{b}) S=0`, `9 Q(${G},{b}) S=1`]);
  expect(bed.mgm.drain()).toEqual([
    `add (a,${G})`,
    `add (b,${G})`,
    `delete (a,${G})`,
    `refuse (d,${G})`,
    `add (*,${G})`,
    `delete (b,${G})`,
  ]);
  // the group timer runs out while b is wanted; b is added before the rest goes
  bed.goTo(278);
  expect(bed.state(G)).toBe('INCLUDE(b:0.5)');
  expect(bed.mgm.drain()).toEqual([`add (b,${G})`, `delete (*,${G})`]);
  bed.goTo(278.5);
  expect(bed.state(G)).toBe('none');
  expect(bed.mgm.drain()).toEqual([`delete (b,${G})`]);
});

test('trace 4: two hosts refuse different sources, a third source is blocked and runs out', () => {
  const bed = new Bed();
  bed.hear(reportV3(isEx(G, src('a'), src('b'))));
  expect(bed.state(G)).toBe('EXCLUDE({},{a,b}) 270');
  bed.goTo(1);
  bed.hear(reportV3(isEx(G, src('b'), src('c'))), { from: '10.0.0.8' });
  expect(bed.state(G)).toBe('EXCLUDE({c:270},{b}) 270');
  bed.goTo(2);
  bed.hear(reportV3(block(G, src('d'))));
  expect(bed.state(G)).toBe('EXCLUDE({c:269,d:2},{b}) 269');
  bed.goTo(4);
  expect(bed.state(G)).toBe('EXCLUDE({c:267},{b,d}) 267');
  expect(bed.asked()).toEqual([`2 Q(${G},{d}) S=0`, `3 Q(${G},{d}) S=0`]);
});

test('an INCLUDE source ends after GMI, the last one ends the group (IGMP-070)', () => {
  const bed = new Bed();
  bed.hear(reportV3(isIn(G, src('a'), src('b'))));
  bed.goTo(100);
  bed.hear(reportV3(isIn(G, src('b'))));
  bed.goTo(269.999);
  expect(bed.state(G)).toBe('INCLUDE(a:0.001,b:100.001)');
  bed.goTo(270);
  expect(bed.state(G)).toBe('INCLUDE(b:100)');
  bed.goTo(370);
  expect(bed.state(G)).toBe('none');
  expect(bed.mgm.drain()).toEqual([`add (a,${G})`, `add (b,${G})`, `delete (a,${G})`, `delete (b,${G})`]);
});

test('an EXCLUDE source whose timer runs out is refused from then on (IGMP-071)', () => {
  const bed = new Bed();
  bed.hear(reportV3(toEx(G), isIn(G, src('a'))));
  bed.goTo(100);
  bed.hear(reportV3(isEx(G, src('a'))));
  bed.goTo(270);
  expect(bed.state(G)).toBe('EXCLUDE({},{a}) 100');
  expect(bed.mgm.drain()).toEqual([`add (*,${G})`, `refuse (a,${G})`]);
});

test('a group nobody reports ends after GMI (IGMP-073)', () => {
  const bed = new Bed();
  bed.hear(reportV3(isEx(G, src('a'))));
  bed.goTo(269.999);
  expect(bed.state(G)).toBe('EXCLUDE({},{a}) 0.001');
  bed.goTo(270);
  expect(bed.state(G)).toBe('none');
  expect(bed.mgm.drain()).toEqual([`refuse (a,${G})`, `add (*,${G})`, `delete (*,${G})`]);
});

test('GMI is RV*QI+2*QRI and follows adopted variables for timers set from then on (IGMP-074)', () => {
  const bed = new Bed();
  bed.hear(reportV3(toEx(G)));
  // given a querier with RV 3 and QI 60 s
  bed.goTo(10);
  bed.hearQuery(queryV3({ qrv: 3, qqic: 60 }));
  expect(bed.state(G)).toBe('EXCLUDE({},{}) 260');
  // when
  bed.hear(reportV3(isEx('239.9.9.9')));
  // then 3*60+2*10
  expect(bed.state('239.9.9.9')).toBe('EXCLUDE({},{}) 200');
});

test('a group that is reported after every query is told to routing once', () => {
  const bed = new Bed();
  for (let sec = 0; sec < 7200; sec += 125) {
    bed.goTo(sec);
    bed.hear(reportV3(isEx(G)));
  }
  expect(bed.state(G)).toBe('EXCLUDE({},{}) 270');
  expect(bed.mgm.drain()).toEqual([`add (*,${G})`]);
});
