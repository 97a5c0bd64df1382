import { defineConfig } from 'vitest/config';
import { FUZZ_TIMEOUT_MS } from './test/support/runs.js';

/**
 * `unit` needs nothing but Node.js: fake kernel, fake clock. `netns` runs against the real kernel in network namespaces that each
 * test makes, each file in a process and a namespace of its own. Two files at a time: they mostly wait for timers of protocols, and
 * more would take the processors from the traffic. These two are `npm test`.
 *
 * `packages` installs what is shipped where it belongs (`npm run test:packages`, as root). `systemd` runs inside the container that
 * scripts/test-systemd.mjs boots, and nowhere else; its time-outs are bounds for a busy machine, ten times what the slowest takes.
 */
const inOrder = { pool: 'forks', fileParallelism: false } as const;

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/unit/**/*.test.ts', 'test/property/**/*.test.ts'],
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
      {
        test: {
          ...inOrder,
          name: 'packages',
          include: ['test/packages/**/*.test.ts'],
          sequence: { groupOrder: 2 },
          testTimeout: 120_000,
          hookTimeout: 240_000,
        },
      },
      {
        cacheDir: '/var/tmp/vitest',
        test: {
          ...inOrder,
          name: 'systemd',
          include: ['test/systemd/*.test.ts'],
          sequence: { groupOrder: 3 },
          testTimeout: 300_000,
          hookTimeout: 60_000,
        },
      },
    ],
  },
});
