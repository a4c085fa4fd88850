import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { compareVersions, readBootFiles } from '../../../src/disk/boot-files.ts'
import type { Layout } from '../../../src/disk/layout.ts'
import { changeFilesystem, makeDisk, makeFilesystem, makeTree, type Tree } from '../../support/filesystems.ts'
import { useFolder } from '../../support/folder.ts'
import { describeWith } from '../../support/tools.ts'

const path = useFolder()
const startSector = 2048
const sectors = 16 * 2048

/** A disk of one partition. */
function make(mount: string, tree: Tree, requests: readonly string[] = []) {
  makeTree(path('tree'), tree)
  makeFilesystem(path('filesystem'), { type: 'ext4', sizeMiB: 16, from: path('tree') })
  if (requests.length > 0) changeFilesystem(path('filesystem'), requests)
  const table = `label: dos\nstart=${startSector}, size=${sectors}, type=83\n`
  makeDisk(path('raw'), 18, table, { [startSector]: path('filesystem') })
  execFileSync('qemu-img', ['convert', '-f', 'raw', '-O', 'qcow2', path('raw'), path('disk.qcow2')])
  return { partitions: [{ mount, startSector, sectors }] } as unknown as Layout
}
const read = (layout: Layout) => readBootFiles(path('disk.qcow2'), layout, path('boot'))

describeWith(['qemu-img', 'sfdisk', 'mke2fs', 'debugfs'], 'the kernel of a layer', () => {
  it.each([
    ['/', 'boot/'],
    ['/boot', ''],
  ])('is the newest with an initrd, from the partition of %s', async (mount, below) => {
    const layout = make(mount, {
      [`${below}vmlinuz-6.1.0-9-amd64`]: 'old kernel',
      [`${below}initrd.img-6.1.0-9-amd64`]: 'old initrd',
      [`${below}vmlinuz-6.1.0-10-amd64`]: 'new kernel\n',
      [`${below}initrd.img-6.1.0-10-amd64`]: 'new initrd\n',
      [`${below}vmlinuz-6.1.0-11-amd64`]: 'half installed',
      [`${below}config-6.1.0-10-amd64`]: '',
    })
    const { kernel, initrd } = await read(layout)
    expect(readFileSync(kernel, 'utf8')).toBe('new kernel\n')
    expect(readFileSync(initrd, 'utf8')).toBe('new initrd\n')
    expect(readdirSync(path('boot')).sort()).toEqual(['initrd', 'kernel'])
  })

  it.each<[what: string, tree: Tree, found: string]>([
    ['nothing', {}, 'found nothing'],
    ['a kernel alone', { 'boot/vmlinuz-6.1.0-9-amd64': '' }, 'found vmlinuz-6.1.0-9-amd64'],
    ['no folder, but a link', { elsewhere: null, boot: ['elsewhere'] }, 'found nothing'],
  ])('is missed where there is %s', async (_, tree, found) => {
    const layout = make('/', tree)
    await expect(read(layout)).rejects.toMatchObject({
      code: 'no-kernel',
      message: expect.stringContaining(found),
    })
    expect(readdirSync(path('boot'))).toEqual([])
  })

  it('is not made up where the filesystem is damaged', async () => {
    const files = { 'boot/vmlinuz-1': 'kernel', 'boot/initrd.img-1': 'initrd' }
    const layout = make('/', files, ['set_inode_field /boot block[0] 99999999'])
    await expect(read(layout)).rejects.toMatchObject({ code: 'disk-unreadable' })
  })
})

describe('versions of kernels', () => {
  it('are in the order of their numbers', () => {
    expect(['6.1.0-10', '6.1.0-9', '6.12.1', '6.2.0'].sort(compareVersions)).toEqual([
      '6.1.0-9',
      '6.1.0-10',
      '6.2.0',
      '6.12.1',
    ])
  })
})
