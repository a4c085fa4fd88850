/**
 * Two builds of the product make the same files: both suites, or the variant that SYSTEMVM_TEST_VARIANT names. Run by
 * `npm run test:reproduce`: ten minutes for each without KVM.
 */

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { plainWay, runIn, type StrangeWay, strangeness, strangeWay, sumsIn } from '../support/two-builds.ts'

const { SYSTEMVM_TEST_VARIANT: variant } = process.env
const variants = variant ? [variant] : ['trixie-x86_64', 'bookworm-x86_64']

let folder: string
let strange: StrangeWay
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'systemvm-twice-'))
  strange = await strangeWay(folder)
})
afterEach(async () => {
  await strange?.end()
  await rm(folder, { recursive: true, force: true })
})

it.each(variants)(`the image %s has the same files with another ${strangeness}`, async (name) => {
  const ways = [plainWay(folder), strange] as const
  for (const way of ways) {
    const { exitCode, stderr } = await runIn(way, ['build', '--no-verify', '--variant', name])
    expect(exitCode, stderr).toBe(0)
  }
  const [one, other] = [await sumsIn(ways[0]), await sumsIn(ways[1])]
  console.log(one)
  expect(Object.keys(one).length).toBeGreaterThan(0)
  expect(other).toEqual(one)
})
