import { fstatSync } from 'node:fs';
import { expect, test } from 'vitest';
import { isJournal, LogThreshold, PinoLog } from '../../../src/daemon/pino-log.js';

function given({ journal = false } = {}) {
  const lines: string[] = [];
  const threshold = new LogThreshold();
  const log = PinoLog.to({ write: (line) => void lines.push(line) }, threshold, journal);
  return { log, threshold, lines };
}

test('a line is one JSON object with level, time, evt, fields and the sentence', () => {
  const { log, lines } = given();
  log.child({ mod: 'igmp' }).warn({ evt: 'igmp.querier.lost', to: '192.0.2.1' }, 'another router is querier');
  expect(lines).toHaveLength(1);
  expect(lines[0]!.endsWith('}\n')).toBe(true);
  const { time, ...fields } = JSON.parse(lines[0]!) as Record<string, unknown>;
  expect(new Date(String(time)).toISOString()).toBe(time);
  expect(fields).toEqual({
    level: 'warn',
    mod: 'igmp',
    evt: 'igmp.querier.lost',
    to: '192.0.2.1',
    msg: 'another router is querier',
  });
});

test('under journald a line begins with its priority and leaves the time to the journal', () => {
  const { log, threshold, lines } = given({ journal: true });
  threshold.level = 'debug';
  for (const level of ['error', 'warn', 'info', 'debug'] as const) log[level]({ evt: 'daemon.started' }, 'it happened');
  expect(lines.map((line) => line.slice(0, 3))).toEqual(['<3>', '<4>', '<6>', '<7>']);
  expect(JSON.parse(lines[0]!.slice(3))).toEqual({ level: 'error', evt: 'daemon.started', msg: 'it happened' });
});

test('the level of a log and of its children changes while they live', () => {
  const { log, threshold, lines } = given();
  const child = log.child({ mod: 'mgm' });
  child.debug({ evt: 'daemon.waited' }, 'unheard');
  expect(child.debugEnabled).toBe(false);
  threshold.level = 'debug';
  expect(child.debugEnabled).toBe(true);
  child.debug({ evt: 'daemon.waited' }, 'heard');
  threshold.level = 'error';
  child.warn({ evt: 'daemon.waited' }, 'unheard');
  child.error({ evt: 'daemon.waited' }, 'heard');
  expect(lines.map((line) => (JSON.parse(line) as { msg: string }).msg)).toEqual(['heard', 'heard']);
});

test('the journal is recognised by the stream it gave, not by an inherited variable', () => {
  const { dev, ino } = fstatSync(1);
  expect(isJournal(`${dev}:${ino}`)).toBe(true);
  expect(isJournal('1:1')).toBe(false);
  expect(isJournal(undefined)).toBe(false);
});
