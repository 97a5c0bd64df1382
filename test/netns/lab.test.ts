/** `npm start` as a newcomer runs it: the verdict, and that nothing is left behind, whichever way it ends. */
import { spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { Child } from '../support/child.js';
import { eventually } from '../support/eventually.js';

const MAIN = fileURLToPath(new URL('../../dist/lab/main.js', import.meta.url));
const STARTED_MS = 30_000;

/** A lab whose every process can be found by a mark in its environment. */
class Lab {
  readonly mark = randomUUID();
  readonly child: Child;

  constructor(...args: readonly string[]) {
    const [command, ...rest] = [...this.before(), process.execPath, MAIN, ...args];
    this.child = new Child(command!, rest, { MGMD_LAB_TEST: this.mark });
    onTestFinished(() => this.child.kill());
  }

  /** A command that becomes the one behind it. */
  protected before(): readonly string[] {
    return [];
  }

  output(): string {
    return [...this.child.lines, ...this.child.errors].join('\n');
  }

  /** Process ids, whatever namespaces they are in. */
  processes(): readonly string[] {
    return readdirSync('/proc').filter((pid) => /^\d+$/.test(pid) && environmentOf(pid).includes(this.mark));
  }

  saw(what: string, words: string): Promise<string> {
    const seen = () => this.child.lines.find((line) => line.includes(words));
    return eventually(`${what} (${words})`, seen, { withinMs: STARTED_MS });
  }

  nothingLeft(): Promise<true> {
    return eventually('the end of every process of the lab', () => this.processes().length === 0 && true);
  }
}

/** "This machine" is a network namespace with nothing but loopback. */
class LabOnEmptyMachine extends Lab {
  protected override before(): readonly string[] {
    return ['unshare', '--net'];
  }
}

class LabWithoutNamespaces extends Lab {
  protected override before(): readonly string[] {
    const forbid = 'echo 0 > /proc/sys/user/max_net_namespaces && exec "$@"';
    return ['unshare', '--user', '--map-root-user', 'sh', '-c', forbid, 'sh'];
  }
}

/** Empty when the process has ended meanwhile. */
function environmentOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'utf8');
  } catch {
    return '';
  }
}

/** Namespaces of the test files that run beside this one; the lab's are in a mount namespace of its own. */
const OTHER_TESTS = /\bmgmd-\d+-\d+-| \/run\/netns /;

/** What the lab could leave on the machine beside processes; its namespaces end with those. */
function machine(): string {
  const { stdout } = spawnSync('ip', ['netns', 'list'], { encoding: 'utf8' });
  const ours = (text: string) => text.split('\n').filter((line) => !OTHER_TESTS.test(line));
  return [
    ...ours(stdout).sort(),
    ...ours(readFileSync('/proc/self/mounts', 'utf8')).sort(),
    readFileSync('/proc/net/dev', 'utf8').replace(/\d+/g, ''),
  ].join('\n');
}

test('the lab hands interfaces over under traffic, passes, and leaves nothing behind', async () => {
  const before = machine();
  const lab = new Lab('--seconds', '8');
  expect([await lab.child.end(60_000), lab.output()]).toEqual([0, expect.stringContaining('verdict: PASSED')]);
  for (const stream of [
    '(*, 239.1.1.1) at host3 v3',
    '(10.1.0.2, 232.1.1.1) at host3 v3',
    '(*, 239.1.1.1) at host2 v2',
  ])
    expect(lab.output()).toMatch(new RegExp(`${stream.replace(/[()*.]/g, '\\$&')}: .* 0 lost, 0 duplicated`));
  expect(lab.output()).toMatch(
    /6 changes of owner; 6 pauses of IGMP, .* 0 membership calls, changes or reports crossed/,
  );
  await lab.nothingLeft();
  expect(machine()).toBe(before);
});

test('nothing of the lab survives a SIGKILL of its first process', async () => {
  const before = machine();
  const lab = new Lab('--seconds', '60');
  await lab.saw('a change of owner', 'igmp.enabled');
  expect(lab.processes().length).toBeGreaterThan(4);
  lab.child.signal('SIGKILL');
  await lab.nothingLeft();
  expect(machine()).toBe(before);
});

test('a lab that is kept is explored with the printed commands, counts what is done by hand, and ends by Ctrl-C', async () => {
  const lab = new Lab('--keep');
  const alias = /alias mgmctl='(.*)'/.exec(await lab.saw('the hints', 'alias mgmctl='))!;
  const mgmctl = (words: string) => spawnSync('sh', ['-c', `${alias[1]} ${words}`], { encoding: 'utf8' });
  await lab.saw('the end of the hints', 'Ctrl-C ends it');
  const printed = lab.child.lines.filter((line) => /^ {2}mgmctl (show|take|handover)/.test(line));
  expect(printed).toHaveLength(3);
  for (const line of printed) expect(mgmctl(line.replace(/^ *mgmctl/, ''))).toMatchObject({ status: 0, stderr: '' });
  await lab.saw('the hand-over', 'interface.handed-over recv');
  lab.child.signal('SIGINT');
  expect([await lab.child.end(), lab.output()]).toEqual([0, expect.stringContaining('verdict: PASSED')]);
  expect(lab.output()).toContain('2 changes of owner; 2 pauses of IGMP');
  await lab.nothingLeft();
});

test('a lab whose daemon dies fails and shows what the daemon said last', async () => {
  const lab = new Lab('--seconds', '60');
  await lab.saw('a change of owner', 'igmp.enabled');
  const daemon = lab.processes().find((pid) => readFileSync(`/proc/${pid}/comm`, 'utf8') === 'mgmd\n');
  process.kill(Number(daemon), 'SIGKILL');
  expect(await lab.child.end()).toBe(1);
  expect(lab.output()).toContain('the daemon ended (SIGKILL)');
  expect(lab.output()).toContain('daemon.started');
  await lab.nothingLeft();
});

test('a wrong flag is refused with the usage and exit code 64', async () => {
  const lab = new Lab('--sekonds', '8');
  expect(await lab.child.end()).toBe(64);
  expect(lab.output()).toContain("Unknown option '--sekonds'");
  expect(lab.output()).toContain('usage: npm start');
});

test('where namespaces are not allowed the lab says so, with what to do, and ends with exit code 77', async () => {
  const lab = new LabWithoutNamespaces();
  expect(await lab.child.end()).toBe(77);
  expect(lab.output()).toContain('the lab needs network namespaces of its own, and they were refused');
  expect(lab.output()).toContain('user.max_net_namespaces');
});

test('with --config the daemon itself runs in the foreground: its exit code is ours, and a signal ends it', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'mgmd-lab-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const file = join(directory, 'mgmd.yaml');
  writeFileSync(file, 'nonsense: true\n');
  const refused = new Lab('--config', file);
  expect(await refused.child.end()).toBe(78);
  expect(refused.output()).toContain('nonsense');

  writeFileSync(file, `control: { socket: ${join(directory, 'sock')} }\n`);
  const lab = new LabOnEmptyMachine('--config', file);
  await eventually('the daemon to serve', () => lab.output().includes('daemon.started'), { withinMs: STARTED_MS });
  lab.child.signal('SIGTERM');
  expect(await lab.child.end()).toBe(0);
});
