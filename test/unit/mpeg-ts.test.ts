/** The judge of the stream tests must itself find what it is there to find. */
import { expect, test } from 'vitest';
import { continuityOf } from '../support/mpeg-ts.js';

interface Made {
  readonly pid?: number;
  readonly counter: number;
  readonly payload?: boolean;
  readonly restarts?: boolean;
}

function packet({ pid = 256, counter, payload = true, restarts = false }: Made): Buffer {
  const bytes = Buffer.alloc(188, 0xff);
  const adaptation = !payload || restarts;
  bytes.set([0x47, pid >> 8, pid & 255, (adaptation ? 0x20 : 0) | (payload ? 0x10 : 0) | counter]);
  if (adaptation) bytes.set([payload ? 1 : 183, restarts ? 0x80 : 0], 4);
  return bytes;
}

const stream = (...packets: readonly Made[]) => Buffer.concat(packets.map(packet));
const counted = (from: number, count: number, pid = 256): Made[] =>
  Array.from({ length: count }, (_, n) => ({ pid, counter: (from + n) & 15 }));

test('a stream whose counters go on, around the end of four bits and per PID, has no error', () => {
  const two = counted(9, 40).flatMap((one, n) => [one, { pid: 257, counter: (n + 3) & 15 }]);
  expect(continuityOf(stream(...two))).toEqual({
    packets: 80,
    pids: new Map([
      [256, 40],
      [257, 40],
    ]),
    errors: [],
    duplicates: 0,
    unsynchronised: 0,
  });
});

test('a dropped packet is found, once, with its place and what was expected', () => {
  const packets = counted(0, 40);
  packets.splice(20, 1);
  const { errors, duplicates } = continuityOf(stream(...packets));
  expect(errors).toEqual([{ pid: 256, packet: 20, expected: 4, counter: 5 }]);
  expect(duplicates).toBe(0);
});

test('seven dropped packets, which are one datagram, are one error for each PID in it', () => {
  const packets = counted(0, 40).flatMap((one) => [one, { ...one, pid: 257 }]);
  packets.splice(30, 7);
  expect(
    continuityOf(stream(...packets))
      .errors.map(({ pid }) => pid)
      .sort(),
  ).toEqual([256, 257]);
});

test('a duplicated packet is found', () => {
  const packets = counted(0, 40);
  packets.splice(20, 0, packets[19]!);
  expect(continuityOf(stream(...packets))).toMatchObject({ errors: [], duplicates: 1 });
});

test('a duplicated datagram is found', () => {
  const packets = counted(0, 40);
  packets.splice(21, 0, ...packets.slice(14, 21));
  expect(continuityOf(stream(...packets)).errors).not.toEqual([]);
});

test('two packets in the wrong order are found', () => {
  const packets = counted(0, 40);
  packets.splice(20, 2, packets[21]!, packets[20]!);
  expect(continuityOf(stream(...packets)).errors).not.toEqual([]);
});

test('null packets, packets without payload and an announced discontinuity are no errors', () => {
  const packets = [
    ...counted(0, 4),
    { pid: 0x1fff, counter: 9 },
    { counter: 3, payload: false },
    ...counted(4, 4),
    { counter: 1, restarts: true },
    ...counted(2, 4),
  ];
  expect(continuityOf(stream(...packets))).toMatchObject({ errors: [], duplicates: 0, packets: 15 });
});

test('what does not begin with the sync byte is counted apart', () => {
  const broken = stream(...counted(0, 4));
  broken[188 * 2] = 0;
  expect(continuityOf(broken)).toMatchObject({ unsynchronised: 1, packets: 4 });
});
