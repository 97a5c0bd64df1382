/**
 * `node scripts/test-systemd.mjs`: the Debian package under a real systemd. A container on an overlay of the root file system, whose
 * changes stay in memory, boots systemd and runs test/systemd in it; then it is gone. Needs root, and Debian's systemd-container
 * and iproute2. Its words go to vitest. MGMD_DEB names a package that is there already; otherwise `npm run package:deb`
 * builds one. MGMD_KEEP is a folder for the container's journal and report, MGMD_TIMES=1 a limit to how often each thing is done.
 */
import { spawn, spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { hasCommand, main, Refusal, root, run, runQuietly } from './support.mjs';

const INSIDE = '--inside';
/** A quiet machine needs a third of it. */
const LIMIT_SEC = 600;
const NEEDS = [
  ['systemd-nspawn', 'systemd-container'],
  ['unshare', 'util-linux'],
  ['ip', 'iproute2'],
  ['dpkg-deb', 'dpkg'],
];
const env = { ...process.env, PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin` };

function checkMachine() {
  if (process.getuid?.() !== 0)
    throw new Refusal(
      'systemd can only be booted by root, whose file system the container is an overlay of: run this as root',
    );
  const missing = NEEDS.filter(([command]) => !hasCommand(command, env.PATH)).map(([, debianPackage]) => debianPackage);
  if (missing.length > 0) throw new Refusal(`on Debian: apt-get install ${missing.join(' ')}`);
}

/** The package, and one that is newer by its version alone. */
function packages(scratch) {
  const folder = path.join(scratch, 'packages');
  mkdirSync(folder);
  const first = path.join(folder, 'mgmd.deb');
  cpSync(process.env['MGMD_DEB'] ?? built(folder), first);
  const tree = path.join(scratch, 'next');
  runQuietly('unpacking the package', 'dpkg-deb', ['-R', first, tree]);
  const version = runQuietly('reading the version', 'dpkg-deb', ['-f', first, 'Version']).trim().split('-')[0];
  const next = `${version}.1`;
  replace(path.join(tree, 'DEBIAN/control'), /^Version: .*$/m, `Version: ${next}-1`);
  replace(path.join(tree, 'usr/lib/mgmd/package.json'), `"${version}"`, `"${next}"`);
  // Not compressed: nobody carries it anywhere.
  runQuietly('packing the next version', 'dpkg-deb', [
    '-b',
    '-Znone',
    '--root-owner-group',
    tree,
    path.join(folder, 'mgmd-next.deb'),
  ]);
  rmSync(tree, { recursive: true });
  return folder;
}

function built(folder) {
  if (run('npm', ['run', '--silent', 'package:deb'], { env: { ...env, MGMD_PACKAGE_DIR: folder } }) !== 0)
    throw new Refusal('the package could not be built; what npm said is above');
  const found = readdirSync(folder).find((name) => name.endsWith('.deb'));
  return path.join(folder, found);
}

function replace(file, from, to) {
  const text = readFileSync(file, 'utf8');
  const changed = text.replace(from, to);
  if (changed === text) throw new Error(`${file} has no ${from}`);
  writeFileSync(file, changed);
}

/** Groups of processes for the container alone, in every hierarchy that systemd writes to; returns the way to remove them. */
function ownControlGroup() {
  const name = `mgmd-test-systemd-${process.pid}`;
  const own = readFileSync('/proc/self/cgroup', 'utf8')
    .trim()
    .split('\n')
    .map((line) => line.split(':'));
  const folders = [];
  for (const [, controller, where] of own) {
    const mount = controller === '' ? unifiedMount() : controller === 'name=systemd' && '/sys/fs/cgroup/systemd';
    if (!mount || !existsSync(mount)) continue;
    const folder = path.join(mount, where, name);
    mkdirSync(folder);
    writeFileSync(path.join(folder, 'cgroup.procs'), String(process.pid));
    folders.push({ folder, home: path.join(mount, where) });
  }
  return () => {
    for (const { folder, home } of folders) {
      writeFileSync(path.join(home, 'cgroup.procs'), String(process.pid));
      removeGroups(folder);
    }
  };
}

function unifiedMount() {
  return ['/sys/fs/cgroup/unified', '/sys/fs/cgroup'].find((folder) => existsSync(path.join(folder, 'cgroup.procs')));
}

function removeGroups(folder) {
  for (const entry of readdirSync(folder, { withFileTypes: true }))
    if (entry.isDirectory()) removeGroups(path.join(folder, entry.name));
  rmdirSync(folder);
}

/** Runs this script once more where its mounts and its processes end with it. */
function enter(scratch, words) {
  const self = fileURLToPath(import.meta.url);
  const flags = ['--mount', '--propagation', 'private', '--pid', '--mount-proc', '--fork', '--kill-child'];
  const { status, signal, error } = spawnSync(
    'unshare',
    [...flags, process.execPath, self, INSIDE, scratch, ...words],
    {
      cwd: root,
      stdio: 'inherit',
      timeout: LIMIT_SEC * 1000,
      killSignal: 'SIGKILL',
      env,
    },
  );
  if (error?.code === 'ETIMEDOUT') throw new Refusal(`the container did not end within ${LIMIT_SEC} s and was ended`);
  if (error) throw error;
  return status ?? `ended by ${signal}`;
}

const TARGET = `[Unit]
Description=The test of mgmd under systemd
Requires=sysinit.target
Wants=mgmd-test.service
AllowIsolate=yes
`;

const service = (command) => `[Unit]
After=sysinit.target
[Service]
Type=oneshot
WorkingDirectory=${root}
Environment=MGMD_SYSTEMD_TEST=/mgmd-test MGMD_TIMES=${process.env['MGMD_TIMES'] ?? ''}
ExecStart=${command.map((word) => `"${word}"`).join(' ')}
ExecStopPost=/bin/sh -c 'journalctl --no-pager -o short-precise >/mgmd-test/journal.txt'
ExecStopPost=/bin/systemctl poweroff --force --force
StandardOutput=append:/mgmd-test/output.txt
StandardError=inherit
`;

/** Mounts the overlay on a file system in memory, and gives the container its one job. Returns its root. */
function overlay(scratch, words) {
  const mount = (...args) => runQuietly('mount', 'mount', args);
  mount('-t', 'tmpfs', 'tmpfs', '/run');
  const memory = path.join(scratch, 'memory');
  mkdirSync(memory);
  mount('-t', 'tmpfs', '-o', 'mode=0755', 'tmpfs', memory);
  const [upper, work, merged] = ['upper', 'work', 'root'].map((name) => path.join(memory, name));
  for (const folder of [upper, work, merged]) mkdirSync(folder);
  mount('-t', 'overlay', 'overlay', '-o', `lowerdir=/,upperdir=${upper},workdir=${work}`, merged);
  // Images for containers forbid packages to start their services.
  rmSync(path.join(merged, 'usr/sbin/policy-rc.d'), { force: true });
  // Debian's flag that every package has the index of all man pages built anew.
  rmSync(path.join(merged, 'var/lib/man-db/auto-update'), { force: true });
  const units = path.join(merged, 'etc/systemd/system');
  const vitest = [process.execPath, path.join(root, 'node_modules/vitest/vitest.mjs'), 'run'];
  const options = ['--project=systemd', '--configLoader', 'runner', '--reporter=verbose', '--reporter=json'];
  writeFileSync(path.join(units, 'mgmd-test.target'), TARGET);
  writeFileSync(
    path.join(units, 'mgmd-test.service'),
    service([...vitest, ...options, '--outputFile.json=/mgmd-test/report.json', ...words]),
  );
  return merged;
}

function boot(scratch, words) {
  const merged = overlay(scratch, words);
  const results = path.join(scratch, 'results');
  const binds = [`--bind=${results}:/mgmd-test`, `--bind-ro=${scratch}/packages:/mgmd-packages`];
  const trees = [`--bind-ro=${root}`, `--bind-ro=${process.execPath}`];
  const alone = ['--private-network', '--register=no', '--keep-unit', '--link-journal=no', '--console=pipe'];
  // CAP_BPF is for the pause of the whole host.
  const machine = [
    '-q',
    '-D',
    merged,
    '--machine=mgmd-test',
    '--capability=CAP_BPF',
    '--system-call-filter=bpf',
    ...alone,
  ];
  const kernel = ['-b', 'systemd.unit=mgmd-test.target', 'systemd.show_status=false'];
  const log = path.join(results, 'output.txt');
  writeFileSync(log, '');
  const reader = spawn('tail', ['-n', '+1', '-f', log], { stdio: ['ignore', 'inherit', 'ignore'] });
  const status = run('systemd-nspawn', [...machine, ...binds, ...trees, ...kernel], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  reader.kill();
  return status;
}

const COLUMNS = [
  'run',
  'times',
  'sent',
  'lost',
  'duplicated',
  'leaves',
  'lostNeighbor',
  'ownership',
  'groups',
  'dvmrp',
  'seconds',
];

function table(file) {
  if (!existsSync(file)) return '';
  const rows = readFileSync(file, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  const cells = [COLUMNS, ...rows.map((row) => COLUMNS.map((column) => String(row[column])))];
  const widths = COLUMNS.map((_, n) => Math.max(...cells.map((row) => row[n].length)));
  const pad = (cell, n) => (n === 0 ? cell.padEnd(widths[n]) : cell.padStart(widths[n]));
  return cells.map((row) => row.map(pad).join('  ').trimEnd()).join('\n');
}

/** Prints the table and the count; returns whether all is well. */
function tell(results, isPart) {
  console.log(`\n${table(path.join(results, 'runs.jsonl'))}\n`);
  const report = path.join(results, 'report.json');
  if (!existsSync(report)) throw new Refusal('the container ended without a report; what it said is above');
  const { numPassedTests, numTotalTests, numFailedTests, success } = JSON.parse(readFileSync(report, 'utf8'));
  // Somebody who asks for a part (-t NAME) leaves the others out on purpose; otherwise no test may be.
  const failed = isPart ? numFailedTests : numTotalTests - numPassedTests;
  console.log(`${numPassedTests} passed, ${failed} failed`);
  return success && failed === 0 && numPassedTests > 0;
}

function outside(words) {
  checkMachine();
  const scratch = mkdtempSync(path.join(tmpdir(), 'mgmd-systemd-'));
  const results = path.join(scratch, 'results');
  mkdirSync(results);
  try {
    packages(scratch);
    const leave = ownControlGroup();
    try {
      const status = enter(scratch, words);
      if (status !== 0) console.error(`test-systemd: the container ended with ${status}`);
    } finally {
      leave();
    }
    process.exitCode = tell(results, words.length > 0) ? 0 : 1;
  } finally {
    const keep = process.env['MGMD_KEEP'];
    if (keep) cpSync(results, keep, { recursive: true });
    rmSync(scratch, { recursive: true, force: true });
  }
}

main('test-systemd', () => {
  const [first, ...words] = process.argv.slice(2);
  if (first === INSIDE) process.exitCode = boot(words[0], words.slice(1));
  else outside(process.argv.slice(2));
});
