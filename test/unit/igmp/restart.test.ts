/** What a new process gets from the one before: who else is querier on a link (saved-state.ts). */
import { expect, test } from 'vitest';
import { queryV3 } from '../../support/packet-builder.js';
import { Bed, ETH1, link } from './bed.js';

/** Own address 10.0.0.5, so that there is room below. */
const links = [link(ETH1, '10.0.0.5')];
const row = (bed: Bed) => bed.module.interfaces()[0]!;

/** 10.0.0.1 is querier, with variables of its own, and was heard 55 s ago. */
function saved(): unknown {
  const bed = new Bed({ links });
  bed.hearQuery(queryV3({ qrv: 3, qqic: 60 }), '10.0.0.1');
  bed.goTo(55);
  return JSON.parse(JSON.stringify(bed.module.saveState()));
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

test('a querier that would be silent by now is forgotten, and one with a higher address as well', () => {
  expect(row(new Bed({ links, savedState: { state: saved(), ageMs: 600_000 } })).role).toBe('querier');
  const lower = new Bed({ links: [link(ETH1, '10.0.0.0')], savedState: { state: saved(), ageMs: 0 } });
  expect(row(lower).role).toBe('querier');
});

test('a router that is querier itself has nothing to save', () => {
  expect(new Bed({ links }).module.saveState()).toEqual([]);
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
