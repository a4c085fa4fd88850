import { describe, expect, it } from 'vitest'
import { renderRebuilt } from '../../../src/cli/views/rebuilt.ts'
import { compareRebuild, isIdentical, renderRebuild } from '../../../src/release/rebuild.ts'
import type { ReleaseVariant } from '../../../src/release/record.ts'
import { makeSampleRelease } from '../../support/sample-release.ts'

const record = makeSampleRelease(3)
const released = record.variants[0] as ReleaseVariant

/** A build with the same packages and files, but for some. */
function rebuild(
  sums: Readonly<Record<string, string>> = {},
  versions: Readonly<Record<string, string>> = {},
) {
  const packages = Object.entries({ ...released.packages, ...versions })
  return compareRebuild(released, {
    run: { startedAt: '2026-11-23T00:00:00.000Z', finishedAt: '2026-11-23T00:05:00.000Z' },
    host: { tools: { packer: '1.6.6' } },
    images: released.files
      .map(({ target, sha256 }) => ({ target, sha256: sums[target] ?? sha256 }))
      .filter(({ sha256 }) => sha256 !== 'none'),
    packages: packages.map(([name, version]) => ({ name, version })),
  })
}

const statementOf = (...variants: Parameters<typeof renderRebuild>[1]) =>
  JSON.parse(renderRebuild(record, variants, '1.2.3'))

describe('a release that was built again', () => {
  it('is identical if every file has the same bytes', () => {
    const same = rebuild()
    expect(same.files.every(isIdentical)).toBe(true)
    expect(statementOf(same).predicate).toMatchObject({
      isIdentical: true,
      release: { commit: record.source?.commit, tag: 'v4.22.0' },
      builds: [{ variant: 'trixie-x86_64', tools: { 'systemvm-image': '1.2.3', packer: '1.6.6' } }],
    })
    expect(renderRebuilt([same])).not.toContain('differs')
  })

  it('differs by one file with other bytes, and by one that was not made', () => {
    const other = rebuild({ kvm: 'f'.repeat(64), vmware: 'none' })
    expect(other.files.map((file) => [file.target, isIdentical(file)])).toEqual([
      ['kvm', false],
      ['xenserver', true],
      ['vmware', false],
    ])
    const { subject, predicate } = statementOf(other)
    expect(predicate.isIdentical).toBe(false)
    // The subjects are the released files, whatever was built.
    expect(subject[0].digest.sha256).toBe(released.files[0]?.sha256)
    expect(predicate.rebuilt.map(({ digest }: { digest: unknown }) => digest)).toEqual([
      { sha256: 'f'.repeat(64) },
      { sha256: released.files[1]?.sha256 },
      null,
    ])
    expect(renderRebuilt([other])).toContain('not made')
  })

  it('names the packages that have another version', () => {
    const text = renderRebuilt([rebuild({}, { 'package-1': '9.9-9', stranger: '1.0' })])
    expect(text).toContain('trixie-x86_64: 2 packages differ')
    expect(text).toContain(`package-1 ${released.packages['package-1']} → 9.9-9`)
    expect(text).toContain('stranger 1.0 is new')
  })
})
