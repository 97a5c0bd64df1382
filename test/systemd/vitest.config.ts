/** Inside the container that scripts/test-systemd.mjs boots; nothing here runs elsewhere. */
import { defineConfig } from 'vitest/config';

export default defineConfig({
  cacheDir: '/var/tmp/vitest',
  test: {
    include: ['test/systemd/*.test.ts'],
    pool: 'forks',
    fileParallelism: false,
    // A bound for a machine that is busy with something else; the slowest takes a tenth of it.
    testTimeout: 300_000,
    hookTimeout: 60_000,
  },
});
