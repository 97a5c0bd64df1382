/**
 * The proxy after any series of reports, alerts, flows, link changes, elections and hand-overs: what is asked upstream and
 * where each entry leads must be what a model says that looks only at the present state of IGMP, owners, links and members.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { formatIp, ip } from '../../src/base/ip.js';
import type { MembershipKey } from '../../src/mgm/client.js';
import type { Ifindex } from '../../src/port/kernel.js';
import type { TestClient } from '../support/fake-clients.js';
import { any, S0, S1, S2, S3, sg } from '../support/manager-bed.js';
import { allow, block, isEx, isIn, reportV2, reportV3, toEx, toIn } from '../support/packet-builder.js';
import { Bed, G, H, TWO } from '../unit/proxy/bed.js';
import { runs } from '../support/runs.js';

const GROUPS = [G, H] as const;
const SOURCES = [S0, S1, S2, S3] as const;
const UPSTREAMS = ['eth0', 'eth3'];
const DOWNSTREAMS = ['eth1', 'eth2'];

interface World {
  readonly bed: Bed;
  readonly red: TestClient;
  /** The owner of each interface, by name. */
  readonly owner: (name: string) => string | null;
}

type Step = (world: World) => Promise<void>;

async function arrange(): Promise<World> {
  const bed = await new Bed(TWO).serve();
  await bed.proxy.take(bed.eth3);
  const eth4 = bed.kernel.addDevice('eth4', '10.0.4.1/24');
  const red = await bed.client('red', [eth4]);
  await bed.turn();
  const owner = (name: string) => interfaces(bed).get(name)?.owner ?? null;
  return { bed, red, owner };
}

function interfaces(bed: Bed) {
  return new Map(
    bed.manager
      .snapshot()
      .interfaces()
      .map((one) => [one.name, one]),
  );
}

const indexOf = (bed: Bed, name: string): Ifindex => bed.kernel.links.byName(name)!.ifindex;

const group = fc.constantFrom(...GROUPS);
const source = fc.constantFrom(...SOURCES);
const downstream = fc.constantFrom(...DOWNSTREAMS);

const report: fc.Arbitrary<Step> = fc
  .tuple(downstream, group, fc.constantFrom(isIn, isEx, toIn, toEx, allow, block), fc.subarray([...SOURCES]))
  .map(([on, g, record, sources]) => async ({ bed }) => {
    await bed.hears(indexOf(bed, on), reportV3(record(g, ...sources.map(formatIp))));
  });

const olderReport: fc.Arbitrary<Step> = fc.tuple(downstream, group).map(([on, g]) => async ({ bed }) => {
  await bed.hears(indexOf(bed, on), reportV2(g));
});

const others: fc.Arbitrary<Step> = fc
  .tuple(group, fc.option(source, { nil: undefined }), fc.boolean())
  .map(([g, s, add]) => async ({ bed, red }) => {
    const key: MembershipKey = s === undefined ? any(ip(g)) : sg(s, ip(g));
    const on = indexOf(bed, 'eth4');
    await (add ? red.add(key, on) : red.remove(key, on));
    await bed.turn();
  });

const flow: fc.Arbitrary<Step> = fc.tuple(fc.nat(3), group).map(([n, g]) => async ({ bed }) => {
  await bed.flow(SOURCES[n]!, ip(g), indexOf(bed, `eth${n}`));
});

const carrier: fc.Arbitrary<Step> = fc
  .tuple(fc.constantFrom(...UPSTREAMS), fc.boolean())
  .map(([on, running]) => async ({ bed }) => {
    bed.kernel.changeDevice(indexOf(bed, on), { running });
    await bed.turn();
  });

const handover: fc.Arbitrary<Step> = fc.constantFrom(...UPSTREAMS, ...DOWNSTREAMS).map((on) => async (world) => {
  const from = world.owner(on);
  if (from === null) return;
  await world.bed.manager.handover(indexOf(world.bed, on), from, from === 'proxy' ? 'red' : 'proxy', false);
  await world.bed.turn();
});

const release: fc.Arbitrary<Step> = fc
  .constantFrom(...UPSTREAMS, ...DOWNSTREAMS)
  .map((on) => async ({ bed, owner }) => {
    if (owner(on) === 'proxy') await bed.proxy.release(indexOf(bed, on));
    else if (owner(on) === null) await bed.proxy.take(indexOf(bed, on));
    await bed.turn();
  });

const election: fc.Arbitrary<Step> = fc.constant(async ({ bed }) => bed.queriedBy('10.0.1.2', bed.eth1));

const time: fc.Arbitrary<Step> = fc.constantFrom(100, 600, 2100, 100_000, 256_000).map(
  (ms) =>
    async ({ bed }) =>
      bed.clock.run(ms),
);

const STEPS = fc.array(
  fc.oneof(
    { arbitrary: report, weight: 6 },
    { arbitrary: olderReport, weight: 2 },
    { arbitrary: flow, weight: 4 },
    { arbitrary: others, weight: 2 },
    { arbitrary: carrier, weight: 2 },
    { arbitrary: handover, weight: 2 },
    { arbitrary: release, weight: 1 },
    { arbitrary: election, weight: 1 },
    { arbitrary: time, weight: 2 },
  ),
  { maxLength: 40 },
);

/** Does some member behind the link want the flow? By IGMP's own state. */
function wantedByHosts(bed: Bed, name: string, g: string, s: string): boolean {
  const row = bed.igmpModule.groups().find((one) => one.name === name && one.group === g);
  if (!row) return false;
  const listed = row.sources.find((one) => one.source === s);
  return row.mode === 'exclude' ? listed?.wanted !== false : listed?.wanted === true;
}

/** The upstream that is to be asked; undefined: there is none; null: all are down, so that the past decides. */
function expectedCarrier({ bed, owner }: World): string | undefined | null {
  const owned = UPSTREAMS.filter((name) => owner(name) === 'proxy');
  const up = owned.find((name) => bed.kernel.links.byName(name)!.running);
  return up ?? (owned.length > 0 ? null : undefined);
}

/** What the proxy should ask of a group, as the sources of the test that pass; a stranger stands for all others. */
function expectedSources({ bed, owner }: World, g: string): ReadonlySet<string> {
  const stranger = '10.9.9.9';
  const asked = new Set<string>();
  for (const name of DOWNSTREAMS) {
    if (owner(name) !== 'proxy') continue;
    for (const s of [...SOURCES.map(formatIp), stranger]) if (wantedByHosts(bed, name, g, s)) asked.add(s);
  }
  for (const one of bed.manager.snapshot().memberships()) {
    const counts = one.client === 'igmp' ? (owner(one.interface) ?? 'igmp') : one.client;
    if (counts === 'proxy' || one.stale || one.group !== g) continue;
    if (one.source === '*') for (const s of [...SOURCES.map(formatIp), stranger]) asked.add(s);
    else if (owner(towards(bed, one.source, g)) === 'proxy') asked.add(one.source);
  }
  return asked;
}

/** The interface where a flow is expected: that of its entry, else that of the route. */
function towards(bed: Bed, s: string, g: string): string {
  const entry = bed.manager
    .snapshot()
    .mfc()
    .find((one) => one.source === s && one.group === g);
  return entry?.iif ?? `eth${s.split('.')[2]}`;
}

function checkJoins(world: World): void {
  const carrierName = expectedCarrier(world);
  for (const g of GROUPS) {
    const held = world.bed.held().filter((line) => line.includes(g));
    const wanted = expectedSources(world, g);
    if (carrierName === undefined || wanted.size === 0) {
      expect(held).toEqual([]);
      continue;
    }
    expect(held).toHaveLength(1);
    const [on, , mode, list = ''] = held[0]!.split(' ');
    if (carrierName !== null) expect(on).toBe(carrierName);
    const listed = list.split(',');
    const passes = (s: string) => (mode === 'include') === listed.includes(s);
    for (const s of [...SOURCES.map(formatIp), '10.9.9.9']) expect([g, s, passes(s)]).toEqual([g, s, wanted.has(s)]);
  }
}

function checkEntries(world: World): void {
  const { bed, owner } = world;
  const there = interfaces(bed);
  const carrierName = expectedCarrier(world);
  for (const { source: s, group: g, iif, oifs } of bed.manager.snapshot().mfc()) {
    if (!there.has(iif)) continue; // silenced: nobody serves the interface towards the source
    const fromUpstream = UPSTREAMS.includes(iif) && owner(iif) === 'proxy';
    if (fromUpstream && carrierName !== null) expect([s, g, iif]).toEqual([s, g, carrierName]);
    for (const out of there.keys()) {
      if (out === iif) continue;
      const where = `(${s},${g}) ${iif} -> ${out} of ${owner(out)}`;
      if (owner(out) === 'proxy' && UPSTREAMS.includes(out)) {
        if (carrierName !== null)
          expect([where, oifs.includes(out)]).toEqual([where, !fromUpstream && out === carrierName]);
      } else expect([where, oifs.includes(out)]).toEqual([where, reaches(world, out, g, s)]);
    }
  }
}

function reaches({ bed, owner }: World, out: string, g: string, s: string): boolean {
  const isMember = bed.manager
    .snapshot()
    .memberships()
    .some((one) => one.interface === out && one.group === g && (one.source === s || one.source === '*'));
  if (owner(out) === 'red') return isMember; // it never objects
  const hosts = wantedByHosts(bed, out, g, s);
  if (owner(out) === null) return hosts;
  return hosts && bed.igmpModule.interfaces().find(({ name }) => name === out)?.role === 'querier';
}

test('joins and entries follow from the present state, whatever the past (IGMP-140, IGMP-146, IGMP-147, IGMP-148)', async () => {
  await fc.assert(
    fc.asyncProperty(STEPS, async (steps) => {
      const world = await arrange();
      for (const step of steps) await step(world);
      // what is left with a delay, and what is kept after a change of owner
      await world.bed.clock.run(6000);
      checkJoins(world);
      checkEntries(world);
      expect(world.bed.log.of('callback.failed')).toEqual([]);
    }),
    { numRuns: runs(150) },
  );
}, 120_000);
