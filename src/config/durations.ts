/** Times as people write them: `125s`, `100ms`, `2m`, `1h`; a plain number is seconds. Inside the program only milliseconds exist. */

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** Milliseconds, rounded to whole ones; undefined when it is no time. */
export function parseDuration(raw: unknown): number | undefined {
  if (typeof raw === 'number') return Number.isFinite(raw) && raw >= 0 ? Math.round(raw * 1000) : undefined;
  if (typeof raw !== 'string') return undefined;
  const [, amount, unit = 's'] = /^(\d+(?:\.\d+)?)\s*(ms|s|m|h)?$/.exec(raw.trim()) ?? [];
  return amount === undefined ? undefined : Math.round(Number(amount) * UNIT_MS[unit]!);
}

/** `31744s`, `100ms`, `25.5s`: the unit in which most people would write it. */
export function formatDuration(ms: number): string {
  return ms > 0 && ms < 1000 ? `${ms}ms` : `${ms / 1000}s`;
}
