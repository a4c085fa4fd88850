/** A build that was resumed at each stage is the same as one in one go. */

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { readReport, systemvmImage } from '../e2e/program.ts'
import { expectSameContent } from './same-content.ts'
import { seedPackages } from './seed-packages.ts'
import { imageName, linkBase, linkCache, wordsFor } from './tiny-folders.ts'

let root: string

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'survive-resume-'))
})

afterAll(() => rm(root, { recursive: true, force: true }))

async function build(outFolder: string, ...words: string[]) {
  const { exitCode, stderr } = await systemvmImage(['build', ...wordsFor(outFolder), ...words])
  expect(exitCode, stderr).toBe(0)
  return readReport(outFolder)
}

it('holds the same files, with the same owners, modes and attributes, and the same packages', async () => {
  const [inOneGo, resumed] = [join(root, 'in-one-go'), join(root, 'resumed')]
  await seedPackages(inOneGo)
  const whole = await build(inOneGo)
  await linkCache(inOneGo, resumed)
  await linkBase(inOneGo, resumed)
  for (const { name } of whole.stages) {
    const { stages, timings } = await build(resumed, '--until', name)
    // A boot of its own for each.
    expect(timings.map((part) => part.name)).toContain('boot')
    expect(stages.filter(({ status }) => status === 'ran').map((stage) => stage.name)).toEqual([name])
  }
  const last = await build(resumed)
  expect(last.stages.map(({ status }) => status)).toEqual(['cached', 'cached', 'cached'])
  expect(last.stages.map(({ packages }) => packages)).toEqual(whole.stages.map(({ packages }) => packages))
  await expectSameContent(join(inOneGo, 'images', imageName), join(resumed, 'images', imageName), root)
})
