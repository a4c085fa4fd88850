import { describe, expect, it } from 'vitest'
import { viewSizes } from '../../../src/pages/sizes.ts'
import type { Report } from '../../../src/report/report.ts'
import { makeLargeReport } from '../../support/large-report.ts'

const report = makeLargeReport()
const number = (text: string) => Number(text.replace('%', ''))

/** The area of each rectangle that has none inside, by its title. */
function areasOf(map: NonNullable<ReturnType<typeof viewSizes>['folders']>['map']): Map<string, number> {
  return new Map(
    map.cells
      .filter(({ isGroup }) => !isGroup)
      .map(({ title, width, height }) => [title, number(width) * height]),
  )
}

describe('the map of an image', () => {
  it('has a rectangle for each folder, and one for the rest of a folder', () => {
    const titles = [...areasOf(viewSizes(report).folders?.map ?? { height: 0, cells: [] }).keys()]
    expect(titles).toContain('/usr/bin: 200.0 MiB')
    // A folder with only one inside is one with it.
    expect(titles).toContain('/usr/lib/jvm/java: 200.0 MiB')
    expect(titles).toContain('/usr/lib, other files: 400.0 MiB')
  })

  it('gives packages areas in proportion to their sizes', () => {
    const areas = areasOf(viewSizes(report).packages?.map ?? { height: 0, cells: [] })
    const areaOf = (name: string) => [...areas].find(([title]) => title.startsWith(`${name}:`))?.[1] ?? 0
    const [first, second] = report.verifications?.[0]?.usage?.packages ?? []
    const ratio = (first?.sizeBytes ?? 0) / (second?.sizeBytes ?? 1)
    expect(areaOf('package-0') / areaOf('package-1')).toBeCloseTo(ratio, 1)
    expect(areaOf('340 other packages')).toBeGreaterThan(0)
  })

  it.each(['/', '', '//', 'no/slash'])('ends, whatever a folder is called: %j', (path) => {
    const [verification] = report.verifications as [NonNullable<Report['verifications']>[number]]
    const folders = [path, '/usr'].map((one) => ({ path: one, sizeBytes: 10 }))
    const usage = { filesBytes: 20, folders, packages: [] }
    const view = viewSizes({ ...report, verifications: [{ ...verification, usage }] })
    expect(view.folders?.map.cells.map(({ title }) => title)).toContain('/usr: 10 B')
  })

  it('is left out where nothing was measured', () => {
    expect(viewSizes({ ...report, verifications: [] }).folders).toBeUndefined()
  })
})

it('says what each stage added', () => {
  const { layers } = viewSizes(report)
  expect(layers).toHaveLength(15)
  expect(layers[0]).toMatchObject({ name: 'layer 0', size: '858.3 MiB' })
  expect(layers.at(-1)).toMatchObject({ name: 'configure_systemvm_part_13', size: '13.4 MiB', width: '100%' })
})
