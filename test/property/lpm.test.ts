/** The trie beside a table that is searched from end to end. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type IpAddress, ipv4, maskOf, type Prefix, prefixContains, toU32 } from '../../src/base/ip.js';
import { Lpm, NO_MATCH } from '../../src/base/lpm.js';
import { runs } from '../support/runs.js';

/** Few different bits, so that prefixes contain and neighbour each other. */
const address: fc.Arbitrary<IpAddress> = fc
  .tuple(fc.constantFrom(0, 0x0a, 0x0b, 0x80, 0xff), fc.nat(0xff), fc.constantFrom(0, 1, 0x80, 0xff), fc.nat(0xff))
  .map(([a, b, c, d]) => ipv4(a * 0x1000000 + b * 0x10000 + c * 0x100 + d));

const prefix: fc.Arbitrary<Prefix> = fc
  .tuple(address, fc.integer({ min: 0, max: 32 }))
  .map(([a, length]) => ({ network: ipv4(toU32(a) & toU32(maskOf(length))), length }));

const command = fc.oneof(
  { weight: 3, arbitrary: prefix.map((at) => ({ verb: 'insert' as const, at })) },
  { weight: 2, arbitrary: prefix.map((at) => ({ verb: 'remove' as const, at })) },
  // what is there already, by its place in the model
  { weight: 2, arbitrary: fc.nat().map((at) => ({ verb: 'remove known' as const, at })) },
);

class Model {
  readonly entries = new Map<string, { readonly at: Prefix; readonly id: number }>();

  key({ network, length }: Prefix): string {
    return `${toU32(network)}/${length}`;
  }

  lookup(a: IpAddress): number {
    let best: { readonly at: Prefix; readonly id: number } | undefined;
    for (const entry of this.entries.values())
      if (prefixContains(entry.at, a) && entry.at.length >= (best?.at.length ?? 0)) best = entry;
    return best?.id ?? NO_MATCH;
  }
}

test('whatever is put in and taken out, look-ups are those of a table searched from end to end', () => {
  fc.assert(
    fc.property(fc.array(command, { maxLength: 200 }), fc.array(address, { maxLength: 40 }), (commands, others) => {
      const lpm = new Lpm();
      const model = new Model();
      commands.forEach(({ verb, at }, id) => {
        if (verb === 'insert') {
          lpm.insert(at, id);
          model.entries.set(model.key(at), { at, id });
          return;
        }
        const known = [...model.entries.values()];
        const gone = verb === 'remove' ? at : known[at % known.length]?.at;
        if (gone !== undefined) expect(lpm.remove(gone)).toBe(model.entries.delete(model.key(gone)));
      });
      expect(lpm.size).toBe(model.entries.size);
      for (const { at, id } of model.entries.values()) {
        expect(lpm.find(at)).toBe(id);
        const last = ipv4(toU32(at.network) | ~toU32(maskOf(at.length)));
        for (const a of [at.network, last]) expect(lpm.lookup(a)).toBe(model.lookup(a));
      }
      for (const a of others) expect(lpm.lookup(a)).toBe(model.lookup(a));
      for (const network of others)
        for (const length of [0, 8, 17, 24, 32]) {
          const at = { network: ipv4(toU32(network) & toU32(maskOf(length))), length };
          const inside = [...model.entries.values()].some(
            (one) => one.at.length >= length && prefixContains(at, one.at.network),
          );
          expect(lpm.hasWithin(at)).toBe(inside);
        }
      for (const { at } of [...model.entries.values()]) lpm.remove(at);
      expect(lpm.size).toBe(0);
      for (const a of others) expect(lpm.lookup(a)).toBe(NO_MATCH);
    }),
    { numRuns: runs(300) },
  );
});
