/** The configuration file: everything an operator can get wrong is answered with a place and with what fits. */
import { expect, test } from 'vitest';
import { formatPrefix, ip, type Prefix, parsePrefix } from '../../../src/base/ip.js';
import { defaultIgmpConfig } from '../../../src/config/check.js';
import { formatComplaint, parseConfig } from '../../../src/config/parse.js';
import type { Config } from '../../../src/config/types.js';

function parsed(text: string): Config {
  const result = parseConfig(text, 'mgmd.yaml');
  if (!result.ok) throw new Error(result.error.map(formatComplaint).join('\n'));
  return result.value.config;
}

function complaints(text: string): readonly string[] {
  const result = parseConfig(text, 'mgmd.yaml');
  return result.ok ? [] : result.error.map(formatComplaint);
}

function warnings(text: string): readonly string[] {
  const result = parseConfig(text, 'mgmd.yaml');
  return result.ok ? result.value.warnings.map(formatComplaint) : ['not accepted'];
}

function prefix(text: string): Prefix {
  const read = parsePrefix(text);
  if (!read.ok) throw new Error(read.error);
  return read.value;
}

const FULL = `table: 100
log: { level: debug }
control:
  socket: /run/other/mgmd.sock
rpf:
  table: 77
  routes:
    - { prefix: 10.9.0.0/16, interface: eth0, neighbor: 10.1.0.1 }
    - { prefix: 10.8.0.0/16, interface: eth1 }
mfe: { expiry: strict, maxEntries: 100000 }
foreign: remove
interfaces:
  eth0:
    owner: static
    threshold: 8
  eth1:
    owner: static2
    igmp:
      version: 2
      robustness: 3
      queryInterval: 60s
      queryResponseInterval: 2500ms
      lastMemberQueryInterval: 0.5
      maxGroups: 0
      groupFilter: [{ deny: 239.1.9.0/24 }, { allow: 239.1.0.0/16 }]
      sourceFilter: [{ deny: 10.66.0.0/16 }]
      staticGroups: [{ group: 239.1.1.1 }]
      joinGroups: [{ group: 239.232.1.1, source: 10.1.0.5 }]
    boundary: [239.255.0.0/16]
  eth2: { igmp: true }
  eth3: { igmp: false }
  vlan.100:
  up0: { owner: proxy }
  up1: { owner: proxy }
  down0: { owner: proxy, igmp: true }
igmp: { ssmRanges: [232.0.0.0/8, 239.232.0.0/16], maxGroups: 5000 }
pause: { scope: host-best-effort }
proxy:
  requireQuerier: false
  leaveDelay: 2s
  maxJoins: 100
  wildcardGroups: [239.1.1.1]
  upstreams:
    - { interface: up0, groups: [{ allow: 239.1.0.0/16 }], sources: [10.9.0.0/16], version: 2 }
    - { interface: up1 }
static:
  static:
    routes:
      - { source: 10.1.0.5, group: 239.1.1.1, from: eth0, to: [eth1, eth2] }
      - { group: 239.1.1.2, from: eth1, to: [eth0] }
    joins:
      - { interface: eth0, group: 232.1.1.1, source: 10.1.0.5 }
      - { interface: eth0, group: 239.1.1.1 }
  static2:
`;

test('a full file becomes a configuration with times in milliseconds and addresses parsed', () => {
  const config = parsed(FULL);
  expect(config).toMatchObject({
    file: 'mgmd.yaml',
    table: 100,
    log: { level: 'debug' },
    control: { socket: '/run/other/mgmd.sock' },
    mfe: { expiry: 'strict', maxEntries: 100_000 },
    foreign: 'remove',
  });
  expect(config.rpf.table).toBe(77);
  expect(config.rpf.routes.map((route) => [formatPrefix(route.prefix), route.interface, route.neighbor])).toEqual([
    ['10.9.0.0/16', 'eth0', ip('10.1.0.1')],
    ['10.8.0.0/16', 'eth1', undefined],
  ]);
  expect(config.interfaces.map(({ name, owner, threshold, igmp }) => [name, owner, threshold, igmp?.version])).toEqual([
    ['eth0', 'static', 8, undefined],
    ['eth1', 'static2', 1, 2],
    ['eth2', undefined, 1, 3],
    ['eth3', undefined, 1, undefined],
    ['vlan.100', undefined, 1, undefined],
    ['up0', 'proxy', 1, undefined],
    ['up1', 'proxy', 1, undefined],
    ['down0', 'proxy', 1, 3],
  ]);
  const [first, second] = config.statics;
  expect(first!.routes).toEqual([
    {
      source: prefix('10.1.0.5/32'),
      group: prefix('239.1.1.1/32'),
      iifs: ['eth0'],
      oifs: ['eth1', 'eth2'],
      failoverMs: 1000,
    },
    { source: undefined, group: prefix('239.1.1.2/32'), iifs: ['eth1'], oifs: ['eth0'], failoverMs: 1000 },
  ]);
  expect(first!.joins.map((join) => [join.interface, formatPrefix(join.group), join.source])).toEqual([
    ['eth0', '232.1.1.1/32', ip('10.1.0.5')],
    ['eth0', '239.1.1.1/32', undefined],
  ]);
  expect(second).toEqual({ name: 'static2', componentId: 1, routes: [], joins: [] });
});

test('filters, boundary, groups of the router itself, the pause and the proxy are read', () => {
  const config = parsed(FULL);
  const { igmp, boundary } = config.interfaces[1]!;
  expect(igmp).toMatchObject({
    groupFilter: [
      { action: 'deny', prefix: prefix('239.1.9.0/24') },
      { action: 'allow', prefix: prefix('239.1.0.0/16') },
    ],
    sourceFilter: [{ action: 'deny', prefix: prefix('10.66.0.0/16') }],
    staticGroups: [{ group: ip('239.1.1.1'), source: undefined }],
    joinGroups: [{ group: ip('239.232.1.1'), source: ip('10.1.0.5') }],
    boundary,
  });
  expect(boundary).toEqual([prefix('239.255.0.0/16')]);
  expect(config.igmp).toEqual({
    ssmRanges: [prefix('232.0.0.0/8'), prefix('239.232.0.0/16')],
    maxGroups: 5000,
    maxSources: 65_536,
  });
  expect(config.pause).toEqual({ scope: 'host-best-effort' });
  expect(config.proxy).toEqual({
    requireQuerier: false,
    leaveDelayMs: 2000,
    maxJoins: 100,
    wildcardGroups: [ip('239.1.1.1')],
    upstreams: [
      {
        interface: 'up0',
        groups: [{ action: 'allow', prefix: prefix('239.1.0.0/16') }],
        sources: [prefix('10.9.0.0/16')],
        version: 2,
      },
      { interface: 'up1', groups: [], sources: [], version: 'auto' },
    ],
  });
});

test('a proxy with nothing but its upstream has the defaults of RFC 4605, and without the section there is none', () => {
  const text = 'interfaces: { up: { owner: proxy }, lan: { owner: proxy, igmp: true } }\n';
  expect(parsed(`${text}proxy: { upstreams: [{ interface: up }] }`).proxy).toEqual({
    upstreams: [{ interface: 'up', groups: [], sources: [], version: 'auto' }],
    requireQuerier: true,
    leaveDelayMs: 500,
    maxJoins: 8192,
    wildcardGroups: [],
  });
  expect(parsed('proxy:\n').proxy).toBeUndefined();
});

test('what an IGMP section leaves out follows from what it says, else from igmp.md section 18', () => {
  const igmp = parsed(FULL).interfaces[1]!.igmp!;
  expect(igmp).toMatchObject({
    queryIntervalMs: 60_000,
    queryResponseIntervalMs: 2500,
    lastMemberQueryIntervalMs: 500,
    lastMemberQueryCount: 3,
    startupQueryIntervalMs: 15_000,
    startupQueryCount: 3,
    maxGroups: 0,
    maxSources: 16_384,
  });
  expect(igmp.ssmRanges.map(formatPrefix)).toEqual(['232.0.0.0/8', '239.232.0.0/16']);
  const { ssmRanges, ...defaults } = defaultIgmpConfig();
  expect(ssmRanges.map(formatPrefix)).toEqual(['232.0.0.0/8']);
  expect(defaults).toEqual({
    version: 3,
    robustness: 2,
    queryIntervalMs: 125_000,
    queryResponseIntervalMs: 10_000,
    lastMemberQueryIntervalMs: 1000,
    lastMemberQueryCount: 2,
    startupQueryIntervalMs: 31_250,
    startupQueryCount: 2,
    requireRouterAlert: false,
    requireTtl1: true,
    fastLeave: false,
    maxGroups: 4096,
    maxSources: 16_384,
    maxSourcesPerGroup: 256,
    verifySourceSubnet: true,
    ignoreV1: false,
    ignoreV2: false,
    strictQuerySource: true,
    disableCompatibilityModes: false,
    explicitTracking: false,
    maxTrackedHosts: 16_384,
    maxGroupsPerHost: 0,
    maxQueriesPerSec: 5000,
    groupFilter: [],
    sourceFilter: [],
    staticGroups: [],
    joinGroups: [],
    pull: false,
    boundary: [],
  });
});

test.each(['', '# only a comment\n', '{}', 'interfaces:\nstatic:\nrpf:\nlog:\n'])(
  'an empty file (%j) is the default configuration',
  (text) => {
    expect(parsed(text)).toEqual({
      file: 'mgmd.yaml',
      table: 253,
      log: { level: 'info' },
      control: { socket: '/run/mgmd/mgmd.sock' },
      restart: { windowMs: 30_000 },
      rpf: { table: 254, routes: [] },
      mfe: { expiry: 'refresh', maxEntries: 65_536 },
      foreign: 'leave',
      interfaces: [],
      statics: [],
      proxy: undefined,
      igmp: { ssmRanges: [prefix('232.0.0.0/8')], maxGroups: 65_536, maxSources: 65_536 },
      pause: { scope: 'agent' },
    });
  },
);

test('"default" and "main" name the usual tables', () => {
  expect(parsed('table: default\nrpf: { table: main }\n')).toMatchObject({ table: 253, rpf: { table: 254 } });
});

test('anchors and aliases work, and an error behind an alias is shown where its value stands', () => {
  const text = 'interfaces:\n  a: &lan\n    igmp: { robustness: 9 }\n  b: *lan\n';
  expect(complaints(text)).toEqual([
    'mgmd.yaml:3:25: interfaces.a.igmp.robustness: must be a whole number from 1 to 7 (got 9)',
    'mgmd.yaml:3:25: interfaces.b.igmp.robustness: must be a whole number from 1 to 7 (got 9)',
  ]);
});

test('the same static route, join or RPF prefix twice is pointed at, in order of the file', () => {
  const text = `interfaces: { eth0: {}, eth1: {}, eth2: {} }
rpf:
  routes:
    - { prefix: 10.0.0.0/8, interface: eth0 }
    - { prefix: 10.0.0.0/8, interface: eth1 }
    - { prefix: 10.0.0.0/8, interface: eth0 }
static:
  static:
    routes:
      - { source: 10.0.0.1, group: 239.1.1.1, from: eth0, to: [eth1] }
      - { source: 10.0.0.1, group: 239.1.1.1, from: eth0, to: [eth2] }
      - { group: 239.1.1.1, from: eth0, to: [eth1] }
      - { group: 239.1.1.1, from: eth0, to: [eth2] }
      - { group: 239.1.1.2, from: eth2, to: [eth1, eth1] }
    joins:
      - { interface: eth0, group: 239.1.1.1 }
      - { interface: eth0, group: 239.1.1.1 }
`;
  expect(complaints(text)).toEqual([
    'mgmd.yaml:6:17: rpf.routes[2].prefix: 10.0.0.0/8 by eth0 appears twice, first as number 1 of the list; remove one',
    'mgmd.yaml:11:9: static.static.routes[1]: (10.0.0.1, 239.1.1.1) from eth0 appears twice, first as number 1 of the list; write one route with all outputs in `to`',
    'mgmd.yaml:13:9: static.static.routes[3]: (*, 239.1.1.1) from eth0 appears twice, first as number 3 of the list; write one route with all outputs in `to`',
    'mgmd.yaml:14:52: static.static.routes[4].to[1]: eth1 appears twice, first as number 1 of the list; remove one',
    'mgmd.yaml:17:9: static.static.joins[1]: (*, 239.1.1.1) on eth0 appears twice, first as number 1 of the list; remove one',
  ]);
});

test('text that is not YAML is answered with the place (F06)', () => {
  expect(complaints('interfaces:\n\teth1: {}\n')[0]).toBe(
    'mgmd.yaml:2:1: not YAML: Tabs are not allowed as indentation',
  );
  expect(complaints('interfaces: {}\ninterfaces: {}\n')).toEqual([
    'mgmd.yaml:2:1: duplicate key "interfaces", first on line 1; keep one',
  ]);
  expect(complaints('static: *gone\n')).toEqual([
    'mgmd.yaml:1:9: no anchor "&gone" before this alias; define it further up',
  ]);
  expect(complaints('log: {}\n--- {}\n')[0]).toMatch(/^mgmd\.yaml:2:1: not YAML: Source contains multiple documents/);
});

test('every error of a file is reported at once, in order of the file (F06)', () => {
  const text = 'log: { level: 5 }\nfoo: 1\ninterfaces: { eth1: { threshold: 300, owner: 7 } }\n';
  expect(complaints(text).map((line) => line.split(': ')[0])).toEqual([
    'mgmd.yaml:1:15',
    'mgmd.yaml:2:1',
    'mgmd.yaml:3:34',
    'mgmd.yaml:3:46',
  ]);
});

test('more than 32 interfaces with a job are a warning, because interfaces come and go (F14)', () => {
  const names = Array.from({ length: 33 }, (_, at) => `  ppp${at}: { igmp: true }\n`).join('');
  expect(warnings(`interfaces:\n${names}`)).toEqual([
    'mgmd.yaml:34:3: interfaces.ppp32: 33 interfaces have an owner or IGMP; ' +
      'the kernel has room for 32 at a time, so those that come last are refused',
  ]);
  expect(warnings(`interfaces:\n${names}`.replace('ppp32: { igmp: true }', 'ppp32: {}'))).toEqual([]);
});

test('robustness 1 is allowed with a warning', () => {
  expect(warnings('interfaces: { eth1: { igmp: { robustness: 1 } } }')).toEqual([
    'mgmd.yaml:1:43: interfaces.eth1.igmp.robustness: with 1 one lost packet ends a membership; 2 is usual',
  ]);
});

test('a downstream of the proxy without IGMP, and a proxy without downstreams, are warned about', () => {
  const proxy = 'proxy: { upstreams: [{ interface: up }] }\n';
  expect(warnings(`interfaces: { up: { owner: proxy }, lan: { owner: proxy } }\n${proxy}`)).toEqual([
    'mgmd.yaml:1:51: interfaces.lan.owner: nobody hears the hosts of this downstream of the proxy; add "igmp: true"',
  ]);
  expect(warnings(`interfaces: { up: { owner: proxy } }\n${proxy}`)).toEqual([
    'mgmd.yaml:2:21: proxy.upstreams: the proxy has no downstream; give an interface "owner: proxy" and "igmp: true"',
  ]);
});

test('to ignore the reports that the configured version asks for is allowed with a warning', () => {
  expect(warnings('interfaces: { eth1: { igmp: { version: 2, ignoreV2: true } } }')).toEqual([
    'mgmd.yaml:1:53: interfaces.eth1.igmp.ignoreV2: with version 2 no host is heard; set it to false',
  ]);
  const compatibility =
    'interfaces: { eth1: { igmp: { version: 1, disableCompatibilityModes: true, ignoreV2: true } } }';
  expect(warnings(compatibility)).toEqual([
    'mgmd.yaml:1:70: interfaces.eth1.igmp.disableCompatibilityModes: with version 1 no host is heard; set it to false',
  ]);
  expect(warnings('interfaces: { eth1: { igmp: { ignoreV1: true, ignoreV2: true } } }')).toEqual([]);
});
