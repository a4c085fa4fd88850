import { expect, it } from 'vitest'
import { defineCheck } from '../../../src/config/check.ts'
import { definePipeline, type Pipeline } from '../../../src/config/pipeline.ts'
import { resolvePipeline } from '../../../src/config/resolve.ts'
import { z } from '../../../src/config/stage.ts'
import { useFolder } from '../../support/folder.ts'
import { fakeImageFiles } from '../../support/image-files.ts'
import { sound, threeStages } from '../../support/pipelines.ts'

const path = useFolder()

const without = defineCheck({
  name: 'without',
  title: 'a file is not there',
  settings: { file: z.string(), in: z.string().default('/etc') },
  run: async (files, { file, in: folder }, { hostname }) => {
    const names = (await files.list(folder)).map(({ name }) => name)
    return {
      faults: names.includes(file) ? [`${hostname} has ${folder}/${file}`] : [],
      observed: `${names.length} files`,
    }
  },
})

const resolve = (checks: NonNullable<Pipeline['checks']>) =>
  resolvePipeline(definePipeline({ ...sound, stages: [threeStages(path()).first()], checks }))

it('a check of a pipeline looks at the files of an image with its settings, and knows the image', async () => {
  const { images } = await resolve([without({ file: 'motd' })])
  const [check] = images[0]?.checks ?? []
  const ask = (file: string) => check?.run(fakeImageFiles({ files: { [`/etc/${file}`]: '' } }))
  expect(await ask('motd')).toEqual({ faults: ['sample has /etc/motd'], observed: '1 files' })
  expect(await ask('issue')).toEqual({ faults: [], observed: '1 files' })
})

it('faults of the settings and the names of checks are reported with all others, where they are written', async () => {
  const unfit = defineCheck({ name: 'A1', title: '', run: () => ({ faults: [], observed: '' }) })
  // @ts-expect-error: a setting that there is not
  const checks = [without({ file: 'a', folder: '/etc' }), without({ file: 'b' }), unfit()]
  await expect(resolve(checks)).rejects.toMatchObject({
    code: 'configuration',
    message: expect.stringMatching(/own-checks\.test\.ts:\d+:\d+/),
  })
  const said = await resolve(checks).catch((error: Error) => error.message)
  for (const text of ['checks.without.folder', 'check without is listed twice', 'lower case letters'])
    expect(said).toContain(text)
})
