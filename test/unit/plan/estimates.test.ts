import { mkdirSync, writeFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { lookAhead, readEstimates } from '../../../src/plan/estimates.ts'
import { type Plan, planImage } from '../../../src/plan/plan.ts'
import type { Report } from '../../../src/report/report.ts'
import type { LayerParts } from '../../../src/store/layer-key.ts'
import type { Layer } from '../../../src/store/layer-record.ts'
import { openStore } from '../../../src/store/store.ts'
import { useFolder } from '../../support/folder.ts'
import { sampleImage } from '../../support/pipelines.ts'
import { writeReport } from '../../support/reports.ts'

const path = useFolder()

function layer(name: string, buildTimeSeconds: number, createdAt: string): Layer {
  return { name, buildTimeSeconds, createdAt } as Layer
}

const byBootstrap = { installer: 'bootstrap' } as const

function report(run: string, timings: Report['timings'], installer = 'bootstrap'): void {
  writeReport(path(), run, { image: { installer }, timings })
}

describe('an estimate', () => {
  it('of a stage is what its newest layer took, in whatever order they come', async () => {
    const layers = [
      layer('greet', 20, '2026-02-01'),
      layer('greet', 10, '2026-01-01'),
      layer('other', 5, '2025-01-01'),
    ]
    const { of } = await readEstimates(path(), layers, byBootstrap)
    expect([of('greet'), of('other'), of('unknown')]).toEqual([20, 5, undefined])
  })

  it('of the boot and of exports comes from the newest run that did them', async () => {
    report('20260101T000000Z-a', [
      { name: 'boot', seconds: 30 },
      { name: 'export kvm', seconds: 9 },
    ])
    report('20260102T000000Z-a', [{ name: 'boot', seconds: 40 }])
    const { of } = await readEstimates(path(), [], byBootstrap)
    expect([of('boot'), of('export kvm')]).toEqual([40, 9])
  })

  it('of the base is what the same installer took', async () => {
    const byInstaller = (installer: string) => ({ parts: { installer } as unknown as LayerParts })
    const layers = [
      { ...layer('base', 60, '2026-01-01'), ...byInstaller('bootstrap') },
      { ...layer('base', 1080, '2026-02-01'), ...byInstaller('debian-installer') },
    ]
    const byDebian = { installer: 'debian-installer' } as const
    expect((await readEstimates(path(), layers, byBootstrap)).of('base')).toBe(60)
    expect((await readEstimates(path(), layers, byDebian)).of('base')).toBe(1080)
    report('20260101T000000Z-a', [{ name: 'base', seconds: 70 }])
    report('20260102T000000Z-a', [{ name: 'base', seconds: 1100 }], 'debian-installer')
    expect((await readEstimates(path(), layers, byBootstrap)).of('base')).toBe(70)
    expect((await readEstimates(path(), layers, byDebian)).of('base')).toBe(1100)
  })

  it('is not lost by runs that were killed or failed since', async () => {
    report('20260101T000000Z-a', [{ name: 'export kvm', seconds: 9 }])
    for (let day = 10; day < 30; day += 1) mkdirSync(path('runs', `202601${day}T000000Z-a`))
    for (let day = 10; day < 28; day += 1) report(`202602${day}T000000Z-a`, [])
    expect((await readEstimates(path(), [], byBootstrap)).of('export kvm')).toBe(9)
  })

  it('does without runs, and without reports that cannot be read', async () => {
    expect((await readEstimates(path('none'), [], byBootstrap)).of('boot')).toBeUndefined()
    mkdirSync(path('runs', '20260102T000000Z-b'), { recursive: true })
    writeFileSync(path('runs', '20260102T000000Z-b', 'report.json'), '{"timings": [')
    mkdirSync(path('runs', '20260103T000000Z-c'), { recursive: true })
    report('20260101T000000Z-a', [{ name: 'boot', seconds: 30 }])
    expect((await readEstimates(path(), [], byBootstrap)).of('boot')).toBe(30)
  })
})

describe('what lies ahead', () => {
  const all = { base: 100, first: 1, second: 2, third: 4, boot: 30, shutdown: 5, 'export kvm': 20 }
  const estimates = (known: Record<string, number>) => ({ of: (name: string) => known[name] })

  /** A plan in which the layers of these names are in the store. */
  const planWith = async (cached: readonly string[]): Promise<Plan> => {
    const plan = await planImage(await sampleImage(path()), openStore(path('store')))
    const mark = <L extends { name: string }>(planned: L) =>
      cached.includes(planned.name) ? { ...planned, cached: layer(planned.name, 1, '') } : planned
    return { ...plan, base: mark(plan.base), stages: plan.stages.map(mark) }
  }

  it('is everything the first time, boot and export with it', async () => {
    const { ahead, estimateSeconds } = lookAhead(await planWith([]), estimates(all), false)
    expect(estimateSeconds).toBe(162)
    expect(ahead.map(({ name, cached }) => [name, cached])).toEqual([
      ['base', false],
      ['first', false],
      ['second', false],
      ['third', false],
    ])
  })

  it('leaves out what is cached', async () => {
    const { ahead, estimateSeconds } = lookAhead(await planWith(['base', 'first']), estimates(all), false)
    expect(estimateSeconds).toBe(2 + 4 + 30 + 5 + 20)
    expect(ahead.filter(({ cached }) => cached).map(({ name }) => name)).toEqual(['base', 'first'])
  })

  it('is nothing when all of it is there', async () => {
    const cached = ['base', 'first', 'second', 'third']
    expect(lookAhead(await planWith(cached), estimates({}), true).estimateSeconds).toBe(0)
  })

  it.each(Object.keys(all))('is unknown as long as %s is', async (name) => {
    const { [name as keyof typeof all]: _, ...known } = all
    expect(lookAhead(await planWith([]), estimates(known), false).estimateSeconds).toBeUndefined()
  })
})
