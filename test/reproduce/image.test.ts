/**
 * Two builds of the product make the same files: the default variant, or the one that SYSTEMVM_TEST_VARIANT names. Run by
 * `npm run test:reproduce`: ten minutes without KVM.
 */

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { buildTwice } from '../support/two-builds.ts'

const variant = process.env.SYSTEMVM_TEST_VARIANT ?? ''

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'systemvm-twice-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

it(`the image ${variant} has the same files when it is built again`, async () => {
  const [one, other] = await buildTwice(folder, variant === '' ? [] : ['--variant', variant], 3600)
  expect(Object.keys(one).length).toBeGreaterThan(0)
  expect(other).toEqual(one)
})
