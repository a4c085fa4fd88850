import { mkdirSync, truncateSync, writeFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import type { Pipeline } from '../../../src/config/pipeline.ts'
import { checkSpace, describeShortage } from '../../../src/doctor/checks/output.ts'
import { requireFit } from '../../../src/doctor/host-checks.ts'
import { planImage } from '../../../src/plan/plan.ts'
import { expectRoom, neededBytes, type Room } from '../../../src/plan/room.ts'
import { openStore } from '../../../src/store/store.ts'
import { useFolder } from '../../support/folder.ts'
import { record } from '../../support/layers.ts'
import { sampleImage } from '../../support/pipelines.ts'
import { type ReportFields, writeReport } from '../../support/reports.ts'

const path = useFolder()
const store = () => openStore(path('store'))
const mib = 1024 ** 2
const sizesMiB: Readonly<Record<string, number>> = { base: 100, first: 1, second: 2, third: 4 }

/** Puts the first so many layers of the sample image into the store, each as large as its name says. */
async function build(count = 4): Promise<void> {
  const plan = await planImage(await sampleImage(path()), store())
  mkdirSync(path('store'), { recursive: true })
  for (const layer of [plan.base, ...plan.stages].slice(0, count)) {
    writeFileSync(store().disk(layer.key), '')
    truncateSync(store().disk(layer.key), (sizesMiB[layer.name] ?? 0) * mib)
    await record(layer, store())
  }
}

function report(fields: ReportFields): void {
  writeReport(path(), '20260101T000000Z-a', { image: { variant: 'trixie-x86_64' }, ...fields })
}

async function expectOf(over: Partial<Pipeline> = {}, hasImages = true): Promise<Room> {
  const plan = await planImage(await sampleImage(path(), over), store())
  return expectRoom(plan, path(), await store().list(), hasImages)
}

describe('the room that a build will take', () => {
  it('is assumed to be much where nothing like it was ever built', async () => {
    const room = await expectOf()
    expect(room).toMatchObject({ isKnown: false, peakBytes: neededBytes })
    expect(room.layers.map(({ bytes }) => bytes)).toEqual([undefined, undefined, undefined, undefined])
    expect(room.freeBytes).toBeGreaterThan(0)
  })

  it('is that of the images and the flat disk when all layers are there', async () => {
    await build()
    report({ images: [{ target: 'kvm', allocatedBytes: 40 * mib }] })
    const room = await expectOf()
    expect(room).toMatchObject({ isKnown: true, layers: [], flatBytes: 107 * mib })
    expect(room.images).toEqual([{ name: 'kvm', bytes: 40 * mib }])
    expect(room.peakBytes).toBe(147 * mib)
  })

  it('is nothing when the images are there as well', async () => {
    await build()
    expect(await expectOf({}, false)).toMatchObject({ isKnown: true, peakBytes: 0, images: [] })
  })

  it('has the layers that will be made again with the size that they had', async () => {
    await build()
    report({ images: [{ target: 'kvm', allocatedBytes: 40 * mib }] })
    const changed = await expectOf({ date: '2026-01-03' })
    expect(changed.layers).toEqual([
      { name: 'first', bytes: 1 * mib },
      { name: 'second', bytes: 2 * mib },
      { name: 'third', bytes: 4 * mib },
    ])
    expect(changed.peakBytes).toBe((7 + 40 + 107) * mib)
  })

  it('has layers that were pruned with the size that a report tells', async () => {
    await build(2)
    const stages = [
      { name: 'second', layer: { sha256: 'a', sizeBytes: 8 * mib } },
      { name: 'third', layer: { sha256: 'b', sizeBytes: 16 * mib } },
      { name: 'third', layer: null },
    ]
    report({ stages, images: [{ target: 'kvm', allocatedBytes: 40 * mib }] })
    const room = await expectOf()
    expect(room.layers.map(({ bytes }) => bytes)).toEqual([8 * mib, 16 * mib])
    expect(room.peakBytes).toBe((8 + 16 + 40 + 125) * mib)
  })

  it('takes the flat disk for as large as the raw image was', async () => {
    await build()
    report({
      images: [
        { target: 'kvm', allocatedBytes: 40 * mib },
        { target: 'raw', allocatedBytes: 90 * mib },
      ],
    })
    expect((await expectOf({ targets: ['kvm', 'raw'] })).peakBytes).toBe((40 + 90 + 90) * mib)
  })

  it('has the file that is packed beside its archive', async () => {
    await build()
    report({ images: [{ target: 'kvm', allocatedBytes: 40 * mib }] })
    const room = await expectOf({ formats: { kvm: { archive: 'bz2' } } })
    expect(room.images).toEqual([{ name: 'kvm', bytes: (40 + 107) * mib }])
  })

  it('is estimated from the disk for a target that was never made', async () => {
    await build()
    report({ images: [{ target: 'kvm', allocatedBytes: 40 * mib }] })
    const room = await expectOf({ targets: ['kvm', 'vmware'] })
    expect(room.isKnown).toBe(true)
    const [, vmware] = room.images
    expect(vmware?.name).toBe('vmware')
    expect(vmware?.bytes).toBeGreaterThan(0.4 * 107 * mib)
    expect(vmware?.bytes).toBeLessThan(0.6 * 107 * mib)
  })
})

describe('a disk', () => {
  const room = (freeBytes: number, isKnown = true): Room => ({
    layers: [],
    images: [],
    flatBytes: 0,
    workBytes: undefined,
    peakBytes: 1000 * mib,
    isKnown,
    freeBytes,
  })

  it('with room to spare is not mentioned', async () => {
    expect(await checkSpace('/out', room(1250 * mib))).toMatchObject({ status: 'ok' })
    expect(await checkSpace('/out', room(1000 * mib, false))).toMatchObject({ status: 'ok' })
  })

  it('with just enough room is warned of', async () => {
    expect(await checkSpace('/out', room(1200 * mib))).toMatchObject({
      status: 'warning',
      note: 'little disk space for /out: 1.2 GiB are free, this build needs about 1000.0 MiB',
    })
  })

  it('with too little is refused, with what is free and what is needed', async () => {
    const refused = expect(requireFit('planned-build', { images: [], outDir: '/out', room: room(999 * mib) }))
    await refused.rejects.toMatchObject({
      code: 'no-space',
      message: 'not enough disk space for /out: 999.0 MiB are free, this build needs about 1000.0 MiB',
    })
    expect(describeShortage('/out', room(10 * mib, false))).toBe(
      'not enough disk space for /out: 10.0 MiB are free, a build needs 1000.0 MiB',
    )
  })
})
