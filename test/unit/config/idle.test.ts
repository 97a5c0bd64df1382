/** What a file says and mgmd cannot do, because nobody is on the interface: told at `--check` and at the start. */
import { expect, test } from 'vitest';
import { formatComplaint, parseConfig } from '../../../src/config/parse.js';

const INTERFACES = `interfaces:
  a: { owner: v }
  b: { owner: v }
  hosts: { igmp: true }
  nobody: {}
  other: { owner: w }
  scoped: { owner: v, boundary: [239.9.0.0/16] }
`;

function warnings(text: string): readonly string[] {
  const result = parseConfig(text, 'm');
  return result.ok ? result.value.warnings.map(formatComplaint) : result.error.map(formatComplaint);
}
const routes = (...all: string[]) =>
  warnings(`${INTERFACES}static:\n  w: {}\n  v:\n    routes:\n${all.map((one) => `      - { ${one} }\n`).join('')}`);

test('a block on an interface that the instance does not own is told with place, route and remedy (G)', () => {
  expect(routes('group: 239.1.1.1, from: hosts, to: []', 'group: 239.1.0.0/16, from: other, to: []')).toEqual([
    'm:12:35: static.v.routes[0].from: v does not own hosts (no "owner"), so (*, 239.1.1.1) is not blocked there; set "owner: v" on hosts, or give hosts a "boundary" around the group',
    'm:13:38: static.v.routes[1].from: v does not own other ("owner: w"), so (*, 239.1.0.0/16) is not blocked there; set "owner: v" on other, or give other a "boundary" around the group',
  ]);
});

test('an output that the instance does not own is told, for ranges and for single groups (G)', () => {
  expect(
    routes('group: 239.1.0.0/16, from: a, to: [hosts, b]', 'group: 239.1.1.1, from: a, to: [hosts, other]'),
  ).toEqual([
    'm:12:46: static.v.routes[0].to[0]: v does not own hosts (no "owner"), so the route of (*, 239.1.0.0/16) sends nothing there; set "owner: v" on hosts',
    'm:13:43: static.v.routes[1].to[0]: v does not own hosts (no "owner"), so the route of (*, 239.1.1.1) sends nothing there; set "owner: v" on hosts, or list the group in "igmp.staticGroups" of hosts',
    'm:13:50: static.v.routes[1].to[1]: v does not own other ("owner: w"), so the route of (*, 239.1.1.1) sends nothing there; set "owner: v" on other',
  ]);
});

test('an input that the instance does not own is told where it matters (G)', () => {
  // a single group is a membership: what comes in by another protocol's interface follows it
  expect(
    routes('group: 239.1.1.1, from: other, to: [b]', 'source: 10.0.0.1, group: 239.1.1.1, from: hosts, to: [b]'),
  ).toEqual([]);
  expect(
    routes(
      'group: 239.1.1.1, from: nobody, to: [b]',
      'group: 239.2.0.0/16, from: other, to: [b]',
      'source: 10.0.0.0/8, group: 239.1.1.1, from: hosts, to: [b]',
      'group: 239.3.3.3, from: [a, other], to: [b]',
    ),
  ).toEqual([
    'm:12:35: static.v.routes[0].from: v does not own nobody (no "owner"), so what arrives there does not follow the route of (*, 239.1.1.1); set "owner: v" on nobody',
    'm:13:38: static.v.routes[1].from: v does not own other ("owner: w"), so what arrives there does not follow the route of (*, 239.2.0.0/16); set "owner: v" on other',
    'm:14:55: static.v.routes[2].from: v does not own hosts (no "owner"), so what arrives there does not follow the route of (10.0.0.0/8, 239.1.1.1); set "owner: v" on hosts',
    'm:15:39: static.v.routes[3].from[1]: v does not own other ("owner: w"), so it never becomes the active input of (*, 239.3.3.3); set "owner: v" on other',
  ]);
});

test('a route through a boundary around its groups is told (G)', () => {
  expect(routes('group: 239.9.1.1, from: scoped, to: [a]', 'group: 239.9.0.0/16, from: a, to: [scoped]')).toEqual([
    'm:12:35: static.v.routes[0].from: (*, 239.9.1.1) cannot come in by scoped: its "boundary" 239.9.0.0/16 keeps it out; take one of the two out of the file',
    'm:13:46: static.v.routes[1].to[0]: (*, 239.9.0.0/16) cannot leave by scoped: its "boundary" 239.9.0.0/16 keeps it in; take one of the two out of the file',
  ]);
  expect(routes('group: 239.0.0.0/8, from: scoped, to: [a]', 'group: 239.9.1.1, from: scoped, to: []')).toEqual([]);
});

test('joins on an interface that nobody serves, or behind a boundary, are told (G)', () => {
  const joins =
    'static: { w: {}, v: { joins: [{ interface: nobody, group: 239.1.0.0/24 }, { interface: scoped, group: 239.9.0.1 }, { interface: hosts, group: 239.1.1.1 }] } }';
  expect(warnings(INTERFACES + joins)).toEqual([
    'm:8:44: static.v.joins[0].interface: nobody serves nobody, so mgmd joins (*, 239.1.0.0/24) there but forwards nothing that arrives; set "owner" or "igmp: true" on nobody',
    'm:8:88: static.v.joins[1].interface: (*, 239.9.0.1) cannot come in by scoped: its "boundary" 239.9.0.0/16 keeps it out; take one of the two out of the file',
  ]);
});

test('an instance that owns nothing is told once, whatever it lists (G)', () => {
  const text =
    'interfaces: { a: { igmp: true }, b: {} }\nstatic:\n  v: { routes: [{ group: 239.1.1.1, from: a, to: [b] }, { group: 239.1.1.2, from: a, to: [] }] }\n  w: {}\n';
  expect(warnings(text)).toEqual([
    'm:3:3: static.v: no interface has "owner: v", so its routes do nothing until an interface is handed over to it; set "owner: v" on the interfaces in `from` and `to`',
  ]);
});

test('settings of an interface without the protocol that they are for, and routes to it, are told', () => {
  expect(
    warnings(
      'interfaces: { a: { threshold: 9, boundary: [239.9.0.0/16] }, b: { igmp: true, threshold: 9, dvmrp: {} } }\ndvmrp: {}\nrpf: { routes: [{ prefix: 10.0.0.0/8, interface: a }] }\n',
    ),
  ).toEqual([
    'm:1:31: interfaces.a.threshold: has no effect: nobody serves a; set "owner" or "igmp: true"',
    'm:1:44: interfaces.a.boundary: has no effect: nobody serves a; set "owner" or "igmp: true"',
    'm:1:100: interfaces.b.dvmrp: has no effect while dvmrp does not own b; set "owner: dvmrp" or leave it out',
    'm:2:1: dvmrp: has no effect: no interface has "owner: dvmrp"',
    'm:3:50: rpf.routes[0].interface: nobody serves a, so data of these sources is dropped; set "owner" or "igmp: true" on a',
  ]);
});

test('of twenty thousand routes without effect the first hundred are told, and how many follow (A7)', () => {
  const all = Array.from({ length: 20_000 }, (_, n) => `group: 239.1.${n >> 8}.${n & 255}, from: hosts, to: []`);
  const told = routes(...all);
  expect(told).toHaveLength(101);
  expect(told.at(-1)).toContain('static.v.routes[100].from: 19900 more parts from here on have no effect');
});
