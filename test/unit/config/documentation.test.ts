/** The configurations that the documents show are good ones. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { formatComplaint, parseConfig } from '../../../src/config/parse.js';

const read = (file: string) => readFileSync(new URL(`../../../${file}`, import.meta.url), 'utf8');

/** Whole configurations: blocks that begin with the interfaces. */
function examplesIn(file: string): readonly string[] {
  return [...read(file).matchAll(/```yaml\n(interfaces:[^`]*)```/g)].map(([, text]) => text!);
}

const EXAMPLES = ['README.md', 'docs/configuration.md'].flatMap((file) => examplesIn(file).map((text) => [file, text]));

test('the documents have examples', () => expect(EXAMPLES.length).toBeGreaterThan(6));

test.each(EXAMPLES)('%s: an example is accepted without a warning', (file, text) => {
  const parsed = parseConfig(text, file);
  expect(parsed.ok ? parsed.value.warnings.map(formatComplaint) : parsed.error.map(formatComplaint)).toEqual([]);
});
