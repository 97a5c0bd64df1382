/** Who hears that receivers appeared: manager.md sections 3.3 and 5.3. */
import { expect, test } from 'vitest';
import { ip } from '../../../src/base/ip.js';
import { settle } from '../../support/fake-clock.js';
import { ALL, any, Bed, G1, S1, S2, sg } from '../../support/manager-bed.js';

/** a on eth0 and eth1, b on eth2 (towards S2), c on eth3, d on nothing. */
async function four() {
  const bed = new Bed();
  const a = await bed.client('a', [bed.eth0, bed.eth1]);
  const b = await bed.client('b', [bed.eth2]);
  const c = await bed.client('c', [bed.eth3]);
  const d = await bed.client('d');
  return { bed, a, b, c, d };
}

test('the first client of (*,G) alerts every other one, once, with memberUpdate TRUE (MGM-JAL-01, INT-011)', async () => {
  const { bed, a } = await four();
  await a.add(any(G1), bed.eth0);
  await settle();
  expect([...bed.journal].sort()).toEqual(['b', 'c', 'd'].map((name) => `${name} join (*,239.1.1.1) TRUE`));
});

test('the second client alerts the first one only (MGM-JAL-02, INT-011)', async () => {
  const { bed, a, c } = await four();
  await a.add(any(G1), bed.eth0);
  await bed.forget();
  await c.add(any(G1), bed.eth3);
  await settle();
  expect(bed.journal).toEqual(['a join (*,239.1.1.1) TRUE']);
});

test('the third client alerts nobody (MGM-JAL-03, INT-011)', async () => {
  const { bed, a, b, c } = await four();
  await a.add(any(G1), bed.eth0);
  await c.add(any(G1), bed.eth3);
  await bed.forget();
  await b.add(any(G1), bed.eth2);
  await settle();
  expect(bed.journal).toEqual([]);
});

test('a further interface of a client that has it already alerts nobody (MGM-JAL-04, INT-012)', async () => {
  const { bed, a } = await four();
  await a.add(any(G1), bed.eth0);
  await bed.forget();
  await a.add(any(G1), bed.eth1);
  await settle();
  expect(bed.journal).toEqual([]);
});

test('the first client of (S,G) alerts the owner of the interface towards S and nobody else (MGM-JAL-05, INT-013)', async () => {
  const { bed, a } = await four();
  await a.add(sg(S2, G1), bed.eth0);
  await settle();
  expect(bed.journal).toEqual(['b join (10.0.2.9,239.1.1.1) TRUE']);
});

test('the way towards S is asked of the routes when S is not on a connected network (MGM-JAL-05)', async () => {
  const { bed, a } = await four();
  bed.kernel.routes.set('172.16.0.0/12', { ifindex: bed.eth3, gateway: '10.0.3.2' });
  await a.add(sg(ip('172.16.5.5'), G1), bed.eth0);
  await settle();
  expect(bed.journal).toEqual(['c join (172.16.5.5,239.1.1.1) TRUE']);
});

test('the owner towards S itself, or a second client, alerts nobody for (S,G) (MGM-JAL-06, INT-013)', async () => {
  const { bed, a, b, c } = await four();
  await b.add(sg(S2, G1), bed.eth2);
  await settle();
  expect(bed.journal).toEqual([]);
  await a.add(sg(S2, G1), bed.eth0);
  await bed.forget();
  await c.add(sg(S2, G1), bed.eth3);
  await settle();
  expect(bed.journal).toEqual([]);
});

test('the first client of (*,*) alerts all others with the all-zero key (MGM-JAL-07)', async () => {
  const { bed, a } = await four();
  await a.add(ALL, bed.eth0);
  await settle();
  expect([...bed.journal].sort()).toEqual(['b', 'c', 'd'].map((name) => `${name} join (*,*) TRUE`));
});

test('(*,*) is a key of its own: it does not count for (*,G) (MGM-JAL-07, D-KEY-2)', async () => {
  const { bed, a, c } = await four();
  await a.add(ALL, bed.eth0);
  await bed.forget();
  await c.add(any(G1), bed.eth3);
  await settle();
  expect([...bed.journal].sort()).toEqual(['a', 'b', 'd'].map((name) => `${name} join (*,239.1.1.1) TRUE`));
});

test('when an outgoing list turns non-empty by another client, the iif owner hears it, TRUE before FALSE (MGM-JAL-08, INT-008)', async () => {
  // given a flow that nobody wants
  const { bed, a } = await four();
  await bed.flow(S2, G1, bed.eth2);
  await bed.forget();
  // when a client joins
  await a.add(any(G1), bed.eth0);
  await settle();
  // then the owner towards the source gets both levels in this order
  expect(bed.heard('b')).toEqual(['join (*,239.1.1.1) TRUE', 'join (10.0.2.9,239.1.1.1) FALSE']);
  // and a second interface changes nothing on the level of the entry
  await bed.forget();
  await a.add(any(G1), bed.eth1);
  await settle();
  expect(bed.journal).toEqual([]);
});

test('when the iif owner itself opens the list, there is no FALSE alert (MGM-JAL-09)', async () => {
  const bed = new Bed();
  const b = await bed.client('b', [bed.eth2, bed.eth3]);
  await bed.flow(S2, G1, bed.eth2);
  await bed.forget();
  await b.add(any(G1), bed.eth3);
  await settle();
  expect([bed.entry(S2, G1), bed.heard('b')]).toEqual(['eth2 -> eth3', []]);
});

test('an owner that takes the interface towards a source is told of it (D-ALERT-3), by a Take, a hand-over and a release', async () => {
  const bed = new Bed();
  const a = await bed.client('a', [bed.eth0]);
  const b = await bed.client('b');
  const c = await bed.client('c');
  await a.add(sg(S1, G1), bed.eth0);
  await settle();
  expect(bed.journal).toEqual([]);
  await b.takes(bed.eth1);
  await settle();
  expect(bed.journal).toEqual(['b join (10.0.1.9,239.1.1.1) TRUE']);
  await bed.forget();
  await bed.manager.handover(bed.eth1, 'b', 'c', false);
  await bed.clock.run(5000);
  expect(bed.heard('b')).toEqual(['lost eth1', 'prune (10.0.1.9,239.1.1.1) TRUE']);
  expect(bed.heard('c')).toEqual(['offered eth1', 'granted eth1', 'join (10.0.1.9,239.1.1.1) TRUE']);
  await c.release(bed.eth1);
  await settle();
  expect(bed.heard('c').at(-1)).toBe('prune (10.0.1.9,239.1.1.1) TRUE');
  await a.remove(sg(S1, G1), bed.eth0);
  await settle();
  expect(bed.heard('c')).toHaveLength(4);
});

test('an Add by IGMP on an owned interface counts for the owner: the others hear of it once (MGM-JAL-11)', async () => {
  const { bed } = await four();
  const igmp = await bed.igmp([bed.eth0, bed.eth1]);
  await igmp.hostJoins(any(G1), bed.eth0);
  await igmp.hostJoins(any(G1), bed.eth1);
  await settle();
  expect(bed.heard('a')).toEqual(['local-join (*,239.1.1.1) eth0', 'local-join (*,239.1.1.1) eth1']);
  for (const name of ['b', 'c', 'd']) expect(bed.heard(name)).toEqual(['join (*,239.1.1.1) TRUE']);
});

test('alerts are delivered after the call that caused them has returned', async () => {
  const { bed, a } = await four();
  const answer = a.add(any(G1), bed.eth0);
  expect([(answer as { code: string }).code, bed.journal]).toEqual(['NO_ERROR', []]);
  await settle();
  expect(bed.journal).toHaveLength(3);
});

test('a client may call back from inside an alert (INT-022, D-CB-3)', async () => {
  // given a client that joins as soon as it hears that somebody else has
  const bed = new Bed();
  const a = await bed.client('a', [bed.eth0]);
  const codes: unknown[] = [];
  const b = await bed.client('b', [bed.eth1], {
    answers: { joinAlert: (alert) => void codes.push(b.add(alert, bed.eth1)) },
  });
  // when it hears
  await a.add(any(G1), bed.eth0);
  await settle();
  // then its own call was answered at once: an alert is a notification, nobody waits for it
  expect(codes).toEqual([expect.objectContaining({ code: 'NO_ERROR' })]);
  expect(bed.heard('a')).toEqual(['join (*,239.1.1.1) TRUE']);
});
