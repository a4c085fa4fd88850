import { describe, expect, it } from 'vitest'
import { compareReports } from '../../../src/pages/changes.ts'
import { makeLargeReport } from '../../support/large-report.ts'

const now = makeLargeReport()

function tableOf(before: typeof now, title: string) {
  return compareReports(before, now).tables.find((table) => table.title === title)?.rows
}

describe('what has changed since an earlier report', () => {
  it('is nothing, of the same report', () => {
    expect(compareReports(now, now).tables).toEqual([])
  })

  it('is times, from half a second on', () => {
    const stages = now.stages.map((stage, index) => ({
      ...stage,
      build_time: stage.build_time - ([0.4, 3][index - 12] ?? 0),
    }))
    expect(tableOf({ ...now, stages }, 'Times')).toEqual([
      { name: 'configure_systemvm_part_13', before: '5.5s', now: '8.5s', delta: '+3.0s' },
    ])
  })

  it('is sizes of files', () => {
    const images = now.images.map((image) => ({ ...image, sizeBytes: image.sizeBytes + 2 * 1024 ** 2 }))
    expect(tableOf({ ...now, images }, 'Image files')?.map(({ delta }) => delta)).toEqual(
      Array(3).fill('−2.0 MiB'),
    )
  })

  it('is packages that are new, gone, or have another version', () => {
    const packages = [...(now.packages ?? [])]
    const [first, second] = packages.splice(0, 2) as [(typeof packages)[0], (typeof packages)[0]]
    const before = [{ ...first, version: '0' }, { ...second, name: 'gone' }, ...packages]
    expect(tableOf({ ...now, packages: before }, 'Packages')).toEqual([
      { name: 'gone', before: second.version, now: 'not there', delta: '' },
      { name: 'package-0', before: '0', now: first.version, delta: '' },
      { name: 'package-1', before: 'not there', now: second.version, delta: '' },
    ])
  })

  it('is checks with another result, by image and scene', () => {
    const verifications = now.verifications?.map((image) => ({
      ...image,
      checks: image.checks.map((check) => ({ ...check, status: 'passed' as const })),
    }))
    expect(tableOf({ ...now, ...(verifications && { verifications }) }, 'Checks')).toEqual([
      { name: 'C0, kvm, router', before: 'passed', now: 'failed', delta: '' },
      { name: 'C1, kvm, router', before: 'passed', now: 'failed', delta: '' },
    ])
  })

  it('is left out where one of them does not know it', () => {
    const { packages: _, ...without } = now
    expect(compareReports(without, now).same).toContain('packages')
  })
})
