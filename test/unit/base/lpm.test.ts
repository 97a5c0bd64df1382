import { expect, test } from 'vitest';
import { ip, parsePrefix, type Prefix } from '../../../src/base/ip.js';
import { Lpm, MAX_ID, NO_MATCH } from '../../../src/base/lpm.js';

function prefix(text: string): Prefix {
  const parsed = parsePrefix(text);
  if (!parsed.ok) throw new Error(parsed.error);
  return parsed.value;
}

function table(...texts: readonly string[]): Lpm {
  const lpm = new Lpm();
  texts.forEach((text, id) => lpm.insert(prefix(text), id));
  return lpm;
}

test('the longest prefix that contains an address is found', () => {
  const lpm = table('0.0.0.0/0', '10.0.0.0/8', '10.1.0.0/16', '10.1.2.0/24', '10.1.2.3/32', '192.0.2.16/28');
  const found = ['10.1.2.3', '10.1.2.4', '10.1.3.1', '10.2.0.0', '11.0.0.0', '192.0.2.31', '192.0.2.32'];
  expect(found.map((text) => lpm.lookup(ip(text)))).toEqual([4, 3, 2, 1, 0, 5, 0]);
});

test('without a default route an address may match nothing', () => {
  const lpm = table('10.0.0.0/8', '224.0.0.0/4');
  expect(
    ['9.255.255.255', '10.0.0.0', '10.255.255.255', '11.0.0.0', '239.1.1.1'].map((a) => lpm.lookup(ip(a))),
  ).toEqual([NO_MATCH, 0, 0, NO_MATCH, 1]);
  expect(new Lpm().lookup(ip('10.1.1.1'))).toBe(NO_MATCH);
});

test('exactly one prefix is found by its network and length', () => {
  const lpm = table('10.0.0.0/8', '10.0.0.0/16', '10.0.0.0/24');
  expect(lpm.find(prefix('10.0.0.0/16'))).toBe(1);
  expect(lpm.find(prefix('10.0.0.0/12'))).toBe(NO_MATCH);
  expect(lpm.find(prefix('10.1.0.0/16'))).toBe(NO_MATCH);
  expect(lpm.find(prefix('0.0.0.0/0'))).toBe(NO_MATCH);
});

test('a prefix that is put in again gets the new identity', () => {
  const lpm = table('10.0.0.0/8');
  lpm.insert(prefix('10.0.0.0/8'), MAX_ID);
  expect(lpm.size).toBe(1);
  expect(lpm.lookup(ip('10.1.1.1'))).toBe(MAX_ID);
});

test('where a prefix is taken out, the next longest counts', () => {
  const lpm = table('10.0.0.0/8', '10.1.0.0/16', '10.2.0.0/16');
  expect(lpm.remove(prefix('10.1.0.0/16'))).toBe(true);
  expect(lpm.remove(prefix('10.1.0.0/16'))).toBe(false);
  expect(lpm.remove(prefix('10.0.0.0/15'))).toBe(false);
  expect(lpm.lookup(ip('10.1.1.1'))).toBe(0);
  expect(lpm.remove(prefix('10.0.0.0/8'))).toBe(true);
  expect([lpm.lookup(ip('10.1.1.1')), lpm.lookup(ip('10.2.1.1')), lpm.size]).toEqual([NO_MATCH, 2, 1]);
});

test('after all has been taken out the table is as new', () => {
  const lpm = table('10.0.0.0/8', '11.0.0.0/8');
  lpm.clear();
  expect([lpm.size, lpm.lookup(ip('10.1.1.1'))]).toEqual([0, NO_MATCH]);
  lpm.insert(prefix('10.0.0.0/8'), 7);
  expect(lpm.lookup(ip('10.1.1.1'))).toBe(7);
});
