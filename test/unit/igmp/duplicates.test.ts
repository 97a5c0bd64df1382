/** Another machine of a link has an address of this router: what the operator hears, and when it is over. */
import { expect, test } from 'vitest';
import { KernelError } from '../../../src/base/errors.js';
import { ip } from '../../../src/base/ip.js';
import { Bed, ETH1, ETH2, link } from './bed.js';

const OWN = '10.0.0.2';
const MAC = '02:00:00:00:00:99';
const OTHER_MAC = '02:00:00:00:00:98';

const problem = (bed: Bed) => bed.module.interfaces()[0]!.problem;

test('another machine with our address is warned about with its MAC, counted and shown (E7)', () => {
  const bed = new Bed();
  expect(problem(bed)).toBeNull();
  bed.addressWatch.hear(ETH1, OWN, MAC);
  expect(bed.log.of('igmp.address.duplicated')).toMatchObject([
    { level: 'warn', fields: { ifname: 'eth1', address: OWN, mac: MAC, heldBack: 0 } },
  ]);
  expect(bed.dropped('duplicateAddress')).toBe(1);
  expect(problem(bed)).toBe(`${OWN} is also used by another machine (${MAC})`);
});

test('a link without hardware addresses has duplicates too (E7)', () => {
  const bed = new Bed();
  bed.addressWatch.hear(ETH1, OWN, undefined);
  expect(problem(bed)).toBe(`${OWN} is also used by another machine`);
});

test('it is told at most once a minute an interface, and counted each time (E7)', () => {
  const bed = new Bed({ links: [link(ETH1, OWN), link(ETH2, '10.2.0.2')] });
  for (let n = 0; n < 100; n++) {
    bed.goTo(n);
    bed.addressWatch.hear(ETH1, OWN, n % 2 === 0 ? MAC : OTHER_MAC);
  }
  bed.addressWatch.hear(ETH2, '10.2.0.2', MAC);
  const lines = bed.log.of('igmp.address.duplicated').map(({ fields }) => [fields['ifname'], fields['heldBack']]);
  expect(lines).toEqual([
    ['eth1', 0],
    ['eth1', 59],
    ['eth2', 0],
  ]);
  expect([bed.dropped('duplicateAddress', ETH1), bed.dropped('duplicateAddress', ETH2)]).toEqual([100, 1]);
  expect(bed.clock.due()).toBeLessThan(10);
});

test('it is over when a querier would be believed gone: robustness x query interval + half the response interval (E7)', () => {
  const bed = new Bed();
  bed.addressWatch.hear(ETH1, OWN, MAC);
  bed.goTo(200);
  bed.addressWatch.hear(ETH1, OWN, OTHER_MAC);
  bed.goTo(454.9);
  expect(problem(bed)).toContain(OTHER_MAC);
  bed.goTo(455);
  expect(problem(bed)).toBeNull();
  expect(bed.log.of('igmp.address.cleared')).toMatchObject([
    { level: 'info', fields: { ifname: 'eth1', address: OWN } },
  ]);
});

test('a duplicate whose warning was held back ends without a line (E7)', () => {
  const bed = new Bed({ config: { queryIntervalMs: 5000, queryResponseIntervalMs: 1000 } });
  bed.addressWatch.hear(ETH1, OWN, MAC);
  bed.goTo(20);
  bed.addressWatch.hear(ETH1, OWN, MAC);
  expect(problem(bed)).not.toBeNull();
  bed.goTo(40);
  expect(problem(bed)).toBeNull();
  expect(bed.log.of('igmp.address.duplicated')).toHaveLength(1);
  expect(bed.log.of('igmp.address.cleared')).toHaveLength(1);
});

test('all addresses of an interface are watched, and followed when they change (E7)', () => {
  const bed = new Bed();
  const second = {
    address: ip('10.0.0.3'),
    prefixLength: 24,
    secondary: true,
    scope: 'global',
    peer: undefined,
  } as const;
  const before = link(ETH1, OWN);
  bed.links.change({ ...before, addresses: [...before.addresses, second] });
  expect(bed.addressWatch.watched.get(ETH1)).toEqual([OWN, '10.0.0.3']);
  bed.addressWatch.hear(ETH1, '10.0.0.3', MAC);
  expect(problem(bed)).toContain('10.0.0.3');
  // the remedy: this router gets another address
  bed.links.change(link(ETH1, '10.0.0.7'));
  expect(bed.addressWatch.watched.get(ETH1)).toEqual(['10.0.0.7']);
  expect(problem(bed)).toBeNull();
  expect(bed.log.of('igmp.address.cleared')).toHaveLength(1);
});

test.each([
  ['is released', (bed: Bed) => void bed.module.release(ETH1)],
  ['is gone', (bed: Bed) => bed.links.remove(ETH1)],
  ['was given up by the manager', (bed: Bed) => bed.mgm.callbacks.interfaceGone?.(ETH1)],
  ['ends with the module', (bed: Bed) => void bed.module.stop()],
])('nothing is watched where the interface %s, and no timer is left (E7)', (_, leave) => {
  const bed = new Bed();
  bed.addressWatch.hear(ETH1, OWN, MAC);
  leave(bed);
  expect(bed.addressWatch.watched.size).toBe(0);
  bed.goTo(1000);
  expect(bed.log.of('igmp.address.cleared')).toEqual([]);
});

test('an interface that is refused to IGMP is not watched (E7)', () => {
  const bed = new Bed({ take: false });
  bed.mgm.answer = { code: 'ERROR_CAN_NOT_COMPLETE' };
  void bed.module.take(ETH1);
  expect(bed.addressWatch.watched.size).toBe(0);
});

test('where it cannot be watched IGMP works, says so once, and tries again with the next change (E7)', () => {
  const bed = new Bed({ links: [link(ETH1, OWN), link(ETH2, '10.2.0.2')], take: false });
  bed.addressWatch.refusal = new KernelError('opening', 'the packet socket of eth1', 1, 'EPERM', 'Start it as root.');
  for (const ifindex of [ETH1, ETH2]) void bed.module.take(ifindex);
  expect(bed.module.interfaces().map(({ role }) => role)).toEqual(['querier', 'querier']);
  expect(bed.log.of('igmp.address.unwatched')).toMatchObject([{ level: 'warn', fields: { code: 'EPERM' } }]);
  bed.addressWatch.refusal = undefined;
  bed.links.change(link(ETH2, '10.2.0.2', { mtu: 1400 }));
  expect([...bed.addressWatch.watched.keys()]).toEqual([ETH2]);
});
