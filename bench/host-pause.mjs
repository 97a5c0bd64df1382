/**
 * What `pause.scope: host` costs (ADR 7): `node bench/host-pause.mjs` as root, after `npm run setup`. Prints one JSON line per
 * number of groups that another process has joined, with the time of pause and resume (median of 15, and least of them), and one with
 * what a setsockopt of another process takes, in ns. In a namespace of its own.
 */
import { spawn, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { openKernel } from '../dist/kernel/system.js';
import { median } from './lib/figures.mjs';

const INSIDE = '--inside';
const ROUNDS = 15;
const SETUP =
  'ip link set lo up && ip link add name lan type veth peer name far && ip address add 10.1.0.1/24 dev lan && ' +
  'ip link set lan up && ip link set far up && exec "$@"';

const JOIN = `
import socket, struct, sys
index, count, opened = int(sys.argv[1]), int(sys.argv[2]), []
for n in range(count):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(0, 35, socket.inet_aton('239.1.%d.%d' % (n >> 8, n & 255)) + bytes(4) + struct.pack('=i', index))
    opened.append(s)
print('joined', flush=True)
sys.stdin.read()
`;

const CALLS = `
import socket, struct, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
group = socket.inet_aton('239.2.0.1') + bytes(4) + struct.pack('=i', int(sys.argv[1]))
def each(count, *calls):
    best = None
    for _ in range(9):
        start = time.perf_counter_ns()
        for _ in range(count):
            for call in calls: s.setsockopt(*call)
        took = (time.perf_counter_ns() - start) / count / len(calls)
        best = took if best is None else min(best, took)
    return best
print(round(each(100000, (0, socket.IP_TTL, 5))), round(each(20000, (0, 35, group), (0, 36, group))))
`;

const nothing = () => undefined;
const log = { error: console.error, warn: console.error, info: nothing, debug: nothing, debugEnabled: false };
log.child = () => log;

function open(pauseScope) {
  const clock = { nowMs: () => performance.now(), after: () => ({ cancel: nothing }) };
  const opened = openKernel({ table: 253, pauseScope, clock, log });
  if (!opened.ok) throw opened.error;
  return opened.value;
}

function timed(run) {
  const start = performance.now();
  run();
  return performance.now() - start;
}

async function joined(ifindex, count) {
  const child = spawn('python3', ['-c', JOIN, ifindex, count], { stdio: ['pipe', 'pipe', 'inherit'] });
  await new Promise((resolve) => createInterface({ input: child.stdout }).once('line', resolve));
  return child;
}

async function pauses(scope, ifindex, groups) {
  const { membership, close } = open(scope);
  const [pauseMs, resumeMs, resumeAfterDeathMs] = [[], [], []];
  for (let round = 0; round < ROUNDS; round++) {
    const child = await joined(ifindex, groups);
    pauseMs.push(timed(() => membership.pause(ifindex)));
    resumeMs.push(timed(() => membership.resume(ifindex)));
    membership.pause(ifindex);
    await new Promise((resolve) => (child.once('exit', resolve), child.kill('SIGKILL')));
    resumeAfterDeathMs.push(timed(() => membership.resume(ifindex)));
  }
  close();
  const figures = {};
  for (const [name, all] of Object.entries({ pauseMs, resumeMs, resumeAfterDeathMs }))
    figures[name] = [median(all), Math.min(...all)].map((ms) => Number(ms.toFixed(2)));
  console.log(JSON.stringify({ scope, groups, ...figures }));
}

function calls(ifindex) {
  const measure = () =>
    spawnSync('python3', ['-c', CALLS, ifindex], { encoding: 'utf8' }).stdout.trim().split(' ').map(Number);
  const without = measure();
  const kernel = open('host');
  const idle = measure();
  kernel.membership.pause(1);
  const elsewhere = measure();
  kernel.close();
  const named = ([ttlNs, joinOrLeaveNs]) => ({ ttlNs, joinOrLeaveNs });
  console.log(JSON.stringify({ without: named(without), idle: named(idle), pausedElsewhere: named(elsewhere) }));
}

if (process.argv[2] === INSIDE) {
  const ifindex = Number(readFileSync('/proc/thread-self/net/igmp', 'utf8').match(/^(\d+)\s+lan\s/m)[1]);
  for (const scope of ['agent', 'host']) for (const groups of [0, 100, 1000]) await pauses(scope, ifindex, groups);
  calls(ifindex);
} else {
  const command = [process.execPath, fileURLToPath(import.meta.url), INSIDE];
  process.exitCode = spawnSync('unshare', ['-n', 'sh', '-c', SETUP, 'sh', ...command], { stdio: 'inherit' }).status;
}
