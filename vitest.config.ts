/**
 * `unit` in seconds, `golden` on rendered files, `e2e` with real guests, one after the other; and `survive`, which takes too
 * long for every day: it is only there when it is asked for.
 */

import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    // Most tests wait for programs: more of them than cores keep both busy.
    maxWorkers: 4,
    minWorkers: 1,
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/unit/**/*.test.ts'],
          testTimeout: 60_000,
          hookTimeout: 60_000,
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          name: 'golden',
          include: ['test/golden/**/*.test.ts'],
          testTimeout: 60_000,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts'],
          testTimeout: 3_600_000,
          hookTimeout: 3_600_000,
          sequence: { groupOrder: 2 },
          // Guests are emulated where there is no KVM: two of them at once would each take twice as long.
          poolOptions: { forks: { singleFork: true } },
        },
      },
      ...(process.env.SURVIVE === undefined
        ? []
        : [
            {
              test: {
                name: 'survive',
                include: ['test/survive/**/*.test.ts'],
                testTimeout: 3_600_000,
                hookTimeout: 3_600_000,
                sequence: { groupOrder: 3 },
                poolOptions: { forks: { singleFork: true } },
              },
            },
          ]),
    ],
  },
})
