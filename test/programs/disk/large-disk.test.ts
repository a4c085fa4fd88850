/** Disks that claim to be larger than any system VM's: refused by their size, before anything is read of them. */

import { execFileSync } from 'node:child_process'
import { truncateSync, writeFileSync } from 'node:fs'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { main } from '../../../src/cli/main.ts'
import { inspectImageFile } from '../../../src/disk/image-file.ts'
import { readImagePackages } from '../../../src/release/read-image.ts'
import { useFolder } from '../../support/folder.ts'
import { describeWith } from '../../support/tools.ts'

const path = useFolder()
const { signal } = new AbortController()

let said = ''
beforeEach(() => {
  said = ''
  for (const to of ['stdout', 'stderr'] as const)
    vi.spyOn(process[to], 'write').mockImplementation((chunk) => {
      said += chunk.toString()
      return true
    })
})
afterEach(() => vi.restoreAllMocks())

const create = (name: string, size: string) =>
  execFileSync('qemu-img', ['create', '-q', '-f', name.split('.').at(-1) ?? '', path(name), size])

describeWith(['qemu-img', 'debugfs', 'sfdisk'], 'a disk of 64 TiB', () => {
  const refused = /cannot read the disk .*large\.qcow2: it has 70368744177664 bytes; the limit is 2 TiB/

  it.each<[string, (file: string) => readonly string[]]>([
    ['export', (file) => ['export', '--from', file, '--targets', 'raw', '--name', 'x', '--out', path('out')]],
    ['verify', (file) => ['verify', '--target', 'kvm', '--scenes', 'none', file, '--out', path('out')]],
    ['diff', (file) => ['diff', file, file, '--out', path('out')]],
    ['run', (file) => ['run', '--accelerator', 'tcg', file, '--out', path('out')]],
  ])('is refused by %s', async (_verb, wordsOf) => {
    create('large.qcow2', '64T')
    expect([2, 4]).toContain(await main([...wordsOf(path('large.qcow2'))]))
    expect(said).toMatch(refused)
  })

  it('is refused in a release', async () => {
    create('large.qcow2', '64T')
    await expect(readImagePackages(path('large.qcow2'), signal)).rejects.toThrow(refused)
  })

  it('is refused in other formats too, and one of 2 TiB is not', async () => {
    create('large.vhdx', '64T')
    writeFileSync(path('large.raw'), '')
    truncateSync(path('large.raw'), 3 * 2 ** 40)
    for (const [name, format] of [['large.vhdx', 'vhdx'] as const, ['large.raw', 'raw'] as const])
      await expect(inspectImageFile(path(name), { format, signal })).rejects.toThrow('the limit is 2 TiB')
    create('fits.qcow2', '2T')
    expect(await inspectImageFile(path('fits.qcow2'), { signal })).toMatchObject({ sizeBytes: 2 * 2 ** 40 })
  })
})
