/**
 * `npm test`: every test, inside namespaces of its own, so that no root is needed and nothing is left behind.
 * Words behind `--` go to vitest: `npm test -- test/unit/mgm`. The last line is `N passed, N failed`.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const words = process.argv.slice(2);
const INSIDE = 'MGMD_TEST_INSIDE';
const PREPARE = 'mount -t tmpfs tmpfs /run && ip link set lo up && exec "$@"';

function fail(message) {
  console.error(`test: ${message}`);
  process.exit(1);
}

function run(command, args, options = {}) {
  return spawnSync(command, args, { cwd: root, stdio: 'inherit', ...options });
}

/** Runs this file again inside; fails, and does not skip, where that is not allowed. */
function enterNamespaces() {
  const flags = process.getuid() === 0 ? ['-nm'] : ['-Urnm'];
  const unshare = ['unshare', ...flags, '--fork', '--kill-child', 'sh', '-c', PREPARE, 'sh'];
  const trial = run(unshare[0], [...unshare.slice(1), 'true'], { stdio: 'pipe', encoding: 'utf8' });
  if (trial.status !== 0) {
    const why = trial.error?.message ?? trial.stderr.trim();
    fail(
      `network namespaces cannot be made here (${why}). The tests need root, or user namespaces for this user ` +
        '(sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone), and iproute2 and util-linux.',
    );
  }
  const inside = run(unshare[0], [...unshare.slice(1), process.execPath, fileURLToPath(import.meta.url), ...words], {
    env: { ...process.env, [INSIDE]: '1' },
  });
  process.exit(inside.status ?? 1);
}

/** The tests of the C++ layer, with nothing but g++; returns [passed, failed]. */
function nativeTests() {
  const folder = mkdtempSync(join(tmpdir(), 'mgmd-native-'));
  try {
    const { variables } = JSON.parse(readFileSync(join(root, 'native/sources.gypi'), 'utf8'));
    const tests = readdirSync(join(root, 'native/tests')).filter((name) => name.endsWith('.cc'));
    const sources = [...variables.core_sources, ...tests.map((name) => `native/tests/${name}`)];
    const flags = [
      '-std=c++20',
      '-Wall',
      '-Wextra',
      '-fno-exceptions',
      '-g',
      '-iquote',
      'native',
      '-iquote',
      'native/tests',
    ];
    const built = run('g++', [...flags, ...sources, '-o', join(folder, 'tests')]);
    if (built.status !== 0) return [0, 1];
    const { stdout, status } = run(join(folder, 'tests'), [], {
      stdio: ['ignore', 'pipe', 'inherit'],
      encoding: 'utf8',
    });
    process.stdout.write(stdout ?? '');
    const counts = /native: (\d+) passed, (\d+) failed/.exec(stdout ?? '');
    return counts ? [Number(counts[1]), Number(counts[2]) || Number(status !== 0)] : [0, 1];
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Every vitest project; returns [passed, failed]. */
function vitest() {
  const folder = join(root, 'node_modules/.cache/mgmd');
  mkdirSync(folder, { recursive: true });
  const report = join(folder, `vitest-${process.pid}.json`);
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
  const { status } = run(process.execPath, ['node_modules/vitest/vitest.mjs', 'run', ...reporters, ...words]);
  try {
    const { numPassedTests, numFailedTests } = JSON.parse(readFileSync(report, 'utf8'));
    return [numPassedTests, numFailedTests || Number(status !== 0)];
  } catch {
    return [0, 1];
  } finally {
    rmSync(report, { force: true });
  }
}

if (!process.env[INSIDE]) enterNamespaces();
const results = words.length > 0 ? [vitest()] : [nativeTests(), vitest()];
const passed = results.reduce((sum, [count]) => sum + count, 0);
const failed = results.reduce((sum, [, count]) => sum + count, 0);
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 && passed > 0 ? 0 : 1);
