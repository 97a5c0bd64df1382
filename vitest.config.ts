import { defineConfig } from 'vitest/config';

/**
 * Two projects. `unit` needs nothing but Node: fake kernel, fake clock. `netns` runs against the real kernel in network
 * namespaces that each test makes; one file at a time, because they share the machine's processors with the traffic.
 */
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/unit/**/*.test.ts', 'test/property/**/*.test.ts', 'test/scenario/**/*.test.ts'],
          testTimeout: 60_000,
        },
      },
      {
        test: {
          name: 'netns',
          include: ['test/netns/**/*.test.ts'],
          pool: 'forks',
          fileParallelism: false,
          testTimeout: 120_000,
          hookTimeout: 60_000,
        },
      },
    ],
  },
});
