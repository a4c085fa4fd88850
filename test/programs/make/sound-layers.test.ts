import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import type { ResolvedImage } from '../../../src/config/resolved.ts'
import { clearLeftovers } from '../../../src/make/leftovers.ts'
import { planOnSoundLayers } from '../../../src/make/sound-layers.ts'
import { type Plan, planImage } from '../../../src/plan/plan.ts'
import { createOverlays } from '../../../src/stages/sealer.ts'
import type { StoreFault } from '../../../src/store/entries.ts'
import type { LayerKey } from '../../../src/store/layer-key.ts'
import { openStore } from '../../../src/store/store.ts'
import { useFolder } from '../../support/folder.ts'
import { record, seal } from '../../support/layers.ts'
import { sampleImage } from '../../support/pipelines.ts'
import { describeWith } from '../../support/tools.ts'

const path = useFolder()
const store = () => openStore(path('store'))

/** The sample image with all its layers in the store. */
async function built(): Promise<{ readonly image: ResolvedImage; readonly plan: Plan }> {
  const image = await sampleImage(path())
  const plan = await planImage(image, store())
  mkdirSync(path('store'), { recursive: true })
  for (const layer of [plan.base, ...plan.stages]) await seal(layer, store())
  return { image, plan }
}

/** What a build would make after all it finds out about the store, and what it says. */
async function planNow(image: ResolvedImage, from = path()) {
  const opened = openStore(`${from}/store`)
  const faults: StoreFault[] = [...(await clearLeftovers(from, opened))]
  const onDamaged = (fault: StoreFault) => faults.push(fault)
  const request = { image, planning: {}, outFolder: from, onDamaged }
  const plan = await planOnSoundLayers(request, opened)
  const made = [plan.base, ...plan.stages].filter(({ cached }) => cached === undefined)
  return {
    made: made.map(({ name }) => name),
    said: faults.map(({ name, fault }) => `${name}: ${fault}`).sort(),
  }
}

describe('a plan on layers that were looked at', () => {
  it('uses them when they are sound', async () => {
    const { image } = await built()
    expect(await planNow(image)).toEqual({ made: [], said: [] })
  })

  const disk = (plan: Plan, index: number) => store().disk(plan.stages[index]?.key as LayerKey)
  const recordOf = (plan: Plan, index: number) => disk(plan, index).replace(/qcow2$/, 'json')

  it.each([
    [
      'whose disk is cut short',
      (plan: Plan) => truncateSync(disk(plan, 1), 10),
      ['second: its disk has 10 bytes instead of 64', 'third: the layer below it is missing or damaged'],
    ],
    [
      'whose disk has one bit more',
      (plan: Plan) => {
        const bytes = readFileSync(disk(plan, 1))
        bytes[7] = (bytes[7] ?? 0) ^ 1
        writeFileSync(disk(plan, 1), bytes)
      },
      ['second: its disk does not match its digest'],
    ],
    [
      'whose disk is missing',
      (plan: Plan) => rmSync(disk(plan, 1)),
      ['second: its disk is missing', 'third: the layer below it is missing or damaged'],
    ],
    [
      'whose record is missing',
      (plan: Plan) => rmSync(recordOf(plan, 1)),
      ['third: the layer below it is missing or damaged'],
    ],
    [
      'whose record names another parent',
      (plan: Plan) => {
        const text = readFileSync(recordOf(plan, 1), 'utf8')
        writeFileSync(recordOf(plan, 1), text.replaceAll(plan.stages[0]?.key ?? '', plan.base.key))
      },
      ['second: its record does not match its key', 'third: the layer below it is missing or damaged'],
    ],
  ])('leaves one out %s, and those above it, and says so', async (_case, damage, said) => {
    const { image, plan } = await built()
    damage(plan)
    expect(await planNow(image)).toEqual({ made: ['second', 'third'], said })
    // What was of no use is gone: nobody trips over it again.
    expect(await store().inspect()).toEqual([])
    expect((await store().list()).map(({ name }) => name).sort()).toEqual(['base', 'first'])
  })
})

describeWith(['qemu-img', 'qemu-io'], 'layers with real disks', () => {
  const qemu = (program: string, ...words: string[]) => execFileSync(program, words, { encoding: 'utf8' })

  /** Every layer of the sample image, as a build makes them, each with 64 KiB of its own. */
  const builtOnDisks = async () => {
    const image = await sampleImage(path())
    const plan = await planImage(image, store())
    mkdirSync(path('store'), { recursive: true })
    qemu('qemu-img', 'create', '-q', '-f', 'qcow2', store().disk(plan.base.key), '1M')
    await createOverlays(store(), plan.stages, 1024 ** 2)
    for (const [index, layer] of [plan.base, ...plan.stages].entries()) {
      qemu('qemu-io', '-c', `write -P ${index + 1} ${index * 64}k 64k`, store().disk(layer.key))
      await record(layer, store())
    }
    return { image, plan }
  }

  it('are all used when the output folder has been moved', async () => {
    const { image, plan } = await builtOnDisks()
    mkdirSync(path('elsewhere', 'deeper'), { recursive: true })
    renameSync(path('store'), path('elsewhere', 'deeper', 'store'))
    const moved = path('elsewhere', 'deeper')
    expect(await planNow(image, moved)).toEqual({ made: [], said: [] })
    const top = openStore(`${moved}/store`).disk(plan.stages.at(-1)?.key as LayerKey)
    const chain = JSON.parse(qemu('qemu-img', 'info', '--backing-chain', '--output=json', top)) as unknown[]
    expect(chain).toHaveLength(4)
    for (const index of chain.keys()) {
      expect(qemu('qemu-io', '-r', '-c', `read -P ${index + 1} ${index * 64}k 64k`, top)).not.toContain(
        'failed',
      )
    }
  })

  it('are not used when the disk of one names another as the one below it', async () => {
    const { image, plan } = await builtOnDisks()
    const disk = store().disk(plan.stages[1]?.key as LayerKey)
    qemu('qemu-img', 'rebase', '-u', '-F', 'qcow2', '-b', `${plan.base.key}.qcow2`, disk)
    expect(await planNow(image)).toEqual({
      made: ['second', 'third'],
      said: ['second: its disk does not match its digest'],
    })
  })
})
