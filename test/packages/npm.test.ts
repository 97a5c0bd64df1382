/** The npm tarball: installed without a network, a compiler and install scripts, it runs. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { buildPackage, ROOT, runIn, tempFolder } from './support.js';

const folder = tempFolder();
let tarball: string;

beforeAll(() => {
  const { version } = JSON.parse(readFileSync(`${ROOT}package.json`, 'utf8')) as { readonly version: string };
  tarball = buildPackage('package-npm.mjs', folder.path, `mgmd-${version}.tgz`);
});
afterAll(() => folder.remove());

test('the tarball installs without network and compiler, and both programs run', () => {
  // given a home without a cache and compilers that fail
  const prefix = join(folder.path, 'prefix');
  const env = { PATH: process.env['PATH'], HOME: folder.path, CC: 'false', CXX: 'false' };
  // when
  const npm = ['npm', 'install', '--global', '--offline', '--ignore-scripts', '--prefix', prefix, tarball];
  const installed = runIn(ROOT, 'unshare', ['-n', ...npm], env);
  expect(installed.code, installed.err).toBe(0);
  // then the daemon checks a file, and the tool looks for the daemon; both read the manifest
  const check = runIn(ROOT, join(prefix, 'bin/mgmd'), ['--check', '--config', 'packaging/mgmd.example.yaml'], env);
  expect(check).toMatchObject({ code: 0, err: '' });
  expect(runIn(ROOT, join(prefix, 'bin/mgmctl'), ['--socket', join(folder.path, 'none'), 'status'], env).code).toBe(69);
  // and the daemon opens the kernel with the addon that came along
  const config = join(folder.path, 'empty.yaml');
  const start = `echo 'control: { socket: ${folder.path}/s }' >${config}; timeout --preserve-status 20 ${prefix}/bin/mgmd --config ${config} & until [ -S ${folder.path}/s ]; do kill -0 $! || exit 1; done; kill $!; wait $!`;
  expect(runIn(ROOT, 'unshare', ['-n', 'bash', '-c', start], env)).toMatchObject({ code: 0, err: '' });
});

test('licenses come along, nothing for the lab does, and nothing runs at installation', () => {
  const files = runIn(ROOT, 'tar', ['-tzf', tarball]).out.split('\n');
  expect(files).toContain('package/node_modules/zod/LICENSE');
  expect(files).toContain(`package/prebuilds/linux-${process.arch}/mgmd.node`);
  expect(files.filter((name) => /^package\/(dist\/lab|src|test|binding\.gyp)/.test(name))).toEqual([]);
  const manifest = runIn(ROOT, 'tar', ['-xzOf', tarball, 'package/package.json']).out;
  expect(JSON.parse(manifest)).toMatchObject({ gypfile: false });
  expect(manifest).not.toContain('"scripts"');
});
