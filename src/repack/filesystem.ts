/** Makes an ext filesystem anew from its files: the same bytes for the same files, whoever wrote them, and when. */

import { rm, writeFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { execa } from 'execa'
import { changeFilesystem } from '../disk/debugfs.ts'
import { readTree, type Superblock } from '../disk/filesystem.ts'
import { mostNames } from '../disk/inodes.ts'
import { sectorBytes } from '../disk/layout.ts'
import type { PartitionEntry } from '../disk/partitions.ts'
import { PipelineError } from '../errors.ts'
import { extractContents } from './extract.ts'
import { renderRequests } from './requests.ts'

export interface FilesystemSource {
  /** A copy of the filesystem, with its journal replayed. It is removed once it has been read. */
  readonly file: string
  readonly entry: PartitionEntry
  readonly superblock: Superblock
}

export interface FilesystemJob {
  /** Raw disk to write to, where the partition is. */
  readonly disk: string
  /** For temporary files: nearly as many bytes as the filesystem has data. */
  readonly folder: string
  /** The latest time of any file, and the time of everything else: seconds since 1970. */
  readonly epoch: number
  readonly signal: AbortSignal
}

/** Makes a filesystem of the same size, UUID and files. @throws PipelineError `repack-unfit`, `repack-failed` */
export async function makeFilesystem(source: FilesystemSource, job: FilesystemJob): Promise<void> {
  const { entry, superblock, file } = source
  requireKnownFeatures(entry, superblock)
  const tree = await readTree(file, mostNames, job.signal)
  const contents = await extractContents(file, [...tree.values()], job.folder, job.signal)
  await rm(file)
  const hasExtents = entry.filesystem === 'ext4'
  const requests = renderRequests(tree, contents, { epoch: job.epoch, hasExtents })
  await makeEmpty(entry, superblock, job)
  // Relative: a question mark in the path would begin the options.
  const place = `${relative(job.folder, job.disk)}?offset=${entry.startSector * sectorBytes}`
  const environment = environmentOf(job)
  await changeFilesystem(
    place,
    [...requests, ...lastRequests(superblock)],
    { cwd: job.folder, env: environment },
    job.signal,
  )
  await requireSound(place, entry, job)
}

// --- internal ---

/** What mke2fs of Debian 12 chooses, stated: neither a newer program nor the host's mke2fs.conf changes it. */
const featuresOf = {
  ext2: 'ext_attr,resize_inode,dir_index,filetype,sparse_super,large_file',
  ext3: 'ext_attr,resize_inode,dir_index,filetype,sparse_super,large_file,has_journal',
  ext4: 'ext_attr,resize_inode,dir_index,filetype,sparse_super,large_file,has_journal,extent,64bit,flex_bg,huge_file,dir_nlink,extra_isize,metadata_csum',
}

/** Those that only change how a filesystem stores files. */
const droppedFeatures = new Set([
  ...['needs_recovery', 'orphan_file', 'orphan_present', 'metadata_csum_seed', 'uninit_bg', 'fast_commit'],
  ...['inline_data', 'large_dir', 'meta_bg', 'sparse_super2', 'bigalloc', 'ea_inode', 'stable_inodes'],
])

/** The files of another filesystem may be more than what is read of them: encrypted, or folded by case. */
function requireKnownFeatures({ number, filesystem = '' }: PartitionEntry, { features }: Superblock): void {
  const made = new Set([...featuresOf.ext4.split(',')])
  const unknown = features.filter((feature) => !made.has(feature) && !droppedFeatures.has(feature))
  if (unknown.length === 0) return
  throw new PipelineError({
    code: 'repack-unfit',
    message: `the final disk cannot be made anew: the ${filesystem} of partition ${number} has the features ${unknown.join(', ')}`,
    hint: "keep the last stage's disk with reproducible: false.",
    details: { partition: number, features: unknown },
  })
}

const configuration =
  '[fs_types]\next2 = {\n}\next3 = {\n}\next4 = {\n}\nsmall = {\n}\nfloppy = {\n}\nbig = {\n}\nhuge = {\n}\n'

function environmentOf({ epoch, folder }: FilesystemJob): NodeJS.ProcessEnv {
  const PATH = `${process.env.PATH ?? ''}:/usr/sbin:/sbin`
  const time = `${epoch}`
  // Programs from 1.47.1 on know the second name, older ones the first.
  return {
    PATH,
    LC_ALL: 'C',
    MKE2FS_CONFIG: join(folder, 'mke2fs.conf'),
    E2FSPROGS_FAKE_TIME: time,
    SOURCE_DATE_EPOCH: time,
  }
}

async function makeEmpty(entry: PartitionEntry, superblock: Superblock, job: FilesystemJob): Promise<void> {
  const { blockBytes, blocks, inodes } = superblock
  const { filesystem = '', uuid = '', label = '', startSector } = entry
  await writeFile(join(job.folder, 'mke2fs.conf'), configuration)
  const extended = [
    `offset=${startSector * sectorBytes}`,
    `hash_seed=${uuid}`,
    'root_owner=0:0',
    'nodiscard',
    'lazy_itable_init=0',
  ]
  const words = [
    ...[
      '-q',
      '-F',
      '-t',
      filesystem,
      '-O',
      `none,${featuresOf[filesystem as keyof typeof featuresOf]}`,
      '-b',
      `${blockBytes}`,
      '-I',
      '256',
    ],
    ...[
      '-N',
      `${inodes}`,
      '-m',
      '0',
      '-U',
      uuid,
      ...(label === '' ? [] : ['-L', label]),
      '-E',
      extended.join(','),
    ],
    ...[relative(job.folder, job.disk), `${(blocks * blockBytes) / 1024}k`],
  ]
  await run('mke2fs', words, job)
}

/** Of the superblock: what mke2fs has no exact option for, and what counts writes. */
function lastRequests({ reservedBlocks }: Superblock): readonly Buffer[] {
  return [`set_super_value r_blocks_count ${reservedBlocks}`, 'set_super_value kbytes_written 0'].map(
    (line) => Buffer.from(line),
  )
}

async function requireSound(place: string, { number }: PartitionEntry, job: FilesystemJob): Promise<void> {
  await run('e2fsck', ['-f', '-n', place], job, `the filesystem made for partition ${number} is not sound`)
}

async function run(
  program: string,
  words: readonly string[],
  job: FilesystemJob,
  what = `${program} failed`,
): Promise<void> {
  const { folder, signal } = job
  const options = {
    cwd: folder,
    env: environmentOf(job),
    extendEnv: false,
    all: true,
    reject: false,
    cancelSignal: signal,
    timeout: 600_000,
  } as const
  const result = await execa(program, words, options)
  signal.throwIfAborted()
  if (!result.failed) return
  const lastLines = `${result.all ?? ''}`.trim().split('\n').slice(-10)
  throw new PipelineError({
    code: 'repack-failed',
    message: `the final disk could not be made: ${what}: ${lastLines.at(-1) ?? result.shortMessage}`,
    details: { lastLines },
    cause: result,
  })
}
