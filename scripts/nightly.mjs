/**
 * `npm run test:nightly -- [SECONDS]`: every property of the tests with new seeds, for that long each (60). The last line is
 * that of `npm test`; what failed is told above it, with the command that shows it again.
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { filesBelow, main, Refusal, root, run } from './support.mjs';

/** More than anybody waits for: the time is what ends it. */
const RUNS = 10_000_000;

main('nightly', () => {
  const seconds = process.argv[2] ?? '60';
  if (!/^[1-9]\d*$/.test(seconds)) throw new Refusal(`SECONDS must be a number of seconds (got ${seconds})`);
  const files = ['test/unit', 'test/property']
    .flatMap(filesBelow)
    .filter((file) => readFileSync(path.join(root, file), 'utf8').includes('fc.assert('));
  const env = { ...process.env, MGMD_FUZZ_RUNS: String(RUNS), MGMD_FUZZ_SECONDS: seconds };
  process.exitCode = run(process.execPath, ['scripts/test.mjs', ...files], { env });
});
