/** The tables of a change of owner, walked along every way through them; nothing runs. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import {
  CHANGE,
  type ChangeEvent,
  type ChangePhase,
  type OwnershipEffect,
  type OwnershipRequest,
  type OwnershipState,
  REQUESTS,
  type RequestStep,
  stateOf,
} from '../../../src/mgm/ownership/ownership.js';

type Cell = readonly [OwnershipState, OwnershipRequest, RequestStep];

const CELLS: readonly Cell[] = Object.entries(REQUESTS).flatMap(([state, row]) =>
  Object.entries(row).map(([request, step]): Cell => [state as OwnershipState, request as OwnershipRequest, step]),
);

interface Way {
  readonly events: readonly ChangeEvent[];
  readonly effects: readonly OwnershipEffect[];
}

/** Every way from a phase to the end; an event that leads back to its phase is taken once. */
function* waysFrom(phase: ChangePhase, taken: readonly ChangeEvent[] = []): Generator<Way> {
  const steps = Object.entries(CHANGE[phase]) as [ChangeEvent, { next: ChangePhase; effects: OwnershipEffect[] }][];
  if (steps.length === 0) yield { events: [], effects: [] };
  for (const [event, { next, effects }] of steps) {
    if (next === phase && taken.includes(event)) continue;
    for (const rest of waysFrom(next, next === phase ? [...taken, event] : []))
      yield { events: [event, ...rest.events], effects: [...effects, ...rest.effects] };
  }
}

function waysOf({ begins, effects }: RequestStep): Way[] {
  return [...waysFrom(begins!)].map((way) => ({ ...way, effects: [...effects, ...way.effects] }));
}

const count = (effects: readonly OwnershipEffect[], effect: OwnershipEffect): number =>
  effects.filter((one) => one === effect).length;

const CHANGES = CELLS.filter(([, , { begins }]) => begins !== undefined);
const PAUSED = CHANGES.filter(([, , { begins }]) => begins === 'pausing');

test('each request leaves the state that its cell names (MGM-OWN-01, MGM-OWN-03)', () => {
  for (const [state, request, { next, begins, effects }] of CELLS) {
    if (begins === 'pausing') continue;
    let [owner, igmp] = [state.startsWith('P'), state.endsWith('G')];
    for (const effect of effects) {
      if (effect === 'add-igmp') igmp = true;
      if (effect === 'drop-igmp') igmp = false;
      if (effect === 'set-owner') owner = true;
      if (effect === 'clear-owner') owner = false;
    }
    expect(stateOf(owner, igmp), `${request} in ${state}`).toBe(next);
    expect(effects.includes('close-vif'), `${request} in ${state}`).toBe(next === 'U');
  }
});

test('IGMP is asked exactly where it stays beside a change of owner (D-OWN-3)', () => {
  const asked = PAUSED.map(([state, request]) => `${state} ${request}`);
  expect(asked.sort()).toEqual(['G owner-takes', 'PG handover', 'PG owner-releases']);
});

test('whatever happens, each change is answered once (D-OWN-11)', () => {
  for (const [state, request, step] of CHANGES)
    for (const { events, effects } of waysOf(step))
      expect(count(effects, 'answer'), `${request} in ${state}: ${events.join(', ')}`).toBe(1);
});

test('the gate opens once after the new owner is there, unless the interface is gone (D-OWN-9)', () => {
  for (const [, request, step] of PAUSED)
    for (const { events, effects } of waysOf(step)) {
      const opened = effects.indexOf('open-gate');
      expect(count(effects, 'open-gate'), `${request}: ${events.join(', ')}`).toBe(
        events.indexOf('vanished') !== -1 && opened === -1 ? 0 : 1,
      );
      if (opened === -1) continue;
      expect(effects.indexOf('close-gate')).toBeLessThan(effects.indexOf('ask-enable'));
      expect(effects.lastIndexOf('ask-enable')).toBeLessThan(opened);
      expect(opened).toBeLessThan(effects.indexOf('answer'));
    }
});

test('memberships go only after everybody could add them again (D-OWN-9)', () => {
  for (const [, , step] of CHANGES)
    for (const { effects } of waysOf(step)) {
      const swept = effects.indexOf('sweep');
      if (swept !== -1) expect(effects.indexOf('await-resync')).toBeLessThan(swept);
      const signalled = effects.indexOf('signal');
      if (signalled !== -1) expect(swept).toBeLessThan(signalled);
    }
});

test('an interface can vanish in every phase that is not over (D-OWN-8)', () => {
  for (const [phase, row] of Object.entries(CHANGE))
    if (phase !== 'over' && phase !== 'vanished') expect(row.vanished?.effects, phase).toContain('vanish');
});

test('IGMP can die while it is asked, and is off the interface at once (D-OWN-7)', () => {
  expect(CHANGE.pausing['igmp-died']).toEqual({ next: 'pausing', effects: ['drop-igmp'] });
  expect(CHANGE.enabling['igmp-died']).toEqual({ next: 'enabling', effects: ['drop-igmp'] });
});

test('the requests are those of manager.md section 4.2, line by line', () => {
  const REQUEST: Readonly<Record<string, OwnershipRequest>> = {
    'IGMP takes': 'igmp-takes',
    'IGMP releases': 'igmp-releases',
    'IGMP dies': 'igmp-dies',
    'C takes': 'owner-takes',
    'C releases': 'owner-releases',
    'handover C to D': 'handover',
  };
  const text = readFileSync(join(import.meta.dirname, '../../../docs/spec/manager.md'), 'utf8');
  const section = text.slice(text.indexOf('### 4.2 '), text.indexOf('### 4.3 '));
  const told = [
    ...section.matchAll(/^\| ([UGP, ]+) \| ([^|]+) \| ([UGP, ]+) \| (\**yes\**|PG: yes|no)[^|]* \|/gm),
  ].flatMap(([, from, event, to, asked]) => {
    const request = REQUEST[event!.trim()];
    const next = to!.trim().split(', ');
    return request === undefined
      ? []
      : from!.split(', ').map((state, n) => {
          const pauses = asked!.includes('yes') && (!asked!.startsWith('PG') || state === 'PG');
          return `${state} ${request} ${next[n]} ${pauses}`;
        });
  });
  const built = CELLS.map(
    ([state, request, { next, begins }]) => `${state} ${request} ${next} ${begins === 'pausing'}`,
  );
  expect(told.sort()).toEqual(built.sort());
});
