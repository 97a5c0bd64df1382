/** The Debian package: what is in it, what it does to a machine, and that it leaves (F55). */
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { buildPackage, inOverlay, packageFolder, ROOT, runIn } from './support.js';

const folder = packageFolder();
const { version: now } = JSON.parse(readFileSync(`${ROOT}package.json`, 'utf8')) as { readonly version: string };
const newer = now.replace(/\d+$/, (patch) => String(Number(patch) + 1));
let deb: string;
let story: ReadonlyMap<string, readonly string[]>;

/**
 * The life of the package on one machine, a section for each step. The service manager is played by two scripts that write down
 * what they are told (enabling, which is done to files, is real); that systemd then does the right thing is for a test with a running one.
 */
const lifeOf = (first: string, second: string) => `
rm -f /var/lib/man-db/auto-update /usr/sbin/policy-rc.d
mkdir -p /run/systemd/system
for name in systemctl deb-systemd-invoke; do
  printf '#!/bin/sh\\ncase $1 in --root=*) exec /bin/%s "$@";; esac\\necho "%s $*" >>/run/calls\\n' $name $name >/usr/local/sbin/$name
  chmod 755 /usr/local/sbin/$name
done
calls() { grep -v daemon-reload /run/calls || true; rm -f /run/calls; }
installs() { dpkg --force-unsafe-io -i "/packages/$1" </dev/null >/run/dpkg 2>&1 || { cat /run/dpkg; exit 1; }; }
condition() { systemd-analyze condition "$(grep ^Condition /lib/systemd/system/mgmd.service)" >/dev/null 2>&1 && echo met || echo unmet; }
# What is left of the package itself; dpkg's own records and the files that every new user and group changes are not.
changed() { find /upper -type f | grep -v -e ^/upper/var/log -e ^/upper/var/cache -e ^/upper/var/lib/dpkg -e '^/upper/etc/\\(g*shadow\\|passwd\\|group\\|sub[ug]id\\)-*$' -e '/.pwd.lock$' | sort; }
changed >/run/before
echo == install
installs ${first}; calls
readlink /etc/systemd/system/multi-user.target.wants/mgmd.service
ls -d /etc/mgmd 2>/dev/null || echo no /etc/mgmd
condition
getent group mgmd | cut -d: -f1
mgmctl status 2>&1 || echo "mgmctl: $?"
echo == verify
(cd /lib/systemd/system; systemd-analyze verify --man=no mgmd.service mgmd@name.service 2>&1)
echo == security
for unit in mgmd.service mgmd@.service; do
  systemd-analyze security --no-pager --offline=true --threshold=25 /lib/systemd/system/$unit | tail -n 1
done
echo == configure
mkdir /etc/mgmd; cp /usr/share/doc/mgmd/examples/mgmd.yaml /etc/mgmd/
condition; mgmd --check; mgmd --version
echo == upgrade
installs ${second}; calls; mgmd --version
cmp /etc/mgmd/mgmd.yaml /usr/share/doc/mgmd/examples/mgmd.yaml && echo configuration kept
echo == downgrade
installs ${first}; calls; mgmd --version
echo == remove
dpkg -r mgmd >/dev/null 2>&1; calls; ls /etc/mgmd; ls -d /usr/lib/mgmd /usr/sbin/mgmd 2>/dev/null || echo no program
echo == purge
dpkg -P mgmd >/dev/null 2>&1
changed | comm -13 /run/before -
getent passwd mgmd || echo no user; getent group mgmd || echo no group
`;

beforeAll(() => {
  deb = buildPackage('package-deb.mjs', folder.path, `mgmd_${now}-1_amd64.deb`);
  const next = buildPackage('package-deb.mjs', folder.path, `mgmd_${newer}-1_amd64.deb`, newer);
  const { code, out, err } = inOverlay(folder.path, lifeOf(basename(deb), basename(next)));
  if (code !== 0 || err !== '') throw new Error(`the package's life on a machine ended early:\n${out}\n${err}`);
  const sections = out.split(/^== /m).slice(1);
  story = new Map(sections.map((text) => text.trim().split('\n')).map(([name, ...lines]) => [name!, lines]));
});
afterAll(() => folder.remove());

test('lintian finds neither errors nor warnings', () => {
  const { code, out } = runIn(ROOT, 'lintian', ['--fail-on', 'error,warning', '--allow-root', deb]);
  expect(out.replaceAll(/^N:.*\n/gm, '')).toBe('');
  expect(code).toBe(0);
});

test('the package needs no Node.js of the system and holds nothing that no program reads', () => {
  const { out: depends } = runIn(ROOT, 'dpkg-deb', ['--field', deb, 'Depends']);
  expect(depends).not.toMatch(/nodejs|g\+\+|python|make/);
  const files = runIn(ROOT, 'dpkg-deb', ['--contents', deb]).out.split('\n').filter(Boolean);
  const inside = files.map((line) => line.split(/\s+/)[5]!).filter((name) => name.includes('/usr/lib/mgmd/'));
  const dead = /\.(ts|map|md|cc|h|gyp)$|\/(tests?|docs|examples?|benchmarks|lab)\//;
  expect(inside.filter((name) => dead.test(name))).toEqual([]);
  const strange = (line: string) => !line.includes(' root/root ') || (line[0] !== 'l' && line[8] === 'w');
  expect(files.filter(strange)).toEqual([]);
});

test('installed without network, compiler and configuration it is enabled and would not start (F55)', () => {
  expect(story.get('install')).toEqual([
    'deb-systemd-invoke start mgmd.service',
    '/lib/systemd/system/mgmd.service',
    'no /etc/mgmd',
    'unmet',
    'mgmd',
    expect.stringMatching(/^mgmctl: mgmd is away/),
    'mgmctl: 69',
  ]);
});

test('with the example as its configuration it would start', () => {
  expect(story.get('configure')).toEqual(['met', '/etc/mgmd/mgmd.yaml: configuration OK', `mgmd ${now}`]);
});

test('systemd has nothing to say against the units, and scores them 2.5 or better', () => {
  expect(story.get('verify')).toEqual([]);
  const scores = story.get('security')!.map((line) => Number(/ (\d\.\d) /.exec(line)?.[1]));
  expect(scores).toHaveLength(2);
  for (const score of scores) expect(score).toBeLessThanOrEqual(2.5);
});

test('upgrade and downgrade restart in one step, never stop, and leave the configuration alone', () => {
  const restarts = ['deb-systemd-invoke restart mgmd.service', 'systemctl try-restart mgmd@*.service'];
  expect(story.get('upgrade')).toEqual([...restarts, `mgmd ${newer}`, 'configuration kept']);
  expect(story.get('downgrade')).toEqual([...restarts, `mgmd ${now}`]);
});

test('remove stops and keeps the configuration, purge leaves nothing', () => {
  const stops = ['systemctl stop mgmd@*.service', 'deb-systemd-invoke stop mgmd.service'];
  expect(story.get('remove')).toEqual([...stops, 'mgmd.yaml', 'no program']);
  expect(story.get('purge')).toEqual(['no user', 'no group']);
});
