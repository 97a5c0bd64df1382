import { defineConfig } from 'vitest/config';
import { FUZZ_TIMEOUT_MS } from './test/support/runs.js';

/**
 * Two projects. `unit` needs nothing but Node: fake kernel, fake clock. `netns` runs against the real kernel in network
 * namespaces that each test makes, each file in a process and a namespace of its own. Two files at a time: they mostly wait for
 * timers of protocols, and more would take the processors from the traffic.
 */
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/unit/**/*.test.ts', 'test/property/**/*.test.ts', 'test/scenario/**/*.test.ts'],
          setupFiles: ['test/support/property-setup.ts'],
          testTimeout: FUZZ_TIMEOUT_MS,
        },
      },
      {
        test: {
          name: 'netns',
          include: ['test/netns/**/*.test.ts'],
          pool: 'forks',
          maxWorkers: 2,
          sequence: { groupOrder: 1 },
          setupFiles: ['test/netns/setup.ts'],
          testTimeout: 120_000,
          hookTimeout: 60_000,
        },
      },
    ],
  },
});
