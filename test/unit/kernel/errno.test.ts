import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { errnoName, kernelError, refusal } from '../../../src/kernel/errno.js';
import { formatSuspects, rawIgmpInodes, suspects } from '../../../src/kernel/table-holder.js';

const TARGET = 'the IPv4 multicast routing socket';

test('every error has its name; of two names for a number the one in the manuals', () => {
  expect([1, 2, 11, 92, 93, 95, 98, 105].map(errnoName)).toEqual([
    'EPERM',
    'ENOENT',
    'EAGAIN',
    'ENOPROTOOPT',
    'EPROTONOSUPPORT',
    'EOPNOTSUPP',
    'EADDRINUSE',
    'ENOBUFS',
  ]);
  expect(errnoName(9999)).toBe('E9999');
});

test('a table in use says who holds it and what to do (F01)', () => {
  expect(kernelError('MRT_INIT', TARGET, 98).message).toBe(
    'MRT_INIT on the IPv4 multicast routing socket failed: EADDRINUSE (98). Another multicast routing daemon holds this table in this network namespace; stop that one first.',
  );
});

test('a kernel without multicast routing is named with the option it lacks (F39)', () => {
  expect(kernelError('MRT_INIT', TARGET, 92).message).toContain('CONFIG_IP_MROUTE');
  expect(kernelError('opening', 'the raw IGMP socket', 93).message).toContain('CONFIG_IP_MROUTE');
  expect(kernelError('MRT_TABLE', TARGET, 92).message).toContain('CONFIG_IP_MROUTE_MULTIPLE_TABLES');
});

test('a process that may not is told which capabilities it needs (F40)', () => {
  for (const errno of [1, 13]) {
    const error = kernelError('opening', 'the raw IGMP socket', errno);
    expect(error.message).toContain('CAP_NET_RAW');
    expect(error.message).toContain('CAP_NET_ADMIN');
  }
});

test('success is no error', () => {
  expect(refusal('MRT_FLUSH', 'table 253', 0)).toBeUndefined();
  expect(refusal('MRT_FLUSH', 'table 253', 2)?.code).toBe('ENOENT');
});

const RAW = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
   1: 00000000:0001 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 111 2 0000000000000000 0
   2: 00000000:0002 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 222 2 0000000000000000 0
 nonsense
`;

test('raw IGMP sockets are those with 0002 in place of a port', () => {
  expect([...rawIgmpInodes(RAW)]).toEqual(['222']);
  expect(rawIgmpInodes('').size).toBe(0);
});

test('suspects are the processes that have such a socket open, ourselves not counted, and no more than asked for', () => {
  const proc = mkdtempSync(join(tmpdir(), 'proc-'));
  const add = (pid: number, comm: string, link: string) => {
    mkdirSync(join(proc, String(pid), 'fd'), { recursive: true });
    writeFileSync(join(proc, String(pid), 'comm'), `${comm}\n`);
    symlinkSync(link, join(proc, String(pid), 'fd', '3'));
  };
  mkdirSync(join(proc, 'thread-self/net'), { recursive: true });
  writeFileSync(join(proc, 'thread-self/net/raw'), RAW);
  add(801, 'sshd', 'socket:[333]');
  add(812, 'smcrouted', 'socket:[222]');
  add(813, 'pimd', 'socket:[222]');
  add(process.pid, 'ourselves', 'socket:[222]');
  mkdirSync(join(proc, '900'));
  const found = suspects(proc);
  const one = suspects(proc, { processes: 100, descriptorsPerProcess: 10, suspects: 1 });
  rmSync(proc, { recursive: true });
  expect([...found].sort((a, b) => a.pid - b.pid)).toEqual([
    { pid: 812, comm: 'smcrouted' },
    { pid: 813, comm: 'pimd' },
  ]);
  expect(one).toHaveLength(1);
  expect(formatSuspects(one)).toMatch(/^(smcrouted \(pid 812\)|pimd \(pid 813\))$/);
  expect(suspects(join(proc, 'nowhere'))).toEqual([]);
});

const SENT = 'eth1 (from 10.0.0.1 to 224.0.0.1)';

test.each([
  ['EPERM', 'output hook'],
  ['EACCES', 'output hook'],
  ['EINVAL', 'lost it'],
  ['EADDRNOTAVAIL', 'lost it'],
  ['ENETUNREACH', 'is down'],
  ['ENETDOWN', 'is down'],
  ['ENODEV', 'does not exist'],
  ['ENOBUFS', 'queue'],
  ['EMSGSIZE', 'MTU'],
] as const)('a message that cannot be sent for %s names the interface and the likely cause (C6)', (code, cause) => {
  const { message } = kernelError('sending IGMP', SENT, constants.errno[code]);
  expect(message).toContain('eth1');
  expect(message).toContain(cause);
});

test.each(['EINVAL', 'ENODEV', 'EADDRNOTAVAIL', 'ENOBUFS', 'ENOMEM', 'EPERM'] as const)(
  'a join, and a vif, that are refused for %s have an advice of their own (C6)',
  (code) => {
    for (const op of ['joining a group', 'MRT_ADD_VIF'])
      expect(kernelError(op, 'eth1', constants.errno[code]).advice).not.toContain('not expected');
  },
);
