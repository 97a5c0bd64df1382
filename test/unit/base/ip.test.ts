/** Addresses as opaque values: text and numbers come back as they went in, order is that of the addresses. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ANY4, compareIp, formatIp, ip, ipv4, isAny, isMulticast, isUnicast, toU32 } from '../../../src/base/ip.js';

const u32 = fc.integer({ min: 0, max: 0xffff_ffff });

test('a host-order number and a text come back as they went in', () => {
  fc.assert(fc.property(u32, (value) => toU32(ipv4(value)) === value));
  for (const text of ['0.0.0.0', '10.0.0.1', '127.255.255.255', '128.0.0.0', '239.1.2.3', '255.255.255.255'])
    expect(formatIp(ip(text))).toBe(text);
});

test('addresses compare as unsigned numbers (IGMP-107)', () => {
  fc.assert(fc.property(u32, u32, (a, b) => Math.sign(compareIp(ipv4(a), ipv4(b))) === Math.sign(a - b)));
  expect(ip('10.0.0.1') < ip('192.0.0.1') && ip('192.0.0.1') < ip('223.0.0.1')).toBe(true);
});

test('every address fits into 32 bits with a sign, which costs no memory of its own', () => {
  fc.assert(fc.property(u32, (value) => Number(ipv4(value)) === (Number(ipv4(value)) | 0)));
});

test('the wildcard is one value, and ranges are told by the address', () => {
  expect([isAny(ipv4(0)), isAny(ANY4), isAny(ip('128.0.0.0'))]).toEqual([true, true, false]);
  expect([isMulticast(ip('224.0.0.0')), isMulticast(ip('240.0.0.0'))]).toEqual([true, false]);
  expect([isUnicast(ip('0.1.2.3')), isUnicast(ip('127.0.0.1')), isUnicast(ip('223.255.255.255'))]).toEqual([
    false,
    false,
    true,
  ]);
});
