/** What operators see: rows with timers that count down, and the events of `mgmctl monitor`. */
import { expect, test } from 'vitest';
import { allow, isEx, queryV2, queryV3, reportV2, reportV3, toEx, toIn } from '../../support/packet-builder.js';
import { Bed, ETH1, link, src } from './bed.js';

const G = '239.1.2.3';

test('sources have rows of their own, with timers that count down', () => {
  const bed = new Bed();
  bed.hear(reportV3(allow('232.1.1.1', src('a')), isEx(G, src('b'))));
  bed.goTo(70);
  const at = { ifindex: ETH1, name: 'eth1' };
  expect(bed.module.sources()).toEqual([
    { ...at, group: '232.1.1.1', mode: 'include', source: src('a'), wanted: true, expiresInMs: 200_000 },
    { ...at, group: G, mode: 'exclude', source: src('b'), wanted: false, expiresInMs: null },
  ]);
});

test('tracked hosts have rows; without tracking there are none', () => {
  const bed = new Bed({ config: { explicitTracking: true } });
  bed.hear(reportV3(isEx(G, src('b'))), { from: '10.0.0.21' });
  bed.hear(reportV2('239.9.9.9'), { from: '10.0.0.22', to: '239.9.9.9' });
  bed.goTo(70);
  const left = { ifindex: ETH1, name: 'eth1', mode: 'exclude', expiresInMs: 200_000 };
  expect(bed.module.hosts()).toEqual([
    { ...left, group: G, host: '10.0.0.21', sources: [src('b')] },
    { ...left, group: '239.9.9.9', host: '10.0.0.22', sources: [] },
  ]);
  const untracked = new Bed();
  untracked.hear(reportV3(toEx(G)));
  expect(untracked.module.hosts()).toEqual([]);
});

test('the querier row has what is in force beside what is configured', () => {
  const bed = new Bed({ links: [link(ETH1, '10.0.0.9')] });
  expect(bed.module.queriers()[0]).toMatchObject({
    role: 'querier',
    querier: '10.0.0.9',
    querierVersion: null,
    nextQueryInMs: 31_250,
    startupQueriesLeft: 1,
    otherQuerierExpiresInMs: null,
  });
  bed.hearQuery(queryV3({ qrv: 3, qqic: 60 }), '10.0.0.1');
  bed.goTo(10);
  expect(bed.module.queriers()[0]).toMatchObject({
    role: 'non-querier',
    address: '10.0.0.9',
    querier: '10.0.0.1',
    version: 3,
    querierVersion: 3,
    robustness: 3,
    configuredRobustness: 2,
    queryIntervalMs: 60_000,
    configuredQueryIntervalMs: 125_000,
    nextQueryInMs: null,
    otherQuerierExpiresInMs: 175_000,
  });
});

test('the querier row tells that the querier speaks an older version (F30)', () => {
  const bed = new Bed({ links: [link(ETH1, '10.0.0.9')] });
  bed.hearQuery(queryV2(), '10.0.0.1');
  expect(bed.module.queriers()[0]!.querierVersion).toBe(2);
});

test('the monitor hears of groups and sources that are joined, by whom, and of groups that are left', () => {
  const bed = new Bed();
  bed.events.length = 0;
  bed.hear(reportV3(toEx(G)));
  bed.hear(reportV3(allow('232.1.1.1', src('a'))), { from: '0.0.0.0' });
  // what was known is no news
  bed.hear(reportV3(isEx(G)), { from: '10.0.0.8' });
  bed.hear(reportV3(toIn(G)));
  bed.goTo(2);
  bed.links.change(link(ETH1, '10.0.0.2', { running: false }));
  expect(bed.events.filter(({ evt }) => evt.startsWith('igmp.group'))).toEqual([
    { evt: 'igmp.group.joined', interface: 'eth1', group: G, mode: 'exclude', reporter: '10.0.0.9' },
    {
      evt: 'igmp.group.joined',
      interface: 'eth1',
      group: '232.1.1.1',
      source: src('a'),
      mode: 'include',
      reporter: null,
    },
    { evt: 'igmp.group.left', interface: 'eth1', group: G },
    { evt: 'igmp.group.left', interface: 'eth1', group: '232.1.1.1' },
  ]);
});

test('the monitor hears of each change of the querier', () => {
  const bed = new Bed({ links: [link(ETH1, '10.0.0.9')] });
  bed.hearQuery(queryV3(), '10.0.0.5');
  bed.hearQuery(queryV3(), '10.0.0.1');
  bed.hearQuery(queryV3(), '10.0.0.1');
  bed.goTo(255);
  const changes = bed.events.filter(({ evt }) => evt === 'igmp.querier.changed');
  expect(changes.map((event) => `${String(event['role'])} ${String(event['querier'])}`)).toEqual([
    'querier 10.0.0.9',
    'non-querier 10.0.0.5',
    'non-querier 10.0.0.1',
    'querier 10.0.0.9',
  ]);
});
