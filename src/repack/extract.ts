/** The contents of a filesystem's files, as files of the host that debugfs copies from. */

import { closeSync, openSync, writeSync } from 'node:fs'
import { mkdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type ContentRequest, streamContent } from '../disk/debugfs.ts'
import { mostHoleBytes } from '../disk/filesystem.ts'
import type { Inode } from '../disk/inodes.ts'
import { requireAtMost } from '../disk/unreadable.ts'
import type { Contents } from './requests.ts'

/**
 * Writes the content and the attributes of each inode to a file.
 * @param inodes some may be there several times, once for each name
 * @throws PipelineError `disk-unreadable`
 */
export async function extractContents(
  filesystem: string,
  inodes: readonly Inode[],
  folder: string,
  signal: AbortSignal,
): Promise<Contents> {
  const place = join(folder, 'content')
  await mkdir(place)
  const unique = [...new Map(inodes.map((inode) => [inode.inode, inode])).values()]
  const empty = join(place, 'empty')
  await writeFile(empty, '')
  const files = unique.filter(({ type, sizeBytes }) => type === 'file' && sizeBytes > 0)
  const bytes = files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
  const dataBytes = (await stat(filesystem)).blocks * 512
  requireAtMost(bytes, dataBytes + mostHoleBytes, 'bytes in files, holes included')
  await writeContents(filesystem, files, (inode) => join(place, `${inode}`), signal)
  const attributeOf = (inode: number, name: string) =>
    join(place, `${inode}.${Buffer.from(name).toString('hex')}`)
  for (const { inode, attributes } of unique)
    for (const [name, value] of attributes) await writeFile(attributeOf(inode, name), value)
  const filled = new Set(files.map(({ inode }) => inode))
  return { contentOf: (inode) => (filled.has(inode) ? join(place, `${inode}`) : empty), attributeOf }
}

// --- internal ---

async function writeContents(
  filesystem: string,
  files: readonly ContentRequest[],
  pathOf: (inode: number) => string,
  signal: AbortSignal,
): Promise<void> {
  let open: { readonly inode: number; readonly descriptor: number } | undefined
  const close = () => {
    if (open !== undefined) closeSync(open.descriptor)
    open = undefined
  }
  try {
    await streamContent(
      filesystem,
      files,
      ({ inode }, bytes) => {
        if (open?.inode !== inode) {
          close()
          open = { inode, descriptor: openSync(pathOf(inode), 'wx', 0o600) }
        }
        writeAll(open.descriptor, bytes)
      },
      signal,
    )
  } finally {
    close()
  }
}

function writeAll(descriptor: number, bytes: Buffer): void {
  for (let done = 0; done < bytes.length; ) done += writeSync(descriptor, bytes, done)
}
