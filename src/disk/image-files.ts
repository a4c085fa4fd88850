/** The file systems of an image as checks read them, by paths of the running system. */

export interface FileEntry {
  readonly name: string
  readonly type: 'file' | 'folder' | 'link' | 'other'
  /** Permissions, including the set-user-id, set-group-id and sticky bits. */
  readonly mode: number
  readonly sizeBytes: number
  /** Where a link points. */
  readonly target: string | undefined
}

/** One partition of a disk. */
export interface PartitionFacts {
  readonly number: number
  /** `ext2`, `ext4`, `swap`, `vfat`, …; undefined if unknown */
  readonly filesystem: string | undefined
  readonly bootable: boolean
  readonly startSector: number
  readonly sectors: number
  /** Blocks of an ext file system that only root may use. */
  readonly reservedBlocks: number | undefined
  /** Where the image's own fstab mounts it. */
  readonly mount: string | undefined
}

export interface ImageFiles {
  /** `dos` or `gpt` */
  readonly partitionTable: string
  readonly partitions: readonly PartitionFacts[]
  /** Entries of a folder; empty if there is no such folder. Follows links on the way. */
  readonly list: (folder: string) => Promise<readonly FileEntry[]>
  /** The file or link itself, not what it points to. */
  readonly stat: (path: string) => Promise<FileEntry | undefined>
  /** A file's bytes, through links; undefined if there is no such file. */
  readonly read: (path: string) => Promise<Buffer | undefined>
  /** The bytes of those paths that are regular files; follows no links. Much faster than one by one. */
  readonly readAll: (paths: readonly string[]) => Promise<ReadonlyMap<string, Buffer>>
  readonly close: () => Promise<void>
}

/** A file's text; undefined if there is no such file. */
export async function readText(files: ImageFiles, path: string): Promise<string | undefined> {
  return (await files.read(path))?.toString()
}

/** Names in a folder; empty if there is no such folder. */
export async function namesIn(files: ImageFiles, folder: string): Promise<readonly string[]> {
  return (await files.list(folder)).map(({ name }) => name)
}
