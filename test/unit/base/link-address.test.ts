/** Which address of an interface speaks, and who is on its link. */
import { expect, test } from 'vitest';
import { formatIp, formatPrefix, ip } from '../../../src/base/ip.js';
import { type InterfaceAddress, linkNetworkOf, usableAddresses } from '../../../src/base/link-address.js';
import { OnLink } from '../../../src/base/on-link.js';

/** "10.1.0.1/24", "10.8.0.1 peer 10.8.0.2/24 scope link secondary". */
function address(text: string): InterfaceAddress {
  const [, own = '', peer, length = '32'] = /^([\d.]+)(?: peer ([\d.]+))?(?:\/(\d+))?/.exec(text) ?? [];
  const scope = /scope (link|host)/.exec(text)?.[1] as 'link' | 'host' | undefined;
  return {
    address: ip(own),
    prefixLength: Number(length),
    peer: peer === undefined ? undefined : ip(peer),
    secondary: text.includes('secondary'),
    ...(scope && { scope }),
  };
}

const usable = (...texts: readonly string[]) => usableAddresses(texts.map(address)).map((one) => formatIp(one.address));

test.each([
  ['the first of two networks', ['10.1.0.1/24', '10.2.0.1/24'], '10.1.0.1'],
  ['global scope before link scope', ['169.254.1.1/16 scope link', '10.1.0.1/24'], '10.1.0.1'],
  ['global scope before 169.254.0.0/16 without a scope', ['169.254.1.1/16', '10.255.0.1/32'], '10.255.0.1'],
  ['link scope when there is nothing else', ['169.254.1.1/16 scope link'], '169.254.1.1'],
  ['a network before a virtual or anycast address', ['10.255.0.1/32', '10.1.0.1/24'], '10.1.0.1'],
  ['a bare /32 before link scope', ['169.254.1.1/16 scope link', '10.255.0.1/32'], '10.255.0.1'],
  ['a bare /32 that is alone', ['10.255.0.1/32'], '10.255.0.1'],
  ['the near end of a point-to-point link', ['10.8.0.1 peer 10.8.0.2/32'], '10.8.0.1'],
  ['the primary', ['10.1.0.9/24 secondary', '10.1.0.1/24'], '10.1.0.1'],
  ['a group that was joined by an address does not', ['239.9.9.9/32', '10.1.0.1/24'], '10.1.0.1'],
  ['a secondary whose primary cannot speak', ['127.5.0.1/24', '10.1.0.9/24 secondary'], '10.1.0.9'],
])('%s speaks (C2)', (_, texts, expected) => expect(usable(...texts)[0]).toBe(expected));

test.each(['239.9.9.9/32', '127.0.0.5/8', '0.0.0.0/0', '240.0.0.1/24', '255.255.255.255/32', '10.1.0.1/24 scope host'])(
  '%s never speaks and puts nobody on the link (C2)',
  (text) => {
    expect(usable(text)).toEqual([]);
    expect(new OnLink([address(text)]).contains(ip('10.1.0.7'))).toBe(false);
    expect(new OnLink([address(text)]).isOwn(address(text).address)).toBe(true);
  },
);

test('the prefix belongs to the peer where there is one (C3)', () => {
  const own = address('10.8.0.1 peer 10.9.0.2/24');
  expect(formatPrefix(linkNetworkOf(own))).toBe('10.9.0.0/24');
  const onLink = new OnLink([own]);
  expect(['10.9.0.77', '10.9.1.1', '10.8.0.7'].map((text) => onLink.contains(ip(text)))).toEqual([true, false, false]);
  expect(onLink.isBroadcast(ip('10.9.0.255'))).toBe(true);
  expect(onLink.isNetwork(ip('10.9.0.0'))).toBe(true);
});

test('both addresses of a /31 are hosts (C3)', () => {
  const onLink = new OnLink([address('10.8.0.1/31')]);
  expect([
    onLink.contains(ip('10.8.0.0')),
    onLink.isNetwork(ip('10.8.0.0')),
    onLink.isBroadcast(ip('10.8.0.1')),
  ]).toEqual([true, false, false]);
});

test('routes are asked only about what no address covers (C3)', () => {
  const asked: string[] = [];
  const onLink = new OnLink([address('10.8.0.1/32'), address('10.1.0.1/24')], (one) => asked.push(formatIp(one)) > 0);
  expect(onLink.contains(ip('10.1.0.5'))).toBe(true);
  expect(asked).toEqual([]);
  expect(onLink.contains(ip('10.8.0.5'))).toBe(true);
  expect(asked).toEqual(['10.8.0.5']);
});
