/**
 * Makes a checkout ready to run; `npm start` and `npm test` call it first. Needs nothing but Node.js. Installs the
 * dependencies when the lock file has changed; make and tsc know themselves what of the addon and of src/ is out of date.
 * Says nothing when there is nothing to do. Two at a time take turns.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildAddon, npmCli } from './node-gyp.mjs';
import { main, Refusal, root, runQuietly } from './support.mjs';

/** Written by `npm ci`, which empties node_modules first; our mark beside it goes with it. */
const INSTALLED = 'node_modules/.package-lock.json';
const MARK = 'node_modules/.mgmd-installed';
const PROGRAMS = ['dist/daemon/main.js', 'dist/cli/main.js', 'dist/lab/main.js'];

const isThere = (name) => existsSync(path.join(root, name));
const read = (name) => readFileSync(path.join(root, name), 'utf8');

function installDependencies() {
  const wanted = createHash('sha256').update(read('package.json')).update(read('package-lock.json')).digest('hex');
  if (isThere(INSTALLED) && isThere(MARK) && read(MARK) === wanted) return;
  // The development dependencies too, whatever NODE_ENV says: the compiler is one of them.
  const flags = ['--ignore-scripts', '--include=dev', '--no-audit', '--no-fund'];
  timed('dependencies', () => runQuietly('npm ci', process.execPath, [npmCli(), 'ci', ...flags]));
  writeFileSync(path.join(root, MARK), wanted);
}

function compile() {
  // tsc trusts its own records in dist/, so it would not notice a file that somebody removed there.
  const force = PROGRAMS.every(isThere) ? [] : ['--force'];
  const tsc = ['node_modules/typescript/bin/tsc', '-b', 'tsconfig.node.json', ...force];
  runQuietly('compiling', process.execPath, tsc);
}

/** What is not there yet takes a while, and the reader is told; the rest is quick or nothing. */
function timed(name, step) {
  const startedMs = performance.now();
  console.error(`setup: ${name} ...`);
  step();
  console.error(`setup: ${name} done in ${((performance.now() - startedMs) / 1000).toFixed(1)} s`);
}

function perform(name, made, step) {
  if (made.every(isThere)) step();
  else timed(name, step);
}

/** Runs this script again with a lock on its own file, which the system takes back however that run ends. */
function againWithLock() {
  const self = fileURLToPath(import.meta.url);
  const { status, error } = spawnSync('flock', [self, process.execPath, self, '--locked'], {
    cwd: root,
    stdio: 'inherit',
  });
  if (error) throw new Refusal(`flock cannot be run: ${error.message}. It is in the package util-linux.`);
  process.exitCode = status ?? 1;
}

function checkNode() {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  if (major > 20 || (major === 20 && minor >= 19)) return;
  throw new Refusal(`Node.js ${process.version} (${process.execPath}) is too old; 20.19 or newer is needed.`);
}

main('setup', () => {
  checkNode();
  if (!process.argv.includes('--locked')) return againWithLock();
  installDependencies();
  perform('addon', ['build/Release/mgmd.node'], () => buildAddon('mgmd'));
  perform('compile', PROGRAMS, compile);
});
