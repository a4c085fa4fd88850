/** The file systems of an image as checks read them, by paths of the running system. */

export interface FileEntry {
  readonly name: string
  readonly type: 'file' | 'folder' | 'link' | 'other'
  /** Permissions, including the setuid, setgid, and sticky bits. */
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
  /** Reserved blocks of an ext file system. */
  readonly reservedBlocks: number | undefined
  /** Where the image's own fstab mounts it. */
  readonly mount: string | undefined
}

export interface ImageFiles {
  /** `dos` or `gpt` */
  readonly partitionTable: string
  readonly partitions: readonly PartitionFacts[]
  /** Entries of a folder; empty if it does not exist. Follows links along the path. */
  readonly list: (folder: string) => Promise<readonly FileEntry[]>
  /** The file or link itself, not the target of a link. */
  readonly stat: (path: string) => Promise<FileEntry | undefined>
  /** A file's bytes, following links; undefined if it does not exist. */
  readonly read: (path: string) => Promise<Buffer | undefined>
  /** The bytes of those paths that are regular files, without following links. Much faster than one by one. */
  readonly readAll: (paths: readonly string[]) => Promise<ReadonlyMap<string, Buffer>>
  readonly close: () => Promise<void>
}

/** A file's text; undefined if it does not exist. */
export async function readText(files: ImageFiles, path: string): Promise<string | undefined> {
  return (await files.read(path))?.toString()
}

/** Names in a folder; empty if it does not exist. */
export async function namesIn(files: ImageFiles, folder: string): Promise<readonly string[]> {
  return (await files.list(folder)).map(({ name }) => name)
}
