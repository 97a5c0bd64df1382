/** What is shipped and documented must be true. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { formatComplaint, parseConfig } from '../../../src/config/parse.js';
import { fileSchema, igmpSchema } from '../../../src/config/schema.js';

const read = (path: string) => readFileSync(new URL(`../../../${path}`, import.meta.url), 'utf8');

test('the example configuration is good, also with everything commented in', () => {
  const text = read('packaging/mgmd.example.yaml');
  const all = text.replace(/^# (?=(?:[a-z]+:|  ))/gm, '');
  for (const one of [text, all]) {
    const parsed = parseConfig(one, 'mgmd.example.yaml');
    expect(parsed.ok ? parsed.value.warnings : parsed.error.map(formatComplaint)).toEqual([]);
  }
  expect(all).toContain('\nrpf:\n  table: main\n');
});

test('every key of the file is in the manual', () => {
  const manual = read('docs/configuration.md');
  expect(fileSchema.safeParse({ nonsense: 1 }).error?.issues[0]?.message).toBe(
    'table, log, control, rpf, mfe, foreign, interfaces and static',
  );
  for (const key of [
    'table',
    'log.level',
    'control.socket',
    'rpf.table',
    'rpf.routes',
    'mfe.expiry',
    'foreign',
    'interfaces',
    'static',
  ])
    expect(manual).toContain(`| \`${key}\` |`);
  for (const key of Object.keys(igmpSchema.shape)) expect(manual).toContain(`| \`${key}\` |`);
});
