/** Who may import whom: the layers of ARCHITECTURE.md as a table, checked against every import in src/. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const SRC = fileURLToPath(new URL('../../src', import.meta.url));

const PROTOCOL = ['base', 'port', 'config', 'mgm/client'];

/** Layers, or single files, that each layer may import beside its own. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  base: [],
  port: ['base'],
  config: ['base'],
  kernel: ['base', 'port'],
  mgm: ['base', 'port'],
  dvmrp: PROTOCOL,
  igmp: PROTOCOL,
  proxy: PROTOCOL,
  static: PROTOCOL,
  control: ['base', 'port', 'mgm/snapshot'],
  cli: ['base', 'control/messages', 'control/client'],
  daemon: ['base', 'port', 'config', 'kernel', 'mgm', 'dvmrp', 'igmp', 'proxy', 'static', 'control'],
  // The laboratory drives the real daemon from outside; only hold.ts reaches into it (ADR 0004).
  lab: ['base', 'port', 'config', 'kernel', 'mgm', 'control'],
};

/** Packages and Node's own modules, by layer. A layer that is not named is pure. */
const MAY_USE: Readonly<Record<string, readonly string[]>> = {
  config: ['yaml', 'zod'],
  kernel: ['node:'],
  control: ['node:'],
  cli: ['node:', 'commander'],
  daemon: ['node:', 'pino', 'ffi-rs'],
  lab: ['node:'],
};

const STATIC_IMPORT = /^(?:import|export)(?:\s[^'";=]*?\sfrom)?\s'([^']+)';$/gm;
const DYNAMIC_IMPORT = /\bimport\('([^']+)'\)/g;

interface Import {
  readonly file: string;
  readonly layer: string;
  readonly target: string;
}

function sources(): readonly string[] {
  return readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'));
}

function importsOf(file: string): readonly Import[] {
  const text = readFileSync(join(SRC, file), 'utf8');
  const layer = file.split('/')[0]!;
  const targets = [...text.matchAll(STATIC_IMPORT), ...text.matchAll(DYNAMIC_IMPORT)];
  return targets.map(([, target]) => ({ file, layer, target: target! }));
}

/** "mgm/client" for '../mgm/client.js' seen from src/igmp/module.ts. */
function resolved({ file, target }: Import): string {
  return relative(SRC, join(SRC, dirname(file), target)).replace(/\.js$/, '');
}

function isAllowed(one: Import): boolean {
  if (!one.target.startsWith('.')) return (MAY_USE[one.layer] ?? []).some((name) => one.target.startsWith(name));
  const path = resolved(one);
  if (path.startsWith(`${one.layer}/`)) return true;
  return (MAY_IMPORT[one.layer] ?? []).some((allowed) => path === allowed || path.startsWith(`${allowed}/`));
}

test('every folder of src is a layer of the table', () => {
  const folders = new Set(sources().map((file) => file.split('/')[0]!));
  expect([...folders].sort()).toEqual(Object.keys(MAY_IMPORT).sort());
});

test('every import points down, to a layer that the table allows', () => {
  const imports = sources().flatMap(importsOf);
  expect(imports.length).toBeGreaterThan(200);
  expect(imports.filter((one) => !isAllowed(one)).map(({ file, target }) => `${file} imports ${target}`)).toEqual([]);
});

test('no protocol imports another one, nor the manager behind its interface', () => {
  expect(isAllowed({ file: 'igmp/module.ts', layer: 'igmp', target: '../static/module.js' })).toBe(false);
  expect(isAllowed({ file: 'igmp/module.ts', layer: 'igmp', target: '../mgm/manager.js' })).toBe(false);
  expect(isAllowed({ file: 'igmp/module.ts', layer: 'igmp', target: '../mgm/client.js' })).toBe(true);
  expect(isAllowed({ file: 'mgm/manager.ts', layer: 'mgm', target: 'node:fs' })).toBe(false);
});

test('only kernel/addon.ts loads the addon', () => {
  const loaders = sources().filter((file) =>
    /createRequire|process\.dlopen/.test(readFileSync(join(SRC, file), 'utf8')),
  );
  expect(loaders).toEqual(['kernel/addon.ts']);
});
