/** Static routes as people and other programs write them: the answer says how they are written here. */
import { expect, test } from 'vitest';
import { formatComplaint, parseConfig } from '../../../src/config/parse.js';

const INTERFACES = 'interfaces: { a: { owner: v }, b: { owner: v }, c: { owner: v } }\n';

/** Without places, and without the path up to the route or join. */
function complaints(text: string): readonly string[] {
  const result = parseConfig(INTERFACES + text, 'm');
  return result.ok
    ? []
    : result.error.map((one) => formatComplaint(one).replace(/^[^ ]+ static\.v\.\w+\[\d+\]\.?/, ''));
}
const route = (text: string) => complaints(`static: { v: { routes: [{ ${text} }] } }`);
const join = (text: string) => complaints(`static: { v: { joins: [{ ${text} }] } }`);

test.each([
  ['239.1.0.0/255.255.0.0', '239.1.0.0/16'],
  ['239.1.0.0 255.255.0.0', '239.1.0.0/16'],
  ['239.1.0.0/0.0.255.255', '239.1.0.0/16'],
  ['239.1.2.3/255.255.255.255', '239.1.2.3'],
  ['239.1/16', '239.1.0.0/16'],
  ['239.1.*', '239.1.0.0/16'],
  ['239.1.x.x', '239.1.0.0/16'],
  ['239.1.0.0-239.1.255.255', '239.1.0.0/16'],
  ['239.1.1.1-239.1.1.9', 'one route for each of 239.1.1.1, 239.1.1.2/31, 239.1.1.4/30, 239.1.1.8/31'],
  ['239.1.1.8 - 9', '239.1.1.8/31'],
  ['239.1.0.1-239.1.9.254', '239.1.0.0/20, which covers it'],
  ['239.1.1.1, 239.1.1.2', 'one route for each'],
])('a range written as "%s" is answered with what is written here (G)', (written, fits) => {
  expect(route(`group: "${written}", from: a, to: [b]`)).toEqual([`group: must be ${fits} (got "${written}")`]);
});

test.each([
  '10.0.0.0/255.0.0.0',
  '239.1.1.9-239.1.1.1',
  '239.1.0.0/255.0.255.0',
  '1.*',
  '224.0.0.0-224.0.0.255',
  '-',
  '/',
])('where "%s" was meant nobody can tell, the answer says what a group is (G)', (written) =>
  expect(route(`group: "${written}", from: a, to: [b]`)[0]).toContain('a multicast group from 224.0.1.0'),
);

test.each(['any', '*', '0.0.0.0', 'all'])('"%s" is no source: it is left out (G)', (word) => {
  expect(route(`group: 239.1.1.1, source: "${word}", from: a, to: [b]`)[0]).toMatch(
    /; leave `source` out for any sender$/,
  );
  expect(join(`interface: a, group: 239.1.1.1, source: "${word}"`)[0]).toMatch(/; leave `source` out for any sender$/);
});

test('a list where one value fits is one route or join for each (G)', () => {
  expect(route('group: [239.1.1.1, 239.1.1.2], from: a, to: [b]')).toEqual([
    'group: must be one route for each (got a list)',
  ]);
  expect(route('group: 239.1.1.1, source: [10.0.0.1], from: a, to: [b]')[0]).toContain(
    'must be one route for each (got a list)',
  );
  expect(join('interface: a, group: [239.1.1.1, 239.1.1.2]')).toEqual([
    'group: must be one join for each (got a list)',
  ]);
  expect(join('interface: [a, b], group: 239.1.1.1')).toEqual([
    'interface: must be an interface name of 1 to 15 bytes without blank, "/" and ":" (got a list); write one for each',
  ]);
  expect(join('interface: "a,b", group: 239.1.1.1')[0]).toMatch(/; write one for each$/);
  expect(join('interface: , group: 239.1.1.1')[0]).toMatch(/^interface: must be .* \(got nothing\)/);
});

test('a list of inputs with something else in it says where (G)', () => {
  expect(route('group: 239.1.1.1, from: [a, b/c], to: [b]')).toEqual([
    'from: must be an interface name of 1 to 15 bytes, or a list of up to 8 of them (got a list); number 2 of the list is no interface name',
  ]);
});

test('one value where a list fits is shown as a list (G)', () => {
  const to = (value: string) => route(`group: 239.1.1.1, from: a, to: ${value}`);
  expect(to('b')).toEqual(['to: must be [b] (got "b")']);
  expect(to('"b, c"')).toEqual(['to: must be [b, c] (got "b, c")']);
  expect(to('none')).toEqual(['to: must be [] (got "none")']);
  expect(to('')).toEqual(['to: must be a list of interface names, or [] to block the group (got nothing)']);
  expect(route('group: 239.1.1.1, from: "a, b", to: [c]')).toEqual(['from: must be [a, b] (got "a, b")']);
  expect(route('group: 239.1.1.1, from: "a,b", to: [c]')[0]).toMatch(/several are a list, \[a, b\]$/);
});

test.each([
  ['in', 'from'],
  ['iif', 'from'],
  ['input', 'from'],
  ['out', 'to'],
  ['oifs', 'to'],
  ['src', 'source'],
  ['dst', 'group'],
  ['timeout', 'failoverAfter'],
])('the key "%s" of a route means "%s" (G)', (typed, key) => {
  expect(route(`${typed}: x`)).toContain(`: unknown key "${typed}"; did you mean "${key}"?`);
});

test('a time without a unit that would fit in milliseconds is asked about (G)', () => {
  expect(route('group: 239.1.1.1, from: [a, b], to: [c], failoverAfter: 500')).toEqual([
    'failoverAfter: must be a time from 200ms to 60s (got 500); a number without a unit is seconds; did you mean 500ms?',
  ]);
  expect(route('group: 239.1.1.1, from: [a, b], to: [c], failoverAfter: 100')[0]).toMatch(/60s \(got 100\)$/);
});

test('a route that is blocked and let out, or blocked twice, gets the advice that helps (G)', () => {
  const both = (one: string, other: string) =>
    complaints(
      `static: { v: { routes: [{ group: 239.1.1.1, from: a, to: ${one} }, { group: 239.1.1.1, from: a, to: ${other} }] } }`,
    );
  const twice = ': (*, 239.1.1.1) from a appears twice, first as number 1 of the list; ';
  const unclear = `${twice}one of them blocks what the other lets out: leave one of them out`;
  expect(both('[b]', '[]')).toEqual([unclear]);
  expect(both('[]', '[b]')).toEqual([unclear]);
  expect(both('[]', '[]')).toEqual([`${twice}leave one of them out`]);
  expect(both('[b]', '[c]')).toEqual([`${twice}write one route with all outputs in \`to\``]);
});
