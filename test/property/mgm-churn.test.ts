/** INT-033: whatever the churn, an owner hears of an entry exactly as often as its outgoing list becomes empty or non-empty. */
import { expect, test } from 'vitest';
import { ipv4 } from '../../src/base/ip.js';
import { settle } from '../support/fake-clock.js';
import { any, Bed, keyText, S0, sg } from '../support/manager-bed.js';
import { randomOf } from '../support/random.js';

const ENTRIES = 1000;
const CHANGES = 20_000;
const groupOf = (n: number) => ipv4(0xef010000 + n);

test('1,000 entries under membership churn: as many alerts as outgoing lists that turned (INT-033)', async () => {
  // given 1,000 streams that come in on eth0, which `dense` owns, and two clients behind eth1 and eth2
  const bed = new Bed();
  await bed.client('dense', [bed.eth0]);
  const sparse = await bed.client('sparse', [bed.eth1]);
  const igmp = await bed.igmp([bed.eth2]);
  for (let n = 0; n < ENTRIES; n++) bed.kernel.packet(S0, groupOf(n), bed.eth0);
  await bed.clock.run(0);
  await bed.forget();
  // when members come and go at random
  const random = randomOf(33);
  const wanted = new Map<string, number>();
  let turns = 0;
  for (let i = 0; i < CHANGES; i++) {
    const group = groupOf(random(ENTRIES));
    const [who, ifindex] = random(2) === 0 ? [sparse, bed.eth1] : [igmp, bed.eth2];
    const key = random(2) === 0 ? any(group) : sg(S0, group);
    const adding = random(2) === 0;
    const { code } = await (adding ? who.add(key, ifindex) : who.remove(key, ifindex));
    if (code !== 'NO_ERROR') continue;
    const outputs = bed.mfe(S0, group)!.oifs.length;
    if (((wanted.get(keyText(any(group))) ?? 0) === 0) !== (outputs === 0)) turns++;
    wanted.set(keyText(any(group)), outputs);
    if (i % 1000 === 0) await settle();
  }
  await settle();
  // then each turn was told once, and nothing else
  const told = bed.heard('dense').filter((line) => line.startsWith('join') || line.startsWith('prune'));
  expect(turns).toBeGreaterThan(1000);
  expect(told.filter((line) => line.endsWith('FALSE')).length).toBe(turns);
});
