import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { exportRaw } from '../../../src/formats/raw.ts'
import { makeRawDisk, words } from '../../support/disks.ts'
import { useFolder } from '../../support/folder.ts'

const path = useFolder()
const never = new AbortController().signal
const mib = 2 ** 20
const content = { 0: words('start', 100), [2 * mib]: words('end', mib) }

describe('a raw file', () => {
  it('is the flattened disk itself, and stays when that is removed', async () => {
    const disk = makeRawDisk(path('flat'), 3 * mib, content)
    const bytes = readFileSync(disk.path)
    const told: number[] = []
    // What a killed run left.
    writeFileSync(path('image.raw'), 'a rest')
    await exportRaw(disk, path('image.raw'), (fraction) => told.push(fraction), never)
    expect(statSync(path('image.raw')).ino).toBe(statSync(disk.path).ino)
    rmSync(disk.path)
    expect(readFileSync(path('image.raw')).equals(bytes)).toBe(true)
    expect(told).toEqual([1])
  })

  const isOther = statSync('/dev/shm', { throwIfNoEntry: false })?.dev !== statSync(tmpdir()).dev
  // Skipped where /dev/shm is no other disk: there is none to copy to.
  it.skipIf(!isOther)(
    'is a copy with the same holes on another disk (skipped where /dev/shm is none)',
    async () => {
      const elsewhere = mkdtempSync('/dev/shm/test-')
      try {
        const disk = makeRawDisk(join(elsewhere, 'flat'), 64 * mib, content)
        await exportRaw(disk, path('image.raw'), () => undefined, never)
        expect(readFileSync(path('image.raw')).equals(readFileSync(disk.path))).toBe(true)
        expect(statSync(path('image.raw')).blocks * 512).toBeLessThan(3 * mib)
      } finally {
        rmSync(elsewhere, { recursive: true })
      }
    },
  )
})
