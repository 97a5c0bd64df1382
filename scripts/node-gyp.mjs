/** npm and the node-gyp that it brings along, for scripts that build the addon. */
import { spawnSync } from 'node:child_process';
import { existsSync, realpathSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { hasCommand, Refusal, runQuietly } from './support.mjs';

/** npm's own JavaScript, whether npm runs us or not: what it brings along is run by this very Node. */
export function npmCli() {
  const beside = path.resolve(process.execPath, '../../lib/node_modules/npm/bin/npm-cli.js');
  const onPath = (process.env['PATH'] ?? '').split(':').map((folder) => path.join(folder, 'npm'));
  for (const file of [process.env['npm_execpath'], beside, ...onPath]) {
    if (!file || !existsSync(file)) continue;
    const real = realpathSync(file);
    if (path.basename(real) === 'npm-cli.js') return real;
  }
  throw new Refusal('npm cannot be found. It comes with Node.js; with Debian it is the package npm.');
}

/** The folder that holds include/node for this Node; without it node-gyp would try to download one. */
export function nodeDir() {
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

export function checkCompilers(compiler = 'g++', debianPackage = compiler) {
  const advice = `On Debian: apt-get install python3 make ${debianPackage}`;
  const missing = ['python3', 'make', compiler].filter((name) => !hasCommand(name));
  if (missing.length > 0)
    throw new Refusal(`the addon is built here, and ${missing.join(', ')} cannot be found. ${advice}`);
  if (spawnSync('python3', ['-c', 'import shlex']).status !== 0)
    throw new Refusal(`python3 cannot import shlex, which node-gyp needs; python3-minimal is not enough. ${advice}`);
}

export function nodeGyp() {
  try {
    return createRequire(npmCli()).resolve('node-gyp/bin/node-gyp.js');
  } catch {
    throw new Refusal(
      'this npm brings no node-gyp. Use the npm that comes with Node.js; on Debian: apt-get install node-gyp',
    );
  }
}

/** A target of binding.gyp; make compiles again only what has changed. */
export function buildAddon(target) {
  checkCompilers();
  const gyp = [nodeGyp(), `--nodedir=${nodeDir()}`, '--loglevel=warn'];
  runQuietly('configuring the addon', process.execPath, [...gyp, 'configure']);
  runQuietly(`building ${target}`, process.execPath, [...gyp, 'build', target, '--jobs=max']);
}
