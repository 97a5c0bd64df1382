/** How often a property is tried. CI asks for more with MGMD_FUZZ_RUNS (a number of runs; never fewer than the test's own). */
export function runs(usual: number): number {
  const asked = Number(process.env['MGMD_FUZZ_RUNS'] ?? 0);
  return Number.isInteger(asked) ? Math.max(usual, asked) : usual;
}

/** For a test that may be asked for more runs than usual. */
export const FUZZ_TIMEOUT_MS = process.env['MGMD_FUZZ_RUNS'] === undefined ? 120_000 : 3_600_000;
