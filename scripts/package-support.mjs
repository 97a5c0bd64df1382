/** What the packages have in common: the tree that is installed, and how it is made small. */
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createHash } from 'node:crypto';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { npmCli } from './node-gyp.mjs';
import { Refusal, root, run, runQuietly } from './support.mjs';

/** The part of the tree that only people with a checkout use. */
const NOT_INSTALLED = ['dist/lab'];
/** Folders of dependencies that no program loads; of zod and yaml those are whole copies for other environments. */
const NOT_LOADED = [
  'test',
  'tests',
  'docs',
  'doc',
  'example',
  'examples',
  'benchmarks',
  'build',
  'fixtures',
  'types',
  'typings',
  '.github',
];
const NOT_LOADED_IN = { zod: ['src'], yaml: ['browser'] };
const LOADED = /\.(js|cjs|mjs|json|node)$/;
/** Tools of the authors, and what is for browsers, in a package's own folder. */
const NOT_OURS = /^(eslint\.config|bench|check|example|tsconfig|package-support|browser|bin)\.(js|cjs|mjs|json)$/;

export function manifest() {
  return JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'));
}

/** Runs `body` with a new folder that is gone afterwards. */
export function withScratch(body) {
  const scratch = mkdtempSync(path.join(tmpdir(), 'mgmd-package-'));
  try {
    return body(scratch);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** Where something is installed below `stage`, with the folders above it. */
export function put(stage, name) {
  const file = path.join(stage, name);
  mkdirSync(path.dirname(file), { recursive: true });
  return file;
}

export function putText(stage, name, text, mode = 0o644) {
  const file = put(stage, name);
  writeFileSync(file, text);
  chmodSync(file, mode);
}

export function putCopy(stage, name, source, mode = 0o644) {
  const file = put(stage, name);
  cpSync(path.resolve(root, source), file);
  chmodSync(file, mode);
}

/** Copies what `wants(path inside)` admits; folders that stay empty are left out. */
function copyTree(from, to, wants, inside = '') {
  for (const entry of readdirSync(path.join(from, inside), { withFileTypes: true })) {
    const name = path.join(inside, entry.name);
    if (!wants(name, entry)) continue;
    if (entry.isDirectory()) copyTree(from, to, wants, name);
    else putCopy(to, name, path.join(from, name));
  }
}

/** dist/ without what is not installed, and without what only compilers read. */
export function copyProgram(to) {
  copyTree(path.join(root, 'dist'), path.join(to, 'dist'), (name, entry) =>
    entry.isDirectory() ? !NOT_INSTALLED.includes(`dist/${name}`) : name.endsWith('.js'),
  );
}

/** The folders of node_modules that the lock file calls needed at run time, on this platform. */
export function runtimePackages(base = root) {
  const { packages } = JSON.parse(readFileSync(path.join(root, 'package-lock.json'), 'utf8'));
  return Object.entries(packages)
    .filter(([folder, { dev }]) => folder.startsWith('node_modules/') && !dev && existsSync(path.join(base, folder)))
    .map(([folder, { license }]) => {
      const { name, version, author } = JSON.parse(readFileSync(path.join(base, folder, 'package.json'), 'utf8'));
      return { folder, name, version, license, author: typeof author === 'string' ? author : author?.name };
    });
}

/** Copies dependencies without documents, tests and what was written for other environments. */
export function copyDependencies(to, { base = root, packages = runtimePackages(base), licenses = false } = {}) {
  for (const { folder, name } of packages) {
    const left = [...NOT_LOADED, ...(NOT_LOADED_IN[name] ?? [])];
    const wants = (inside, entry) => {
      if (entry.isDirectory()) return !left.includes(inside) && inside !== 'node_modules';
      if (/^licen[cs]e/i.test(entry.name)) return licenses;
      return LOADED.test(inside) && !NOT_OURS.test(inside);
    };
    copyTree(path.join(base, folder), path.join(to, folder), wants);
  }
}

/** The license texts of what is shipped beside our own, in one file. */
export function notices(packages, more = []) {
  const texts = packages.map(({ folder, name, version, license, author }) => {
    const file = readdirSync(path.join(root, folder)).find((entry) => /^licen[cs]e/i.test(entry));
    const text = file
      ? readFileSync(path.join(root, folder, file), 'utf8')
      : `${license}${author ? `, by ${author}` : ''} (its package has no text of its own)\n`;
    return { title: `${name} ${version}`, text };
  });
  return [...texts, ...more]
    .map(({ title, text }) => `${title}\n${'='.repeat(title.length)}\n\n${text.trim()}\n`)
    .join('\n\n');
}

/** The addon as the setup built it, without symbols, where src/kernel/addon.ts looks for one that was built elsewhere. */
export function copyAddon(to) {
  const file = put(to, `prebuilds/linux-${process.arch}/mgmd.node`);
  cpSync(path.join(root, 'build/Release/mgmd.node'), file);
  strip('strip', file);
}

export function strip(command, file) {
  chmodSync(file, 0o644);
  runQuietly(`stripping ${path.basename(file)}`, command, ['--strip-unneeded', file]);
}

/** A package holds what was built from the sources as they are, never what lay about. */
export function buildFirst() {
  if (run(process.execPath, ['scripts/setup.mjs']) !== 0) throw new Refusal('the setup failed');
}

/** Unpacks a package of the registry into a folder, or only some of its files; refuses another one than a lock file pins. */
export function fetchPinned(wanted, integrity, into, members = []) {
  withScratch((scratch) => {
    const npm = ['pack', wanted, '--silent', '--prefer-offline', '--pack-destination', scratch];
    runQuietly(`npm pack ${wanted}`, process.execPath, [npmCli(), ...npm]);
    const archive = path.join(scratch, readdirSync(scratch).find((name) => name.endsWith('.tgz')) ?? '');
    const digest = createHash('sha512').update(readFileSync(archive)).digest('base64');
    if (`sha512-${digest}` !== integrity) throw new Refusal(`${wanted} is not what the lock file pins`);
    mkdirSync(into, { recursive: true });
    const names = members.map((name) => `package/${name}`);
    runQuietly('tar', 'tar', ['-xzf', archive, '-C', into, '--no-same-owner', '--strip-components=1', ...names]);
  });
}

/** When the sources last changed, in seconds, so that the same sources give the same package. */
export function sourceDate() {
  const given = process.env['SOURCE_DATE_EPOCH'];
  if (given) return Number(given);
  try {
    return Number(runQuietly('git log', 'git', ['log', '-1', '--format=%ct']).trim());
  } catch {
    return Math.floor(statSync(path.join(root, 'package.json')).mtimeMs / 1000);
  }
}
