import { expect, it } from 'vitest'
import { PipelineError } from '../../../src/errors.ts'
import { runFolderOf } from '../../../src/host/run-folder.ts'
import { describeRun, type Run, timingOf } from '../../../src/make/run.ts'
import { planImage } from '../../../src/plan/plan.ts'
import { reportSchema } from '../../../src/report/report.ts'
import { openStore } from '../../../src/store/store.ts'
import { useFolder } from '../../support/folder.ts'
import { sampleImage } from '../../support/pipelines.ts'

const path = useFolder()

async function runWith(over: object = {}): Promise<Run> {
  const image = await sampleImage(path())
  const plan = await planImage(image, openStore(path('store')))
  const startedAt = new Date()
  const run = {
    request: { command: ['systemvm-image', 'build'] },
    runFolder: runFolderOf(path(), image.variant, startedAt),
    tools: { versions: {}, packer: '1.6' },
    plan,
    startedAt,
    elapsedSeconds: () => 12.5,
    timings: [],
    stageStarts: new Map(),
    stages: [],
    images: [],
    ...over,
  }
  return run as unknown as Run
}

it('takes as long as it took, wherever the clock of the host was set meanwhile', async () => {
  // Of a clock that was a year ahead when the run began.
  const startedAt = new Date(Date.now() + 365 * 86_400_000)
  const report = reportSchema.parse(describeRun(await runWith({ startedAt })))
  expect(report.run.durationSeconds).toBe(12.5)
  expect(Date.parse(report.run.finishedAt) - Date.parse(report.run.startedAt)).toBe(12_500)
})

it('has no credentials in it, wherever they come from', async () => {
  const url = 'http://planted:S3@CR3T@example.org/x'
  const details = { lastLines: [`E: cannot fetch ${url}`] }
  const failure = new PipelineError({
    code: 'stage-failed',
    message: `it fetched ${url}`,
    hint: url,
    details,
  })
  const request = {
    command: ['systemvm-image', 'build', '--payload', url],
    source: { commit: '0'.repeat(40), changed: [], repository: url },
  }
  const accelerator = { accelerator: 'tcg', reason: url }
  const report = reportSchema.parse(describeRun(await runWith({ failure, request, accelerator })))
  expect(JSON.stringify(report)).not.toMatch(/planted|S3|CR3T/)
  expect(report.run.failure?.lastLines).toEqual(['E: cannot fetch http://…@example.org/x'])
})

it('has a command of no more than a report may have, and no half of a login', async () => {
  const login = `${'x'.repeat(4080)} http://planted:${'S3CR3T'.repeat(5)}@example.org/x`
  const request = { command: [...Array<string>(1000).fill(login), 'more'] }
  const report = reportSchema.parse(describeRun(await runWith({ request })))
  expect(report.run.command).toHaveLength(1000)
  expect(JSON.stringify(report)).not.toMatch(/planted|S3C/)
})

it('says when parts and stages began, and which packages are in the image', async () => {
  const stage = { name: 'first', status: 'ran', build_time: 2, key: 'k', log: null, exitStatus: 0 }
  const empty = {
    artifacts: [],
    packages: { added: [], removed: [], upgraded: [] },
    bytesWritten: 0,
    layer: null,
  }
  const cached = { ...stage, ...empty, name: 'second', status: 'cached' }
  const one = { name: 'dpkg', version: '1.22', architecture: 'amd64', licenses: ['GPL-2.0-or-later'] }
  const run = await runWith({
    timings: [timingOf({ name: 'boot', seconds: 4.5 }, 5.25)],
    stages: [{ ...stage, ...empty }, cached],
    stageStarts: new Map([['first', 6]]),
    packages: [{ ...one, sha256: null, file: null }],
  })
  const report = reportSchema.parse(describeRun(run))
  expect(report.timings).toEqual([{ name: 'boot', startedSeconds: 0.75, seconds: 4.5 }])
  expect(report.stages.map(({ startedSeconds }) => startedSeconds)).toEqual([6, undefined])
  expect(report.packages).toEqual([one])
})
