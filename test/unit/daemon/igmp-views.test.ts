/** What `show igmp ...` says, of modules and a bridge that are plain objects here. */
import { expect, test } from 'vitest';
import { formatTable } from '../../../src/cli/columns.js';
import type { Row } from '../../../src/control/messages.js';
import { ip } from '../../../src/base/ip.js';
import { type IgmpTold, type IgmpViewsParts, igmpViews } from '../../../src/daemon/views/igmp-views.js';
import type { BridgeState, Ifindex } from '../../../src/port/kernel.js';
import { FakeKernel } from '../../support/fake-kernel.js';

const kernel = new FakeKernel();
const lan = kernel.addDevice('br0', '10.2.0.1/24');
const port = kernel.addDevice('p1');
kernel.addDevice('eth1', '10.3.0.1/24');

const igmp: IgmpTold = {
  interfaces: () => [
    { ifindex: lan, name: 'br0', role: 'querier', querier: '10.2.0.1', nextQueryInMs: 61_000, problem: 'a duplicate' },
    { ifindex: port + 1, name: 'eth1', role: 'down', querier: null, nextQueryInMs: null },
  ],
  eachGroup: () => [{ ifindex: lan, name: 'br0', group: '239.1.1.1', mode: 'exclude', expiresInMs: 9_940 }],
  eachSource: () => [],
  eachHost: () => [{ ifindex: lan, name: 'br0', host: '10.2.0.5' }],
  queriers: () => igmp.interfaces(),
  counters: () => [
    { ifindex: lan, name: 'br0', received: { queries: 2, leavesV2: 0 }, sent: {}, dropped: { badTtl: 3 } },
    { ifindex: port + 1, name: 'eth1', received: { queries: 0 }, sent: {}, dropped: { badTtl: 0, malformed: 1 } },
  ],
};

const BRIDGE: BridgeState = {
  ifindex: lan,
  snooping: true,
  igmpVersion: 2,
  querierEnabled: false,
  querier: { address: ip('10.2.0.9'), port },
  multicastRouter: 1,
  routerPorts: [port, 77 as Ifindex],
  groups: [{ group: ip('239.1.1.1'), port }],
};

function shown(parts: Partial<IgmpViewsParts> = {}) {
  const views = new Map(igmpViews({ igmp, links: kernel.links, ...parts }));
  return {
    views,
    names: [...views.keys()],
    rows: (name: string): readonly Row[] => [...(views.get(name)!.rows() as Iterable<Row>)],
    text: (name: string): string =>
      formatTable([...(views.get(name)!.rows() as Iterable<Row>)], views.get(name)!.columns),
  };
}

const bridges = (state: BridgeState) => ({ state: (ifindex: Ifindex) => (ifindex === lan ? state : undefined) });

test('an interface that is a bridge tells its snooping, its querier and its router ports by name (F33, F34)', () => {
  const { rows, text } = shown({ bridges: bridges(BRIDGE) });
  expect(rows('igmp.interfaces')[0]).toMatchObject({
    interface: 'br0',
    bridge: {
      name: 'br0',
      snooping: true,
      igmpVersion: 2,
      querierEnabled: false,
      querier: '10.2.0.9',
      querierPort: 'p1',
      multicastRouter: 'learn',
      routerPorts: ['p1', '#77'],
      groups: 1,
    },
  });
  expect(rows('igmp.interfaces')[1]).toMatchObject({ interface: 'eth1', bridge: null });
  expect(text('igmp.interfaces')).toMatch(/SNOOPING +ROUTER PORTS +PROBLEM\n.*yes +p1,#77 +a duplicate\n.*- +- +-\n$/);
});

test('who asks the hosts is shown beside whom the bridge below believes to ask', () => {
  const { text } = shown({ bridges: bridges(BRIDGE) });
  expect(text('igmp.querier')).toMatch(/BRIDGE QUERIER\nbr0 .* 10\.2\.0\.9 on p1\neth1 .* -\n$/);
  const own = shown({ bridges: bridges({ ...BRIDGE, querier: { address: ip('10.2.0.1'), port: undefined } }) });
  expect(own.rows('igmp.querier')[0]).toMatchObject({ bridge: { querier: '10.2.0.1', querierPort: null } });
  const nobody = shown({ bridges: bridges({ ...BRIDGE, querier: undefined }) });
  expect(nobody.rows('igmp.querier')[0]).toMatchObject({ bridge: { querier: null, bridgeQuerier: null } });
});

test('"show igmp" and "show igmp interfaces" are the same', () => {
  const { rows } = shown();
  expect(rows('igmp')).toEqual(rows('igmp.interfaces'));
});

test('statistics are a line per interface and reason to people, and numbers to programs', () => {
  const { rows, text } = shown();
  expect(text('igmp.statistics')).toBe(
    'INTERFACE  COUNTER   REASON     VALUE\n' +
      'br0        received  queries        2\n' +
      'br0        dropped   badTtl         3\n' +
      'eth1       dropped   malformed      1\n',
  );
  expect(rows('igmp.statistics')[0]).toMatchObject({ interface: 'br0', dropped: { badTtl: 3 } });
});

test('a timer counts down in seconds', () => {
  expect(shown().text('igmp.groups')).toMatch(/EXPIRES IN.*\nbr0 +239\.1\.1\.1 +exclude .* 9\.9s +-\n$/);
});

test('the proxy is shown where there is one', async () => {
  expect(shown().names.filter((name) => name.startsWith('igmp.proxy'))).toEqual([]);
  const { rows, views } = shown({
    proxy: {
      eachGroup: () => [{ group: '239.1.1.1', upstream: 'eth0' }],
      eachUpstream: () => Promise.resolve([{ interface: 'eth0' }]),
      counters: () => ({ joinsRefused: 1 }),
    },
  });
  expect(rows('igmp.proxy')).toEqual([{ group: '239.1.1.1', upstream: 'eth0' }]);
  expect([...(await views.get('igmp.proxy.upstreams')!.rows())]).toEqual([{ interface: 'eth0' }]);
  expect(rows('igmp.proxy.counters')).toEqual([{ name: 'joinsRefused', value: 1 }]);
});
