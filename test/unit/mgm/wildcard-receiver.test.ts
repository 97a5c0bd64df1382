/** An owner that wants everything, (*,*), comes to an interface while entries exist: nothing leaves that it does not let pass. */
import { expect, test } from 'vitest';
import type { TestClient } from '../../support/fake-clients.js';
import { settle } from '../../support/fake-clock.js';
import { ALL, any, Bed, G1, G2, S0 } from '../../support/manager-bed.js';

test("an owner's own (*,*) shows it every existing entry before the kernel is touched", async () => {
  // given two flows that leave by nothing, and a dense protocol that refuses one of them
  const bed = new Bed();
  await bed.client('sparse', [bed.eth0]);
  await bed.flow(S0, G1, bed.eth0);
  await bed.flow(S0, G2, bed.eth0);
  const dense = await bed.client('dense', [bed.eth1], {
    answers: { creationAlert: ({ group, oifs }) => ({ disabled: group === G1 ? oifs.map((oif) => oif.ifindex) : [] }) },
  });
  await bed.forget();
  const writes = bed.manager.snapshot().counters()['kernel.mfc-writes']!;
  // when it says that it wants everything
  await dense.add(ALL, bed.eth1);
  // then it was asked about both, and the kernel was written for one
  expect(bed.heard('dense')).toEqual(['creation (10.0.0.9,239.1.1.1) eth1', 'creation (10.0.0.9,239.1.1.2) eth1']);
  expect(bed.entry(S0, G1)).toBe('eth0 -> ');
  expect(bed.entry(S0, G2)).toBe('eth0 -> eth1');
  expect(bed.manager.snapshot().counters()['kernel.mfc-writes']).toBe(writes + 1);
});

test('a dense protocol that gets an interface with hosts is asked when they have been heard again, and nothing is lost (MGM-OWN-18)', async () => {
  // given a stream to a host on eth1, owned by a static-like client, and a flow that nobody wants
  const bed = new Bed();
  const igmp = await bed.igmp([bed.eth1]);
  const sparse = await bed.client('sparse', [bed.eth0, bed.eth1]);
  await bed.resync();
  await sparse.add(any(G1), bed.eth1);
  await igmp.hostJoins(any(G1), bed.eth1);
  const local = new Set<string>();
  const dense: TestClient = await bed.client('dense', [], {
    answers: {
      localJoin: ({ group }) => {
        local.add(String(group));
        return undefined;
      },
      creationAlert: ({ group, oifs }) => ({
        disabled: local.has(String(group)) ? [] : oifs.map((oif) => oif.ifindex),
      }),
      interfaceGranted: (ifindex) => {
        void dense.add(ALL, ifindex);
        bed.manager.resyncDone(dense.handle!, ifindex);
      },
    },
  });
  const ids = [await bed.flow(S0, G1, bed.eth0)];
  await bed.flow(S0, G2, bed.eth0);
  // when it is handed over, with packets at every step
  const done = bed.manager.handover(bed.eth1, 'sparse', 'dense', false);
  ids.push(bed.kernel.packet(S0, G1, bed.eth0));
  await done;
  for (let n = 0; n < 3; n++) {
    ids.push(await bed.flow(S0, G1, bed.eth0));
    await bed.resync();
  }
  const unwanted = await bed.flow(S0, G2, bed.eth0);
  await settle();
  // then the host got every packet, and nothing else left
  expect(bed.kernel.timesDelivered(bed.eth1, ids)).toEqual(ids.map(() => 1));
  expect(bed.kernel.timesDelivered(bed.eth1, [unwanted])).toEqual([0]);
  expect(bed.entry(S0, G1)).toBe('eth0 -> eth1');
  expect(bed.entry(S0, G2)).toBe('eth0 -> ');
});
