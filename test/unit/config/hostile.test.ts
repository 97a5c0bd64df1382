/** Files that no operator means: each is answered with a place, in a time that grows with the file and not faster. */
import { expect, test } from 'vitest';
import { formatComplaint, parseConfig } from '../../../src/config/parse.js';

function complaints(text: string): readonly string[] {
  const result = parseConfig(text, 'f');
  return result.ok ? [] : result.error.map(formatComplaint);
}

function lines(count: number, line: (at: number) => string): string {
  return Array.from({ length: count }, (_, at) => line(at)).join('');
}

const NOT_DECIMAL = (text: string) =>
  `f:1:8: must be a decimal number without leading zeros (got ${text}); quote it if it is a text`;

const REFUSED: readonly (readonly [string, string])[] = [
  ['__proto__: { a: 1 }', 'f:1:1: "__proto__" cannot be a key; use another name'],
  ['interfaces: { "__proto__": { igmp: true } }', 'f:1:15: "__proto__" cannot be a key; use another name'],
  ['control: { socket: "/run/a\\0b" }', 'f:1:20: "/run/a\\u0000b" contains the control character U+0000; remove it'],
  ['interfaces: { "e\\x1bth": {} }', 'f:1:15: "e\\u001bth" contains the control character U+001B; remove it'],
  [
    'interfaces: { a: { owner: "\\u202eabc" } }',
    'f:1:27: "\\u{202e}abc" contains the control character U+202E; remove it',
  ],
  ['static: { "a\\nb": {} }', 'f:1:11: "a\\nb" contains the control character U+000A; remove it'],
  [
    'static: { a: { joins: [{ interface: "b\\x7f" }] } }',
    'f:1:37: "b\\u{7f}" contains the control character U+007F; remove it',
  ],
  ['interfaces: { "\\ud800": {} }', 'f:1:15: "\\ud800" contains the control character U+D800; remove it'],
  ['table: 1e400', NOT_DECIMAL('1e400')],
  ['table: .nan', NOT_DECIMAL('.nan')],
  ['table: .inf', NOT_DECIMAL('.inf')],
  ['table: 0x10', NOT_DECIMAL('0x10')],
  ['table: 0o17', NOT_DECIMAL('0o17')],
  ['table: 010', NOT_DECIMAL('010')],
  ['table: !!js/function "x"', 'f:1:8: the tag "!!js/function" is not supported here; remove it'],
  ['table: !!binary aGk=', 'f:1:17: the tag "!!binary" is not supported here; remove it'],
  ['interfaces: !!set { a }', 'f:1:19: the tag "!!set" is not supported here; remove it'],
  ['interfaces: !mine {}', 'f:1:13: the tag "!mine" is not supported here; remove it'],
  [
    'interfaces: { a: &x { igmp: true }, b: { <<: *x } }',
    'f:1:42: merge keys ("<<") are not supported; repeat the keys',
  ],
  ['interfaces: { a: {}, "a": {} }', 'f:1:22: duplicate key "a", first on line 1; keep one'],
  ['interfaces: &a { b: *a }', 'f:1:21: no anchor "&a" before this alias; define it further up'],
  ['table: 5\n---\ntable: 6\n', 'f:2:1: not YAML: Source contains multiple documents; keep one'],
  ['%YAML 1.1\n---\ntable: 5\n', 'f:1:1: must be YAML 1.2 (got 1.1)'],
  ['? [a]\n: 1\n', 'f:1:3: a key must be a plain text, not a list or a mapping'],
  [': 1\n', 'f:1:1: a key is empty; write one before the colon'],
  [`interfaces: { ${'é'.repeat(8)}: {} }`, 'f:1:15: interfaces.éééééééé: must be an interface name'],
  [`control: { socket: /${'é'.repeat(60)} }`, 'f:1:20: control.socket: must be an absolute path'],
  ['control: { socket: /run/mgmd/ }', 'f:1:20: control.socket: must be an absolute path'],
  [
    'interfaces: { a: {} }\nstatic: { s: { joins: [{ group: 239.1.1.1, interface: [a] }] } }',
    'f:2:55: static.s.joins[0].interface: must be an interface name',
  ],
  ['constructor: 1', 'f:1:1: the file: unknown key "constructor"; the keys are table, log'],
  [
    'interfaces: { a: { owner: proxy } }\nproxy: { upstreams: [{ interface: constructor }] }',
    'f:2:35: proxy.upstreams[0].interface: must be an interface listed under "interfaces" (got "constructor"; known: a)',
  ],
  [
    'interfaces: { a: { owner: v } }\nstatic: { v: { routes: [{ group: 239.1.1.1, from: a, to: [b] }] } }',
    'f:2:59: static.v.routes[0].to[0]: must be an interface listed under "interfaces" (got "b"; known: a)',
  ],
];

test.each(REFUSED)('%j is refused with its place (A7)', (text, complaint) => {
  expect(complaints(text)[0]?.slice(0, complaint.length)).toBe(complaint);
});

test('names that every object of JavaScript has are names like others (A7)', () => {
  const text = 'interfaces: { constructor: { owner: toString }, valueOf: {} }\nstatic: { tostring: {} }';
  expect(complaints(text)).toEqual([
    'f:1:37: interfaces.constructor.owner: must be the name of an instance under "static", "proxy" or "dvmrp" ' +
      '(got "toString"; known: tostring, dvmrp); did you mean "tostring"?',
  ]);
  expect(complaints('interfaces: { constructor: { owner: static } }\nstatic: { static: {} }')).toEqual([]);
});

test('an interface keeps the name that the file writes, whatever YAML takes it for (A7)', () => {
  const result = parseConfig('interfaces: { 0x10: {}, 1e3: {}, true: {}, 12: {}, ~: {} }', 'f');
  expect(result.ok && result.value.config.interfaces.map(({ name }) => name)).toEqual([
    '12',
    '0x10',
    '1e3',
    'true',
    '~',
  ]);
});

test('a byte order mark and line ends of other systems are no mistakes (A7)', () => {
  expect(complaints('\ufefftable: 5\r\nlog: {}\r\n')).toEqual([]);
});

test('an empty file is allowed with a warning (A7)', () => {
  for (const text of ['', '\n', '# nothing\n', '~\n']) {
    const result = parseConfig(text, 'f');
    expect(result.ok && result.value.warnings.map(formatComplaint)).toEqual([
      'f:1:1: the file is empty, so mgmd serves no interface; list some under "interfaces"',
    ]);
  }
});

const DEEP = 'nested more than 32 levels deep; check the brackets and the indentation';

test('whatever is nested deeply is refused, however deep (A7)', () => {
  for (const text of ['['.repeat(100_000), '{a: '.repeat(20_000), '- '.repeat(50_000)])
    expect(complaints(text)[0]).toContain(DEEP);
  expect(complaints(`a: ${'['.repeat(40)}${']'.repeat(40)}`)).toEqual([`f:1:36: ${DEEP}`]);
});

test('aliases cost what they stand for, and what they stand for is bounded (A7)', () => {
  const laughs = lines(
    20,
    (at) =>
      `a${at}: &a${at} [${
        at
          ? Array(10)
              .fill(`*a${at - 1}`)
              .join(',')
          : 'x'
      }]\n`,
  );
  expect(complaints(laughs)).toEqual([expect.stringContaining('more than 500000 values, aliases resolved')]);
  const many = `interfaces:\n  x: &a { igmp: true }\n${lines(5000, (at) => `  e${at}: *a\n`)}`;
  const result = parseConfig(many, 'f');
  expect(result.ok && result.value.config.interfaces).toHaveLength(5001);
});

test('a file over 2 MiB is refused before it is looked at (A7)', () => {
  for (const text of ['#'.repeat(10_000_000), `# ${'é'.repeat(1024 * 1024)}`])
    expect(complaints(text)).toEqual(['f:1:1: the file is larger than 2 MiB; shorten it']);
});

test('twenty thousand routes are read, and twenty thousand mistakes are told one by one (A7, B6)', () => {
  const routes = (from: string) =>
    `interfaces: { eth0: {}, eth1: {} }\nstatic:\n  s:\n    routes:\n${lines(
      20_000,
      (at) => `      - { group: 239.1.${at >> 8}.${at & 255}, from: ${from}, to: [eth1] }\n`,
    )}`;
  const good = parseConfig(routes('eth0'), 'f');
  expect(good.ok && good.value.config.statics[0]?.routes).toHaveLength(20_000);
  expect(complaints(routes('eht0'))).toHaveLength(20_000);
});

test('what the parser would make much of is refused before it is parsed, with its place (A7)', () => {
  const tooMany = 'more than 500000 words and marks, which is the limit; shorten the file';
  expect(complaints('-\n'.repeat(1_000_000))).toEqual([`f:500001:1: ${tooMany}`]);
  expect(complaints(`# x\na: [${'*a,'.repeat(600_000)}]`)).toEqual([
    expect.stringMatching(/^f:2:7\d{5}: more than 500000/),
  ]);
  for (const text of ['? ', ': ', '{a: 1},', '!a a,', ']', 'a: b\n'])
    expect(complaints(`[${text.repeat(Math.floor(2_000_000 / text.length))}`)).toHaveLength(1);
  expect(complaints(`a: 1\nb: ${'['.repeat(2_000_000)}`)).toEqual([`f:2:36: ${DEEP}`]);
});

test('of errors in the grammar the first hundred are told (A7)', () => {
  expect(complaints(`[${',,'.repeat(100_000)}`)).toHaveLength(100);
  expect(complaints('a: 1\n'.repeat(30_000))).toHaveLength(100);
});

test('a message never holds what would do something to a terminal, nor a whole file (A7)', () => {
  for (const text of [`a: b\n\u001b[2J${'c'.repeat(100_000)}`, `a: !\u001b[2J b`, `? "\u009b2J"\n: *\u009b2J`]) {
    const said = complaints(text).join('');
    expect(said).toMatch(/^f:/);
    expect(said).not.toMatch(/\p{Cc}/u);
    expect(said.length).toBeLessThan(5000);
  }
});
