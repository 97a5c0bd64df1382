/** Neighbours of one interface: the table of dvmrp.md section 5.1, versions, limits, Probes, loss in six steps. */
import { describe, expect, test } from 'vitest';
import { ip } from '../../../src/base/ip.js';
import { decodeHeader } from '../../../src/dvmrp/wire/header.js';
import { NEIGHBOR } from '../../../src/dvmrp/neighbors/neighbor-fsm.js';
import { nextGenerationId } from '../../../src/dvmrp/neighbors/neighbors.js';
import { decodeProbe } from '../../../src/dvmrp/wire/probe.js';
import * as built from '../../support/dvmrp-builder.js';
import { Bed, LOSS, N, OWN, twoWay } from './neighbors-bed.js';

test('every state of the table but none can be left by time and by the end of the interface', () => {
  for (const [state, row] of Object.entries(NEIGHBOR)) {
    if (state === 'none') continue;
    expect(row.timer?.next).toBe('none');
    expect(row.stop?.next).toBe('none');
  }
});

test('every arrow of the table between counting and not counting says so, and no other does', () => {
  const counts = (state: string) => state === 'two-way' || state === 'compat';
  for (const [state, row] of Object.entries(NEIGHBOR))
    for (const step of Object.values(row)) {
      expect(step.effects.includes('go-up')).toBe(!counts(state) && counts(step.next));
      expect(step.effects.includes('go-down')).toBe(counts(state) && !counts(step.next));
      expect(step.effects.includes('delete')).toBe(step.next === 'none');
      expect(step.effects.includes('start-timer')).toBe(step.next !== 'none');
    }
});

test('a Probe goes out at interface up and every 10 s (DVMRP-020)', () => {
  const bed = new Bed();
  expect(bed.heard()).toEqual(['probe []']);
  bed.advance(9999);
  expect(bed.heard()).toEqual([]);
  bed.advance(1);
  expect(bed.heard()).toEqual(['probe []']);
  bed.advance(50_000);
  expect(bed.heard()).toHaveLength(5);
});

test('after a long sleep one Probe goes out, not a burst (DVMRP-020)', () => {
  const bed = new Bed();
  bed.heard();
  bed.neighbors.timeout(95_000);
  expect(bed.heard()).toEqual(['probe []']);
  expect(bed.neighbors.probeDueMs).toBe(105_000);
});

test('a Probe lists every neighbour heard, the one-way ones too, but nobody who is refused (DVMRP-021)', () => {
  const bed = new Bed();
  bed.probe([], { from: '10.9.0.2' });
  bed.probe([OWN], { from: '10.9.0.3' });
  bed.probe([OWN], { from: '10.9.0.4', version: '3.4' });
  expect(bed.listed()).toEqual(['10.9.0.2', '10.9.0.3']);
});

test('a neighbour that does not list us is one-way: no table goes to it, none of its Reports counts (DVMRP-022)', () => {
  // when somebody is heard for the first time
  const bed = new Bed();
  bed.heard();
  bed.probe([]);
  // then it is one-way and hears from us at once that we hear it
  expect(bed.state()).toBe('one-way');
  expect(bed.heard()).toEqual([`probe [${N}]`]);
  // and its Reports, Prunes and Grafts do not count
  expect(bed.report()).toBe(false);
  expect(bed.heard()).toEqual([`dropped unknownNeighbor ${N}`]);
  expect(bed.neighbors.upNeighbor(ip(N))).toBeUndefined();
  expect(bed.neighbors.isLeaf).toBe(true);
});

test('a neighbour that lists us is two-way and gets the full table, once (DVMRP-023)', () => {
  const bed = new Bed();
  bed.probe([]);
  bed.heard();
  bed.probe(['10.9.0.7', OWN]);
  expect(bed.state()).toBe('two-way');
  expect(bed.heard()).toEqual([`up ${N}`, 'not a leaf', `table to ${N}`]);
  bed.probe([OWN]);
  expect(bed.heard()).toEqual([]);
  expect(bed.neighbors.upNeighbor(ip(N))?.address).toBe(ip(N));
  expect(bed.neighbors.isLeaf).toBe(false);
});

test('a neighbour that lists us in its first Probe is two-way at once (DVMRP-023)', () => {
  const bed = new Bed();
  bed.heard();
  bed.probe([OWN]);
  expect(bed.heard()).toEqual([`probe [${N}]`, `up ${N}`, 'not a leaf', `table to ${N}`]);
});

test.each([
  ['a Probe', (bed: Bed) => bed.probe([OWN])],
  ['a Report', (bed: Bed) => void bed.report()],
])('a neighbour is lost after 35 s of silence; %s starts them again (DVMRP-024)', (_what, refresh) => {
  // given a neighbour that is heard again after 20 s
  const bed = twoWay();
  bed.advance(20_000);
  refresh(bed);
  // when it is silent from then on
  bed.advance(34_999);
  expect(bed.state()).toBe('two-way');
  bed.heard();
  bed.advance(1);
  // then it is lost
  expect(bed.state()).toBe('none');
  expect(bed.heard()).toEqual(LOSS);
  expect(bed.neighbors.nextDeadlineMs).toBe(bed.neighbors.probeDueMs);
});

test('a one-way neighbour is lost too, and nothing depends on that (DVMRP-024)', () => {
  const bed = new Bed();
  bed.probe([]);
  bed.heard();
  bed.advance(35_000);
  expect(bed.state()).toBe('none');
  expect(bed.heard()).toEqual(['probe [10.9.0.2]', 'probe [10.9.0.2]', 'probe [10.9.0.2]']);
});

test('a Report of a stranger or of a one-way neighbour refreshes nothing (DVMRP-024)', () => {
  const bed = new Bed();
  bed.probe([]);
  bed.advance(30_000);
  bed.report();
  bed.advance(5000);
  expect(bed.state()).toBe('none');
});

test('a neighbour that does not list us any more is one-way again, with all of the loss but the deletion (DVMRP-025)', () => {
  const bed = twoWay();
  bed.probe(['10.9.0.7']);
  expect(bed.state()).toBe('one-way');
  expect(bed.heard()).toEqual([`probe [${N}]`, ...LOSS]);
  expect(bed.listed()).toEqual([N]);
});

test.each([8, 6, 0xffff_ffff])(
  'a new generation id, %i after 7, is a restart: prunes are void, the table is sent (DVMRP-026)',
  (generationId) => {
    const bed = twoWay();
    bed.probe([OWN], { generationId });
    expect(bed.state()).toBe('two-way');
    expect(bed.heard()).toEqual([`probe [${N}]`, `restarted ${N}`, `table to ${N}`]);
    bed.probe([OWN], { generationId });
    expect(bed.heard()).toEqual([]);
  },
);

test('restarts of one neighbour are limited: what is held back is made up for by a later Probe (DVMRP-026)', () => {
  // given a neighbour that changes its generation id with every Probe
  const bed = twoWay();
  for (let n = 0; n < 50; n++) bed.probe([OWN], { generationId: 100 + n });
  expect(bed.heard().filter((word) => word.startsWith('table'))).toHaveLength(3);
  // when it settles
  bed.advance(10_000);
  bed.heard();
  bed.probe([OWN], { generationId: 149 });
  // then the last change counts
  expect(bed.heard()).toEqual([`probe [${N}]`, `restarted ${N}`, `table to ${N}`]);
});

test('a neighbour that lists us and does not, in turn, costs no more full tables than that (DVMRP-026)', () => {
  const bed = new Bed();
  for (let n = 0; n < 50; n++) bed.probe(n % 2 === 0 ? [OWN] : []);
  expect(bed.heard().filter((word) => word.startsWith('table'))).toHaveLength(4);
});

test('the same generation id changes nothing (DVMRP-027)', () => {
  const bed = twoWay();
  for (let n = 0; n < 10; n++) bed.probe([OWN]);
  expect(bed.heard()).toEqual([]);
});

test('an interface that comes back has another generation id, of 32 random bits when nothing is remembered (DVMRP-028)', () => {
  const random = (value: number) => ({ next: () => value });
  expect(nextGenerationId(undefined, random(0))).toBe(0);
  expect(nextGenerationId(undefined, random(0.75))).toBe(0xc000_0000);
  expect(nextGenerationId(undefined, random(1 - 2 ** -53))).toBe(0xffff_ffff);
  expect(nextGenerationId(5000, random(0.75))).toBe(5001);
  expect(nextGenerationId(0xffff_ffff, random(0))).toBe(0);
  // and its Probes carry it
  const bed = twoWay();
  bed.neighbors.stop(bed.nowMs);
  bed.neighbors.start(bed.nowMs, ip(OWN), 1001);
  const out = new Uint8Array(100);
  const probe = decodeProbe(out.subarray(0, bed.neighbors.writeProbe(out)));
  expect(probe.ok && probe.value.generationId).toBe(1001);
});

test('whether masks may be sent is recorded, and a change of it is a restart (DVMRP-029)', () => {
  const bed = twoWay();
  expect(bed.neighbors.get(ip(N))?.takesMasks).toBe(true);
  bed.probe([OWN], { capabilities: 0x0e });
  expect(bed.neighbors.get(ip(N))?.takesMasks).toBe(false);
  expect(bed.heard()).toContain(`restarted ${N}`);
});

test('LEAF comes and goes without any effect (DVMRP-030, DVMRP-122)', () => {
  const bed = twoWay();
  bed.probe([OWN], { capabilities: 0x0e });
  bed.heard();
  for (const capabilities of [0x0f, 0x0e, 0x1f, 0xcf]) bed.probe([OWN], { capabilities });
  expect(bed.heard()).toEqual([]);
});

describe('old versions (DVMRP-031)', () => {
  const OLD = ['1.0', '2.1', '3.0', '3.2', '3.4', '3.254', '10.3', '11.2', '12.1'];

  test.each(OLD)('%s is refused by default, seen but not listed, and its Reports do not count', (version) => {
    const bed = new Bed();
    bed.heard();
    bed.probe([OWN], { version });
    expect(bed.state()).toBe('refused');
    expect(bed.heard()).toEqual([`refused ${N}: oldVersion`]);
    bed.probe([OWN], { version });
    expect(bed.report(N, version)).toBe(false);
    expect(bed.heard()).toEqual([`dropped unknownNeighbor ${N}`]);
    expect(bed.listed()).toEqual([]);
  });

  test.each(OLD)('%s is a neighbour without handshake when the configuration says so', (version) => {
    const bed = new Bed({ acceptCompat: true });
    bed.heard();
    bed.probe([], { version });
    expect(bed.state()).toBe('compat');
    expect(bed.heard()).toEqual([`probe [${N}]`, `up ${N}`, 'not a leaf', `table to ${N}`]);
  });

  test.each([
    ['1.0', false],
    ['2.1', false],
    ['10.3', false],
    ['3.0', true],
    ['3.4', true],
    ['11.2', true],
  ] as const)('prunes go to %s: %s', (version, prunes) => {
    const bed = new Bed({ acceptCompat: true });
    bed.probe([], { version });
    expect(bed.neighbors.get(ip(N))?.prunes).toBe(prunes);
  });

  test('one that only sends Reports is a neighbour for 140 s after each', () => {
    const bed = new Bed({ acceptCompat: true });
    expect(bed.report(N, '10.3')).toBe(true);
    bed.advance(60_000);
    expect(bed.report(N, '10.3')).toBe(true);
    bed.advance(139_999);
    expect(bed.state()).toBe('compat');
    bed.advance(1);
    expect(bed.state()).toBe('none');
  });

  test("one that is replaced by today's version needs the handshake from then on", () => {
    const bed = new Bed({ acceptCompat: true });
    bed.probe([], { version: '3.4' });
    bed.heard();
    bed.probe([]);
    expect(bed.state()).toBe('one-way');
    expect(bed.heard()).toEqual([`probe [${N}]`, ...LOSS]);
  });

  test('a Probe of versions without generation id may end anywhere', () => {
    const bed = new Bed({ acceptCompat: true });
    const message = built.dvmrp(1, [1, 2, 3], { version: '3.1' });
    const decoded = decodeHeader(message);
    if (decoded.ok) bed.neighbors.heardProbe(0, ip(N), decoded.value, message);
    expect(bed.state()).toBe('compat');
  });
});

test("a router of today's version that cannot prune is refused unless the configuration says otherwise", () => {
  const refusing = new Bed();
  refusing.heard();
  refusing.probe([OWN], { capabilities: 0x0c });
  expect(refusing.heard()).toEqual([`refused ${N}: nonPruner`]);
  const allowing = new Bed({ allowNonPruners: true });
  allowing.probe([OWN], { capabilities: 0x0c });
  expect(allowing.state()).toBe('two-way');
  expect(allowing.neighbors.get(ip(N))?.prunes).toBe(false);
});

test('a neighbour that turns into one that is not wanted is lost', () => {
  const bed = twoWay();
  bed.probe([OWN], { version: '3.4' });
  expect(bed.state()).toBe('refused');
  expect(bed.heard()).toEqual([...LOSS, `refused ${N}: oldVersion`]);
  bed.probe([OWN]);
  expect(bed.state()).toBe('two-way');
});

test('who may be a neighbour is filtered', () => {
  const prefix = { network: ip('10.9.0.2'), length: 32 };
  const bed = new Bed({ neighborFilter: [{ action: 'deny', prefix }] });
  bed.probe([OWN]);
  bed.probe([OWN], { from: '10.9.0.3' });
  expect([bed.state(), bed.state('10.9.0.3')]).toEqual(['refused', 'two-way']);
});

test('a Report of a stranger is discarded, and no stranger is among those whose Prunes and Grafts count (DVMRP-032)', () => {
  const bed = new Bed();
  bed.heard();
  expect(bed.report()).toBe(false);
  expect(bed.heard()).toEqual([`dropped unknownNeighbor ${N}`]);
  expect(bed.neighbors.upNeighbor(ip(N))).toBeUndefined();
  expect(bed.neighbors.size).toBe(0);
});

test("the limit of neighbours is kept, and those who are refused take nobody's place (DVMRP-034)", () => {
  const bed = new Bed({ maxNeighbors: 2 });
  for (const last of [11, 12, 13]) bed.probe([OWN], { from: `10.9.0.${last}`, version: '3.4' });
  for (const last of [2, 3]) bed.probe([OWN], { from: `10.9.0.${last}` });
  bed.heard();
  bed.probe([OWN], { from: '10.9.0.4' });
  expect(bed.heard()).toEqual(['dropped neighborLimit 10.9.0.4']);
  expect(bed.neighbors.size).toBe(4);
  // when a neighbour goes, there is room again
  bed.advance(35_000);
  bed.probe([OWN], { from: '10.9.0.4' });
  expect(bed.state('10.9.0.4')).toBe('two-way');
});

test('an address that is a neighbour on another interface stays there', () => {
  const bed = new Bed();
  bed.elsewhere = N;
  bed.heard();
  bed.probe([OWN]);
  expect(bed.heard()).toEqual([`dropped neighborElsewhere ${N}`]);
  expect(bed.state()).toBe('none');
});

test('with forceLeaf no Probe goes out and none is listened to (DVMRP-035)', () => {
  const bed = new Bed({ forceLeaf: true });
  bed.probe([OWN]);
  bed.report();
  bed.advance(60_000);
  expect(bed.heard()).toEqual([`dropped leafOnly ${N}`, `dropped leafOnly ${N}`]);
  expect(bed.neighbors.nextDeadlineMs).toBe(Number.POSITIVE_INFINITY);
});

describe('the loss of a neighbour (DVMRP-036)', () => {
  function lost(): string[] {
    const bed = twoWay();
    bed.probe([OWN], { from: '10.9.0.3' });
    bed.advance(20_000);
    bed.probe([OWN], { from: '10.9.0.3' });
    bed.heard();
    bed.advance(15_000);
    return bed.heard().filter((word) => !word.startsWith('probe'));
  }

  test.each(LOSS.slice(0, 5).map((word, n) => [n + 1, word] as const))('step %i: %s', (n, word) => {
    expect(lost()[n - 1]).toBe(word);
  });

  test('step 6: the interface is a leaf again when nobody else counts, and not before', () => {
    expect(lost()).not.toContain('leaf');
    const bed = twoWay();
    bed.advance(35_000);
    expect(bed.heard()).toContain('leaf');
  });
});

test('the end of the interface is the loss of every neighbour, and leaves nothing due', () => {
  const bed = twoWay();
  bed.probe([], { from: '10.9.0.3' });
  bed.heard();
  bed.neighbors.stop(bed.nowMs);
  expect(bed.heard()).toEqual(LOSS);
  expect(bed.neighbors.size).toBe(0);
  expect(bed.neighbors.nextDeadlineMs).toBe(Number.POSITIVE_INFINITY);
  // and nobody is heard until it is back
  bed.probe([OWN]);
  expect(bed.heard()).toEqual([`dropped leafOnly ${N}`]);
});
