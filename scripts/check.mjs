/**
 * `npm run check`: every static check that needs no build. All of them run and show what they find; the exit code is 1
 * when one of them found something. clang-tidy, which takes minutes, is `node scripts/native.mjs tidy`.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { hasCommand, main, root } from './support.mjs';

const node = process.execPath;
const TSC = 'node_modules/typescript/bin/tsc';

/** What git would add: no build products, no dependencies. */
function files() {
  const { stdout } = spawnSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
    cwd: root,
    encoding: 'utf8',
  });
  return (stdout ?? '').split('\0').filter(Boolean);
}

/** Files with this ending, or without any ending and with this program in their first line. */
function written(all, ending, program) {
  return all.filter((file) => {
    if (path.extname(file) !== '') return file.endsWith(ending);
    const [first = ''] = readFileSync(path.join(root, file), 'utf8').split('\n', 1);
    return first.startsWith('#!') && first.endsWith(program);
  });
}

/** Whether a command found nothing; its output is ours. */
function passes(command, args) {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: 'inherit' });
  if (error) console.error(`${command} cannot be started: ${error.message}`);
  return status === 0;
}

function eachPasses(command, args, names) {
  return names.filter((name) => !passes(command, [...args, name])).length === 0;
}

/** Parses a Python file without leaving a compiled one behind. */
const PARSE_PYTHON = 'import ast, sys; ast.parse(open(sys.argv[1]).read(), sys.argv[1])';

const CHECKS = [
  ['format (biome)', () => passes(node, ['node_modules/@biomejs/biome/bin/biome', 'format', '.'])],
  ['lint (oxlint, with types)', () => passes(node, ['node_modules/oxlint/bin/oxlint', '--type-aware', '.'])],
  ['types of src/, without Node.js where it may not be', () => passes(node, [TSC, '-b', 'tsconfig.node.json'])],
  ['types of src/ and test/', () => passes(node, [TSC, '-p', 'tsconfig.json'])],
  ['JavaScript syntax', (all) => eachPasses(node, ['--check'], written(all, '.mjs', 'node'))],
  ['shell syntax', (all) => eachPasses('bash', ['-n'], written(all, '.sh', 'sh'))],
  ['Python syntax', (all) => eachPasses('python3', ['-c', PARSE_PYTHON], written(all, '.py', 'python3'))],
  ['white space (git)', () => !hasCommand('git') || passes('git', ['diff', '--check', 'HEAD'])],
];

main('check', () => {
  const all = files();
  const failed = CHECKS.filter(([name, check]) => {
    console.log(`== ${name}`);
    return !check(all);
  }).map(([name]) => name);
  console.log(failed.length === 0 ? 'check: nothing found' : `check: something found by ${failed.join(', ')}`);
  if (failed.length > 0) process.exitCode = 1;
});
