/** Whose messages are listened to at all (dvmrp.md section 17). */
import { describe, expect, test } from 'vitest';
import { ip, type IpAddress } from '../../../src/base/ip.js';
import { OnLink } from '../../../src/base/on-link.js';
import { ALL_DVMRP_ROUTERS, refusal } from '../../../src/dvmrp/reception.js';

const OWN = '10.9.0.1';
const N = '10.9.0.2';

describe('reception (DVMRP-033)', () => {
  const onLink = new OnLink([
    { address: ip(OWN), prefixLength: 24, peer: undefined },
    { address: ip('10.8.0.1'), prefixLength: 31, peer: undefined },
    { address: ip('10.7.0.1'), prefixLength: 32, peer: ip('10.7.5.5') },
  ]);
  const why = (source: string, destination: IpAddress = ALL_DVMRP_ROUTERS) => refusal(ip(source), destination, onLink);

  test.each([
    ['10.9.0.2', undefined],
    ['10.8.0.0', undefined],
    ['10.7.5.5', undefined],
    ['10.9.0.1', 'ownMessage'],
    ['10.8.0.1', 'ownMessage'],
    ['10.9.0.255', 'badSource'],
    ['10.9.0.0', 'badSource'],
    ['0.0.0.0', 'badSource'],
    ['224.0.0.4', 'badSource'],
    ['127.0.0.1', 'badSource'],
    ['10.9.1.2', 'offSubnet'],
    ['10.7.5.6', 'offSubnet'],
  ])('a message from %s: %s', (source, expected) => expect(why(source)).toBe(expected));

  test('the destination is 224.0.0.4 or an address of ours', () => {
    expect(why(N, ip(OWN))).toBeUndefined();
    expect(why(N, ip('224.0.0.1'))).toBe('badDestination');
    expect(why(N, ip('10.9.0.3'))).toBe('badDestination');
  });
});
