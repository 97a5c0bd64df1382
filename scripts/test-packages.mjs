/**
 * `npm run test:packages`: builds the packages and tries them, as root on Debian: the .deb in an overlay of this machine's root
 * file system that is gone afterwards, the npm tarball in a folder. What Debian lacks is installed. Words behind `--` go to vitest.
 */
import { spawnSync } from 'node:child_process';
import { hasCommand, main, Refusal, run } from './support.mjs';

const NEEDS = [
  ['dh_installsysusers', 'debhelper'],
  ['dpkg-deb', 'dpkg-dev'],
  ['make', 'make'],
  ['strip', 'binutils'],
  ['lintian', 'lintian'],
  ['systemd-analyze', 'systemd'],
  ['unshare', 'util-linux'],
  ['man', 'man-db'],
];

function installTools() {
  const missing = NEEDS.filter(([command]) => !hasCommand(command)).map(([, name]) => name);
  if (missing.length === 0) return;
  console.error(`test:packages: installing ${missing.join(' ')}`);
  const quietly = {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
  };
  run('apt-get', ['update', '-q'], quietly);
  if (run('apt-get', ['install', '-qy', '--no-install-recommends', ...missing], quietly) !== 0)
    throw new Refusal(`the tests of the packages need ${missing.join(', ')}, which could not be installed`);
}

main('test:packages', () => {
  if (process.getuid() !== 0) throw new Refusal('dpkg and mounts need root: run it as root');
  if (!hasCommand('dpkg') || !hasCommand('apt-get')) throw new Refusal('the tests of the packages run on Debian');
  if (spawnSync('unshare', ['-m', 'true']).status !== 0)
    throw new Refusal('mount namespaces are refused here; a container needs CAP_SYS_ADMIN');
  installTools();
  const vitest = ['node_modules/vitest/vitest.mjs', 'run', '--project=packages'];
  process.exitCode = run(process.execPath, [...vitest, ...process.argv.slice(2)]);
});
