import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { useFolder } from '../../support/folder.ts'
import { runHere } from '../../support/output.ts'
import { canMount, mountSmallDisk } from '../../support/small-disk.ts'

const path = useFolder()

// Skipped unless run by root: nobody else may mount a disk.
describe.skipIf(!canMount)('on a full disk (only root may mount a small one), clean', () => {
  it('frees the space, although there is none for the name in its lock', async () => {
    const unmount = mountSmallDisk(path('small'), 'size=1m')
    try {
      writeFileSync(path('small', '.systemvm-image'), '')
      mkdirSync(path('small', 'store'))
      // Of a layer that is gone, so that the list has to be written again.
      const known = { [`${'0'.repeat(64)}.qcow2`]: { touched: '', sha256: '0'.repeat(64) } }
      writeFileSync(path('small', 'store', 'digests.json'), JSON.stringify({ ...known }))
      const rest = Buffer.alloc(2 ** 20 - 4096)
      expect(() => writeFileSync(path('small', 'store', 'full'), rest)).not.toThrow()
      expect(() => writeFileSync(path('small', 'more'), 'x')).toThrow('ENOSPC')
      const { exitCode, stderr } = await runHere('clean', '--out', path('small'))
      expect(stderr).toBe('')
      expect(exitCode).toBe(0)
      expect(existsSync(path('small', 'store'))).toBe(false)
      expect(existsSync(path('small', 'lock'))).toBe(false)
    } finally {
      unmount()
    }
  })
})

describe('clean --all', () => {
  it('also removes releases that killed runs left under another name', async () => {
    writeFileSync(path('.systemvm-image'), '')
    const former = `release.before-${2 ** 22 + 1}-0badc0ffee00`
    for (const name of ['release', former, 'release.before-mine']) mkdirSync(path(name))
    const { exitCode, stdout, stderr } = await runHere('clean', '--all', '--out', path())
    expect(exitCode, stderr).toBe(0)
    expect(stdout).toContain(former)
    expect(readdirSync(path())).toEqual(['.systemvm-image', 'release.before-mine'])
  })
})
