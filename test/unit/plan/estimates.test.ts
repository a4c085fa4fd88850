import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { archNames, hostArch } from '../../../src/arch.ts'
import { loadPipeline } from '../../../src/config/load.ts'
import { lookAhead, readEstimates } from '../../../src/plan/estimates.ts'
import { type Plan, planImage } from '../../../src/plan/plan.ts'
import { measureSlowness, otherStage, ownChecks, referenceTimes } from '../../../src/plan/reference-times.ts'
import { mostReportBytes, type Report } from '../../../src/report/report.ts'
import type { LayerKey } from '../../../src/store/layer-key.ts'
import type { Layer } from '../../../src/store/layer-record.ts'
import { openStore } from '../../../src/store/store.ts'
import { useFolder } from '../../support/folder.ts'
import { chainOf } from '../../support/layers.ts'
import { sampleImage } from '../../support/pipelines.ts'
import { writeReport } from '../../support/reports.ts'

const path = useFolder()

const base = { installer: 'bootstrap', arch: 'x86_64' } as const

/** A layer on a base of its own, which is in no list. */
function layer(name: string, buildTimeSeconds: number, createdAt: string, parts: object = base): Layer {
  return { name, buildTimeSeconds, createdAt, parts, parent: null } as unknown as Layer
}

function report(run: string, timings: Report['timings'], image: object = base): void {
  writeReport(path(), run, { image, timings })
}

describe('an estimate', () => {
  it('of a stage is what its newest layer took, in whatever order they come', async () => {
    const layers = [
      layer('greet', 20, '2026-02-01'),
      layer('greet', 10, '2026-01-01'),
      layer('other', 5, '2025-01-01'),
    ]
    const { of } = await readEstimates(path(), layers, base)
    expect([of('greet'), of('other'), of('unknown')]).toEqual([20, 5, undefined])
  })

  it('of the boot and of exports comes from the newest run that did them', async () => {
    report('20260101T000000Z-a', [
      { name: 'boot', seconds: 30 },
      { name: 'export kvm', seconds: 9 },
    ])
    report('20260102T000000Z-a', [{ name: 'boot', seconds: 40 }])
    const { of } = await readEstimates(path(), [], base)
    expect([of('boot'), of('export kvm')]).toEqual([40, 9])
  })

  it('of the base is what the same installer took', async () => {
    const byDebian = { ...base, installer: 'debian-installer' } as const
    const layers = [layer('base', 60, '2026-01-01'), layer('base', 1080, '2026-02-01', byDebian)]
    expect((await readEstimates(path(), layers, base)).of('base')).toBe(60)
    expect((await readEstimates(path(), layers, byDebian)).of('base')).toBe(1080)
    report('20260101T000000Z-a', [{ name: 'base', seconds: 70 }])
    report('20260102T000000Z-a', [{ name: 'base', seconds: 1100 }], byDebian)
    expect((await readEstimates(path(), layers, base)).of('base')).toBe(70)
    expect((await readEstimates(path(), layers, byDebian)).of('base')).toBe(1100)
  })

  it('is for the same architecture, down to the base that a layer is on', async () => {
    const arm = { ...base, arch: 'aarch64' } as const
    const [key, parts] = ['key of a base' as LayerKey, { parent: 'key of a base' }]
    const layers = [
      layer('greet', 20, '2026-01-01'),
      { ...layer('base', 900, '2026-02-01', arm), key },
      { ...layer('greet', 70, '2026-02-02', parts), parent: key },
      { ...layer('greet', 80, '2026-02-03', parts), parent: 'of a layer that is gone' as LayerKey },
    ]
    report('20260101T000000Z-a', [{ name: 'boot', seconds: 30 }])
    report('20260102T000000Z-a', [{ name: 'boot', seconds: 60 }], arm)
    const [here, there] = [
      await readEstimates(path(), layers, base),
      await readEstimates(path(), layers, arm),
    ]
    expect([here.of('greet'), there.of('greet')]).toEqual([20, 70])
    expect([here.of('boot'), there.of('boot')]).toEqual([30, 60])
    expect([here.isMeasured('base'), there.isMeasured('base')]).toEqual([false, true])
  })

  it('is found in a chain of any length', async () => {
    expect((await readEstimates(path(), [...chainOf(20_000)].reverse(), base)).of('stage')).toBe(1)
  })

  it('is not lost by runs that were killed or failed since', async () => {
    report('20260101T000000Z-a', [{ name: 'export kvm', seconds: 9 }])
    for (let day = 10; day < 30; day += 1) mkdirSync(path('runs', `202601${day}T000000Z-a`))
    for (let day = 10; day < 28; day += 1) report(`202602${day}T000000Z-a`, [])
    expect((await readEstimates(path(), [], base)).of('export kvm')).toBe(9)
  })

  it('does without a report that is longer than any of a run', async () => {
    report('20260101T000000Z-a', [{ name: 'boot', seconds: 30 }])
    report('20260102T000000Z-a', [{ name: 'boot', seconds: 40 }])
    appendFileSync(path('runs', '20260102T000000Z-a', 'report.json'), ' '.repeat(mostReportBytes))
    expect((await readEstimates(path(), [], base)).of('boot')).toBe(30)
  })

  it('does without runs, and without reports that cannot be read', async () => {
    expect((await readEstimates(path('none'), [], base)).isMeasured('boot')).toBe(false)
    mkdirSync(path('runs', '20260102T000000Z-b'), { recursive: true })
    writeFileSync(path('runs', '20260102T000000Z-b', 'report.json'), '{"timings": [')
    mkdirSync(path('runs', '20260103T000000Z-c'), { recursive: true })
    report('20260101T000000Z-a', [{ name: 'boot', seconds: 30 }])
    expect((await readEstimates(path(), [], base)).of('boot')).toBe(30)
  })
})

describe('times of a known host', () => {
  const twiceAsSlow = () => 2

  it('are scaled to this one, which is measured only if they are needed', () => {
    let measurements = 0
    const measure = () => {
      measurements += 1
      return 2
    }
    const at = (slowness: number) => referenceTimes(base, () => slowness)('boot') ?? 0
    const times = referenceTimes(base, measure)
    expect(times('unheard_of')).toBeUndefined()
    expect(measurements).toBe(0)
    expect(times('boot')).toBe(2 * at(1))
    expect(times('verify kvm')).toBeGreaterThan(0)
    expect(measurements).toBe(1)
  })

  it('are there for every stage, part and target of a variant that is built by default', async () => {
    const { images } = await loadPipeline('pipeline.ts', [])
    const image = images.find(({ variant }) => variant === 'bookworm-x86_64')
    const times = referenceTimes(base, twiceAsSlow)
    const stages = image?.stages.map(({ name }) => name) ?? []
    const targets = image?.targets ?? []
    const names = [
      'base',
      ...stages,
      ...targets.flatMap((target) => [`export ${target}`, `verify ${target}`]),
    ]
    expect(names.length).toBeGreaterThan(20)
    expect(names.filter((name) => times(name) === undefined)).toEqual([])
  })

  it('say nothing of layer 0 by another installer', () => {
    const times = referenceTimes({ ...base, installer: 'debian-installer' }, twiceAsSlow)
    expect(times('base')).toBeUndefined()
    expect(times('boot')).toBeGreaterThan(0)
  })

  it('are longer for an image whose programs this host has to emulate', () => {
    const otherArch = archNames.find((arch) => arch !== hostArch) ?? hostArch
    const foreign = referenceTimes({ ...base, arch: otherArch }, twiceAsSlow)
    const own = referenceTimes({ ...base, arch: hostArch }, twiceAsSlow)
    for (const name of ['base', 'boot', 'configure_grub', 'verify kvm'])
      expect(foreign(name), name).toBeGreaterThan(own(name) ?? 0)
  })

  it('measure this host as some number', () => {
    expect(measureSlowness()).toBeGreaterThan(0)
  })
})

describe('what lies ahead', () => {
  const all = { base: 100, first: 1, second: 2, third: 4, boot: 30, shutdown: 5, 'export kvm': 20 }
  const estimates = (known: Record<string, number>, isMeasured = true) => ({
    of: (name: string) => known[name],
    isMeasured: () => isMeasured,
  })
  const fresh = { areWanted: true, exist: false, areVerified: false }

  /** A plan in which the layers of these names are in the store. */
  const planWith = async (cached: readonly string[]): Promise<Plan> => {
    const plan = await planImage(await sampleImage(path()), openStore(path('store')))
    const mark = <L extends { name: string }>(planned: L) =>
      cached.includes(planned.name) ? { ...planned, cached: layer(planned.name, 1, '') } : planned
    return { ...plan, base: mark(plan.base), stages: plan.stages.map(mark) }
  }

  it('is everything the first time, boot and export with it', async () => {
    const { ahead, estimateSeconds } = lookAhead(await planWith([]), estimates(all), fresh)
    expect(estimateSeconds).toBe(162)
    expect(ahead.map(({ name, cached }) => [name, cached])).toEqual([
      ['base', false],
      ['first', false],
      ['second', false],
      ['third', false],
    ])
  })

  it('leaves out what is cached', async () => {
    const { ahead, estimateSeconds } = lookAhead(await planWith(['base', 'first']), estimates(all), fresh)
    expect(estimateSeconds).toBe(2 + 4 + 30 + 5 + 20)
    expect(ahead.filter(({ cached }) => cached).map(({ name }) => name)).toEqual(['base', 'first'])
  })

  it('is nothing when all of it is there', async () => {
    const cached = ['base', 'first', 'second', 'third']
    expect(lookAhead(await planWith(cached), estimates({}), { ...fresh, exist: true }).estimateSeconds).toBe(
      0,
    )
  })

  it('has no images where the run ends at a stage', async () => {
    const images = { ...fresh, areWanted: false, areVerified: true }
    expect(lookAhead(await planWith([]), estimates(all), images).estimateSeconds).toBe(142)
  })

  it('goes on until the last image is verified', async () => {
    const images = { ...fresh, areVerified: true }
    const known = { ...all, 'verify kvm': 1000 }
    expect(lookAhead(await planWith([]), estimates(known), images).estimateSeconds).toBe(1162)
  })

  it('takes less than a boot to verify without a contract', async () => {
    const plan = await planWith([])
    const withoutContract = { ...plan, image: { ...plan.image, verification: { contract: 'none' } } } as Plan
    const known = { ...all, 'verify kvm': 1000, [ownChecks]: 10 }
    const images = { ...fresh, areVerified: true }
    expect(lookAhead(withoutContract, estimates(known, false), images).estimateSeconds).toBe(172)
    expect(lookAhead(withoutContract, estimates(known), images).estimateSeconds).toBe(1162)
  })

  it('assumes emulation as long as nothing was measured here', async () => {
    expect(lookAhead(await planWith([]), estimates(all), fresh).assumesEmulation).toBe(false)
    expect(lookAhead(await planWith([]), estimates(all, false), fresh).assumesEmulation).toBe(true)
  })

  it('takes a stage that was never built here for a typical one, but nothing else', async () => {
    const { first: _, ...known } = { ...all, [otherStage]: 7 }
    expect(lookAhead(await planWith([]), estimates(known), fresh).estimateSeconds).toBe(162 - 1 + 7)
    const { base: __, ...unknown } = { ...all, [otherStage]: 7 }
    expect(lookAhead(await planWith([]), estimates(unknown), fresh).estimateSeconds).toBeUndefined()
  })

  it.each(Object.keys(all))('is unknown as long as %s is', async (name) => {
    const { [name as keyof typeof all]: _, ...known } = all
    expect(lookAhead(await planWith([]), estimates(known), fresh).estimateSeconds).toBeUndefined()
  })
})
