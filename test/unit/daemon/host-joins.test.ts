import { expect, test } from 'vitest';
import { formatIp, ip, type IpAddress, ipv4 } from '../../../src/base/ip.js';
import { Counters } from '../../../src/control/counters.js';
import { HostJoins, MAX_JOINS } from '../../../src/daemon/host-joins.js';
import type { MembershipPort } from '../../../src/port/kernel.js';
import { FakeClock, settle } from '../../support/fake-clock.js';
import { FakeKernel } from '../../support/fake-kernel.js';
import { RecordingLog } from '../../support/recording-log.js';

const GROUP = ip('239.1.1.1');
const SSM = { network: ip('232.0.0.0'), length: 8 };

function given() {
  const kernel = new FakeKernel();
  const { links, membership } = kernel;
  const log = new RecordingLog();
  const joins = new HostJoins({ links, membership, log, ssmRanges: [SSM] });
  const ifindex = kernel.addDevice('eth0', '10.0.0.1/24');
  joins.start();
  const link = () => links.byName('eth0')!;
  const held = () =>
    membership
      .list()
      .map(
        (one) => `${one.ifindex} ${formatIp(one.group)} ${one.filter.mode} ${one.filter.sources.map(formatIp).join()}`,
      );
  return { kernel, joins, ifindex, link, held, log };
}

test('joins of sources add up, any source covers them, and leaving goes back step by step', () => {
  const { joins, ifindex, link, held } = given();
  const [a, b] = [ip('10.0.0.5'), ip('10.0.0.6')];
  joins.join(link(), GROUP, a);
  joins.join(link(), GROUP, b);
  expect(held()).toEqual([`${ifindex} 239.1.1.1 include 10.0.0.5,10.0.0.6`]);
  joins.join(link(), GROUP, undefined);
  expect(held()).toEqual([`${ifindex} 239.1.1.1 exclude `]);
  joins.leave(link(), GROUP, a);
  joins.leave(link(), GROUP, undefined);
  expect(held()).toEqual([`${ifindex} 239.1.1.1 include 10.0.0.6`]);
  joins.leave(link(), GROUP, b);
  expect(held()).toEqual([]);
});

test('leaving what nobody joined is refused', () => {
  const { joins, link } = given();
  expect(joins.leave(link(), GROUP, undefined)).toMatchObject({ code: 'ERROR_NOT_FOUND', detail: 'noSuchEntry' });
  joins.join(link(), GROUP, ip('10.0.0.5'));
  expect(joins.leave(link(), GROUP, undefined).code).toBe('ERROR_NOT_FOUND');
  expect(joins.leave(link(), GROUP, ip('10.0.0.6')).code).toBe('ERROR_NOT_FOUND');
});

test('a join is told to the kernel again when the interface is re-created (F08)', async () => {
  const { kernel, joins, ifindex, link, held } = given();
  joins.join(link(), GROUP, undefined);
  kernel.deleteDevice(ifindex);
  await settle();
  kernel.membership.interfaceGone(ifindex);
  expect(held()).toEqual([]);
  const again = kernel.addDevice('eth0', '10.0.0.1/24');
  expect(held()).toEqual([`${again} 239.1.1.1 exclude `]);
});

test('a join follows its name when an interface is renamed', async () => {
  const { kernel, joins, ifindex, link, held } = given();
  joins.join(link(), GROUP, undefined);
  kernel.changeDevice(ifindex, { name: 'lan' });
  kernel.membership.interfaceGone(ifindex); // as the assignments do
  await settle();
  expect(held()).toEqual([]);
  kernel.changeDevice(ifindex, { name: 'eth0' });
  await settle();
  expect(held()).toEqual([`${ifindex} 239.1.1.1 exclude `]);
});

test('a join that the kernel refuses is answered with its reason and not kept', () => {
  const { kernel, joins, link, held } = given();
  const gone = link();
  kernel.deleteDevice(gone.ifindex);
  expect(joins.join(gone, GROUP, undefined)).toMatchObject({ code: 'ERROR_CAN_NOT_COMPLETE', detail: 'kernelRefused' });
  expect(joins.leave(gone, GROUP, undefined).code).toBe('ERROR_NOT_FOUND');
  expect(held()).toEqual([]);
});

test('mgmctl may join so many groups and sources; one more is refused with what to do, until one is left (A5)', () => {
  const kernel = new FakeKernel();
  const { links } = kernel;
  const [log, counters] = [new RecordingLog(), new Counters()];
  const calls: (string | undefined)[] = [];
  const membership = Object.assign(Object.create(kernel.membership) as MembershipPort, {
    set: (_holder: string, _on: number, _group: IpAddress, filter: { mode: string } | undefined) =>
      void calls.push(filter?.mode),
  });
  const joins = new HostJoins({ links, membership, log, counters, ssmRanges: [SSM] });
  kernel.addDevice('eth0', '10.0.0.1/24');
  const link = links.byName('eth0')!;
  const groupOf = (n: number) => ipv4(0xef010000 + n);
  for (let n = 0; n < MAX_JOINS; n++) expect(joins.join(link, groupOf(n), undefined).code).toBe('NO_ERROR');
  expect(joins.join(link, groupOf(0), undefined).code).toBe('NO_ERROR'); // it is joined already
  for (let n = 0; n < 100; n++)
    expect(joins.join(link, groupOf(MAX_JOINS + n), undefined)).toMatchObject({
      code: 'ERROR_CAN_NOT_COMPLETE',
      message: 'mgmctl has joined 16384 groups and sources already; leave some of them first',
    });
  expect(counters.get('joins.refused')).toBe(100);
  expect(log.of('host.join.refused')).toHaveLength(5);
  expect(calls).toHaveLength(MAX_JOINS);
  joins.leave(link, groupOf(7), undefined);
  expect(joins.join(link, groupOf(MAX_JOINS), undefined).code).toBe('NO_ERROR');
});

test('many joins are told to the kernel in slices when their interface comes, but for what was left meanwhile (A5)', async () => {
  const clock = new FakeClock();
  const kernel = new FakeKernel();
  const { links, membership } = kernel;
  const saved = Array.from({ length: 1000 }, (_, n) => ({
    interface: 'eth0',
    group: formatIp(ipv4(0xef010000 + n)),
    source: null,
  }));
  const joins = new HostJoins({ links, membership, log: new RecordingLog(), clock, ssmRanges: [SSM], saved });
  joins.start();
  kernel.addDevice('eth0', '10.0.0.1/24');
  await settle();
  expect(membership.counters().joins).toBe(256);
  joins.leave(links.byName('eth0')!, ip('239.1.3.0'), undefined);
  clock.advance(0);
  expect(membership.counters().joins).toBe(999);
  expect(clock.due()).toBe(0);
});

test('stop leaves everything', () => {
  const { joins, link, held } = given();
  joins.join(link(), GROUP, undefined);
  joins.stop();
  expect(held()).toEqual([]);
});

test('any source of a source-specific group is refused with what to do, and one source is joined (IGMP-151)', () => {
  const { joins, link, held, ifindex } = given();
  const refused = joins.join(link(), ip('232.1.1.1'), undefined);
  expect(refused).toMatchObject({ code: 'ERROR_INVALID_PARAMETER', detail: 'badSource' });
  expect(refused.message).toContain('source-specific range 232.0.0.0/8; name the source');
  expect(held()).toEqual([]);
  joins.join(link(), ip('232.1.1.1'), ip('10.0.0.5'));
  expect(held()).toEqual([`${ifindex} 232.1.1.1 include 10.0.0.5`]);
});

test('a successor holds what operators had joined, also where the interface comes later', async () => {
  const { joins, link } = given();
  joins.join(link(), GROUP, undefined);
  joins.join(link(), ip('232.1.1.1'), ip('10.0.0.5'));
  const saved = joins.saved();
  expect(saved).toEqual([
    { interface: 'eth0', group: '239.1.1.1', source: null },
    { interface: 'eth0', group: '232.1.1.1', source: '10.0.0.5' },
  ]);
  const kernel = new FakeKernel();
  const { links, membership } = kernel;
  const next = new HostJoins({ links, membership, log: new RecordingLog(), ssmRanges: [SSM], saved });
  next.start();
  expect(membership.list()).toEqual([]);
  kernel.addDevice('eth0', '10.0.0.1/24');
  await settle();
  expect(membership.list().map(({ group, filter }) => `${formatIp(group)} ${filter.mode}`)).toEqual([
    '239.1.1.1 exclude',
    '232.1.1.1 include',
  ]);
  expect(next.saved()).toEqual(saved);
});

test('what a state file says that is no address is left out', () => {
  const { links, membership } = new FakeKernel();
  const saved = [{ interface: 'eth0', group: 'nonsense', source: null }];
  const joins = new HostJoins({ links, membership, log: new RecordingLog(), ssmRanges: [SSM], saved });
  joins.start();
  expect(joins.saved()).toEqual([]);
});

test('a join of before without a source, in a range that is source-specific now, is left and told; one with a source stays (D1)', () => {
  const { links, membership } = new FakeKernel();
  const log = new RecordingLog();
  const saved = ['10.0.0.5', null].map((source, n) => ({ interface: 'eth0', group: `232.1.1.${n}`, source }));
  const joins = new HostJoins({ links, membership, log, ssmRanges: [SSM], saved });
  joins.start();
  expect(joins.saved()).toEqual([saved[0]]);
  expect(log.complaints()).toHaveLength(1);
});
