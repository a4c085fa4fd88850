/** `npm run test:judges`: programs of others that read our image files, where this host has them. Not a part of `npm test`. */

import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    name: 'judges',
    include: ['test/judges/**/*.test.ts'],
    testTimeout: 900_000,
    // Some start a guest or a server: one after the other.
    fileParallelism: false,
  },
})
