/**
 * `npm test`: every test (unit, property, namespace, native) in namespaces of its own, so that no root is needed
 * and this machine's network stays as it is. Where they cannot be made it fails and says why; no test is ever skipped. Files that
 * need what this machine does not have are left out with a message.
 * Words behind `--` go to vitest: `npm test -- test/unit/mgm`. The last line is `N passed, N failed`.
 */
import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { runNativeTests } from './native-tests.mjs';
import { filesBelow, hasCommand, main, Refusal, root, run } from './support.mjs';

const INSIDE = '--inside';
/** `ip` may be in sbin, which is not on every user's PATH. */
const env = { ...process.env, PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin` };
/** `ip netns` writes to /run, and programs expect a loopback interface that is up. */
const PREPARE = 'mount -t tmpfs tmpfs /run && ip link set lo up && exec "$@"';

function unshare(flags, command) {
  return [flags, '--fork', '--kill-child', 'sh', '-c', PREPARE, 'sh', ...command];
}

const command = (name) => ({ package: name, isThere: () => hasCommand(name, env.PATH) });

/** What tests need beyond Debian's base: how it is found, and the Debian package that it comes in. */
const NEEDS = {
  tshark: command('tshark'),
  tcpdump: command('tcpdump'),
  strace: command('strace'),
  ffmpeg: command('ffmpeg'),
  // Debian's own Python, whatever else PATH has.
  scapy: {
    package: 'python3-scapy',
    isThere: () => spawnSync('/usr/bin/python3', ['-c', 'import scapy']).status === 0,
  },
  frr: { package: 'frr', isThere: () => existsSync('/usr/lib/frr/pimd') },
  // Debian lets root alone open it.
  tun: { isThere: () => mayOpen('/dev/net/tun') },
  // In a user namespace of our own there is no other user to become, and no BPF program to load.
  root: { isThere: () => /^\s*0\s+0\s+\d{2,}/.test(readFileSync('/proc/self/uid_map', 'utf8')) },
};

/** A test file says itself what it needs, in a line of its own: `// needs: tshark tcpdump`. */
const JUDGED = filesBelow('test/netns').flatMap((file) => {
  const [, words] = /^\/\/ needs: (.+)$/m.exec(readFileSync(path.join(root, file), 'utf8')) ?? [];
  return words === undefined ? [] : [{ file, needs: words.split(' ').map((word) => needOf(word, file)) }];
});

function needOf(word, file) {
  if (Object.hasOwn(NEEDS, word)) return word;
  throw new Refusal(`${file} needs "${word}", which is none of ${Object.keys(NEEDS).join(', ')}`);
}

function mayOpen(file) {
  try {
    accessSync(file, constants.R_OK | constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

const isMissing = (need) => !NEEDS[need].isThere();
const packagesOf = (needs) => needs.flatMap((need) => NEEDS[need].package ?? []);

function installJudges() {
  const missing = packagesOf([...new Set(JUDGED.flatMap(({ needs }) => needs))].filter(isMissing));
  if (missing.length === 0 || process.getuid?.() !== 0 || !hasCommand('apt-get', env.PATH)) return;
  console.error(`test: installing ${missing.join(' ')}, which tests need as judges and as peers`);
  const quietly = { stdio: ['ignore', 'ignore', 'inherit'], env: { ...env, DEBIAN_FRONTEND: 'noninteractive' } };
  run('apt-get', ['update', '-q'], quietly);
  run('apt-get', ['install', '-qy', '--no-install-recommends', ...missing], quietly);
}

/** The flags of unshare(1) that work here; root stays root of this machine where it may. */
function namespaceFlags() {
  const isRoot = process.getuid?.() === 0;
  const said = [];
  for (const flags of isRoot ? ['-nm', '-Urnm'] : ['-Urnm']) {
    const tried = spawnSync('unshare', unshare(flags, ['true']), { encoding: 'utf8', env });
    if (tried.status === 0) return flags;
    said.push(`unshare ${flags}: ${tried.error?.message ?? tried.stderr.trim()}`);
  }
  const advice = isRoot
    ? 'Run them where root is real root; a container needs CAP_SYS_ADMIN and CAP_NET_ADMIN.'
    : 'Run them as root, or allow user namespaces (sysctl kernel.unprivileged_userns_clone=1, user.max_user_namespaces, ' +
      'kernel.apparmor_restrict_unprivileged_userns=0).';
  throw new Refusal(
    `the tests need network namespaces of their own, and they were refused: ${said.join('; ')}. ${advice}`,
  );
}

function enterNamespaces(words) {
  for (const [command, debianPackage] of [
    ['unshare', 'util-linux'],
    ['ip', 'iproute2'],
  ])
    if (!hasCommand(command, env.PATH))
      throw new Refusal(
        `the tests need ${command}, which cannot be found. On Debian: apt-get install ${debianPackage}`,
      );
  const self = fileURLToPath(import.meta.url);
  return run('unshare', unshare(namespaceFlags(), [process.execPath, self, INSIDE, ...words]), { env });
}

/** What vitest is to leave out, with a message for each. */
function withoutJudge() {
  return JUDGED.flatMap(({ file, needs }) => {
    const missing = needs.filter(isMissing);
    if (missing.length === 0) return [];
    const packages = packagesOf(missing).join(' ');
    const advice = packages === '' ? 'run the tests as root' : `on Debian, as root: apt-get install ${packages}`;
    console.error(`test: ${file} is not part of this run: ${missing.join(', ')} missing (${advice})`);
    return ['--exclude', file];
  });
}

/** Runs vitest with its own output, and counts from its report. */
function runVitest(words) {
  const folder = mkdtempSync(path.join(tmpdir(), 'mgmd-test-'));
  try {
    const report = path.join(folder, 'report.json');
    const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
    const projects = ['--project=unit', '--project=netns'];
    const status = run(process.execPath, [
      'node_modules/vitest/vitest.mjs',
      'run',
      ...projects,
      ...reporters,
      ...words,
    ]);
    if (!existsSync(report)) return { passed: 0, failed: 1 };
    return countOf(JSON.parse(readFileSync(report, 'utf8')), status);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A file that did not load and an error outside of all tests count as failures. */
function countOf(report, status) {
  const leftOut = report.testResults
    .flatMap((file) => file.assertionResults)
    .filter((test) => ['skipped', 'pending', 'todo', 'disabled'].includes(test.status));
  const unloaded = report.testResults.filter((file) => file.status === 'failed' && file.assertionResults.length === 0);
  const failed = report.numFailedTests + unloaded.length;
  return {
    properties: failedProperties(report),
    passed: report.numPassedTests,
    leftOut: leftOut.length,
    failed: status === 0 ? failed : Math.max(failed, 1),
  };
}

/** What test/support/property-report.ts said: the seed would otherwise stand somewhere in the middle of the log. */
function failedProperties(report) {
  const messages = report.testResults.flatMap((file) => file.assertionResults.flatMap((test) => test.failureMessages));
  return messages.flatMap((text) => /property failed: .*\nMGMD_FUZZ_SEED.*/.exec(text) ?? []);
}

main('test', () => {
  const [first, ...words] = process.argv.slice(2);
  if (first !== INSIDE) {
    installJudges();
    process.exitCode = enterNamespaces(process.argv.slice(2));
    return;
  }
  const counts = words.length > 0 ? [runVitest(words)] : [runNativeTests(), runVitest(withoutJudge())];
  const sum = (key) => counts.reduce((total, count) => total + (count[key] ?? 0), 0);
  // Somebody who asks for a part (-t NAME) leaves the others out on purpose; otherwise no test may be.
  const leftOut = words.length > 0 ? 0 : sum('leftOut');
  if (leftOut > 0) console.error(`test: ${leftOut} tests were left out, which counts as failed`);
  for (const text of counts.flatMap(({ properties = [] }) => properties)) console.error(text);
  const failed = sum('failed') + leftOut;
  console.log(`${sum('passed')} passed, ${failed} failed`);
  process.exitCode = failed === 0 && sum('passed') > 0 ? 0 : 1;
});
