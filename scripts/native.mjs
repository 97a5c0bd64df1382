/**
 * The checks of the C++ side that `npm test` does not need:
 *   node scripts/native.mjs ctest      the plain layer's own tests, with sanitizers, without Node  (cmake)
 *   node scripts/native.mjs cmake-js   the addon by the second build, in build-cmake/              (cmake)
 *   node scripts/native.mjs asan       the addon with sanitizers, under its namespace tests        (cmake, libasan, iproute2)
 *   node scripts/native.mjs tidy       clang-tidy over native/                                     (cmake, clang-tidy)
 * Without a word: all of them. Prints each command; the first failure ends it with a non-zero exit code.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

function run(command, args, env = {}) {
  const shown = Object.entries(env).map(([name, value]) => `${name}=${value} `);
  console.log(`> ${shown.join('')}${[command, ...args].join(' ')}`);
  const { status, signal, error } = spawnSync(command, args, {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, ...env },
  });
  if (status === 0) return;
  console.error(error ? `${command} cannot be started: ${error.message}` : `${command} failed: ${signal ?? status}`);
  process.exit(status || 1);
}

function cmake(folder, options) {
  run('cmake', ['-S', '.', '-B', folder, ...options.map((option) => `-D${option}`)]);
  run('cmake', ['--build', folder, '--parallel', '2']);
}

/** The command in a network and mount namespace of its own, with a /run where `ip netns` may write. */
function inNamespace(command, args, env) {
  const flags = process.getuid() === 0 ? '-nm' : '-Urnm';
  run('unshare', [flags, 'sh', '-c', 'mount -t tmpfs tmpfs /run && exec "$@"', 'sh', command, ...args], env);
}

function ctest() {
  cmake('build-ctest', ['MGMD_ADDON=OFF', 'MGMD_TESTS=ON', 'MGMD_SANITIZE=ON', 'CMAKE_BUILD_TYPE=Debug']);
  run('ctest', ['--test-dir', 'build-ctest', '--output-on-failure']);
}

function cmakeJs() {
  run(process.execPath, ['node_modules/cmake-js/bin/cmake-js', 'build', '-O', 'build-cmake']);
}

function asan() {
  cmake('build-asan', ['MGMD_SANITIZE=ON', 'CMAKE_BUILD_TYPE=Debug']);
  const libasan = execFileSync('g++', ['-print-file-name=libasan.so'], { encoding: 'utf8' }).trim();
  // What reads in the background and what ends at odd moments; the plain layer below has its tests with sanitizers anyway.
  const files = ['lifetime', 'igmp', 'handover'].map((name) => `test/netns/addon-${name}.test.ts`);
  inNamespace(process.execPath, ['node_modules/vitest/vitest.mjs', 'run', '--project', 'netns', ...files], {
    LD_PRELOAD: libasan,
    ASAN_OPTIONS: 'detect_leaks=0',
    MGMD_ADDON: `${root}build-asan/mgmd.node`,
  });
}

function tidy() {
  cmake('build-tidy', ['MGMD_TESTS=ON']);
  const { variables } = JSON.parse(readFileSync(`${root}native/sources.gypi`, 'utf8'));
  tidyEach(variables.core_sources, '');
  // Through the Node-API headers the analyzer takes most of a minute a file; the bindings have no logic that it could follow.
  tidyEach(variables.addon_sources, '--checks=-clang-analyzer-*');
}

function tidyEach(sources, options) {
  const each = `printf "%s\\n" "$@" | xargs -P 2 -n 1 clang-tidy -quiet -p build-tidy ${options}`;
  run('sh', ['-c', each, 'sh', ...sources]);
}

const COMMANDS = { ctest, 'cmake-js': cmakeJs, asan, tidy };
const wanted = process.argv.slice(2);
const unknown = wanted.find((word) => !Object.hasOwn(COMMANDS, word));
if (unknown !== undefined) {
  console.error(`native.mjs: ${unknown} is none of ${Object.keys(COMMANDS).join(', ')}`);
  process.exit(2);
}
for (const word of wanted.length > 0 ? wanted : Object.keys(COMMANDS)) COMMANDS[word]();
