/** What must hold of the repository itself: versions, promises of package.json, and what may not be written anywhere. */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
const CODE = ['src', 'test', 'bench', 'scripts', 'native', '.ci'];
const THIS = 'test/unit/repository.test.ts';

interface Manifest {
  readonly version: string;
  readonly bin: Readonly<Record<string, string>>;
  readonly dependencies: Readonly<Record<string, string>>;
  readonly devDependencies: Readonly<Record<string, string>>;
}

interface Lock {
  readonly packages: Readonly<Record<string, Manifest & { readonly resolved?: string; readonly integrity?: string }>>;
}

function text(file: string): string {
  return readFileSync(join(root, file), 'utf8');
}

function filesBelow(folder: string): readonly string[] {
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length))
    .filter((file) => file !== THIS);
}

/** `file:line` of every line that matches. */
function linesThatMatch(files: readonly string[], pattern: RegExp): readonly string[] {
  return files.flatMap((file) =>
    text(file)
      .split('\n')
      .flatMap((line, index) => (pattern.test(line) ? [`${file}:${index + 1} ${line.trim()}`] : [])),
  );
}

const manifest = JSON.parse(text('package.json')) as Manifest;
const lock = JSON.parse(text('package-lock.json')) as Lock;
const code = CODE.flatMap(filesBelow).filter((file) => !['.hex', '.pyc'].includes(extname(file)));
const documents = ['', 'docs', 'docs/adr', 'docs/spec', 'bench', 'packaging']
  .flatMap((folder) => readdirSync(join(root, folder)).map((name) => join(folder, name)))
  .filter((file) => file.endsWith('.md'));

test('every dependency has one exact version, and the lock file the same', () => {
  const wanted = { ...manifest.dependencies, ...manifest.devDependencies };
  for (const [name, version] of Object.entries(wanted)) {
    expect(version, name).toMatch(/^\d+\.\d+\.\d+$/);
    expect(lock.packages[`node_modules/${name}`]?.version, name).toBe(version);
  }
  const [self] = Object.values(lock.packages);
  expect(self?.version).toBe(manifest.version);
});

test('the lock file proves what it names and names no host to fetch it from', () => {
  for (const [name, { resolved, integrity }] of Object.entries(lock.packages)) {
    if (name === '') continue;
    expect(resolved, name).toBeUndefined();
    expect(integrity, name).toMatch(/^sha512-/);
  }
});

test('both programs of package.json have a source that starts as a program', () => {
  expect(Object.keys(manifest.bin).sort()).toEqual(['mgmctl', 'mgmd']);
  // mgmd by a launcher, which names the file
  expect(text(manifest.bin['mgmd']!)).toMatch(/^#!\/bin\/sh\n(.*\n)*.*dist\/daemon\/main\.js/);
  for (const source of ['src/daemon/main.ts', manifest.bin['mgmctl']!.replace(/^dist\/(.*)\.js$/, 'src/$1.ts')])
    expect(text(source).split('\n', 1), source).toEqual(['#!/usr/bin/env node']);
});

test('no check is turned off, no test left out, nothing put off in a comment', () => {
  const forbidden = [
    /@ts-(?:ignore|nocheck|expect-error)/,
    /(?:eslint|oxlint|biome|NOLINT)(?:-disable|-ignore|NEXTLINE|BEGIN|\()/,
    /\b(?:test|it|describe|netnsTest)\.(?:skip|only|todo|fails|skipIf|runIf)\b/,
    /\b(?:TODO|FIXME|XXX)\b/,
  ];
  expect(forbidden.flatMap((pattern) => linesThatMatch(code, pattern))).toEqual([]);
});

test('nothing depends on the machine it was written on', () => {
  const homes = /(?:\/root\/|\/home\/\w|^registry\s*=)/;
  expect(linesThatMatch([...code, ...documents, '.npmrc'], homes)).toEqual([]);
});

test('every link of the documents leads to a file', () => {
  const dangling = documents.flatMap((file) =>
    [...text(file).matchAll(/\]\((?!https?:)([^)#\s]+)/g)]
      .map(([, target]) => join(dirname(file), target!))
      .filter((target) => !existsSync(join(root, target)))
      .map((target) => `${file} names ${target}`),
  );
  expect(dangling).toEqual([]);
});

test('decisions are numbered without gaps and have at most 60 lines', () => {
  const decisions = readdirSync(join(root, 'docs/adr')).sort();
  expect(decisions.map((name) => name.slice(0, 4))).toEqual(decisions.map((_, n) => String(n + 1).padStart(4, '0')));
  for (const name of decisions) expect(text(`docs/adr/${name}`).trimEnd().split('\n').length, name).toBeLessThan(61);
});

test('every script of package.json that runs a file has that file', () => {
  const { scripts } = JSON.parse(text('package.json')) as { readonly scripts: Readonly<Record<string, string>> };
  const files = Object.values(scripts).flatMap((line) => /^node ((?:scripts|bench)\/\S+)/.exec(line)?.[1] ?? []);
  expect(files.length).toBeGreaterThan(3);
  expect(files.filter((file) => !existsSync(join(root, file)))).toEqual([]);
});

test('the scripts of set-up need nothing but Node', () => {
  const scripts = filesBelow('scripts');
  const imports = scripts.flatMap((file) => [...text(file).matchAll(/from '([^']+)'/g)].map(([, target]) => target!));
  expect(imports.filter((target) => !/^(?:node:|\.\/)/.test(target))).toEqual([]);
});

test('.ci/run can be run', () => {
  expect(() => execFileSync('bash', ['-n', join(root, '.ci/run')])).not.toThrow();
  expect(() => execFileSync('test', ['-x', join(root, '.ci/run')])).not.toThrow();
});

test('a test file says which programs it needs that not every machine has', () => {
  const NEEDS: readonly (readonly [RegExp, string])[] = [
    [/support\/(?:capture|igmp-reports)/, 'tshark tcpdump'],
    [/'strace'/, 'strace'],
    [/support\/scapy/, 'scapy'],
    [/'ffmpeg'/, 'ffmpeg'],
  ];
  const silent = filesBelow('test/netns').flatMap((file) => {
    const said = /^\/\/ needs: (.+)$/m.exec(text(file))?.[1]?.split(' ') ?? [];
    const needed = NEEDS.filter(([sign]) => sign.test(text(file))).flatMap(([, words]) => words.split(' '));
    return needed.filter((word) => !said.includes(word)).map((word) => `${file} does not say that it needs ${word}`);
  });
  expect(silent).toEqual([]);
});
