/**
 * Makes a checkout ready to run; `npm start` and `npm test` call it first. Needs nothing but Node. Three steps, each only
 * when what it reads has changed since it was last done:
 *   dependencies  npm ci                package.json, package-lock.json
 *   addon         node-gyp              native/ without its tests, binding.gyp, the ABI of this Node
 *   compile       tsc -b, src/ to dist/ src/, tsconfig*.json
 * Says nothing when there is nothing to do. Two at a time take turns.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { checkCompilers, nodeDir, nodeGyp, npmCli } from './node-gyp.mjs';
import { filesBelow, hashOf, main, Refusal, readStamp, removeStamp, root, runQuietly, writeStamp } from './support.mjs';

const STEPS = [
  {
    name: 'dependencies',
    made: ['node_modules/.package-lock.json'],
    hash: () => hashOf(['package.json', 'package-lock.json']),
    run: installDependencies,
  },
  {
    name: 'addon',
    made: ['build/Release/mgmd.node'],
    hash: () => hashOf([...addonSources(), 'binding.gyp'], `${process.versions.modules} ${process.arch}`),
    run: buildAddon,
  },
  {
    name: 'compile',
    made: ['dist/daemon/main.js', 'dist/cli/main.js', 'dist/lab/main.js'],
    hash: () => hashOf(['src', ...readdirSync(root).filter((name) => /^tsconfig.*\.json$/.test(name))]),
    run: compile,
  },
];

function addonSources() {
  return filesBelow('native').filter((file) => !file.startsWith('native/tests/'));
}

function isMade(step) {
  return step.made.every((file) => existsSync(path.join(root, file)));
}

function isDone(step) {
  return isMade(step) && readStamp(step.name) === step.hash();
}

function installDependencies() {
  // The development dependencies too, whatever NODE_ENV says: the compiler is one of them.
  const flags = ['--ignore-scripts', '--include=dev', '--no-audit', '--no-fund'];
  runQuietly('npm ci', process.execPath, [npmCli(), 'ci', ...flags]);
}

/** Not `rebuild`: make compiles again only what has changed. */
function buildAddon() {
  checkCompilers();
  const gyp = [nodeGyp(), `--nodedir=${nodeDir()}`, '--loglevel=warn'];
  runQuietly('configuring the addon', process.execPath, [...gyp, 'configure']);
  runQuietly('building the addon', process.execPath, [...gyp, 'build', '--jobs=max']);
}

function compile(step) {
  // tsc trusts its own records in dist/, so it would not notice a file that somebody removed there.
  const force = isMade(step) ? [] : ['--force'];
  const tsc = ['node_modules/typescript/bin/tsc', '-b', 'tsconfig.json', ...force];
  runQuietly('compiling', process.execPath, tsc);
}

function perform(step) {
  const startedMs = performance.now();
  console.error(`setup: ${step.name} ...`);
  // Taken before it runs: what is edited meanwhile makes it run again.
  const hash = step.hash();
  removeStamp(step.name);
  step.run(step);
  writeStamp(step.name, hash);
  console.error(`setup: ${step.name} done in ${((performance.now() - startedMs) / 1000).toFixed(1)} s`);
}

/** Runs this script again with a lock on its own file, which the system takes back however that run ends. */
function againWithLock() {
  const BUSY = 75;
  const self = fileURLToPath(import.meta.url);
  const flock = (...flags) =>
    spawnSync('flock', [...flags, self, process.execPath, self, '--locked'], { cwd: root, stdio: 'inherit' });
  let result = flock('--nonblock', '--conflict-exit-code', String(BUSY));
  if (result.status === BUSY) {
    console.error('setup: waits for another setup of this checkout');
    result = flock();
  }
  if (result.error) throw new Refusal(`flock cannot be run: ${result.error.message}. It is in the package util-linux.`);
  process.exitCode = result.status ?? 1;
}

function checkNode() {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  if (major > 20 || (major === 20 && minor >= 19)) return;
  throw new Refusal(`Node.js ${process.version} (${process.execPath}) is too old; 20.19 or newer is needed.`);
}

main('setup', () => {
  checkNode();
  if (STEPS.every(isDone)) return;
  if (!process.argv.includes('--locked')) return againWithLock();
  for (const step of STEPS) if (!isDone(step)) perform(step);
});
