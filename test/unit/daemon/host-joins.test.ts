import { expect, test } from 'vitest';
import { formatIp, ip } from '../../../src/base/ip.js';
import { HostJoins } from '../../../src/daemon/host-joins.js';
import { settle } from '../../support/fake-clock.js';
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

test('F08 a join is told to the kernel again when the interface is re-created', async () => {
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

test('stop leaves everything', () => {
  const { joins, link, held } = given();
  joins.join(link(), GROUP, undefined);
  joins.stop();
  expect(held()).toEqual([]);
});

test('IGMP-151 any source of a source-specific group is refused with what to do, and one source is joined', () => {
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
