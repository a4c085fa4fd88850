/** Reads the kernel and initrd of a layer from its disk, without mounting or booting it. */

import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { PipelineError } from '../errors.ts'
import { makeFolder } from '../host/files.ts'
import { writeFile } from '../host/writing.ts'
import { stretchNode } from './block-node.ts'
import { openChain } from './chain.ts'
import { readContents, readFolder, settleJournal } from './filesystem.ts'
import { readInodes } from './inodes.ts'
import { type Layout, sectorBytes } from './layout.ts'
import { convertImage } from './qemu-img.ts'

export interface BootFiles {
  readonly kernel: string
  readonly initrd: string
}

/**
 * Copies the newest kernel and its initrd from a layer into `folder`. The layers below must be in the layer's folder.
 * @throws PipelineError `no-kernel`, `disk-unreadable`, `disk-refers-elsewhere`
 */
export async function readBootFiles(
  disk: string,
  layout: Layout,
  folder: string,
  signal = new AbortController().signal,
): Promise<BootFiles> {
  const partition =
    layout.partitions.find(({ mount }) => mount === '/boot') ??
    layout.partitions.find(({ mount }) => mount === '/')
  if (partition === undefined) throw new Error('a resolved disk has a root partition')
  await makeFolder(folder)
  const filesystem = join(folder, 'filesystem')
  const place = {
    offset: partition.startSector * sectorBytes,
    sizeBytes: partition.sectors * sectorBytes,
  }
  const [{ node }] = await openChain(disk, 'qcow2', 'same folder')
  const from = stretchNode(node, place)
  try {
    await convertImage({ from, to: filesystem, format: 'raw' }, signal)
    await settleJournal(filesystem, signal)
    const entries = await readFolder(filesystem, partition.mount === '/' ? '/boot' : '/', signal)
    const numbers = chooseBootFiles(new Map(entries.map(({ name, inode }) => [name, inode])))
    const inodes = await readInodes(filesystem, numbers, signal)
    const contents = await readContents(filesystem, inodes, signal)
    const files = { kernel: join(folder, 'kernel'), initrd: join(folder, 'initrd') }
    const [kernel, initrd] = numbers.map((inode) => contents.get(inode) ?? Buffer.alloc(0))
    await writeFile(files.kernel, kernel as Buffer)
    await writeFile(files.initrd, initrd as Buffer)
    return files
  } finally {
    await rm(filesystem, { force: true })
  }
}

/** Orders `6.1.0-9-amd64` before `6.1.0-10-amd64`. */
export function compareVersions(a: string, b: string): number {
  return a.localeCompare(b, 'en', { numeric: true })
}

// --- internal ---

/** The inodes of the newest kernel in /boot that has an initrd, and of that initrd. */
function chooseBootFiles(inodes: ReadonlyMap<string, number>): readonly [kernel: number, initrd: number] {
  const versions = [...inodes.keys()].flatMap((name) => /^vmlinuz-(.+)$/.exec(name)?.[1] ?? [])
  for (const version of versions.sort(compareVersions).reverse()) {
    const [kernel, initrd] = [inodes.get(`vmlinuz-${version}`), inodes.get(`initrd.img-${version}`)]
    if (kernel !== undefined && initrd !== undefined) return [kernel, initrd]
  }
  throw new PipelineError({
    code: 'no-kernel',
    message: `the layer has no kernel with an initrd in /boot, found ${[...inodes.keys()].join(', ') || 'nothing'}`,
    hint: 'kernelPackage must name a Debian kernel, and initramfs-tools must be installed.',
  })
}
