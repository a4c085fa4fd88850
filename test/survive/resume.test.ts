/** A build that was resumed at each stage makes the same files as one in one go. */

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { sumsIn } from '../support/two-builds.ts'
import { complete, linkBase, linkCache } from './output-folders.ts'
import { seedPackages } from './seed-packages.ts'

let root: string

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'survive-resume-'))
})

afterAll(() => rm(root, { recursive: true, force: true }))

it('makes the same files, byte for byte, and records the same packages', async () => {
  const [inOneGo, resumed] = [join(root, 'in-one-go'), join(root, 'resumed')]
  await seedPackages(inOneGo)
  // From the first stage in every run, so that one which fails by itself is not resumed.
  const whole = await complete(inOneGo, { words: ['--from', 'greet'] })
  expect(whole.stages.map(({ status }) => status)).toEqual(['ran', 'ran', 'ran', 'ran'])
  await linkCache(inOneGo, resumed)
  await linkBase(inOneGo, resumed)
  for (const { name } of whole.stages) {
    const { stages, timings } = await complete(resumed, { words: ['--until', name] })
    // A boot of its own for each.
    expect(timings.map((part) => part.name)).toContain('boot')
    expect(stages.filter(({ status }) => status === 'ran').map((stage) => stage.name)).toEqual([name])
  }
  const last = await complete(resumed)
  expect(last.stages.map(({ status }) => status)).toEqual(['cached', 'cached', 'cached', 'cached'])
  expect(last.stages.map(({ packages }) => packages)).toEqual(whole.stages.map(({ packages }) => packages))
  const sums = await sumsIn({ outFolder: inOneGo })
  expect(Object.keys(sums)).toHaveLength(4)
  expect(await sumsIn({ outFolder: resumed })).toEqual(sums)
})
