import { expect, it } from 'vitest'
import { runFolderOf } from '../../../src/host/run-folder.ts'
import { describeRun, type Run } from '../../../src/make/run.ts'
import { planImage } from '../../../src/plan/plan.ts'
import { reportSchema } from '../../../src/report/report.ts'
import { openStore } from '../../../src/store/store.ts'
import { useFolder } from '../../support/folder.ts'
import { sampleImage } from '../../support/pipelines.ts'

const path = useFolder()

it('takes as long as it took, wherever the clock of the host was set meanwhile', async () => {
  const image = await sampleImage(path())
  const plan = await planImage(image, openStore(path('store')))
  // Of a clock that was a year ahead when the run began.
  const startedAt = new Date(Date.now() + 365 * 86_400_000)
  const run = {
    request: { command: ['systemvm-image', 'build'] },
    place: runFolderOf(path(), image.variant, startedAt),
    tools: { versions: {}, packer: '1.6' },
    plan,
    startedAt,
    elapsedSeconds: () => 12.5,
    timings: [],
    stages: [],
    images: [],
  } as unknown as Run
  const report = reportSchema.parse(describeRun(run))
  expect(report.run.durationSeconds).toBe(12.5)
  expect(Date.parse(report.run.finishedAt) - Date.parse(report.run.startedAt)).toBe(12_500)
})
