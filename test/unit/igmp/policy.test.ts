/** What hosts may ask for: filters, boundaries, the knobs for older hosts and strange queriers, and limits beyond the group's. */
import { expect, test } from 'vitest';
import {
  allow,
  block,
  isEx,
  isIn,
  leaveV2,
  queryV2,
  queryV3,
  reportV1,
  reportV2,
  reportV3,
  toEx,
  toIn,
} from '../../support/packet-builder.js';
import { Bed, ETH1, ETH2, link, prefix, src } from './bed.js';

const G = '239.1.2.3';
const allowRule = (text: string) => ({ action: 'allow' as const, prefix: prefix(text) });
const denyRule = (text: string) => ({ action: 'deny' as const, prefix: prefix(text) });

test('a group that the filter denies leaves a count and nothing else, whatever the version of the report (IGMP-033, F32)', () => {
  const bed = new Bed({ config: { groupFilter: [denyRule('239.255.255.250/32')] } });
  const ssdp = '239.255.255.250';
  bed.hear(reportV1(ssdp), { to: ssdp });
  bed.hear(reportV2(ssdp), { to: ssdp });
  bed.hear(reportV3(toEx(ssdp), allow(ssdp, src('a'))));
  bed.hear(leaveV2(ssdp), { to: '224.0.0.2' });
  expect(bed.module.groups()).toEqual([]);
  expect(bed.mgm.drain()).toEqual([]);
  expect(bed.asked()).toEqual([]);
  expect(bed.dropped('groupFilter')).toBe(5);
  // and its neighbour counts
  bed.hear(reportV2('239.255.255.251'), { to: '239.255.255.251' });
  expect(bed.module.groups()).toHaveLength(1);
});

test('a list that allows something allows nothing else (IGMP-033)', () => {
  const bed = new Bed({ config: { groupFilter: [denyRule('239.1.2.0/24'), allowRule('239.1.0.0/16')] } });
  bed.hear(reportV3(toEx(G), toEx('239.1.9.9'), toEx('239.2.1.1')));
  expect(bed.module.groups().map((row) => row.group)).toEqual(['239.1.9.9']);
});

test('a report for a scoped group is ignored on the boundary interface only (IGMP-047)', () => {
  const links = [link(ETH1, '10.0.0.2'), link(ETH2, '10.1.0.2')];
  const bed = new Bed({ links, configs: { eth1: { boundary: [prefix('239.255.0.0/16')] } } });
  for (const on of [ETH1, ETH2]) bed.hear(reportV3(toEx('239.255.1.1')), { on, from: `10.${on - 1}.0.9` });
  expect(bed.mgm.drain()).toEqual(['eth2 add (*,239.255.1.1)']);
  expect(bed.dropped('boundary', ETH1)).toBe(1);
  expect(bed.dropped('boundary', ETH2)).toBe(0);
});

test('sources that hosts may not name are passed over, and what is left of the record counts', () => {
  const bed = new Bed({ config: { sourceFilter: [denyRule(`${src('a')}/32`)] } });
  // ALLOW and IS_IN of nothing make nothing
  bed.hear(reportV3(allow('232.1.1.1', src('a')), isIn('232.1.1.1', src('a'))));
  expect(bed.state('232.1.1.1')).toBe('none');
  bed.hear(reportV3(allow('232.1.1.1', src('a'), src('b'))));
  expect(bed.state('232.1.1.1')).toBe('INCLUDE(b:270)');
  // a member of everything but a denied source is a member of everything
  bed.hear(reportV3(toEx(G, src('a'))));
  expect(bed.state(G)).toBe('EXCLUDE({},{}) 270');
  // one that now only wants a denied source has left
  bed.hear(reportV3(toIn(G, src('a'))));
  expect(bed.asked()).toEqual([`0 Q(${G}) S=0`]);
  expect(bed.dropped('sourceFilter')).toBe(5);
});

test.each([
  ['ignoreV1', { ignoreV1: true }, reportV1(G), reportV2(G)],
  ['ignoreV2', { ignoreV2: true }, reportV2(G), reportV1(G)],
])('%s: the messages are dropped and start no timer, others are heard (IGMP-125)', (_, config, ignored, heard) => {
  const bed = new Bed({ config });
  bed.hear(reportV3(isEx(G, src('a'))));
  bed.hear(ignored, { to: G });
  expect(bed.state(G)).toBe('EXCLUDE({},{a}) 270');
  expect(bed.module.groups()[0]).toMatchObject({ compatibility: 'v3', v1HostForMs: null, v2HostForMs: null });
  expect(bed.dropped('olderVersion')).toBe(1);
  bed.hear(heard, { to: G });
  expect(bed.module.groups()[0]!.compatibility).not.toBe('v3');
});

test('with ignoreV2 a leave of version 2 changes nothing (IGMP-125)', () => {
  const bed = new Bed({ config: { ignoreV2: true } });
  bed.hear(reportV3(toEx(G)));
  bed.hear(leaveV2(G), { to: '224.0.0.2' });
  expect(bed.asked()).toEqual([]);
  expect(bed.state(G)).toBe('EXCLUDE({},{}) 270');
});

test('disableCompatibilityModes: reports of version 1 and 2 have no effect (IGMP-128)', () => {
  const bed = new Bed({ config: { disableCompatibilityModes: true } });
  for (const report of [reportV1(G), reportV2(G)]) bed.hear(report, { to: G });
  expect(bed.state(G)).toBe('none');
  bed.hear(reportV3(isEx(G, src('a'))));
  for (const report of [reportV1(G), reportV2(G)]) bed.hear(report, { to: G });
  expect(bed.state(G)).toBe('EXCLUDE({},{a}) 270');
  bed.hear(reportV3(block(G, src('b'))));
  expect(bed.asked()).toEqual([`0 Q(${G},{b}) S=0`]);
  expect(bed.dropped('olderVersion')).toBe(4);
});

test('on a version 2 router version 2 is no compatibility mode (IGMP-128)', () => {
  const bed = new Bed({ config: { disableCompatibilityModes: true, version: 2 } });
  bed.hear(reportV1(G), { to: G });
  expect(bed.state(G)).toBe('none');
  bed.hear(reportV2(G), { to: G });
  expect(bed.state(G)).toBe('EXCLUDE({},{}) 270');
});

const specific = queryV3({ group: G, code: 10 });

test('a specific query of a host that is not the querier lowers timers, unless strictQuerySource is on (IGMP-114)', () => {
  for (const strictQuerySource of [false, true]) {
    const bed = new Bed({ config: { strictQuerySource } });
    bed.hear(reportV3(toEx(G)));
    bed.hearQuery(specific, '10.0.0.77', G);
    expect(bed.state(G)).toBe(`EXCLUDE({},{}) ${strictQuerySource ? 270 : 2}`);
    expect(bed.dropped('notFromQuerier')).toBe(strictQuerySource ? 1 : 0);
  }
});

test('strictQuerySource hears the querier, and who was it until LMQT ago (IGMP-114)', () => {
  const bed = new Bed({ config: { strictQuerySource: true }, links: [link(ETH1, '10.0.0.9')] });
  const member = () => bed.hear(reportV3(toEx(G)), { from: '10.0.0.100' });
  // given a querier, 10.0.0.5
  bed.hearQuery(queryV3(), '10.0.0.5');
  member();
  bed.hearQuery(specific, '10.0.0.4', G);
  expect(bed.state(G)).toBe('EXCLUDE({},{}) 270');
  bed.hearQuery(specific, '10.0.0.5', G);
  expect(bed.state(G)).toBe('EXCLUDE({},{}) 2');
  // when a better one takes over, the one before finishes its questions
  member();
  bed.hearQuery(queryV3(), '10.0.0.3');
  bed.goTo(2);
  bed.hearQuery(specific, '10.0.0.5', G);
  expect(bed.state(G)).toBe('EXCLUDE({},{}) 2');
  // and counts no more after LMQT
  member();
  bed.goTo(2.1);
  bed.hearQuery(specific, '10.0.0.5', G);
  expect(bed.state(G)).toBe('EXCLUDE({},{}) 269.9');
  bed.hearQuery(queryV2(10, G), '10.0.0.3', G);
  expect(bed.state(G)).toBe('EXCLUDE({},{}) 2');
});

test('by default a specific query of any host ends nothing, is counted, and is warned about once in ten minutes (IGMP-114, E6)', () => {
  const bed = new Bed();
  bed.hear(reportV3(toEx(G), allow('232.1.2.3', src('a'))));
  for (let n = 0; n < 20; n++) {
    bed.hearQuery(specific, '10.0.0.77', G);
    bed.hearQuery(queryV2(10, G), '10.0.0.1', G);
    bed.hearQuery(queryV3({ group: '232.1.2.3', code: 10, sources: [src('a')] }), '10.0.0.77', '232.1.2.3');
  }
  expect(bed.state(G)).toBe('EXCLUDE({},{}) 270');
  expect(bed.state('232.1.2.3')).toBe('INCLUDE(a:270)');
  expect(bed.dropped('notFromQuerier')).toBe(60);
  const lines = bed.log.of('igmp.message.refused');
  expect(lines).toMatchObject([{ level: 'warn', fields: { reason: 'notFromQuerier', from: '10.0.0.77', group: G } }]);
  expect(lines[0]!.message).toContain('strictQuerySource: false');
});

test.each([true, false])(
  'a specific query that was not sent to its group lowers no timers, whoever it is from, and is warned about (strictQuerySource: %s) (E6)',
  (strictQuerySource) => {
    for (const to of ['10.0.0.2', '224.0.0.1', '239.9.9.9']) {
      const bed = new Bed({ config: { strictQuerySource } });
      // given a querier
      bed.hearQuery(queryV3(), '10.0.0.1');
      bed.hear(reportV3(toEx(G), allow('232.1.2.3', src('a'))));
      for (const from of ['10.0.0.1', '10.0.0.77']) {
        bed.hearQuery(specific, from, to);
        bed.hearQuery(queryV2(10, G), from, to);
        bed.hearQuery(queryV3({ group: '232.1.2.3', code: 10, sources: [src('a')] }), from, to);
      }
      expect(bed.state(G)).toBe('EXCLUDE({},{}) 270');
      expect(bed.state('232.1.2.3')).toBe('INCLUDE(a:270)');
      expect(bed.dropped('notToGroup')).toBe(6);
      expect(bed.log.of('igmp.message.refused')).toMatchObject([
        { level: 'warn', fields: { reason: 'notToGroup', from: '10.0.0.1', group: G } },
      ]);
    }
  },
);

test('a general query to the router alone counts, and is warned about once in ten minutes (IGMP-028, E6)', () => {
  const bed = new Bed();
  for (let n = 0; n < 20; n++) bed.hearQuery(queryV3(), '10.0.0.1', '10.0.0.2');
  expect(bed.role()).toBe('non-querier');
  expect(bed.log.of('igmp.query.unicast')).toMatchObject([{ level: 'warn', fields: { from: '10.0.0.1' } }]);
  bed.hearQuery(queryV3(), '10.0.0.1');
  expect(bed.log.of('igmp.query.unicast')).toHaveLength(1);
});

test('maxGroups of all interfaces together: the one too many is refused wherever it comes, a freed place is used (IGMP-170)', () => {
  const links = [link(ETH1, '10.0.0.2'), link(ETH2, '10.1.0.2')];
  const bed = new Bed({ links, maxGroups: 3, config: { fastLeave: true } });
  const onEth2 = { on: ETH2, from: '10.1.0.9' };
  bed.hear(reportV3(toEx('239.1.0.1'), toEx('239.1.0.2')));
  bed.hear(reportV3(toEx('239.1.0.1'), toEx('239.1.0.2')), onEth2);
  expect(bed.module.groups()).toHaveLength(3);
  expect(bed.dropped('allGroupsLimit', ETH2)).toBe(1);
  bed.hear(reportV3(toIn('239.1.0.1')));
  bed.hear(reportV3(toEx('239.1.0.2')), onEth2);
  expect(bed.module.groups()).toHaveLength(3);
  // a link that goes down gives its places back, and so does an interface that is released
  bed.links.change(link(ETH2, '10.1.0.2', { running: false }));
  bed.hear(reportV3(toEx('239.1.0.3'), toEx('239.1.0.4'), toEx('239.1.0.5')));
  expect(bed.module.groups()).toHaveLength(3);
  void bed.module.release(ETH1);
  bed.links.change(link(ETH2, '10.1.0.2'));
  bed.hear(reportV3(toEx('239.1.0.1'), toEx('239.1.0.2'), toEx('239.1.0.3'), toEx('239.1.0.4')), onEth2);
  expect(bed.module.groups()).toHaveLength(3);
});

test('maxGroupsPerHost: a host has so many groups and no more, others are not concerned, and a left one makes room', () => {
  const bed = new Bed({ config: { maxGroupsPerHost: 2, fastLeave: true } });
  const [one, other] = [{ from: '10.0.0.21' }, { from: '10.0.0.22' }];
  bed.hear(reportV3(toEx('239.1.0.1'), toEx('239.1.0.2'), toEx('239.1.0.3')), one);
  bed.hear(reportV2('239.1.0.4'), { ...one, to: '239.1.0.4' });
  expect(bed.module.groups().map((row) => row.group)).toEqual(['239.1.0.1', '239.1.0.2']);
  expect(bed.dropped('hostLimit')).toBe(2);
  // what it has it may report again
  bed.hear(reportV3(isEx('239.1.0.1'), isEx('239.1.0.2')), one);
  expect(bed.dropped('hostLimit')).toBe(2);
  bed.hear(reportV3(toEx('239.1.0.3')), other);
  expect(bed.module.groups()).toHaveLength(3);
  bed.hear(reportV3(toIn('239.1.0.1')), one);
  bed.hear(reportV3(toEx('239.1.0.4')), one);
  expect(bed.dropped('hostLimit')).toBe(2);
  // a host without an address cannot be told from others, so it is not limited
  bed.hear(reportV3(toEx('239.2.0.1'), toEx('239.2.0.2'), toEx('239.2.0.3')), { from: '0.0.0.0' });
  expect(bed.dropped('hostLimit')).toBe(2);
});
