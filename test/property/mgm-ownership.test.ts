/** The ownership machine under random orders of everything, beside a small model of who has what. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { OwnershipWorld, type WorldStep } from '../support/ownership-world.js';
import { runs } from '../support/runs.js';

const iface = fc.nat(3);
const client = fc.nat(1);
const key = fc.nat(3);

const STEP: fc.Arbitrary<WorldStep> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('take' as const), client, iface }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('release' as const), client, iface }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('handover' as const), client, iface }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('igmp take' as const), iface }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('igmp release' as const), iface }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('host' as const), iface, key, join: fc.boolean() }) },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('membership' as const), client, iface, key, add: fc.boolean() }),
  },
  { weight: 8, arbitrary: fc.record({ kind: fc.constant('packet' as const), source: iface, arrival: iface, key }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('die' as const), client: fc.nat(2) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('replace interface' as const), iface }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('rogue add' as const), iface, key }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('mode' as const),
      client: fc.nat(2),
      mode: fc.constantFrom('at once' as const, 'by promise' as const, 'never' as const),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('time' as const), ms: fc.constantFrom(0, 1, 499, 2_000, 5_000, 61_000) }),
  },
);

test('whatever happens in whatever order, the ownership machine keeps its promises', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(STEP, { maxLength: 100, size: 'max' }), async (steps) => {
      // given two protocols, IGMP and four interfaces
      const world = await OwnershipWorld.create();
      // when anything happens, each time followed by what must hold at any moment
      for (const step of steps) {
        await world.perform(step);
        world.checkAlways();
      }
      // then, once everybody has answered, manager, kernel and clients agree
      await world.quiesce();
      world.checkQuiet();
      // and stopping leaves nothing behind
      await world.stop();
      expect(world.bed.clock.due()).toBe(0);
      expect(world.bed.kernel.mroute.table()).toEqual({ entries: [], vifs: [] });
    }),
    { numRuns: runs(200) },
  );
});
