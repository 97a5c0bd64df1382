/**
 * How often properties are tried, and how long. MGMD_FUZZ_RUNS is a number of runs (never fewer than the test's own),
 * MGMD_FUZZ_SECONDS the time that one property may take, shrinking included: then it ends with the smallest failure found so
 * far, or with the runs made so far.
 */
function asked(name: string): number | undefined {
  const value = Number(process.env[name] ?? 0);
  return Number.isInteger(value) && value > 0 ? value : undefined;
}

export function runs(usual: number): number {
  return Math.max(usual, asked('MGMD_FUZZ_RUNS') ?? 0);
}

export const FUZZ_LIMIT_MS = (asked('MGMD_FUZZ_SECONDS') ?? 40) * 1000;

/** Of a test with properties; a few may be in one. Longer than what it waits for, so that a failure is told and not the time. */
export const FUZZ_TIMEOUT_MS = 4 * FUZZ_LIMIT_MS + 20_000;
