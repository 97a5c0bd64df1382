/** The kernel's list of joined groups: dump and notifications against what programs really did. */
import { createSocket } from 'node:dgram';
import { afterEach, expect, test } from 'vitest';
import { formatIp } from '../../src/base/ip.js';
import { loadAddon } from '../../src/kernel/addon.js';
import { HostGroups } from '../../src/kernel/host/host-groups.js';
import { parseProcIgmp } from '../../src/kernel/membership/host-memberships.js';
import { eventually } from '../support/eventually.js';
import { RecordingLog } from '../support/recording-log.js';
import { ifindexOf, removeDevices, veth } from './own-namespace.js';

afterEach(() => removeDevices());

test('a group that any program joins is listed and notified, and so is the last leave', async () => {
  // given an interface and somebody who watches
  veth('a', '10.1.0.1/24');
  const groups = new HostGroups(loadAddon(), new RecordingLog());
  const heard: string[] = [];
  expect(groups.onChange(({ kind, group }) => heard.push(`${kind} ${formatIp(group)}`))).toBeUndefined();
  // when another program's socket joins and closes
  const socket = createSocket('udp4');
  socket.addMembership('239.1.2.3', '10.1.0.1');
  const listed = async () => (await groups.listLater()).filter(({ group }) => formatIp(group) === '239.1.2.3');
  expect(await listed()).toEqual([{ ifindex: ifindexOf('a'), group: expect.anything() as unknown }]);
  socket.close();
  // then both are heard, and the list is without it
  await eventually('the leave', () => heard.includes('left 239.1.2.3'));
  expect(heard.filter((line) => line.endsWith('239.1.2.3'))).toEqual(['joined 239.1.2.3', 'left 239.1.2.3']);
  expect(await listed()).toEqual([]);
  groups.close();
});

test('the text of /proc/net/igmp, for kernels that answer no dump, is read the same', () => {
  const text = [
    'Idx\tDevice    : Count Querier\tGroup    Users Timer\tReporter',
    '1\tlo        :     1      V3',
    '\t\t\t\t010000E0     1 0:00000000\t\t0',
    '3\tb         :     2      V3',
    '\t\t\t\t030201EF     1 0:00000000\t\t0',
    '\t\t\t\t010000E0     1 0:00000000\t\t0',
  ].join('\n');
  expect(parseProcIgmp(text).map(({ ifindex, group }) => `${ifindex} ${formatIp(group)}`)).toEqual([
    '1 224.0.0.1',
    '3 239.1.2.3',
    '3 224.0.0.1',
  ]);
});
