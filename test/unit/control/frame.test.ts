/** Lines on a stream: nothing a peer sends is too odd, and nothing it leaves unread is kept without bound. */
import { PassThrough } from 'node:stream';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { LineReader, LineWriter } from '../../../src/control/frame.js';

const bytes = (text: string) => new TextEncoder().encode(text);

test('lines come out whole, however the stream was cut', () => {
  fc.assert(
    fc.property(
      fc.array(fc.string({ unit: 'grapheme', maxLength: 20 }).map((line) => line.replace(/\s/g, ''))),
      fc.array(fc.nat(200)),
      (lines, cuts) => {
        const whole = bytes(lines.map((line) => `${line}\n`).join(''));
        const reader = new LineReader(10_000);
        const heard: string[] = [];
        const places = [...new Set(cuts.filter((at) => at < whole.length))].sort((a, b) => a - b);
        let from = 0;
        for (const at of [...places, whole.length]) {
          heard.push(...(reader.push(whole.subarray(from, at)) as readonly string[]));
          from = at;
        }
        expect(heard).toEqual(lines.filter((line) => line.trim() !== ''));
      },
    ),
  );
});

test('any bytes whatever give lines or "too-long", never an exception', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 60 })), (chunks) => {
      const reader = new LineReader(100);
      for (const chunk of chunks) {
        const lines = reader.push(chunk);
        if (lines === 'too-long') return;
        for (const line of lines) expect(line.length).toBeLessThanOrEqual(100);
      }
    }),
  );
});

test('a line of exactly the limit passes, one byte more does not, even before its end came', () => {
  expect(new LineReader(5).push(bytes('12345\n'))).toEqual(['12345']);
  expect(new LineReader(5).push(bytes('12\n123456'))).toBe('too-long');
  const reader = new LineReader(5);
  expect(reader.push(bytes('123'))).toEqual([]);
  expect(reader.push(bytes('456'))).toBe('too-long');
});

test('of a chunk no more lines are made than are asked for (A4)', () => {
  const reader = new LineReader(5);
  const lines = reader.cut(bytes('a\n\n\nb\n123456\nc\n'));
  expect([lines.next().value, lines.next().value, lines.next().value, lines.next().value]).toEqual(['a', '', '', 'b']);
  expect([lines.next(), lines.next()]).toEqual([
    { done: false, value: undefined },
    { done: true, value: undefined },
  ]);
});

test('the lines of one turn leave in one write', async () => {
  const stream = new PassThrough();
  const chunks: string[] = [];
  stream.on('data', (chunk: Buffer) => chunks.push(chunk.toString()));
  const writer = new LineWriter(stream, 1000, () => undefined);
  writer.write('a');
  writer.write('b');
  expect(chunks).toEqual([]);
  await Promise.resolve();
  expect(chunks).toEqual(['a\nb\n']);
});

test('a peer that does not read is given up when more than the limit waits for it', () => {
  let slow = 0;
  const writer = new LineWriter(new PassThrough({ highWaterMark: 1 }), 10, () => slow++);
  writer.write('a line beyond the limit is allowed while nothing waits');
  expect(slow).toBe(0);
  writer.write('x');
  expect(slow).toBe(1);
});
