/** Tables 7.1 and 7.2 of the specification, row by row, through the whole module. */
import { expect, test } from 'vitest';
import {
  allow,
  block,
  type BuiltRecord,
  isEx,
  isIn,
  queryV3,
  reportV3,
  toEx,
  toIn,
} from '../../support/packet-builder.js';
import { Bed, src } from './bed.js';

const G = '239.1.2.3';
type RecordOf = (group: string, ...sources: string[]) => BuiltRecord;

interface Case {
  readonly id: string;
  readonly row: string;
  readonly given: 'INCLUDE(a,b)' | 'EXCLUDE({a,b},{c,d})';
  readonly record: RecordOf;
  readonly sources: string;
  readonly state: string;
  readonly asked?: readonly string[];
  readonly calls?: readonly string[];
  /** As non-querier: asked-for timers are not lowered. */
  readonly otherwise?: string;
}

/** Every state is made at second 0, every record comes at second 10: old timers have 260 s left, GMI is 270 s, LMQT 2 s. */
const CASES: readonly Case[] = [
  {
    id: 'IGMP-050',
    row: 'INCLUDE(A) IS_IN(B): INCLUDE(A+B), timers of B at GMI',
    given: 'INCLUDE(a,b)',
    record: isIn,
    sources: 'bc',
    state: 'INCLUDE(a:260,b:270,c:270)',
    calls: [`add (c,${G})`],
  },
  {
    id: 'IGMP-051',
    row: 'INCLUDE(A) IS_EX(B): EXCLUDE(A*B,B-A), A-B deleted, group timer at GMI',
    given: 'INCLUDE(a,b)',
    record: isEx,
    sources: 'bc',
    state: 'EXCLUDE({b:260},{c}) 270',
    calls: [`refuse (c,${G})`, `add (*,${G})`, `delete (a,${G})`, `delete (b,${G})`],
  },
  {
    id: 'IGMP-052',
    row: 'EXCLUDE(X,Y) IS_IN(A): EXCLUDE(X+A,Y-A), timers of A at GMI',
    given: 'EXCLUDE({a,b},{c,d})',
    record: isIn,
    sources: 'bce',
    state: 'EXCLUDE({a:260,b:270,c:270,e:270},{d}) 260',
    calls: [`allow (c,${G})`],
  },
  {
    id: 'IGMP-053',
    row: 'EXCLUDE(X,Y) IS_EX(A): EXCLUDE(A-Y,Y*A), new ones at GMI, X-A and Y-A deleted, group timer at GMI',
    given: 'EXCLUDE({a,b},{c,d})',
    record: isEx,
    sources: 'bce',
    state: 'EXCLUDE({b:260,e:270},{c}) 270',
    calls: [`allow (d,${G})`],
  },
  {
    id: 'IGMP-054',
    row: 'INCLUDE(A) ALLOW(B): INCLUDE(A+B), timers of B at GMI',
    given: 'INCLUDE(a,b)',
    record: allow,
    sources: 'bc',
    state: 'INCLUDE(a:260,b:270,c:270)',
    calls: [`add (c,${G})`],
  },
  {
    id: 'IGMP-055',
    row: 'INCLUDE(A) BLOCK(B): INCLUDE(A), Q(G,A*B)',
    given: 'INCLUDE(a,b)',
    record: block,
    sources: 'bc',
    state: 'INCLUDE(a:260,b:2)',
    asked: [`10 Q(${G},{b}) S=0`],
    otherwise: 'INCLUDE(a:260,b:260)',
  },
  {
    id: 'IGMP-056',
    row: 'INCLUDE(A) TO_EX(B): EXCLUDE(A*B,B-A), A-B deleted, Q(G,A*B), group timer at GMI',
    given: 'INCLUDE(a,b)',
    record: toEx,
    sources: 'bc',
    state: 'EXCLUDE({b:2},{c}) 270',
    asked: [`10 Q(${G},{b}) S=0`],
    calls: [`refuse (c,${G})`, `add (*,${G})`, `delete (a,${G})`, `delete (b,${G})`],
    otherwise: 'EXCLUDE({b:260},{c}) 270',
  },
  {
    id: 'IGMP-057',
    row: 'INCLUDE(A) TO_IN(B): INCLUDE(A+B), timers of B at GMI, Q(G,A-B)',
    given: 'INCLUDE(a,b)',
    record: toIn,
    sources: 'bc',
    state: 'INCLUDE(a:2,b:270,c:270)',
    asked: [`10 Q(${G},{a}) S=0`],
    calls: [`add (c,${G})`],
    otherwise: 'INCLUDE(a:260,b:270,c:270)',
  },
  {
    id: 'IGMP-058',
    row: 'EXCLUDE(X,Y) ALLOW(A): EXCLUDE(X+A,Y-A), timers of A at GMI',
    given: 'EXCLUDE({a,b},{c,d})',
    record: allow,
    sources: 'bce',
    state: 'EXCLUDE({a:260,b:270,c:270,e:270},{d}) 260',
    calls: [`allow (c,${G})`],
  },
  {
    id: 'IGMP-059',
    row: 'EXCLUDE(X,Y) BLOCK(A): EXCLUDE(X+(A-Y),Y), new ones get the group timer, Q(G,A-Y)',
    given: 'EXCLUDE({a,b},{c,d})',
    record: block,
    sources: 'bce',
    state: 'EXCLUDE({a:260,b:2,e:2},{c,d}) 260',
    asked: [`10 Q(${G},{b,e}) S=0`],
    otherwise: 'EXCLUDE({a:260,b:260,e:260},{c,d}) 260',
  },
  {
    id: 'IGMP-060',
    row: 'EXCLUDE(X,Y) TO_EX(A): EXCLUDE(A-Y,Y*A), the rest deleted, Q(G,A-Y), group timer at GMI',
    given: 'EXCLUDE({a,b},{c,d})',
    record: toEx,
    sources: 'bce',
    state: 'EXCLUDE({b:2,e:2},{c}) 270',
    asked: [`10 Q(${G},{b,e}) S=0`],
    calls: [`allow (d,${G})`],
    otherwise: 'EXCLUDE({b:260,e:260},{c}) 270',
  },
  {
    id: 'IGMP-061',
    row: 'EXCLUDE(X,Y) TO_IN(A): EXCLUDE(X+A,Y-A), timers of A at GMI, Q(G,X-A) and Q(G)',
    given: 'EXCLUDE({a,b},{c,d})',
    record: toIn,
    sources: 'bce',
    state: 'EXCLUDE({a:2,b:270,c:270,e:270},{d}) 2',
    asked: [`10 Q(${G}) S=0`, `10 Q(${G},{a}) S=0`],
    calls: [`allow (c,${G})`],
    otherwise: 'EXCLUDE({a:260,b:270,c:270,e:270},{d}) 260',
  },
];

function given(state: Case['given']): Bed {
  const bed = new Bed();
  if (state === 'INCLUDE(a,b)') bed.hear(reportV3(allow(G, src('a'), src('b'))));
  else bed.hear(reportV3(isEx(G, src('c'), src('d')), isIn(G, src('a'), src('b'))));
  bed.goTo(10);
  bed.mgm.drain();
  bed.asked();
  return bed;
}

const recordOf = ({ record, sources }: Case) => reportV3(record(G, ...[...sources].map(src)));

test.each(CASES)('$id $row', (row) => {
  // given the state of the row, ten seconds old
  const bed = given(row.given);
  // when the record comes
  bed.hear(recordOf(row));
  // then state and timers, queries and calls are those of the table
  expect(bed.state(G)).toBe(row.state);
  expect(bed.asked()).toEqual(row.asked ?? []);
  expect(bed.mgm.drain()).toEqual(row.calls ?? []);
});

test.each(CASES.slice(4))('a non-querier makes the same of $id, asks nothing and lowers no timer (IGMP-062)', (row) => {
  const bed = given(row.given);
  // given another router is querier
  bed.hearQuery(queryV3());
  expect(bed.role()).toBe('non-querier');
  bed.hear(recordOf(row));
  expect(bed.state(G)).toBe(row.otherwise ?? row.state);
  expect(bed.asked()).toEqual([]);
  expect(bed.mgm.drain()).toEqual(row.calls ?? []);
});

test('the records of one report count in their order (IGMP-064)', () => {
  const bed = new Bed();
  bed.hear(reportV3(allow(G, src('a')), isEx(G, src('b')), isIn(G, src('b'))));
  expect(bed.state(G)).toBe('EXCLUDE({b:270},{}) 270');
});

test.each([
  ['ALLOW{}', allow(G)],
  ['BLOCK{}', block(G)],
  ['IS_IN{}', isIn(G)],
  ['TO_IN{}', toIn(G)],
  ['BLOCK{a}', block(G, src('a'))],
])('%s for an absent group creates nothing (IGMP-065)', (_, record) => {
  const bed = new Bed();
  bed.hear(reportV3(record));
  expect(bed.state(G)).toBe('none');
  expect(bed.mgm.drain()).toEqual([]);
});

test('sources that TO_EX brings get the group timer as it was, before it is set anew (IGMP-066)', () => {
  // given a non-querier, so that Q(G,A-Y) does not lower them at once, and a group timer with 170 s left
  const bed = new Bed();
  bed.hear(reportV3(toEx(G)));
  bed.goTo(100);
  bed.hearQuery(queryV3());
  // when
  bed.hear(reportV3(toEx(G, src('e'))));
  // then
  expect(bed.state(G)).toBe('EXCLUDE({e:170},{}) 270');
});

test('a source listed twice counts once (IGMP-067)', () => {
  const bed = new Bed({ config: { maxSourcesPerGroup: 2 } });
  bed.hear(reportV3(allow(G, src('a'), src('a'), src('b'))));
  expect(bed.state(G)).toBe('INCLUDE(a:270,b:270)');
  expect(bed.dropped('sourceLimit')).toBe(0);
  // in the row where a source changes its class on the way: refused once, not refused and then asked for
  bed.hear(reportV3(toEx('239.9.9.9', src('c'), src('c'))));
  expect(bed.state('239.9.9.9')).toBe('EXCLUDE({},{c}) 270');
  expect(bed.mgm.drain().filter((call) => call.startsWith('refuse'))).toEqual(['refuse (c,239.9.9.9)']);
});
