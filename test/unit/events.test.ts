/** docs/events.md against the code: whoever matches an `evt` must find it described, and nothing that does not exist. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

type Sight = 'log' | 'monitor';

interface Row {
  readonly evt: string;
  /** 'log error', 'log warn', 'log info', 'log debug', 'monitor'. */
  readonly seenIn: readonly string[];
  readonly cells: readonly string[];
}

function sources(): readonly string[] {
  const files = readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' });
  return files.filter((file) => file.endsWith('.ts')).map((file) => readFileSync(join(ROOT, 'src', file), 'utf8'));
}

function unique(names: Iterable<string>): readonly string[] {
  return [...new Set(names)].sort();
}

function matches(texts: readonly string[], pattern: RegExp): readonly string[] {
  return texts.flatMap((text) => [...text.matchAll(pattern)].map(([, name]) => name!));
}

/** The rows of all tables: those whose first cell is a name in back-quotes. */
function rows(): readonly Row[] {
  const lines = readFileSync(join(ROOT, 'docs/events.md'), 'utf8').split('\n');
  return lines.flatMap((line) => {
    const evt = /^\| `([^`]+)` \|/.exec(line)?.[1];
    if (evt === undefined) return [];
    const cells = line.split('|').map((cell) => cell.trim());
    return [{ evt, seenIn: cells[2]!.split(', '), cells: cells.slice(1, -1) }];
  });
}

function documented(sight: Sight): readonly string[] {
  return unique(
    rows()
      .filter(({ seenIn }) => seenIn.some((where) => where.startsWith(sight)))
      .map(({ evt }) => evt),
  );
}

/** The names of a union type, taken from its declaration. */
function unionIn(file: string, declaration: RegExp): readonly string[] {
  const [, names] = declaration.exec(readFileSync(join(ROOT, file), 'utf8')) ?? [];
  return unique(matches([names ?? ''], /'([^']+)'/g));
}

const LOG_EVENTS = unionIn('src/port/log.ts', /export type LogEvent =([^;]+);/);
const MONITOR_EVENTS = unionIn('src/port/events.ts', /export type MonitorEvt =([^;]+);/);

test('every evt that is logged is described as such, and no other', () => {
  const logged = unique(matches(sources(), /\bevt: '([^']+)'/g));
  expect(logged.length).toBeGreaterThan(40);
  expect(logged).toEqual(documented('log'));
  expect(LOG_EVENTS).toEqual(logged);
});

test('every event of the monitor is described as such, and no other', () => {
  // The first argument may be a condition with a name in either branch.
  const emitted = unique(matches(matches(sources(), /\.emit\(([^,]+),/g), /'([^']+)'/g));
  expect(MONITOR_EVENTS.length).toBeGreaterThan(15);
  // `monitor.lost` comes from the connection itself, not from `Events`.
  expect(unique([...MONITOR_EVENTS, 'monitor.lost'])).toEqual(documented('monitor'));
  expect(emitted).toEqual(MONITOR_EVENTS);
});

test('each level that the document names is one an operator can set', () => {
  const wrong = rows().filter(
    ({ seenIn }) => !seenIn.every((at) => /^(?:monitor|log (?:error|warn|info|debug))$/.test(at)),
  );
  expect(wrong.map(({ evt }) => evt)).toEqual([]);
});

test('a line is logged at the level the document names', () => {
  const calls = sources().flatMap((text) => [
    ...text.matchAll(/\blog\.(error|warn|info|debug)\(\s*\{[^{}]*\bevt: '([^']+)'/gi),
  ]);
  expect(calls.length).toBeGreaterThan(30);
  const seenIn = new Map(rows().map((row) => [row.evt, row.seenIn]));
  const wrong = calls.filter(([, level, evt]) => !seenIn.get(evt!)?.includes(`log ${level}`));
  expect(wrong.map(([, level, evt]) => `${evt} is logged at ${level}`)).toEqual([]);
});

test('every event has one row with a meaning and, where something is wrong, advice', () => {
  const all = rows();
  expect(unique(all.map(({ evt }) => evt))).toHaveLength(all.length);
  for (const { evt, seenIn, cells } of all) {
    expect(cells, evt).toHaveLength(5);
    expect(cells[2], evt).not.toBe('-');
    if (seenIn.some((at) => at === 'log error' || at === 'log warn')) expect(cells[4], evt).not.toBe('-');
  }
});
