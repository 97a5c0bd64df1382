/** Every rule that the code, the tests and the documents cite can be looked up: in docs/spec, or in an RFC that is named. */
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { expect, test } from 'vitest';

const root = join(import.meta.dirname, '../..');
const SPEC = 'docs/spec';

/** Ids are anchors (`<a id="d-own-9">`), sections are numbered headings. */
interface Specification {
  readonly ids: ReadonlySet<string>;
  readonly sections: ReadonlySet<string>;
}

const specifications = new Map(
  readdirSync(join(root, SPEC)).map((name) => [name, readSpecification(read(`${SPEC}/${name}`))]),
);
const ids = new Set([...specifications.values()].flatMap((specification) => [...specification.ids]));
const citing = ['src', 'native', 'test', 'bench', 'docs', 'packaging']
  .flatMap(filesBelow)
  .concat('ARCHITECTURE.md', 'CONTRIBUTING.md', 'README.md');

function read(file: string): string {
  return readFileSync(join(root, file), 'utf8');
}

function filesBelow(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.(?:ts|mjs|py|cc|h|md)$/.test(entry.name))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)));
}

function readSpecification(text: string): Specification {
  const headings = [...text.matchAll(/^#{2,3} (?:<a [^>]*><\/a>)*(\d+(?:\.\d+)*)(?: – (\d+(?:\.\d+)*))?/gm)];
  return {
    ids: new Set([...text.matchAll(/<a id="([^"]+)">/g)].map(([, id]) => id!)),
    sections: new Set(headings.flatMap(([, first, last]) => range(first!, last ?? first!))),
  };
}

/** `2.9`, `2.14`: 2.9, 2.10 and so on. Of ids: `igmp-050`, `053`. */
function range(first: string, last: string): string[] {
  const [, head, from] = /^(.*?)(\d+)$/.exec(first)!;
  const to = Number(/\d+$/.exec(last)![0]);
  return Array.from(
    { length: to - Number(from) + 1 },
    (_, n) => head! + String(Number(from) + n).padStart(from!.length, '0'),
  );
}

/** One line, without the asterisks of comments, so that a citation may be broken over two lines. */
function flowing(file: string): string {
  return read(file).replace(/\n\s*(?:\*|\/\/)? ?/g, ' ');
}

test('every id that is cited is defined in docs/spec', () => {
  const ID = /\b((?:MGM-[A-Z]{3}|D-[A-Z]+|K|IGMP|DVMRP|INT)-\d+)(?:\.\.(\d+))?\b|\b(F\d\d)\b(?!-)/g;
  const unknown = citing.flatMap((file) =>
    [...flowing(file).matchAll(ID)]
      .flatMap(([, id, last, failure]) => range((id ?? failure!).toLowerCase(), last ?? id ?? failure!))
      .filter((id) => !ids.has(id))
      .map((id) => `${file} cites ${id.toUpperCase()}`),
  );
  expect([...new Set(unknown)]).toEqual([]);
});

test('every measured fact that is cited is one of linux.md', () => {
  const facts = specifications.get('linux.md')!.ids;
  const unknown = citing.flatMap((file) =>
    [...flowing(file).matchAll(/\blinux\.md ((?:[A-J]\d?(?:, | and |\/)?)+)/g)]
      .flatMap(([, list]) => list!.match(/[A-J]\d?/g)!)
      .filter((fact) => !facts.has(fact.toLowerCase()))
      .map((fact) => `${file} cites linux.md ${fact}`),
  );
  expect(unknown).toEqual([]);
});

test('every section that is cited names its document and is in it', () => {
  const SECTION = /(?:(\S+) )?(\S+) [Ss]ections? (\d+(?:\.\d+)*(?:(?:, | and | to |, and )\d+(?:\.\d+)*)*)/g;
  const wrong = citing.flatMap((file) =>
    [...flowing(file).matchAll(SECTION)].flatMap(([citation, before, name, numbers]) => {
      if (/(?:^|\W)RFC$|IEC$/.test(before ?? '')) return [];
      const document =
        /(\w+\.md)$/.exec(name!)?.[1] ?? (file.startsWith(SPEC) ? file.slice(SPEC.length + 1) : undefined);
      const sections = specifications.get(document ?? '')?.sections;
      const missing = numbers!.match(/\d+(?:\.\d+)*/g)!.filter((number) => sections?.has(number) !== true);
      return missing.length > 0 ? [`${file}: ${citation}`] : [];
    }),
  );
  expect(wrong).toEqual([]);
});

test('every document that the code names exists', () => {
  const documents = new Set(['docs', SPEC, '.'].flatMap((folder) => readdirSync(join(root, folder))));
  const unknown = citing
    .filter((file) => !file.endsWith('.md'))
    .flatMap((file) => [...flowing(file).matchAll(/[\w-]+\.md\b/g)].map(([name]) => ({ file, name })))
    .filter(({ name }) => !documents.has(name) && !readdirSync(join(root, 'docs/adr')).includes(name))
    .map(({ file, name }) => `${file} names ${name}`);
  expect([...new Set(unknown)]).toEqual([]);
});
