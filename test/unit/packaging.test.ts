/** Files that repeat what is written elsewhere: units, completions and man pages say the same as the programs. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { COMMANDS } from '../../src/cli/commands.js';
import { fileSchema } from '../../src/config/schema.js';
import { EXIT } from '../../src/daemon/process/exit-codes.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const read = (...names: string[]) => readFileSync(join(root, ...names), 'utf8');

/** Lines with a meaning. */
function settings(unit: string): readonly string[] {
  return unit.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
}

/** A man page as people read it: requests, fonts and escapes taken out. */
function manText(name: string): string {
  return read('docs/man', name)
    .replaceAll(/^\.(TP|PP|RS|RE|nf|fi|br)$/gm, '')
    .replaceAll(/^\.[A-Z]+ /gm, '')
    .replaceAll('\\-', '-');
}

function completions(program: string, ...words: string[]): readonly string[] {
  const script = `source "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _${program}; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const file = join(root, 'packaging/completion', `${program}.bash`);
  const out = execFileSync('bash', ['-c', script, file, program, ...words], { encoding: 'utf8' });
  return out.split('\n').filter(Boolean);
}

test('an instance is served as the one without a name is, but for the places that carry its name', () => {
  const single = settings(read('packaging/mgmd.service')).map((line) =>
    line
      .replaceAll('/etc/mgmd/mgmd.yaml', '/etc/mgmd/%i.yaml')
      .replace('Description=Multicast group manager', 'Description=Multicast group manager (%i)')
      .replace('RuntimeDirectory=mgmd', 'RuntimeDirectory=mgmd-%i')
      .replace('StateDirectory=mgmd', 'StateDirectory=mgmd/%i'),
  );
  expect(settings(read('packaging/mgmd@.service'))).toEqual(single);
});

test('what a second try cannot mend is not tried again, a fault of mgmd or of the system is', () => {
  const never = /^RestartPreventExitStatus=(.*)$/m.exec(read('packaging/mgmd.service'))![1]!.split(' ').map(Number);
  const { usage, unavailable, protocol, noPermission, config } = EXIT;
  expect(never).toEqual([usage, unavailable, protocol, noPermission, config]);
});

test('every drop-in example names its place in its first line and is described in the manual of the service', () => {
  for (const name of readdirSync(join(root, 'packaging/examples'))) {
    expect(read('packaging/examples', name).split('\n')[0]).toMatch(/^# \/etc\/systemd\/system\/mgmd.*\.service\.d\//);
    expect(read('docs/service.md')).toContain(`../packaging/examples/${name}`);
  }
});

test('the shell completes every command and its options', () => {
  const names = [...COMMANDS.map(({ name }) => name), 'monitor', 'help'];
  expect(completions('mgmctl', '').toSorted()).toEqual(names.toSorted());
  for (const { name, options = [] } of COMMANDS) {
    const offered = completions('mgmctl', name, '--');
    for (const [notation] of options) expect(offered, name).toContain(notation.split(' ')[0]);
  }
  expect(completions('mgmctl', 'show', 'm')).toEqual(['mfc']);
  expect(completions('mgmctl', '--instance', 'lab', 'show', 'dvmrp', 'n')).toEqual(['neighbors']);
  expect(completions('mgmd', '--c')).toEqual(['--config', '--check']);
});

test('the man pages have every command, every option, every exit code and every key of the configuration', () => {
  const tool = manText('mgmctl.1');
  for (const { name, options = [] } of COMMANDS)
    for (const word of [name, ...options.map(([notation]) => notation.split(' ')[0]!)]) expect(tool).toContain(word);
  const daemon = manText('mgmd.8');
  for (const code of Object.values(EXIT)) expect(daemon).toMatch(new RegExp(`^${code}$`, 'm'));
  for (const option of ['--config', '--check', '--wait', '--handoff', '--version', '--help'])
    expect(daemon).toContain(option);
  const file = manText('mgmd.yaml.5');
  const keys = [...Object.keys(fileSchema.parse({}) as object), 'proxy', 'dvmrp'];
  for (const key of keys) expect(file, key).toMatch(new RegExp(`^${key}\\b`, 'm'));
});
