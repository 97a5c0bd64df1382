/**
 * Builds and runs the tests of the plain C++ layer with what building the addon needs anyway, g++ and make. Nothing but
 * what has changed is compiled again. `node scripts/native.mjs ctest` runs the same tests with sanitizers, by cmake.
 */
import { spawnSync } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { filesBelow, main, Refusal, root, runQuietly } from './support.mjs';

/** Runs them and passes their output on. */
export function runNativeTests() {
  const { variables } = JSON.parse(readFileSync(path.join(root, 'native/sources.gypi'), 'utf8'));
  const tests = filesBelow('native/tests').filter((file) => file.endsWith('.cc'));
  runQuietly('the build of the native tests', 'make', [
    '--file=native/tests/Makefile',
    `--jobs=${availableParallelism()}`,
    `SOURCES=${[...variables.core_sources, ...tests].join(' ')}`,
  ]);
  const { status, stdout, stderr, error } = spawnSync('build-native/tests', { cwd: root, encoding: 'utf8' });
  if (error) throw new Refusal(`the native tests cannot be started: ${error.message}`);
  process.stdout.write(stdout + stderr);
  const [, passed = 0, failed = 1] = /(\d+) passed, (\d+) failed\s*$/.exec(stdout) ?? [];
  return { passed: Number(passed), failed: status === 0 ? Number(failed) : Math.max(Number(failed), 1) };
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  main('native-tests', () => {
    if (runNativeTests().failed > 0) process.exitCode = 1;
  });
