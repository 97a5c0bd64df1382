import { defineConfig } from 'vitest/config';

/** What is shipped, installed where it belongs: `npm run test:packages`, as root. Not part of `npm test`. */
export default defineConfig({
  test: {
    include: ['test/packages/**/*.test.ts'],
    pool: 'forks',
    fileParallelism: false,
    testTimeout: 120_000,
    hookTimeout: 240_000,
  },
});
