/** Which address asks, who is on the link, and what is said when hosts are not heard. */
import { expect, test } from 'vitest';
import { ip, type IpAddress } from '../../../src/base/ip.js';
import type { LinkAddress, Route } from '../../../src/port/kernel.js';
import { queryV3, reportV1, reportV2, reportV3, toEx } from '../../support/packet-builder.js';
import { Bed, type BedOptions, type Delivery, ETH1, link, prefix } from './bed.js';

const G = '239.1.2.3';
const at = (text: string, prefixLength: number, more: Partial<LinkAddress> = {}): LinkAddress => {
  return { address: ip(text), prefixLength, secondary: false, scope: 'global', peer: undefined, ...more };
};
const on = (...addresses: readonly LinkAddress[]) => link(ETH1, undefined, { addresses });

test('queries come from the global address, also when a joined group was there first (C2)', () => {
  const autojoin = at('239.9.9.9', 32);
  const bed = new Bed({ links: [on(autojoin)] });
  expect(bed.wire.sent).toEqual([]);
  expect(bed.log.of('igmp.address.missed')).toHaveLength(1);
  bed.links.change(on(autojoin, at('169.254.0.5', 16, { scope: 'link' })));
  expect(bed.wire.sent.at(-1)?.source).toBe('169.254.0.5');
  bed.links.change(on(autojoin, at('169.254.0.5', 16, { scope: 'link' }), at('10.0.0.5', 24)));
  expect(bed.wire.sent.at(-1)?.source).toBe('10.0.0.5');
  expect(bed.module.interfaces()[0]).toMatchObject({ address: '10.0.0.5', role: 'querier', querier: '10.0.0.5' });
});

test('the election follows a change of the address that speaks (C2)', () => {
  const bed = new Bed({ links: [on(at('10.0.0.5', 24), at('10.1.0.1', 24))] });
  bed.hearQuery(queryV3(), '10.0.0.3');
  expect(bed.role()).toBe('non-querier');
  bed.links.change(on(at('127.0.0.9', 8), at('10.0.0.2', 24)));
  expect(bed.role()).toBe('querier');
  bed.hearQuery(queryV3(), '10.0.0.3');
  expect(bed.role()).toBe('querier');
});

test('with "peer 10.8.0.2/24" the hosts of 10.8.0.0/24 are heard (C3)', () => {
  const bed = new Bed({ links: [on(at('10.8.0.1', 24, { peer: ip('10.8.0.2') }))] });
  bed.hear(reportV3(toEx(G)), { from: '10.8.0.77' });
  expect(bed.state(G)).not.toBe('none');
});

/** Routes without a gateway to these networks, by eth1. */
function routesTo(...networks: readonly string[]): Required<Pick<BedOptions, 'routes'>> {
  const routes = networks.map(
    (text): Route => ({ ifindex: ETH1, gateway: undefined, prefix: prefix(text), protocol: 4 }),
  );
  const covers = (route: Route, address: IpAddress) => route.prefix.length === 32 && route.prefix.network === address;
  return { routes: { lookup: (address) => routes.find((route) => covers(route, address)) } };
}

test('a host to which a route leads by the interface is heard behind a bare /32 (C3)', () => {
  const bed = new Bed({ links: [on(at('10.8.0.1', 32))], ...routesTo('10.8.0.77/32') });
  bed.hear(reportV3(toEx(G)), { from: '10.8.0.77' });
  expect(bed.state(G)).not.toBe('none');
  bed.hearQuery(queryV3(), '10.8.0.78');
  expect(bed.dropped('offSubnet')).toBe(1);
});

test.each<[string, Delivery, BedOptions['config'], Uint8Array, string]>([
  ['offSubnet', { from: '10.9.0.1' }, {}, reportV2(G), 'verifySourceSubnet'],
  ['badTtl', { ttl: 5 }, {}, reportV2(G), 'requireTtl1'],
  ['noRouterAlert', { routerAlert: false }, { requireRouterAlert: true }, reportV2(G), 'requireRouterAlert'],
  ['versionDisabled', {}, { version: 2 }, reportV3(toEx(G)), 'version'],
  ['ssmGroup', {}, {}, reportV1('232.1.2.3'), 'ssmRanges'],
])('hosts that are not heard for %s are told once, with the key (C3)', (reason, delivery, config, report, key) => {
  const bed = new Bed({ ...(config && { config }) });
  for (let n = 0; n < 100; n++) bed.hear(report, delivery);
  const lines = bed.log.of('igmp.message.refused');
  expect(lines).toHaveLength(1);
  expect(lines[0]).toMatchObject({ level: 'warn', fields: { reason, from: delivery.from ?? '10.0.0.9' } });
  expect(lines[0]?.message).toContain('eth1');
  expect(lines[0]?.message).toContain(key);
  bed.goTo(600);
  bed.hear(report, delivery);
  expect(bed.log.of('igmp.message.refused')[1]?.fields).toMatchObject({ heldBack: 99 });
});

test('a host without an address is heard without a word (C3)', () => {
  const bed = new Bed();
  bed.hear(reportV3(toEx(G)), { from: '0.0.0.0' });
  expect(bed.state(G)).not.toBe('none');
  expect(bed.log.of('igmp.message.refused')).toEqual([]);
});
