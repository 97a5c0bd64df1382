/** The log's way out: it never waits for a reader, and what is lost is counted and told. */
import { expect, test } from 'vitest';
import { Output } from '../../../src/daemon/process/output.js';

const EAGAIN = -11;
const EPIPE = -32;
const ENOSPC = -28;
const LINE = `${'x'.repeat(99)}\n`;
const ROOM = (1024 * 1024) / LINE.length;

/** A stream with so much room, or broken; time passes when somebody waits for it. */
function given() {
  const state = { room: Infinity, error: EAGAIN, text: '', nowMs: 0, calls: 0, told: [] as number[] };
  const timers: (() => void)[] = [];
  const output = new Output({
    write: (bytes, waitMs) => {
      state.calls++;
      const taken = Math.min(bytes.length, state.room);
      if (taken === 0) state.nowMs += waitMs;
      state.room -= taken;
      state.text += Buffer.from(bytes.subarray(0, taken)).toString('utf8');
      return taken || state.error;
    },
    after: (_delayMs, fire) => void timers.push(fire),
    nowMs: () => state.nowMs,
  });
  output.onLoss = (lines) => {
    state.told.push(lines);
    output.write(`lost ${lines}\n`);
  };
  const tick = () => {
    for (const fire of timers.splice(0)) fire();
  };
  return { state, output, tick, timers };
}

test('a line is written before the call returns while somebody reads', () => {
  const { state, output, timers } = given();
  output.write('one\n');
  output.write('two\n');
  expect(state.text).toBe('one\ntwo\n');
  expect(timers).toEqual([]);
});

test('a reader that pauses costs no line, and every line stays whole and in order (B2)', () => {
  const { state, output, tick } = given();
  state.room = 5;
  output.write('first\n');
  output.write('second\n');
  expect(state.text).toBe('first');
  tick();
  state.room = 3;
  tick();
  state.room = Infinity;
  output.write('third\n');
  tick();
  expect(state.text).toBe('first\nsecond\nthird\n');
  expect(output.lostLines).toBe(0);
});

test.each([EAGAIN, EPIPE, ENOSPC])(
  'error %d: a megabyte is kept, the rest is lost, counted, and told when lines are taken again (B2)',
  (error) => {
    const { state, output, tick, timers } = given();
    state.room = 0;
    state.error = error;
    for (let at = 0; at < 20_000; at++) output.write(LINE);
    expect(output.lostLines).toBe(20_000 - Math.floor(ROOM));
    // one timer, and one call to the system for each time it fires
    expect(timers).toHaveLength(1);
    const calls = state.calls;
    tick();
    expect(state.calls).toBe(calls + 1);
    state.room = Infinity;
    tick();
    const lines = state.text.split('\n');
    expect(lines.at(-2)).toBe(`lost ${output.lostLines}`);
    expect(lines).toHaveLength(Math.floor(ROOM) + 2);
    expect(state.told).toEqual([output.lostLines]);
    output.write('after\n');
    expect(state.text.endsWith(`lost ${output.lostLines}\nafter\n`)).toBe(true);
  },
);

test('with a reader that is slow the loss is told where it happened, not line by line (B2)', () => {
  const { state, output, tick } = given();
  state.room = 0;
  for (let at = 0; at < 11_000; at++) output.write(LINE);
  state.room = 10 * LINE.length;
  tick();
  output.write('still lost\n');
  expect(state.told).toEqual([]);
  state.room = 6000 * LINE.length;
  tick();
  output.write('kept\n');
  expect(state.told).toEqual([output.lostLines]);
  state.room = Infinity;
  tick();
  expect(state.text.endsWith(`lost ${output.lostLines}\nkept\n`)).toBe(true);
});

test('the end waits for the reader, but not for ever (B2)', () => {
  const { state, output } = given();
  state.room = 0;
  output.write('last words\n');
  output.flush(500);
  expect(state.nowMs).toBe(500);
  state.room = Infinity;
  output.flush(500);
  expect(state.text).toBe('last words\n');
});
