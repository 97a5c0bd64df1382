/** Sockets passed on by number and name: which are taken, which are closed, and what they are called for their whole life. */
import { closeSync, fstatSync, openSync } from 'node:fs';
import { expect, test } from 'vitest';
import { DescriptorNames, discard, passedByParent, predecessorOf } from '../../../src/daemon/state/descriptors.js';
import { isStopJob, unitOf } from '../../../src/daemon/process/service-job.js';
import { RecordingLog } from '../../support/recording-log.js';

const open = () => openSync('/dev/null', 'r');

function isOpen(fd: number): boolean {
  try {
    fstatSync(fd);
    return true;
  } catch {
    return false;
  }
}

test('descriptors are taken from the parent when they are meant for us, and no child of ours sees the variables', () => {
  const env = { LISTEN_FDS: '2', LISTEN_FDNAMES: 'mroute4:member4.0', LISTEN_PID: '77', PATH: '/bin' };
  expect(passedByParent(env, 77)).toEqual([
    { name: 'mroute4', fd: 3 },
    { name: 'member4.0', fd: 4 },
  ]);
  expect(env).toEqual({ PATH: '/bin' });
});

test.each([
  ['meant for another process', { LISTEN_FDS: '1', LISTEN_FDNAMES: 'mroute4', LISTEN_PID: '78' }],
  ['none', {}],
  ['a count that is no number', { LISTEN_FDS: 'many', LISTEN_PID: '77' }],
  ['a negative count', { LISTEN_FDS: '-1', LISTEN_PID: '77' }],
])('there are no descriptors: %s', (_what, env) => {
  expect(passedByParent({ ...env }, 77)).toEqual([]);
});

test('a stranger among the descriptors is closed and named in the log', () => {
  const log = new RecordingLog();
  const passed = ['stored', 'member4.7', 'mroute4'].map((name) => ({ name, fd: open() }));
  const { predecessor, useless } = predecessorOf(passed, 253, log);
  expect(predecessor).toMatchObject({ routing: passed[2]!.fd, memberships: [passed[1]] });
  expect(useless).toEqual([passed[0]]);
  expect(passed.map(({ fd }) => isOpen(fd))).toEqual([false, true, true]);
  expect(log.of('daemon.descriptor.unknown')).toHaveLength(1);
  for (const { fd } of passed.slice(1)) closeSync(fd);
});

test('the routing socket of another table is of no use, and memberships without one are not either (F53)', () => {
  const passed = ['mroute4.100', 'member4.0'].map((name) => ({ name, fd: open() }));
  expect(predecessorOf(passed, 253, new RecordingLog()).predecessor).toBeUndefined();
  expect(passed.map(({ fd }) => isOpen(fd))).toEqual([false, false]);
});

test('what the kernel layer has closed already is not closed again, nor what has its number now', () => {
  const passed = ['mroute4', 'member4.0'].map((name) => ({ name, fd: open() }));
  const { predecessor } = predecessorOf(passed, 253, new RecordingLog());
  const [routing, membership] = passed.map(({ fd }) => fd);
  closeSync(routing!);
  const other = openSync('/dev/zero', 'r');
  expect(other).toBe(routing);
  discard(predecessor!);
  expect([isOpen(other), isOpen(membership!)]).toEqual([true, false]);
  closeSync(other);
  discard(predecessor!);
});

test('a pool keeps the name under which it is stored, and no name is given twice', () => {
  const inherited = ['member4.3', 'member4.4'].map((name, n) => ({ name, fd: 50 + n }));
  const names = new DescriptorNames(100, { routing: 40, memberships: inherited, inodes: new Map() });
  expect([names.newPool(), names.newPool()]).toEqual(['member4.5', 'member4.6']);
  expect(names.named({ routing: 9, pools: [10, 11], inherited: [12, 13] })).toEqual([
    { name: 'mroute4.100', fd: 9 },
    { name: 'member4.5', fd: 10 },
    { name: 'member4.6', fd: 11 },
    { name: 'member4.3', fd: 12 },
    { name: 'member4.4', fd: 13 },
  ]);
});

test('what could not be duplicated is not passed on', () => {
  const names = new DescriptorNames(253, undefined);
  expect(names.named({ routing: 9, pools: [-24], inherited: [] })).toEqual([{ name: 'mroute4', fd: 9 }]);
});

test('a restart is told from a stop by the jobs of systemd', () => {
  expect(unitOf('0::/system.slice/mgmd.service\n')).toBe('mgmd.service');
  expect(unitOf('0::/system.slice/system-mgmd.slice/mgmd@lab.service')).toBe('mgmd@lab.service');
  expect(unitOf('0::/user.slice/session-1.scope')).toBeUndefined();
  expect(isStopJob('812 mgmd.service stop running\n', 'mgmd.service')).toBe(true);
  expect(isStopJob('812 mgmd.service restart running\n', 'mgmd.service')).toBe(false);
  expect(isStopJob('9 other.service stop waiting\n12 mgmd.service restart running\n', 'mgmd.service')).toBe(false);
  expect(isStopJob('', 'mgmd.service')).toBe(false);
});
