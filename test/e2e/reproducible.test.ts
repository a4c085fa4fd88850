/** Two builds of a small appliance make the same files. */

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { buildTwice } from '../support/two-builds.ts'

const pipeline = fileURLToPath(new URL('../fixtures/twice/pipeline.ts', import.meta.url))

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'systemvm-twice-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

it('a build has the same files in another folder, time zone and language, with other resources', async () => {
  const [one, other] = await buildTwice(folder, ['--pipeline', pipeline], 1200)
  expect(Object.keys(one)).toHaveLength(6)
  expect(other).toEqual(one)
})
