/** What this host lacks says nothing about a release. */

import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { compareDisks } from '../../../src/release/compare-disks.ts'
import { compareSbom } from '../../../src/release/compare-sbom.ts'
import type { ReleaseImage, ReleaseVariant } from '../../../src/release/record.ts'
import { renderSbom } from '../../../src/release/sbom.ts'
import { useFolder } from '../../support/folder.ts'
import { makeSampleRelease } from '../../support/sample-release.ts'
import { canMount, mountSmallDisk } from '../../support/small-disk.ts'

const path = useFolder()
const { signal } = new AbortController()

// Skipped unless run by root: nobody else may mount a disk.
describe.skipIf(!canMount)('a full disk for temporary files (only root may mount a small one)', () => {
  const variant = makeSampleRelease().variants[0] as ReleaseVariant
  const image = variant.files[0] as ReleaseImage

  let unmount: () => void

  beforeEach(() => {
    // With room for the folder itself, and for one more.
    unmount = mountSmallDisk(path('small'), 'nr_inodes=2')
    vi.stubEnv('TMPDIR', path('small'))
    writeFileSync(path(image.file), 'a disk')
    const subject = { ...variant, fileName: 'image', release: '1', debianVersion: 13, sourceDateEpoch: 0 }
    writeFileSync(path(variant.sbom), renderSbom({ ...subject, files: [] }, [], []))
  })
  afterEach(() => {
    vi.unstubAllEnvs()
    unmount()
  })

  const full = { code: 'ENOSPC' }
  const blame = (file: string, fault: string) => {
    throw new Error(`blamed: ${file}: ${fault}`)
  }

  it('is no fault of an image', async () => {
    mkdirSync(path('small', 'taken'))
    await expect(compareSbom(path(), variant, blame, signal)).rejects.toMatchObject(full)
  })

  it('is no fault of a disk', async () => {
    execFileSync('sh', ['-c', 'cd "$1" && gzip -k "$2" && mv "$2.gz" "$2.bz2"', 'sh', path(), image.file])
    const packed = { ...image, file: `${image.file}.bz2` }
    await expect(compareDisks(path(), [packed], blame, signal)).rejects.toMatchObject({
      code: 'no-space',
    })
  })
})
