/** The DVMRP sections of the configuration: dvmrp.md section 16. */
import { expect, test } from 'vitest';
import { ip, parsePrefix, type Prefix } from '../../../src/base/ip.js';
import { formatComplaint, parseConfig } from '../../../src/config/parse.js';
import type { Config } from '../../../src/config/types.js';

function read(text: string): Config {
  const parsed = parseConfig(text, 'mgmd.yaml');
  if (!parsed.ok) throw new Error(parsed.error.map(formatComplaint).join('\n'));
  return parsed.value.config;
}

function complaints(text: string): readonly string[] {
  const parsed = parseConfig(text, 'mgmd.yaml');
  return parsed.ok ? [] : parsed.error.map(formatComplaint);
}

function prefix(text: string): Prefix {
  const parsed = parsePrefix(text);
  if (!parsed.ok) throw new Error(parsed.error);
  return parsed.value;
}

test('there is a DVMRP when a section, an owner or an interface speaks of it, and otherwise none', () => {
  expect(read('').dvmrp).toBeUndefined();
  expect(read('dvmrp: {}').dvmrp).toBeDefined();
  expect(read('dvmrp:').dvmrp).toBeDefined();
  expect(read('interfaces: { eth0: { owner: dvmrp } }').dvmrp).toBeDefined();
  expect(read('interfaces: { eth0: { dvmrp: { metric: 2 } } }').dvmrp).toBeDefined();
});

test('the defaults are those of dvmrp.md section 16', () => {
  const { dvmrp, interfaces } = read('interfaces: { eth0: { owner: dvmrp, dvmrp: {} } }');
  const perInterface = {
    metric: 1,
    advertisedOffset: 0,
    probeIntervalMs: 10_000,
    neighborTimeoutMs: 35_000,
    forceLeaf: false,
    maxNeighbors: 64,
    neighborFilter: [],
    filterIn: [],
    filterOut: [],
  };
  expect(dvmrp).toEqual({
    preference: 100,
    pruneLifetimeMs: 7_200_000,
    cacheLifetimeMs: 300_000,
    maxReceivedPruneMs: 10_800_000,
    pruneRetransmit: true,
    reportIntervalMs: 60_000,
    acceptCompat: false,
    allowNonPruners: false,
    maxRoutes: 20_000,
    maxRoutesPerNeighbor: 10_000,
    maxPrunes: 65_536,
    maxPrunesPerNeighbor: 16_384,
    neighbors2: 'on-link',
    originateDefault: undefined,
    membersAreSenders: true,
    pullGroups: [],
    ssmRanges: [prefix('232.0.0.0/8')],
    interfaceDefaults: perInterface,
  });
  expect(interfaces[0]?.dvmrp).toEqual(perInterface);
});

test('everything can be said', () => {
  const { dvmrp, interfaces } = read(`
interfaces:
  eth0:
    owner: dvmrp
    dvmrp:
      metric: 3
      neighborFilter: [{ deny: 10.9.0.66/32 }]
      filterIn: [{ deny: 10.66.0.0/16, match: orLonger }, { allow: 10.0.0.0/8 }]
dvmrp:
  originateDefault: 7
  neighbors2: off
  pullGroups: [239.1.2.3]
`);
  expect(dvmrp).toMatchObject({ originateDefault: 7, neighbors2: 'off', pullGroups: [ip('239.1.2.3')] });
  expect(interfaces[0]?.dvmrp).toMatchObject({
    metric: 3,
    neighborFilter: [{ action: 'deny', prefix: prefix('10.9.0.66/32') }],
    filterIn: [
      { action: 'deny', prefix: prefix('10.66.0.0/16'), match: 'orLonger' },
      { action: 'allow', prefix: prefix('10.0.0.0/8'), match: 'exact' },
    ],
  });
  expect(read('dvmrp: { originateDefault: true }').dvmrp?.originateDefault).toBe(1);
});

test.each([
  [
    'interfaces: { eth0: { dvmrp: { metric: 32 } } }',
    '1:40: interfaces.eth0.dvmrp.metric: must be a whole number from 1 to 31 (got 32)',
  ],
  [
    'interfaces: { eth0: { dvmrp: { probeInterval: 10s, neighborTimeout: 30s } } }',
    '1:69: interfaces.eth0.dvmrp.neighborTimeout: must be more than three times probeInterval (10s) (got 30s)',
  ],
  ['dvmrp: { cacheLifetime: 59s }', '1:25: dvmrp.cacheLifetime: must be a time from 60s to 86400s (got "59s")'],
  ['dvmrp: { pruneLifetime: 60s }', '1:25: dvmrp.pruneLifetime: must be a time from 120s to 86400s (got "60s")'],
  ['dvmrp: { neighbors2: maybe }', '1:22: dvmrp.neighbors2: must be off, on-link or any (got "maybe")'],
  [
    'dvmrp: { pullGroups: [232.1.1.1] }',
    '1:23: dvmrp.pullGroups[0]: must be outside of the source-specific range 232.0.0.0/8, or have a source (got 232.1.1.1)',
  ],
])('%j is answered with its place, what must be there and what was found', (text, complaint) => {
  expect(complaints(text)).toEqual([`mgmd.yaml:${complaint}`]);
});
