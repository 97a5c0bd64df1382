/**
 * Makes a checkout ready to run: dependencies, addon, compiled TypeScript; each only when what it is made from changed.
 * Runs before `npm start` and `npm test`, needs nothing but Node, and says nothing when there is nothing to do.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const stamps = join(root, 'node_modules/.cache/mgmd');
const lock = join(root, '.setup.lock');
const LOCK_WAIT_MS = 300_000;

function fail(message) {
  console.error(`setup: ${message}`);
  process.exit(1);
}

function filesUnder(path) {
  const full = join(root, path);
  if (!existsSync(full)) return [];
  if (!statSync(full).isDirectory()) return [path];
  return readdirSync(full)
    .sort()
    .flatMap((name) => filesUnder(join(path, name)));
}

function hashOf(paths, ...more) {
  const hash = createHash('sha256');
  for (const file of paths.flatMap(filesUnder))
    hash
      .update(file)
      .update('\0')
      .update(readFileSync(join(root, file)));
  return hash.update(more.join('\0')).digest('hex');
}

/** Runs `make` unless `product` exists and was made from what is there now. */
function step(name, product, hash, make) {
  const stamp = join(stamps, name);
  if (existsSync(join(root, product)) && existsSync(stamp) && readFileSync(stamp, 'utf8') === hash) return;
  const startedMs = performance.now();
  console.error(`setup: ${name} ...`);
  make();
  mkdirSync(stamps, { recursive: true });
  writeFileSync(stamp, hash);
  console.error(`setup: ${name} done in ${((performance.now() - startedMs) / 1000).toFixed(1)} s`);
}

/** Output is shown only when the command fails. */
function run(command, args, what) {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 1 << 26,
  });
  if (status === 0) return;
  process.stderr.write(`${stdout ?? ''}${stderr ?? ''}`);
  fail(`${what} failed${error ? `: ${error.message}` : ''}; see above`);
}

function needs(command, debianPackage) {
  if (spawnSync(command, ['--version'], { stdio: 'ignore' }).status !== 0)
    fail(`${command} is needed to build the addon and cannot be run. On Debian: apt-get install ${debianPackage}`);
}

/** npm's own files, whether npm runs us or not. */
function npmCli() {
  const beside = join(dirname(process.execPath), '..');
  const places = [
    process.env.npm_execpath,
    join(beside, 'lib/node_modules/npm/bin/npm-cli.js'),
    join(beside, 'share/nodejs/npm/bin/npm-cli.js'),
  ];
  const found = places.find((place) => place?.endsWith('npm-cli.js') && existsSync(place));
  return found ?? fail('npm was not found beside node; start with "npm run setup"');
}

/** Node's headers lie beside the binary in every common installation; without them node-gyp would want to download some. */
function nodeDir() {
  const prefix = join(dirname(process.execPath), '..');
  if (existsSync(join(prefix, 'include/node/node_api.h'))) return prefix;
  return fail(
    `Node's headers are not at ${join(prefix, 'include/node')}. They come with the official archive and with NodeSource's package; with Debian's own nodejs install libnode-dev`,
  );
}

function buildAddon() {
  needs('python3', 'python3');
  needs('make', 'make');
  needs('g++', 'g++');
  const gyp = join(dirname(npmCli()), '../node_modules/node-gyp/bin/node-gyp.js');
  if (!existsSync(gyp)) fail(`npm at ${npmCli()} brings no node-gyp; use the npm that comes with Node.js`);
  const nodedir = `--nodedir=${nodeDir()}`;
  run(process.execPath, [gyp, 'configure', nodedir], 'configuring the addon');
  run(process.execPath, [gyp, 'build', nodedir, '--jobs=max'], 'building the addon');
}

/** Two setups at once (npm start in one terminal, npm test in another) take turns. */
function withLock(body) {
  const deadlineMs = performance.now() + LOCK_WAIT_MS;
  for (;;) {
    try {
      closeSync(openSync(lock, 'wx'));
      break;
    } catch {
      if (performance.now() > deadlineMs) fail(`another setup holds ${lock}; delete the file if none runs`);
      if (ownerGone()) rmSync(lock, { force: true });
      else Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200);
    }
  }
  process.on('exit', () => rmSync(lock, { force: true }));
  writeFileSync(lock, String(process.pid));
  body();
}

function ownerGone() {
  try {
    const pid = Number(readFileSync(lock, 'utf8'));
    return pid > 0 && !existsSync(`/proc/${pid}`);
  } catch {
    return false;
  }
}

const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 20 || (major === 20 && minor < 19)) fail(`Node.js ${process.version} is too old; 20.19 or newer is needed`);

withLock(() => {
  step('dependencies', 'node_modules/.package-lock.json', hashOf(['package.json', 'package-lock.json']), () =>
    run(process.execPath, [npmCli(), 'ci', '--ignore-scripts', '--no-audit', '--no-fund'], 'npm ci'),
  );
  const abi = `${process.versions.modules} ${process.arch}`;
  step('addon', 'build/Release/mgmd.node', hashOf(['native', 'binding.gyp'], abi), buildAddon);
  step('compile', 'dist/daemon/main.js', hashOf(['src', ...tsconfigs()], ''), () =>
    run(process.execPath, ['node_modules/typescript/bin/tsc', '-b', 'tsconfig.json'], 'compiling'),
  );
});

function tsconfigs() {
  return readdirSync(root).filter((name) => /^tsconfig.*\.json$/.test(name));
}
