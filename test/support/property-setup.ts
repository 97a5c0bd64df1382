/**
 * What holds for every property, whichever file it is in (vitest.config.ts): its time is bounded, and a failure is told with
 * its seed, its path and the command that tries it again, in the test's error and once more on stderr, where the last lines of
 * a long log show it. MGMD_FUZZ_SEED and MGMD_FUZZ_PATH are that command's words.
 */
import fc from 'fast-check';
import { expect } from 'vitest';
import { failureText, seedAndPath } from './property-report.js';
import { FUZZ_LIMIT_MS, runs } from './runs.js';

fc.configureGlobal({
  ...seedAndPath(process.env),
  numRuns: runs(100),
  interruptAfterTimeLimit: FUZZ_LIMIT_MS,
  reporter: (details) => {
    if (!details.failed) return;
    const { testPath, currentTestName } = expect.getState();
    const text = failureText(details, { file: testPath ?? '', title: currentTestName ?? '', folder: process.cwd() });
    process.stderr.write(`\n${text.split('\n', 2).join('\n')}\n`);
    throw new Error(`${text}\n${fc.defaultReportMessage(details)}`, { cause: details.errorInstance });
  },
});
