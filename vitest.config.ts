/**
 * `unit` starts none, `programs` runs ours and others' for real, `golden` on rendered files, `e2e` with real guests, one after
 * the other. `survive`, `breakages`, `hosts`, `reproduce`, `workflows`, `container` and `cloudstack` take too long for every day, `suites`
 * asks Debian's mirror: `npm test` leaves them out, and each has a script of its own.
 */

import { defineConfig } from 'vitest/config'

/**
 * GitHub's own packages name their files without an ending, which only a bundler finds; and their source maps name files
 * that they do not have, which is no concern of whoever reads test results.
 */
const inline = [/@actions\//]

/** How long a test waits for a condition: what a busy host needs is no fault. */
const waiting = { poll: { timeout: 50_000 } }

/** Servers of tests are on this host, also where the environment names a proxy for all others. */
const { no_proxy: without = process.env.NO_PROXY } = process.env
const env = { no_proxy: without ? `${without},127.0.0.1` : '127.0.0.1' }

// Ubuntu 24.04's Node.js 18 reads and writes by io_uring, whose kernel thread waits for a core: on a busy host with two, files
// took five to ten times as long. Other releases of Node.js leave it off.
process.env.UV_USE_IO_URING ??= '0'

// Fixtures have the usual modes, and programs of other users can read them, whatever this host's default is.
process.umask(0o022)

export default defineConfig({
  test: {
    // Most tests wait for programs: more of them than cores keep both busy.
    maxWorkers: 4,
    minWorkers: 1,
    projects: [
      {
        logLevel: 'error',
        test: {
          name: 'unit',
          include: ['test/unit/**/*.test.ts'],
          setupFiles: ['test/support/no-programs.ts'],
          testTimeout: 300_000,
          sequence: { groupOrder: 0 },
          server: { deps: { inline } },
          env,
          expect: waiting,
        },
      },
      {
        logLevel: 'error',
        test: {
          name: 'programs',
          include: ['test/programs/**/*.test.ts'],
          // Some start this program a dozen times, on hosts that may be busy.
          testTimeout: 300_000,
          hookTimeout: 300_000,
          sequence: { groupOrder: 1 },
          server: { deps: { inline } },
          env,
          expect: waiting,
        },
      },
      {
        test: {
          name: 'golden',
          include: ['test/golden/**/*.test.ts'],
          testTimeout: 300_000,
          sequence: { groupOrder: 2 },
        },
      },
      {
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts'],
          exclude: ['test/e2e/breakages.test.ts'],
          testTimeout: 3_600_000,
          hookTimeout: 3_600_000,
          sequence: { groupOrder: 3 },
          // Guests are emulated where there is no KVM: two of them at once would each take twice as long.
          poolOptions: { forks: { singleFork: true } },
        },
      },
      {
        // Kills builds for half an hour.
        test: {
          name: 'survive',
          include: ['test/survive/**/*.test.ts'],
          testTimeout: 3_600_000,
          hookTimeout: 3_600_000,
          sequence: { groupOrder: 4 },
          poolOptions: { forks: { singleFork: true } },
        },
      },
      {
        // Runs the steps of the workflows, each job in a fresh clone, with a build in it.
        logLevel: 'error',
        test: {
          name: 'workflows',
          include: ['test/workflows/**/*.test.ts'],
          testTimeout: 3_600_000,
          hookTimeout: 3_600_000,
          sequence: { groupOrder: 6 },
          server: { deps: { inline } },
        },
      },
      {
        // Debian's own installer: its ways to fail in three quarters of an hour, and an installation in half of one.
        test: {
          name: 'installer',
          include: ['test/installer/**/*.test.ts'],
          testTimeout: 7_200_000,
          hookTimeout: 3_600_000,
          sequence: { groupOrder: 7 },
          env,
          poolOptions: { forks: { singleFork: true } },
        },
      },
      {
        // Apache CloudStack's own source tree (CLOUDSTACK_SOURCE=DIR) is the judge.
        test: {
          name: 'cloudstack',
          include: ['test/cloudstack/**/*.test.ts'],
          testTimeout: 7_200_000,
          hookTimeout: 7_200_000,
          sequence: { groupOrder: 8 },
          env,
          poolOptions: { forks: { singleFork: true } },
        },
      },
      {
        // Boots a finished image on hosts that are slow, or gone all at once.
        test: {
          name: 'hosts',
          include: ['test/hosts/**/*.test.ts'],
          testTimeout: 3_600_000,
          hookTimeout: 3_600_000,
          sequence: { groupOrder: 9 },
          poolOptions: { forks: { singleFork: true } },
        },
      },
      {
        // Builds the product twice, in both suites.
        test: {
          name: 'reproduce',
          include: ['test/reproduce/**/*.test.ts'],
          testTimeout: 7_200_000,
          sequence: { groupOrder: 11 },
          env,
        },
      },
      {
        // The steps of the Containerfile, in a tree that mmdebstrap makes.
        test: {
          name: 'container',
          include: ['test/container/**/*.test.ts'],
          testTimeout: 7_200_000,
          sequence: { groupOrder: 12 },
          env,
        },
      },
      {
        // Debian's packages of today, from its mirror.
        test: {
          name: 'suites',
          include: ['test/suites/**/*.test.ts'],
          testTimeout: 600_000,
          sequence: { groupOrder: 10 },
        },
      },
      {
        // Breaks a finished image in many ways.
        test: {
          name: 'breakages',
          include: ['test/e2e/breakages.test.ts'],
          testTimeout: 1_800_000,
          hookTimeout: 3_600_000,
          sequence: { groupOrder: 5 },
        },
      },
    ],
  },
})
