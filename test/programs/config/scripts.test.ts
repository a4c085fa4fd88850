import { writeFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import type { Fault } from '../../../src/config/faults.ts'
import { definePipeline } from '../../../src/config/pipeline.ts'
import { resolvePipeline } from '../../../src/config/resolve.ts'
import { useFolder } from '../../support/folder.ts'
import { sound, threeStages } from '../../support/pipelines.ts'

const path = useFolder()

/** What is wrong with the sample pipeline, whose scripts have been changed since. */
async function faultsWith(scripts: Readonly<Record<string, string>>): Promise<readonly Fault[]> {
  const { first, second, third } = threeStages(path())
  for (const [name, text] of Object.entries(scripts)) writeFileSync(path(name), text)
  const resolving = resolvePipeline(definePipeline({ ...sound, stages: [first(), second(), third()] }))
  const error = await resolving.then(
    () => undefined,
    (caught: unknown) => caught,
  )
  expect(error).toMatchObject({ code: 'configuration', exitCode: 2 })
  return (error as { details: { faults: readonly Fault[] } }).details.faults
}

it('a script that is no shell is a fault, with the line', async () => {
  const [fault] = await faultsWith({ 'second.sh': 'echo one\nif true; then\n' })
  expect(fault).toMatchObject({ path: 'stages.second.script', found: path('second.sh') })
  expect(fault?.rule).toMatch(/is not valid shell \(3: /)
})

it('a script that is no shell does not hide another', async () => {
  const faults = await faultsWith({ 'first.sh': 'fi\n', 'second.sh': 'done\n' })
  expect(faults.map((fault) => [fault.path, fault.rule.slice(0, 18)])).toEqual([
    ['stages.first.script', 'is not valid shell'],
    ['stages.second.script', 'is not valid shell'],
  ])
})
