/** The contents of a filesystem's files, as files on the host from which debugfs copies. */

import { closeSync, openSync, writeSync } from 'node:fs'
import { mkdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { type ContentRequest, streamContent } from '../disk/debugfs.ts'
import { mostHoleBytes } from '../disk/filesystem.ts'
import type { Inode } from '../disk/inodes.ts'
import { requireAtMost } from '../disk/unreadable.ts'
import { writeFile } from '../host/writing.ts'
import type { Contents } from './requests.ts'

/** Where contents will be. */
export interface PreparedContents extends Contents {
  /** Begins writing them, one after another. */
  readonly extract: () => Extraction
}

export interface Extraction {
  /** Waits until the content of an inode is there. Throws what `ended` throws. */
  readonly ready: (inode: number) => Promise<void>
  /** Waits for all contents. @throws PipelineError `disk-unreadable` */
  readonly ended: Promise<void>
}

/**
 * Prepares a file for the content of each inode. Attributes are there at once.
 * @param inodes in the order in which their contents will be written; an inode appears once for each of its names
 * @throws PipelineError `disk-unreadable`
 */
export async function prepareContents(
  filesystem: string,
  inodes: readonly Inode[],
  folder: string,
  signal: AbortSignal,
): Promise<PreparedContents> {
  const place = join(folder, 'content')
  await mkdir(place)
  const unique = [...new Map(inodes.map((inode) => [inode.inode, inode])).values()]
  const empty = join(place, 'empty')
  await writeFile(empty, '')
  const attributeOf = (inode: number, name: string) =>
    join(place, `${inode}.${Buffer.from(name).toString('hex')}`)
  for (const { inode, attributes } of unique)
    for (const [name, value] of attributes) await writeFile(attributeOf(inode, name), value)
  const files = unique.filter(({ type, sizeBytes }) => type === 'file' && sizeBytes > 0)
  const bytes = files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
  const dataBytes = (await stat(filesystem)).blocks * 512
  requireAtMost(bytes, dataBytes + mostHoleBytes, 'bytes in files, holes included')
  const pathOf = (inode: number) => join(place, `${inode}`)
  const filled = new Set(files.map(({ inode }) => inode))
  return {
    contentOf: (inode) => (filled.has(inode) ? pathOf(inode) : empty),
    attributeOf,
    extract: () => writeContents(filesystem, files, pathOf, signal),
  }
}

// --- internal ---

/** Each file is complete once the next one begins. */
function writeContents(
  filesystem: string,
  files: readonly ContentRequest[],
  pathOf: (inode: number) => string,
  signal: AbortSignal,
): Extraction {
  const places = new Map(files.map(({ inode }, place) => [inode, place]))
  let complete = 0
  let wake: () => void = () => undefined
  let open: { readonly inode: number; readonly descriptor: number } | undefined
  const close = () => {
    if (open === undefined) return
    closeSync(open.descriptor)
    open = undefined
    complete += 1
    wake()
  }
  const take = ({ inode }: ContentRequest, bytes: Buffer) => {
    if (open?.inode !== inode) {
      close()
      open = { inode, descriptor: openSync(pathOf(inode), 'wx', 0o600) }
    }
    writeAll(open.descriptor, bytes)
  }
  const ended = streamContent(filesystem, files, take, signal).finally(close)
  const ready = async (inode: number) => {
    const place = places.get(inode) ?? -1
    while (complete <= place) await Promise.race([ended, new Promise<void>((resolve) => (wake = resolve))])
  }
  return { ready, ended }
}

function writeAll(descriptor: number, bytes: Buffer): void {
  for (let done = 0; done < bytes.length; ) done += writeSync(descriptor, bytes, done)
}
