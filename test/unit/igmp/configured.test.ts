/** Groups by configuration: static members, joins of the router itself, and what is pulled on a link where IGMP is alone. */
import { expect, test } from 'vitest';
import { formatIp, ip } from '../../../src/base/ip.js';
import { PROTOCOL } from '../../../src/mgm/client.js';
import type { Ifindex } from '../../../src/port/kernel.js';
import { kernelError } from '../../support/fake-mroute.js';
import { allow, block, isEx, leaveV2, reportV2, reportV3, toEx, toIn } from '../../support/packet-builder.js';
import { Bed, type BedOptions, ETH1, ETH2, link, prefix, src } from './bed.js';

const G = '239.1.2.3';
const wish = (group: string, source?: string) => ({
  group: ip(group),
  source: source === undefined ? source : ip(source),
});

const STATICS = { staticGroups: [wish(G), wish('232.1.1.1', src('a'))] };

test('a static group is present without reports, is not removed by a leave, and does not expire (IGMP-175)', () => {
  const bed = new Bed({ config: STATICS, take: false });
  void bed.module.take(ETH1);
  expect(bed.mgm.drain()).toEqual(['take', `add (*,${G})`, `add (a,232.1.1.1)`]);
  const shown = { static: true, expiresInMs: null, lastReporter: null };
  expect(bed.module.groups()).toEqual([
    expect.objectContaining({ group: G, mode: 'exclude', sources: [], ...shown }),
    expect.objectContaining({
      group: '232.1.1.1',
      mode: 'include',
      sources: [{ source: src('a'), wanted: true, expiresInMs: null }],
      ...shown,
    }),
  ]);
  // when members come and leave
  bed.hear(reportV2(G), { to: G });
  bed.hear(reportV3(allow('232.1.1.1', src('a'), src('b'))));
  bed.hear(leaveV2(G), { to: '224.0.0.2' });
  bed.hear(reportV3(toIn('232.1.1.1')));
  bed.goTo(3);
  // then what is configured stays
  const calls = bed.mgm.drain();
  expect(calls.filter((call) => call.startsWith('delete'))).toEqual(['delete (b,232.1.1.1)']);
  bed.goTo(1000);
  expect(bed.module.groups().map((row) => [row.group, row.static])).toEqual([
    [G, true],
    ['232.1.1.1', true],
  ]);
});

test('link down takes static groups away, link up brings them back, a resync adds them again (IGMP-175)', () => {
  const bed = new Bed({ config: STATICS });
  bed.hear(reportV3(toEx(G)));
  bed.mgm.drain();
  bed.links.change(link(ETH1, '10.0.0.2', { running: false }));
  expect(bed.mgm.drain()).toEqual([`delete (*,${G})`, `delete (a,232.1.1.1)`]);
  expect(bed.module.groups()).toEqual([]);
  bed.links.change(link(ETH1, '10.0.0.2'));
  expect(bed.mgm.drain()).toEqual([`add (*,${G})`, `add (a,232.1.1.1)`]);
  void bed.mgm.callbacks.disableIgmp?.(ETH1);
  bed.links.change(link(ETH1, '10.0.0.2', { running: false }));
  bed.links.change(link(ETH1, '10.0.0.2'));
  expect(bed.mgm.drain()).toEqual([]);
  void bed.mgm.callbacks.enableIgmp?.(ETH1);
  bed.clock.advance(0);
  expect(bed.mgm.drain()).toEqual([`add (*,${G})`, `add (a,232.1.1.1)`, 'resyncDone']);
});

test('a source that all members refuse, but the configuration wants, is not refused', () => {
  const bed = new Bed({ config: STATICS });
  bed.hear(reportV3(isEx(G, src('a'))));
  expect(bed.mgm.drain()).toEqual([`add (*,${G})`]);
  expect(bed.mgm.callbacks.refusesSource?.({ source: ip(src('a')), group: ip(G) }, ETH1)).toBe(false);
});

/** What the kernel would report on the interface. */
const joined = (bed: Bed, on: Ifindex = ETH1) => bed.membership.groups(on).map(formatIp).sort();
const held = (bed: Bed, on: Ifindex) =>
  bed.membership
    .list()
    .filter((one) => one.ifindex === on)
    .map(({ group, filter }) => `${formatIp(group)} ${filter.mode} ${filter.sources.map(formatIp).join()}`.trim())
    .sort();

test('joinGroups are joined in the kernel while the interface is served, and left with it', () => {
  const joinGroups = [wish(G), wish('232.1.1.1', src('a')), wish('232.1.1.1', src('b'))];
  const bed = new Bed({ config: { joinGroups } });
  expect(held(bed, ETH1)).toEqual([`232.1.1.1 include ${src('a')},${src('b')}`, `${G} exclude`]);
  expect(bed.membership.list()[0]!.holder).toBe('igmp-join');
  // they are no receivers behind the interface
  bed.hear(reportV3(toEx(G)), { from: '10.0.0.2' });
  expect(bed.module.groups()).toEqual([]);
  void bed.module.release(ETH1);
  expect(joined(bed)).toEqual([]);
});

test('a join that the kernel refuses is told, and asked for again', () => {
  const bed = new Bed({ config: { joinGroups: [wish(G)] }, take: false });
  const set = bed.membership.set.bind(bed.membership);
  bed.membership.set = () => kernelError('IP_ADD_MEMBERSHIP', G, 'ENOBUFS');
  void bed.module.take(ETH1);
  expect(bed.log.of('igmp.join.refused')).toHaveLength(1);
  bed.membership.set = set;
  bed.goTo(30);
  expect(joined(bed)).toEqual([G]);
  void bed.module.stop();
  expect(joined(bed)).toEqual([]);
  expect(bed.clock.due()).toBe(0);
});

function pulling(options: BedOptions = {}): Bed {
  const links = [link(ETH1, '10.0.0.2'), link(ETH2, '10.1.0.2')];
  return new Bed({ links, ...options, configs: { eth1: { pull: true, ...options.configs?.['eth1'] } } });
}
const alert = (bed: Bed, group: string, source = '0.0.0.0', memberUpdate = true) =>
  bed.mgm.callbacks.joinAlert?.({ source: ip(source), group: ip(group), memberUpdate });
const prune = (bed: Bed, group: string, source = '0.0.0.0', memberDelete = true) =>
  void bed.mgm.callbacks.pruneAlert?.({
    source: ip(source),
    group: ip(group),
    ifindex: undefined,
    causeInterface: undefined,
    memberDelete,
  });

test('on an IGMP-only link that pulls, a join alert makes the router a member, the prune alert ends that (INT-031)', () => {
  const bed = pulling();
  alert(bed, G);
  alert(bed, '239.5.5.5', src('a'));
  expect(held(bed, ETH1)).toEqual([`${G} exclude`, `239.5.5.5 include ${src('a')}`]);
  expect(held(bed, ETH2)).toEqual([]);
  expect(bed.membership.list()[0]!.holder).toBe('igmp-pull');
  // sources beside any source change nothing on the wire
  alert(bed, G, src('b'));
  prune(bed, G, src('b'));
  expect(held(bed, ETH1)).toContain(`${G} exclude`);
  prune(bed, '239.5.5.5', src('a'));
  prune(bed, G);
  expect(held(bed, ETH1)).toEqual([]);
});

test('alerts about entries, and (*,*), name nothing to join (INT-031)', () => {
  const bed = pulling();
  alert(bed, G, src('a'), false);
  alert(bed, '0.0.0.0');
  expect(held(bed, ETH1)).toEqual([]);
  alert(bed, G);
  prune(bed, G, src('a'), false);
  expect(held(bed, ETH1)).toEqual([`${G} exclude`]);
});

test('groups of hosts on another IGMP-only interface are pulled, as they change (INT-031)', () => {
  const bed = pulling();
  const there = { on: ETH2, from: '10.1.0.9' };
  bed.hear(reportV3(toEx(G), allow('232.1.1.1', src('a'), src('b'))), there);
  expect(held(bed, ETH1)).toEqual([`232.1.1.1 include ${src('a')},${src('b')}`, `${G} exclude`]);
  bed.hear(reportV3(block('232.1.1.1', src('a')), toIn(G)), there);
  bed.goTo(2);
  expect(held(bed, ETH1)).toEqual([`232.1.1.1 include ${src('b')}`]);
  bed.links.change(link(ETH2, '10.1.0.2', { running: false }));
  expect(held(bed, ETH1)).toEqual([]);
});

test('hosts on the pulling link itself need no join there (INT-031)', () => {
  const bed = pulling();
  bed.hear(reportV3(toEx(G)));
  expect(held(bed, ETH1)).toEqual([]);
});

test('neither any source of an SSM group, nor link-local groups, nor what the boundary keeps out is pulled (INT-031)', () => {
  const bed = pulling({ configs: { eth1: { boundary: [prefix('239.255.0.0/16')] } } });
  for (const group of ['232.1.1.1', '224.0.0.251', '239.255.1.1']) alert(bed, group);
  expect(held(bed, ETH1)).toEqual([]);
  alert(bed, '232.1.1.1', src('a'));
  expect(held(bed, ETH1)).toEqual([`232.1.1.1 include ${src('a')}`]);
});

test('pulling ends when a protocol takes the interface and begins again after it (INT-031)', () => {
  const bed = pulling({ configs: { eth2: { staticGroups: [wish('239.7.7.7')] } } });
  alert(bed, G);
  const changeOwner = (owner: number | undefined) => {
    void bed.mgm.callbacks.disableIgmp?.(ETH1);
    bed.mgm.owner = owner;
    void bed.mgm.callbacks.enableIgmp?.(ETH1);
  };
  changeOwner(PROTOCOL.dvmrp);
  expect(held(bed, ETH1)).toEqual([]);
  alert(bed, '239.5.5.5');
  expect(held(bed, ETH1)).toEqual([]);
  changeOwner(undefined);
  expect(held(bed, ETH1)).toEqual([`${G} exclude`, '239.5.5.5 exclude']);
  void bed.module.release(ETH1);
  expect(bed.membership.list()).toEqual([]);
});

test('static groups of another interface are pulled, what stays at release is nothing (INT-031)', () => {
  const links = [link(ETH1, '10.0.0.2'), link(ETH2, '10.1.0.2')];
  const bed = new Bed({
    links,
    configs: { eth1: { pull: true }, eth2: { staticGroups: [wish('239.7.7.7'), wish('232.7.7.7', src('a'))] } },
  });
  expect(held(bed, ETH1)).toEqual([`232.7.7.7 include ${src('a')}`, '239.7.7.7 exclude']);
  void bed.module.stop();
  expect(bed.membership.list()).toEqual([]);
});

test('where nothing pulls, the manager is not asked for alerts', () => {
  const { callbacks } = new Bed().mgm;
  expect(callbacks.joinAlert).toBeUndefined();
  expect(callbacks.pruneAlert).toBeUndefined();
});
