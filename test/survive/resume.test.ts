/** A build that was resumed at each stage is the same as one in one go. */

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { expectSameContent } from './same-content.ts'
import { seedPackages } from './seed-packages.ts'
import { complete, imageName, linkBase, linkCache } from './tiny-folders.ts'

let root: string

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'survive-resume-'))
})

afterAll(() => rm(root, { recursive: true, force: true }))

it('holds the same files, with the same owners, modes and attributes, and the same packages', async () => {
  const [inOneGo, resumed] = [join(root, 'in-one-go'), join(root, 'resumed')]
  await seedPackages(inOneGo)
  // From the first stage in every run, so that one which fails by itself is not resumed.
  const whole = await complete(inOneGo, { words: ['--from', 'greet'] })
  expect(whole.stages.map(({ status }) => status)).toEqual(['ran', 'ran', 'ran'])
  await linkCache(inOneGo, resumed)
  await linkBase(inOneGo, resumed)
  for (const { name } of whole.stages) {
    const { stages, timings } = await complete(resumed, { words: ['--until', name] })
    // A boot of its own for each.
    expect(timings.map((part) => part.name)).toContain('boot')
    expect(stages.filter(({ status }) => status === 'ran').map((stage) => stage.name)).toEqual([name])
  }
  const last = await complete(resumed)
  expect(last.stages.map(({ status }) => status)).toEqual(['cached', 'cached', 'cached'])
  expect(last.stages.map(({ packages }) => packages)).toEqual(whole.stages.map(({ packages }) => packages))
  await expectSameContent(join(inOneGo, 'images', imageName), join(resumed, 'images', imageName), root)
})
