/** Who hears that receivers went away: manager.md sections 3.4 and 5.3. */
import { expect, test } from 'vitest';
import type { PruneAlert, PruneReply } from '../../../src/mgm/client.js';
import { settle } from '../../support/fake-clock.js';
import { any, Bed, G1, S2, sg } from '../../support/manager-bed.js';

/** a on eth0 and eth1, b on eth2 (towards S2), c on eth3, d on nothing. */
async function four() {
  const bed = new Bed();
  const a = await bed.client('a', [bed.eth0, bed.eth1]);
  const b = await bed.client('b', [bed.eth2]);
  const c = await bed.client('c', [bed.eth3]);
  await bed.client('d');
  return { bed, a, b, c };
}

test('when the second-to-last client leaves, the remaining one alone hears of it (MGM-PAL-01, INT-011)', async () => {
  const { bed, a, c } = await four();
  await a.add(any(G1), bed.eth0);
  await c.add(any(G1), bed.eth3);
  await bed.forget();
  await a.remove(any(G1), bed.eth0);
  await settle();
  expect(bed.journal).toEqual(['c prune (*,239.1.1.1) TRUE']);
});

test('when the last client leaves, all others hear of it (MGM-PAL-02, INT-011)', async () => {
  const { bed, a } = await four();
  await a.add(any(G1), bed.eth0);
  await bed.forget();
  await a.remove(any(G1), bed.eth0);
  await settle();
  expect([...bed.journal].sort()).toEqual(['b', 'c', 'd'].map((name) => `${name} prune (*,239.1.1.1) TRUE`));
});

test('one of several interfaces, or one of three clients, alerts nobody (MGM-PAL-03, INT-011, INT-012)', async () => {
  const { bed, a, b, c } = await four();
  await a.add(any(G1), bed.eth0);
  await a.add(any(G1), bed.eth1);
  await bed.forget();
  await a.remove(any(G1), bed.eth0);
  await settle();
  expect(bed.journal).toEqual([]);
  await b.add(any(G1), bed.eth2);
  await c.add(any(G1), bed.eth3);
  await bed.forget();
  await c.remove(any(G1), bed.eth3);
  await settle();
  expect(bed.journal).toEqual([]);
});

test('when the last (S,G) of anybody but the owner towards S goes, that owner alone hears, with the iif (MGM-PAL-04)', async () => {
  const alerts: PruneAlert[] = [];
  const bed = new Bed();
  const a = await bed.client('a', [bed.eth0]);
  const b = await bed.client('b', [bed.eth2], { answers: { pruneAlert: (alert) => void alerts.push(alert) } });
  const c = await bed.client('c', [bed.eth3]);
  for (const [client, ifindex] of [
    [a, bed.eth0],
    [b, bed.eth2],
    [c, bed.eth3],
  ] as const)
    await client.add(sg(S2, G1), ifindex);
  await bed.forget();
  await a.remove(sg(S2, G1), bed.eth0);
  await settle();
  expect(bed.journal).toEqual([]);
  await c.remove(sg(S2, G1), bed.eth3);
  await settle();
  expect(bed.journal).toEqual(['b prune (10.0.2.9,239.1.1.1) TRUE']);
  expect(alerts[0]).toMatchObject({ ifindex: bed.eth2, causeInterface: bed.eth3, memberDelete: true });
});

test('memberDelete is TRUE for the Delete and FALSE for the list that emptied, in this order (MGM-PAL-05)', async () => {
  const alerts: PruneAlert[] = [];
  const bed = new Bed();
  const a = await bed.client('a', [bed.eth0]);
  await bed.client('b', [bed.eth2], { answers: { pruneAlert: (alert) => void alerts.push(alert) } });
  await a.add(any(G1), bed.eth0);
  await bed.flow(S2, G1, bed.eth2);
  await a.remove(any(G1), bed.eth0);
  await settle();
  expect(alerts).toMatchObject([
    { group: G1, memberDelete: true, ifindex: undefined, causeInterface: bed.eth0 },
    { source: S2, group: G1, memberDelete: false, ifindex: bed.eth2 },
  ]);
});

/** A flow whose only receiver has just gone; the iif owner answers prune alerts with `reply`. */
async function emptied(reply: (alert: PruneAlert) => PruneReply | undefined | Promise<PruneReply | undefined>) {
  const bed = new Bed();
  const a = await bed.client('a', [bed.eth0]);
  await bed.client('b', [bed.eth2], { answers: { pruneAlert: reply } });
  await a.add(any(G1), bed.eth0);
  await bed.flow(S2, G1, bed.eth2);
  await a.remove(any(G1), bed.eth0);
  await settle();
  return bed;
}

test('the time-out that the FALSE alert returns is the life of the entry, clamped to 10..86400 s (MGM-PAL-06)', async () => {
  for (const [asked, given] of [
    [120, 120],
    [10, 10],
    [9, 10],
    [-5, 10],
    [86_400, 86_400],
    [100_000, 86_400],
  ] as const) {
    const bed = await emptied(({ memberDelete }) => (memberDelete ? undefined : { timeoutSec: asked }));
    expect(bed.mfe(S2, G1)).toMatchObject({ timeout: given, expiresIn: given });
    await bed.clock.run(given * 1000 - 1);
    expect(bed.entry(S2, G1)).toBe('eth2 -> ');
    await bed.clock.run(1);
    expect(bed.entry(S2, G1)).toBeUndefined();
  }
});

test('the reply may come later (MGM-PAL-06)', async () => {
  const bed = await emptied(async () => ({ timeoutSec: 60 }));
  expect(bed.mfe(S2, G1)?.timeout).toBe(60);
});

test('without a time-out in the reply the entry stays 900 s (MGM-PAL-07, INT-007)', async () => {
  const bed = await emptied(() => undefined);
  expect(bed.mfe(S2, G1)).toMatchObject({ timeout: 900, expiresIn: 900 });
});

test('a reply that never comes counts as none after 500 ms (MGM-PAL-07)', async () => {
  const bed = await emptied(({ memberDelete }) => (memberDelete ? undefined : new Promise(() => undefined)));
  await bed.clock.run(500);
  expect(bed.mfe(S2, G1)?.timeout).toBe(900);
});

test('a time-out returned by the TRUE alert is ignored (MGM-PAL-08)', async () => {
  const bed = await emptied(({ memberDelete }) => (memberDelete ? { timeoutSec: 20 } : undefined));
  expect(bed.mfe(S2, G1)?.timeout).toBe(900);
});

test('the death of a protocol alerts as its Deletes would have (MGM-PAL-09)', async () => {
  // given the same situation twice
  const situation = async () => {
    const at = await four();
    await at.a.add(any(G1), at.bed.eth0);
    await at.a.add(sg(S2, G1), at.bed.eth1);
    await at.bed.flow(S2, G1, at.bed.eth2);
    await at.bed.forget();
    return at;
  };
  const [deleting, dying] = [await situation(), await situation()];
  // when one deletes and the other dies
  await deleting.a.remove(any(G1), deleting.bed.eth0);
  await deleting.a.remove(sg(S2, G1), deleting.bed.eth1);
  dying.a.die();
  await settle();
  // then the others hear the same
  const others = (bed: Bed) => bed.journal.filter((line) => !line.startsWith('a ')).sort();
  expect(others(dying.bed)).toEqual(others(deleting.bed));
  expect(others(dying.bed)).toContain('c prune (*,239.1.1.1) TRUE');
});
