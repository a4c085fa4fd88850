import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { sha256 } from '../../../src/digest.ts'
import { PipelineError } from '../../../src/errors.ts'
import { planImage } from '../../../src/plan/plan.ts'
import { explainLayer } from '../../../src/plan/why.ts'
import { copyInputs } from '../../../src/stages/copy-inputs.ts'
import { keyOf } from '../../../src/store/layer-key.ts'
import { openStore } from '../../../src/store/store.ts'
import { useFolder } from '../../support/folder.ts'
import { seal } from '../../support/layers.ts'
import { sampleImage } from '../../support/pipelines.ts'

const path = useFolder()
const store = () => openStore(path('store'))

/** The sample image with every layer sealed, and its inputs kept as a build keeps them. */
async function built() {
  const image = await sampleImage(path())
  const plan = await planImage(image, store())
  mkdirSync(path('store'), { recursive: true })
  const frozen = await copyInputs(plan.stages, path('inputs'), store())
  for (const layer of [plan.base, ...plan.stages]) await seal(layer, store())
  return { image, plan, frozen }
}

/** What a change explains of each layer, as text, by layer and part. */
async function explain(change: () => void, over = {}): Promise<Record<string, string>> {
  await built()
  // The sample writes its scripts and files anew, so they are changed after it.
  const image = await sampleImage(path(), over)
  change()
  const plan = await planImage(image, store())
  const texts: Record<string, string> = {}
  for (const layer of [plan.base, ...plan.stages]) {
    for (const { part, lines } of await explainLayer(layer, store())) {
      texts[`${layer.name} ${part}`] = lines.join('\n')
    }
  }
  return texts
}

describe('why a layer has to be made', () => {
  it('of a script is shown as a difference of texts', async () => {
    const texts = await explain(() => writeFileSync(path('second.sh'), 'echo other\n'))
    expect(Object.keys(texts)).toEqual(['second script'])
    expect(texts['second script']).toContain('-echo second')
    expect(texts['second script']).toContain('+echo other')
  })

  it('of a file of the payload names the file, and shows the difference', async () => {
    const texts = await explain(() => {
      writeFileSync(path('payload', 'etc', 'motd'), 'goodbye\n')
      writeFileSync(path('payload', 'etc', 'new'), 'new\n')
    })
    expect(Object.keys(texts)).toEqual(['second files'])
    expect(texts['second files']).toMatch(/payload\/etc\/motd[\s\S]*-hello\n\+goodbye/)
    expect(texts['second files']).toContain('added payload/etc/new')
  })

  it('of a value shows the old and the new one', async () => {
    const texts = await explain(() => undefined, { hostname: 'other' })
    expect(texts['base hostname']).toBe('sample → other')
  })

  it('of what an installer is given shows the difference, once it is more than what follows from values', async () => {
    const { plan } = await built()
    const before = 'mmdebstrap --variant=essential\n'
    const parts = { ...plan.base.parts, command: sha256(before) }
    await store().remove(plan.base.key)
    await store().keepSource(Buffer.from(before))
    await seal({ ...plan.base, key: keyOf(parts), parts }, store())
    const { base } = await planImage(plan.image, store())
    expect(base.reason).toBe('command changed')
    const [difference] = await explainLayer(base, store())
    expect(difference?.part).toBe('command')
    expect(difference?.lines.join('\n')).toMatch(
      /-mmdebstrap --variant=essential\n[\s\S]*\+ {2}'--variant=apt'/,
    )
  })

  it('of a preseed shows the difference, too', async () => {
    const over = { installer: 'debian-installer' } as const
    const { base } = await planImage(await sampleImage(path(), over), store())
    mkdirSync(path('store'), { recursive: true })
    for (const { text } of base.sources) await store().keepSource(Buffer.from(text))
    await seal(base, store())
    const texts = await explain(() => undefined, { ...over, hostname: 'other' })
    expect(Object.keys(texts)).toEqual(['base scripts', 'base hostname'].sort())
    expect(texts['base scripts']).toMatch(/-d-i netcfg\/get_hostname string sample\n\+.* other/)
  })

  it('is nothing for layers that are there', async () => {
    expect(await explain(() => undefined)).toEqual({})
  })
})

describe('stages by name', () => {
  it('are made again from the one that is asked for', async () => {
    const { image } = await built()
    const plan = await planImage(image, store(), { from: 'second' })
    expect(plan.stages.map(({ name, reason }) => [name, reason])).toEqual([
      ['first', undefined],
      ['second', 'requested'],
      ['third', 'a layer below has to be made'],
    ])
  })

  it('are left out after the last that is wanted', async () => {
    const { image } = await built()
    const plan = await planImage(image, store(), { until: 'second' })
    expect(plan.stages.map(({ name }) => name)).toEqual(['first', 'second'])
  })

  it.each(['from', 'until'])('are known by name: --%s', async (option) => {
    const image = await sampleImage(path())
    const failure = await planImage(image, store(), { [option]: 'secnd' }).catch((error: unknown) => error)
    expect(failure).toBeInstanceOf(PipelineError)
    expect((failure as PipelineError).message).toContain('"secnd"')
    expect((failure as PipelineError).hint).toContain('first, second, third')
  })
})

describe('inputs of a run', () => {
  it('are copies: an edit afterwards changes nothing of them', async () => {
    const { frozen } = await built()
    writeFileSync(path('first.sh'), 'echo edited\n')
    rmSync(path('payload'), { recursive: true })
    expect(readFileSync(frozen[0]?.script ?? '', 'utf8')).toBe('echo first\n')
    expect(readFileSync(`${frozen[1]?.files.payload}/etc/motd`, 'utf8')).toBe('hello\n')
  })

  it('are refused when they are not what was planned', async () => {
    const plan = await planImage(await sampleImage(path()), store())
    writeFileSync(path('third.sh'), 'echo edited\n')
    const failure = await copyInputs(plan.stages, path('inputs'), store()).catch((error: unknown) => error)
    expect(failure).toMatchObject({ code: 'changed-meanwhile' })
    expect((failure as PipelineError).message).toContain('third.sh')
  })

  it.each<[string, string, (file: string) => void]>([
    ['a script that is gone', 'first.sh', (file) => rmSync(file)],
    ['a folder in the place of a script', 'first.sh', replaceByFolder],
    ['files that are gone', 'payload', (file) => rmSync(file, { recursive: true })],
    ['a file in the place of a folder', 'payload', replaceByFile],
  ])('are refused when they change while they are read: %s', async (_what, name, change) => {
    const image = await sampleImage(path())
    const plan = await planImage(image, store())
    change(path(name))
    const failure = { code: 'changed-meanwhile', message: expect.stringContaining(path(name)) }
    await expect(planImage(image, store())).rejects.toMatchObject(failure)
    await expect(copyInputs(plan.stages, path('inputs'), store())).rejects.toMatchObject(failure)
  })
})

function replaceByFolder(file: string): void {
  rmSync(file)
  mkdirSync(file)
}

function replaceByFile(folder: string): void {
  rmSync(folder, { recursive: true })
  writeFileSync(folder, '')
}
