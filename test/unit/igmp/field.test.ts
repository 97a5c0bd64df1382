/** Failures that others had in the field (F23 to F29), as this router answers them. */
import { expect, test } from 'vitest';
import {
  allow,
  block,
  isIn,
  leaveV2,
  queryV3,
  reportV1,
  reportV2,
  reportV3,
  toEx,
  toIn,
} from '../../support/packet-builder.js';
import { Bed, ETH1, link, src } from './bed.js';

const G = '239.1.2.3';

test('a General Query in the middle of a last-member countdown neither stops nor prolongs it (F23)', () => {
  const bed = new Bed({ links: [link(ETH1, '10.0.0.9')] });
  bed.hear(reportV3(toEx(G), allow('232.1.1.1', src('a'))), { from: '10.0.0.20' });
  bed.hear(reportV3(toIn(G), block('232.1.1.1', src('a'))), { from: '10.0.0.20' });
  bed.goTo(0.5);
  // when another router asks everybody, one that takes the role at that
  bed.hearQuery(queryV3(), '10.0.0.1');
  bed.goTo(1.9);
  expect(bed.state(G)).toMatch(/^EXCLUDE/);
  expect(bed.asked().filter((line) => line.startsWith('1 '))).toHaveLength(2);
  bed.goTo(2);
  expect(bed.module.groups()).toEqual([]);
});

test('a specific query of the other router with S=1 leaves the countdown alone as well (F23)', () => {
  const bed = new Bed();
  bed.hear(reportV2(G), { to: G });
  bed.hear(leaveV2(G), { to: '224.0.0.2' });
  bed.goTo(1);
  bed.hearQuery(queryV3({ group: G, code: 100, suppress: true }), '10.0.0.1', G);
  bed.goTo(2);
  expect(bed.state(G)).toBe('none');
});

test('a query with a TTL above 1 is dropped and counted, and so is one without the router alert where that is required (F25)', () => {
  const bed = new Bed({ config: { requireRouterAlert: true } });
  const general = { from: '10.0.0.1', to: '224.0.0.1' };
  bed.hear(queryV3(), { ...general, ttl: 2 });
  bed.hear(queryV3(), { ...general, routerAlert: false });
  bed.hear(queryV3(), { ...general, to: '10.0.0.2', ttl: 64 });
  expect(bed.role()).toBe('querier');
  expect([bed.dropped('badTtl'), bed.dropped('noRouterAlert')]).toEqual([2, 1]);
  // sent to the router's own address it must be accepted (RFC 9776 section 4.1.12)
  bed.hear(queryV3(), { ...general, to: '10.0.0.2' });
  expect(bed.role()).toBe('non-querier');
});

test('an any-source and a source-specific member of one group: each goes without taking the other along (F27)', () => {
  const [any, specific] = [{ from: '10.0.0.21' }, { from: '10.0.0.22' }];
  for (const first of ['any', 'specific']) {
    const bed = new Bed();
    bed.hear(reportV3(toEx(G)), any);
    bed.hear(reportV3(allow(G, src('a'))), specific);
    if (first === 'any') {
      bed.hear(reportV3(toIn(G)), any);
      bed.hear(reportV3(isIn(G, src('a'))), specific);
      bed.goTo(3);
      expect(bed.state(G)).toBe('INCLUDE(a:267)');
    } else {
      bed.hear(reportV3(block(G, src('a'))), specific);
      // the any-source member answers for the source, as it wants all
      bed.hear(reportV3(isIn(G, src('a'))), any);
      bed.goTo(3);
      expect(bed.state(G)).toBe('EXCLUDE({a:267},{}) 267');
    }
  }
});

test('INCLUDE with an empty list refreshes nothing: the group ends (F28)', () => {
  const bed = new Bed();
  bed.hear(reportV3(toEx(G)));
  bed.goTo(200);
  bed.hear(reportV3(isIn(G), allow(G)));
  expect(bed.state(G)).toBe('EXCLUDE({},{}) 70');
  bed.hear(reportV3(toIn(G)));
  bed.hear(reportV3(isIn(G)));
  bed.goTo(202);
  expect(bed.state(G)).toBe('none');
});

test('hosts of all versions come and go: the oldest one heard decides, for its group, while its timer runs (F29)', () => {
  const bed = new Bed();
  const compatibility = (group: string) => bed.module.groups().find((row) => row.group === group)?.compatibility;
  for (const group of [G, '239.9.9.9']) bed.hear(reportV3(toEx(group)));
  bed.hear(reportV2(G), { to: G, from: '10.0.0.21' });
  expect(compatibility(G)).toBe('v2');
  bed.goTo(100);
  bed.hear(reportV1(G), { to: G, from: '10.0.0.22' });
  expect(compatibility(G)).toBe('v1');
  // the v1 host goes over to version 2, and then both to version 3
  bed.goTo(200);
  bed.hear(reportV2(G), { to: G, from: '10.0.0.22' });
  bed.goTo(360);
  expect(compatibility(G)).toBe('v2');
  bed.hear(reportV3(toEx(G)), { from: '10.0.0.22' });
  bed.goTo(460);
  expect(compatibility(G)).toBe('v3');
  bed.hear(reportV3(toEx('239.9.9.9')));
  expect(compatibility('239.9.9.9')).toBe('v3');
});
