import { expect, test } from 'vitest';
import { encodePacket, sequenceOf } from '../../../src/lab/traffic/packet.js';
import { otherGroup, ownGroup, PAYLOAD_BYTES, routerConfig } from '../../../src/lab/machines/plan.js';
import { udpReceiveBufferErrors } from '../../../src/lab/traffic/snmp.js';
import { parseConfig } from '../../../src/config/parse.js';

test('a packet carries its stream and its number, and only for its own stream', () => {
  const packet = encodePacket(2, 4_000_000_000);
  expect(packet).toHaveLength(PAYLOAD_BYTES);
  expect(sequenceOf(2, packet)).toBe(4_000_000_000);
  expect(sequenceOf(1, packet)).toBeUndefined();
  expect(sequenceOf(2, packet.subarray(0, 12))).toBeUndefined();
  expect(sequenceOf(2, new Uint8Array(PAYLOAD_BYTES))).toBeUndefined();
});

test('the packets that a full socket dropped are read by the name of their column', () => {
  const snmp = 'Udp: InDatagrams NoPorts RcvbufErrors SndbufErrors\nUdp: 9 8 7 6\nUdpLite: InDatagrams\nUdpLite: 5\n';
  expect(udpReceiveBufferErrors(snmp)).toBe(7);
  expect(udpReceiveBufferErrors('Tcp: RtoAlgorithm\nTcp: 1\n')).toBe(0);
});

test('no two pauses and no two members share a group', () => {
  const groups = [1, 2, 3].flatMap((n) => [otherGroup(n, 0), otherGroup(n, 1), ownGroup(n, 1), ownGroup(n, 2)]);
  expect(new Set(groups).size).toBe(groups.length);
});

test('the configuration the lab generates is one the daemon accepts, with both protocols able to carry both streams', () => {
  const parsed = parseConfig(routerConfig(), 'lab.yaml');
  expect(parsed).toMatchObject({ ok: true });
  if (!parsed.ok) return;
  expect(parsed.value.config.statics.map(({ name, routes }) => [name, routes.length])).toEqual([
    ['static', 2],
    ['static2', 2],
  ]);
  expect(parsed.value.config.interfaces.map(({ name, owner, igmp }) => [name, owner, igmp !== undefined])).toEqual([
    ['send', undefined, true],
    ['recv', undefined, true],
  ]);
});
