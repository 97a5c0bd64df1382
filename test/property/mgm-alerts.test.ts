/** Who is alerted, for any series of joins and leaves: the derived invariant of manager.md section 5.3 beside a model. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { MembershipKey } from '../../src/mgm/client.js';
import type { Ifindex } from '../../src/port/kernel.js';
import { settle } from '../support/fake-clock.js';
import type { TestClient } from '../support/fake-clients.js';
import { ALL, any, Bed, G1, G2, keyText, S2, sg } from '../support/manager-bed.js';
import { runs } from '../support/runs.js';

const KEYS: readonly MembershipKey[] = [any(G1), any(G2), ALL, sg(S2, G1)];
/** The owner of the way to S2: the only one who hears of (S2,G1). */
const TOWARDS_SOURCE = 'b';

/** Somebody who adds and deletes on an interface, and the client that this counts for. */
interface Seat {
  readonly by: TestClient;
  readonly ifindex: Ifindex;
  readonly countsFor: string;
}

interface Step {
  readonly seat: number;
  readonly key: number;
  readonly add: boolean;
  /** Notifications are delivered before the next step. */
  readonly settle: boolean;
}

const STEPS = fc.array(
  fc.record({
    seat: fc.nat(6),
    key: fc.nat(KEYS.length - 1),
    add: fc.boolean(),
    settle: fc.boolean(),
  }),
  { maxLength: 60 },
);

async function arrange(): Promise<{ readonly bed: Bed; readonly seats: readonly Seat[] }> {
  const bed = new Bed();
  const eth4 = bed.kernel.addDevice('eth4', '10.0.4.1/24');
  const a = await bed.client('a', [bed.eth0, bed.eth1]);
  const b = await bed.client('b', [bed.eth2]);
  const c = await bed.client('c', [eth4]);
  await bed.client('d');
  const igmp = await bed.igmp([bed.eth0, bed.eth2, bed.eth3]);
  const seats = [
    { by: a, ifindex: bed.eth0, countsFor: 'a' },
    { by: a, ifindex: bed.eth1, countsFor: 'a' },
    { by: b, ifindex: bed.eth2, countsFor: 'b' },
    { by: c, ifindex: eth4, countsFor: 'c' },
    { by: igmp, ifindex: bed.eth0, countsFor: 'a' },
    { by: igmp, ifindex: bed.eth2, countsFor: 'b' },
    { by: igmp, ifindex: bed.eth3, countsFor: 'igmp' },
  ];
  return { bed, seats };
}

/** "client key" of everybody who was told of a join and not of its end since; a repeated alert is an error of its own. */
function alertedBy(journal: readonly string[]): ReadonlySet<string> {
  const alerted = new Set<string>();
  for (const line of journal) {
    const [client, kind, key, memberUpdate] = line.split(' ');
    if (memberUpdate !== 'TRUE') continue;
    if (kind === 'join') expect(alerted.has(`${client} ${key}`), `${line}, again`).toBe(false);
    if (kind === 'prune') expect(alerted.has(`${client} ${key}`), `${line}, unalerted`).toBe(true);
    if (kind === 'join') alerted.add(`${client} ${key}`);
    else alerted.delete(`${client} ${key}`);
  }
  return alerted;
}

/** The model: X is alerted for k exactly when somebody else has k; for (s,g) only the owner towards s counts. */
function expectedAlerts(held: ReadonlyMap<string, Seat>): ReadonlySet<string> {
  const expected = new Set<string>();
  for (const key of KEYS)
    for (const x of key.source === S2 ? [TOWARDS_SOURCE] : ['a', 'b', 'c', 'd']) {
      const joined = [...held].filter(([id]) => id.endsWith(` ${keyText(key)}`)).map(([, seat]) => seat.countsFor);
      if (joined.some((client) => client !== x)) expected.add(`${x} ${keyText(key)}`);
    }
  return expected;
}

async function runSteps(steps: readonly Step[]): Promise<void> {
  const { bed, seats } = await arrange();
  const held = new Map<string, Seat>();
  for (const step of steps) {
    const seat = seats[step.seat]!;
    const key = KEYS[step.key]!;
    const id = `${step.seat} ${keyText(key)}`;
    const answer = await (step.add ? seat.by.add(key, seat.ifindex) : seat.by.remove(key, seat.ifindex));
    expect(answer.code).toBe(step.add || held.has(id) ? 'NO_ERROR' : 'ERROR_NOT_FOUND');
    if (step.add) held.set(id, seat);
    else held.delete(id);
    if (!step.settle) continue;
    await settle();
    expect(alertedBy(bed.journal)).toEqual(expectedAlerts(held));
  }
  await settle();
  expect(alertedBy(bed.journal)).toEqual(expectedAlerts(held));
}

test('for any series of Adds and Deletes a client is alerted for k exactly when some other client has k (MGM-JAL-10)', async () => {
  await fc.assert(fc.asyncProperty(STEPS, runSteps), { numRuns: runs(200) });
});
