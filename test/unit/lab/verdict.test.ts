import { expect, test } from 'vitest';
import { judge, type Outcome, streamResult } from '../../../src/lab/tour/verdict.js';

const GOOD: Outcome = {
  streams: [{ host: 'host3', stream: 'asm', sent: 100, received: 100, lost: 0, duplicated: 0, reordered: 3 }],
  socketDrops: { host3: 0 },
  refused: 0,
  changes: 6,
  pauses: 6,
  crossings: [],
  failures: [],
};

const [stream] = GOOD.streams as [Outcome['streams'][0]];

test('nothing lost, nothing twice, nothing crossed: passed, reordering or not', () => {
  expect(judge(GOOD)).toEqual({ passed: true, reasons: [] });
});

test.each<[Partial<Outcome>, string]>([
  [{ streams: [{ ...stream, lost: 2 }] }, '239.1.1.1 at host3 (IGMPv3): 2 of 100 packets lost'],
  [{ streams: [{ ...stream, duplicated: 1 }] }, '239.1.1.1 at host3 (IGMPv3): 1 packets came twice'],
  [{ streams: [{ ...stream, sent: 0, received: 0 }] }, 'nothing was received, so nothing was measured'],
  [{ socketDrops: { host2: 4 } }, '4 packets reached host2 and did not fit into its socket'],
  [{ refused: 3 }, "3 packets were refused by the sender's own kernel"],
  [{ crossings: ['pause 1 (recv): a call'] }, 'pause 1 (recv): a call'],
  [{ failures: ['static takes recv: refused'] }, 'static takes recv: refused'],
  [{ pauses: 5 }, '6 changes of owner, but only 5 pauses were seen'],
])('%j does not pass, and the reason says why', (wrong, words) => {
  const verdict = judge({ ...GOOD, ...wrong });
  expect(verdict.passed).toBe(false);
  expect(verdict.reasons.join('\n')).toContain(words);
});

test('a result counts from where counting began', () => {
  const counts = { base: 40, next: 100, received: 58, duplicated: 1, reordered: 2 };
  expect(streamResult('host2', 'asm', counts, 101)).toEqual({
    host: 'host2',
    stream: 'asm',
    sent: 61,
    received: 58,
    lost: 3,
    duplicated: 1,
    reordered: 2,
  });
});
