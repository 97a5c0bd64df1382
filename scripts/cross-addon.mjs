/**
 * `npm run build:arm64`: the addon for arm64, built on another machine, as prebuilds/linux-arm64/mgmd.node below build-arm64/.
 * Takes Debian's g++-aarch64-linux-gnu. The build has a tree of its own, so that build/ stays what it is.
 */
import { cpSync, mkdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { strip } from './package-support.mjs';
import { checkCompilers, nodeDir, nodeGyp } from './node-gyp.mjs';
import { main, root, runQuietly } from './support.mjs';

const TARGET = 'aarch64-linux-gnu';
const TREE = path.join(root, 'build-arm64');

/** Returns the file. */
export function crossAddon() {
  checkCompilers(`${TARGET}-g++`, `g++-${TARGET}`);
  for (const name of ['native', 'binding.gyp', 'package.json'])
    cpSync(path.join(root, name), path.join(TREE, name), { recursive: true });
  mkdirSync(path.join(TREE, 'node_modules'), { recursive: true });
  cpSync(path.join(root, 'node_modules/node-addon-api'), path.join(TREE, 'node_modules/node-addon-api'), {
    recursive: true,
  });
  const tools = { CC: 'gcc', CXX: 'g++', LINK: 'g++', AR: 'ar' };
  const env = Object.fromEntries(Object.entries(tools).map(([name, tool]) => [name, `${TARGET}-${tool}`]));
  const gyp = [nodeGyp(), '--arch=arm64', `--nodedir=${nodeDir()}`, '--loglevel=warn'];
  for (const step of [['configure'], ['build', '--jobs=max']])
    runQuietly(`node-gyp ${step[0]} for arm64`, process.execPath, [...gyp, ...step], {
      cwd: TREE,
      env: { ...process.env, ...env },
    });
  const file = path.join(TREE, 'prebuilds/linux-arm64/mgmd.node');
  rmSync(file, { force: true });
  mkdirSync(path.dirname(file), { recursive: true });
  cpSync(path.join(TREE, 'build/Release/mgmd.node'), file);
  strip(`${TARGET}-strip`, file);
  return file;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main('build:arm64', () => console.log(crossAddon()));
