import { expect, test } from 'vitest';
import { eventLine, ownerLine, picture, Screen, verdictLines } from '../../../src/lab/tour/display.js';
import type { Outcome } from '../../../src/lab/tour/verdict.js';
import type { InterfaceView } from '../../../src/mgm/snapshot.js';

const RECV: InterfaceView = {
  ifindex: 3,
  name: 'recv',
  vif: 1,
  state: 'PG',
  phase: 'T',
  owner: 'static',
  igmp: true,
  paused: true,
  memberships: 5,
  stale: 0,
  counters: null,
};
const STREAM = { host: 'host3', stream: 'ssm', sent: 10, received: 9, lost: 1, duplicated: 0, reordered: 2 } as const;

function screen(isTTY: boolean) {
  const written: string[] = [];
  const out = { isTTY, columns: 40, write: (text: string) => written.push(text) };
  return { screen: new Screen(out as unknown as NodeJS.WriteStream), written };
}

test('an owner line tells who is on the interface and that IGMP is paused', () => {
  expect(ownerLine(RECV).split(/ {2,}/)).toEqual([
    '',
    'recv',
    'owner static + igmp',
    'state PG',
    'groups 5',
    'IGMP paused',
  ]);
  expect(ownerLine({ ...RECV, owner: null, igmp: false, paused: false, phase: 'steady' })).toContain('owner nobody');
});

test('an event line has the time since the start; membership events are too many to be shown', () => {
  const event = {
    evt: 'interface.handed-over',
    atMs: 9_500,
    interface: 'recv',
    client: 'static',
    to: 'static2',
  } as const;
  expect(eventLine(event, 500)?.trim()).toBe('0.500 s interface.handed-over recv client static to static2');
  expect(eventLine({ evt: 'membership.added', atMs: 1 }, 0)).toBeUndefined();
});

test('the picture names each stream with its counts', () => {
  const lines = picture({
    elapsedMs: 0,
    doing: 'x',
    interfaces: [RECV],
    streams: [STREAM],
    changes: 1,
    pauses: 1,
    happened: ['y'],
  });
  const line = lines.find((one) => one.includes('232.1.1.1'))!;
  expect(line.trim().split(/ {2,}/)).toEqual(['(10.1.0.2, 232.1.1.1) at host3 v3', '10', '9', '1', '0', '2']);
});

test('on a terminal the picture is drawn over the last one, cut to its width, and plain lines are left out', () => {
  const { screen: terminal, written } = screen(true);
  terminal.line('plain');
  terminal.draw(['a'.repeat(60), 'b']);
  terminal.draw(['c']);
  expect(written).toHaveLength(2);
  expect(written[0]).toContain(`${'a'.repeat(39)}\n`);
  expect(written[1]).toMatch(/^\x1b\[2A/);
});

test('elsewhere there are plain lines and no picture', () => {
  const { screen: pipe, written } = screen(false);
  pipe.line('plain');
  pipe.draw(['a']);
  pipe.say('stays');
  expect(written).toEqual(['plain\n', 'stays\n']);
});

test('the verdict ends with its word, after the reasons', () => {
  const outcome: Outcome = {
    streams: [STREAM],
    socketDrops: {},
    refused: 0,
    changes: 2,
    pauses: 2,
    crossings: [],
    failures: [],
  };
  const lines = verdictLines(outcome, { passed: false, reasons: ['why'] }, [80, 81.26, 90]);
  expect(lines.join('\n')).toContain('median 81.3 ms');
  expect(lines.slice(-2)).toEqual(['  - why', 'verdict: FAILED']);
  expect(verdictLines(outcome, { passed: true, reasons: [] }, []).at(-1)).toBe('verdict: PASSED');
});
