import { expect, test } from 'vitest';
import type { FromHost } from '../../../src/lab/traffic/messages.js';
import { Observations } from '../../../src/lab/tour/observations.js';
import type { StreamCounts } from '../../../src/lab/traffic/sequence.js';

const COUNTS: StreamCounts = { base: 10, next: 30, received: 19, duplicated: 0, reordered: 0 };

function counted(host: 'host3' | 'host2', counts: StreamCounts): FromHost {
  const streams = host === 'host3' ? { asm: counts, ssm: counts } : { asm: counts };
  return { kind: 'counted', host, streams, socketDrops: host === 'host2' ? 3 : 0 };
}

function flowing(counts: StreamCounts) {
  const seen = new Observations(0);
  seen.heard(counted('host2', counts));
  seen.heard(counted('host3', counts));
  return seen;
}

test('while packets are on their way only a gap is lost; when the sender has stopped, what never came is too', () => {
  const seen = flowing(COUNTS);
  expect(seen.streams().map(({ lost }) => lost)).toEqual([1, 1, 1]);
  seen.heard({ kind: 'sent', packets: { asm: 32, ssm: 30 }, refused: 0, stopped: true });
  expect(seen.streams().map(({ host, stream, lost }) => [host, stream, lost])).toEqual([
    ['host3', 'asm', 3],
    ['host3', 'ssm', 1],
    ['host2', 'asm', 3],
  ]);
  expect(seen.allHere()).toBe(false);
});

test('all streams flow only when every host has brought every stream', () => {
  const seen = new Observations(0);
  seen.heard(counted('host3', COUNTS));
  expect(seen.allFlowing()).toBe(false);
  seen.heard(counted('host2', COUNTS));
  expect(seen.allFlowing()).toBe(true);
});

test('nothing is shown as measured before counting began', () => {
  expect(flowing({ ...COUNTS, base: 0 }).measured()).toEqual([]);
  expect(flowing(COUNTS).measured()).toHaveLength(3);
});

test('changes of owner count whoever asks for them, except those of IGMP itself', () => {
  const seen = new Observations(0);
  seen.event({ evt: 'interface.taken', atMs: 1, interface: 'recv', client: 'igmp' }, 1);
  seen.event({ evt: 'interface.taken', atMs: 2, interface: 'recv', client: 'static' }, 2);
  seen.event({ evt: 'interface.handed-over', atMs: 3, interface: 'recv', client: 'static', to: 'static2' }, 3);
  expect(seen.outcome()).toMatchObject({ changes: 2, pauses: 0 });
  expect(seen.happened).toHaveLength(3);
});

test('the outcome tells per host what its own socket dropped', () => {
  expect(flowing(COUNTS).outcome().socketDrops).toEqual({ host2: 3, host3: 0 });
});
