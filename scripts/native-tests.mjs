/**
 * Builds and runs the tests of the plain C++ layer, with what building the addon needs anyway. `node scripts/native.mjs ctest`
 * runs the same tests with sanitizers, by cmake.
 */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { buildAddon } from './node-gyp.mjs';
import { main, Refusal, root } from './support.mjs';

/** Runs them and passes their output on. */
export function runNativeTests() {
  buildAddon('native_tests');
  const { status, stdout, stderr, error } = spawnSync('build/Release/native_tests', { cwd: root, encoding: 'utf8' });
  if (error) throw new Refusal(`the native tests cannot be started: ${error.message}`);
  process.stdout.write(stdout + stderr);
  const [, passed = 0, failed = 1] = /(\d+) passed, (\d+) failed\s*$/.exec(stdout) ?? [];
  return { passed: Number(passed), failed: status === 0 ? Number(failed) : Math.max(Number(failed), 1) };
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  main('native-tests', () => {
    if (runNativeTests().failed > 0) process.exitCode = 1;
  });
