/**
 * `npm run package:npm`: mgmd-VERSION.tgz in build-packages/, for machines that have Node.js and npm. It holds the addon and all
 * dependencies, so `npm install --global FILE` needs no compiler, no network and no install script. MGMD_PACKAGE_DIR is another
 * place for the result. With `-- --arm64` the addon for arm64 is built and put in as well.
 */
import { cpSync, mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { crossAddon } from './cross-addon.mjs';
import { npmCli } from './node-gyp.mjs';
import * as support from './package-support.mjs';
import { main, root, runQuietly } from './support.mjs';

const DOCUMENTS = [
  'README.md',
  'LICENSE',
  'CHANGELOG.md',
  'docs/configuration.md',
  'docs/control-protocol.md',
  'docs/events.md',
];
const MAN_PAGES = ['docs/man/mgmd.8', 'docs/man/mgmctl.1', 'docs/man/mgmd.yaml.5'];
/** What ffi-rs loads on arm64; npm has installed only that of this machine. */
const FFI_ARM64 = '@yuuang/ffi-rs-linux-arm64-gnu';

function stageManifest(stage) {
  const { name, version, description, license, type, engines, os, bin, dependencies } = support.manifest();
  const bundleDependencies = Object.keys(dependencies);
  const manifest = { name, version, description, license, type, private: true, engines, os, bin, gypfile: false };
  const whole = { ...manifest, man: MAN_PAGES, dependencies, bundleDependencies };
  support.putText(stage, 'package.json', `${JSON.stringify(whole, null, 2)}\n`);
}

function stageArm64(stage) {
  cpSync(crossAddon(), support.put(stage, 'prebuilds/linux-arm64/mgmd.node'));
  const lock = JSON.parse(readFileSync(path.join(root, 'package-lock.json'), 'utf8'));
  const folder = `node_modules/${FFI_ARM64}`;
  const { version, integrity } = lock.packages[folder];
  support.fetchPinned(`${FFI_ARM64}@${version}`, integrity, path.join(stage, folder));
}

function build(scratch) {
  const stage = path.join(scratch, 'package');
  const into = path.resolve(root, process.env['MGMD_PACKAGE_DIR'] || 'build-packages');
  support.copyProgram(stage);
  support.copyDependencies(stage, { licenses: true });
  support.copyAddon(stage);
  if (process.argv.includes('--arm64')) stageArm64(stage);
  for (const name of [...DOCUMENTS, ...MAN_PAGES]) support.putCopy(stage, name, name);
  support.putCopy(stage, 'packaging/npm/mgmd', 'packaging/npm/mgmd', 0o755);
  support.putCopy(stage, 'packaging/mgmd.example.yaml', 'packaging/mgmd.example.yaml');
  stageManifest(stage);
  mkdirSync(into, { recursive: true });
  runQuietly('npm pack', process.execPath, [npmCli(), 'pack', '--silent', '--pack-destination', into], { cwd: stage });
  return path.join(into, `mgmd-${support.manifest().version}.tgz`);
}

main('package:npm', () => {
  support.buildFirst();
  console.log(support.withScratch(build));
});
