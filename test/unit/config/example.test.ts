/** What is shipped and documented must be true. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { formatComplaint, parseConfig } from '../../../src/config/parse.js';
import {
  dvmrpInterfaceSchema,
  dvmrpSchema,
  fileSchema,
  igmpSchema,
  interfaceSchema,
  proxySchema,
  upstreamSchema,
} from '../../../src/config/schema.js';

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
  const unknown = fileSchema.safeParse({ nonsense: 1 }).error?.issues[0]?.message ?? '';
  const keys = unknown.split(/, | and /);
  expect(keys.length).toBeGreaterThan(10);
  // What has keys of its own is described by those, or by a section of its name.
  for (const key of keys)
    expect(manual.includes(`| \`${key}\` |`) || manual.includes(`| \`${key}.`), `${key} is described`).toBe(true);
  for (const key of Object.keys(igmpSchema.shape)) expect(manual).toContain(`| \`${key}\` |`);
  for (const key of Object.keys(proxySchema.shape)) expect(manual).toContain(`| \`${key}\``);
  for (const key of Object.keys(upstreamSchema.shape)) expect(manual).toContain(`| \`upstreams[].${key}\` |`);
  for (const { shape } of [dvmrpSchema, dvmrpInterfaceSchema])
    for (const key of Object.keys(shape)) expect(manual).toContain(`| \`${key}\` |`);
  for (const key of Object.keys(interfaceSchema.shape)) expect(manual).toContain(`| \`${key}\` |`);
});

test('the manual describes no key that the file does not have', () => {
  const manual = read('docs/configuration.md');
  const [, igmp = ''] = /`igmp` \(section[^]*?\n\n([^]*?)\n\n/.exec(manual) ?? [];
  const described = [...igmp.matchAll(/^\| `(\w+)` \|/gm)].map(([, key]) => key!);
  expect(described.toSorted()).toEqual(Object.keys(igmpSchema.shape).toSorted());
});

test.each(['README.md', 'docs/configuration.md', 'docs/from-igmpproxy.md'])(
  'every whole configuration that %s shows is good',
  (file) => {
    const blocks = [...read(file).matchAll(/^```yaml\n([^]*?)^```$/gm)].map(([, text]) => text!);
    const whole = blocks.filter((text) => text.startsWith('interfaces:'));
    expect(whole.length).toBeGreaterThan(0);
    for (const text of whole) {
      const parsed = parseConfig(text, file);
      expect(parsed.ok ? parsed.value.warnings : parsed.error.map(formatComplaint)).toEqual([]);
    }
  },
);
