import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { useFolder } from '../../support/folder.ts'
import { runHere } from '../../support/output.ts'
import { canMount, mountSmallDisk } from '../../support/small-disk.ts'

const path = useFolder()

// Skipped unless run by root: nobody else may mount a disk.
describe.skipIf(!canMount)('on a full disk (only root may mount a small one), init', () => {
  it('names the file, keeps what was there, and leaves nothing that another try would refuse', async () => {
    const unmount = mountSmallDisk(path('small'), 'size=16k')
    try {
      const own = `{"name": "mine", "description": "${'m'.repeat(3000)}"}`
      writeFileSync(path('small', 'package.json'), own)
      const { exitCode, stderr } = await runHere('init', path('small'))
      expect(exitCode).toBe(3)
      expect(stderr).toMatch(new RegExp(`cannot write ${path('small')}/\\S+: the disk is full`))
      expect(readFileSync(path('small', 'package.json'), 'utf8')).toBe(own)
      const entries = readdirSync(path('small'), { recursive: true, withFileTypes: true })
      expect(entries.filter((entry) => entry.isFile()).map(({ name }) => name)).toEqual(['package.json'])
      execFileSync('mount', ['-o', 'remount,size=10m', path('small')])
      expect((await runHere('init', path('small'))).exitCode).toBe(0)
    } finally {
      unmount()
    }
  })
})
