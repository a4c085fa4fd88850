/** The kernel and initrd of a layer, read out of its disk without mounting or booting it. */

import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { execa } from 'execa'
import { PipelineError } from '../errors.ts'
import { imageNode, stretchNode } from './block-node.ts'
import { type Layout, sectorBytes } from './layout.ts'
import { convertImage } from './qemu-img.ts'

export interface BootFiles {
  readonly kernel: string
  readonly initrd: string
}

/** Copies the newest kernel and its initrd from a qcow2 disk into `folder`. */
export async function readBootFiles(disk: string, layout: Layout, folder: string): Promise<BootFiles> {
  const partition =
    layout.partitions.find(({ mount }) => mount === '/boot') ??
    layout.partitions.find(({ mount }) => mount === '/')
  if (partition === undefined) throw new Error('a resolved disk has a root partition')
  const below = partition.mount === '/' ? '/boot' : '/'
  await mkdir(folder, { recursive: true })
  const filesystem = join(folder, 'filesystem')
  const place = {
    offset: partition.startSector * sectorBytes,
    sizeBytes: partition.sectors * sectorBytes,
  }
  const from = stretchNode(imageNode('qcow2', disk), place)
  await convertImage({ from, to: filesystem, format: 'raw' })
  try {
    const names = await listFolder(filesystem, below)
    const kernels = names.flatMap((name) => /^vmlinuz-(.+)$/.exec(name)?.[1] ?? [])
    const version = kernels.sort(compareVersions).findLast((found) => names.includes(`initrd.img-${found}`))
    if (version === undefined) {
      throw new PipelineError({
        code: 'no-kernel',
        message: `the layer has no kernel with an initrd in /boot, found ${names.join(', ') || 'nothing'}`,
        hint: 'kernelPackage must name a Debian kernel, and initramfs-tools must be installed.',
      })
    }
    const files = { kernel: join(folder, 'kernel'), initrd: join(folder, 'initrd') }
    await dump(filesystem, join(below, `vmlinuz-${version}`), files.kernel)
    await dump(filesystem, join(below, `initrd.img-${version}`), files.initrd)
    return files
  } finally {
    await rm(filesystem, { force: true })
  }
}

async function listFolder(filesystem: string, path: string): Promise<readonly string[]> {
  const { stdout } = await debugfs(filesystem, `ls -p ${path}`)
  // "/inode/mode/uid/gid/name/size/"
  return stdout.split('\n').flatMap((line) => line.split('/')[5] ?? [])
}

async function dump(filesystem: string, path: string, to: string): Promise<void> {
  await debugfs(filesystem, `dump ${path} "${to}"`)
}

function debugfs(filesystem: string, request: string) {
  const PATH = `${process.env.PATH ?? ''}:/usr/sbin:/sbin`
  return execa('debugfs', ['-R', request, filesystem], { timeout: 60_000, env: { PATH } })
}

/** Orders `6.1.0-9-amd64` before `6.1.0-10-amd64`. */
export function compareVersions(a: string, b: string): number {
  return a.localeCompare(b, 'en', { numeric: true })
}
