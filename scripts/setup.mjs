/**
 * Makes a checkout ready to run; `npm start` and `npm test` call it first. Needs nothing but Node. Three steps, each only
 * when what it reads has changed since it was last done:
 *   dependencies  npm ci                package.json, package-lock.json
 *   addon         node-gyp              native/ without its tests, binding.gyp, the ABI of this Node
 *   compile       tsc -b, src/ to dist/ src/, tsconfig*.json
 * Says nothing when there is nothing to do. Two at a time take turns.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, realpathSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  filesBelow,
  hasCommand,
  hashOf,
  main,
  Refusal,
  readStamp,
  removeStamp,
  root,
  runQuietly,
  writeStamp,
} from './support.mjs';

const DEBIAN_TOOLS = 'On Debian: apt-get install python3 make g++';

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

/** npm's own JavaScript, whether npm runs us or not: what it brings along is run by this very Node. */
function npmCli() {
  const beside = path.resolve(process.execPath, '../../lib/node_modules/npm/bin/npm-cli.js');
  const onPath = (process.env['PATH'] ?? '').split(':').map((folder) => path.join(folder, 'npm'));
  for (const file of [process.env['npm_execpath'], beside, ...onPath]) {
    if (!file || !existsSync(file)) continue;
    const real = realpathSync(file);
    if (path.basename(real) === 'npm-cli.js') return real;
  }
  throw new Refusal('npm cannot be found. It comes with Node.js; with Debian it is the package npm.');
}

function installDependencies() {
  // The development dependencies too, whatever NODE_ENV says: the compiler is one of them.
  const flags = ['--ignore-scripts', '--include=dev', '--no-audit', '--no-fund'];
  runQuietly('npm ci', process.execPath, [npmCli(), 'ci', ...flags]);
}

/** The folder that holds include/node for this Node; without it node-gyp would try to download one. */
function nodeDir() {
  const prefix = path.resolve(process.execPath, '../..');
  const hasHeaders = (folder) => folder && existsSync(path.join(folder, 'include/node/node_api.h'));
  const found = [prefix, process.env['npm_config_nodedir']].find(hasHeaders);
  if (found) return found;
  throw new Refusal(
    `the headers of Node.js are not in ${path.join(prefix, 'include/node')}. The archive of nodejs.org and NodeSource's package ` +
      "bring them along; with Debian's own nodejs install libnode-dev. Are they elsewhere, set npm_config_nodedir to the " +
      'folder that holds include/node.',
  );
}

function checkCompilers() {
  const missing = ['python3', 'make', 'g++'].filter((name) => !hasCommand(name));
  if (missing.length > 0)
    throw new Refusal(`the addon is built here, and ${missing.join(', ')} cannot be found. ${DEBIAN_TOOLS}`);
  if (spawnSync('python3', ['-c', 'import shlex']).status !== 0)
    throw new Refusal(
      `python3 cannot import shlex, which node-gyp needs; python3-minimal is not enough. ${DEBIAN_TOOLS}`,
    );
}

function nodeGyp() {
  try {
    return createRequire(npmCli()).resolve('node-gyp/bin/node-gyp.js');
  } catch {
    throw new Refusal(
      'this npm brings no node-gyp. Use the npm that comes with Node.js; on Debian: apt-get install node-gyp',
    );
  }
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
