/**
 * The place where everything is measured: namespaces of our own, in them a router between two links.
 *
 *   this namespace: s0 ---- send [namespace r] recv ---- h0
 *
 * s0 and h0 have no addresses; one generator process speaks for the hosts behind them (reference/wire.c).
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';

const INSIDE = 'MGMD_BENCH_NAMESPACES';
const ROUTER = 'r';
/** Put before a command's words to run it where the router is. `ip` replaces itself, so the process id stays. */
export const inRouter = ['ip', 'netns', 'exec', ROUTER];

/** Runs this program again in fresh namespaces, unless it is there already. Does not return in the outer process. */
export function enterNamespaces() {
  if (process.env[INSIDE]) return mountOwnRun();
  const flags = process.getuid() === 0 ? '-nm' : '-Urnm';
  const args = [flags, process.execPath, ...process.argv.slice(1)];
  const inner = spawnSync('unshare', args, { stdio: 'inherit', env: { ...process.env, [INSIDE]: '1' } });
  if (inner.error) throw inner.error;
  process.exit(inner.status ?? 1);
}

function mountOwnRun() {
  execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', '/run']);
  ip('link set lo up');
}

function ip(words) {
  execFileSync('ip', words.split(' '), { stdio: ['ignore', 'inherit', 'inherit'] });
}

function run(...words) {
  execFileSync(words[0], words.slice(1));
}

function sysctl(setting, ...prefix) {
  run(...prefix, 'sysctl', '-qw', setting);
}

/** Compiles reference/*.c into a directory that is gone with this process's namespaces. */
export function buildReference() {
  const directory = mkdtempSync('/run/bench-');
  const source = (name) => join(import.meta.dirname, '../reference', name);
  const compile = (output, ...files) =>
    run('gcc', '-O2', '-Wall', '-Wextra', '-o', join(directory, output), ...files.map(source));
  compile('router', 'router.c');
  compile('traffic', 'traffic.c', 'flows.c', 'wire.c');
  return { directory, router: join(directory, 'router'), traffic: join(directory, 'traffic') };
}

/** A fresh router namespace with both links; the old one's state is gone with it. */
export function resetTopology() {
  spawnSync('ip', ['netns', 'delete', ROUTER], { stdio: 'ignore' });
  for (const name of ['s0', 'h0']) spawnSync('ip', ['link', 'delete', name], { stdio: 'ignore' });
  ip(`netns add ${ROUTER}`);
  for (const [near, far, address] of [
    ['s0', 'send', '10.1.0.1/24'],
    ['h0', 'recv', '10.2.0.1/24'],
  ]) {
    ip(`link add ${near} type veth peer name ${far} netns ${ROUTER}`);
    sysctl(`net.ipv6.conf.${near}.disable_ipv6=1`);
    sysctl(`net.ipv6.conf.${far}.disable_ipv6=1`, ...inRouter);
    sysctl(`net.ipv4.conf.${far}.rp_filter=0`, ...inRouter);
    ip(`-n ${ROUTER} addr add ${address} dev ${far}`);
    ip(`-n ${ROUTER} link set ${far} up`);
    ip(`link set ${near} up`);
  }
  sysctl('net.ipv4.conf.all.rp_filter=0', ...inRouter);
  ip(`-n ${ROUTER} link set lo up`);
}
