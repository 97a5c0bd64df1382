/** What a new process gets from the one before: who else is querier on a link (saved-state.ts). */
import { expect, test } from 'vitest';
import { ip } from '../../../src/base/ip.js';
import { packState } from '../../../src/igmp/saved-state.js';
import { queryV3, reportV2, reportV3 } from '../../support/packet-builder.js';
import { Bed, type BedOptions, ETH1, link, prefix, src } from './bed.js';

/** Own address 10.0.0.5, so that there is room below. */
const links = [link(ETH1, '10.0.0.5')];
const row = (bed: Bed) => bed.module.interfaces()[0]!;

/** 10.0.0.1 is querier, with variables of its own, and was heard 55 s ago. */
function saved(): unknown {
  const bed = new Bed({ links });
  bed.hearQuery(queryV3({ qrv: 3, qqic: 60 }), '10.0.0.1');
  bed.goTo(55);
  return JSON.parse(JSON.stringify(bed.module.saveState(false)));
}

test('hosts are asked once at the start, and the other querier stays what it was, as long as it would have been', () => {
  const before = new Bed({ links });
  before.hearQuery(queryV3({ qrv: 3, qqic: 60 }), '10.0.0.1');
  const expiresMs = row(before).otherQuerierExpiresInMs!;
  const bed = new Bed({ links, savedState: { state: saved(), ageMs: 5_000 } });
  expect(bed.generalQueriesAt()).toEqual([0]);
  expect(row(bed)).toMatchObject({
    role: 'non-querier',
    querier: '10.0.0.1',
    robustness: 3,
    otherQuerierExpiresInMs: expiresMs - 60_000,
  });
  // its silence gives the role back
  bed.goTo((expiresMs - 60_000) / 1000 + 1);
  expect(row(bed).role).toBe('querier');
});

test('all routers that keep this one silent are saved, each with its own time (E2)', () => {
  const before = new Bed({ links });
  before.hearQuery(queryV3({ qqic: 60 }), '10.0.0.1');
  before.goTo(100);
  before.hearQuery(queryV3(), '10.0.0.3');
  const state: unknown = JSON.parse(JSON.stringify(before.module.saveState(false)));
  const bed = new Bed({ links, savedState: { state, ageMs: 5000 } });
  expect(row(bed)).toMatchObject({ querier: '10.0.0.1', otherQuerierExpiresInMs: 125_000 });
  bed.goTo(20);
  expect(row(bed)).toMatchObject({ role: 'non-querier', querier: '10.0.0.3' });
  bed.goTo(124.9);
  expect(row(bed).role).toBe('non-querier');
  bed.goTo(125);
  expect(row(bed).role).toBe('querier');
});

test('what a state says of a querier and of groups is bounded like what is heard (E4)', () => {
  const other = {
    interface: 'eth1',
    address: '10.0.0.1',
    version: 3,
    robustness: 99,
    queryIntervalMs: 1e12,
    expiresInMs: 1e15,
  };
  const group = [0xef010101, 1, 1e15, 1e15, 1e15, 0, 0, 0xc0000201, 1e15, 0];
  const one = { interface: 'eth1', version: 3, startupLeft: 99, queryDueInMs: 1e15, knownInMs: 1e15, groups: [group] };
  const bed = new Bed({ links, savedState: { state: { queriers: [other], interfaces: [one] }, ageMs: 0 } });
  expect(row(bed)).toMatchObject({ robustness: 7, queryIntervalMs: 363_571 });
  expect(row(bed).otherQuerierExpiresInMs).toBeLessThanOrEqual(2_550_000);
  expect(bed.state(G)).toBe('EXCLUDE({a:2570},{}) 2570');
  bed.goTo(50);
  expect(bed.module.hasSaidAll()).toBe(true);
  bed.goTo(2571);
  expect(bed.state(G)).toBe('none');
});

test('a reload does not make the times of a bounded querier longer, nor warn again (E4)', () => {
  const before = new Bed({ links });
  before.hearQuery(queryV3({ qrv: 7, qqic: 255 }), '10.0.0.1');
  const state: unknown = JSON.parse(JSON.stringify(before.module.saveState(true)));
  const bed = new Bed({ links, savedState: { state, ageMs: 1000 } });
  expect(row(bed)).toMatchObject({ robustness: 7, queryIntervalMs: 363_571 });
  expect(row(bed).otherQuerierExpiresInMs).toBe(row(before).otherQuerierExpiresInMs! - 1000);
  expect(bed.log.of('igmp.querier.bounded')).toEqual([]);
});

test('a querier that would be silent by now is forgotten, and one with a higher address as well', () => {
  expect(row(new Bed({ links, savedState: { state: saved(), ageMs: 600_000 } })).role).toBe('querier');
  const lower = new Bed({ links: [link(ETH1, '10.0.0.0')], savedState: { state: saved(), ageMs: 0 } });
  expect(row(lower).role).toBe('querier');
});

test('a router that is querier itself has nothing to save', () => {
  expect(new Bed({ links }).module.saveState(false)).toEqual({ queriers: [], interfaces: [] });
});

test.each([
  ['no list', {}],
  ['nothing', null],
  ['entries that are no objects', [1, null, 'x']],
  [
    'an address that is none',
    [{ interface: 'eth1', address: '10.0.0', version: 3, robustness: 2, queryIntervalMs: 1, expiresInMs: 9 }],
  ],
  [
    'an address that no router has',
    [{ interface: 'eth1', address: '0.0.0.0', version: 3, robustness: 2, queryIntervalMs: 1, expiresInMs: 9 }],
  ],
  [
    'a version that is none',
    [{ interface: 'eth1', address: '10.0.0.1', version: 4, robustness: 2, queryIntervalMs: 1, expiresInMs: 9 }],
  ],
  [
    'times that are none',
    [{ interface: 'eth1', address: '10.0.0.1', version: 3, robustness: 2, queryIntervalMs: -1, expiresInMs: 'soon' }],
  ],
])('a state with %s changes nothing', (_what, state) => {
  const bed = new Bed({ links, savedState: { state, ageMs: 0 } });
  expect(row(bed).role).toBe('querier');
});

/** The next process, so many milliseconds after `bed` ended. */
function after(bed: Bed, ageMs: number, options: BedOptions = {}): Bed {
  const state: unknown = JSON.parse(JSON.stringify(bed.module.saveState(true)));
  return new Bed({ ...options, savedState: { state, ageMs } });
}

const [A, B] = [src('a'), src('b')];
const G = '239.1.1.1';
const S = '239.1.1.2';

/** What the next process tells the manager at its start. */
function told(bed: Bed): readonly string[] {
  void bed.module.take(ETH1);
  return bed.mgm.drain().filter((call) => call !== 'take');
}

function withGroups(): Bed {
  const bed = new Bed();
  bed.goTo(100);
  bed.hear(reportV3({ type: 4, group: G, sources: [B] }, { type: 5, group: S, sources: [A, B] }));
  bed.hear(reportV2('239.1.1.3'), { to: '239.1.1.3' });
  return bed;
}

test('who follows at once knows all groups, their modes, sources and what is left of their time, and asks nobody (D3)', () => {
  const before = withGroups();
  before.goTo(150);
  const bed = after(before, 1000, { take: false });
  expect(told(bed)).toEqual([`refuse (b,${G})`, `add (*,${G})`, `add (a,${S})`, `add (b,${S})`, 'add (*,239.1.1.3)']);
  expect(bed.generalQueriesAt()).toEqual([]);
  expect(bed.module.hasSaidAll()).toBe(true);
  const shown = (one: Bed) => one.module.groups().map(({ group, expiresInMs }) => [group, expiresInMs]);
  const left = shown(before).map(([group, ms]) => [group, typeof ms === 'number' ? ms - 1000 : ms]);
  expect(shown(bed)).toEqual(left);
  // the regular query comes when it would have come, and the groups end when they would have
  bed.goTo(15);
  expect(bed.generalQueriesAt()).toEqual([5.25]);
  bed.goTo(221);
  expect(bed.module.groups()).toEqual([]);
});

test.each([
  [
    'groupFilter',
    { groupFilter: [{ action: 'deny', prefix: prefix('239.1.1.1/32') }] },
    [`add (a,${S})`, `add (b,${S})`, 'add (*,239.1.1.3)'],
  ],
  ['boundary', { boundary: [prefix('239.1.1.2/31')] }, [`refuse (b,${G})`, `add (*,${G})`]],
  ['ssmRanges', { ssmRanges: [prefix('239.1.0.0/16')] }, [`add (a,${S})`, `add (b,${S})`]],
  [
    'sourceFilter',
    { sourceFilter: [{ action: 'deny', prefix: prefix(`${A}/32`) }] },
    [`refuse (b,${G})`, `add (*,${G})`, `add (b,${S})`, 'add (*,239.1.1.3)'],
  ],
  ['maxGroups', { maxGroups: 1 }, [`refuse (b,${G})`, `add (*,${G})`]],
] as const)('of what it knows, what %s forbids today is left out (D1)', (_key, config, calls) => {
  expect(told(after(withGroups(), 300, { config, take: false }))).toEqual(calls);
});

test('where another version is configured hosts are asked in it, whatever was known (D3)', () => {
  const bed = after(withGroups(), 300, { config: { version: 2 } });
  expect(bed.module.groups()).toEqual([]);
  expect(bed.generalQueriesAt()).toEqual([0]);
});

test('who follows later asks, knows nobody, and says that hosts may still want what they may ask for (D3)', () => {
  const config = { groupFilter: [{ action: 'deny', prefix: prefix('239.1.1.2/32') }] } as const;
  const bed = after(withGroups(), 3500, { config });
  expect(bed.module.groups()).toEqual([]);
  expect(bed.generalQueriesAt()).toEqual([0]);
  expect(bed.module.hasSaidAll()).toBe(false);
  const may = (group: string) => bed.mgm.callbacks.mayStillWant?.({ source: ip(A), group: ip(group) }, ETH1);
  expect([may(G), may(S)]).toEqual([true, false]);
  bed.goTo(31.25 + 11);
  expect(may(G)).toBe(false);
});

test('in a version without sources nobody may still want a source-specific group (D1)', () => {
  const bed = after(withGroups(), 300, { config: { version: 2, ssmRanges: [prefix('239.1.1.2/32')] } });
  const may = (group: string) => bed.mgm.callbacks.mayStillWant?.({ source: ip(A), group: ip(group) }, ETH1);
  expect([may(G), may(S)]).toEqual([true, false]);
});

test('a host that was not heard is no reason to go on where the process before had none for it (D1)', () => {
  const before = new Bed();
  before.goTo(5);
  const may = (predecessorKnewAll: boolean, config: BedOptions['config'] = {}) => {
    const bed = after(before, 300, { predecessorKnewAll, config });
    return [bed.mgm.callbacks.mayStillWant?.({ source: ip(A), group: ip(G) }, ETH1), bed.module.hasSaidAll()];
  };
  expect(may(false)).toEqual([true, false]);
  expect(may(true)).toEqual([false, true]);
  // hosts are asked anew
  expect(may(true, { version: 2 })).toEqual([true, false]);
});

test('a reload between the startup queries sends the second one when it was due, once (D3)', () => {
  const before = new Bed();
  before.goTo(20);
  const middle = after(before, 1000);
  middle.goTo(5);
  const bed = after(middle, 1000);
  bed.goTo(20);
  expect([...middle.generalQueriesAt(), ...bed.generalQueriesAt()]).toEqual([4.25]);
  expect(bed.module.hasSaidAll()).toBe(true);
});

test.each([
  ['a group that is no row', [[1]]],
  ['a row with text', [[1, 1, 'x', 0, 0, 0, 0]]],
  ['half a source', [[1, 1, 1, 0, 0, 0, 0, 5]]],
  ['a negative time', [[1, 1, -5, 0, 0, 0, 0]]],
])('a state with %s is a start without it (D3)', (_what, groups) => {
  const one = { interface: 'eth1', version: 3, startupLeft: 0, queryDueInMs: 5, knownInMs: 0, groups };
  const bed = new Bed({ savedState: { state: { queriers: [], interfaces: [one] }, ageMs: 0 } });
  expect(bed.generalQueriesAt()).toEqual([0]);
});

test('ten thousand groups are told in slices, and the take is answered when all of them are (D3)', async () => {
  const before = new Bed();
  before.goTo(100);
  for (let n = 0; n < 100; n++) {
    const records = Array.from({ length: 100 }, (_, m) => ({ type: 4, group: `239.2.${n}.${m}` }));
    before.hear(reportV3(...records));
  }
  const bed = after(before, 500, { take: false });
  let answered = false;
  void Promise.resolve(bed.module.take(ETH1)).then(() => (answered = true));
  // what the turn of the take says, and what later ones say
  expect(bed.mgm.drain().length).toBeLessThanOrEqual(1100);
  expect(answered).toBe(false);
  await bed.clock.run(0);
  expect(answered).toBe(true);
  expect(bed.module.groups()).toHaveLength(10_000);
  expect(bed.mgm.drain().length).toBeGreaterThan(8900);
});

test('what is handed over is bounded: an interface with too much of it is asked again (D3)', () => {
  const row = Array.from({ length: 600_000 }, () => 1);
  const one = { version: 3, startupLeft: 0, queryDueInMs: 1, knownInMs: 0, groups: [row] };
  const names = new Map(['eth0', 'eth1', 'eth2'].map((name, n) => [name, n === 2 ? { ...one, groups: [] } : one]));
  const packed = packState(new Map(), names) as { interfaces: readonly { interface: string }[] };
  expect(packed.interfaces.map((kept) => kept.interface)).toEqual(['eth0', 'eth2']);
});

test('groups count for the hosts they counted for, so that limits refuse nothing that was there (D3)', () => {
  const config = { maxGroups: 256 };
  const before = new Bed({ config });
  before.goTo(100);
  const groups = Array.from({ length: 250 }, (_, n) => `239.3.0.${n}`);
  // each from a host of its own, then all from one that came last
  for (const [n, group] of groups.entries())
    before.hear(reportV3({ type: 4, group }), { from: `10.0.0.${1 + (n % 200)}` });
  before.hear(reportV3(...groups.map((group) => ({ type: 2, group }))), { from: '10.0.0.222' });
  const known = before.module.groups().length;
  const bed = after(before, 300, { config });
  expect(bed.module.groups()).toHaveLength(known);
  expect(known).toBeGreaterThan(240);
});
