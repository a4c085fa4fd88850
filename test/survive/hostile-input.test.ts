/**
 * Any input to any option, drawn by chance: `SURVIVE_TRIALS` says how many, and `SURVIVE_SEED` repeats them.
 * `test/programs/cli/hostile-input.test.ts` has the same rules for a fixed part of it.
 */

import { mkdirSync, rmSync } from 'node:fs'
import { it } from 'vitest'
import { beginnings, endings, kinds, makeContents } from '../support/hostile-files.ts'
import { expectSafe, useHostileFolder } from '../support/hostile-input.ts'
import { findPathInputs, makeSamples } from '../support/path-inputs.ts'
import { chance } from './moments.ts'

const trials = Number(process.env.SURVIVE_TRIALS ?? 30) * 20
const seed = Number(process.env.SURVIVE_SEED ?? Math.floor(Math.random() * 1e9))
const path = useHostileFolder()

it('is answered as it should be, and leaves nothing behind', async () => {
  console.log(`hostile input: ${trials} trials, SURVIVE_SEED=${seed}`)
  const random = chance(seed)
  const pick = <Item>(items: readonly Item[]) => items[Math.floor(random() * items.length)] as Item
  mkdirSync(path('contents'))
  const contents = { ...kinds, ...makeContents(path('contents')) }
  const samples = await makeSamples(path())
  const inputs = await findPathInputs()
  const disks = inputs.filter(({ expects }) => expects === 'disk')
  for (let trial = 0; trial < trials; trial += 1) {
    // Half of all trials are of disks, which are the hardest to read.
    const { name, isWritten, wordsFor } = pick(random() < 0.5 ? disks : inputs)
    const [what, make] = pick(Object.entries(contents))
    const file = path(`${pick(beginnings)}${pick(endings)}`)
    make(file)
    const title = `SURVIVE_SEED=${seed}, trial ${trial}: ${name}: ${what} as ${file}`
    await expectSafe(path(), wordsFor(file, samples), title, isWritten)
    for (const used of [file, samples.out]) rmSync(used, { recursive: true, force: true })
  }
})
