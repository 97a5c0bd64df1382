/** How the daemon gets hold of the kernel, and what its end tells a script. */
import { expect, test } from 'vitest';
import { KernelError } from '../../../src/base/errors.js';
import { err } from '../../../src/base/result.js';
import { parseConfig } from '../../../src/config/parse.js';
import type { Config } from '../../../src/config/types.js';
import { readArguments } from '../../../src/daemon/process/arguments.js';
import { exitCodeOf } from '../../../src/daemon/process/exit-codes.js';
import { groupIdOf, obtainKernel, reportLeftovers } from '../../../src/daemon/start.js';
import { SystemClock } from '../../../src/daemon/process/system-clock.js';
import { OPENING_THE_GATE } from '../../../src/kernel/membership/pause-gate.js';
import { eventually } from '../../support/eventually.js';
import { FakeClock } from '../../support/fake-clock.js';
import { RecordingLog } from '../../support/recording-log.js';

function config(): Config {
  const parsed = parseConfig('', 'mgmd.yaml');
  if (!parsed.ok) throw new Error('the empty configuration is good');
  return parsed.value.config;
}

const nobody = { predecessor: undefined, poolOpened: undefined };
const refusedBy = (op: string, code: string) => new KernelError(op, 'a socket', 1, code, 'Do something.');

test.each([
  ['the table is held (F01)', 'MRT_INIT', 'EADDRINUSE', 69],
  ['another address in use is an OS error', 'MRT_ADD_VIF', 'EADDRINUSE', 71],
  ['the kernel was built without multicast routing (F39)', 'MRT_INIT', 'ENOPROTOOPT', 76],
  ['the kernel knows no IGMP socket (F39)', 'opening', 'EPROTONOSUPPORT', 76],
  ['no CAP_NET_RAW (F40)', 'opening', 'EPERM', 77],
  ['no CAP_NET_ADMIN (F40)', 'MRT_TABLE', 'EACCES', 77],
  ['the kernel is too old for the gate (F39)', OPENING_THE_GATE, 'EINVAL', 76],
  ['the gate may not be loaded (F40)', OPENING_THE_GATE, 'EPERM', 77],
  ['there is no room for the gate', OPENING_THE_GATE, 'ENOMEM', 71],
  ['an invalid call of another kind', 'opening', 'EINVAL', 71],
  ['anything else the system refuses', 'opening', 'EMFILE', 71],
])('%s: exit code %4$d', (_what, op, code, exit) => {
  expect(exitCodeOf(refusedBy(op, code))).toBe(exit);
});

test('a kernel that refuses is logged with what to do, once, and ends the start (F40)', async () => {
  const log = new RecordingLog();
  const open = () => err(refusedBy('opening', 'EPERM'));
  const stop = new AbortController().signal;
  const clock = new FakeClock();
  const result = await obtainKernel({ config: config(), clock, log, wait: true, stop, open, ...nobody });
  expect(result).toEqual({ ok: false, error: 77 });
  expect(log.lines.map(({ level, message }) => [level, message])).toEqual([
    ['error', 'opening on a socket failed: EPERM (1). Do something.'],
  ]);
});

test('a held table ends the start with 69, or is waited for until somebody says stop (F01)', async () => {
  const log = new RecordingLog();
  let tries = 0;
  const open = () => {
    tries++;
    return err(refusedBy('MRT_INIT', 'EADDRINUSE'));
  };
  const stop = new AbortController();
  const clock = new FakeClock();
  const opening = { config: config(), clock, log, stop: stop.signal, open, ...nobody };
  expect(await obtainKernel({ ...opening, wait: false })).toEqual({ ok: false, error: 69 });
  expect(log.of('daemon.kernel.refused')[0]?.message).toContain('With --wait mgmd takes over when it is free.');
  // when told to wait, then it says so once and tries until it is stopped
  const waiting = obtainKernel({ ...opening, wait: true });
  await clock.run(3000);
  expect(tries).toBe(1 + 4);
  stop.abort();
  expect(await waiting).toEqual({ ok: false, error: 'stopped' });
  expect(log.of('daemon.table.held')).toHaveLength(1);
  expect(clock.due()).toBe(0);
});

test('what an earlier life left is counted, and a cold start says what it means (F03, F04)', () => {
  const log = new RecordingLog();
  reportLeftovers({ leftovers: { entries: 2, vifs: 0 } }, log);
  expect(log.lines.map(({ fields }) => fields.evt)).toEqual(['kernel.leftovers.removed', 'daemon.cold-start']);
  expect(log.lines[0]?.fields).toMatchObject({ entries: 2, vifs: 0 });
  reportLeftovers({ leftovers: { entries: 0, vifs: 0 } }, log);
  expect(log.of('kernel.leftovers.removed')).toHaveLength(1);
});

test('the group of the control socket is looked up by name', () => {
  const groups = 'root:x:0:\nmgmd:x:998:alice\nbroken\n';
  expect(groupIdOf('mgmd', groups)).toBe(998);
  expect(groupIdOf('nobody', groups)).toBeUndefined();
  expect(groupIdOf('broken', groups)).toBeUndefined();
});

test('the command line is read, and what is wrong with it is said', () => {
  expect(readArguments(['--config', 'x.yaml', '--check'])).toEqual({
    ok: true,
    value: { config: 'x.yaml', check: true, wait: false, version: false, help: false },
  });
  expect(readArguments([])).toMatchObject({ ok: true, value: { config: '/etc/mgmd/mgmd.yaml' } });
  expect(readArguments(['--confg', 'x'])).toEqual({
    ok: false,
    error: `Unknown option '--confg'; "mgmd --help" lists the options`,
  });
  expect(readArguments(['--config'])).toMatchObject({ ok: false });
  expect(readArguments(['x.yaml'])).toMatchObject({ ok: false });
});

test('the system clock never fires early, and a cancelled timer not at all', async () => {
  const clock = new SystemClock();
  const fired: string[] = [];
  clock.after(1, () => fired.push('cancelled')).cancel();
  for (const delayMs of [0, 0.4, 3.7]) {
    const fromMs = clock.nowMs();
    clock.after(delayMs, () => fired.push(clock.nowMs() - fromMs >= delayMs ? 'in time' : 'early'));
  }
  expect(fired).toEqual([]);
  await eventually('three timers', () => fired.length === 3);
  expect(fired).toEqual(['in time', 'in time', 'in time']);
});
