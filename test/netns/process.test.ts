/** The process itself: signals, a log that nobody reads, reloads in a row, and programs at the end of a pipe. */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { closeSync, constants, openSync, readdirSync, readFileSync, readSync, writeFileSync, writeSync } from 'node:fs';
import { constants as os } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import { DAEMON, Daemon, TOOL } from '../support/daemon.js';
import { eventually } from '../support/eventually.js';
import { Service } from '../support/service.js';
import { type Namespace, type Net, netnsTest } from '../support/topology.js';

const config = (socket: string) => `
control: { socket: ${socket} }
log: { level: debug }
restart: { window: 1s }
interfaces:
  lan: { owner: red, igmp: { startupQueryInterval: 100ms, queryResponseInterval: 100ms, startupQueryCount: 1 } }
static:
  red: {}
`;

function place(net: Net): Namespace {
  const router = net.router('router');
  net.host('host', router, 'lan', '10.1.0');
  return router;
}

function listeners(router: Namespace): string {
  return router.run('ss', '-Hltn');
}

/** What a signal may be sent without ending the daemon, the runtime's debugger first. */
const HARMLESS = [
  'SIGUSR1',
  'SIGUSR2',
  'SIGALRM',
  'SIGVTALRM',
  'SIGIO',
  'SIGPWR',
  'SIGPIPE',
  'SIGWINCH',
  'SIGCHLD',
  'SIGURG',
] as const;

netnsTest('no signal opens a debugger, and those that mean nothing do nothing (B1)', async (net) => {
  const router = place(net);
  const daemon = await router.daemon(config);
  for (const signal of [...HARMLESS, ...HARMLESS]) {
    daemon.process.signal(signal);
    expect(daemon.ctl('status')).toMatchObject({});
  }
  expect(daemon.process.running()).toBe(true);
  expect(listeners(router)).toBe('');
  expect(await daemon.stop()).toBe(0);
});

const LAUNCHER = fileURLToPath(new URL('../../packaging/npm/mgmd', import.meta.url));

/** Sends SIGUSR1 as soon as the runtime listens to it, which is before the first statement of mgmd. */
function signalEarly(pid: number): void {
  const bit = 1n << BigInt(os.signals.SIGUSR1 - 1);
  const caught = () => /^SigCgt:\s*(\w+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? '0';
  const untilMs = performance.now() + 5000;
  while ((BigInt(`0x${caught()}`) & bit) === 0n && performance.now() < untilMs);
  process.kill(pid, 'SIGUSR1');
}

for (const [way, command] of [
  ['the npm package', [LAUNCHER]],
  ['node main.js', ['node', DAEMON]],
] as const)
  netnsTest(`SIGUSR1 before the first statement: no debugger is open when ${way} runs (B1)`, async (net) => {
    const router = place(net);
    const folder = net.temporaryDirectory();
    const file = join(folder, 'mgmd.yaml');
    writeFileSync(file, config(join(folder, 'mgmd.sock')));
    const daemon = router.spawn(command[0], [...command.slice(1), '--config', file]);
    signalEarly(daemon.pid);
    await eventually('the daemon to serve', () => daemon.lines.some((line) => line.includes('"daemon.started"')));
    expect(listeners(router)).toBe('');
    if (command[0] === LAUNCHER) expect(daemon.errors.join('\n')).not.toContain('Debugger listening');
    daemon.signal('SIGTERM');
    expect(await daemon.end()).toBe(0);
  });

netnsTest('without a service manager the native library for it is not loaded, with one it is (B7)', async (net) => {
  const router = place(net);
  const isLoaded = (pid: number) => readFileSync(`/proc/${pid}/maps`, 'utf8').includes('ffi-rs');
  const alone = await router.daemon(config);
  expect(isLoaded(alone.process.pid)).toBe(false);
  expect(await alone.stop()).toBe(0);
  const service = await new Service(net, router, config).start();
  const [started] = service.events('daemon.started');
  expect(isLoaded(Number(started?.['pid']))).toBe(true);
});

netnsTest('a debugger that was asked for at the start is closed before anything else happens (B1)', async (net) => {
  const router = place(net);
  const folder = net.temporaryDirectory();
  const file = join(folder, 'mgmd.yaml');
  writeFileSync(file, config(join(folder, 'mgmd.sock')));
  const process = router.spawn('node', [DAEMON, '--config', file], { NODE_OPTIONS: '--inspect' });
  await eventually('the daemon to serve', () => process.lines.some((line) => line.includes('"daemon.started"')));
  expect(listeners(router)).toBe('');
  process.signal('SIGTERM');
  expect(await process.end()).toBe(0);
});

netnsTest(
  'reloads in a row end nothing, the last configuration holds, and no descriptor is left over (B3)',
  async (net) => {
    const router = place(net);
    const daemon = await router.daemon(config);
    const starts = () => daemon.events('daemon.started').length;
    const ended = () => daemon.events('daemon.warm-start.ended').length;
    const open = () => readdirSync(`/proc/${daemon.process.pid}/fd`).length;
    daemon.process.signal('SIGHUP');
    await eventually('the first window to end', () => ended() === 1);
    const before = { starts: starts(), open: open() };
    for (let at = 0; at < 20; at++) {
      writeFileSync(daemon.configFile, config(daemon.controlSocket).replace('red: {}', `red: {}\n  number${at}: {}`));
      daemon.process.signal('SIGHUP');
      await new Promise((resolve) => setImmediate(resolve));
    }
    await eventually('the last configuration to hold', () => {
      return starts() > before.starts && daemon.ctl<{ protocols: string[] }>('status').protocols.includes('number19');
    });
    await eventually('what the lives before held to be closed', () => open() <= before.open);
    daemon.process.signal('SIGHUP');
    daemon.process.signal('SIGTERM');
    daemon.process.signal('SIGTERM');
    expect(await daemon.process.end()).toBe(0);
    expect(daemon.events('daemon.stopped')).toHaveLength(1);
  },
);

netnsTest('a log that nobody reads stops neither requests nor reloads nor the end (B2)', async (net) => {
  const router = place(net);
  const pipe = join(net.temporaryDirectory(), 'log');
  execFileSync('mkfifo', [pipe]);
  // both ends are here, and nobody reads
  const reader = openSync(pipe, constants.O_RDWR | constants.O_NONBLOCK);
  fill(reader);
  const daemon = new Daemon(router, net.temporaryDirectory(), config);
  await daemon.process.kill();
  const words = [process.execPath, DAEMON, '--config', daemon.configFile].join(' ');
  const child = router.spawn('/bin/sh', ['-c', `exec ${words} > ${pipe}`]);
  await eventually('the daemon to serve', () => answers(daemon));
  for (let life = 0; life < 5; life++) {
    child.signal('SIGHUP');
    await eventually('the next life to serve', () => answers(daemon));
  }
  child.signal('SIGTERM');
  expect(await child.end()).toBe(0);
  const text = readAll(reader);
  closeSync(reader);
  // no line of it came, and none stopped it
  expect(text).toMatch(/^[x\n]+$/);
});

/** Until the pipe takes no more. */
function fill(pipe: number): void {
  const page = Buffer.alloc(4096, 'x');
  page[4095] = 0x0a;
  try {
    for (;;) writeSync(pipe, page);
  } catch {
    // EAGAIN: it is full
  }
}

function answers(daemon: Daemon): boolean {
  try {
    daemon.ctl('status');
    return true;
  } catch {
    return false;
  }
}

function readAll(fd: number): string {
  const parts: Buffer[] = [];
  for (;;) {
    const part = Buffer.alloc(65_536);
    try {
      parts.push(part.subarray(0, readSync(fd, part)));
    } catch {
      return Buffer.concat(parts).toString('utf8');
    }
  }
}

netnsTest(
  '--check tells every mistake to a reader that is slow, and ends quietly when the reader goes (B6)',
  async (net) => {
    const file = join(net.temporaryDirectory(), 'mgmd.yaml');
    writeFileSync(file, Array.from({ length: 5000 }, (_, at) => `unknown${at}: 1\n`).join(''));
    const words = `${process.execPath} ${DAEMON} --config ${file} --check`;
    const slow = spawnSync('/bin/bash', ['-c', `{ ${words} 2>&1; echo "code $?"; } | { sleep 1; cat; }`], {
      encoding: 'utf8',
    });
    const lines = slow.stdout.trim().split('\n');
    expect(lines).toHaveLength(5001);
    expect(lines.at(-1)).toBe('code 78');
    const gone = spawnSync('/bin/bash', ['-c', `{ ${words} 2>&1; echo "code $?" >&2; } | head -n 1`], {
      encoding: 'utf8',
    });
    expect(gone.stdout.trim().split('\n')).toHaveLength(1);
    expect(gone.stderr).toBe('code 78\n');
    const help = spawn(process.execPath, [TOOL, '--help'], { stdio: ['ignore', 'pipe', 'pipe'] });
    help.stdout.destroy();
    expect(await new Promise((resolve) => help.once('exit', resolve))).toBe(0);
  },
);
