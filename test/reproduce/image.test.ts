/**
 * Two builds of the product make the same files: the default variant, or the one that SYSTEMVM_TEST_VARIANT names. Run by
 * `npm run test:reproduce`: ten minutes without KVM.
 */

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { plainWay, runIn, type StrangeWay, strangeness, strangeWay, sumsIn } from '../support/two-builds.ts'

const variant = process.env.SYSTEMVM_TEST_VARIANT ?? ''
const words = ['build', '--no-verify', ...(variant === '' ? [] : ['--variant', variant])]

let folder: string
let strange: StrangeWay
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'systemvm-twice-'))
  strange = await strangeWay(folder)
})
afterAll(async () => {
  await strange?.end()
  await rm(folder, { recursive: true, force: true })
})

it(`the image ${variant} has the same files with another ${strangeness}`, async () => {
  const ways = [plainWay(folder), strange] as const
  for (const way of ways) {
    const { exitCode, stderr } = await runIn(way, words)
    expect(exitCode, stderr).toBe(0)
  }
  const [one, other] = [await sumsIn(ways[0]), await sumsIn(ways[1])]
  expect(Object.keys(one).length).toBeGreaterThan(0)
  expect(other).toEqual(one)
})
