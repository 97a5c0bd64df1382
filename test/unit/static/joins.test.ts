import { expect, test } from 'vitest';
import { ip } from '../../../src/base/ip.js';
import { filtersOn } from '../../../src/static/joins.js';
import { CONFIG, range, SEND, started, bed, link } from './fakes.js';

test('joins of one group become one filter, and one join for every source covers the others', () => {
  const g = ip('232.1.1.1');
  const from = (source: string | undefined, name = 'recv') => ({
    interface: name,
    group: range('232.1.1.1'),
    source: source === undefined ? undefined : ip(source),
  });
  const two = filtersOn([from('10.0.0.1'), from('10.0.0.2'), from('10.0.0.1'), from('10.0.0.3', 'wan')], 'recv');
  expect(two.get(g)).toEqual({ mode: 'include', sources: [ip('10.0.0.1'), ip('10.0.0.2')] });
  const all = filtersOn([from('10.0.0.1'), from(undefined), from('10.0.0.2')], 'recv');
  expect(all.get(g)).toEqual({ mode: 'exclude', sources: [] });
});

const wide = { ...CONFIG, joins: [{ interface: 'send', group: range('239.1.0.0/20'), source: undefined }] };

test('a range is joined group by group, some in each turn of the loop (G)', async () => {
  // given a join of 4,096 groups
  const { module, membership, clock } = bed(wide);
  // when the instance starts
  module.start();
  // then one turn makes 128 of them, and in the end all are there
  expect(membership.calls).toHaveLength(128);
  await clock.run(0);
  expect(new Set(membership.calls).size).toBe(4096);
  expect(membership.calls.at(-1)).toBe('static2 2 239.1.15.255 exclude []');
});

test('an instance that stops in the middle of a range leaves what it has joined, and nothing else (G)', async () => {
  const { module, membership, clock } = bed(wide);
  module.start();
  membership.calls.length = 0;
  await module.stop();
  await clock.run(60_000);
  expect(membership.calls).toHaveLength(128);
  expect(membership.calls.every((call) => call.endsWith('nothing'))).toBe(true);
});

test('of refused joins only those are tried again, and few lines tell of them (G, F54)', async () => {
  // given a kernel that refuses
  const { module, membership, clock, log } = bed(wide);
  membership.refuse = true;
  module.start();
  await clock.run(0);
  // when it has room again
  membership.refuse = false;
  membership.calls.length = 0;
  await clock.run(30_000);
  expect(membership.calls).toHaveLength(4096);
  membership.calls.length = 0;
  await clock.run(30_000);
  expect(membership.calls).toHaveLength(0);
  expect(log.of('static.join.refused').length).toBeLessThan(10);
});

test('a refused join on an interface that has gone is forgotten', async () => {
  const { links, membership, clock } = started();
  membership.refuse = true;
  links.remove(SEND);
  links.add(link(9, 'send'));
  membership.refuse = false;
  links.remove(links.byName('send')!);
  membership.calls.length = 0;
  await clock.run(30_000);
  expect(membership.calls).toEqual([]);
});
