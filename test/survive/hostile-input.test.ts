/**
 * Any input to any option, drawn by chance: `SURVIVE_TRIALS` says how many, and `SURVIVE_SEED` repeats them.
 * `test/programs/cli/hostile-input.test.ts` has the same rules for a fixed part of it.
 */

import { mkdirSync, rmSync } from 'node:fs'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { useFolder } from '../support/folder.ts'
import {
  beginnings,
  diskUses,
  endings,
  faultsOf,
  feed,
  kinds,
  listing,
  makeContents,
  textOf,
  uses,
} from '../support/hostile-input.ts'
import { chance } from './moments.ts'

const trials = Number(process.env.SURVIVE_TRIALS ?? 30) * 20
const seed = Number(process.env.SURVIVE_SEED ?? Math.floor(Math.random() * 1e9))
const secret = 'pl4nted'
const path = useFolder()

// A guest that boots would run on.
vi.mock('../../src/guest/run-guest.ts', async (original) => ({
  ...(await original<typeof import('../../src/guest/run-guest.ts')>()),
  runGuest: async () => 0,
}))

beforeEach(() => {
  mkdirSync(path('temporary'))
  vi.stubEnv('TMPDIR', path('temporary'))
  vi.stubEnv('https_proxy', `http://user:${secret}@127.0.0.1:9/`)
  vi.stubEnv('GITHUB_TOKEN', secret)
})
afterEach(() => vi.unstubAllEnvs())

it('is answered as it should be, and leaves nothing behind', async () => {
  console.log(`hostile input: ${trials} trials, SURVIVE_SEED=${seed}`)
  const random = chance(seed)
  const pick = <Item>(items: readonly Item[]) => items[Math.floor(random() * items.length)] as Item
  mkdirSync(path('contents'))
  const contents = { ...kinds, ...makeContents(path('contents')) }
  const others = () => listing(path()).filter((name) => !name.startsWith('out'))
  for (let trial = 0; trial < trials; trial += 1) {
    const { name, wordsFor } = pick([...uses, ...diskUses, ...diskUses, ...diskUses])
    const [what, make] = pick(Object.entries(contents))
    const file = path(`${pick(beginnings)}${pick(endings)}`)
    make(file)
    const before = others()
    const outcome = await feed(...wordsFor(file, path('out')))
    const title = `SURVIVE_SEED=${seed}, trial ${trial}: ${name}: ${what} as ${file}\n${outcome.said}`
    expect(faultsOf(outcome, secret), title).toEqual([])
    if (!name.endsWith('--out')) expect(others(), title).toEqual(before)
    expect(textOf(path('out')), title).not.toContain(secret)
    for (const used of [file, path('out')]) rmSync(used, { recursive: true, force: true })
  }
})
