import { availableParallelism } from 'node:os';
import { defineConfig, type TestUserConfig } from 'vitest/config';

const inCluster: TestUserConfig = {
  globalSetup: ['test/setup/cluster.ts'],
  testTimeout: 300_000,
  hookTimeout: 300_000,
  pool: 'forks',
};

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: ['test/cluster/**'],
          globalSetup: ['test/setup/unit.ts'],
          testTimeout: 60_000,
          hookTimeout: 60_000,
          pool: 'forks',
          // The default leaves one of two processors to the run itself, which needs next to none.
          maxWorkers: Math.max(2, availableParallelism() - 1),
        },
      },
      {
        test: {
          ...inCluster,
          name: 'cluster',
          include: ['test/cluster/**/*.test.ts'],
          exclude: ['**/*.alone.test.ts'],
          maxWorkers: 4,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          ...inCluster,
          name: 'cluster-alone',
          include: ['test/cluster/**/*.alone.test.ts'],
          fileParallelism: false,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
});
