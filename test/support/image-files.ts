/** An image's filesystems in the form of a table. */

import { posix } from 'node:path'
import type { FileEntry, ImageFiles, PartitionFacts } from '../../src/disk/image-files.ts'

/** A file's text or bytes, with a mode where it matters; a link; or a folder. */
export type FakeFile =
  | string
  | Buffer
  | { readonly text: string; readonly mode: number }
  | { readonly link: string }
  | 'folder'

const folderMark = 'folder'

export interface FakeImage {
  readonly files: Readonly<Record<string, FakeFile>>
  readonly partitions?: readonly PartitionFacts[]
  readonly partitionTable?: string
}

/** Parent folders of files exist implicitly. */
export function fakeImageFiles({ files, partitions = [], partitionTable = 'dos' }: FakeImage): ImageFiles {
  const entries = new Map<string, { readonly entry: FileEntry; readonly bytes: Buffer | undefined }>()
  const add = (path: string, file: FakeFile): void => {
    if (path === '/') return
    if (!entries.has(posix.dirname(path))) add(posix.dirname(path), folderMark)
    entries.set(path, describeFile(posix.basename(path), file))
  }
  for (const [path, file] of Object.entries(files)) add(path, file)
  const readOne = (path: string): Buffer | undefined => {
    const found = entries.get(path)
    const { target } = found?.entry ?? {}
    return target === undefined ? found?.bytes : readOne(posix.resolve(posix.dirname(path), target))
  }
  return {
    partitionTable,
    partitions,
    list: async (folder) =>
      [...entries].filter(([path]) => posix.dirname(path) === folder).map(([, { entry }]) => entry),
    stat: async (path) => entries.get(path)?.entry,
    read: async (path) => readOne(path),
    readAll: async (paths) =>
      new Map(
        paths.flatMap((path) => {
          const bytes = entries.get(path)?.bytes
          return bytes === undefined ? [] : [[path, bytes] as const]
        }),
      ),
    close: async () => undefined,
  }
}

function describeFile(name: string, file: FakeFile) {
  const entry = { name, type: 'file', mode: 0o644, sizeBytes: 0, target: undefined } as const
  if (file === folderMark)
    return { entry: { ...entry, type: 'folder' as const, mode: 0o755 }, bytes: undefined }
  if (typeof file === 'object' && 'link' in file)
    return { entry: { ...entry, type: 'link' as const, mode: 0o777, target: file.link }, bytes: undefined }
  const [text, mode] =
    typeof file === 'string' || Buffer.isBuffer(file) ? [file, 0o644] : [file.text, file.mode]
  const bytes = Buffer.from(text)
  return { entry: { ...entry, mode, sizeBytes: bytes.length }, bytes }
}
