/** Reads the files of an image without booting it. */

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { execa } from 'execa'
import type { ImageFacts } from '../../src/config/image.ts'
import { placePartitions, sectorBytes } from '../../src/install/layout.ts'

export interface DiskFiles {
  /** Names in a folder; empty where there is none. */
  readonly list: (folder: string) => Promise<readonly string[]>
  /** A file's text; undefined where there is none. */
  readonly read: (path: string) => Promise<string | undefined>
  readonly close: () => Promise<void>
}

/** Opens the root filesystem of an image. */
export async function openRoot(image: string, disk: ImageFacts['disk']): Promise<DiskFiles> {
  const folder = await mkdtemp(join(tmpdir(), 'systemvm-disk-'))
  const filesystem = join(folder, 'root')
  const root = placePartitions(disk, '').partitions.find(({ mount }) => mount === '/')
  if (root === undefined) throw new Error('no root partition')
  const view = {
    driver: 'raw',
    offset: root.startSector * sectorBytes,
    size: root.sectors * sectorBytes,
    file: { driver: 'qcow2', file: { driver: 'file', filename: image } },
  }
  await execa('qemu-img', ['convert', '-O', 'raw', `json:${JSON.stringify(view)}`, filesystem])
  const debugfs = async (request: string) => {
    const env = { PATH: `${process.env.PATH}:/usr/sbin` }
    const { stdout, stderr } = await execa('debugfs', ['-R', request, filesystem], {
      env,
      stripFinalNewline: false,
    })
    return { stdout, isMissing: stderr.includes('File not found') }
  }
  return {
    list: async (path) => {
      const { stdout } = await debugfs(`ls -p ${path}`)
      const names = stdout.split('\n').flatMap((line) => line.split('/')[5] ?? [])
      return names.filter((name) => name !== '.' && name !== '..')
    },
    read: async (path) => {
      const { stdout, isMissing } = await debugfs(`cat ${path}`)
      return isMissing ? undefined : stdout
    },
    close: () => rm(folder, { recursive: true, force: true }),
  }
}
